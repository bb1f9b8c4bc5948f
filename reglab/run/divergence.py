"""Finds where numbers stopped being finite. The search is made afterwards, so that it costs training nothing.

A run keeps its state of a few seconds ago (`Rewind`). When a step goes wrong, the steps from that state on are
repeated, bit for bit, and examined one by one.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from reglab.core import penalties
from reglab.core.parameters import map_arrays
from reglab.core.step import Hyperparameters, State
from reglab.engine.training import Training
from reglab.inputs import exit_codes

SECONDS: Final = 2.0
"""The age at which the kept state is replaced: it bounds the time of the search, and how often a state is kept."""
MOST_BYTES: Final = 2**28
"""A larger state is not kept, so that no cause is found for it."""


@dataclasses.dataclass(frozen=True)
class Cause:
    """The first number that is not finite.

    Attributes:
      place: which number it is and of which step, for people.
      last: the last finite measurement, for people; empty if none is known.
      penalty_pulls: whether the penalty's gradient had a larger norm than the data's in that measurement.
    """

    place: str
    last: str = ""
    penalty_pulls: bool = False

    def __str__(self) -> str:
        return f"first not finite: {self.place}" + (f"; last finite: {self.last}" if self.last else "")


class Diverged(exit_codes.Ending, ArithmeticError):
    """The data loss is no longer finite. The last whole checkpoint was saved before that.

    Attributes:
      step: the first step whose data loss is not finite, or that starts from weights that are not.
      cause: the cause, if it was found.
    """

    exit_code = exit_codes.DIVERGED

    def __init__(self, step: int, cause: Cause | None = None, *, why: str = "", stops: bool = True) -> None:
        """Makes the error.

        Args:
          why: why the run could not go on although `--on_nonfinite` asks for it.
          stops: whether it ended because `--on_nonfinite` is stop.
        """
        flags = [f"--{name}" for name in ("learning_rate", *penalties.names())]
        remedy = f"a lower {', '.join(flags[:-1])} or {flags[-1]}" if cause is not None and cause.penalty_pulls else (
            "a lower --learning_rate, or --clip_norm=1")
        flag = "; --on_nonfinite=skip or restore goes on without such updates" if stops else ""
        details = f" ({cause})" if cause is not None else ""
        super().__init__(f"the data loss is not finite at step {step}{why and f', {why}'}: try {remedy}{flag}{details}")
        self.step, self.cause = step, cause


class Rewind:
    """Keeps the state that a training had a few seconds ago; it holds the tensors and copies none of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_bytes: int = MOST_BYTES) -> None:
        self._clock, self._kept_at, self._most_bytes = clock, -float("inf"), most_bytes
        self._state: State | None = None

    def note(self, training: Training) -> None:
        """To be called before each call of `Training.run`."""
        if self._clock() - self._kept_at >= SECONDS:
            self._kept_at = self._clock()
            self._state = _read(training) if state_bytes(training) <= self._most_bytes else None

    def find_cause(self, training: Training, bad: int, lane: int | None = None) -> Cause | None:
        """Returns what went wrong up to step `bad`, one that `Diverged` may name, or None if that cannot be found out.

        The training is left in the state in which it was.
        """
        if self._state is None or int(self._state["step"]) > bad:
            return None
        now = _read(training)
        try:
            _write(training, self._state)
            return _search(training, bad, lane)
        finally:
            _write(training, now)


def look(training: Training, epoch: int, first: int, lane: int | None = None) -> Cause:
    """Returns what is not finite at step `first` of an epoch, given the current state.

    If everything is finite, `place` is empty and `last` gives the data loss and the norm of the gradient.
    """
    step, parameters = training.steps_taken, _one(training.parameters(), lane)
    functions = training.program.step
    layers = [layer for layer, arrays in parameters.items() if not _finite(arrays)]
    if layers:
        return Cause(f"the weights of {_named(layers)} before step {step}")
    data_loss, gradients = _one(training.data_gradient(epoch, first), lane)
    hyper: Hyperparameters = _one(map_arrays(lambda array: array.numpy(), training.hyper), lane)
    with np.errstate(all="ignore"):
        penalty = map_arrays(lambda gradient: gradient.numpy(), functions.penalty_gradient(parameters, hyper))
        total = {layer: {name: array + penalty.get(layer, {}).get(name, 0) for name, array in arrays.items()}
                 for layer, arrays in gradients.items()}
        norm, of_penalty, of_data = _norm(total), _norm(penalty), _norm(gradients)
    layers = [layer for layer, arrays in total.items() if not _finite(arrays)]
    if layers:
        return Cause(f"the gradient of {_named(layers)} at step {step}")
    if not np.isfinite(data_loss):
        return Cause(f"the data loss of step {step}")
    with np.errstate(over="ignore"):
        square = np.square(np.asarray(norm, data_loss.dtype))
    if not np.isfinite(square):
        return Cause(f"the square of the gradient's norm, {norm:.4g}, at step {step}")
    return Cause("", f"data loss {data_loss:.4g}, gradient norm {norm:.4g} at step {step}", of_penalty > of_data)


def state_bytes(training: Training) -> int:
    """Returns the size of a training's state in bytes."""
    sizes: list[int] = []
    map_arrays(lambda v: sizes.append(v.shape.num_elements() * v.dtype.size), training.state)
    return sum(sizes)


def _search(training: Training, bad: int, lane: int | None) -> Cause | None:
    last = Cause("")
    _run_to(training, bad - 2)
    for step in range(training.steps_taken, bad + 1):
        _run_to(training, step)
        epoch, first = divmod(step, training.steps_per_epoch)
        found = look(training, epoch, first, lane)
        if found.place:
            return Cause(found.place, last.last, last.penalty_pulls)
        last = found
    return None


def _run_to(training: Training, step: int) -> None:
    while (at := training.steps_taken) < step:
        epoch, first = divmod(at, training.steps_per_epoch)
        training.run(epoch, first, min(step - at, training.steps_per_epoch - first,
                                       training.program.layout.most_batches))


def _read(training: Training) -> State:
    state: State = map_arrays(lambda variable: variable.read_value(), training.state)
    return state


def _write(training: Training, state: State) -> None:
    map_arrays(lambda variable, value: variable.assign(value), training.state, state)


def _one(arrays: Any, lane: int | None) -> Any:
    return arrays if lane is None else map_arrays(lambda array: array[lane], arrays)


def _finite(arrays: Any) -> bool:
    return all(np.isfinite(array).all() for array in arrays.values())


def _norm(arrays: Any) -> float:
    squares: list[float] = []
    map_arrays(lambda array: squares.append(float(np.square(np.asarray(array, np.float64)).sum())), arrays)
    return float(np.sqrt(sum(squares)))


def _named(layers: list[str]) -> str:
    return layers[0] + (f" and {len(layers) - 1} more" if len(layers) > 1 else "")
