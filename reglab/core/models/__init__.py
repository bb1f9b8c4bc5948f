"""The networks, one class and one file each, and their registry: to add one, add a file and a line in `registry.py`."""

from reglab.core.models.base import EVALUATION, ArrayInfo, Mode, Model, Settings
from reglab.core.models.registry import get, names, register, registered, unregister

__all__ = ["EVALUATION", "ArrayInfo", "Mode", "Model", "Settings", "get", "names", "register", "registered",
           "unregister"]
