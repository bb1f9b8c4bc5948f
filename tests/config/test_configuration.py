from __future__ import annotations

import dataclasses
import json
import math
import pathlib
from typing import Any

import pytest

from reglab import config
from reglab.config import FLAGS, Config, ConfigError


def test_the_defaults_are_the_tutorial_experiment() -> None:
    default = Config()
    assert (default.dataset, default.hidden, default.activation) == ("digits", (128, 64), "relu")
    assert (default.optimizer, default.learning_rate, default.batch_size, default.epochs) == ("adam", 1e-3, 32, 10)
    assert (default.l1, default.l2, default.penalize, default.precision) == (0.0, 0.0, "all", "float32")


BAD_VALUES: list[tuple[str, Any, str]] = [
    ("l1", -1e-3, "at least 0"), ("l1", math.nan, "finite"), ("l2", math.inf, "finite"), ("l2", -1.0, "at least 0"),
    ("learning_rate", 0.0, "positive"), ("learning_rate", -1.0, "positive"), ("learning_rate", math.nan, "positive"),
    ("momentum", -0.1, "at least 0"), ("momentum", 1.0, "less than 1"), ("clip_norm", 0.0, "positive"),
    ("clip_norm", math.nan, "positive"), ("label_noise", 1.01, "0 to 1"), ("label_noise", -0.01, "0 to 1"),
    ("label_noise", math.nan, "0 to 1"), ("validation_split", -0.1, "between 0 and 1"),
    ("validation_split", 1.0, "between 0 and 1"), ("train_size", 0, "positive"), ("seed", -1, "at least 0"),
    ("data_seed", -1, "at least 0"), ("warmup_steps", -1, "at least 0"), ("epochs", 0, "at least 1"),
    ("batch_size", 0, "at least 1"), ("keep", 0, "at least 1"), ("checkpoint_every", 0, "steps"),
    ("evaluate_every", 0, "epochs"), ("summary_every", -1, "0 for none"), ("weight_decay", -0.1, "at least 0"),
    ("hidden", (128, 0), "positive layer widths"), ("penalize", "dense_[", "pattern"),
    ("dataset", "imagenet", "choose one of"), ("optimizer", "lbfgs", "choose one of"),
    ("activation", "reul", "choose one of"), ("precision", "float16", "choose one of"),
    ("schedule", "linear", "choose one of"), ("resume", "maybe", "choose one of"),
    ("strategy", "horovod", "choose one of"), ("groups", "both", "choose one of outgoing, incoming"),
    ("group_l1", -1e-3, "at least 0"), ("num_devices", 0, "number of devices"),
    ("cpu_devices", 0, "logical devices"), ("rendezvous_timeout", 0.5, "at least 1"),
    ("rendezvous_timeout", math.nan, "at least 1"), ("on_nonfinite", "ignore", "choose one of stop, skip, restore"),
    ("max_points", 0, "number of points"), ("model", "mpl", "choose one of mlp"),
    ("dropout", 1.0, "less than 1"), ("dropout", -0.1, "from 0"), ("dropout", math.nan, "from 0"),
    ("label_smoothing", 1.0, "less than 1"), ("label_smoothing", -0.1, "from 0"), ("ema", 0.0, "above 0"),
    ("patience", 0, "at least 1"), ("min_delta", -0.1, "at least 0"), ("min_delta", math.nan, "finite"),
    ("ema", 1.0, "below 1"), ("decay_factor", 1.0, "below 1"), ("decay_every", 0, "at least 1"),
    ("decay_patience", 0, "at least 1"), ("debias_epochs", -1, "fewer than --epochs"),
    ("class_weights", "1=-1", "1=-1: "), ("label_column", "label", "only tables have columns"),
    ("drop_columns", "id", "only tables have columns"),
    ("test_split", 1.0, "less than 1"),
    ("time_limit", 0.5, "at least a second"), ("time_limit", math.nan, "at least a second"), ("name", " ", "a name"),
    ("profile", "100", "100:20"), ("profile", "100:0", "100:20"), ("profile", "-1:5", "100:20"),
]


