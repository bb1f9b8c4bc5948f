"""`python -m tests.faults`: see `--help`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

from tests.faults.cases import Bench, Case, Finding, shuffled
from tests.faults.sections import SECTIONS
from tests.faults.table import line, summary, table

QUICK_SECONDS = 165.0
GRACE = 10.0
"""Seconds for what runs when the time is over."""
FAILED = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the chosen sections, prints the table and returns 4 if anything was wrong, else 0."""
    options = _parser().parse_args(argv)
    names = [name for name in SECTIONS if not options.only or name in options.only.split(",")]
    if unknown := sorted(set(filter(None, options.only.split(","))) - set(SECTIONS)):
        _parser().error(f"--only={options.only}: there is no section {unknown[0]}; there are {', '.join(SECTIONS)}")
    seconds = options.seconds or (QUICK_SECONDS if options.quick else float("inf"))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="reglab-faults-", dir=options.folder))
    folder.chmod(0o711)  # Cases that play another user must get through.
    out = sys.stderr if options.json else sys.stdout
    bench = Bench(folder, options.seed, options.keep, options.workers)
    findings: list[Finding] = []
    totals: dict[str, int] = {}
    began = time.monotonic()
    try:
        for at, name in enumerate(names):
            if time.monotonic() > began + seconds:
                totals[name] = 0
                continue
            cases = shuffled(_chosen(SECTIONS[name].cases(bench, not options.quick), options.case), options.seed)
            totals[name] = len(cases)
            deadline = began + seconds * _share(names[:at + 1]) / _share(names)
            print(f"{name}: {len(cases)} cases{'' if seconds == float('inf') else ', as many as the time allows'}",
                  file=out, flush=True)
            end = min(deadline, began + seconds) + GRACE
            findings += bench.run(name, cases, deadline, end, _shower(out, options.verbose))
    except KeyboardInterrupt:
        print("interrupted: what was found until now", file=out)
    finally:
        bench.commands.close()
        for section in SECTIONS.values():
            section.end(bench)
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    for name in names:
        if text := SECTIONS[name].report(bench):
            print(f"\n{name}\n{text}", file=out)
    print(f"\n{table(findings, totals)}\n\n{summary(findings, totals, time.monotonic() - began, options.seed)}",
          file=out, flush=True)
    if options.quick:
        print("The full form has more of each: every training, folds and paths, and all cases of this list.", file=out)
    if options.keep:
        print(f"Kept in {folder}", file=out)
    if options.json:
        print(json.dumps([_as_json(finding) for finding in findings]))
    return FAILED if any(finding.verdict.kind == "wrong" for finding in findings) else 0


def _share(names: Sequence[str]) -> float:
    return sum(SECTIONS[name].share for name in names)


def _chosen(cases: Sequence[Case], wanted: str) -> list[Case]:
    return [case for case in cases if wanted in f"{case.group}: {case.name}"]


def _shower(out: object, verbose: bool) -> Callable[[Finding], None]:
    def show(finding: Finding) -> None:
        if verbose or finding.verdict.kind == "wrong":
            print(line(finding), file=out, flush=True)  # type: ignore[call-overload]
    return show


def _as_json(finding: Finding) -> dict[str, object]:
    return {"section": finding.section, "group": finding.case.group, "name": finding.case.name,
            **dataclasses.asdict(finding.verdict), "seconds": finding.seconds, "repeat": finding.repeat}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", allow_abbrev=False,
        description="Breaks runs of reglab in every way it knows, and says what became of each: recovered, refused, or "
                    "wrong. Exit code 4 if anything is wrong.")
    parser.add_argument("--quick", action="store_true", help="a fair sample in three minutes")
    parser.add_argument("--only", default="", metavar="SECTION,...", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--case", default="", metavar="TEXT", help="only cases whose group and name have this text")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default 0)")
    parser.add_argument("--seconds", type=float, help="as many cases as fit into this time")
    parser.add_argument("--workers", type=int, default=2, help="cases at once (default 2)")
    parser.add_argument("--json", action="store_true", help="all findings as JSON on stdout, all else on stderr")
    parser.add_argument("--keep", action="store_true", help="keep the folders of what went wrong, and say where")
    parser.add_argument("--folder", help="where to work (default: the system's temporary folder)")
    parser.add_argument("--verbose", action="store_true", help="a line for every case, not only for those gone wrong")
    return parser


if __name__ == "__main__":
    sys.exit(main())
