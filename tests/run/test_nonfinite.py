"""`--on_nonfinite`: against NumPy, the same however a run is interrupted, and told where and how often."""

from __future__ import annotations

import dataclasses
import json
import math
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.data import Dataset, Examples, epoch_order
from reglab.engine import pace
from reglab.run.checkpoints.checkpoint import Checkpoints
from reglab.run.loop import Diverged, History, Interrupted, fit

pytestmark = pytest.mark.usefixtures("shared_compilation")

# 53 examples in batches of 8: 7 steps an epoch, 28 in all.
CONFIG = Config(hidden=(4,), batch_size=8, epochs=4, l1=0.01, l2=0.02, optimizer="sgd", learning_rate=0.1,
                summary_every=3, jit=False, precision="float64", activation="tanh")
BAD = 17  # The example that is not finite.


class Heard(Console):
    """Notes the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def poisoned(dataset: Dataset) -> Dataset:
    """One training example of which a feature is NaN."""
    return with_example(dataset, math.nan)


def with_example(dataset: Dataset, value: float, dtype: Any = np.float32) -> Dataset:
    x = dataset.train.x.astype(dtype)
    x[BAD, 2] = value
    return dataclasses.replace(dataset, train=Examples(x, dataset.train.y))


def steep(dataset: Dataset) -> Dataset:
    """Gradients that are large, and finite."""
    return dataclasses.replace(dataset, train=Examples(1000 * dataset.train.x, dataset.train.y))


def numpy_descent(dataset: Dataset, config: Config) -> tuple[dict[str, np.ndarray], list[int]]:
    """SGD with penalties and clipping by hand, that leaves out what is not finite; the weights and the steps left out.

    Softmax regression: there is no hidden layer.
    """
    from reglab.core.models.mlp import MLP
    start = MLP((6,), (), 3, activation="tanh", dtype=tf.float64).initialize(config.seed).parameters["logits"]
    w, b = start["kernel"].numpy(), start["bias"].numpy()
    x, y, left_out, step = dataset.train.x.astype(np.float64), dataset.train.y, [], 0
    for epoch in range(config.epochs):
        order = epoch_order(0, epoch, len(y))
        for ids in np.split(order, range(config.batch_size, len(y), config.batch_size)):
            logits = x[ids] @ w + b
            p = np.exp(logits - logits.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            data = -np.log(p[np.arange(len(ids)), y[ids]]).mean()
            p[np.arange(len(ids)), y[ids]] -= 1
            dw = x[ids].T @ p / len(ids) + config.l1 * np.sign(w) + 2 * config.l2 * w
            db = p.mean(0)
            norm = np.sqrt((dw ** 2).sum() + (db ** 2).sum())
            if np.isfinite(data) and np.isfinite(norm):
                scale = 1 if config.clip_norm is None else config.clip_norm / max(norm, config.clip_norm)
                w, b = w - config.learning_rate * scale * dw, b - config.learning_rate * scale * db
            else:
                left_out.append(step)
            step += 1
    return {"kernel": w, "bias": b}, left_out


def of_run(folder: pathlib.Path) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Every array of the newest checkpoint, and the metrics without what the clock decides."""
    step = max(int(path.stem.split("-")[1]) for path in (folder / "checkpoints").glob("ckpt-*.index"))
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{step}"))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return ({name: np.asarray(reader.get_tensor(name)).tobytes() for name in reader.get_variable_to_shape_map()
             if "OBJECT_GRAPH" not in name},
            [{tag: value for tag, value in line.items() if not tag.startswith("perf/")} for line in lines])


