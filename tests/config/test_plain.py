import json

import numpy as np
import pytest

from reglab.config import Config, ConfigError


@pytest.mark.parametrize("fields, kept", [
    ({"l1": np.float32(1e-3)}, {"l1": float(np.float32(1e-3))}), ({"l1": np.float64(0.5)}, {"l1": 0.5}),
    ({"epochs": np.int64(3), "seed": np.uint8(7)}, {"epochs": 3, "seed": 7}), ({"learning_rate": np.int32(1)},
                                                                              {"learning_rate": 1.0}),
    ({"jit": np.bool_(False)}, {"jit": False}), ({"hidden": (np.int64(5), 4)}, {"hidden": (5, 4)}),
    ({"hidden": np.array([5, 4])}, {"hidden": (5, 4)}), ({"l2": {"logits": np.float64(0.5)}}, {"l2": "logits=0.5"}),
    ({"dataset": np.str_("digits")}, {"dataset": "digits"})])
def test_numbers_of_numpy_become_those_of_python(fields, kept):
    config = Config(**fields)
    found = {name: getattr(config, name) for name in kept}
    assert found == kept and [type(value) for value in found.values()] == [type(value) for value in kept.values()]
    assert Config.from_dict(json.loads(config.to_json())) == config


@pytest.mark.parametrize("fields", [{"epochs": np.float64(3)}, {"jit": np.int64(1)}, {"epochs": np.array([3])},
                                    {"hidden": np.array([1.5])}, {"l1": np.array(["x"])}])
def test_types_are_held_to_as_ever(fields):
    with pytest.raises(ConfigError, match="give a value of type"):
        Config(**fields)
