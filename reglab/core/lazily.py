"""TensorFlow and NumPy under their usual names, imported on first use.

For modules whose names and help texts are read without loading TensorFlow, which takes seconds to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf
else:
    class _Module:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    np, tf = _Module("numpy"), _Module("tensorflow")

__all__ = ["np", "tf"]