def calls_of(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr(pace.Pace, "affordable_steps", property(lambda self: steps))


# Skip.

@pytest.mark.parametrize("clip_norm", [None, 0.25])
@pytest.mark.parametrize("jit", [False, True])
def test_skip_is_what_numpy_does(poisoned: Dataset, clip_norm: float | None, jit: bool) -> None:
    config = dataclasses.replace(CONFIG, hidden=(), on_nonfinite="skip", clip_norm=clip_norm, jit=jit)
    expected, left_out = numpy_descent(poisoned, config)
    heard = Heard()
    history = fit(config, poisoned, console=heard)
    assert len(left_out) == 4  # Once an epoch.
    for name, array in expected.items():
        np.testing.assert_allclose(history.parameters["logits"][name], array, rtol=1e-12, atol=1e-14)
    assert history.result["nonfinite"] == {"on_nonfinite": "skip", "left_out": 4, "restores": 0}
    assert len(heard.warnings) == 1
    assert heard.warnings[0].startswith(f"the update of step {left_out[0]} is left out (first not finite: the gradient "
                                        f"of logits at step {left_out[0]}")


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "momentum", "adamw"])
def test_a_skipped_update_leaves_weights_and_slots_alone(dataset: Dataset, precision: str, optimizer: str) -> None:
    """The runs on both data sets are the same until the bad batch, and stand still there."""
    from reglab.engine.assembly import make_training
    config = dataclasses.replace(CONFIG, precision=precision, optimizer=optimizer, on_nonfinite="skip", clip_norm=1.0,
                                 schedule="cosine", warmup_steps=2)
    data = with_example(dataset, math.inf)
    order = epoch_order(0, 0, 53)
    bad = int(np.flatnonzero(order == BAD)[0]) // 8
    training, other = make_training(config, data), make_training(config, dataset)
    losses = training.run(0, 0, bad + 1).data_losses
    other.run(0, 0, bad)
    assert np.isnan(losses[bad]) and np.isfinite(losses[:bad]).all()
    assert int(training.state.pop("step")) == int(other.state.pop("step")) + 1  # type: ignore[misc]
    for mine, theirs in zip(tf.nest.flatten(training.state), tf.nest.flatten(other.state), strict=True):
        assert mine.numpy().tobytes() == theirs.numpy().tobytes()


def test_a_norm_that_overflows_is_not_finite(dataset: Dataset) -> None:
    """In float32, with every entry of the gradient finite: Adam's slots would become infinite, clipping zero."""
    config = dataclasses.replace(CONFIG, precision="float32", hidden=(), optimizer="adam", on_nonfinite="skip")
    history = fit(config, with_example(dataset, 1e25))
    assert history.result["nonfinite"]["left_out"] >= 1  # At times the example is right, and its gradient 0.
    assert all(np.isfinite(array).all() for array in history.parameters["logits"].values())


@pytest.mark.parametrize("on_nonfinite", ["skip", "restore"])
def test_where_all_is_finite_nothing_changes(tmp_path: pathlib.Path, dataset: Dataset, on_nonfinite: str) -> None:
    runs = {}
    for mode in ("stop", on_nonfinite):
        config = dataclasses.replace(CONFIG, on_nonfinite=mode, model_dir=str(tmp_path / mode))
        assert fit(config, dataset).result["nonfinite"]["left_out"] == 0
        arrays, lines = of_run(tmp_path / mode)
        arrays.pop("nonfinite/.ATTRIBUTES/VARIABLE_VALUE", None)
        assert all(line.pop("updates/left_out", 0.0) == 0.0 for line in lines)
        runs[mode] = arrays, lines
    assert runs["stop"] == runs[on_nonfinite]


def test_the_count_is_written_at_every_evaluation(tmp_path: pathlib.Path, poisoned: Dataset,
                                                  read_events: Callable[..., Any]) -> None:
    fit(dataclasses.replace(CONFIG, on_nonfinite="skip", model_dir=str(tmp_path)), poisoned)
    points = read_events(tmp_path / "train")["updates/left_out"]
    assert [(step, float(value)) for step, value in points] == [(7, 1), (14, 2), (21, 3), (28, 4)]
    lines = of_run(tmp_path)[1]
    evaluations = [line for line in lines if line["split"] == "validation"]
    assert all(line["epoch/data_loss"] is not None and line["generalization/data_loss_gap"] is None
               for line in evaluations)
    assert json.loads((tmp_path / "checkpoints" / "best" / "best.json").read_text())["data_loss"] > 0


