"""`PenalizedClassifier`: a network with penalties on its kernels, in scikit-learn's terms."""

from __future__ import annotations

import numbers
import textwrap
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from reglab.config import Config
from reglab.data import Examples
from reglab.data.arrays import as_inputs
from reglab.sklearn.parameters import Parameters, configured, documented
from reglab.trained.scores import log_probabilities

if TYPE_CHECKING:
    from reglab.interactive.history import History

_NUMBERS: Final = (np.float64, np.float32)
_MOST_SEED: Final = 2**31 - 1


class PenalizedClassifier(ClassifierMixin, BaseEstimator, Parameters):
    """A network that minimizes cross-entropy plus L1 and L2 penalties of its Dense kernels, as `reglab.fit` trains it.

    The parameters are fields of `reglab.Config`; weights and evaluations are those of `reglab.fit` with the same
    values. X is dense, in any units (see `standardize`), and used in float32; predictions are computed in float64.

    {parameters}
    verbose : default False
        Show the progress of a fit.

    Attributes
    ----------
    classes_ : the labels, sorted.
    n_features_in_, feature_names_in_ : number and names of the features in `fit`; the names where X has any.
    coefs_, intercepts_ : the kernels and the biases of the layers, in order, as NumPy arrays.
    n_iter_ : the number of epochs.
    history_ : the `reglab.History` of the fit: configuration, evaluations after each epoch, result and weights.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> X, y = load_iris(return_X_y=True)
    >>> accuracies = cross_val_score(PenalizedClassifier(l1=1e-3, hidden=(16,), standardize=True), X, y)
    """

    classes_: npt.NDArray[Any]
    n_features_in_: int
    history_: History

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> PenalizedClassifier:
        """Trains a network from its initial weights.

        Args:
          X: [n, features], numbers.
          y: [n], labels of any kind.
          sample_weight: [n], at least 0, how much each example counts in the data loss, which is the weighted mean of
            its batch. An example of weight 0 is left out.

        Raises:
          ValueError: a parameter, X, y or sample_weight cannot be used.
          Diverged: the data loss became infinite or NaN.
        """
        X, y = validate_data(self, X, y, dtype=_NUMBERS)
        check_classification_targets(y)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            X, y, weights = X[weights > 0], y[weights > 0], weights[weights > 0]
        self.classes_, y = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has only one class, {self.classes_.tolist()}: give examples of at least two")
        examples = Examples(as_inputs("X", X)[0], y.astype(np.int32), weights)
        training = _training()
        self.history_ = training.trained(self._config(), examples, len(self.classes_), jit=self.jit,
                                         progress=bool(self.verbose))
        layers = [arrays for arrays in self.history_.parameters.values() if "kernel" in arrays]
        self.coefs_ = [arrays["kernel"] for arrays in layers]
        self.intercepts_ = [arrays["bias"] for arrays in layers]
        self.n_iter_ = max(evaluation.epoch for evaluation in self.history_.evaluations)
        return self

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Returns the logits [n, classes]; of two classes, [n], the second logit minus the first."""
        logits = self._logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Returns the most probable labels [n]."""
        logits = self._logits(X)
        labels: npt.NDArray[Any] = self.classes_[logits.argmax(axis=1)]
        return labels

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Returns the logarithms of the probabilities [n, classes]."""
        return log_probabilities(self._logits(X))

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Returns the probabilities [n, classes], the softmax of the logits, in the order of `classes_`."""
        return np.exp(self.predict_log_proba(X))

    def _logits(self, X: Any) -> npt.NDArray[np.float64]:
        check_is_fitted(self)
        inputs = validate_data(self, X, dtype=_NUMBERS, reset=False)
        found: npt.NDArray[np.float64] = _training().logits(self.history_, as_inputs("X", inputs)[0])
        return found

    def _config(self) -> Config:
        """Returns the configuration that the parameters describe; that of the fit is in `history_`."""
        chance, weights = self.random_state, self.class_weight
        if not isinstance(chance, numbers.Integral):
            chance = check_random_state(chance).randint(_MOST_SEED)
        if isinstance(weights, Mapping):
            weights = self._weights_by_number(weights)
        return configured(self.get_params(deep=False), seed=int(chance), class_weights=weights, jit=False)

    def _weights_by_number(self, given: Mapping[Any, float]) -> dict[int, float]:
        """Maps the numbers of classes to the weights that the labels are given, where the data have them."""
        places = {label: place for place, label in enumerate(self.classes_.tolist())}
        if unknown := [label for label in given if label not in places]:
            raise ValueError(f"class_weight names the class {unknown[0]!r}, and y has {', '.join(map(repr, places))}")
        return {places[label]: weight for label, weight in given.items()}


def _training() -> ModuleType:
    """Imports what needs TensorFlow."""
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow()
    from reglab.sklearn import training
    return training


PenalizedClassifier.__doc__ = str(PenalizedClassifier.__doc__).replace(
    "    {parameters}", textwrap.indent(documented(), "    "))
