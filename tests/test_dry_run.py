"""`--dry_run`: what would be done, in words and as JSON, and nothing on disk."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from reglab.compare.__main__ import main as compare
from reglab.inputs import exit_codes
from reglab.sweep.__main__ import main as sweep
from reglab.train import main as train

SMALL = ["--hidden=4", "--train_size=200", "--batch_size=64", "--epochs=3", "--nojit"]


@pytest.fixture
def dry(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        tree: Callable[..., Any]) -> Callable[..., tuple[dict[str, Any], str]]:
    """`dry(main, *argv)`: the JSON and the text of a dry run, which leaves the folder as it is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(main: Callable[[list[str]], int], *argv: str) -> tuple[dict[str, Any], str]:
        before = tree(tmp_path)
        assert main([*SMALL, *argv, "--dry_run", "--json"]) == exit_codes.SUCCESS
        assert tree(tmp_path) == before
        out, err = capsys.readouterr()
        return json.loads(out), err
    return run


def test_of_a_run_it_tells_what_the_run_then_does(dry: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    told, text = dry(train, "--l1=dense_0=1e-3", "--model_dir=run", "--evaluate_every=2", "--name=first")
    assert all(part in text for part in ("Name", "4 steps an epoch", "Dry run: nothing was trained"))
    assert (told["steps"], told["steps_per_epoch"], told["begins_at_step"], told["evaluations"]) == (12, 4, 0, 2)
    assert told["penalized"] == {"dense_0": {"l1": 1e-3}} and told["compiled"] is None
    item, size = 4, 64 * 4 + 4 + 4 * 10 + 10
    assert told["memory"]["parameters"] == item * size and told["memory"]["slots"] == 2 * item * size
    argv = [*SMALL, "--l1=dense_0=1e-3", "--evaluate_every=2", "--model_dir=run", "--compile_cache=off", "--json"]
    assert train(argv) == exit_codes.SUCCESS
    result = json.loads(capsys.readouterr().out)
    assert (result["steps"], result["sizes"]) == (told["steps"], told["sizes"])
    again, _ = dry(train, "--l1=dense_0=1e-3", "--model_dir=run", "--evaluate_every=2")
    assert again["begins_at_step"] == 12


def test_of_lanes_it_tells_how_many_and_how(dry: Callable[..., Any]) -> None:
    told, _ = dry(compare, "--l1=1e-3", "--l2=1e-3", "--seeds=2", "--vary=order")
    assert (told["lanes"], told["lanes_together"], told["lane_steps"]) == (8, 4, 96)
    told, text = dry(sweep, "--l1=0,1e-3,1e-2", "--seeds=2", "--folds=3", "--lanes_per_call=4")
    assert (told["lanes"], told["calls"], len(told["points"])) == (18, 6, 3)
    assert told["steps"] == 3 * 6  # Two of three folds of 560 examples.
    told, text = dry(sweep, "--path", "--l1=1e-4,1e-3")
    assert told["command"] == "path" and "at most" in text


@pytest.mark.parametrize(("main", "argv", "said"), [
    (train, ["--dataset=cifar10", "--data_dir=nowhere"], "nowhere"), (train, ["--batch_size=500"], "--batch_size=500"),
    (sweep, ["--l1=0,1e-3", "--profile=1:2"], "--profile: it traces the steps of one run"),
    (compare, ["--l1=1e-3", "--time_limit=5m"], "--time_limit: a comparison keeps nothing until it is done")])
def test_what_would_be_refused_is_refused(main: Callable[[list[str]], int], argv: list[str], said: str,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, *argv, "--dry_run"]) == exit_codes.BAD_INPUT
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
