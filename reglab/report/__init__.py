"""One HTML page, and a text, about runs, comparisons, sweeps and paths, read without TensorFlow.

    import reglab
    reglab.report("runs/a", "runs/b")

The module is a function too, since `reglab.report` is its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.offers import offer

if TYPE_CHECKING:
    from reglab.report.reporting import Report, report

__all__ = ["Report", "report"]
__getattr__, __dir__ = offer(__name__, {"reglab.report.reporting": __all__}, called="report",
                             light=("reglab.report.reporting",))
