"""The files of a sweep's finished parts, which are chunks of a grid or points of a path.

Each file says which part of which sweep it holds and has a digest of its whole contents, so that a file that was
damaged, changed, put in another's place or taken from another sweep is never used.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from reglab.core.penalties.by_name import as_dict
from reglab.run.older import with_data_loss
from reglab.storage.reading import Missing, Unreadable, read_bytes

if TYPE_CHECKING:
    from reglab.lab.lanes import Lane


class NotThePart(ValueError):
    """A file does not hold what it should; the message is the reason, to be put after its name."""


def digest_of(value: Any) -> str:
    """Returns the SHA-256 of a JSON value, which does not depend on how that was formatted."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plan_of_today(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a plan in today's form: an earlier reglab called the choice by data loss `data`."""
    return {**plan, "selection": "data_loss"} if plan.get("selection") == "data" else dict(plan)


def plan_digest(plan: Mapping[str, Any]) -> str:
    """Returns the digest that the parts of a plan name: that of its first wording, so that older parts stay valid."""
    return digest_of({**plan, "selection": "data"} if plan.get("selection") == "data_loss" else plan)


def identity(plan: str, number: int, fold: int | None, lanes: Sequence[Lane], steps: int) -> dict[str, Any]:
    """Returns what identifies a part: the digest of its plan, its place, fold and lanes, and its number of steps."""
    return {"plan": plan, "number": number, "fold": fold, "lanes": [as_dict(lane) for lane in lanes],
            "steps": steps}


def sealed(evaluations: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the contents of a part's file: the evaluations, the identity of the part, and the digest of both."""
    content = {**evaluations, "part": part}
    return {**content, "digest": digest_of(content)}


def read_sealed(path: pathlib.Path, part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the evaluations of a part, or None if there is no such file.

    Raises:
      NotThePart: the file holds something else.
    """
    text = _text_in(path)
    if text is None:
        return None
    content = _object_of(text)
    theirs, digest = content.get("part"), content.pop("digest", None)
    if theirs is None and digest is None and "part" not in content:
        raise NotThePart("does not say what it holds, as an older reglab wrote it")
    if not isinstance(theirs, dict) or digest != digest_of(content):
        raise NotThePart("is damaged or was changed")
    if theirs != part:
        raise NotThePart("is of another sweep" if theirs.get("plan") != part["plan"] else
                         f"holds part {theirs.get('number')} in place of part {part['number']}")
    if not text.endswith("\n"):
        raise NotThePart("is damaged: its last byte is gone")
    del content["part"]
    return _of_today(content)


def _of_today(evaluations: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the evaluations of a chunk under today's names."""
    return {name: with_data_loss(value) if name in ("train", "validation") else value
            for name, value in evaluations.items()}


def _text_in(path: pathlib.Path) -> str | None:
    try:
        return read_bytes(path).decode()
    except Missing:
        return None
    except Unreadable as error:
        raise NotThePart(str(error)) from None
    except ValueError:
        raise NotThePart("is damaged") from None


def _object_of(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotThePart("is damaged") from None
    if not isinstance(content, dict):
        raise NotThePart("is damaged")
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
