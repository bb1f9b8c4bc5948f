"""Every state of every kind of folder is told, damage is a line, and nothing is written or imported for it."""

from __future__ import annotations

import hashlib
import json
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from reglab.records.folders import find_records, read_folder
from reglab.records.record import Record
from reglab.run.run_file import RunFile, read_run_file
from reglab.storage.ownership import owning
from tests.records.made import make_comparison, make_run, make_sweep


def read(folder: pathlib.Path) -> Record:
    record = read_folder(folder)
    assert record is not None
    return record


def test_a_run_that_is_done(tmp_path: pathlib.Path) -> None:
    record = read(make_run(tmp_path / "a", l1=1e-3))
    assert (record.kind, record.state, record.note, record.dataset) == ("run", "done", "", "digits")
    assert (record.step, record.steps, dict(record.best)) == (16, 16, {"data_loss": 0.5, "accuracy": 0.75})
    assert record.settings["l1"] == 1e-3 and "model_dir" not in record.settings
    assert record.size == sum(path.stat().st_size for path in (tmp_path / "a").iterdir())
    assert record.problems == []


@pytest.mark.parametrize(("ended", "state", "note"), [
    (None, "unfinished", ""),
    ({"how": "stopped", "step": 8, "line": "stopped by SIGTERM after step 8, saved"}, "stopped",
     "stopped by SIGTERM after step 8, saved"),
    ({"how": "diverged", "step": 8, "line": "x\n" * 999}, "diverged", None), ({"how": 7}, "unfinished", "")])
def test_a_run_that_is_not_done(ended: Any, state: str, note: str | None, tmp_path: pathlib.Path) -> None:
    record = read(make_run(tmp_path / "a", completed=False, ended=ended))
    assert (record.state, record.step, record.steps) == (state, 8, 16)
    assert record.note == note or (note is None and len(record.note) <= 300 and record.note.isprintable())


