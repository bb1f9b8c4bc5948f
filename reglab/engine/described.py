"""Describes the values that are baked into a traced function as text that is the same in every process."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import tensorflow as tf

_PLAIN: Final = (type(None), bool, int, float, str, bytes)
_PACKAGE: Final = __name__.partition(".")[0]


class Indescribable(Exception):
    """There is no known way to tell whether two such values would be traced alike."""


def described(value: Any) -> str:
    """Returns a text that is equal for values that trace alike and different for others.

    Instances of reglab's own classes are described by their fields.

    Raises:
      Indescribable: it contains an instance of a class from outside reglab, or a function without a name of its own.
    """
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, tf.DType | np.dtype):
        return value.name
    if isinstance(value, functools.partial):
        return f"{described(value.func)}{described(value.args)}{described(value.keywords)}"
    if isinstance(value, types.FunctionType):
        if not _is_ours(value) or "<" in value.__qualname__:
            raise Indescribable(value)
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{described(key)}:{described(item)}" for key, item in value.items()) + "}"
    if type(value) in (tuple, list):
        return "(" + ",".join(map(described, value)) + ")"
    return _named(type(value)) + described(_fields(value))


def _fields(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return vars(value)


def _named(kind: type) -> str:
    if not _is_ours(kind):
        raise Indescribable(kind)
    return f"{kind.__module__}.{kind.__qualname__}"


def _is_ours(named: Any) -> bool:
    return named.__module__.partition(".")[0] == _PACKAGE and "<locals>" not in named.__qualname__
