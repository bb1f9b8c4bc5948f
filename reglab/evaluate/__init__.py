"""How good a trained network is on examples that influenced no choice: the test part of its data, or new data.

    import reglab
    reglab.evaluate("runs/a").result["accuracy"]

The module is a function too, since `reglab.evaluate` is its name. TensorFlow is imported at the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.offers import offer

if TYPE_CHECKING:
    from reglab.evaluate.evaluating import Evaluated, evaluate

__all__ = ["Evaluated", "evaluate"]
__getattr__, __dir__ = offer(__name__, {"reglab.evaluate.evaluating": __all__}, called="evaluate")
