"""Which models there are, in the order in which `--help` names them."""

from __future__ import annotations

from typing import Final

from reglab.core.models.base import Model
from reglab.core.models.cnn import CNN
from reglab.core.models.mlp import MLP

_MODELS: Final[dict[str, type[Model]]] = {}


def register(model: type[Model]) -> None:
    """Makes a model known to `--model`. To be called before anything is configured.

    Raises:
      ValueError: its name is taken.
    """
    if model.name in _MODELS:
        raise ValueError(f"there is a model named {model.name!r} already")
    _MODELS[model.name] = model


def unregister(name: str) -> None:
    """Takes a model out again.

    Raises:
      KeyError: there is none of that name.
    """
    del _MODELS[name]


def registered() -> tuple[type[Model], ...]:
    """All of them, in order."""
    return tuple(_MODELS.values())


def names() -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(_MODELS)


def get(name: str) -> type[Model]:
    """The model of that name.

    Raises:
      KeyError: there is none.
    """
    return _MODELS[name]


register(MLP)
register(CNN)
