"""A report as a document: sections of sentences, tables and pictures, from which the text and the page are made."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

WIDTH: Final = 120
"""The length of the lines of prose in the text; tables may be wider."""


class Column(NamedTuple):
    """A column: its title, and whether it holds numbers, which are aligned on the right."""

    title: str
    is_number: bool = True


class Table(NamedTuple):
    """A table.

    Attributes:
      title: what it shows.
      columns: its columns; the first names the row.
      rows: the cells as texts.
      strong: the rows to stand out, which say why in one of their cells.
      shades: for each cell the depth of its background from 0 to 1, or None; the numbers say the same.
      notes: lines below it.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    strong: frozenset[int] = frozenset()
    shades: Sequence[Sequence[float | None]] | None = None
    notes: Sequence[str] = ()


class Picture(NamedTuple):
    """A picture: what it shows, the SVG, and lines below it."""

    title: str
    svg: str
    notes: Sequence[str] = ()


class Pictures(NamedTuple):
    """Pictures side by side, and the key to their lines: for each its mark (SVG) and its name."""

    pictures: Sequence[Picture]
    key: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


class Folded(NamedTuple):
    """Blocks that the page shows when asked to, and the text leaves out."""

    title: str
    blocks: Sequence[Table]


Block = Table | Pictures | Folded


class Section(NamedTuple):
    """A part of the report.

    Attributes:
      title: its title.
      lead: a line below the title, such as a folder and its state.
      sentences: what was found.
      blocks: tables and pictures.
      problems: a line for each file that is damaged or missing.
    """

    title: str
    lead: str = ""
    sentences: Sequence[str] = ()
    blocks: Sequence[Block] = ()
    problems: Sequence[str] = ()


def as_text(sections: Sequence[Section]) -> str:
    """Returns the report for a terminal: all of it but the pictures and what the page folds away."""
    return "\n\n".join("\n".join(_lines(section)) for section in sections)


def _lines(section: Section) -> Iterator[str]:
    yield section.title
    if section.lead:
        yield section.lead
    for sentence in section.sentences:
        yield from textwrap.wrap(sentence, WIDTH)
    for block in section.blocks:
        if isinstance(block, Table) and block.rows:
            yield ""
            yield from _table(block)
    if section.problems:
        yield ""
        yield from (f"Damaged: {problem}" for problem in section.problems)


def _table(table: Table) -> Iterator[str]:
    yield table.title
    titles = [column.title for column in table.columns]
    widths = [max(map(len, cells)) for cells in zip(titles, *table.rows, strict=True)]
    for row in (titles, *table.rows):
        yield "  " + "  ".join(cell.rjust(width) if column.is_number else cell.ljust(width) for cell, width, column
                               in zip(row, widths, table.columns, strict=True)).rstrip()
    for note in table.notes:
        yield from textwrap.wrap(note, WIDTH, initial_indent="  ", subsequent_indent="  ")
