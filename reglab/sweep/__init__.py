"""A grid of configurations times seeds (times folds) as lanes, the choice among them, and warm-started paths.

    import reglab
    result = reglab.sweep(reglab.Config(model_dir="runs/my-sweep"), reglab.Grid(l1=(0.0, 1e-4, 1e-3)), seeds=3)
    result.best

The module is a function too, since `reglab.sweep` is its name. TensorFlow is imported at the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.offers import offer

if TYPE_CHECKING:
    from reglab.sweep.experiment import Sweep, sweep
    from reglab.sweep.pathway import Path, path

__all__ = ["Path", "Sweep", "path", "sweep"]
__getattr__, __dir__ = offer(__name__, {"reglab.sweep.experiment": ("Sweep", "sweep"),
                                          "reglab.sweep.pathway": ("Path", "path")}, called="sweep")
