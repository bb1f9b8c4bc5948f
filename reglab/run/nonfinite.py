"""What a run does about a step that is not finite: `--on_nonfinite`.

Every decision depends only on the data losses that calls return, which are the same in every worker, and on counters
that checkpoints hold: an interrupted run decides as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import tensorflow as tf

from reglab.config import Config
from reglab.engine.training import Calls, Training
from reglab.run.checkpoints.reading import COUNTERS
from reglab.run.divergence import Cause, Diverged, Rewind, look

MOST_TRIES: Final = 3
"""How many times a run may go back to the same checkpoint."""


class Guard:
    """Examines the outcome of every call of a run.

    Args:
      go_back: gives the training the weights and slots of the last scheduled checkpoint that is whole, in every worker,
        and returns its step.
      warn: gets a line about updates that are left out.
    """

    def __init__(self, config: Config, training: Training, go_back: Callable[[], int],
                 warn: Callable[[str], None]) -> None:
        self._mode, self._training, self._go_back, self._warn = config.on_nonfinite, training, go_back, warn
        self._rewind = Rewind()
        self._has_warned = False
        # The updates left out; with skip the length of the current row of them, with restore how many times the run
        # went back to the same checkpoint; how many times it went back in all.
        self._counters = tf.Variable([0, 0, 0], dtype=tf.int64)

    @property
    def state(self) -> dict[str, Any]:
        """The variables that checkpoints must hold: those of the training, and the counters if anything is counted."""
        state = {name: arrays for name, arrays in self._training.state.items() if name != "buffers" or arrays}
        return {**state, **({} if self._mode == "stop" else {COUNTERS: self._counters})}

    @property
    def counts(self) -> dict[str, int]:
        """How many updates were left out and how often the run went back, over the whole run, interrupted or not."""
        left_out, _, restores = self._counters.numpy().tolist()
        return {"left_out": left_out, "restores": restores}

    def before_call(self) -> None:
        """To be called before each call of `Training.run`; keeps the state now and then."""
        self._rewind.note(self._training)

    def after_call(self, calls: Calls) -> Calls:
        """Returns the part of a call that counts: all of it, or the steps up to the one that made the run go back.

        Raises:
          Diverged: a step is not finite, and the run cannot or should not go on.
        """
        bad = np.flatnonzero(~np.isfinite(calls.data_losses))
        start = self._training.steps_taken - len(calls.data_losses)
        if self._mode == "skip":
            self._count_skipped(start, bad, len(calls.data_losses))
        elif len(bad):
            first = int(bad[0])
            self.not_finite(start + first, resume_at=start + first + 1)
            told = calls.report_steps <= start + first
            return Calls(calls.data_losses[:first + 1], calls.report_steps[told],
                         {tag: values[told] for tag, values in calls.reports.items()})
        return calls

    def not_finite(self, step: int, resume_at: int) -> None:
        """Goes back to the last checkpoint and on at step `resume_at`; all updates since the checkpoint are left out.

        Args:
          step: the first step whose data loss or weights are not finite.

        Raises:
          Diverged: the run should not go back, or has done so too often.
        """
        left_out, tries, restores = self._counters.numpy().tolist()
        cause = self._rewind.find_cause(self._training, step)
        if self._mode != "restore":
            raise Diverged(step, cause, stops=self._mode == "stop")
        if tries == MOST_TRIES:
            raise Diverged(step, cause, stops=False,
                           why=f"and the run went back to its last checkpoint {tries} times already")
        at = self._go_back()
        self._training.state["step"].assign(resume_at)
        self._counters.assign([left_out + resume_at - at, tries + 1, restores + 1])
        self._rewind = Rewind()
        where = f"the checkpoint of step {at}" if at else "the initial weights"
        self._warn(f"step {step} is not finite{f' ({cause})' if cause else ''}: back to {where}; the "
                   f"{resume_at - at:,} updates since then are left out")

    def checkpoint_made(self) -> None:
        """To be called before a scheduled checkpoint is saved: it will be a new one to go back to."""
        if self._mode == "restore":
            left_out, _, restores = self._counters.numpy().tolist()
            self._counters.assign([left_out, 0, restores])

    def _count_skipped(self, start: int, bad: np.ndarray, steps: int) -> None:
        left_out, in_a_row, _ = self._counters.numpy().tolist()
        if not len(bad) and not in_a_row:
            return
        skipped = set(bad.tolist())
        for place in range(steps):
            in_a_row = in_a_row + 1 if place in skipped else 0
            if in_a_row == self._training.steps_per_epoch:
                raise Diverged(start + place, self._now(), stops=False, why="as in a whole epoch before it")
        self._counters.assign([left_out + len(bad), in_a_row, 0])
        if len(bad) and not self._has_warned:
            self._has_warned = True
            step = start + int(bad[0])
            cause = self._rewind.find_cause(self._training, step)
            self._warn(f"the update of step {step} is left out{f' ({cause})' if cause else ''}; further ones are only "
                       "counted")

    def _now(self) -> Cause | None:
        epoch, first = divmod(self._training.steps_taken, self._training.steps_per_epoch)
        found = look(self._training, epoch, first)
        return found if found.place else None
