"""Predictions of a trained network: the classes of inputs, and the probability of each class.

    import reglab
    reglab.predict("runs/a", x).classes

As in `reglab` itself, TensorFlow is imported at the first use. The module is a function too, since `reglab.predict` is
its name.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reglab.predict.predicting import Predictions, predict, predict_file

__all__ = ["Predictions", "predict", "predict_file"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from reglab.engine.startup import quiet_tensorflow
        quiet_tensorflow()
        from reglab.predict import predicting
        return getattr(predicting, name)
    raise AttributeError(f"module 'reglab.predict' has no attribute {name!r}")


class _Module(types.ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Calls `predicting.predict`."""
        return __getattr__("predict")(*args, **options)


sys.modules[__name__].__class__ = _Module
