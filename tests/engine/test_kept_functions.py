"""Functions kept on disk: same bits as traced ones, found by the next process, traced anew if anything differs."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config
from reglab.core.parameters import map_arrays
from reglab.data import load
from reglab.engine import kept_functions
from reglab.engine.assembly import make_training
from reglab.engine.kept_functions import KeptFunction, kept
from reglab.engine.replicas import traced
from reglab.engine.training import Training

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def at_exit(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> list[Any]:
    """Collects what would be stored at process exit, in a process that keeps its functions in `tmp_path`."""
    calls: list[Any] = []
    monkeypatch.setattr(kept_functions, "folder_in_use", lambda: tmp_path)
    monkeypatch.setattr(kept_functions, "is_whole_process", lambda: True)
    monkeypatch.setattr(kept_functions, "_results", {})
    monkeypatch.setattr(kept_functions, "source_digest", lambda: str(tmp_path))  # Names differ from other tests'.
    monkeypatch.setattr(kept_functions.atexit, "register", lambda function, *given: calls.append((function, given)))
    return calls


def finish(at_exit: list[Any]) -> int:
    """Simulates the end of the process; returns how many functions were traced in it."""
    count = len(at_exit)
    kept_functions._results.clear()
    while at_exit:
        function, given = at_exit.pop()
        function(*given)
    return count


def trained(config: Config) -> tuple[Training, list[np.ndarray]]:
    data = load("digits", train_size=64)
    training = make_training(dataclasses.replace(config, train_size=64, batch_size=16), data)
    calls = training.run(0, 0, 4)
    evaluation = training.evaluate("validation")
    numbers = [calls.data_losses, *calls.reports.values(), *evaluation.values(), *training.measure_weights().values()]
    return training, [np.asarray(number) for number in (*numbers, *tf.nest.flatten(training.weights()),
                                                        *map(np.asarray, tf.nest.flatten(training.state)))]


@pytest.mark.parametrize("fields", [
    {}, {"optimizer": "momentum", "schedule": "cosine", "clip_norm": 1.0}, {"precision": "float64", "jit": False},
    {"model": "cnn", "dropout": 0.5, "hidden": (4,), "jit": False}, {"l1": "logits=1e-2", "on_nonfinite": "skip"}])
def test_a_kept_function_gives_the_bits_of_a_traced_one(fields: dict[str, Any], at_exit: list[Any],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(**{"l1": 1e-3, "l2": 1e-3, "hidden": (16, 8), "summary_every": 2, **fields})
    _, first = trained(config)
    assert finish(at_exit) == 3  # run, evaluate and kernel_sums.
    _, second = trained(config)
    assert finish(at_exit) == 0
    monkeypatch.undo()
    training, plain = trained(config)
    assert not isinstance(training.program.run, KeptFunction)
    for one, other, without in zip(first, second, plain, strict=True):
        np.testing.assert_array_equal(one, without, strict=True)
        np.testing.assert_array_equal(other, without, strict=True)


@pytest.mark.parametrize("fields", [{"optimizer": "sgd"}, {"hidden": (16,)}, {"activation": "tanh"}, {"jit": False},
                                    {"epochs": 3, "schedule": "cosine"}, {"batch_size": 7}])
def test_what_would_be_another_graph_is_traced_anew(fields: dict[str, Any], at_exit: list[Any]) -> None:
    def ready(config: Config) -> None:
        training = make_training(dataclasses.replace(config, train_size=64), load("digits", train_size=64))
        training.program.run.get_concrete_function(*training._arguments(0, 0, 0))

    config = Config(hidden=(8,), jit=True)
    ready(config)
    assert finish(at_exit) == 1
    ready(dataclasses.replace(config, **fields))
    assert finish(at_exit) == 1
    ready(dataclasses.replace(config, l1=0.5, learning_rate=0.5, seed=3))
    assert finish(at_exit) == 0


def add(x: tf.Tensor, variables: dict[str, tf.Variable]) -> tuple[tf.Tensor, ...]:
    """Adds to both variables, one in a loop, and returns their old values; names are not in alphabetical order."""
    before = map_arrays(lambda variable: variable.read_value(), variables)
    tf.while_loop(lambda i: i < 2, lambda i: [i + 1 + 0 * tf.cast(variables["b"].assign_add(x), tf.int32)], [0])
    variables["a"].assign_add(10 * x)
    return before["b"], before["a"]


def variables() -> dict[str, tf.Variable]:
    return {"b": tf.Variable(1.0), "a": tf.Variable(2.0)}


@pytest.mark.parametrize("jit", [False, True])
def test_arguments_and_results_keep_their_places(jit: bool, at_exit: list[Any]) -> None:
    for times in range(2):
        function, held = kept(traced(add, jit), "add", jit), variables()
        results = function(np.float32(3), held)
        assert [float(result) for result in results] == [1, 2]
        assert (float(held["b"]), float(held["a"])) == (7, 32)
        assert finish(at_exit) == (1 if times == 0 else 0)


def test_other_types_of_arguments_are_another_function(at_exit: list[Any]) -> None:
    function = kept(traced(lambda x: (2 * x,)), "double")
    for argument in (tf.constant(1.0), tf.constant(1), tf.constant([1.0]), tf.Variable(1.0)):
        np.testing.assert_array_equal(function(argument)[0], 2 * argument)
    assert finish(at_exit) == 4


def test_other_source_or_determinism_is_another_function(at_exit: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def call() -> int:
        kept(traced(lambda x: (2 * x,)), "double")(tf.constant(1.0))
        return finish(at_exit)

    assert [call(), call()] == [1, 0]
    monkeypatch.setattr(kept_functions, "is_deterministic", lambda: True)
    assert [call(), call()] == [1, 0]
    monkeypatch.setattr(kept_functions, "source_digest", lambda: "edited")
    assert [call(), call()] == [1, 0]


def test_what_captures_or_returns_no_flat_tuple_is_not_kept(at_exit: list[Any]) -> None:
    held = tf.Variable(1.0)
    for function, expected in ((lambda x: (x + held,), (3.0,)), (lambda x: 3 * x, 6.0),
                               (lambda x: {"a": x}, {"a": 2.0})):
        results = kept(traced(function), "odd", repr(expected))(tf.constant(2.0))
        assert map_arrays(float, results) == expected
    assert finish(at_exit) == 0


def test_two_programs_of_one_process_share_a_function(at_exit: list[Any]) -> None:
    for _ in range(2):
        held = variables()
        kept(traced(add), "add")(np.float32(3), held)
        assert (float(held["b"]), float(held["a"])) == (7, 32)
    assert finish(at_exit) == 1


@pytest.mark.parametrize("damage", [b"", b"garbage"])
def test_a_damaged_entry_is_traced_anew(damage: bytes, at_exit: list[Any], tmp_path: pathlib.Path) -> None:
    kept(traced(lambda x: (2 * x,)), "double")(tf.constant(1.0))
    finish(at_exit)
    entry, = tmp_path.iterdir()
    entry.write_bytes(damage)
    assert float(kept(traced(lambda x: (2 * x,)), "double")(tf.constant(1.0))[0]) == 2
    assert finish(at_exit) == 1


def test_nothing_is_kept_where_others_code_may_run_or_there_is_no_folder(at_exit: list[Any],
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    function = traced(add)
    monkeypatch.setattr(kept_functions, "is_whole_process", lambda: False)
    assert kept(function, "add") is function
    monkeypatch.setattr(kept_functions, "is_whole_process", lambda: True)
    assert kept(function, object()) is function
    monkeypatch.setattr(kept_functions, "folder_in_use", lambda: None)
    assert kept(function, "add") is function


def test_a_command_traces_once_and_every_process_gets_the_same_bits(tmp_path: pathlib.Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    results = []
    for name in ("first", "second", "off"):
        more = ["--compile_cache=off"] if name == "off" else []
        subprocess.run([sys.executable, "-m", "reglab.train", "--train_size=64", "--epochs=2", "--hidden=8",
                        "--l1=1e-3", f"--model_dir={tmp_path / name}", *more],
                       check=True, capture_output=True, cwd=ROOT, env=environment)
        results.append([json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()])
        made = list((tmp_path / "cache").glob("reglab/*/*.function.*"))
        assert len(made) == 3
        assert len(list((tmp_path / "cache").glob("reglab/*/*.pb.*"))) == 1  # XLA finds its code under the same name.
    own = [[{tag: number for tag, number in line.items() if not tag.startswith("perf/")} for line in lines]
           for lines in results]
    assert own[0] == own[1] == own[2]
