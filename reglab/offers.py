"""What a package offers without importing it: names that `dir` and tab completion list, imported when asked for."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any


def offer(package: str, homes: Mapping[str, Collection[str]], *, modules: Collection[str] = (),
          light: Collection[str] = (), called: str | None = None
          ) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the functions `__getattr__` and `__dir__` of a package.

    Args:
      package: the package's `__name__`.
      homes: maps modules to the names that they define.
      modules: names of modules of the package that are offered themselves.
      light: the homes that do without TensorFlow. Before any other, TensorFlow is imported, quietly.
      called: the function that the package is when called, where both have the same name.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f"{package}.{name}")
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if home_of[name] not in light:
            from reglab.engine.startup import quiet_tensorflow
            quiet_tensorflow()
        return getattr(importlib.import_module(home_of[name]), name)

    if called is not None:
        function = called

        class CalledModule(types.ModuleType):
            def __call__(self, *arguments: Any, **options: Any) -> Any:
                return get(function)(*arguments, **options)

        sys.modules[package].__class__ = CalledModule
    return get, lambda: sorted({*filter(_is_special, vars(sys.modules[package])), *modules, *home_of})


def _is_special(name: str) -> bool:
    return name.startswith("__")
