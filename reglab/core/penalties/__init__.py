"""The penalties, one class and file each, and their registry: to add one, add a file and a line in `registry.py`."""

from reglab.core.penalties.base import Penalty, value
from reglab.core.penalties.registry import get, names, register, registered, standing

__all__ = ["Penalty", "get", "names", "register", "registered", "standing", "value"]
