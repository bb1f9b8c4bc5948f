"""What became of a fault: `recovered`, `refused` or `wrong`.

recovered  exit code 0, and the folder tells what an undisturbed run tells; or what is lost was named in a line
refused    exit code 2 or 74 and one line on standard error that names the file or folder and says what to do
wrong      anything else: a traceback, a hang, other weights, a loss that no line names, a damaged file that stays and
           that no line names, step 0 unasked, a file touched that reglab did not write
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.faults.processes import Outcome

REFUSALS: Final = (2, 74)
LONGEST_LINE: Final = 1000
FOLDER_NAMES: Final = ("=run", "run/", "/run")
"""How a line names the folder of `subjects`."""
_ADVICE: Final = re.compile(r"[:;] \S+ \S+")
"""More after a colon or the like: first what is wrong, then what to do. That the advice is good, a test cannot tell."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One case's end.

    Attributes:
      kind: recovered, refused, wrong or skipped.
      why: for people: what is wrong, or what was said.
    """

    kind: str
    why: str = ""


class Wrong(Exception):
    """Raised within a case when what happened is wrong; the message says what."""


@dataclasses.dataclass(frozen=True)
class Damage:
    """What was done to a folder.

    Attributes:
      target: the damaged file or folder, relative to the folder.
      way: how.
      before, after: what stood there (`trees.fingerprint`) before and after.
    """

    target: str
    way: str
    before: str | None
    after: str | None


def check_alive(outcome: Outcome) -> None:
    """Raises `Wrong` for what is wrong whatever was done: a hang, a traceback, a crash."""
    if outcome.code is None:
        raise Wrong(f"hang, killed after {outcome.seconds:.0f} s{_tail(outcome)}")
    if outcome.has_traceback:
        raise Wrong(f"traceback: {_last_line(outcome)}")
    if outcome.code < 0:
        raise Wrong(f"died of signal {-outcome.code}{_tail(outcome)}")


def check_refusal(outcome: Outcome, codes: Iterable[int] = REFUSALS, names: Iterable[str] = ()) -> str:
    """The line of a proper refusal: one on standard error, not too long, that says what to do, and `names` some name.

    Raises:
      Wrong: the command ended in another way.
    """
    check_alive(outcome)
    if outcome.code not in codes:
        raise Wrong(f"exit code {outcome.code}{_tail(outcome)}")
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    if len(lines) != 1 or not lines[0].startswith("reglab: "):
        raise Wrong(f"{len(lines)} lines on standard error: {' | '.join(lines)[:300] or _last_line(outcome)}")
    if len(lines[0]) > LONGEST_LINE:
        raise Wrong(f"a line of {len(lines[0]):,} characters: {lines[0][:100]}…")
    if not _ADVICE.search(lines[0].removeprefix("reglab: ")):
        raise Wrong(f"says not what to do: {lines[0]}")
    wanted = list(names)
    if wanted and not any(name in lines[0] for name in wanted):
        raise Wrong(f"names none of {', '.join(wanted)}: {lines[0]}")
    return lines[0]


def names_of(target: str) -> list[str]:
    """The texts of which a line has one if it names `target`, a path in a folder; a checkpoint goes by its step."""
    name = target.rsplit("/", 1)[-1]
    if name in ("train", "validation", "tensorboard"):
        return [f"{name}/", "event file", "event files", "events"]
    step = re.match(r"(ckpt-\d+)\b", name)
    chunk = re.match(r"(chunk-\d+|point-\d+)", name)
    return [name, *([step[1]] if step else []), *([chunk[1]] if chunk else [])]


def named(target: str, lines: Iterable[str]) -> bool:
    """Whether a line names the file, or a folder that it is in."""
    parents = target.split("/")[:-1]
    wanted = names_of(target) + [f"{parent}/" for parent in parents[-1:] if parent not in ("chunks", "checkpoints")]
    return any(_whole(text, line) for line in lines for text in wanted)


def new_lines(outcome: Outcome, usual: Outcome) -> list[str]:
    """Lines of a kind that the command does not print when nothing is wrong; numbers and paths make no kind."""
    known = {_kind(line) for line in usual.lines}
    return [line for line in outcome.lines if _kind(line) not in known]


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The parts that differ, weights first."""
    parts = [name for name in expected if expected[name] != found.get(name)]
    return sorted(parts, key=lambda name: (name != "last", name != "best", name))


def judge(outcome: Outcome, damage: Damage, *, usual: Outcome, expected: Mapping[str, Any], found: Mapping[str, Any],
          after: str | None, vital: Iterable[str] = ("last",), files: Mapping[str, str] | None = None) -> Verdict:
    """The verdict on a command that ran in a damaged folder and did not refuse.

    Args:
      usual: the same command where nothing was damaged.
      expected, found: what the folder should tell and does (`reading.read`).
      after: the fingerprint of the damaged file now.
      vital: the parts of `expected` that must be equal, named or not.
      files: part to the file that must be named if the part differs, where that is not its own name.
    """
    lines = new_lines(outcome, usual)
    parts = differences(expected, found)
    for part in parts:
        if part in vital:
            raise Wrong(f"{part} differs: {_first_difference(expected[part], found.get(part))}")
    damage_named = named(damage.target, lines)
    for part in parts:
        if not damage_named and not named((files or {}).get(part, part), lines):
            raise Wrong(f"{part} differs and no line says so: {_first_difference(expected[part], found.get(part))}")
    is_lock = "lock" in damage.target.rsplit("/", 1)[-1]  # What a lock holds is for people; it serves damaged, too.
    if after == damage.after and damage.after != damage.before and not damage_named and not is_lock:
        raise Wrong("still damaged and no line says so")
    return Verdict("recovered", next((line for line in lines if named(damage.target, [line])), ""))


def _first_difference(a: Any, b: Any) -> str:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in {**a, **b}:
            if a.get(key) != b.get(key):
                return f"{key}: {_first_difference(a.get(key), b.get(key))}"
    if isinstance(a, list) and isinstance(b, list) and len(a) != len(b):
        return f"{len(b)} entries, not {len(a)}"
    if isinstance(a, list) and isinstance(b, list):
        return next(_first_difference(x, y) for x, y in zip(a, b, strict=True) if x != y)
    return f"{str(b)[:80]}, not {str(a)[:80]}"


def _kind(line: str) -> str:
    return re.sub(r"\S*/\S*|[-+]?\d[\d.,e+-]*", "#", line)


def _whole(text: str, line: str) -> bool:
    return bool(re.search(rf"(?<![\w.-]){re.escape(text)}" + ("" if text.endswith("/") else r"(?![\w-])"), line))


def _last_line(outcome: Outcome) -> str:
    return (outcome.err.strip() or outcome.out.strip() or "nothing printed").splitlines()[-1][:300]


def _tail(outcome: Outcome) -> str:
    return f": {_last_line(outcome)}"
