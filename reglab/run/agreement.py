"""What the workers of a run agree on. Only the chief reads and writes the folder; a run alone agrees with itself."""

from __future__ import annotations

from typing import Final

import tensorflow as tf

from reglab.engine.replicas import Replicas
from reglab.run.journal import Journal

SECONDS_PER_WORD: Final = 5.0  # How often the chief lets the other workers know that it is still saving.


class Agreement:
    """The agreements; every worker has to ask for one at the same time."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas

    def on_steps(self, count: int, is_over: bool) -> int:
        """Returns the number of steps of the next call, the same in every worker; 0 if any of them is to stop here."""
        counts, stops = self._replicas.gather_numbers(count, is_over).T
        return 0 if stops.any() else int(counts.min())

    def on_start(self, journal: Journal) -> None:
        """Gives every worker's journal the step and the end that the chief found in the folder."""
        chief = self._replicas.gather_numbers(journal.restored_step, journal.finished_result is not None)[0]
        journal.restored_step = int(chief[0])
        if chief[1] and journal.finished_result is None:
            journal.finished_result = {"completed": True}  # The chief has the rest of it.

    def on_going_back(self, journal: Journal) -> int:
        """Has the chief restore the last scheduled checkpoint that is whole; returns its step, 0 without one."""
        return int(self._replicas.gather_numbers(journal.go_back())[0, 0])

    def on_values(self, variables: list[tf.Variable]) -> None:
        """Gives the variables of every worker the values of the chief's."""
        arrays = [variable.numpy() for variable in variables]
        for variable, array in zip(variables, self._replicas.from_chief(arrays), strict=True):
            variable.assign(array)

    def on_saved(self, journal: Journal, saves: bool) -> bool:
        """Waits until the chief has written what it saves; returns whether it has.

        Args:
          saves: whether this worker saves anything, which only the chief does.
        """
        saved, written = saves, False
        while not written:  # In short waits, as a collective operation does not wait for a slow disk.
            mine = journal.wait(SECONDS_PER_WORD)
            try:
                written, saved = map(bool, self._replicas.gather_numbers(mine, saves)[0])
            except tf.errors.OpError:  # A worker is gone; it may just have left early.
                if not (mine and saves):
                    raise
                written = saved = True
        return saved
