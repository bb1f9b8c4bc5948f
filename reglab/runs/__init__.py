"""Which runs, comparisons and sweeps lie in a folder: a table, or JSON, read without TensorFlow.

    import reglab
    print(reglab.runs("runs"))

The module is a function too, since `reglab.runs` is its name.
"""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reglab.runs.listing import Listing, runs

__all__ = ["Listing", "runs"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from reglab.runs import listing
        return getattr(listing, name)
    raise AttributeError(f"module 'reglab.runs' has no attribute {name!r}")


class _Module(types.ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Calls `listing.runs`."""
        return __getattr__("runs")(*args, **options)


sys.modules[__name__].__class__ = _Module
