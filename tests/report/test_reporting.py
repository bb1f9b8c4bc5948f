"""What a report tells of every kind of folder; damage is a line, and what others wrote never becomes markup."""

from __future__ import annotations

import html.parser
import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import pytest

import reglab
from reglab.config import ConfigError
from reglab.report.reporting import report
from reglab.storage.ownership import owning
from reglab.storage.reading import sealed
from tests.records.made import make_comparison, make_run, make_sweep

TREE = Callable[[pathlib.Path], dict[str, Any]]


class Page(html.parser.HTMLParser):
    """The text and the tags of a page; every tag that is opened has to be closed in its turn."""

    VOID = ("meta", "link", "br", "img", "input")

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data


def add_look(folder: pathlib.Path) -> None:
    """What `reglab.evaluate` leaves."""
    (folder / "evaluation" / "digits-test").mkdir(parents=True)
    (folder / "evaluation" / "digits-test" / "evaluation.json").write_text(json.dumps({
        "state": "best", "step": 16, "data": "digits", "split": "test", "is_own": True, "examples": 20,
        "accuracy": {"value": 0.75, "low": 0.5, "high": 0.9, "confidence": 0.95}, "data_loss": 0.625,
        "looks_before": [], "sentences": ["It is right on 75.00 %."]}))
    look = {"digest": "x", "data": "digits", "split": "test", "step": 16, "state": "best", "time": "t", "by": "b"}
    (folder / "evaluation" / "looks.json").write_text(sealed({"looks": [look]}))


