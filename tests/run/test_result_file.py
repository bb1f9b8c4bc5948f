"""`result.json`: believed where it is whole and of the last checkpoint."""

from __future__ import annotations

import copy
import hashlib
import json
import pathlib
from typing import Any

import pytest

from reglab.config import Config
from reglab.run.result_file import read_result, wrong_field

SPLIT = {"data_loss": 0.5, "l1": 0.25, "l2": 0.5, "penalty": 0.75, "total": 1.25, "accuracy": 0.875}
RESULT: dict[str, Any] = {
    "completed": True, "epochs": 10, "steps": 7, "train": SPLIT,
    "validation": {**SPLIT, "data_loss": 1.0, "total": 1.75},
    "gap": {"data_loss": 0.5, "accuracy": 0.0}, "sparsity": 0.1, "sparsity_threshold": 1e-3,
    "weights": {"penalty/total": 0.75, "sparsity/total": 0.1}, "best": {"step": 7, "epoch": 1, "data_loss": 1.0,
                                                                        "accuracy": 0.875},
    "seconds": 1.5, "steps_per_second": 0.0, "examples_per_second": 0.0, "resumed_from": 0, "model_dir": "runs/a",
    "penalized_kernels": ["logits"], "dataset": "made", "device": "CPU", "precision": "float32",
    "strategy": {"name": "one_device"}, "xla": None, "versions": {}, "numerics": {}}


def read(path: pathlib.Path, content: Any, step: int = 7, digest: str | None = None) -> tuple[Any, list[str]]:
    path = path / "result.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    warnings: list[str] = []
    return read_result(path, Config(), step, digest, warnings.append), warnings


def test_a_whole_result_is_believed(tmp_path: pathlib.Path) -> None:
    assert read(tmp_path, RESULT) == (RESULT, [])
    assert read(tmp_path, {**RESULT, "more": [1]}) == ({**RESULT, "more": [1]}, [])
    digest = hashlib.sha256((tmp_path / "result.json").read_bytes()).hexdigest()
    assert read(tmp_path, {**RESULT, "more": [1]}, digest=digest) == ({**RESULT, "more": [1]}, [])


def test_one_of_another_step_does_not_end_a_run(tmp_path: pathlib.Path) -> None:
    assert read(tmp_path, RESULT, step=5) == (None, [])


def test_where_there_is_none_a_run_is_not_complete(tmp_path: pathlib.Path) -> None:
    warnings: list[str] = []
    assert read_result(tmp_path / "result.json", Config(), 7, None, warnings.append) is None
    assert warnings == []
    assert read_result(tmp_path / "result.json", Config(), 7, "0" * 64, warnings.append) is None
    assert warnings == ["result.json is missing: written again from the checkpoint"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"completed": true}', "[" * 100_000,
                                  '{"completed": false, "steps": 7}', '{"steps": NaN}', '{"steps": 1' + "0" * 5000])
def test_what_is_no_result_is_named(tmp_path: pathlib.Path, text: str) -> None:
    result, (warning,) = read(tmp_path, text)
    assert result is None and warning.startswith("result.json ") and warning.endswith("again from the checkpoint")


@pytest.mark.parametrize("value", [None, -1, "x", [], {}, True, 10**400, {"data_loss": "low"}])
@pytest.mark.parametrize("name", RESULT)
def test_every_field_is_checked(name: str, value: Any) -> None:
    changed = {**RESULT, name: value}
    # What these values may be: objects of any content, numbers of any sign.
    fits = (name in ("best", "xla") and value is None or name == "completed" and value is True
            or name in ("strategy", "versions", "numerics") and isinstance(value, dict)
            or name == "penalized_kernels" and value == []
            or name in ("model_dir", "dataset", "device", "precision", "xla") and value == "x")
    assert wrong_field(changed) == (None if fits else name)
    del changed[name]
    assert wrong_field(changed) == name


@pytest.mark.parametrize("name", ["train", "validation", "gap"])
def test_the_sums_must_be_right(name: str) -> None:
    changed = copy.deepcopy(RESULT)
    changed[name]["data_loss"] += 1e-6
    assert wrong_field(changed) in (name, "gap")


def test_a_result_that_was_changed_is_not_believed(tmp_path: pathlib.Path) -> None:
    result, (warning,) = read(tmp_path, RESULT, digest="0" * 64)
    assert result is None and warning.startswith("result.json is not as the run wrote it")
