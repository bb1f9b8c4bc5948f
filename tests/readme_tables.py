"""The README's tables of flags and tags, made from the declarations: `python -m tests.readme_tables` writes them."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

from reglab.cli import flags
from reglab.cli.dry_run import DRY_RUN
from reglab.compare import __main__ as compare
from reglab.config import FLAGS, spelled
from reglab.core import penalties
from reglab.run.logs.tags import meanings
from reglab.sweep import __main__ as sweep

README = pathlib.Path(__file__).parent.parent / "README.md"


def written(text: str) -> str:
    """The README with its tables as the declarations have them."""
    for title, lines in (("Flags", flags_of_runs()), ("Flags of compare and sweep", flags_of_the_lab()),
                         ("Tags", tags())):
        place = re.search(rf"(?<=<!-- {title}: `python -m tests\.readme_tables` writes this table\. -->\n).*?"
                          r"(?=<!-- End\. -->)", text, re.DOTALL)
        assert place is not None, f"README.md has no place for the table '{title}'"
        text = "\n".join([text[:place.start()], *lines, "", text[place.end():]])
    return text


def flags_of_runs() -> Iterator[str]:
    """Every flag of a run under the heading of its section, and those that every command has."""
    yield from ("| flag | default | meaning |", "|---|---|---|")
    for section in dict.fromkeys(flag.section for flag in FLAGS.values()):
        yield f"| **{_cell(section.partition(':')[0])}** | | |"
        for flag in (flag for flag in FLAGS.values() if flag.section == section):
            yield _row(f"`--{flag.name}`", spelled(flag.default), _cell(flag.help))
    yield "| **Other** | | |"
    for name, text in flags.OTHER.items():
        yield _row(f"`--{name}`", "", _cell(text))


def flags_of_the_lab() -> Iterator[str]:
    """What compare and sweep have besides, or instead."""
    yield from ("| flag of compare and sweep | default | meaning |", "|---|---|---|")
    for command, extra in (("compare", compare.EXTRA), ("sweep", sweep.extra_flags())):
        for name, (_, text, default) in extra.items():
            if name not in DRY_RUN:
                yield _row(f"{command} `--{name}`", spelled(default), _cell(text))
    for name, (_, text, default) in DRY_RUN.items():
        yield _row(f"these and train `--{name}`", spelled(default), _cell(text))


def tags() -> Iterator[str]:
    """What each tag of TensorBoard means."""
    yield from ("| tag | in run | meaning |", "|---|---|---|")
    for meaning in meanings(penalties.standing()):
        yield _row(*meaning)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _cell(text: str) -> str:
    """A text that Markdown shows as it is, with flags as code."""
    return re.sub(r"(--\w+(=\w+)?)", r"`\1`", re.sub(r"([|<*])", r"\\\1", text))


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