def test_an_epoch_without_a_finite_update_is_the_end(dataset: Dataset) -> None:
    data = dataclasses.replace(dataset, train=Examples(np.full_like(dataset.train.x, np.nan), dataset.train.y))
    with pytest.raises(Diverged, match=r"not finite at step 6, as in a whole epoch before it: .*the gradient of "
                                       r"dense_0 and 1 more at step 7") as caught:
        fit(dataclasses.replace(CONFIG, on_nonfinite="skip"), data)
    assert caught.value.step == 6


def test_weights_that_overflow_cannot_be_skipped(dataset: Dataset) -> None:
    """The gradient was finite, the update was not."""
    config = dataclasses.replace(CONFIG, precision="float32", learning_rate=3e38, on_nonfinite="skip", hidden=(),
                                 batch_size=53)
    with pytest.raises(Diverged, match="the weights of logits before step"):
        fit(config, steep(dataset))


# Restore.

def restored(folder: pathlib.Path, data: Dataset, **fields: Any) -> tuple[History, Heard]:
    heard = Heard()
    config = dataclasses.replace(CONFIG, on_nonfinite="restore", model_dir=str(folder), **fields)
    return fit(config, data, console=heard), heard


def test_restore_goes_back_to_the_last_checkpoint(tmp_path: pathlib.Path, poisoned: Dataset, dataset: Dataset) -> None:
    """By hand: updates of each epoch before the bad batch, that batch's own too, are taken back."""
    from reglab.engine.assembly import make_training
    history, heard = restored(tmp_path, poisoned)
    training = make_training(CONFIG, dataset)  # On clean data: the bad batch is never taken.
    left_out = 0
    for epoch in range(4):
        order = epoch_order(0, epoch, 53)
        after = int(np.flatnonzero(order == BAD)[0]) // 8 + 1
        training.state["step"].assign(7 * epoch + after)
        left_out += after
        if after < 7:
            training.run(epoch, after, 7 - after)
    np.testing.assert_equal(history.parameters, training.parameters())
    assert history.result["nonfinite"] == {"on_nonfinite": "restore", "left_out": left_out, "restores": 4}
    assert history.result["steps"] == 28
    assert "back to the initial weights" in heard.warnings[0]
    assert "back to the checkpoint of step 7; the" in heard.warnings[1]


