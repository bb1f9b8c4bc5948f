"""A training's calls against steps taken by hand, NumPy and scikit-learn, and the number of its compilations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from reglab.core.optimizers import SGD, Adam
from reglab.core.parameters import map_arrays
from reglab.core.step import Batch, Hyperparameters, State, Step, initial_state
from reglab.data import Dataset, Examples, epoch_order, steps_per_epoch
from reglab.engine.sources import arrays as array_sources
from reglab.engine.training import Calls, Training

MakeTraining = Callable[..., Training]
ReportOf = Callable[..., dict[str, float]]
BATCH = 8  # 53 training examples: 7 steps per epoch, the last with 5 real examples.


def run_chunks(training: Training, chunks: list[int]) -> list[Calls]:
    """Makes calls of the given numbers of steps, split at the end of an epoch, as a training loop would."""
    calls = []
    for chunk in chunks:
        while chunk:
            epoch, first = divmod(training.steps_taken, training.steps_per_epoch)
            count = min(chunk, training.steps_per_epoch - first)
            calls.append(training.run(epoch, first, count))
            chunk -= count
    return calls


def arrays(training: Training) -> list[np.ndarray]:
    """Returns everything that training changed: parameters, slots and step."""
    return [variable.numpy() for variable in tf.nest.flatten(training.state)]


def data_losses(calls: list[Calls]) -> np.ndarray:
    return np.concatenate([call.data_losses for call in calls])


def report_steps(calls: list[Calls]) -> list[int]:
    return [int(at) for call in calls for at in call.report_steps]


def reports(calls: list[Calls]) -> dict[str, np.ndarray]:
    measured = [call.reports for call in calls if call.reports]
    return {tag: np.concatenate([report[tag] for report in measured]) for tag in measured[0]} if measured else {}


def assert_near(first: list[np.ndarray], second: list[np.ndarray], atol: float = 1e-12) -> None:
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


def assert_equal(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


# Against steps taken by hand, one at a time.

class ByHand:
    """The steps of one lane, without a loop, padding, gathering or compilation.

    Attributes:
      measured: the report of each step, before its update.
    """

    def __init__(self, step: Step, hyper: Hyperparameters, dataset: Dataset, steps: int, report_of: ReportOf) -> None:
        self.state: State = initial_state(step, step.model.initialize(0))
        self.measured: list[dict[str, float]] = []
        per_epoch = steps_per_epoch(len(dataset.train), BATCH)
        for at in range(steps):
            epoch, i = divmod(at, per_epoch)
            examples = dataset.train.take(epoch_order(0, epoch, len(dataset.train))[i * BATCH:(i + 1) * BATCH])
            batch = Batch(tf.constant(examples.x.astype(np.float64) / dataset.divisor), tf.constant(examples.y),
                          tf.ones([len(examples)], tf.float64), tf.constant(len(examples), tf.float64))
            self.measured.append(report_of(step, self.state, batch, hyper))
            _, gradients, _ = step.data_gradient(self.state["parameters"], batch)
            self.state = step.update(self.state, gradients, hyper)


STRENGTHS = {"l1": 0.01, "l2": 0.02}
HARD = {"optimizer": Adam(), "schedule": "cosine", "warmup_steps": 5, "total_steps": 30, "clip_norm": 0.5}


@pytest.fixture(scope="module")
def by_hand(dataset: Dataset, make_training: MakeTraining, report_of: ReportOf) -> ByHand:
    """Takes 21 steps, which are three epochs."""
    training = make_training(dataset, **STRENGTHS, **HARD)
    return ByHand(training.program.step, training.hyper, dataset, 21, report_of)


@pytest.mark.parametrize(("every", "chunks", "jit"), [
    (3, [2, 9, 10], True), (1, [5, 16], False), (3, [2, 9, 10], False), (10, [4, 1, 16], False),
    (7, [21], False), (50, [21], False)])
def test_reports_are_the_measurements_of_their_global_steps(dataset: Dataset, make_training: MakeTraining,
                                                            by_hand: ByHand, every: int, chunks: list[int],
                                                            jit: bool) -> None:
    training = make_training(dataset, batch_size=BATCH, summary_every=every, jit=jit, **STRENGTHS, **HARD)
    calls = run_chunks(training, chunks)
    assert report_steps(calls) == list(range(0, 21, every))
    np.testing.assert_allclose(data_losses(calls), [report["train_batch/data_loss"] for report in by_hand.measured],
                               atol=1e-12)
    for tag, values in reports(calls).items():
        expected = [by_hand.measured[at][tag] for at in report_steps(calls)]
        np.testing.assert_allclose(values, expected, atol=1e-12, err_msg=tag)
    assert set(reports(calls)) == set(by_hand.measured[0])
    assert_near(arrays(training), [array.numpy() for array in tf.nest.flatten(by_hand.state)])


# What is counted does not depend on the network, and the one without a hidden layer compiles in a third of the time.

@pytest.fixture(scope="module", params=[False, True], ids=["graph", "xla"])
def unmeasured(request: pytest.FixtureRequest, dataset: Dataset,
               make_training: MakeTraining) -> tuple[bool, list[Calls], list[np.ndarray]]:
    """Whether by XLA, nine steps of which none is measured, and what they come to."""
    training = make_training(dataset, batch_size=BATCH, summary_every=0, jit=request.param, hidden=())
    calls = run_chunks(training, [9])
    return request.param, calls, arrays(training)


def test_summary_every_0_measures_nothing(unmeasured: tuple[bool, list[Calls], list[np.ndarray]]) -> None:
    _, calls, _ = unmeasured
    assert report_steps(calls) == []
    assert all(call.reports == {} for call in calls)
    assert len(data_losses(calls)) == 9


@pytest.mark.parametrize("every", [2**31 - 1, 2**31, 2**40, 10**30])
def test_the_interval_may_be_beyond_int32(dataset: Dataset, make_training: MakeTraining, every: int,
                                          unmeasured: tuple[bool, list[Calls], list[np.ndarray]]) -> None:
    jit, _, ends = unmeasured
    training = make_training(dataset, batch_size=BATCH, summary_every=every, jit=jit, hidden=())
    calls = run_chunks(training, [9])
    assert report_steps(calls) == [0]
    assert_near(arrays(training), ends)


@pytest.mark.parametrize("start", [2**24 - 3, 2**31 - 3, 2**31, 2**53 - 4])
def test_steps_are_counted_and_measured_exactly_far_out(dataset: Dataset, make_training: MakeTraining,
                                                        start: int) -> None:
    """The state has already taken `start` steps, at 7 per epoch; measured steps are multiples of 3."""
    start -= start % 7
    training = make_training(dataset, batch_size=BATCH, summary_every=3, jit=True, optimizer="adam", schedule="cosine",
                             total_steps=start + 14, hidden=())
    training.state["step"].assign(start)
    calls = run_chunks(training, [5, 9])
    assert training.steps_taken == start + 14
    assert report_steps(calls) == [step for step in range(start, start + 14) if step % 3 == 0]
    measured = reports(calls)["learning_rate"]
    expected = [0.125 * (1 + np.cos(np.pi * step / (start + 14))) / 2 for step in report_steps(calls)]
    np.testing.assert_allclose(measured, expected, atol=0.125 * 2.3e-16, rtol=1e-15)


@pytest.mark.parametrize(("every", "jit"), [(3, True), (3, False), (0, False)])
def test_a_call_of_no_steps_does_nothing(dataset: Dataset, make_training: MakeTraining, every: int, jit: bool) -> None:
    training = make_training(dataset, batch_size=BATCH, summary_every=every, jit=jit, optimizer="adam", hidden=())
    before = arrays(training)
    call = training.run(0, 0, 0)
    assert (len(call.data_losses), len(call.report_steps), call.reports) == (0, 0, {})
    assert_equal(before, arrays(training))


@pytest.mark.parametrize("jit", [False, True])
def test_preparing_compiles_all_and_changes_nothing(dataset: Dataset, make_training: MakeTraining, jit: bool) -> None:
    prepared, other = (make_training(dataset, l1=0.01, optimizer="adam", summary_every=3, jit=jit, hidden=())
                       for _ in range(2))
    prepared.prepare()
    assert_near(arrays(prepared), arrays(other), atol=0)
    assert data_losses(run_chunks(prepared, [9])).tolist() == data_losses(run_chunks(other, [9])).tolist()
    assert_near(arrays(prepared), arrays(other), atol=0)
    for function in (prepared.program.run, prepared.program.evaluate, prepared.program.kernel_sums):
        assert function.experimental_get_tracing_count() == 1


def test_what_fails_in_compilation_is_raised_by_the_first_run(dataset: Dataset, make_training: MakeTraining,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    training = make_training(dataset)
    run = training.program.run

    def fail(*arguments: Any) -> None:
        raise tf.errors.InternalError(None, None, "no room")

    fail.get_concrete_function = run.get_concrete_function  # type: ignore[attr-defined]
    monkeypatch.setattr(training.program, "run", fail)
    training.prepare()
    with pytest.raises(tf.errors.InternalError, match="no room"):
        run_chunks(training, [1])


def test_measuring_does_not_change_the_training(dataset: Dataset, make_training: MakeTraining) -> None:
    ends = []
    for every in (0, 1, 4, 100):
        training = make_training(dataset, batch_size=BATCH, summary_every=every, learning_rate=0.01, optimizer="adam",
                                 hidden=(), **STRENGTHS)
        run_chunks(training, [20])
        ends.append(arrays(training))
    for end in ends[1:]:
        assert_near(end, ends[0])


def test_the_cuts_between_calls_change_no_bit(dataset: Dataset, make_training: MakeTraining) -> None:
    training = make_training(dataset, learning_rate=0.01, batch_size=BATCH, summary_every=3, jit=True, optimizer="adam",
                           dtype=tf.float32, **STRENGTHS)
    start, ends, losses = map_arrays(lambda variable: variable.numpy(), training.state), [], []
    for chunks in ([20], [7, 13], [1] * 20, [3, 5, 2, 10]):
        map_arrays(lambda variable, value: variable.assign(value), training.state, start)
        losses.append(data_losses(run_chunks(training, chunks)))
        ends.append(arrays(training))
    for end, loss in zip(ends[1:], losses[1:], strict=True):
        assert_equal(end, ends[0])
        np.testing.assert_array_equal(loss, losses[0])


def test_xla_changes_only_the_last_bits(dataset: Dataset, make_training: MakeTraining) -> None:
    ends = []
    for jit in (True, False):
        training = make_training(dataset, l1=0.01, l2=0.02, learning_rate=0.01, batch_size=BATCH, jit=jit,
                               optimizer=SGD(momentum=0.9))
        calls = run_chunks(training, [30])
        ends.append([*arrays(training), data_losses(calls)])
    assert_near(ends[0], ends[1])


def test_a_batch_larger_than_the_training_set_is_that_set(dataset: Dataset, make_training: MakeTraining) -> None:
    exact, larger = (make_training(dataset, l2=0.02, batch_size=size) for size in (53, 64))
    assert exact.steps_per_epoch == larger.steps_per_epoch == 1
    for training in (exact, larger):
        run_chunks(training, [5])
    assert_near(arrays(exact), arrays(larger))


def test_an_epoch_visits_every_example_once(make_training: MakeTraining, make_step: Callable[..., Step]) -> None:
    """With gradient descent on a linear loss, the weights move by the sum of the examples that were seen."""
    class Counting(Step):
        def data_gradient(self, parameters: Any, batch: Batch, *_: Any) -> tuple[tf.Tensor, Any, Any]:
            seen = tf.reduce_sum(batch.weights[:, None] * batch.x, 0)
            return tf.constant(0.0, tf.float64), {"logits": {"kernel": -seen[:, None] * tf.ones([1, 2], tf.float64),
                                                             "bias": tf.zeros([2], tf.float64)}}, {}

    like = make_step(hidden=(), features=53, classes=2)
    marks = Examples(np.eye(53, dtype=np.float32), np.zeros(53, np.int32))
    training = make_training(Dataset("marks", marks, marks.take(np.arange(2)), 2, (53,), 1.0), learning_rate=1.0,
                           step=Counting(like.model, like.terms, like.optimizer, like.schedule),
                           batch_size=BATCH, jit=True)
    before = training.state["parameters"]["logits"]["kernel"].numpy()
    run_chunks(training, [7])
    np.testing.assert_allclose(training.state["parameters"]["logits"]["kernel"].numpy() - before, 1, atol=1e-14)


# Inputs.

class Copying(Step):
    """A step whose gradient is its negated input: at rate 1, from 0, the kernel becomes what the model sees."""

    def data_gradient(self, parameters: Any, batch: Batch, *_: Any) -> tuple[tf.Tensor, Any, Any]:
        gradient = {"logits": {"kernel": -batch.x, "bias": tf.zeros([16], batch.x.dtype)}}
        return tf.zeros([], batch.x.dtype), gradient, {}


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("divisor", [255.0, 16.0])
def test_bytes_are_divided_exactly(make_training: MakeTraining, make_step: Callable[..., Step], jit: bool, dtype: Any,
                                   divisor: float) -> None:
    values = Examples(np.arange(256, dtype=np.uint8).reshape(16, 16), np.zeros(16, np.int32))
    like = make_step(hidden=(), features=16, classes=16, dtype=tf.as_dtype(dtype))
    step = Copying(like.model, like.terms, like.optimizer, like.schedule)
    training = make_training(Dataset("bytes", values, values.take(np.arange(1)), 16, (16,), divisor), step=step,
                           learning_rate=1.0, batch_size=16, jit=jit)
    kernel = training.state["parameters"]["logits"]["kernel"]
    kernel.assign(tf.zeros_like(kernel))
    training.run(0, 0, 1)
    assert kernel.numpy().dtype == dtype
    np.testing.assert_array_equal(kernel.numpy(), values.x[epoch_order(0, 0, 16)].astype(dtype) / dtype(divisor))


# Evaluation.

def numpy_scores(training: Training, examples: Examples, divisor: float) -> dict[str, float]:
    x = examples.x.astype(np.float64) / divisor
    for layer in training.program.step.model.dense_layers:
        of_layer = training.state["parameters"][layer]
        x = x @ of_layer["kernel"].numpy() + of_layer["bias"].numpy()
        x = x if layer == "logits" else np.tanh(x)
    losses = np.log(np.exp(x).sum(1)) - x[np.arange(len(x)), examples.y]
    return {"data_loss": losses.mean(), "accuracy": np.mean(x.argmax(1) == examples.y)}


@pytest.mark.parametrize("evaluation_batch", [1000, 128, 1])
def test_evaluation_counts_every_example_once(make_training: MakeTraining, monkeypatch: pytest.MonkeyPatch,
                                              evaluation_batch: int) -> None:
    if evaluation_batch != 1000:
        monkeypatch.setattr(array_sources, "EVALUATION_BATCH", evaluation_batch)
    assert evaluation_batch == array_sources.EVALUATION_BATCH
    rng = np.random.default_rng(0)
    train, validation = (Examples(rng.integers(0, 256, (n, 6)).astype(np.uint8), rng.integers(0, 3, n).astype(np.int32))
                         for n in (1797, 131))
    training = make_training(Dataset("made", train, validation, 3, (6,), 255.0), l1=10.0, l2=10.0, batch_size=32)
    for split, examples in (("train", train), ("validation", validation)):
        found, expected = training.evaluate(split), numpy_scores(training, examples, 255.0)
        assert found.keys() == expected.keys()
        np.testing.assert_allclose(found["data_loss"], expected["data_loss"], rtol=1e-12)
        assert found["accuracy"] == expected["accuracy"]


def test_evaluation_sees_the_weights_as_they_are_now(dataset: Dataset, make_training: MakeTraining) -> None:
    training = make_training(dataset, batch_size=BATCH)
    before = training.evaluate("validation")
    run_chunks(training, [20])
    after = training.evaluate("validation")
    expected = numpy_scores(training, dataset.validation, 1.0)["data_loss"]
    np.testing.assert_allclose(after["data_loss"], expected, rtol=1e-12)
    assert after["data_loss"] < before["data_loss"]


def test_measuring_sees_the_weights_as_they_are_now(dataset: Dataset, make_training: MakeTraining) -> None:
    training = make_training(dataset, l1=0.25, l2=0.5, batch_size=BATCH)
    for _ in range(2):
        run_chunks(training, [4])
        w = training.state["parameters"]["dense_1"]["kernel"].numpy()
        report = training.measure_weights()
        np.testing.assert_allclose(report["penalty/dense_1/l1"], 0.25 * np.abs(w).sum(), rtol=1e-12)
        np.testing.assert_allclose(report["penalty/dense_1/l2"], 0.5 * np.square(w).sum(), rtol=1e-12)


# Lanes.

LANES = {"l1": (0.0, 0.01, 0.03), "l2": (0.02, 0.0, 0.1), "learning_rate": (0.01, 0.03, 0.001), "seed": (3, 3, 8)}


@pytest.mark.parametrize(("optimizer", "jit"), [("adam", True), ("momentum", False)])
def test_lanes_are_the_single_runs_side_by_side(dataset: Dataset, make_training: MakeTraining, optimizer: str,
                                                jit: bool) -> None:
    """Alone they are run without XLA, which changes as little."""
    settings: dict[str, Any] = HARD | {"optimizer": optimizer, "batch_size": BATCH, "summary_every": 4}
    together = make_training(dataset, **LANES, jit=jit, **settings)
    calls, alone = run_chunks(together, [5, 10]), make_training(dataset, **settings)
    scores = {split: together.evaluate(split) for split in ("train", "validation")}
    measured_weights = together.measure_weights()
    for i, seed in enumerate(LANES["seed"]):
        map_arrays(lambda variable, value: variable.assign(value), alone.state,
                   initial_state(alone.program.step, alone.program.step.model.initialize(int(seed))))
        alone.hyper = map_arrays(lambda value, i=i: value[i], together.hyper)
        single = run_chunks(alone, [5, 10])
        assert_near([array if array.ndim == 0 else array[i] for array in arrays(together)], arrays(alone), 1e-10)
        np.testing.assert_allclose(data_losses(calls)[:, i], data_losses(single), atol=1e-10)
        assert report_steps(calls) == report_steps(single) == [0, 4, 8, 12]
        measured = reports(calls)
        assert measured.keys() == reports(single).keys()
        for tag, values in reports(single).items():
            np.testing.assert_allclose(measured[tag][:, i], values, atol=1e-10, err_msg=tag)
        for split, score in scores.items():
            for name, value in alone.evaluate(split).items():
                np.testing.assert_allclose(score[name][i], value, atol=1e-10)
        for tag, value in alone.measure_weights().items():
            np.testing.assert_allclose(measured_weights[tag][i], value, atol=1e-10, err_msg=tag)


def test_one_lane_in_a_set_of_one_is_the_run_without_lanes(dataset: Dataset, make_training: MakeTraining) -> None:
    one, none = make_training(dataset, l1=[0.01], batch_size=BATCH), make_training(dataset, l1=0.01, batch_size=BATCH)
    losses = [data_losses(run_chunks(training, [9])) for training in (one, none)]
    assert losses[0].shape == (9, 1)
    np.testing.assert_allclose(losses[0][:, 0], losses[1], atol=1e-12)


# One compilation.

def test_a_run_is_traced_once_whatever_changes(dataset: Dataset, make_training: MakeTraining) -> None:
    training = make_training(dataset, l1=0.01, batch_size=BATCH, summary_every=2, jit=True, hidden=())
    for change in (1.0, 0.5, 0.0):
        training.hyper = map_arrays(lambda value, change=change: value * change, training.hyper)
        run_chunks(training, [7, 5, 1, 3])
        training.evaluate("train")
        training.evaluate("validation")
        training.measure_weights()
    traced = (training.program.run, training.program.evaluate, training.program.kernel_sums)
    assert [function.experimental_get_tracing_count() for function in traced] == [1, 1, 1]


def test_changed_hyperparameters_take_effect(dataset: Dataset, make_training: MakeTraining) -> None:
    """The result is as if a training with the new ones had started there: the compiled function retains nothing old."""
    settings: dict[str, Any] = {"batch_size": BATCH, "summary_every": 4, "jit": True, "hidden": (4,)}
    training = make_training(dataset, l1=0.01, l2=0.03, learning_rate=0.01, **settings)
    other = make_training(dataset, l1=0.05, l2=0.0, learning_rate=0.1, **settings)
    run_chunks(training, [9])
    map_arrays(lambda variable, value: variable.assign(value), other.state, training.state)
    training.hyper = other.hyper
    calls = [run_chunks(changed, [9]) for changed in (training, other)]
    assert_equal(arrays(training), arrays(other))
    assert_equal(list(reports(calls[0]).values()), list(reports(calls[1]).values()))
    assert_equal(list(training.measure_weights().values()), list(other.measure_weights().values()))


# The optimum.

def descend_to_the_end(training: Training, steps: int) -> tuple[np.ndarray, np.ndarray]:
    for _ in range(steps):
        training.run(0, 0, 1)
    arrays_ = training.state["parameters"]["logits"]
    return arrays_["kernel"].numpy(), arrays_["bias"].numpy()


def objective(kernel: np.ndarray, bias: np.ndarray, examples: Examples, l1: float, l2: float) -> float:
    logits = examples.x.astype(np.float64) @ kernel + bias
    data = np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), examples.y])
    return float(data + l1 * np.abs(kernel).sum() + l2 * np.square(kernel).sum())


def test_softmax_regression_with_l2_ends_at_the_optimum_of_scikit_learn(dataset: Dataset,
                                                                        make_training: MakeTraining) -> None:
    from sklearn.linear_model import LogisticRegression

    l2, n = 0.01, len(dataset.train)
    training = make_training(dataset, l2=l2, hidden=(), batch_size=n, learning_rate=0.25, optimizer=SGD(momentum=0.9),
                           jit=True)
    kernel, bias = descend_to_the_end(training, 800)
    # scikit-learn minimizes C·Σ CE + ½·Σ W²; we minimize Σ CE / n + λ2·Σ W².
    best = LogisticRegression(C=1 / (2 * l2 * n), tol=1e-12, max_iter=10_000).fit(
        dataset.train.x.astype(np.float64), dataset.train.y)
    np.testing.assert_allclose(kernel, best.coef_.T, atol=1e-6)
    np.testing.assert_allclose(bias - bias.mean(), best.intercept_ - best.intercept_.mean(), atol=1e-6)


def test_softmax_regression_with_l1_comes_near_the_optimum_of_scikit_learn_and_never_below(
        dataset: Dataset, make_training: MakeTraining) -> None:
    from sklearn.linear_model import LogisticRegression

    l1, n = 0.02, len(dataset.train)
    training = make_training(dataset, l1=l1, hidden=(), batch_size=n, learning_rate=0.03, optimizer="adam", jit=True,
                           schedule="cosine", total_steps=1500)
    kernel, bias = descend_to_the_end(training, 1500)
    best = LogisticRegression(C=1 / (l1 * n), l1_ratio=1.0, solver="saga", tol=1e-10, max_iter=100_000).fit(
        dataset.train.x.astype(np.float64), dataset.train.y)
    optimum = objective(best.coef_.T, best.intercept_, dataset.train, l1, 0.0)
    assert optimum - 1e-9 <= objective(kernel, bias, dataset.train, l1, 0.0) < optimum + 1e-5
    gone = best.coef_.T == 0
    assert gone.any()
    assert np.abs(kernel[gone]).max() < 1e-3 < 0.01 < np.abs(best.coef_.T[~gone]).max()
