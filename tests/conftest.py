"""What the tests share: a quiet TensorFlow, a small data set, factories of steps and trainings, Keras in float64.

The factories are fixtures, so that tests which need no TensorFlow do not import it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pathlib
import shutil
import signal
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# The processes that tests start share the code they compile, and leave the user's own alone.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="reglab-tests-")
# A shell's background job ignores Ctrl-C and what nohup starts ignores SIGHUP, and so would every process that a test
# starts and interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reglab.data import Dataset, Examples
from reglab.inputs.spelling import spelled_as_flags

if TYPE_CHECKING:
    from reglab.core.step import Step
    from reglab.engine.training import Training

FEATURES, CLASSES = 6, 3
# The files that take longest, longest first: begun last, one of them would have the other processes wait for it.
BEGUN_FIRST = ("certify/test_exactness", "test_cluster_training", "slurm/test_slurm", "engine/test_training",
               "lab/test_devices", "sweep/test_sweep", "run/test_nonfinite", "test_train", "test_stranger_source",
               "engine/test_replicas", "core/test_cnn", "lab/test_lane_blowups", "test_stranger_model",
               "benchmark/test_command", "test_parity")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Processes for `-n auto`: one a core, but no more than four, as each takes 1 GB."""
    return min(os.cpu_count() or 1, 4)


def pytest_configure(config: pytest.Config) -> None:
    """Has pytest-xdist, where it is there, hand files out in their order, and not those of many tests first.

    Messages are as commands print them; `tests/inputs/test_spelling.py` has those of Python.
    """
    config.option.loadscopereorder = False
    stack = contextlib.ExitStack()
    stack.enter_context(spelled_as_flags())
    config.add_cleanup(stack.close)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first."""
    places = {f"tests/{name}.py": place for place, name in enumerate(BEGUN_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_unconfigure() -> None:
    """Removes what the tests compiled."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


def pytest_collection_finish() -> None:
    """What was imported by now stays to the end: no collection of garbage needs to look at it again."""
    gc.collect()
    gc.freeze()


