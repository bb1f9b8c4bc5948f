"""`--schedule=plateau`: lowers the learning rate where the validation data loss no longer improves.

What counts as an improvement is what early stopping counts as one (`patience.Patience`). After `decay_patience`
evaluations in a row without one the rate is multiplied by `decay_factor`, and the counting begins anew. The rate is an
input of the compiled program, so this happens between two of its calls and compiles nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf

from reglab.config import Config
from reglab.engine.training import Training
from reglab.run.patience import Patience

PLATEAU: Final = "plateau"
"""The name of the variable in checkpoints, and of the part of `result.json` that tells how far the rate fell."""


class Decay:
    """The falling rate of one run or lane.

    Args:
      known: [lowest data loss, evaluations since, decays], as `known` returns them; by default those of the beginning.
    """

    BEGINNING: Final = (math.inf, 0.0, 0.0)

    def __init__(self, config: Config, known: Sequence[float] = BEGINNING) -> None:
        lowest, waited, decays = known
        self._factor, self.decays = config.resolved_decay_factor, int(decays)
        self._patience = Patience(config.resolved_decay_patience, config.min_delta, lowest, int(waited))

    @property
    def known(self) -> tuple[float, float, float]:
        """What the next evaluation has to know."""
        return self._patience.lowest, float(self._patience.waited), float(self.decays)

    def note(self, data_loss: float) -> None:
        """Counts an evaluation by the data loss of its validation split."""
        self._patience.note(data_loss)
        if self._patience.is_over:
            self._patience.waited = 0
            self.decays += 1

    def rate(self, learning_rate: float) -> float:
        """Returns what has become of a learning rate."""
        return learning_rate * self._factor**self.decays


class Plateau:
    """The falling rate of a run, in a variable that checkpoints hold; every worker has the rate of the chief.

    Args:
      config: with another schedule nothing ever falls, and there is no variable.
      tell: gets a line whenever the rate falls.
    """

    def __init__(self, config: Config, training: Training, tell: Callable[[str], None]) -> None:
        self._config, self._training, self._tell = config, training, tell
        self._known = tf.Variable(Decay.BEGINNING, dtype=tf.float64) if config.schedule == PLATEAU else None

    @property
    def state(self) -> dict[str, Any]:
        """The variable that checkpoints must hold, by name: `Decay.known`."""
        return {} if self._known is None else {PLATEAU: self._known}

    def note(self, data_loss: float) -> None:
        """Counts an evaluation. Every worker has to call it at the same time."""
        if self._known is None:
            return
        decay = self._decay
        before = decay.decays
        decay.note(data_loss)
        self._known.assign(self._training.program.replicas.from_chief([np.array(decay.known)])[0])
        self.use_rate()
        if self._decay.decays > before:
            count = self._config.resolved_decay_patience
            self._tell(f"Learning rate {self._decay.rate(self._config.learning_rate):.4g} from now on: {count:,} "
                       f"evaluation{'s' * (count > 1)} without a better validation data loss")

    def use_rate(self, *, from_the_beginning: bool = False) -> None:
        """Gives the training the rate that follows from the variable, for instance after that was restored."""
        if self._known is None:
            return
        if from_the_beginning:
            self._known.assign(Decay.BEGINNING)
        self._training.use_learning_rate(self._decay.rate(self._config.learning_rate))

    @property
    def result(self) -> dict[str, Any]:
        """How far the rate fell, for the result."""
        if self._known is None:
            return {}
        return {PLATEAU: {"decays": self._decay.decays,
                          "learning_rate": self._decay.rate(self._config.learning_rate)}}

    @property
    def _decay(self) -> Decay:
        assert self._known is not None
        return Decay(self._config, self._known.numpy().tolist())