def test_one_run(tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a", l1=1e-3)
    add_look(folder)
    done = report(folder, output=tmp_path / "r.html")
    text, page = str(done), Page(tmp_path / "r.html")
    for told in ("The lowest validation data loss is 0.5000 nats after epoch 4, with an accuracy of 75.00 %.",
                 "It is right on 75.00 %.", "75.00 % (50.00 to 90.00)"):
        assert told in text and told in page.text
    layers = next(line for line in text.splitlines() if line.split()[:1] == ["dense_0"])
    assert layers.split() == ["dense_0", "0.2500", "0.1250", "25.00", "5.000", "50.00", "%"]
    objective = next(line for line in text.splitlines() if "1.250" in line)
    assert objective.split() == ["a", "0.5000", "0.2500", "0.5000", "0.7500", "1.250"]
    assert [tag for tag, attributes in page.tags if tag == "svg" and "role" in attributes] == ["svg"] * 5
    assert "--l1" in page.text and "--hidden" not in page.text, "only what is not the default"


def test_several_runs_are_told_by_what_differs(tmp_path: pathlib.Path) -> None:
    folders = [make_run(tmp_path / name, data_loss=loss, l1=l1) for name, loss, l1 in
               (("a", 0.5, 1e-3), ("b", 0.25, 1e-4), ("c", 0.75, 0.0))]
    text = str(report(folders, output=tmp_path / "r.html"))
    assert ("The validation data loss is lowest in b, 0.2500 nats after epoch 4, with an accuracy of 75.00 %; that is "
            "0.2500 nats lower than in a, the next. They differ in l1.") in " ".join(text.split())
    header = next(line for line in text.splitlines() if line.strip().startswith("run  "))
    assert "l1" in header.split() and not {"hidden", "l2", "epochs"} & {*header.split()}
    assert [line.split()[:3] for line in text.splitlines() if line.split()[2:3] in (["done"], ["done,"])] == [
        ["A", "a", "done"], ["B", "b", "done,"], ["C", "c", "done"]]


def test_runs_on_other_data_are_not_compared(tmp_path: pathlib.Path) -> None:
    folders = [make_run(tmp_path / "a"), make_run(tmp_path / "b", validation_split=0.5)]
    text = str(report(*folders, output=tmp_path / "r.html"))
    assert "not validated on the same examples" in text and "lowest" not in text


def test_of_many_runs_the_best_have_colors(tmp_path: pathlib.Path) -> None:
    for at in range(9):
        make_run(tmp_path / "runs" / f"r{at}", data_loss=1 - at / 10, seed=at)
    done = report(tmp_path / "runs", output=tmp_path / "r.html")
    assert [view.label for view in done.runs] == ["r0", "r1", "r2", "F r3", "E r4", "D r5", "C r6", "B r7", "A r8"]
    assert "the other 3" in Page(tmp_path / "r.html").text


@pytest.mark.parametrize("ended", [None, {"how": "diverged", "step": 8, "line": "not finite at step 8"}])
def test_a_run_in_progress_or_ended_early_is_told_as_it_stands(ended: Any, tmp_path: pathlib.Path, tree: TREE) -> None:
    folder = make_run(tmp_path / "a", completed=False, ended=ended)
    before = tree(folder)
    with owning(folder):
        during = str(report(folder, output=tmp_path / "r.html"))
    after = str(report(folder, output=tmp_path / "r.html"))
    assert "running (process" in during and ("diverged (not finite at step 8)" if ended else "unfinished") in after
    assert "8 of 16" in after and "1.250" in after, "the validation data loss of the last evaluation"
    assert tree(folder) == before


def test_a_comparison(tmp_path: pathlib.Path) -> None:
    done = report(make_comparison(tmp_path / "c"), output=tmp_path / "r.html")
    text, page = str(done), Page(tmp_path / "r.html")
    assert "L1 alone is <b>best</b> & shown." in text and "L1 alone is <b>best</b> & shown." in page.text
    assert "B L1 alone, lowest loss" in text and "0.25 (0.225 to 0.275)" in text
    assert "-10.00 (-9.00 to -11.00)" in text
    assert sum(tag == "svg" and "role" in attributes for tag, attributes in page.tags) == 3


def test_a_sweep(tmp_path: pathlib.Path) -> None:
    text = str(report(make_sweep(tmp_path / "s"), output=tmp_path / "r.html"))
    best = next(line for line in text.splitlines() if line.endswith("  best"))
    assert best.split()[:4] == ["0.001", "0.3000", "±", "0.003"]
    assert sum(tag == "svg" and "role" in attributes for tag, attributes in Page(tmp_path / "r.html").tags) == 3
    assert "1 part done" in str(report(make_sweep(tmp_path / "t", completed=False), output=tmp_path / "r.html"))


def test_a_sweep_of_two_penalties_has_a_map(tmp_path: pathlib.Path) -> None:
    folder = make_sweep(tmp_path / "s")
    told = json.loads((folder / "sweep.json").read_text())
    told["points"] = [{**point, "l2": l2, "validation": {name: {"mean": value["mean"] + l2, "se": None} for name, value
                                                        in point["validation"].items()}}
                      for l2 in (0.0, 0.25) for point in told["points"]]
    told["grid"]["l2"] = [0.0, 0.25]
    (folder / "sweep.json").write_text(json.dumps(told))
    text = str(report(folder, output=tmp_path / "r.html")).splitlines()
    at = next(at for at, line in enumerate(text) if line.startswith("Validation data loss (nats) by l1"))
    assert [line.split() for line in text[at + 1:at + 5]] == [
        ["l1", "l2", "0", "l2", "0.25"], ["0", "0.5000", "0.7500"], ["0.0001", "0.4000", "0.6500"],
        ["0.001", "0.3000", "best", "0.5500"]]
    shades = [attributes["style"] for tag, attributes in Page(tmp_path / "r.html").tags if "style" in attributes]
    assert shades[4] == "--depth:100%" and sorted(shades)[0] == "--depth:0%"


def values_in(told: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value, as the container and the key or index in it."""
    items = told.items() if isinstance(told, dict) else enumerate(told) if isinstance(told, list) else ()
    return [(told, key) for key, _ in items] + [place for _, value in items for place in values_in(value)]


@pytest.mark.parametrize(("make", "name"), [(make_sweep, "sweep.json"), (make_comparison, "compare.json"),
                                            (make_run, "result.json")])
def test_no_value_of_any_type_is_more_than_a_report_can_bear(make: Callable[[pathlib.Path], pathlib.Path], name: str,
                                                             tmp_path: pathlib.Path) -> None:
    folder = make(tmp_path / "a")
    if name == "result.json":  # Otherwise its digest would be all that is looked at.
        (folder / "run.json").unlink()
    whole = (folder / name).read_text()
    places = len(values_in(json.loads(whole)))
    for at in range(0, places, 5):
        for bad in (None, [], {"x": []}, "\u2028<script>", -1e308, 10**400, True)[at % 2::2]:
            told = json.loads(whole)
            container, key = values_in(told)[at]
            container[key] = bad
            (folder / name).write_text(json.dumps(told))
            assert report(folder, output=tmp_path / "r.html").sections
    Page(tmp_path / "r.html")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe",
                                     b'{"step": 1, "split": "train", "epoch/data_loss": "x"}\n'])
@pytest.mark.parametrize("name", ["metrics.jsonl", "result.json", "config.json", "run.json", "data.json",
                                  "evaluation/looks.json", "evaluation/digits-test/evaluation.json"])
def test_a_damaged_file_is_a_line(name: str, content: bytes, tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a")
    add_look(folder)
    (folder / name).write_bytes(content + b"\n")
    done = report(folder, output=tmp_path / "r.html")
    if name != "metrics.jsonl" or content in (b"{", b"\xff\xfe"):
        told = [line for section in done.sections for line in section.problems]
        assert any(f"{folder}: {name} " in line for line in told) or content.startswith(b'{"step"')
        assert all(f"Damaged: {line}" in str(done) and line in Page(tmp_path / "r.html").text for line in told)


def test_names_and_texts_of_others_are_no_markup(tmp_path: pathlib.Path) -> None:
    evil = '<script src="https://example.com/x.js"></script><img src=x onerror=alert(1)>'
    folder = make_run(tmp_path / "a<b>&\"'", ended={"how": "stopped", "step": 8, "line": evil}, completed=False)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, evil: evil, "activation": evil}))
    (folder / "metrics.jsonl").write_text((folder / "metrics.jsonl").read_text().replace("sparsity/total", evil.replace(
        '"', "'") + "/x"))
    make_run(tmp_path / "b")
    report(folder, tmp_path / "b", output=tmp_path / "r.html")
    page = Page(tmp_path / "r.html")
    assert evil in page.text
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "base", "form"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_the_page_names_no_place_but_its_own(tmp_path: pathlib.Path) -> None:
    make_sweep(tmp_path / "x" / "s")
    make_comparison(tmp_path / "x" / "c")
    make_run(tmp_path / "x" / "a")
    report(tmp_path / "x", output=tmp_path / "r.html")
    page, source = Page(tmp_path / "r.html"), (tmp_path / "r.html").read_text()
    assert not re.search(r"https?:|url\(|@import|@font-face|src=|srcset=|xlink", source)
    links = [attributes["href"] for _, attributes in page.tags if "href" in attributes]
    assert links == ["#s0", "#s1", "#s2"]
    assert {"s0", "s1", "s2"} <= {attributes.get("id") for _, attributes in page.tags}
    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_a_folder_named_twice_is_told_once_and_names_stay_apart(tmp_path: pathlib.Path) -> None:
    first, second = make_run(tmp_path / "x" / "a"), make_run(tmp_path / "y" / "a")
    (tmp_path / "link").symlink_to(first)
    done = reglab.report([first, tmp_path / "link", second], output=tmp_path / "r.html")
    assert [view.name for view in done.runs] == [str(first), str(second)]
    assert repr(done) == f"<reglab report: 2 runs; {tmp_path / 'r.html'}>"
    told = json.loads(json.dumps(done.to_dict(), allow_nan=False))
    assert told["runs"][0]["curves"]["validation_data_loss"] == pytest.approx([2.0, 1.25, 1.0, 0.875])
    assert told["runs"][0]["result"]["train"]["l1"] == 0.25


def test_nothing_to_report_on_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="there is nothing to report on"):
        report(output=tmp_path / "r.html")
    with pytest.raises(ConfigError, match="holds no run, comparison or sweep"):
        report(tmp_path, output=tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []
