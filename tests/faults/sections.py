"""The sections, their shares of a bounded time, and what is left to end after them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final

from tests.faults import adapters, damage, inputs, kills, mounts, owners, storage
from tests.faults.cases import Bench, Case


@dataclasses.dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
      cases: makes its cases; told whether the form is the full one.
      share: of a bounded time, in relation to the others.
      end: removes what it may have left.
      report: tells more than the table does.
    """

    cases: Callable[[Bench, bool], list[Case]]
    share: float
    end: Callable[[Bench], None] = lambda bench: None
    report: Callable[[Bench], str] = lambda bench: ""


SECTIONS: Final[Mapping[str, Section]] = {
    "input": Section(lambda bench, full: inputs.cases(bench), 20),
    "kills": Section(kills.cases, 40),
    "damage": Section(damage.cases, 60),
    "disk": Section(storage.cases, 25, mounts.end),
    "owners": Section(owners.cases, 15),
    "signals": Section(adapters.signal_cases, 25, report=adapters.signal_report),
    "long": Section(adapters.long_cases, 0),
}
