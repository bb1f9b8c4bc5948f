"""The page: one HTML file that asks nothing of any server. Its policy of contents forbids it to."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Final

from reglab import __version__
from reglab.report.document import Block, Folded, Pictures, Section, Table
from reglab.report.style import STYLE

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_LONG: Final = 28


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """Returns the report as HTML."""
    links = "".join(f'<li><a href="#s{at}">{_text(section.title)}</a></li>' for at, section in enumerate(sections))
    nav = f"<nav><ul>{links}</ul></nav>" if len(sections) > 1 else ""
    body = "\n".join(_section(at, section) for at, section in enumerate(sections))
    return f"""<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="reglab {__version__}">
<title>{_text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>{_text(title)}</h1><p class="quiet">{_text(lead)}</p>{nav}</header>
<main>
{body}
</main>
<footer class="quiet">Made by reglab {__version__}. Data loss is the mean cross-entropy in nats, never with a penalty in
it.</footer>
</body>
</html>
"""


def _section(at: int, section: Section) -> str:
    parts = [f'<section id="s{at}"><h2>{_text(section.title)}</h2>']
    if section.lead:
        parts.append(f'<p class="quiet">{_text(section.lead)}</p>')
    if section.sentences:
        parts.append(f'<div class="found">{"".join(f"<p>{_text(one)}</p>" for one in section.sentences)}</div>')
    if section.problems:
        lines = "".join(f"<li>{_text(problem)}</li>" for problem in section.problems)
        parts.append(f'<div class="damaged"><p>Some files are damaged or missing:</p><ul>{lines}</ul></div>')
    return "\n".join([*parts, *map(_block, section.blocks), "</section>"])


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Folded):
        return (f"<details><summary>{_text(block.title)}</summary>{''.join(map(_table, block.blocks))}</details>"
                if block.blocks else "")
    return _pictures(block)


def _pictures(block: Pictures) -> str:
    key = "".join(f"<li>{mark}<span>{_text(name)}</span></li>" for mark, name in block.key)
    figures = "".join(f"<figure><figcaption>{_text(picture.title)}</figcaption>{picture.svg}"
                      f"{_notes(picture.notes)}</figure>" for picture in block.pictures)
    return (f'<ul class="keys">{key}</ul>' if key else "") + f'<div class="charts">{figures}</div>{_notes(block.notes)}'


def _table(table: Table) -> str:
    if not table.rows:
        return ""
    kinds = [' class="n"' if column.is_number else ' class="w"' if _is_prose(table, at) else ""
             for at, column in enumerate(table.columns)]
    head = "".join(f'<th scope="col"{kind}>{_text(column.title)}</th>' for column, kind in
                   zip(table.columns, kinds, strict=True))
    rows = []
    for at, row in enumerate(table.rows):
        cells = [f'<th scope="row"{kinds[0]}>{_text(row[0])}</th>']
        cells += [f"<td{kind}{_shade(table, at, place)}>{_cell(cell)}</td>" for place, (cell, kind) in
                  enumerate(zip(row[1:], kinds[1:], strict=True), 1)]
        rows.append(f"<tr{' class=strong' if at in table.strong else ''}>{''.join(cells)}</tr>")
    return (f'<div class="wide" tabindex="0" role="region" aria-label="{_text(table.title)}"><table>'
            f"<caption>{_text(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
            f"</div>{_notes(table.notes)}")


def _cell(text: str) -> str:
    """Returns a cell, whose interval may stand on a line of its own."""
    value, mark, interval = text.partition(" (")
    return f"{_text(value)} <span>({_text(interval)}</span>" if mark else _text(text)


def _is_prose(table: Table, column: int) -> bool:
    """Returns whether a column has texts that are better broken than kept on one line."""
    return any(len(row[column]) > _LONG for row in table.rows)


def _shade(table: Table, row: int, place: int) -> str:
    depth = table.shades[row][place] if table.shades else None
    return "" if depth is None else f' style="--depth:{100 * depth:.0f}%"'


def _notes(notes: Sequence[str]) -> str:
    return "".join(f'<p class="note">{_text(note)}</p>' for note in notes)


def _text(text: str) -> str:
    return html.escape(text)
