"""reglab, the regularization lab: train L1- and L2-penalized networks exactly and fast, and see what the penalty did.

    import reglab
    history = reglab.fit(reglab.Config(dataset="digits", l1=1e-3, l2=1e-3))
    history.result["gap"]

`reglab.compare` and `reglab.sweep` train many configurations side by side; `reglab.evaluate`, `reglab.predict` and
`reglab.export` use the network of a run. Importing reglab imports nothing: what it offers comes when it is first asked
for, and TensorFlow with the first of these functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.offers import offer

if TYPE_CHECKING:
    from reglab.compare.experiment import compare
    from reglab.config import Config, ConfigError
    from reglab.evaluate.evaluating import evaluate
    from reglab.export.exporting import export
    from reglab.interactive.fitting import fit
    from reglab.interactive.history import History
    from reglab.lab.grid import Grid
    from reglab.predict.predicting import predict
    from reglab.report.reporting import report
    from reglab.run.loop import Diverged, Interrupted, PeerLost
    from reglab.runs.listing import runs
    from reglab.sweep.experiment import sweep

__version__ = "0.1.0"
__all__ = ["Config", "ConfigError", "Diverged", "Grid", "History", "Interrupted", "PeerLost", "compare", "evaluate",
           "export", "fit", "predict", "report", "runs", "sweep"]
__getattr__, __dir__ = offer(__name__, {
    "reglab.config": ("Config", "ConfigError"), "reglab.lab.grid": ("Grid",),
    "reglab.interactive.fitting": ("fit",), "reglab.interactive.history": ("History",),
    "reglab.run.loop": ("Diverged", "Interrupted", "PeerLost"),
}, modules=("compare", "data", "evaluate", "export", "predict", "report", "runs", "sweep"),
   light=("reglab.config", "reglab.lab.grid"))
