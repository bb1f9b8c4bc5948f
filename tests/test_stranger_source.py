"""A stranger's source: a generator of batches trains to the weights of the same examples in memory, to the bit.

And so do a kill and a resumption on the way, and two replicas; lanes are refused.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import reglab
from reglab.compare.experiment import compare
from reglab.config import Config, ConfigError
from reglab.core.step import Batch
from reglab.data import Dataset, Stream, epoch_order, from_arrays
from reglab.engine.sources import streams
from reglab.engine.sources.base import Layout, Share, Source
from reglab.lab.grid import Grid
from reglab.run.loop import History, Interrupted, fit
from reglab.sweep.experiment import sweep

pytestmark = pytest.mark.usefixtures("shared_compilation")

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = Config(hidden=(5,), batch_size=8, epochs=3, l1=1e-3, l2=1e-3, learning_rate=0.02, summary_every=3)


def generator_of(dataset: Dataset, sizes: tuple[int, ...] = (8,), **told: Any) -> Stream:
    """The examples of a data set in the order that a run on it has, in parts of these sizes in turn."""
    def parts(x: Any, y: Any) -> Iterator[tuple[Any, Any]]:
        first, k = 0, 0
        while first < len(y):
            size = sizes[k % len(sizes)]
            yield x[first:first + size].reshape(-1, *dataset.input_shape), y[first:first + size]
            first, k = first + size, k + 1

    def train(epoch: int) -> Iterator[tuple[Any, Any]]:
        order = epoch_order(0, epoch, len(dataset.train))
        return parts(dataset.train.x[order], dataset.train.y[order])

    facts = {"classes": dataset.classes, "input_shape": dataset.input_shape, "divisor": dataset.divisor,
             "dtype": dataset.train.x.dtype.name}
    return Stream("stranger", train, lambda: parts(dataset.validation.x, dataset.validation.y), len(dataset.train),
                  len(dataset.validation), **{**facts, **told})


def images() -> Dataset:
    """Of uint8, so divided by 255, with two axes."""
    rng = np.random.default_rng(0)
    return from_arrays(rng.integers(0, 256, (53, 4, 3)).astype(np.uint8), rng.integers(0, 3, 53),
                       rng.integers(0, 256, (20, 4, 3)).astype(np.uint8), rng.integers(0, 3, 20))


def assert_same(ours: History, theirs: History) -> None:
    """The weights to the bit; the evaluations, whose sums have other parts, but for rounding."""
    np.testing.assert_equal(ours.parameters, theirs.parameters)
    assert [one.step for one in ours.evaluations] == [one.step for one in theirs.evaluations]
    for mine, other in zip(ours.evaluations, theirs.evaluations, strict=True):
        for split in ("train", "validation"):
            assert getattr(mine, split) == pytest.approx(getattr(other, split), rel=1e-6)
        assert mine.weights == other.weights


@pytest.mark.parametrize("make", [images, None])
@pytest.mark.parametrize(("fields", "sizes", "room"), [
    ({}, (8,), streams.FEED_BYTES), ({"jit": False, "hidden": ()}, (8,), 1),
    ({"precision": "float64", "hidden": ()}, (1, 13, 4), 1000),
    ({"precision": "bfloat16", "optimizer": "momentum", "hidden": ()}, (53,), 1),
    ({"on_nonfinite": "skip", "hidden": ()}, (3,), 1)])
def test_a_generator_trains_as_its_examples_in_memory(dataset: Dataset, make: Callable[[], Dataset] | None,
                                                      fields: dict[str, Any], sizes: tuple[int, ...], room: int,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FEED_BYTES", room)
    data, config = make() if make else dataset, dataclasses.replace(CONFIG, **fields)
    assert_same(fit(config, generator_of(data, sizes)), fit(config, data))


def test_it_is_stopped_and_goes_on_to_the_same_bits(tmp_path: pathlib.Path, dataset: Dataset,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """Within an epoch, at its end, and within one feed of several batches."""
    whole = fit(CONFIG, dataset)
    monkeypatch.setattr(streams, "FEED_BYTES", 3 * 8 * 7 * 4)
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path / "run"))
    for stop in (2, 7, 12):
        with pytest.raises(Interrupted):
            fit(config, generator_of(dataset), until=stop)
    history = fit(config, generator_of(dataset, (5,)))
    assert history.result["resumed_from"] == 12
    np.testing.assert_equal(history.parameters, whole.parameters)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [step for step in steps if step % 3 == 0 and step < 21] == [*range(0, 21, 3)]
    assert json.loads((tmp_path / "run/data.json").read_text())["description"].startswith("stranger: 53 training and")
    with pytest.raises(ConfigError, match="data"):
        fit(config, generator_of(dataset, version="2"))


def test_what_went_wrong_is_looked_for_in_a_stream_too(dataset: Dataset) -> None:
    config = dataclasses.replace(CONFIG, optimizer="sgd", learning_rate=1e38, jit=False)
    with pytest.raises(reglab.Diverged, match=r"first not finite: the (weights|gradient) of .* step \d") as ours:
        fit(config, generator_of(dataset))
    with pytest.raises(reglab.Diverged) as theirs:
        fit(config, dataset)
    assert str(ours.value) == str(theirs.value)


REPLICAS = """
import dataclasses, json, sys
from reglab.engine.startup import quiet_tensorflow
quiet_tensorflow(whole_process=True)
sys.path.insert(0, "tests")
from conftest import made_dataset
from test_stranger_source import CONFIG, fit, generator_of
import numpy as np
config = dataclasses.replace(CONFIG, strategy="mirrored", cpu_devices=2, precision="float64", batch_size=9, hidden=())
runs = [fit(config, data).parameters for data in (made_dataset(), generator_of(made_dataset()))]
runs.append(fit(dataclasses.replace(config, strategy="one_device"), made_dataset()).parameters)
flat = [np.concatenate([a.ravel() for arrays in run.values() for a in arrays.values()]) for run in runs]
print(json.dumps([float(np.abs(flat[1] - other).max()) for other in (flat[0], flat[2])]))
"""


def test_replicas_share_its_batches() -> None:
    done = subprocess.run([sys.executable, "-c", REPLICAS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    of_replicas, of_one = json.loads(done.stdout)
    assert of_replicas == 0 and of_one <= 1e-12


def test_lanes_do_without(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    said = "^stranger brings its batches one after the other, and lanes share arrays .* reglab.fit, or give [^\n]*$"
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path / "sweep"))
    with pytest.raises(ConfigError, match=said):
        sweep(config, Grid(l1=(0.0, 0.1)), data=generator_of(dataset))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=said):
        compare(CONFIG, 2, generator_of(dataset))  # type: ignore[arg-type]


@pytest.mark.parametrize(("told", "said"), [
    ({"train_size": 60}, "stranger: train epoch 0 brought 53 examples, not the 60 that were told"),
    ({"train_size": 50}, "stranger: train epoch 0 brought 53 examples, not the 50 that were told"),
    ({"validation_size": 19}, "stranger: validation epoch 0 brought 20 examples, not the 19")])
def test_a_generator_that_brings_other_than_was_told_is_named(dataset: Dataset, told: dict[str, Any],
                                                              said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fit(dataclasses.replace(CONFIG, epochs=1, jit=False), dataclasses.replace(generator_of(dataset), **told))


# One that is written from the ground up: noise that is drawn on the device, so that no two epochs have the same inputs.

@dataclasses.dataclass(frozen=True)
class NoiseLayout(Layout):
    def batch(self, resident: Any, feed: Any, i: tf.Tensor, share: Share) -> Batch:
        x, y, divisor = resident
        start, epoch = feed
        part = share.of(i)
        places = start + part.positions
        noise = tf.random.stateless_normal([share.size, x.shape[1]], tf.stack([epoch, i]), 0, 0.1)
        noise = tf.where(epoch < 0, tf.zeros_like(noise), noise)
        return self._batch_of(tf.gather(x, places) + noise, tf.gather(y, places), divisor, part)


class Noise(Source):
    def __init__(self, dataset: Dataset, batch_size: int) -> None:
        self.about: Dataset = dataset
        self.layout = NoiseLayout(**dataset.sizes, batch_size=batch_size, input_shape=dataset.input_shape,
                                  classes=dataset.classes, dtype=tf.float32)

    def resident(self, device: str | None) -> Any:
        both = self.about.train, self.about.validation
        return (tf.constant(np.concatenate([split.x for split in both])),
                tf.constant(np.concatenate([split.y for split in both])), tf.constant(1.0))

    def feed(self, split: str, epoch: int | None, first: int, count: int) -> Any:
        start = 0 if split == "train" else self.layout.train
        return np.int32(start), np.int32(-1 if epoch is None else epoch)


def test_a_source_from_the_ground_up(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    whole = fit(CONFIG, Noise(dataset, 8))
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path / "run"))
    with pytest.raises(Interrupted):
        fit(config, Noise(dataset, 8), until=10)
    np.testing.assert_equal(fit(config, Noise(dataset, 8)).parameters, whole.parameters)
    assert whole.evaluations[-1].train["data_loss"] < whole.evaluations[0].train["data_loss"]
    assert not np.array_equal(whole.parameters["logits"]["kernel"], fit(CONFIG, dataset).parameters["logits"]["kernel"])
    with pytest.raises(ConfigError, match="^made has batches of 9 examples in float32, and --batch_size=8 --precision="
                                          "float32 needs 8 in float32: make a source of these$"):
        fit(CONFIG, Noise(dataset, 9))