def test_an_older_run_tells_by_its_metrics_that_it_diverged(tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a", completed=False)
    (folder / "run.json").unlink()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "split": "train", "train_batch/data_loss": null}\n{"step": 10, "spl')
    record = read(folder)
    assert (record.state, record.note, record.step) == ("diverged", "the data loss was not finite at step 9", 9)


def test_a_run_in_progress_is_running_and_one_that_was_killed_is_not(tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a", completed=False)
    with owning(folder):
        assert read(folder).state == "running" and "process" in read(folder).note
        held = (folder / ".reglab.lock").read_bytes()
    (folder / ".reglab.lock").write_bytes(held)  # As a kill leaves it: this process lives, but does not hold it.
    assert read(folder).state == "unfinished"


def test_a_run_that_has_gone_on_is_not_done(tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a")
    RunFile(**{**vars(read_run_file(folder)), "saved": 20}).write(folder)
    assert (read(folder).state, read(folder).step) == ("unfinished", 20)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff", b"[]", b'{"steps": NaN}', b'{"a": 1}',
                                     b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}", None])
@pytest.mark.parametrize("name", ["config.json", "run.json", "data.json", "result.json", "metrics.jsonl"])
def test_a_damaged_file_of_a_run_is_a_line(name: str, content: bytes | None, tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a")
    path = folder / name
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    record = read(folder)
    if name == "metrics.jsonl":
        assert record.state == "done"
    elif (name, content) != ("data.json", b'{"a": 1}') and (name, content) != ("config.json", b'{"a": 1}'):
        assert [line.split()[0] for line in record.problems] == [name] and record.problems[0].isprintable()
        assert record.state == ("unfinished" if name == "result.json" else "done")


def test_a_run_without_any_configuration_is_broken(tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a")
    for name in ("config.json", "run.json"):
        (folder / name).write_text("{")
    record = read(folder)
    assert (record.state, record.note) == ("broken", "config.json holds no JSON object")


def test_a_result_that_was_changed_by_hand_is_not_believed(tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a")
    (folder / "result.json").write_text((folder / "result.json").read_text() + " ")
    assert list(read(folder).problems) == ["result.json is not as the run wrote it"]


def test_a_sweep(tmp_path: pathlib.Path) -> None:
    record = read(make_sweep(tmp_path / "s"))
    assert (record.kind, record.state, record.dataset) == ("sweep", "done", "digits")
    assert dict(record.best) == {"data_loss": pytest.approx(0.3), "accuracy": 0.9}
    assert record.settings["l1"] == {"values": [0.0, 1e-4, 1e-3]} and record.settings["l2"] == 0.0
    record = read(make_sweep(tmp_path / "t", completed=False))
    assert (record.state, record.note) == ("unfinished", "1 part done")
    (tmp_path / "t" / "plan.json").write_text("{")
    assert (read(tmp_path / "t").state, read(tmp_path / "t").note) == ("broken", "plan.json holds no JSON object")


def test_a_comparison(tmp_path: pathlib.Path) -> None:
    record = read(make_comparison(tmp_path / "c"))
    assert (record.kind, record.state, dict(record.best)) == ("compare", "done", {"data_loss": 0.25, "accuracy": 0.9})
    (tmp_path / "c" / "compare.json").write_text('{"arms": 7}')
    assert (read(tmp_path / "c").state, read(tmp_path / "c").note) == ("broken", "compare.json tells no arms")


def test_a_comparison_at_work_has_nothing_but_a_folder_to_prepare_in(tmp_path: pathlib.Path) -> None:
    (tmp_path / "c" / ".partial").mkdir(parents=True)
    with owning(tmp_path / "c"):
        assert (read(tmp_path / "c").kind, read(tmp_path / "c").state) == ("compare", "running")
    assert (read(tmp_path / "c").state, read(tmp_path / "c").settings) == ("unfinished", {})


def test_what_is_no_run_is_passed_over_and_what_is_within_one_is_its_own(
        tmp_path: pathlib.Path, tree: Callable[[pathlib.Path], dict[str, Any]]) -> None:
    make_run(tmp_path / "group" / "a")
    make_run(make_sweep(tmp_path / "s") / "winner")
    make_run(tmp_path / ".hidden" / "a")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "group")
    (tmp_path / "loop").symlink_to("loop")
    before = tree(tmp_path)
    assert [str(record.folder.relative_to(tmp_path)) for record in find_records(tmp_path)] == ["group/a", "s"]
    assert read_folder(tmp_path / "notes") is None
    assert tree(tmp_path) == before


def test_neither_tensorflow_nor_numpy_is_imported(tmp_path: pathlib.Path) -> None:
    make_run(tmp_path / "a")
    code = ("import sys, pathlib; from reglab.records.folders import find_records; "
            f"assert len(list(find_records(pathlib.Path({str(tmp_path)!r})))) == 1; "
            "print([name for name in ('numpy', 'tensorflow', 'filelock') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=pathlib.Path(__file__).parents[2])
    assert done.stdout == "[]\n"


def test_a_run_that_stopped_early_is_done(tmp_path: pathlib.Path) -> None:
    folder = make_run(tmp_path / "a", patience=1)
    told = json.loads((folder / "result.json").read_text())
    told |= {"steps": 8, "epochs": 2, "early_stopping": {"stopped": True, "epochs": 3, "steps": 12}}
    (folder / "result.json").write_text(json.dumps(told))
    digest = hashlib.sha256((folder / "result.json").read_bytes()).hexdigest()
    for saved, state in ((12, "done"), (16, "unfinished")):
        RunFile(**{**vars(read_run_file(folder)), "saved": saved, "result": digest}).write(folder)
        assert read(folder).state == state
    RunFile(**{**vars(read_run_file(folder)), "saved": 12}).write(folder)
    assert read(folder).note == "stopped early after epoch 3"
