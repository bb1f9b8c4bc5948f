"""Shows what a penalty does: compares no penalty, each alone and all together, over several seeds, in one program.

    from reglab.compare import compare
    compare(reglab.Config(l1=1e-3, l2=1e-3), seeds=5).result["arms"]

As in `reglab` itself, TensorFlow is imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reglab.compare.experiment import Comparison, compare

__all__ = ["Comparison", "compare"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from reglab.engine.startup import quiet_tensorflow
        quiet_tensorflow()
        from reglab.compare import experiment
        return getattr(experiment, name)
    raise AttributeError(f"module 'reglab.compare' has no attribute {name!r}")
