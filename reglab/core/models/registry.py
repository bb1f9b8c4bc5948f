"""The registry of models, in the order in which `--help` lists them."""

from __future__ import annotations

from typing import Final

from reglab.core.models.base import Model
from reglab.core.models.cnn import CNN
from reglab.core.models.mlp import MLP

_MODELS: Final[dict[str, type[Model]]] = {}


def register(model: type[Model]) -> None:
    """Makes a model available to `--model`. Call it before anything is configured.

    Raises:
      ValueError: a model of this name already exists.
    """
    if model.name in _MODELS:
        raise ValueError(f"there is a model named {model.name!r} already")
    _MODELS[model.name] = model


def unregister(name: str) -> None:
    """Removes a model.

    Raises:
      KeyError: there is no model of this name.
    """
    del _MODELS[name]


def registered() -> tuple[type[Model], ...]:
    """All models, in order."""
    return tuple(_MODELS.values())


def names() -> tuple[str, ...]:
    """The names of all models, in order."""
    return tuple(_MODELS)


def get(name: str) -> type[Model]:
    """Returns the model of this name.

    Raises:
      KeyError: there is no model of this name.
    """
    return _MODELS[name]


register(MLP)
register(CNN)
