import numpy as np
import pytest

from reglab.config import Config, ConfigError


@pytest.mark.parametrize("given, kept", [
    (None, None), ("balanced", "balanced"), ("b=2,a=1", "a=1.0,b=2.0"), ({"b": 2, "a": 0.5}, "a=0.5,b=2.0"),
    ({1: 0.1, np.int64(0): np.float32(0.5)}, "0=0.5,1=0.1"), ("<=50K=2, >50K = 3", "<=50K=2.0,>50K=3.0")])
def test_weights_have_one_form_in_files(given, kept):
    config = Config(class_weights=given)
    assert config.class_weights == kept and Config.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("given, problem", [
    ("", "'' is no class with its weight: give balanced"), ("a", "'a' is no class with its weight"),
    ("a=1,a=2", "a is given twice"), ("a=x", "a=x: it is no number"), ("a=0", "a=0: give balanced, or a positive"),
    ("a=-1", "a=-1: give"), ("a=inf", "a=inf: give"), ("a=nan", "a=nan: give"), ("=1", "'=1' is no class"),
    ({"a,b": 1}, "a class whose name has a comma"), ({"a": "1"}, "give balanced"), ({"a": True}, "give balanced"),
    ({}, "'' is no class"), (1, "give a value of type str"), ("a=1e39", "beyond the largest float32"),
    ("x" * 200_000, "it has more than 100,000 characters")])
def test_others_are_refused_in_one_line(given, problem):
    with pytest.raises(ConfigError, match="^--class_weights=") as error:
        Config(class_weights=given)
    assert problem in str(error.value) and len(str(error.value)) <= 500
