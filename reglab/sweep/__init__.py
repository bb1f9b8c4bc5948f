"""A grid of configurations times seeds (times folds) as lanes, the choice among them, and warm-started paths.

    from reglab import Config
    from reglab.lab.grid import Grid
    from reglab.sweep import sweep
    result = sweep(Config(model_dir="runs/my-sweep"), Grid(l1=(0.0, 1e-4, 1e-3)), seeds=3)
    result.best

Importing this does not import TensorFlow; the first use of `sweep` or `path` does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reglab.sweep.experiment import Sweep, sweep
    from reglab.sweep.pathway import Path, path

__all__ = ["Path", "Sweep", "path", "sweep"]
_HOMES: Final = {"Sweep": "experiment", "sweep": "experiment", "Path": "pathway", "path": "pathway"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from reglab.engine.startup import quiet_tensorflow
        quiet_tensorflow()
        return getattr(importlib.import_module(f"reglab.sweep.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'reglab.sweep' has no attribute {name!r}")
