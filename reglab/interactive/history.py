"""`History`: the outcome of a run, with what one does with it in Python."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from reglab.config import ConfigError
from reglab.evaluate.evaluating import Evaluated, evaluate, evaluated
from reglab.evaluate.subject import Data, find_subject
from reglab.export.formats import keras_model
from reglab.lab.plots.history import history_picture
from reglab.predict.predicting import Predictions, predictions
from reglab.run import outcome
from reglab.trained.from_history import network_of, source_of
from reglab.trained.network import Network


@dataclasses.dataclass(frozen=True, repr=False)
class History(outcome.History):
    """The outcome of a run; its network is the one with the final weights."""

    @staticmethod
    def of(history: outcome.History) -> History:
        """Makes a history of the outcome of a run."""
        return History(**{field.name: getattr(history, field.name) for field in dataclasses.fields(history)})

    @property
    def network(self) -> Network:
        """The trained network, which maps inputs in the data's units to logits."""
        return network_of(self)

    def to_frame(self) -> Any:
        """Returns the evaluations as a pandas DataFrame: a row for each, by epoch; losses in nats.

        Columns are `step`, `train/data_loss`, `validation/accuracy` and so on for each split, and the tags of the
        weights, such as `sparsity/total` and `norm/dense_0/l1`.

        Raises:
          ConfigError: pandas is not installed, or the run was complete already.
        """
        self._check_evaluated()
        try:
            import pandas as pd
        except ImportError:
            raise ConfigError("to_frame needs pandas, which is not installed: pip install pandas") from None
        rows = [{"epoch": one.epoch, "step": one.step, **_under("train", one.train),
                 **_under("validation", one.validation), **one.weights} for one in self.evaluations]
        return pd.DataFrame(rows).set_index("epoch")

    def plot(self) -> Any:
        """Returns a matplotlib Figure of data loss and accuracy of both splits after each epoch.

        Raises:
          ConfigError: the run was complete already.
        """
        self._check_evaluated()
        return history_picture(self.evaluations)

    def model(self) -> Any:
        """Returns the network for use elsewhere: a Keras model, or a function where its model has no Keras layers.

        It maps x [n, *input_shape], in the units of the data, to logits [n, classes].
        """
        network = network_of(self, precision="float32" if self.config.precision == "bfloat16" else None)
        made = keras_model(network)
        logits: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = network.logits
        return logits if made is None else made

    def predict(self, x: npt.ArrayLike) -> Predictions:
        """Predicts classes and probabilities of inputs, as `reglab.predict` does.

        Raises:
          ConfigError: the network does not take inputs like these.
        """
        return predictions(np.asarray(x), self.network, source_of(self))

    def evaluate(self, data: Data | None = None, *, split: str | None = None) -> Evaluated:
        """Evaluates the network as `reglab.evaluate` does.

        With a folder that is `reglab.evaluate(folder, …)`: the best state, and the look is noted. Without, nothing is
        written.

        Args:
          data: the run's data, if its configuration does not name them, or new data.
          split: "test" (the default), "validation" or "train".

        Raises:
          ConfigError: the data cannot be used, or have no such part.
        """
        folder = self.config.model_dir
        if folder is not None:
            return evaluate(folder, data, split=split)
        subject = find_subject(pathlib.Path(), source_of(self), data, split=split)
        return evaluated(self.network, subject)

    def _check_evaluated(self) -> None:
        if not self.evaluations:
            raise ConfigError(f"the run in {self.config.model_dir} was complete already, and nothing was evaluated "
                              "anew: its metrics.jsonl and TensorBoard have the evaluations")


def _under(split: str, scores: dict[str, float]) -> dict[str, float]:
    return {f"{split}/{name}": score for name, score in scores.items()}
