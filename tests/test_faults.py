"""The harness of faults calls wrong what is wrong: a judge that lets all pass would find nothing."""

from __future__ import annotations

import dataclasses
import pathlib
import random
import threading
import time
from typing import Any

import pytest

from tests.faults import __main__ as command
from tests.faults import adapters
from tests.faults.cases import Bench, Case, Finding, shuffled
from tests.faults.inputs import _OTHERS, _TRAIN
from tests.faults.processes import Outcome
from tests.faults.table import table
from tests.faults.trees import Decoys, check_untouched, fingerprint, leftovers, tree
from tests.faults.verdicts import Damage, Verdict, Wrong, check_alive, check_refusal, judge, named
from tests.faults.ways import ways_of

TELLS = {"last": {"arrays": {"w": "1"}}, "metrics.jsonl": [{"step": 1}, {"step": 2}]}
USUAL = Outcome(("reglab.train",), 0, "Writing to  run\nDone after 42 steps in 1.0 s, 900 steps/s\n", "")
DAMAGE = Damage("metrics.jsonl", "halved", "whole", "half")


def outcome(code: int | None = 0, out: str = "", err: str = "") -> Outcome:
    return Outcome(("reglab.train",), code, USUAL.out.replace("1.0 s", "2.5 s") + out, err)


def verdict(ended: Outcome, found: dict[str, Any], after: str | None = "whole") -> Verdict:
    check_alive(ended)
    return judge(ended, DAMAGE, usual=USUAL, expected=TELLS, found=found, after=after)


def test_what_is_whole_again_is_recovered() -> None:
    assert verdict(outcome(), TELLS).kind == "recovered"


def test_a_loss_that_a_line_names_is_recovered() -> None:
    told = outcome(out="Warning: metrics.jsonl ended in the middle of a line: 1 line was lost\n")
    assert verdict(told, {**TELLS, "metrics.jsonl": [{"step": 1}]}).kind == "recovered"


@pytest.mark.parametrize(("ended", "found", "after", "why"), [
    (outcome(), {**TELLS, "metrics.jsonl": [{"step": 1}]}, "whole", "metrics.jsonl differs and no line says so: 1 ent"),
    (outcome(), TELLS, "half", "still damaged and no line says so"),
    (outcome(out="Warning: metrics.jsonl is damaged\n"), {**TELLS, "last": {}}, "whole", "last differs"),
    (outcome(None), TELLS, "whole", "hang"),
    (outcome(-11), TELLS, "whole", "died of signal 11"),
    (outcome(1, err="Traceback (most recent call last):\n  File …\nKeyError: 'x'\n"), TELLS, "whole", "KeyError: 'x'"),
    (outcome(err="Exception ignored in: <function f>\n"), TELLS, "whole", "traceback")])
def test_what_is_wrong_is_called_wrong(ended: Outcome, found: dict[str, Any], after: str, why: str) -> None:
    with pytest.raises(Wrong, match=why):
        verdict(ended, found, after)


def test_a_line_that_always_comes_names_nothing() -> None:
    usual = dataclasses.replace(USUAL, out=USUAL.out + "Written to run: metrics.jsonl\n")
    ended = dataclasses.replace(usual, code=0)
    with pytest.raises(Wrong, match="no line says so"):
        judge(ended, DAMAGE, usual=usual, expected=TELLS, found={**TELLS, "metrics.jsonl": []}, after="whole")


@pytest.mark.parametrize(("target", "line", "is_named"), [
    ("checkpoints/ckpt-14.index", "checkpoint ckpt-14 is damaged", True),
    ("checkpoints/ckpt-14.index", "checkpoint ckpt-141 is damaged", False),
    ("checkpoints/best/best.json", "checkpoints/best/ was damaged", True),
    ("chunks/chunk-001.json", "chunk-001 is trained again", True),
    ("config.json", "myconfig.json", False),
    ("train/events.out.tfevents.1", "train/: 3 records were lost", True),
    ("train/events.out.tfevents.1", "training went on", False)])
def test_what_counts_as_naming(target: str, line: str, is_named: bool) -> None:
    assert named(target, [line]) is is_named


def test_a_refusal_is_one_line_that_says_what_to_do() -> None:
    line = "reglab: --model_dir=run holds no checkpoint: name another folder"
    assert check_refusal(outcome(2, err=f"{line}\n"), names=["=run"]) == line


@pytest.mark.parametrize(("ended", "why"), [
    (outcome(1, err="reglab: x: name another\n"), "exit code 1"),
    (outcome(0), "exit code 0"),
    (outcome(2), "0 lines"),
    (outcome(2, err="reglab: a: name another\nmore\n"), "2 lines"),
    (outcome(2, err="something: name another =run\n"), "1 lines"),
    (outcome(2, err="reglab: =run is bad\n"), "says not what to do"),
    (outcome(2, err="reglab: it is bad: name another\n"), "names none of =run"),
    (outcome(2, err=f"reglab: =run {'x' * 2000}: name another\n"), "2,0.. characters"),
    (outcome(2, err="Traceback (most recent call last):\n"), "traceback")])
def test_an_improper_refusal_is_wrong(ended: Outcome, why: str) -> None:
    with pytest.raises(Wrong, match=why):
        check_refusal(ended, names=["=run"])


