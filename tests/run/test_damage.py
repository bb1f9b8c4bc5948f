"""Any damage to any file of a run: made good, or named in one line with the file; never silent, never a traceback.

One small run is trained once, stopped in its last epoch and finished; every case damages one file of a copy and gives
the same command again.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.data import Dataset
from reglab.engine import pace
from reglab.run import loop
from reglab.run.run_file import read_run_file

# 53 training examples in batches of 8: 7 steps an epoch, 28 in all.
CONFIG = Config(hidden=(4,), batch_size=8, epochs=4, l1=0.01, l2=0.02, learning_rate=0.01, summary_every=3, jit=False)
STOP = 25  # In the last epoch.


class Recorder(Console):
    """Notes every line for the user, and may stop the run."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self._stop_at = stop_at

    def message(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        assert "\n" not in text
        self.warnings.append(text)

    def progress(self, step: int, epoch: int, losses: Any) -> None:
        if step == self._stop_at:
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture(scope="module", autouse=True)
def short_calls(shared_compilation: None) -> Iterator[None]:
    """Calls of 4 steps; and all runs share a compilation, so that a case takes a fraction of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace.Pace, "affordable_steps", property(lambda self: 4))
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset,
         short_calls: None) -> dict[str, tuple[pathlib.Path, loop.History]]:
    """`stopped`: after step 25 of 28; `finished`; and what the whole run gave."""
    folder = tmp_path_factory.mktemp("runs")
    finished = loop.fit(dataclasses.replace(CONFIG, model_dir=str(folder / "finished")), dataset)
    with pytest.raises(loop.Interrupted):
        loop.fit(dataclasses.replace(CONFIG, model_dir=str(folder / "stopped")), dataset, console=Recorder(STOP))
    return {name: (folder / name, finished) for name in ("stopped", "finished")}


# What is damaged: a name for people to the path in the folder of the run.
FILES = {
    "config.json": "config.json", "data.json": "data.json", "result.json": "result.json",
    "metrics.jsonl": "metrics.jsonl", "train events": "train/events.out.tfevents.*",
    "validation events": "validation/events.out.tfevents.*", "train": "train", "checkpoints": "checkpoints",
    "newest index": "checkpoints/ckpt-[0-9]*.index", "newest data": "checkpoints/ckpt-[0-9]*.data-*",
    "older index": "checkpoints/ckpt-21.index", "older data": "checkpoints/ckpt-21.data-*",
    "older label": "checkpoints/ckpt-21.json", "best": "checkpoints/best", "best.json": "checkpoints/best/best.json",
    "run.json": "run.json", "newest label": "checkpoints/ckpt-[0-9]*.json",
    "best label": "checkpoints/best/ckpt-*.json",
    "best index": "checkpoints/best/ckpt-*.index", "best data": "checkpoints/best/ckpt-*.data-*",
}


def remove(path: pathlib.Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def replace(path: pathlib.Path, content: bytes) -> None:
    remove(path)
    path.write_bytes(content)


def change(edit: Callable[[bytes], bytes]) -> Callable[[pathlib.Path], None]:
    return lambda path: replace(path, edit(path.read_bytes()) if path.is_file() else b"a file")


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x11]) + content[middle + 1:]


def folder_instead(path: pathlib.Path) -> None:
    remove(path)
    path.mkdir()


def link_to_nothing(path: pathlib.Path) -> None:
    remove(path)
    path.symlink_to("nowhere")


def pipe_instead(path: pathlib.Path) -> None:
    remove(path)
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[pathlib.Path], None]] = {
    "removed": remove,
    "empty": change(lambda content: b""),
    "halved": change(lambda content: content[:len(content) // 2]),
    "a bit": change(flipped),
    "random": change(lambda content: np.random.default_rng(0).bytes(len(content))),
    "zeros": change(lambda content: bytes(len(content))),
    "hole": change(lambda content: content[:len(content) // 3] + content[len(content) // 2:]),
    "list": change(lambda content: b"[1]"),
    "deep": change(lambda content: b"[" * 100_000),
    "numbers": change(lambda content: b'{"step": 1' + b"0" * 5000 + b"}"),
    "a folder": folder_instead,
    "dangling": link_to_nothing,
    "a pipe": pipe_instead,
}


def damaged_path(folder: pathlib.Path, pattern: str) -> pathlib.Path:
    """The file itself, or the newest of those that the pattern names."""
    found = list(folder.glob(pattern))
    return max(found, key=lambda path: int(path.name.split("-")[1].split(".")[0]) if path.name.startswith("ckpt-")
               else 0)


def outcome(folder: pathlib.Path, dataset: Dataset, reference: loop.History) -> tuple[str, list[str]]:
    """What the same command does with the folder, and its lines."""
    console = Recorder()
    try:
        history = loop.fit(dataclasses.replace(CONFIG, model_dir=str(folder)), dataset, console=console)
    except ConfigError as error:
        assert "\n" not in str(error)
        return "refused", [*console.warnings, str(error)]
    same = all(np.array_equal(arrays[name], reference.parameters[layer][name])
               for layer, arrays in history.parameters.items() for name in arrays)
    assert same, "other weights"
    for name in ("train", "validation", "gap", "weights", "steps", "epochs", "completed"):
        assert history.result[name] == reference.result[name], name
    return "recovered", console.warnings


FOLDERS = ("train", "checkpoints", "best")
OF_FINISHED = ("result.json", "metrics.jsonl", "train events", "newest data", "best data", "checkpoints")


def cases() -> Iterator[tuple[str, str, str]]:
    """State, file and damage: those that make sense of each other."""
    for state, files in (("stopped", [file for file in FILES if file != "result.json"]), ("finished", OF_FINISHED)):
        for file in files:
            is_json = ".json" in FILES[file]
            unfit = (set(DAMAGES) - {"removed", "list", "dangling"} if file in FOLDERS
                     else {"random", "zeros"} if is_json else {"list", "deep", "numbers"})
            yield from ((state, file, damage) for damage in DAMAGES if damage not in unfit)


@pytest.mark.parametrize(("state", "file", "damage"), list(cases()))
def test_every_damage_is_made_good_or_named(tmp_path: pathlib.Path, dataset: Dataset, runs: Any, state: str,
                                            file: str, damage: str) -> None:
    original, reference = runs[state]
    folder = tmp_path / "run"
    shutil.copytree(original, folder)
    path = damaged_path(folder, FILES[file])
    DAMAGES[damage](path)
    did, lines = outcome(folder, dataset, reference)
    named = path.name.split(".data-")[0].removesuffix(".index")
    if "tfevents" in named:
        named = path.parent.name
    assert any(named in line for line in lines), (did, lines)
    # What was made good is good: the next time there is nothing to say.
    if did == "recovered":
        assert outcome(folder, dataset, reference) == ("recovered", [])


# More than one file, and files of others.

Tree = Callable[[pathlib.Path], dict[str, Any]]


@pytest.fixture
def stopped(tmp_path: pathlib.Path, runs: Any) -> pathlib.Path:
    """A copy of the run that was stopped."""
    shutil.copytree(runs["stopped"][0], tmp_path / "run")
    return tmp_path / "run"


def refusal(folder: pathlib.Path, dataset: Dataset, **fields: Any) -> str:
    """The line of a refusal, which has changed no file."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError) as caught:
        loop.fit(dataclasses.replace(CONFIG, model_dir=str(folder), **fields), dataset)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def copy_checkpoint(source: pathlib.Path, step: int, target: pathlib.Path, new_step: int, *, label: bool) -> None:
    for path in source.glob(f"ckpt-{step}.*"):
        if label or path.suffix != ".json":
            shutil.copy(path, target / path.name.replace(f"ckpt-{step}.", f"ckpt-{new_step}."))


LOST = {
    "all indexes": ["checkpoints/ckpt-*.index"], "all data": ["checkpoints/ckpt-*.data-*"],
    "the folder": ["checkpoints"], "the folder and run.json": ["checkpoints", "run.json"],
    "the folder, run.json and the logs": ["checkpoints", "run.json", "train", "metrics.jsonl"],
}


@pytest.mark.parametrize("lost", LOST)
def test_a_run_without_checkpoints_is_refused_until_a_restart_is_asked_for(
        stopped: pathlib.Path, dataset: Dataset, runs: Any, tree: Tree, lost: str) -> None:
    for path in [path for pattern in LOST[lost] for path in stopped.glob(pattern)]:
        remove(path)
    for resume in ("auto", "must"):
        message = refusal(stopped, dataset, resume=resume)
        assert "--resume=restart" in message and str(stopped) in message
    (stopped / "train").mkdir(exist_ok=True)
    for name in ("notes.txt", "train/events.out.tfevents.1.mine", "checkpoints/mine"):
        (stopped / name).parent.mkdir(exist_ok=True)
        (stopped / name).write_bytes(b"mine")
    before, console = tree(stopped), Recorder()
    history = loop.fit(dataclasses.replace(CONFIG, model_dir=str(stopped), resume="restart"), dataset, console=console)
    np.testing.assert_equal(history.parameters, runs["finished"][1].parameters)
    assert history.result["resumed_from"] == 0
    after = tree(stopped)
    for name, content in before.items():  # Each file is where it was, or moved aside.
        if content is not None:
            assert after["replaced-1/" + name if f"replaced-1/{name}" in after else name] == content
    assert {name for name in after if name.endswith("mine") or name == "notes.txt"} == {
        "notes.txt", "train/events.out.tfevents.1.mine", "checkpoints/mine"}
    assert [line for line in console.warnings if "replaced-1" in line]
    # The configuration that it leaves does not start anew once more.
    assert outcome(stopped, dataset, runs["finished"][1]) == ("recovered", [])


def test_a_restart_may_be_of_another_configuration_and_of_a_complete_run(stopped: pathlib.Path,
                                                                        dataset: Dataset) -> None:
    for number in (1, 2):
        history = loop.fit(dataclasses.replace(CONFIG, model_dir=str(stopped), resume="restart", epochs=number),
                           dataset)
        assert history.result["steps"] == 7 * number
        assert (stopped / f"replaced-{number}" / "config.json").exists()
    (stopped / "config.json").write_text("{")
    (stopped / "run.json").write_text("{")
    loop.fit(dataclasses.replace(CONFIG, model_dir=str(stopped), resume="restart", epochs=1), dataset)
    assert (stopped / "replaced-3" / "config.json").read_text() == "{"


def test_a_run_that_was_killed_before_it_saved_begins_again_and_says_so(tmp_path: pathlib.Path, dataset: Dataset,
                                                                       runs: Any,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(self: Any) -> bool:
        self._flush()
        raise SystemExit

    config, console = dataclasses.replace(CONFIG, model_dir=str(tmp_path)), Recorder()
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("reglab.run.folder_journal.FolderJournal.save", kill)
        loop.fit(config, dataset)
    assert (tmp_path / "metrics.jsonl").read_text()
    history = loop.fit(config, dataset, console=console)
    assert console.lines[0] == "Nothing was saved yet: begins at step 0."
    assert console.warnings == []
    np.testing.assert_equal(history.parameters, runs["finished"][1].parameters)


@pytest.mark.parametrize("label", [True, False])
def test_a_copy_under_another_step_is_passed_over(stopped: pathlib.Path, dataset: Dataset, runs: Any, tree: Tree,
                                                  label: bool) -> None:
    copy_checkpoint(stopped / "checkpoints", 14, stopped / "checkpoints", 27, label=label)
    did, lines = outcome(stopped, dataset, runs["stopped"][1])
    assert did == "recovered"
    assert [line for line in lines if "ckpt-27 is passed over" in line]


@pytest.mark.parametrize("label", [True, False])
@pytest.mark.parametrize("step", [25, 26])
def test_a_checkpoint_of_another_run_is_passed_over(tmp_path: pathlib.Path, stopped: pathlib.Path, dataset: Dataset,
                                                    runs: Any, label: bool, step: int) -> None:
    with pytest.raises(loop.Interrupted):
        loop.fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path / "other"), seed=3), dataset,
                 console=Recorder(STOP))
    copy_checkpoint(tmp_path / "other" / "checkpoints", 25, stopped / "checkpoints", step, label=label)
    did, lines = outcome(stopped, dataset, runs["stopped"][1])
    assert did == "recovered"
    assert [line for line in lines if f"ckpt-{step} is" in line and "passed over" in line]


