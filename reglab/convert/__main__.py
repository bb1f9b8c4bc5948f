"""`python -m reglab.convert`: strengths of penalties in the words of other libraries. See `--help`."""

from __future__ import annotations

import sys
import textwrap
from typing import Any, Final

from reglab.cli.commands import Command, run_process
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.convert.base import written
from reglab.convert.conversion import CONVENTIONS, Conversion, convert
from reglab.inputs import exit_codes
from reglab.storage.json_values import strict_json

PURPOSE: Final = ("Say what the strength of a penalty in one library is in others, and what each takes for granted: a "
                  "mean or a sum of losses, 1/2 or not, biases or not.")
_TAKEN_BY: Final = {name: ", ".join(convention.name for convention in CONVENTIONS.values()
                                    if any(parameter.name == name for parameter in convention.parameters))
                    for convention in CONVENTIONS.values() for name in (p.name for p in convention.parameters)}
FLAGS: Final[ExtraFlags] = {
    "from": (tuple(CONVENTIONS), f"In whose words the strength is given: {', '.join(CONVENTIONS)}.", "reglab"),
    **{name: (float, f"Of --from={conventions}.", None) for name, conventions in _TAKEN_BY.items()},
    "examples": (int, "Number of training examples, which libraries need that sum losses (sklearn).", None),
    "classes": (int, "Number of classes: 2 makes a difference to linear classifiers.", None),
}
_COLUMNS: Final = (13, 9, 13, 11)
_WIDTH: Final = 120


def _convert(given: CommandLine) -> int:
    values = dict(given.values)
    source, examples, classes = values.pop("from"), values.pop("examples"), values.pop("classes")
    done = convert(source, values, examples=examples, classes=classes)
    for line in described(done):
        print(line, file=sys.stderr if given.json else sys.stdout)
    if given.json:
        print(strict_json(done.to_dict()))
    return exit_codes.SUCCESS


def described(done: Conversion) -> list[str]:
    """Returns the conversion as lines of text: what was given, a table of all libraries, and a note for each."""
    problem: dict[str, Any] = {name: value for name, value in done.problem._asdict().items() if value is not None}
    given = ", ".join(f"{name} = {written(value)}" for name, value in {**done.given, **problem}.items())
    lines = [f"Given: {CONVENTIONS[done.source].title}, {given}", "",
             _row("", "losses", "L2", "biases", "the same there")]
    for name, words in done.words.items():
        library = CONVENTIONS[name]
        lines.append(_row(name, library.loss, library.l2, library.biases, words.code))
    for name, words in done.words.items():
        notes = " ".join([f"{CONVENTIONS[name].title}." * (name != "reglab"), words.lacks, *CONVENTIONS[name].notes])
        lines += ["", *textwrap.wrap(f"{name:<{_COLUMNS[0]}}{' '.join(notes.split())}", _WIDTH,
                                     subsequent_indent=" " * _COLUMNS[0])]
    return lines


def _row(*cells: str) -> str:
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, (*_COLUMNS, 0), strict=True))


main: Final = Command("reglab.convert", PURPOSE, _convert, FLAGS, trains=False).main

if __name__ == "__main__":
    run_process(main)
