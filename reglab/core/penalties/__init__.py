"""The penalties, a class and a file each, and the registry of them: add a file, and a line in `registry.py`."""

from reglab.core.penalties.base import Penalty, value
from reglab.core.penalties.registry import get, names, register, registered, standing

__all__ = ["Penalty", "get", "names", "register", "registered", "standing", "value"]