def made_dataset(train: int = 53, validation: int = 20, seed: int = 0) -> Dataset:
    """Gaussian examples whose labels a linear rule and some noise decide. 53 is no multiple of any batch size."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(train + validation, FEATURES)).astype(np.float32)
    scores = x @ rng.normal(size=(FEATURES, CLASSES)) + 0.5 * rng.normal(size=(len(x), CLASSES))
    y = scores.argmax(1).astype(np.int32)
    return Dataset("made", Examples(x[:train], y[:train]), Examples(x[train:], y[train:]), CLASSES, (FEATURES,), 1.0)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """53 training and 20 validation examples, 6 features, 3 classes, divisor 1."""
    return made_dataset()


@pytest.fixture(scope="session")
def make_step() -> Callable[..., Step]:
    """`make_step(penalize=…, optimizer=…, …)`: a `Step` of a tanh network 6-5-4-3 in float64, by default SGD."""
    import tensorflow as tf

    from reglab.core.models.mlp import MLP
    from reglab.core.optimizers import make_optimizer
    from reglab.core.schedules import scheduled
    from reglab.core.step import Step
    from reglab.engine.assembly import make_terms

    def make(*, hidden: tuple[int, ...] = (5, 4), activation: str = "tanh", penalize: str = "all",
             optimizer: Any = "sgd", schedule: str = "constant", warmup_steps: int = 0, total_steps: int = 100,
             clip_norm: float | None = None, features: int = FEATURES, classes: int = CLASSES,
             dtype: Any = tf.float64) -> Step:
        model = MLP((features,), hidden, classes, activation=activation, dtype=dtype)
        rule = make_optimizer(optimizer) if isinstance(optimizer, str) else optimizer
        return Step(model, make_terms(model, [penalize]), rule,
                    lambda rate, step: scheduled(rate, step, schedule=schedule, warmup_steps=warmup_steps,
                                                 total_steps=total_steps), clip_norm)
    return make


@pytest.fixture(scope="session")
def make_training(make_step: Callable[..., Step]) -> Callable[..., Training]:
    """`make_training(dataset, l1=…, seed=…, …)`: a `Training`; sequences for l1, l2, learning_rate and seed are lanes.

    Further names go to `make_step`, unless `step` is given.
    """
    import tensorflow as tf

    from reglab.core.step import Hyperparameters, stack_lanes
    from reglab.engine.program import Program
    from reglab.engine.sources.arrays import ArraySource
    from reglab.engine.training import Training

    def make(dataset: Dataset, *, l1: float | Sequence[float] = 0.0, l2: float | Sequence[float] = 0.0,
             learning_rate: float | Sequence[float] = 0.125, seed: int | Sequence[int] = 0, batch_size: int = 8,
             summary_every: int = 0, jit: bool = False, step: Step | None = None, **of_step: Any) -> Training:
        step = step or make_step(**of_step)
        given = (l1, l2, learning_rate, seed)
        lanes = next((len(values) for values in given if isinstance(values, Sequence)), None)

        def lane(i: int) -> tuple[Any, Hyperparameters]:
            strength1, strength2, rate, chance = (v[i] if isinstance(v, Sequence) else v for v in given)
            weights = step.model.initialize(int(chance))
            dtype = weights.parameters["logits"]["kernel"].dtype
            strengths = {term.name: tf.fill([len(term.layers)], tf.constant(strength, dtype))
                         for term, strength in zip(step.terms, (strength1, strength2), strict=True)}
            return weights, Hyperparameters(strengths, tf.constant(rate, dtype))

        made = [lane(i) for i in range(lanes or 1)]
        weights, hyper = made[0] if lanes is None else stack_lanes(made)
        source = ArraySource(dataset, batch_size, hyper.learning_rate.dtype)
        program = Program(step, source.layout, summary_every=summary_every, lanes=lanes, jit=jit)
        return Training(program, weights, hyper, source)
    return make


@pytest.fixture(scope="module")
def shared_compilation() -> Iterator[None]:
    """Runs of the module that differ only in what a compiled program takes as an input share one.

    For modules that ask what a run leaves and how it goes on, not how it is compiled: tracing took most of their time.
    """
    from reglab.engine.sharing import shared_programs

    with shared_programs():
        yield


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps, paths and evaluations draw nothing: for tests that ask for numbers, as pictures take longer."""
    from reglab.evaluate import evaluating
    from reglab.lab import plots
    from reglab.sweep import outputs

    def nothing(*arguments: Any) -> None:
        del arguments

    monkeypatch.setattr(outputs, "sweep_pictures", nothing)
    monkeypatch.setattr(plots, "path_picture", nothing)
    for name in ("confusion_picture", "calibration_picture"):
        monkeypatch.setattr(evaluating, name, nothing)


@pytest.fixture(scope="session")
def report_of() -> Callable[..., dict[str, float]]:
    """`report_of(step, state, batch, hyper)`: the report of one step on one device, TensorBoard tag to number."""
    from reglab.core.measurement import Reporter
    from reglab.core.parameters import map_arrays

    def report(step: Step, state: Any, batch: Any, hyper: Any) -> dict[str, float]:
        parameters = state["parameters"]
        data, gradients, _ = step.data_gradient(parameters, batch)
        measured = step.measure(state, data, step.accuracy(parameters, batch), gradients, hyper)
        reporter = Reporter.of(step, {name: strength.numpy() for name, strength in hyper.strengths.items()})
        tags = reporter.of_step(map_arrays(lambda number: number.numpy(), measured))
        return {tag: float(value) for tag, value in tags.items()}
    return report


@pytest.fixture
def keras64() -> Iterator[Any]:
    """Keras with float64 for everything: data, weights, losses, metrics and learning rates."""
    import keras

    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield keras
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.fixture(scope="session")
def read_events() -> Callable[[pathlib.Path], dict[str, list[tuple[int, Any]]]]:
    """`read_events(folder)`: tag to its (step, value) points in all event files of a TensorBoard run, in order."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    def read(folder: pathlib.Path) -> dict[str, list[tuple[int, Any]]]:
        accumulator = EventAccumulator(str(folder), {"tensors": 0}).Reload()
        return {tag: [(event.step, make_ndarray(event.tensor_proto)) for event in accumulator.Tensors(tag)]
                for tag in accumulator.Tags()["tensors"]}
    return read


@pytest.fixture(scope="session")
def tree() -> Callable[[pathlib.Path], dict[str, bytes | None]]:
    """`tree(folder)`: every path below it, with the contents of the files: what must stay when nothing is written."""
    def read(folder: pathlib.Path) -> dict[str, bytes | None]:
        return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
                for path in sorted(folder.rglob("*"))}
    return read
