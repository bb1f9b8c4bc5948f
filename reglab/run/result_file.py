"""Reads `result.json` back; a damaged one is reported and not used."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from reglab.config import Config
from reglab.core import penalties
from reglab.run.logs.tags import trained_loss
from reglab.run.older import with_data_loss
from reglab.run.patience import is_of_end
from reglab.storage.reading import Missing, Unreadable, is_count, is_number, read_bytes, read_object

_SPLIT: Final = ("data_loss", *penalties.standing(), "penalty", "total", "accuracy")
_ROUNDING: Final = 1e-9


def parse_result(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object in a `result.json`, unchecked, with the names that are used today.

    Raises:
      Missing: there is no such file.
      Unreadable: it cannot be read or holds something else.
    """
    return {name: with_data_loss(value) if name in ("train", "validation", "gap", "best") else value
            for name, value in read_object(path).items()}


def read_result(path: pathlib.Path, config: Config, step: int, digest: str | None,
                warn: Callable[[str], None]) -> dict[str, Any] | None:
    """Returns the contents of a run's `result.json`, or None if the run is not complete or the file is damaged.

    Args:
      step: the step of the last checkpoint.
      digest: the SHA-256 of the file, if the run noted it.
      warn: gets a line about damage; the result is then made again.
    """
    try:
        result = parse_result(path)
        if digest is not None and hashlib.sha256(read_bytes(path)).hexdigest() != digest:
            raise Unreadable("is not as the run wrote it")
        wrong = wrong_field(result)
        if wrong is not None:
            raise Unreadable(f"does not tell {wrong!r} as a result does")
    except Missing as error:
        if digest is not None:
            warn(f"result.json {error}: written again from the checkpoint")
        return None
    except Unreadable as error:
        warn(f"result.json {error}: written again from the checkpoint")
        return None
    # A result of another step was written before a checkpoint was lost; the run takes those steps again.
    return result if result["steps"] == step and is_of_end(result, config) else None


def wrong_field(result: Mapping[str, Any]) -> str | None:
    """Returns the first field of a `result.json` that is missing or that no complete run can have written, or None."""
    for name, is_right in _FIELDS.items():
        if name not in result or not is_right(result[name]):
            return name
    train, validation, gap = result["train"], result["validation"], result["gap"]
    sums = {"train": trained_loss(train) + train["penalty"] - train["total"],
            "validation": trained_loss(validation) + validation["penalty"] - validation["total"],
            "gap": validation["data_loss"] - train["data_loss"] - gap["data_loss"]}
    scale = 1 + abs(train["total"]) + abs(validation["total"])
    return next((name for name, error in sums.items() if abs(error) > _ROUNDING * scale), None)


def _is_numbers(*names: str) -> Callable[[Any], bool]:
    return lambda value: (isinstance(value, dict) and all(name in value for name in names)
                          and all(map(is_number, value.values())))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_amount(value: Any) -> bool:
    return is_number(value) and value >= 0


def _is_best(value: Any) -> bool:
    return value is None or (_is_object(value) and is_count(value.get("step")) and is_count(value.get("epoch"))
                             and is_number(value.get("data_loss")) and is_number(value.get("accuracy")))


_FIELDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "completed": lambda value: value is True, "epochs": is_count, "steps": is_count,
    "train": _is_numbers(*_SPLIT), "validation": _is_numbers(*_SPLIT), "gap": _is_numbers("data_loss", "accuracy"),
    "sparsity": lambda value: is_number(value) and 0 <= value <= 1, "sparsity_threshold": _is_amount,
    "weights": _is_numbers("penalty/total", "sparsity/total"), "best": _is_best,
    "seconds": _is_amount, "steps_per_second": _is_amount, "examples_per_second": _is_amount,
    "resumed_from": is_count, "model_dir": _is_text,
    "penalized_kernels": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "dataset": _is_text, "device": _is_text, "precision": _is_text, "strategy": _is_object,
    "xla": lambda value: value is None or _is_text(value), "versions": _is_object, "numerics": _is_object,
}
