"""How good a trained network is on examples that influenced no choice: the test part of its data, or new data.

    import reglab
    reglab.evaluate("runs/a").result["accuracy"]

As in `reglab` itself, TensorFlow is imported at the first use. The module is a function too, since `reglab.evaluate` is
its name.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reglab.evaluate.evaluating import Evaluated, evaluate

__all__ = ["Evaluated", "evaluate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from reglab.engine.startup import quiet_tensorflow
        quiet_tensorflow()
        from reglab.evaluate import evaluating
        return getattr(evaluating, name)
    raise AttributeError(f"module 'reglab.evaluate' has no attribute {name!r}")


class _Module(types.ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Calls `evaluating.evaluate`."""
        return __getattr__("evaluate")(*args, **options)


sys.modules[__name__].__class__ = _Module
