"""What a convention is: how one library states the strengths of L1 and L2, and what it takes for granted."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple

from reglab.config import ConfigError


class Strengths(NamedTuple):
    """λ1 and λ2 of reglab's objective: mean cross-entropy + λ1 · Σ|W| + λ2 · ΣW², over kernels, never a bias."""

    l1: float
    l2: float


class Problem(NamedTuple):
    """What a conversion may depend on besides the numbers.

    Attributes:
      examples: the number of training examples, or None if it was not given.
      classes: the number of classes, or None for three or more.
    """

    examples: int | None = None
    classes: int | None = None

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes, for which many libraries have one vector of weights instead of two."""
        return self.classes == 2


class Words(NamedTuple):
    """Strengths as one library states them.

    Attributes:
      settings: its parameters by name, or None if it has no equivalent of either term.
      code: the settings as one writes them there, or else why there are none.
      lacks: which part of the objective has no equivalent there and what to do instead, as a sentence; "" if none.
    """

    settings: Mapping[str, float] | None
    code: str
    lacks: str = ""


NO_EQUIVALENT: Final = "no equivalent"


class NoEquivalent(ConfigError):
    """What the library does is no penalty of reglab's objective."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of a library, which is a flag of the command.

    Attributes:
      name: its name there.
      default: its value where it is not given; None if it has to be, unless another one is.
      most: its largest value; the least is always 0.
    """

    name: str
    default: float | None = None
    most: float = float("inf")


class Convention(abc.ABC):
    """How one library states strengths.

    Attributes:
      name: what `--from` calls it.
      title: the library and the class or function, for people.
      parameters: its parameters.
      loss: whether strengths stand beside the mean or the sum of the examples' losses.
      l2: its L2 at strength 1, in ASCII.
      biases: whether it penalizes biases.
      notes: what else it takes for granted, a sentence each.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    loss: ClassVar[str] = "mean"
    l2: ClassVar[str]
    biases: ClassVar[str]
    notes: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def strengths(self, values: Mapping[str, float], problem: Problem) -> Strengths:
        """Returns the strengths in reglab that minimize what the library minimizes with these values.

        Args:
          values: a finite number of at least 0 for each of the parameters.

        Raises:
          NoEquivalent: no strengths do.
          ConfigError: the problem does not say what is needed.
        """

    @abc.abstractmethod
    def words(self, strengths: Strengths, problem: Problem) -> Words:
        """Returns the values with which the library minimizes what reglab minimizes with these strengths."""


def written(value: float) -> str:
    """Formats a number for code: up to nine significant digits, more than float32 has."""
    return f"{value:.9g}"
