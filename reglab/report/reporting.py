"""`report`: reads runs, comparisons, sweeps and paths, and writes one page about them."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from reglab.config import ConfigError
from reglab.inputs.texts import shown
from reglab.records.folders import find_records, named_folder
from reglab.records.record import Record
from reglab.report.document import Section, as_text
from reglab.report.experiments import KINDS
from reglab.report.of_comparison import section_of_comparison
from reglab.report.of_runs import section_of_runs, told_of
from reglab.report.of_sweep import section_of_sweep
from reglab.report.outputs import owning_report, write_report
from reglab.report.page import page
from reglab.report.views import RunView, names_of, view_runs
from reglab.storage.json_values import for_json

OUTPUT: Final = "report.html"


@dataclasses.dataclass(frozen=True)
class Report:
    """A report.

    Attributes:
      output: the file of the page.
      sections: what it tells.
      runs: the runs.
      experiments: the comparisons, sweeps and paths.
    """

    output: pathlib.Path
    sections: tuple[Section, ...]
    runs: tuple[RunView, ...]
    experiments: tuple[Record, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain JSON values."""
        told: dict[str, Any] = for_json({
            "output": str(self.output), "sections": [
                {"title": section.title, "sentences": list(section.sentences), "problems": list(section.problems)}
                for section in self.sections],
            "runs": list(map(told_of, self.runs)),
            "experiments": [{**record.to_dict(), "result": dict(record.content) or None}
                            for record in self.experiments]})
        return told

    def __str__(self) -> str:
        return as_text(self.sections)

    def __repr__(self) -> str:
        return f"<reglab report: {_counted(self.runs, self.experiments)}; {self.output}>"


def report(*folders: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
           output: str | os.PathLike[str] = OUTPUT) -> Report:
    """Writes one HTML page about runs, comparisons, sweeps and paths; it asks nothing of any server.

    Only what they wrote is read, so a run in progress is told as it stands; nothing in their folders is changed. What
    is damaged is named in a line.

    Args:
      folders: their folders, or folders in which they lie; one by one, or in lists.
      output: the file to write. One that is there is replaced only if it is a report as reglab wrote it.

    Raises:
      ConfigError: there is no such folder, there is nothing in it, or `output` cannot be used.
      StorageError: the file system refused to write.
    """
    named = [folder for one in folders for folder in ([one] if isinstance(one, str | os.PathLike) else one)]
    if not named:
        raise ConfigError("there is nothing to report on: name the folders of runs, comparisons or sweeps, such as "
                          "runs/a runs/b, or a folder in which they lie")
    with owning_report(output) as path:
        records = _found(named)
        runs = tuple(view_runs([record for record in records if record.kind == "run"]))
        experiments = tuple(record for record in records if record.kind != "run")
        names = names_of(experiments)
        sections = [*([section_of_runs(runs)] if runs else []), *(
            (section_of_comparison if record.kind == "compare" else section_of_sweep)(record, name)
            for record, name in zip(experiments, names, strict=True))]
        stood = "it stood" if len(runs) + len(experiments) == 1 else "they stood"
        lead = f"{_counted(runs, experiments)}, as {stood} on {time.strftime('%d %B %Y at %H:%M').lstrip('0')}"
        write_report(path, page("reglab report", lead, sections))
    return Report(path, tuple(sections), runs, experiments)


def _found(named: Sequence[str | os.PathLike[str]]) -> list[Record]:
    """Returns the records in folders, each once, in the order of the names.

    Raises:
      ConfigError: there is no such folder, or nothing in it.
    """
    found: dict[str, Record] = {}
    for name in named:
        records = list(find_records(named_folder(name)))
        if not records:
            raise ConfigError(f"{shown(os.fspath(name))} holds no run, comparison or sweep: name the folder of one, or "
                              "one in which they lie")
        for record in records:
            found.setdefault(os.path.realpath(record.folder), record)
    return list(found.values())


def _counted(runs: Sequence[Any], experiments: Sequence[Record]) -> str:
    counts = Counter({"run": len(runs)})
    counts.update(KINDS[record.kind].lower() for record in experiments)
    told = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items() if count]
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
