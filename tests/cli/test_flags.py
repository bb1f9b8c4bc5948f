"""Every field of `Config` has its flag, and what cannot be used is said in one line."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest
from absl import flags as absl_flags

from reglab.cli import flags
from reglab.config import FLAGS, Config, ConfigError

# A value of every field that is not its default, as one gives it and as it arrives.
GIVEN: dict[str, tuple[str, Any]] = {
    "dataset": ("mnist", "mnist"), "data_dir": ("/data", "/data"), "train_size": ("100", 100),
    "label_noise": ("0.1", 0.1), "validation_split": ("0.25", 0.25), "data_seed": ("3", 3),
    "hidden": ("32,16,8", (32, 16, 8)), "activation": ("tanh", "tanh"), "l1": ("1e-3", 1e-3), "l2": ("2", 2.0),
    "penalize": ("hidden", "hidden"), "optimizer": ("momentum", "momentum"), "learning_rate": ("0.5", 0.5),
    "momentum": ("0.8", 0.8), "weight_decay": ("0", 0.0), "clip_norm": ("1", 1.0), "schedule": ("cosine", "cosine"),
    "warmup_steps": ("5", 5), "epochs": ("3", 3), "batch_size": ("64", 64), "seed": ("7", 7), "jit": ("false", False),
    "precision": ("float64", "float64"), "strategy": ("mirrored", "mirrored"), "num_devices": ("2", 2),
    "cpu_devices": ("2", 2), "rendezvous_timeout": ("9", 9.0), "model_dir": ("runs/a", "runs/a"),
    "resume": ("must", "must"), "checkpoint_every": ("50", 50), "keep": ("1", 1), "evaluate_every": ("2", 2),
    "summary_every": ("0", 0), "histograms": ("true", True), "on_nonfinite": ("skip", "skip"),
    "deterministic": ("true", True), "max_points": ("500", 500),
    "compile_cache": ("off", "off"), "model": ("cnn", "cnn"), "dropout": ("0.5", 0.5),
    "label_smoothing": ("0.1", 0.1), "ema": ("0.99", 0.99), "decay_factor": ("0.5", 0.5), "decay_every": ("2", 2),
    "decay_patience": ("4", 4), "patience": ("3", 3), "min_delta": ("0.01", 0.01), "name": ("first try", "first try"),
    "time_limit": ("1h30m", 5400.0), "profile": ("100:20", "100:20"), "proximal": ("true", True),
    "debias_epochs": ("2", 2),
    "standardize": ("true", True), "class_weights": ("balanced", "balanced"), "label_column": ("class", "class"),
    "drop_columns": ("id,name", "id,name"), "group_l1": ("0.1", 0.1), "groups": ("incoming", "incoming"),
    "test_split": ("0.25", 0.25),
}
NEEDED: dict[str, dict[str, Any]] = {"decay_factor": {"schedule": "step"}, "decay_every": {"schedule": "step"},
                                     "decay_patience": {"schedule": "plateau"}, "min_delta": {"patience": 3},
                                     "debias_epochs": {"proximal": True},
                                     "label_column": {"dataset": "a.csv"}, "drop_columns": {"dataset": "a.csv"}}
FIELDS = {*FLAGS}


def refusal(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        flags.parse(list(argv))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_table_above_has_every_field() -> None:
    assert set(GIVEN) == FIELDS
    assert all(getattr(Config(), name) != value for name, (_, value) in GIVEN.items())


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_every_field_has_a_flag_of_its_name(name: str) -> None:
    text, value = GIVEN[name]
    needed = NEEDED.get(name, {})
    parsed = flags.parse([f"--{name}={text}", *(f"--{other}={given}" for other, given in needed.items())]).config
    assert parsed == Config(**needed, **{name: value})
    assert type(getattr(parsed, name)) is type(value)


def test_there_is_no_other_flag() -> None:
    shown = set(re.findall(r"^  --(\w+)", flags.help_text("reglab.train", "Purpose."), re.MULTILINE))
    assert shown == FIELDS | {"config_file", "flagfile", "json", "help", "version"}


def test_without_flags_it_is_the_default() -> None:
    assert flags.parse([]) == flags.CommandLine(Config(), json=False, help=False)


def test_other_spellings() -> None:
    assert flags.parse(["--nojit", "--l1", "0.5", "-seed=3", "--json", "--histograms"]) == flags.CommandLine(
        Config(jit=False, l1=0.5, seed=3, histograms=True), json=True, help=False)
    assert flags.parse(["--help"]).help and flags.parse(["-h"]).help
    assert flags.parse(["--l1=1", "--l1=2"]).config.l1 == 2


@pytest.mark.parametrize("text", ["", ",", " "])
def test_no_hidden_layers_are_softmax_regression(text: str) -> None:
    assert flags.parse([f"--hidden={text}"]).config.hidden == ()


def test_parsing_leaves_no_trace() -> None:
    flags.parse(["--l1=0.5"])
    assert flags.parse([]).config.l1 == 0
    assert "l1" not in absl_flags.FLAGS


@pytest.mark.parametrize(("argv", "said"), [
    (["--lr=1"], "lr"), (["--penalty=1"], "penalty"), (["--l1"], "l1"), (["--l1=abc"], "--l1=abc"),
    (["--epochs=1.5"], "--epochs=1.5"), (["--epochs=1e3"], "--epochs=1e3"), (["--jit=maybe"], "--jit=maybe"),
    (["--hidden=a"], "--hidden=a"), (["--hidden=1.5"], "--hidden=1.5"), (["--hidden=8,0"], "--hidden=8,0"),
    (["--l1=-1"], "--l1=-1"), (["--l2=nan"], "--l2=nan"), (["--l1=inf"], "--l1=inf"), (["--batch_size=0"], "--batch_s"),
    (["--optimizer=lion"], "lion"), (["digits"], "unexpected argument 'digits'"), (["--", "x"], "unexpected argument"),
    (["--l1=1", "5"], "unexpected argument '5'"), (["--seed=\n"], "--seed"), (["--dataset=imagenet"], "imagenet"),
])
def test_what_cannot_be_used_is_named(argv: list[str], said: str) -> None:
    assert said in refusal(*argv)


# Files.

def test_a_configuration_file_is_replayed(tmp_path: pathlib.Path) -> None:
    apart = {"weight_decay", "ema", "label_column", "drop_columns", "decay_factor", "decay_every",
             "decay_patience", "debias_epochs"}  # Not with others.
    whole = Config(**{name: value for name, (_, value) in GIVEN.items() if name not in apart})
    path = tmp_path / "config.json"
    path.write_text(whole.to_json())
    assert flags.parse([f"--config_file={path}"]).config == whole


def test_flags_override_the_configuration_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(Config(l1=0.5, hidden=(8,), jit=False, seed=3).to_json())
    expected = Config(l1=0.0, hidden=(), jit=True, seed=3)
    assert flags.parse([f"--config_file={path}", "--l1=0", "--hidden=", "--jit"]).config == expected
    assert flags.parse(["--l1=0", "--hidden=", "--jit", f"--config_file={path}"]).config == expected


def test_what_does_not_fit_together_with_the_file_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(Config(optimizer="adamw", weight_decay=0.1).to_json())
    assert refusal(f"--config_file={path}", "--optimizer=adam").startswith("--weight_decay=0.1")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"lr": 1}', '{"l1": -1}', '{"l1": NaN}', '{"epochs": "3"}', "\xff"])
def test_a_bad_configuration_file_is_refused(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    refusal(f"--config_file={tmp_path / 'config.json'}")


def test_a_missing_configuration_file_is_refused(tmp_path: pathlib.Path) -> None:
    assert "cannot be read" in refusal(f"--config_file={tmp_path / 'missing.json'}")
    assert "cannot be read" in refusal(f"--config_file={tmp_path}")


def test_a_flagfile_holds_flags(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "flags.txt"
    path.write_text("# The experiment.\n--l1=0.5\n\n--hidden=8\n--nojit\n")
    assert flags.parse([f"--flagfile={path}", "--l1=0.25"]).config == Config(l1=0.25, hidden=(8,), jit=False)


def test_a_bad_flagfile_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "flags.txt"
    assert "flagfile" in refusal(f"--flagfile={path}")
    refusal(f"--flagfile={tmp_path}")
    path.write_text("--lr=1\n")
    assert "lr" in refusal(f"--flagfile={path}")
    path.write_bytes(b"\xff\xfe--l1=1")
    refusal(f"--flagfile={path}")


def test_flag_files_may_hold_flag_files(tmp_path: pathlib.Path) -> None:
    (tmp_path / "inner").write_text("--l1=0.5\n")
    (tmp_path / "outer").write_text(f"--flagfile={tmp_path / 'inner'}\n--l2=0.25\n")
    assert flags.parse([f"--flagfile={tmp_path / 'outer'}"]).config == Config(l1=0.5, l2=0.25)
    assert flags.parse(["--flagfile", str(tmp_path / "inner")]).config == Config(l1=0.5)
    assert flags.parse(["--seed=1", "--flagfile="]).config == Config(seed=1)


def test_flag_files_without_end_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "flags"
    for text, said in ((f"--flagfile={path}", "includes itself"), ("--l1=1\n" * 20_000, "more than 10,000 flags"),
                       (" " * 2**21, "2,097,152 bytes"), ("\xff", "UTF-8")):
        path.write_text(text, encoding="latin-1")
        assert said in refusal(f"--flagfile={path}")
    for i in range(20):
        (tmp_path / f"{i}").write_text(f"--flagfile={tmp_path / str(i + 1)}\n" * 2)
    assert "nested more than 8 deep" in refusal(f"--flagfile={tmp_path / '0'}")
    assert "pipe or device" in refusal("--flagfile=/dev/zero")
    assert "more than 10,000 arguments" in refusal(*["--l1=1"] * 10_001)


# Help.

@pytest.mark.parametrize("name", sorted(FIELDS))
def test_help_tells_every_default(name: str) -> None:
    (entry,) = re.findall(rf"^  --{name} (.*(?:\n {{20}}.*)*)", flags.help_text("reglab.train", ""), re.MULTILINE)
    default = re.search(r"Default: (.*)\.$", " ".join(entry.split()))
    value = getattr(Config(), name)
    assert (default is None) == (value is None)
    if default is not None:
        assert flags.parse([f"--{name}={default[1]}"]).config == Config()


def test_help_fits_a_terminal_and_names_the_command() -> None:
    lines = flags.help_text("reglab.train", "The purpose.").splitlines()
    assert lines[0] == "usage: python -m reglab.train [--flag=value ...]"
    assert "The purpose." in lines
    assert max(map(len, lines)) <= 100


def test_flag_files_that_name_each_other_are_no_bomb(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(1, 7):
        (tmp_path / f"{number}.flags").write_text(f"--flagfile={number + 1}.flags\n" * 400)
    (tmp_path / "7.flags").write_text("# no flag\n" * 1000)
    assert "at most 100 flag files" in refusal("--flagfile=1.flags")
    (tmp_path / "large.flags").write_text("#" * 600_000)
    assert "1,048,576 bytes together" in refusal("--flagfile=large.flags", "--flagfile=large.flags")
