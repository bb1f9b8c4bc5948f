"""What the sections on comparisons, sweeps and paths have in common."""

from __future__ import annotations

from reglab.console.format import size
from reglab.records.record import Record
from reglab.records.settings import spoken, unusual
from reglab.records.told import text_at, texts_at, value_at
from reglab.report.cells import rows_of_settings
from reglab.report.document import Column, Folded, Table

KINDS = {"compare": "Comparison", "sweep": "Sweep", "path": "Path"}


def title_of(record: Record, name: str) -> str:
    """Returns the title of a section: `Sweep grid`."""
    return f"{KINDS[record.kind]} {name}"


def lead_of(record: Record) -> str:
    """Returns the line below the title: folder, state, data, over what means are taken, size."""
    state = record.state + (f" ({record.note})" if record.note else "")
    over = text_at(record.content, "findings", "over")
    return "; ".join(filter(None, [str(record.folder), state, text_at(record.content, "dataset") or record.dataset,
                                   over and f"means over {over}", size(record.size or 0) + " on the disk"]))


def sentences_of(record: Record) -> list[str]:
    """Returns what was found, in the words of the command that found it."""
    content = record.content
    found = [*texts_at(content, "findings", "sentences"), *texts_at(content, "findings", "warm_starts", "sentences"),
             text_at(content, "findings", "standard_error"), text_at(content, "test", "sentence"),
             text_at(content, "verdict", "text")]
    return [text for text in found if text]


def folded_settings(record: Record) -> Folded:
    """Returns the settings other than the default, to unfold."""
    title = "Settings other than the default"
    return Folded(title, [Table(title, [Column("flag", False), Column("value", False)],
                                rows_of_settings(unusual([record]), spoken))])


def diverged_notes(record: Record) -> list[str]:
    """Returns a line where some of what was trained diverged."""
    nonfinite = value_at(record.content, "nonfinite")
    count = len(nonfinite) if isinstance(nonfinite, list) else 0
    return [f"In {count} of what was trained some numbers were not finite."] if count else []
