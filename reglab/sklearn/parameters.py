"""The parameters of the estimator: fields of `Config`, under scikit-learn's names where it has its own."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from typing import Any, Final

from reglab.config import FLAGS, Config

_SECTIONS: Final = ("Model", "Objective", "Optimization")
_MORE: Final = ("standardize", "class_weights", "validation_split", "jit", "precision", "deterministic",
                "evaluate_every")
"""Fields of other sections that make sense for arrays in memory. What is left out is about files, clusters, and data
that are read."""
_NAMES: Final = {"seed": "random_state", "class_weights": "class_weight"}
_DEFAULTS: Final[dict[str, Any]] = {"validation_split": 0.0, "jit": None}
_HELP: Final = {
    "seed": "Seed of the initial weights, the order of the examples and the validation part; a RandomState, or None "
            "for NumPy's, draws one at each fit.",
    "class_weights": "Weights of the classes in the data loss: \"balanced\", or a mapping from label to weight, where "
                     "others weigh 1; None: all weigh alike.",
    "validation_split": "Fraction of the examples that is held out, stratified by class, to be evaluated beside the "
                        "others in `history_`. 0 trains on all of them.",
    "jit": "Compile the training loop with XLA; None: where a fit has so many steps that it pays.",
    "batch_size": "Examples a step; all of them where there are fewer.",
}


def fields() -> dict[str, str]:
    """Maps the name of each parameter to the field of `Config` that it sets; all others keep their default."""
    chosen = [name for name, flag in FLAGS.items()
              if flag.section.partition(":")[0] in _SECTIONS or name in _MORE]
    return {_NAMES.get(name, name): name for name in chosen}


def defaults() -> dict[str, Any]:
    """Maps the name of each parameter to its default: that of `Config`, with few exceptions."""
    return {parameter: _DEFAULTS.get(name, FLAGS[name].default) for parameter, name in fields().items()}


def documented() -> str:
    """Returns the section of a docstring that tells the parameters."""
    lines = ["Parameters", "----------"]
    for parameter, name in fields().items():
        text = _HELP.get(name, FLAGS[name].help).replace("--", "")
        lines += [f"{parameter} : default {defaults()[parameter]!r}", textwrap.fill(text, 112, initial_indent="    ",
                                                                                   subsequent_indent="    ")]
    return "\n".join(lines)


def configured(parameters: Mapping[str, Any], **more: Any) -> Config:
    """Makes the configuration of a fit on one device, of which nothing is written.

    Args:
      more: fields of `Config` that replace what the parameters say.

    Raises:
      ConfigError: a value cannot be used.
    """
    given = {name: parameters[parameter] for parameter, name in fields().items()}
    return Config(**{**given, "strategy": "one_device", "summary_every": 0, **more})


Parameters: Any = dataclasses.make_dataclass(
    "Parameters", [*((name, Any, dataclasses.field(default=value)) for name, value in defaults().items()),
                   ("verbose", Any, dataclasses.field(default=False))],
    eq=False, repr=False, kw_only=True)
"""A class whose `__init__` takes every parameter by name and keeps it as it is, as scikit-learn demands."""
