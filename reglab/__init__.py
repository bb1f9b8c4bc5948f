"""reglab, the regularization lab: train L1- and L2-penalized networks exactly and fast, and see what the penalty did.

    import reglab
    history = reglab.fit(reglab.Config(dataset="digits", l1=1e-3, l2=1e-3))
    history.result["gap"]

`reglab.evaluate` and `reglab.predict` use the network of a run. Importing reglab does not import TensorFlow; the first
use of one of these functions does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reglab.config import Config, ConfigError

if TYPE_CHECKING:
    from reglab.evaluate.evaluating import evaluate
    from reglab.predict.predicting import predict
    from reglab.run.loop import Diverged, History, Interrupted, PeerLost, fit

__version__ = "0.1.0"
__all__ = ["Config", "ConfigError", "Diverged", "History", "Interrupted", "PeerLost", "evaluate", "fit", "predict"]


def __getattr__(name: str) -> Any:
    if name in ("Diverged", "History", "Interrupted", "PeerLost", "fit"):
        from reglab.engine.startup import quiet_tensorflow
        quiet_tensorflow()
        from reglab.run import loop
        return getattr(loop, name)
    if name in ("evaluate", "predict"):  # Rooms that are functions too.
        return importlib.import_module(f"reglab.{name}")
    raise AttributeError(f"module 'reglab' has no attribute {name!r}")
