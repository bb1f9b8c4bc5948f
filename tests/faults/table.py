"""What was found, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.faults.cases import Finding

_KINDS: Final = ("recovered", "refused", "wrong")


def line(finding: Finding) -> str:
    """A finding in a line, and how to repeat it where it is wrong."""
    text = f"  {finding.verdict.kind:9}  {finding.section}, {finding.case.group}: {finding.case.name}"
    if finding.verdict.why:
        text += f": {' '.join(finding.verdict.why.split())}"
    return text + (f"\n             {finding.repeat}" if finding.verdict.kind == "wrong" else "")


def table(findings: Sequence[Finding], totals: Mapping[str, int]) -> str:
    """A row for each group of each section, and one for all."""
    rows: dict[str, list[str]] = {}
    for finding in findings:
        if finding.verdict.kind != "skipped":
            rows.setdefault(f"{finding.section}: {finding.case.group}", []).append(finding.verdict.kind)
    everything = [kind for kinds in rows.values() for kind in kinds]
    width = max([len(name) for name in rows] + [5])
    lines = [f"{'':{width}}  {'tried':>9}" + "".join(f"  {kind:>9}" for kind in _KINDS)]
    for name, kinds in [*sorted(rows.items()), ("all", everything)]:
        lines.append(f"{name:{width}}  {len(kinds):>9}" + "".join(f"  {kinds.count(kind):>9}" for kind in _KINDS))
    return "\n".join(lines)


def summary(findings: Sequence[Finding], totals: Mapping[str, int], seconds: float, seed: int) -> str:
    """How much of everything this was, and what was skipped."""
    skipped = [finding for finding in findings if finding.verdict.kind == "skipped"]
    lines = [f"{len(findings)} of {sum(totals.values())} cases in {seconds:.0f} s, seed {seed}: " + ", ".join(
        f"{name} {sum(finding.section == name for finding in findings)} of {total}" for name, total in totals.items())]
    for why in sorted({finding.verdict.why for finding in skipped}):
        lines.append(f"Skipped {sum(finding.verdict.why == why for finding in skipped)}: {why}")
    return "\n".join(lines)
