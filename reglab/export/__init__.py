"""A trained network for use elsewhere: as a Keras model, a SavedModel or NumPy arrays.

    from reglab.export import export
    export("runs/a", "a.keras").validation["accuracy"]

As in `reglab` itself, TensorFlow is imported at the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reglab.export.exporting import Exported, WrongCopy, export

__all__ = ["Exported", "WrongCopy", "export"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from reglab.engine.startup import quiet_tensorflow
        quiet_tensorflow()
        from reglab.export import exporting
        return getattr(exporting, name)
    raise AttributeError(f"module 'reglab.export' has no attribute {name!r}")