@pytest.mark.parametrize(("name", "value", "fix"), BAD_VALUES)
def test_a_bad_value_is_refused_in_one_line_that_names_flag_value_and_fix(name: str, value: Any, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**{name: value})
    message = str(caught.value)
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    assert message.startswith(f"--{name}={shown}")
    assert fix in message
    assert "\n" not in message


@pytest.mark.parametrize(("name", "value", "said"), [
    ("l1", 1e39, "beyond the largest float32, 3.4e+38"), ("l2", 1e-40, "float32 would make it 0 or lose its digits"),
    ("learning_rate", 1e-60, "float32 would make it 0"), ("clip_norm", 1e300, "--precision=float64"),
    ("momentum", 1 - 1e-12, "even when rounded"), ("label_noise", 1e-60, "float32"),
    ("rendezvous_timeout", 1e9, "at most"),
    ("l1", 10**400, "beyond the largest float64"), ("seed", 2**63, "at most 9,223,372,036,854,775,807"),
    ("data_seed", 2**64, "at most 18,446,744,073,709,551,615"), ("epochs", 2**31, "at most 2,147,483,647"),
    ("summary_every", 2**64, "at most 9,007,199,254,740,992"), ("epochs", 10**4000, "at most"),
    ("hidden", (4,) * 101, "100 lay"),
    ("hidden", (2**31,), "widths of at most"), ("cpu_devices", 10**5, "at most 256"),
    ("num_devices", 10**9, "at most 1,024"),
    ("model_dir", "gs://a", "gs:// is not supported"), ("data_dir", "a\0", "control character"),
    ("dataset", "x" * 5000, "5,000"),
    ("compile_cache", "s3://x", "s3:// is not supported"), ("penalize", "a\n", "control character"),
    ("penalize", r"(a)\1", "not supported"), ("hidden", [[[[1]]]], "type")])
def test_values_beyond_all_measure(name: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"--{name}=") and said in message
    assert message.isprintable() and len(message) <= 500


def test_float64_holds_what_float32_does_not() -> None:
    assert Config(l1=1e39, precision="float64").l1 == 1e39
    assert Config(l1=1e-60, precision="float64").l1 == 1e-60


@pytest.mark.parametrize("fields", [3, None, [("l1", 1)], {1: 2}, {(1, 2): 3}, {10**5000: 1}])
def test_what_is_no_mapping_of_fields_is_refused(fields: Any) -> None:
    with pytest.raises(ConfigError):
        Config.from_dict(fields)


def test_the_model_is_told_where_it_is_not_the_one_that_older_files_do_not_tell() -> None:
    chosen = Config(model="cnn", dropout=0.5)
    assert not {"model", "dropout"} & {*Config().to_dict()}
    assert Config.from_dict(chosen.to_dict()) == chosen
    assert Config().differences(chosen) == ["model: 'mlp', not 'cnn'", "dropout: 0.0, not 0.5"]


def test_a_decay_is_refused_without_a_schedule_that_decays() -> None:
    with pytest.raises(ConfigError, match="^--decay_every=3: it is of --schedule=step, and this is --schedule=cosine"):
        Config(schedule="cosine", decay_every=3)
    assert Config(schedule="step").resolved_decay_every == 5


def test_no_field_was_forgotten_in_the_table_of_bad_values() -> None:
    # Any text or boolean is good.
    free = {"data_dir", "model_dir", "jit", "deterministic", "histograms", "compile_cache", "standardize", "proximal"}
    assert {name for name, *_ in BAD_VALUES} | free == {*FLAGS}


@pytest.mark.parametrize(("name", "value"), [
    ("epochs", "10"), ("jit", 1), ("l1", "0.1"), ("l1", True), ("seed", 1.0), ("hidden", ("128",)), ("hidden", (True,)),
    ("data_dir", 3), ("train_size", 10.0), ("penalize", None), ("learning_rate", None), ("histograms", "no")])
def test_a_value_of_the_wrong_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^--{name}=.*give a value of type"):
        Config(**{name: value})


