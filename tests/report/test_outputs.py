"""Only a report as reglab wrote it is ever replaced."""

from __future__ import annotations

import pathlib

import pytest

from reglab.config import ConfigError
from reglab.report.outputs import owning_report, write_report
from reglab.report.reporting import report
from tests.records.made import make_run


def test_a_report_is_replaced_by_the_next(tmp_path: pathlib.Path) -> None:
    folder, output = make_run(tmp_path / "a"), tmp_path / "new" / "r.html"
    report(folder, output=output)
    first = output.read_bytes()
    (folder / "result.json").unlink()
    report(folder, output=output)
    assert output.read_bytes() != first
    assert [path.name for path in output.parent.iterdir()] == ["r.html"]


@pytest.mark.parametrize("change", [lambda old: old + b"\n", lambda old: old[:-1], lambda old: b"", lambda old: b"mine",
                                    lambda old: old.replace(b"reglab report", b"my own report", 1)])
def test_anything_else_is_left_alone(change: object, tmp_path: pathlib.Path) -> None:
    output = tmp_path / "r.html"
    with owning_report(output) as path:
        write_report(path, "<html><title>reglab report</title></html>")
    mine = change(output.read_bytes())  # type: ignore[operator]
    output.write_bytes(mine)
    with pytest.raises(ConfigError, match="exists, and is not as reglab.report wrote it: name another file, or move"):
        report(make_run(tmp_path / "a"), output=output)
    assert output.read_bytes() == mine


def test_a_place_that_cannot_be_written_is_refused(tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a")
    (tmp_path / "link").symlink_to("nowhere")
    for output, said in ((tmp_path, "is a folder"), ("", "is a folder"), (tmp_path / "link", "is a link to nothing"),
                         (folder / "run.json" / "r.html", "cannot be"), ("x" * 300, "File name too long")):
        with pytest.raises(ConfigError, match=said) as caught:
            report(folder, output=output)
        assert str(caught.value).startswith("--output=") and "\n" not in str(caught.value)
