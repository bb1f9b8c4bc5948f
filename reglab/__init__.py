"""reglab, the regularization lab: train L1- and L2-penalized networks exactly and fast, and see what the penalty did.

    import reglab
    history = reglab.fit(reglab.Config(dataset="digits", l1=1e-3, l2=1e-3))
    history.result["gap"]

`reglab.evaluate` and `reglab.predict` use the network of a run. Importing reglab imports nothing: what it offers comes
when it is first asked for, and TensorFlow with the first of these functions.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reglab.config import Config, ConfigError
    from reglab.evaluate.evaluating import evaluate
    from reglab.predict.predicting import predict
    from reglab.run.loop import Diverged, History, Interrupted, PeerLost, fit
    from reglab.runs.listing import runs

__version__ = "0.1.0"
__all__ = ["Config", "ConfigError", "Diverged", "History", "Interrupted", "PeerLost", "evaluate", "fit", "predict",
           "runs"]

_MODULES: Final = {
    "Config": "reglab.config", "ConfigError": "reglab.config", "Diverged": "reglab.run.loop",
    "History": "reglab.run.loop", "Interrupted": "reglab.run.loop", "PeerLost": "reglab.run.loop",
    "fit": "reglab.run.loop"}
_ROOMS: Final = ("evaluate", "predict", "runs")  # Modules that are functions too.


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"reglab.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'reglab' has no attribute {name!r}")
    if _MODULES[name] == "reglab.run.loop":
        from reglab.engine.startup import quiet_tensorflow
        quiet_tensorflow()
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, *_ROOMS])