def test_a_whole_number_may_stand_for_a_float() -> None:
    made = Config(l2=1, clip_norm=2)
    assert (made.l2, made.clip_norm) == (1.0, 2.0)
    assert type(made.l2) is type(made.clip_norm) is float


@pytest.mark.parametrize("edge", [
    {"label_noise": 0.0}, {"label_noise": 1.0}, {"hidden": ()}, {"summary_every": 0}, {"momentum": 0.0}, {"l1": 0.0},
    {"dataset": "my/own.npz"}, {"penalize": "hidden"}, {"penalize": "dense_[01]"}, {"train_size": 1}])
def test_the_edges_of_the_ranges_are_allowed(edge: dict[str, Any]) -> None:
    assert getattr(Config(**edge), *edge) == next(iter(edge.values()))


def test_weight_decay_belongs_to_adamw() -> None:
    with pytest.raises(ConfigError, match=r"^--weight_decay=0\.01: .*--optimizer=adamw.*--l2"):
        Config(optimizer="adam", weight_decay=0.01)
    assert Config(optimizer="adam", weight_decay=0.0).resolved_weight_decay == 0
    assert Config(optimizer="adam").resolved_weight_decay == 0
    assert Config(optimizer="adamw").resolved_weight_decay == config.DEFAULT_WEIGHT_DECAY
    assert Config(optimizer="adamw", weight_decay=0.0).resolved_weight_decay == 0
    assert Config(optimizer="adamw", weight_decay=0.01).resolved_weight_decay == 0.01


def test_the_data_seed_follows_the_seed_unless_given() -> None:
    assert Config(seed=7).resolved_data_seed == 7
    assert Config(seed=7, data_seed=0).resolved_data_seed == 0


def test_a_config_is_frozen_and_hashable() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().l1 = 1.0  # type: ignore[misc]
    assert hash(Config(hidden=[3, 2])) == hash(Config(hidden=(3, 2)))  # type: ignore[arg-type]


ODD = Config(dataset="a.npz", hidden=(7,), l1=1e-5, l2=1, optimizer="adamw", weight_decay=0.25, clip_norm=2,
             train_size=10, data_seed=3, jit=False, model_dir="runs/x", penalize="dense_.*")


@pytest.mark.parametrize("made", [Config(), ODD, Config(hidden=())])
def test_json_brings_back_an_equal_config(made: Config, tmp_path: pathlib.Path) -> None:
    again = Config.from_dict(json.loads(made.to_json()))
    assert again == made
    assert all(type(getattr(again, name)) is type(getattr(made, name)) for name in config.FLAGS)
    path = tmp_path / "config.json"
    path.write_text(made.to_json())
    assert Config.from_file(path) == made


def test_fields_left_out_of_the_json_take_their_defaults() -> None:
    assert Config.from_dict({"l1": 0.5}) == Config(l1=0.5)


def test_an_unknown_field_is_refused_with_those_known() -> None:
    with pytest.raises(ConfigError, match=r"'lambda'.*l1, l2"):
        Config.from_dict({"lambda": 1.0})
    with pytest.raises(ConfigError, match=r"'learning-rate'.*; did you mean learning_rate\?$"):
        Config.from_dict({"learning-rate": 1.0})


def test_differences_name_what_makes_another_experiment() -> None:
    assert Config(l1=0.1, seed=3).differences(Config(l1=0.2)) == ["l1: 0.1, not 0.2", "seed: 3, not 0"]


def test_where_a_run_is_kept_is_no_difference() -> None:
    assert not Config().differences(Config(model_dir="x", data_dir="y", resume="must", keep=9, checkpoint_every=7))
    assert set(config.FLAGS) >= config.HANDLING_FIELDS


def test_every_handled_name_has_its_implementation() -> None:
    from reglab.core.models.dense import ACTIVATIONS
    from reglab.core.optimizers import make_optimizer

    assert tuple(ACTIVATIONS) == config.ACTIVATIONS
    for name in config.OPTIMIZERS:
        make_optimizer(name)
