"""Shows what a penalty does: compares no penalty, each alone and all together, over several seeds, in one program.

    import reglab
    reglab.compare(reglab.Config(l1=1e-3, l2=1e-3), seeds=5).result["arms"]

The module is a function too, since `reglab.compare` is its name. TensorFlow is imported at the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.offers import offer

if TYPE_CHECKING:
    from reglab.compare.experiment import Comparison, compare

__all__ = ["Comparison", "compare"]
__getattr__, __dir__ = offer(__name__, {"reglab.compare.experiment": __all__}, called="compare")
