"""Compiled programs shared by runs that differ only in inputs of a program."""

from __future__ import annotations

import collections
import contextlib
import contextvars
import sys
import threading
from collections.abc import Callable, Hashable, Iterator

from reglab.engine.program import Program


class ProgramCache:
    """The programs used last, for runs that come and go, in any thread.

    Args:
      most: how many are kept; the one that was not used for longest goes first.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._kept: collections.OrderedDict[Hashable, Program] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, make: Callable[[], Program]) -> Program:
        """Returns the program with this key, made if it is not there."""
        with self._lock:
            program = self._kept.pop(key) if key in self._kept else make()
            self._kept[key] = program
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return program


@contextlib.contextmanager
def shared_programs(kept: ProgramCache | None = None) -> Iterator[None]:
    """Within the block, runs that differ only in inputs of the compiled program share one program.

    Meant for several runs in a row on data of the same sizes and shapes.

    Args:
      kept: what keeps the programs; by default, all are kept until the block ends.
    """
    token = _shared.set(ProgramCache(sys.maxsize) if kept is None else kept)
    try:
        yield
    finally:
        _shared.reset(token)


def found_or_made(key: Hashable, make: Callable[[], Program]) -> Program:
    """Returns a program that is shared or, outside `shared_programs`, a new one."""
    shared = _shared.get()
    return make() if shared is None else shared.get(key, make)


_shared: contextvars.ContextVar[ProgramCache | None] = contextvars.ContextVar("shared_programs", default=None)
