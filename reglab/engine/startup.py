"""Importing TensorFlow quickly and quietly.

`import tensorflow` takes as long as all the rest of a small run, since it imports all of Keras, only to register Keras'
optimizers with its checkpoints. Nothing here needs that, and it is as ever afterwards: whoever asks for `tf.keras` or
`import keras` gets it then.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType

from reglab.engine.compile_cache import use_compile_cache
from reglab.engine.noise import captured_stderr


def quiet_tensorflow(*, whole_process: bool = False) -> ModuleType:
    """Imports TensorFlow, showing nothing unless that fails; returns the module. One that is imported already stays.

    The first lines that TensorFlow logs obey no environment variable, so they are held back (`captured_stderr`). Later
    ones do: `TF_CPP_MIN_LOG_LEVEL` is set to 3, since TensorFlow logs as an error that it has read compiled code from
    disk; true errors are Python exceptions too. A user who set the variable to 0 or 1 sees all of the noise.

    Args:
      whole_process: nobody but reglab uses this process. Then the garbage collector passes over what was imported.
    """
    global _whole_process
    loaded = sys.modules.get("tensorflow")
    if loaded is not None:
        return loaded
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet():
        tensorflow = _import_tensorflow()
    if whole_process:
        _whole_process = True
        gc.freeze()  # Half a million objects that live to the end, and that each collection would look at.
    return tensorflow


_whole_process = False


def is_whole_process() -> bool:
    """Whether nobody but reglab uses this process: then its code is what stands in its files."""
    return _whole_process


def start_devices(compile_cache: str | None, warn: Callable[[str], None]) -> None:
    """Has TensorFlow look for its devices, quietly, after telling it where compiled code is kept.

    Args:
      compile_cache: see `Config.compile_cache`. TensorFlow hears of it only once a process: what was said first holds.
      warn: told, in a line, if the folder of compiled code cannot be used.
    """
    import tensorflow as tf
    problem = use_compile_cache(compile_cache)
    with _quiet():
        tf.config.list_physical_devices()
    if problem is not None:
        warn(problem)


def _import_tensorflow() -> ModuleType:
    """TensorFlow, imported with less; should it not bear that, in the plain way."""
    if "keras" in sys.modules:
        return importlib.import_module("tensorflow")
    was_enabled = gc.isenabled()
    gc.disable()  # Nothing that an import makes is garbage.
    finder = _HoldKerasBack()
    sys.meta_path.insert(0, finder)
    try:
        with contextlib.suppress(Exception):
            return importlib.import_module("tensorflow")
    finally:
        sys.meta_path.remove(finder)
        if was_enabled:
            gc.enable()
    return importlib.import_module("tensorflow")


class _HoldKerasBack:
    """Refuses the modules of Keras to the thread that made it: TensorFlow goes on without them."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Finds nothing.

        Raises:
          ImportError: the module is one of Keras'.
        """
        # Not `keras` itself: TensorFlow asks where that lies.
        if name.startswith("keras.") and threading.get_ident() == self._thread:
            raise ImportError(f"{name} is imported when it is used", name=name)


def _quiet() -> contextlib.AbstractContextManager[None]:
    """Holds noise back unless the user wants to see it."""
    wanted = os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1")
    return contextlib.nullcontext() if wanted else captured_stderr()
