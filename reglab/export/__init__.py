"""A trained network for use elsewhere: as a Keras model, a SavedModel or NumPy arrays.

    import reglab
    reglab.export("runs/a", "a.keras").validation["accuracy"]

The module is a function too, since `reglab.export` is its name. TensorFlow is imported at the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reglab.offers import offer

if TYPE_CHECKING:
    from reglab.export.exporting import Exported, WrongCopy, export

__all__ = ["Exported", "WrongCopy", "export"]
__getattr__, __dir__ = offer(__name__, {"reglab.export.exporting": __all__}, called="export")
