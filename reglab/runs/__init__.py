"""Which runs, comparisons and sweeps lie in a folder: a table, or JSON, read without TensorFlow.

    import reglab
    print(reglab.runs("runs"))

The module is a function too, since `reglab.runs` is its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.offers import offer

if TYPE_CHECKING:
    from reglab.runs.listing import Listing, runs

__all__ = ["Listing", "runs"]
__getattr__, __dir__ = offer(__name__, {"reglab.runs.listing": __all__}, light=("reglab.runs.listing",), called="runs")
