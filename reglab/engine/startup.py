"""Imports TensorFlow quickly and quietly.

`import tensorflow` takes as long as all the rest of a small run, since it imports all of Keras, only to register Keras'
optimizers with its checkpoints. Nothing here needs that, and nothing is different afterwards: code that uses `tf.keras`
or `import keras` gets Keras then.
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
    """Imports TensorFlow, silently unless that fails, and returns the module; if already imported, returns it as it is.

    TensorFlow's first log lines ignore every environment variable, so they are held back (`captured_stderr`). Later
    ones do not: `TF_CPP_MIN_LOG_LEVEL` is set to 3, since TensorFlow logs the reading of compiled code from disk as an
    error; true errors are also Python exceptions. Users who set the variable to 0 or 1 see all the log lines.

    Args:
      whole_process: whether reglab is the only user of this process. If so, the garbage collector will skip everything
        that was imported.
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
        gc.freeze()  # Half a million objects that live to the end, which every collection would have to visit.
    return tensorflow


_whole_process = False


def is_whole_process() -> bool:
    """Whether reglab is the only user of this process, so that its running code is the code in its files."""
    return _whole_process


def start_devices(compile_cache: str | None, warn: Callable[[str], None]) -> None:
    """Makes TensorFlow find its devices, quietly, after telling it where compiled code is kept.

    Args:
      compile_cache: see `Config.compile_cache`. Only the first call in a process has an effect.
      warn: called with a line of text if the folder of compiled code cannot be used.
    """
    import tensorflow as tf
    problem = use_compile_cache(compile_cache)
    with _quiet():
        tf.config.list_physical_devices()
    if problem is not None:
        warn(problem)


def _import_tensorflow() -> ModuleType:
    """Imports TensorFlow without Keras or, if that fails, in the ordinary way."""
    if "keras" in sys.modules:
        return importlib.import_module("tensorflow")
    was_enabled = gc.isenabled()
    gc.disable()  # Nothing that an import creates is garbage.
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
    """Refuses to import Keras' modules in the thread that created it; TensorFlow carries on without them."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        """Returns None for every other module.

        Raises:
          ImportError: the module belongs to Keras.
        """
        # Not for `keras` itself: TensorFlow looks up where it is installed.
        if name.startswith("keras.") and threading.get_ident() == self._thread:
            raise ImportError(f"{name} is imported when it is used", name=name)


def _quiet() -> contextlib.AbstractContextManager[None]:
    """Holds back log lines unless the user asked for them."""
    wanted = os.environ.get("TF_CPP_MIN_LOG_LEVEL") in ("0", "1")
    return contextlib.nullcontext() if wanted else captured_stderr()
