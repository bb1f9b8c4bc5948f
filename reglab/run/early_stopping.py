"""Ends a run by `--patience`, and with its best state. Every worker decides as the chief does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from reglab.config import Config
from reglab.core.parameters import map_arrays
from reglab.engine.training import Training
from reglab.run.journal import Journal
from reglab.run.patience import ENDING, Patience


class EarlyStopping:
    """The patience of a run, in a variable that checkpoints hold: an interrupted run stops where an uninterrupted one
    does.

    Args:
      config: without `patience` nothing is ever over, and there is no variable.
    """

    def __init__(self, config: Config, training: Training) -> None:
        self._config, self._training = config, training
        self._known = None if config.patience is None else tf.Variable([math.inf, 0.0], dtype=tf.float64)
        self._copy: Any = None  # Of the best state, if there is no folder that has it.

    @property
    def state(self) -> dict[str, Any]:
        """The variable that checkpoints must hold, by name: [lowest data loss, evaluations since]."""
        return {} if self._known is None else {ENDING: self._known}

    def note(self, data_loss: float) -> None:
        """Counts an evaluation by the data loss of its validation split."""
        if self._known is not None:
            patience = self._patience
            patience.note(data_loss)
            self._known.assign([patience.lowest, patience.waited])

    def note_best(self, state: Any) -> None:
        """To be called when the variables of `state` are the best so far."""
        if self._known is not None and self._config.model_dir is None:
            self._copy = map_arrays(lambda variable: variable.numpy(), state)

    @property
    def is_over(self) -> bool:
        """Whether the run has trained long enough; every worker has to ask at the same time."""
        if self._known is None:
            return False
        return bool(self._training.program.replicas.gather_numbers(self._patience.is_over)[0, 0])

    def restore_best(self, journal: Journal, state: Any, take_from_chief: Callable[[Any], None]) -> dict[str, Any]:
        """Gives the variables of `state` the best state, in every worker; without `--patience` it does nothing.

        Returns:
          How the run ended, for the result.
        """
        if self._known is None:
            return {}
        config, training = self._config, self._training
        stopped, trained = self.is_over, training.steps_taken
        if config.model_dir is None:
            found = self._copy is not None
            if found:
                map_arrays(lambda variable, array: variable.assign(array), state, self._copy)
        else:
            found = bool(training.program.replicas.gather_numbers(journal.restore_best())[0, 0])
            take_from_chief(tf.nest.flatten(state))
        return {ENDING: {"patience": config.patience, "min_delta": config.min_delta, "stopped": stopped,
                         "epochs": trained // training.steps_per_epoch, "steps": trained, "best_state": found}}

    @property
    def _patience(self) -> Patience:
        assert self._known is not None
        lowest, waited = self._known.numpy().tolist()
        return Patience(self._config.patience, self._config.min_delta, lowest, int(waited))
