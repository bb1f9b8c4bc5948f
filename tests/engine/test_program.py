"""One program for many trainings: what they share, what they do not, and the number of compilations."""

from __future__ import annotations

import concurrent.futures
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.core.optimizers import Adam
from reglab.core.parameters import map_arrays
from reglab.data import Dataset
from reglab.engine.sources.arrays import ArraySource
from reglab.engine.training import Training

ROOT = pathlib.Path(__file__).parents[2]
BATCH = 8


def three_epochs(training: Training) -> list[np.ndarray]:
    """Returns everything that training changed, and the data losses along the way."""
    losses = [training.run(epoch, 0, training.steps_per_epoch).data_losses for epoch in range(3)]
    return [*losses, *(variable.numpy() for variable in tf.nest.flatten(training.state))]


def begun(like: Training, dataset: Dataset, seed: int, factor: float) -> Training:
    """Returns a training of the same program with other weights, strengths and order."""
    source = ArraySource(dataset, BATCH, tf.float64, seed)
    hyper = map_arrays(lambda value: factor * value, like.hyper)
    return Training(like.program, like.program.step.model.initialize(seed), hyper, source)


@pytest.mark.parametrize("jit", [True, False])
def test_trainings_of_one_program_know_nothing_of_each_other(dataset: Dataset, make_training: Callable[..., Training],
                                                             jit: bool) -> None:
    """Run at the same time in threads, or one after another, they give the same bits, tracing each function once."""
    like = make_training(dataset, l1=0.01, l2=0.02, batch_size=BATCH, summary_every=3, optimizer=Adam(), jit=jit)
    settings = [(seed, factor) for seed in range(3) for factor in (0.5, 1.0)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        together = list(pool.map(three_epochs, [begun(like, dataset, *chosen) for chosen in settings]))
    apart = [three_epochs(begun(like, dataset, *chosen)) for chosen in settings]
    for ours, theirs in zip(together, apart, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len({losses[0] for losses, *_ in apart}) == 3, "the first losses differ by seed"
    assert len({last.tobytes() for _, _, last, *_ in apart}) == 6, "the last ones by strength too"
    assert like.program.run.experimental_get_tracing_count() == 1


def test_a_program_serves_one_layout(dataset: Dataset, make_training: Callable[..., Any]) -> None:
    training = make_training(dataset, batch_size=BATCH)
    with pytest.raises(AssertionError, match="sources of one layout"):
        training.use_data(ArraySource(dataset, BATCH + 1, tf.float64))


TWO_RUNS = """
from reglab.engine.startup import quiet_tensorflow
tf = quiet_tensorflow(whole_process=True)
import numpy as np
from reglab.engine.assembly import make_terms
from reglab.data import Dataset, Examples
from reglab.core.models.mlp import MLP
from reglab.core.optimizers import make_optimizer
from reglab.core.parameters import map_arrays
from reglab.engine.program import Program
from reglab.engine.sources.arrays import ArraySource
from reglab.engine.training import Training
from reglab.core.step import Hyperparameters, Step

rng = np.random.default_rng(0)
train, validation = (Examples(rng.normal(size=(n, 6)).astype(np.float32), rng.integers(0, 3, n).astype(np.int32))
                     for n in (53, 20))
model = MLP((6,), (), 3)
step = Step(model, make_terms(model, ["all"]), make_optimizer("adam"), lambda rate, step: rate)
hyper = Hyperparameters({"l1": tf.fill([1], 0.01), "l2": tf.fill([1], 0.02)}, tf.constant(0.01))
for batch_size in (8, 9):
    source = ArraySource(Dataset("made", train, validation, 3, (6,), 1.0), batch_size, tf.float32)
    program = Program(step, source.layout, summary_every=3)
    trainings = [Training(program, model.initialize(seed), hyper, source) for seed in range(2)]
    for epoch in range(4):
        for training in trainings:
            training.hyper = map_arrays(lambda value: value / (1 + epoch), hyper)
            last = training.steps_per_epoch - epoch - 1
            for first, count in ((0, epoch + 1), (epoch + 1, last - 1), (epoch + last, 1)):
                training.run(epoch, first, count)
            training.evaluate("train"), training.evaluate("validation"), training.measure_weights()
    assert training.steps_taken == 4 * training.steps_per_epoch
"""


def test_xla_compiles_each_program_once(tmp_path: pathlib.Path) -> None:
    """XLA dumps every module it compiles: two programs give two modules, which also shows that the count can rise."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2",
                   "XLA_FLAGS": f"--xla_dump_to={tmp_path}"}
    subprocess.run([sys.executable, "-c", TWO_RUNS], env=environment, check=True, capture_output=True)
    compiled = [path.name for path in tmp_path.glob("*before_optimizations.txt")]
    assert len(compiled) == 2, compiled
