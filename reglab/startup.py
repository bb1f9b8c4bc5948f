"""Importing TensorFlow quickly and quietly.

`import tensorflow` takes as long as all the rest of a small run: it imports all of Keras, only to register Keras'
optimizers with its checkpoints, and every page of its public interface. Neither is needed to train here. Both are as
ever afterwards: whoever asks for `tf.keras`, `import keras` or a page of the interface gets it then.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from reglab.compile_cache import use_compile_cache
from reglab.noise import captured_stderr

_PUT_OFF: Final = ("tensorflow._api.v2.", "tensorflow.python.keras.")
"""Pages of TensorFlow's interface, and the Keras of its first version, which still hangs on some of them."""
_NEVER_PUT_OFF: Final = "tensorflow._api.v2.compat."
"""Modules that put others in their own place when they are loaded."""


def quiet_tensorflow(*, whole_process: bool = False) -> ModuleType:
    """Imports TensorFlow, showing nothing unless that fails; returns the module. One that is imported already stays.

    The first lines that TensorFlow logs obey no environment variable, so they are held back (`captured_stderr`). Later
    ones do: `TF_CPP_MIN_LOG_LEVEL` is set to 3, since TensorFlow logs as an error that it has read compiled code from
    disk; true errors are Python exceptions too. A user who set the variable to 0 or 1 sees all of the noise.

    Args:
      whole_process: nobody but reglab uses this process. Then pages of TensorFlow's interface are loaded when they are
        first used, and the garbage collector passes over what was imported.
    """
    loaded = sys.modules.get("tensorflow")
    if loaded is not None:
        return loaded
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet():
        tensorflow = _import_tensorflow(whole_process)
    if whole_process:
        gc.freeze()  # Half a million objects that live to the end, and that each collection would look at.
    return tensorflow


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


def _import_tensorflow(lazily: bool) -> ModuleType:
    """TensorFlow, imported with less; should it not bear that, in the plain way."""
    if "keras" in sys.modules:
        return importlib.import_module("tensorflow")
    was_enabled = gc.isenabled()
    gc.disable()  # Nothing that an import makes is garbage.
    finders: list[Any] = [_HoldKerasBack(), *([_PutOff()] if lazily else [])]
    sys.meta_path[:0] = finders
    try:
        return importlib.import_module("tensorflow")
    except Exception:
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder not in finders]
    finally:
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not finders[0]]
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


class _PutOff:
    """Finds some modules of TensorFlow as modules that load when they are first used."""

    def find_spec(self, name: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        """See the class; None for any other module."""
        if not name.startswith(_PUT_OFF) or name.startswith(_NEVER_PUT_OFF):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = importlib.util.LazyLoader(_QuietLoader(spec.loader.name, spec.loader.path))
        return spec


class _QuietLoader(importlib.machinery.SourceFileLoader):
    """Loads a module that was put off, which may start more of TensorFlow's C++: as quiet as the import."""

    def exec_module(self, module: ModuleType) -> None:
        """See the class."""
        with _quiet():
            super().exec_module(module)


def _quiet() -> contextlib.AbstractContextManager[None]:
    """Holds noise back unless the user wants to see it."""
    wanted = os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1")
    return contextlib.nullcontext() if wanted else captured_stderr()