@pytest.mark.parametrize("steps", [1, 3])
def test_the_size_of_calls_changes_nothing(tmp_path: pathlib.Path, poisoned: Dataset, steps: int,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    for mode in ("skip", "restore"):
        config = dataclasses.replace(CONFIG, on_nonfinite=mode, checkpoint_every=5)
        fit(dataclasses.replace(config, model_dir=str(tmp_path / mode / "a")), poisoned)
        calls_of(monkeypatch, steps)
        fit(dataclasses.replace(config, model_dir=str(tmp_path / mode / "b")), poisoned)
        monkeypatch.undo()
        assert of_run(tmp_path / mode / "a") == of_run(tmp_path / mode / "b")


@pytest.mark.parametrize("mode", ["skip", "restore"])
@pytest.mark.parametrize("keep", [1, 3])
def test_however_it_is_interrupted_the_bits_are_the_same(tmp_path: pathlib.Path, poisoned: Dataset, mode: str,
                                                         keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(CONFIG, on_nonfinite=mode, checkpoint_every=5, keep=keep, optimizer="adam")
    whole = fit(dataclasses.replace(config, model_dir=str(tmp_path / "whole")), poisoned)
    calls_of(monkeypatch, 2)
    parts = dataclasses.replace(config, model_dir=str(tmp_path / "parts"))
    stops = [1, 3, 4, 8, 9, 13, 16, 17, 18, 19, 22, 27]
    for stop in stops:
        with pytest.raises(Interrupted):
            fit(parts, poisoned, until=stop)
    history = fit(parts, poisoned)
    assert of_run(tmp_path / "whole") == of_run(tmp_path / "parts")
    assert history.result["nonfinite"] == whole.result["nonfinite"]
    assert whole.result["nonfinite"]["left_out"] >= 4


def test_a_damaged_checkpoint_is_passed_over_on_the_way_back(tmp_path: pathlib.Path, poisoned: Dataset,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    real, back_to = Checkpoints.go_back, []

    def damaging(self: Checkpoints, warn: Callable[[str], None]) -> int:
        self.wait()
        *_, before, newest = [0, 0, *(step for step in self.steps() if step % 2 == 0)]
        if before and not back_to:
            (tmp_path / "checkpoints" / f"ckpt-{newest}.index").write_bytes(b"nothing")
            back_to.append(before)
        return real(self, warn)

    monkeypatch.setattr(Checkpoints, "go_back", damaging)
    _, heard = restored(tmp_path, poisoned, checkpoint_every=2)
    damaged = next(at for at, text in enumerate(heard.warnings) if "is damaged and passed over" in text)
    assert f"back to the checkpoint of step {back_to[0]};" in heard.warnings[damaged + 1]


def test_it_goes_back_to_the_same_checkpoint_only_so_often(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    data = dataclasses.replace(dataset, train=Examples(np.full_like(dataset.train.x, np.nan), dataset.train.y))
    with pytest.raises(Diverged, match="at step 3, and the run went back to its last checkpoint 3 times") as e:
        restored(tmp_path, data)
    assert e.value.step == 3


def test_weights_that_the_last_update_broke_are_restored_before_they_are_saved(tmp_path: pathlib.Path,
                                                                               dataset: Dataset) -> None:
    history, heard = restored(tmp_path, steep(dataset), precision="float32", learning_rate=3e38, epochs=1,
                              hidden=(), batch_size=53)
    assert "back to the initial weights" in heard.warnings[0]
    assert all(np.isfinite(array).all() for arrays in history.parameters.values() for array in arrays.values())


def test_restore_needs_checkpoints(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="--on_nonfinite=restore goes back to checkpoints"):
        fit(dataclasses.replace(CONFIG, on_nonfinite="restore"), dataset)


# From one to another.

@pytest.mark.parametrize("mode", ["skip", "restore"])
def test_a_run_that_diverged_goes_on_with_another_flag(tmp_path: pathlib.Path, poisoned: Dataset, mode: str) -> None:
    config = dataclasses.replace(CONFIG, checkpoint_every=1, model_dir=str(tmp_path / "run"))
    with pytest.raises(Diverged, match="--on_nonfinite=skip or restore goes on"):
        fit(config, poisoned)
    fit(dataclasses.replace(config, on_nonfinite=mode), poisoned)
    fit(dataclasses.replace(config, on_nonfinite=mode, model_dir=str(tmp_path / "new")), poisoned)
    assert of_run(tmp_path / "run")[0] == of_run(tmp_path / "new")[0]


def test_what_was_left_out_is_not_forgotten_by_a_change_back(tmp_path: pathlib.Path, poisoned: Dataset) -> None:
    fit(dataclasses.replace(CONFIG, on_nonfinite="skip", model_dir=str(tmp_path)), poisoned)
    with pytest.raises(ConfigError, match="on_nonfinite: 'stop', not 'skip'"):
        fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path)), poisoned)


def test_a_checkpoint_of_stop_has_left_nothing_out(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path))
    with pytest.raises(Interrupted):
        fit(config, dataset, until=9)
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    history = fit(dataclasses.replace(config, on_nonfinite="skip"), dataset)
    assert history.result["nonfinite"]["left_out"] == 0 and history.result["resumed_from"] == 9