def test_a_touched_decoy_is_wrong(tmp_path: pathlib.Path) -> None:
    for name in ("train", "checkpoints"):
        (tmp_path / name).mkdir()
    decoys = Decoys(tmp_path)
    decoys.check()
    for name in ("notes.txt", "notes/events.out.tfevents.123", "train/events.out.tfevents.1.elsewhere",
                 "checkpoints/notes.txt"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content + b"\n")
        with pytest.raises(Wrong, match=name):
            decoys.check()
        (tmp_path / name).unlink()
        with pytest.raises(Wrong, match=f"{name} is gone"):
            decoys.check()
        (tmp_path / name).write_bytes(content)


def test_a_refusal_that_touches_files_is_wrong(tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    before = tree(tmp_path)
    (tmp_path / ".reglab.lock").write_text("1")
    check_untouched(before, tmp_path)
    (tmp_path / "config.json").write_text("{} ")
    with pytest.raises(Wrong, match="touched: config.json"):
        check_untouched(before, tmp_path)


@pytest.mark.parametrize("name", ["config.json", "ckpt-7.index", "folder"])
def test_every_way_damages(name: str, tmp_path: pathlib.Path) -> None:
    for at, (way_name, way) in enumerate(ways_of(_target(tmp_path / "template", name)).items()):
        path = _target(tmp_path / str(at), name)
        before = fingerprint(path)
        way(path, random.Random(0))
        assert fingerprint(path) != before, way_name


def _target(place: pathlib.Path, name: str) -> pathlib.Path:
    place.mkdir()
    path = place / name
    if name == "folder":
        path.mkdir()
        (path / "inside").touch()
    else:
        path.write_text('{"step": 7, "data": 0.25, "name": "x"}\n')
    return path


def test_leftovers_are_seen(tmp_path: pathlib.Path) -> None:
    for name in ("a.json", ".a.json.tmp", "ckpt-7_temp", "ckpt-7.index.tempstate12", ".export-xy"):
        (tmp_path / name).touch()
    assert leftovers(tmp_path) == [".a.json.tmp", ".export-xy", "ckpt-7.index.tempstate12", "ckpt-7_temp"]


def test_a_part_of_the_cases_is_a_fair_sample() -> None:
    cases = [Case(group, str(i), lambda folder, rng: Verdict("recovered")) for group in "abc" for i in range(9)]
    assert {case.group for case in shuffled(cases, 1)[:3]} == set("abc")
    assert shuffled(cases, 1) == shuffled(cases, 1) != shuffled(cases, 2)


def test_the_table_counts() -> None:
    case = Case("train", "x", lambda folder, rng: Verdict("wrong"))
    kinds = ("wrong", "recovered", "recovered", "skipped")
    findings = [Finding("kills", case, Verdict(kind), 1.0, "") for kind in kinds]
    assert table(findings, {}).splitlines()[-1].split() == ["all", "3", "2", "0", "1"]


@pytest.mark.parametrize(("kind", "code"), [("wrong", 4), ("recovered", 0), ("refused", 0)])
def test_the_exit_code(kind: str, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path,
                       capsys: pytest.CaptureFixture[str]) -> None:
    case = Case("train", "x", lambda folder, rng: Verdict(kind, "because"))
    monkeypatch.setattr("tests.faults.cases.Commands", _NoCommands)
    monkeypatch.setattr(command, "SECTIONS", {"one": dataclasses.replace(
        command.SECTIONS["kills"], cases=lambda bench, full: [case])})
    assert command.main([f"--folder={tmp_path}"]) == code
    shown = capsys.readouterr().out
    assert ("--case='train: x'" in shown) is (kind == "wrong")
    assert "1 of 1 cases" in shown
    assert list(tmp_path.iterdir()) == []


class _NoCommands:
    def __init__(self, folder: pathlib.Path) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_case_that_fails_by_itself_is_no_success(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr("tests.faults.cases.Commands", _NoCommands)

    def broken(folder: pathlib.Path, rng: random.Random) -> Verdict:
        raise OSError("no room")
    finding = Bench(tmp_path, 0).run_case("kills", Case("a", "b", broken))
    assert finding.verdict.kind == "wrong"
    assert "the harness failed" in finding.verdict.why


def test_every_hostile_input_has_a_name_of_its_own() -> None:
    assert len({*_TRAIN, *_OTHERS}) == len(_TRAIN) + len(_OTHERS) > 100


def test_signals_count_by_phase(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    class Signals:
        @staticmethod
        def run(tries: int, seed: int, folder: pathlib.Path) -> list[tuple[str, str, int, int, int, int]]:
            return [("step", "TERM", tries - 1, 3, 1, 0), ("save", "INT", 1, 0, 0, seed % 2)]

    monkeypatch.setattr("tests.faults.cases.Commands", _NoCommands)
    monkeypatch.setattr(adapters, "_module", lambda name: Signals)
    bench = Bench(tmp_path, 0)
    cases = adapters.signal_cases(bench, False)
    assert [bench.run_case("signals", case).verdict.kind for case in cases[:2]] == ["recovered", "wrong"]
    assert [line.split()[-4:] for line in adapters.signal_report(bench).splitlines()[1:]] == [
        ["4", "6", "2", "0"], ["2", "0", "0", "1"]]


def test_what_runs_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr("tests.faults.cases.Commands", _NoCommands)
    go_on = threading.Event()

    def endless(folder: pathlib.Path, rng: random.Random) -> Verdict:
        go_on.wait(60)
        return Verdict("wrong")
    now = time.monotonic()
    cases = [Case("a", "quick", lambda folder, rng: Verdict("recovered")), Case("a", "endless", endless)]
    found = Bench(tmp_path, 0).run("kills", cases, now + 60, now + 0.5, lambda finding: None)
    go_on.set()
    assert [finding.case.name for finding in found] == ["quick"]