def test_all_checkpoints_of_another_run_are_refused(tmp_path: pathlib.Path, stopped: pathlib.Path, dataset: Dataset,
                                                    runs: Any) -> None:
    loop.fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path / "other"), seed=3), dataset)
    shutil.rmtree(stopped / "checkpoints")
    shutil.copytree(tmp_path / "other" / "checkpoints", stopped / "checkpoints")
    assert "none of the 3 checkpoints" in refusal(stopped, dataset)


def test_files_of_others_are_left_as_they_are(stopped: pathlib.Path, dataset: Dataset, runs: Any) -> None:
    others = ["notes/events.out.tfevents.1", "train/events.out.tfevents.2.host.1.0", "train/old/events.out.tfevents.3",
              "checkpoints/ckpt-old.index", "checkpoints/notes.txt", "checkpoints/best/mine", "metrics.jsonl.bak"]
    shutil.copytree(runs["finished"][0], stopped / "below")
    for name in others:
        (stopped / name).parent.mkdir(exist_ok=True)
        (stopped / name).write_bytes(b"mine")
    watched = [*(stopped / name for name in others), *(path for path in (stopped / "below").rglob("*"))]
    before = [(path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in watched]
    assert outcome(stopped, dataset, runs["stopped"][1]) == ("recovered", [])
    assert [(path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in watched] == before


@pytest.mark.parametrize("damage", ["", "null", "[" * 100_000])
def test_a_copy_of_an_event_file_is_left_alone_where_run_json_is_damaged(stopped: pathlib.Path, dataset: Dataset,
                                                                        runs: Any, damage: str) -> None:
    [events] = (stopped / "train").iterdir()
    content = events.read_bytes()
    copy = stopped / "train" / "events.out.tfevents.1.elsewhere"
    copy.write_bytes(content)
    (stopped / "run.json").write_text(damage)
    did, [line] = outcome(stopped, dataset, runs["stopped"][1])
    assert did == "recovered" and line.startswith("run.json ")
    assert copy.read_bytes() == content


def as_older(folder: pathlib.Path) -> None:
    """What a reglab without run.json, labels and ids in the names of event files would have left."""
    run = read_run_file(folder).run
    for path in [folder / "run.json", *folder.glob("checkpoints/**/ckpt-*.json")]:
        path.unlink()
    for path in folder.glob("*/events.*"):
        path.rename(path.with_name(path.name.removesuffix(f".{run}")))


@pytest.mark.parametrize("state", ["stopped", "finished"])
def test_a_run_of_an_older_reglab_goes_on(tmp_path: pathlib.Path, dataset: Dataset, runs: Any, state: str,
                                          read_events: Callable[..., Any]) -> None:
    original, reference = runs[state]
    folder = tmp_path / "run"
    shutil.copytree(original, folder)
    as_older(folder)
    shutil.copy(next((folder / "train").iterdir()), folder / "train" / "events.out.tfevents.0.notes")
    with open(folder / "train" / "events.out.tfevents.0.notes", "ab") as file:
        file.write(b"torn")
    assert outcome(folder, dataset, reference)[0] == "recovered"
    assert outcome(folder, dataset, reference) == ("recovered", [])
    assert [step for step, _ in read_events(folder / "train")["learning_rate"]] == list(range(0, 28, 3))
    assert (folder / "run.json").exists() and list(folder.glob("checkpoints/ckpt-*.json"))


def test_an_older_checkpoint_under_another_step_is_passed_over(stopped: pathlib.Path, dataset: Dataset,
                                                               runs: Any) -> None:
    as_older(stopped)
    copy_checkpoint(stopped / "checkpoints", 14, stopped / "checkpoints", 27, label=False)
    did, lines = outcome(stopped, dataset, runs["stopped"][1])
    assert did == "recovered" and lines == ["checkpoint ckpt-27 is passed over: it is a copy of ckpt-14"]


def test_an_older_run_without_checkpoints_is_refused(stopped: pathlib.Path, dataset: Dataset) -> None:
    as_older(stopped)
    shutil.rmtree(stopped / "checkpoints")
    assert "holds a run that went on" in refusal(stopped, dataset)


def test_a_best_state_that_is_damaged_while_the_run_goes_on_is_found_at_its_end(
        tmp_path: pathlib.Path, dataset: Dataset, runs: Any) -> None:
    class Damaging(Recorder):
        def epoch(self, row: Any) -> None:
            if row.step == 28:
                best = tmp_path / "checkpoints" / "best"
                while not (best / "ckpt-28.index").exists():  # It is written in the background.
                    time.sleep(0.01)
                change(lambda content: content[:9])(next(best.glob("ckpt-28.data-*")))

    console = Damaging()
    history = loop.fit(dataclasses.replace(CONFIG, model_dir=str(tmp_path)), dataset, console=console)
    assert history.result["best"] == runs["finished"][1].result["best"]
    assert len(console.warnings) == 1 and "best/ckpt-28 is damaged" in console.warnings[0]
    assert outcome(tmp_path, dataset, runs["finished"][1]) == ("recovered", [])
