"""Predictions of a trained network: the classes of inputs, and the probability of each class.

    import reglab
    reglab.predict("runs/a", x).classes

The module is a function too, since `reglab.predict` is its name. TensorFlow is imported at the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.offers import offer

if TYPE_CHECKING:
    from reglab.predict.predicting import Predictions, predict, predict_file

__all__ = ["Predictions", "predict", "predict_file"]
__getattr__, __dir__ = offer(__name__, {"reglab.predict.predicting": __all__}, called="predict")
