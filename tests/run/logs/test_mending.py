"""What a resume drops of the logs, and what it makes good of metrics and event files from each other."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reglab.config import ConfigError
from reglab.run.logs.mending import Expected, Logs, mend_logs
from reglab.run.logs.points import Key
from reglab.run.logs.summaries import MetricsFile, RunWriter

Points = Callable[[pathlib.Path], dict[str, list[tuple[int, Any]]]]


def lines(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def event_file(folder: pathlib.Path) -> pathlib.Path:
    (path,) = folder.glob("*tfevents*")
    return path


def mend(folder: pathlib.Path, step: int, expected: Expected | None = None) -> tuple[Logs, list[str]]:
    """Mends the logs of a run whose event files are all that are there, and checks that every warning is a line."""
    warnings: list[str] = []
    files = {split: sorted((folder / split).glob("events*")) for split in ("train", "validation")}
    logs = mend_logs(folder, files, step, warnings.append, expected=expected)
    assert not any("\n" in text for text in warnings)
    return logs, warnings


def forget_after(folder: pathlib.Path, step: int) -> None:
    """Mends logs of which nothing is lost."""
    assert mend(folder, step)[1] == []


# What a resume drops.

def write_run(folder: pathlib.Path) -> None:
    """Measured steps 0, 5 … 25 and evaluations after 10 and 20 updates, in one event file a split and metrics.jsonl."""
    metrics = MetricsFile(folder / "metrics.jsonl")
    writers = {split: RunWriter(folder / split) for split in ("train", "validation")}
    writers["train"].describe({"l1": 0.5})
    for step in range(0, 30, 5):
        if step in (10, 20):
            for split, writer in writers.items():
                metrics.write(step, split, {"epoch/data_loss": step / 2, "generalization/data_loss_gap": 1.0})
                writer.scalars(step, {"epoch/data_loss": step / 2, "generalization/data_loss_gap": 1.0}, 0.0)
            writers["train"].histograms(step, {"weights/logits/kernel": np.ones(3)})
        metrics.write(step, "train", {"train_batch/data_loss": 1.0 + step})
        writers["train"].scalars(step, {"train_batch/data_loss": 1.0 + step}, 0.0)
    metrics.close()
    for writer in writers.values():
        writer.close()


def steps_of(folder: pathlib.Path, read_events: Points) -> dict[str, list[int]]:
    """Where the measured steps and the evaluations are, by file and kind."""
    found = {f"{split} {tag}": [step for step, _ in points] for split in ("train", "validation")
             for tag, points in read_events(folder / split).items()}
    for tag in ("train_batch/data_loss", "epoch/data_loss"):
        found[f"metrics {tag}"] = [line["step"] for line in lines(folder / "metrics.jsonl") if tag in line]
    return {name: steps for name, steps in found.items() if steps}


@pytest.mark.parametrize(("last", "measured", "evaluated"), [
    (10, [0, 5], [10]),  # The evaluation after 10 updates stays; the step measured before update 11 will come again.
    (11, [0, 5, 10], [10]), (9, [0, 5], []), (20, [0, 5, 10, 15], [10, 20]), (99, [*range(0, 30, 5)], [10, 20]),
    (1, [0], [])])
def test_what_lies_beyond_the_restored_step_goes_and_nothing_else(
        tmp_path: pathlib.Path, read_events: Points, last: int, measured: list[int], evaluated: list[int]) -> None:
    write_run(tmp_path)
    forget_after(tmp_path, last)
    found = steps_of(tmp_path, read_events)
    assert found["train train_batch/data_loss"] == found["metrics train_batch/data_loss"] == measured
    for name in ("train epoch/data_loss", "train generalization/data_loss_gap", "train weights/logits/kernel",
                 "validation epoch/data_loss"):
        assert found.get(name, []) == evaluated
    assert found.get("metrics epoch/data_loss", []) == [step for step in evaluated for _ in range(2)]
    assert found["train custom_scalars__config__"] == [0]


def test_a_run_without_a_checkpoint_starts_with_empty_logs(tmp_path: pathlib.Path, read_events: Points) -> None:
    write_run(tmp_path)
    forget_after(tmp_path, 0)
    assert steps_of(tmp_path, read_events) == {}
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_forgetting_twice_is_forgetting_once(tmp_path: pathlib.Path, tree: Callable[..., Any]) -> None:
    write_run(tmp_path)
    forget_after(tmp_path, 12)
    once = tree(tmp_path)
    forget_after(tmp_path, 12)
    assert tree(tmp_path) == once
    forget_after(tmp_path, 99)
    assert tree(tmp_path) == once


def test_what_stays_is_not_changed_by_a_byte(tmp_path: pathlib.Path, tree: Callable[..., Any]) -> None:
    write_run(tmp_path)
    before = tree(tmp_path)
    forget_after(tmp_path, 99)
    assert tree(tmp_path) == before


def test_the_name_of_the_folder_is_no_pattern(tmp_path: pathlib.Path, read_events: Points) -> None:
    folder = tmp_path / "l1=[0.1]*"
    folder.mkdir()
    write_run(folder)
    forget_after(folder, 10)
    assert steps_of(folder, read_events)["train train_batch/data_loss"] == [0, 5]


@pytest.mark.parametrize("cut", [4, 9, 25])
def test_a_line_and_a_record_torn_by_the_kill_go(tmp_path: pathlib.Path, read_events: Points, cut: int) -> None:
    write_run(tmp_path)
    for path in (tmp_path / "metrics.jsonl", event_file(tmp_path / "train")):
        path.write_bytes(path.read_bytes()[:-cut])
    forget_after(tmp_path, 99)
    found = steps_of(tmp_path, read_events)
    assert found["train train_batch/data_loss"] == found["metrics train_batch/data_loss"] == [0, 5, 10, 15, 20]
    assert (tmp_path / "metrics.jsonl").read_bytes().endswith(b"}\n")


def test_a_missing_line_end_leaves_the_line_whole(tmp_path: pathlib.Path, tree: Callable[..., Any]) -> None:
    write_run(tmp_path)
    before = tree(tmp_path)
    (tmp_path / "metrics.jsonl").write_bytes(before["metrics.jsonl"][:-1])
    forget_after(tmp_path, 99)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("junk", [b"\xff\xfe\x00", b"null\n", b"[1]\n", b'{"split": "train"}\n', b"\0" * 100,
                                  b'{"step": NaN}\n', b'{"step": null}\n', b'{"step": 1e999, "split": "train"}\n',
                                  b'{"step": 5, "split": "train", "train_batch/data_loss": "low"}\n',
                                  b"[" * 100_000 + b"\n",
                                  b'{"step": 1' + b"0" * 5000 + b', "split": "train"}\n'])
def test_what_is_no_metrics_line_goes(tmp_path: pathlib.Path, tree: Callable[..., Any], junk: bytes) -> None:
    write_run(tmp_path)
    before = tree(tmp_path)
    with open(tmp_path / "metrics.jsonl", "ab") as file:
        file.write(junk)
    # Half a line at the end is what a kill leaves.
    assert mend(tmp_path, 99)[1] == (["metrics.jsonl has 1 damaged line, dropped"] if junk.endswith(b"\n") else [])
    assert tree(tmp_path) == before


def test_nothing_is_no_trouble(tmp_path: pathlib.Path, tree: Callable[..., Any]) -> None:
    forget_after(tmp_path, 5)
    forget_after(tmp_path / "missing", 5)
    assert tree(tmp_path) == {}


def test_a_killed_forgetting_leaves_nothing_behind_after_the_next(tmp_path: pathlib.Path,
                                                                  tree: Callable[..., Any]) -> None:
    write_run(tmp_path)
    names = set(tree(tmp_path))
    for path in (tmp_path / "metrics.jsonl", event_file(tmp_path / "train")):
        path.with_name(f".{path.name}.tmp").write_bytes(path.read_bytes()[:50])
    forget_after(tmp_path, 10)
    assert set(tree(tmp_path)) == names


def test_the_axis_is_unbroken_when_another_process_goes_on(tmp_path: pathlib.Path, read_events: Points) -> None:
    write_run(tmp_path)
    forget_after(tmp_path, 12)
    writer = RunWriter(tmp_path / "train")
    for step in (15, 20):
        writer.scalars(step, {"train_batch/data_loss": 1.0 + step}, 0.0)
    writer.close()
    assert len(list((tmp_path / "train").iterdir())) == 2
    assert read_events(tmp_path / "train")["train_batch/data_loss"] == [
        (step, np.float32(1 + step)) for step in range(0, 25, 5)]


# What is made good.

def flip(path: pathlib.Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x11
    path.write_bytes(content)


def all_points(folder: pathlib.Path, read_events: Points) -> dict[str, Any]:
    return {split: {tag: [(step, value.tolist()) for step, value in points]
                    for tag, points in read_events(folder / split).items()} for split in ("train", "validation")}


def test_metrics_are_written_again_from_the_event_files(tmp_path: pathlib.Path) -> None:
    write_run(tmp_path)
    before = lines(tmp_path / "metrics.jsonl")
    (tmp_path / "metrics.jsonl").unlink()
    _, warnings = mend(tmp_path, 99)
    assert warnings == ["metrics.jsonl is missing: 10 lines written again from the event files, which have float32"]
    assert lines(tmp_path / "metrics.jsonl") == before  # These numbers are float32 too.
    forget_after(tmp_path, 99)


@pytest.mark.parametrize("lost", [["train"], ["validation"], ["train", "validation"]])
def test_event_files_are_written_again_from_the_metrics(tmp_path: pathlib.Path, read_events: Points,
                                                        lost: list[str]) -> None:
    write_run(tmp_path)
    before = all_points(tmp_path, read_events)
    for split in lost:
        event_file(tmp_path / split).unlink()
    logs, warnings = mend(tmp_path, 99)
    assert len(warnings) == len(lost) and all(
        warning.startswith(f"{split}/ lacks ") for split, warning in zip(lost, warnings, strict=True))
    after = all_points(tmp_path, read_events)
    for split in ("train", "validation"):  # Histograms and descriptions are nowhere else.
        assert after[split] == {tag: points for tag, points in before[split].items()
                                if split not in lost or tag.startswith(("epoch/", "generalization/", "train_batch/"))}
    assert logs.told == frozenset()
    forget_after(tmp_path, 99)


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_record_in_the_middle_costs_nothing_that_the_metrics_have(
        tmp_path: pathlib.Path, read_events: Points, part: float) -> None:
    write_run(tmp_path)
    before = all_points(tmp_path, read_events)
    path = event_file(tmp_path / "validation")
    flip(path, int(part * path.stat().st_size))
    _, warnings = mend(tmp_path, 99)
    assert all("validation/" in warning for warning in warnings)
    assert all_points(tmp_path, read_events)["validation"] == before["validation"]
    forget_after(tmp_path, 99)


def test_what_follows_a_damaged_record_stays_where_nothing_else_is_left(tmp_path: pathlib.Path,
                                                                       read_events: Points) -> None:
    write_run(tmp_path)
    path = event_file(tmp_path / "train")
    content = path.read_bytes()
    tag = b"train_batch/data_loss"
    flip(path, content.rindex(tag, 0, content.rindex(tag)))  # In the record of step 20.
    (tmp_path / "metrics.jsonl").unlink()
    _, warnings = mend(tmp_path, 99)
    assert [warning.split(" has ")[-1] for warning in warnings][-1] == "1 damaged record, dropped"
    assert [step for step, _ in read_events(tmp_path / "train")[tag.decode()]] == [0, 5, 10, 15, 25]
    assert [line["step"] for line in lines(tmp_path / "metrics.jsonl") if tag.decode() in line] == [0, 5, 10, 15, 25]


@pytest.mark.parametrize("change", [
    lambda line: line.replace(b"16.0", b"17.0"), lambda line: line.replace(b"loss", b"lost"),
    lambda line: line[:-9], lambda line: b"", lambda line: b"\0" * len(line),
    lambda line: line.replace(b'"step": 15', b'"step": 14'), lambda line: line.replace(b"train", b"test"),
    lambda line: line.replace(b"16.0", b"null")])
def test_a_garbled_line_in_the_middle_is_made_good(tmp_path: pathlib.Path, tree: Callable[..., Any],
                                                   change: Callable[[bytes], bytes]) -> None:
    write_run(tmp_path)
    before = tree(tmp_path)
    path = tmp_path / "metrics.jsonl"
    good = b'{"step": 15, "split": "train", "train_batch/data_loss": 16.0}'
    assert path.read_bytes().count(good) == 1
    path.write_bytes(path.read_bytes().replace(good, change(good)))
    expected = Expected(frozenset([*(Key(step, "measured", "train") for step in range(0, 30, 5)),
                                   *(Key(step, "evaluation", split) for step in (10, 20)
                                     for split in ("train", "validation"))]))
    _, warnings = mend(tmp_path, 99, expected)
    assert len(warnings) == 1 and warnings[0].startswith("metrics.jsonl has 1 damaged line: 1 line written again")
    assert tree(tmp_path) == before


def test_what_is_lost_in_both_places_is_named(tmp_path: pathlib.Path) -> None:
    write_run(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    event_file(tmp_path / "train").unlink()
    expected = Expected(frozenset(Key(step, "measured", "train") for step in range(0, 30, 5)), frozenset({10, 20}))
    _, warnings = mend(tmp_path, 99, expected)
    assert warnings[-2:] == [
        "metrics.jsonl and the event files both lack 6 points, from step 0 to 25: they cannot be written again",
        "train/ lacks the histograms of 2 evaluations: they cannot be written again"]


def test_what_is_not_finite_is_made_good_too(tmp_path: pathlib.Path, read_events: Points) -> None:
    metrics, writer = MetricsFile(tmp_path / "metrics.jsonl"), RunWriter(tmp_path / "train")
    for step, value in enumerate([1.0, float("nan"), float("inf"), 1e39]):
        metrics.write(step, "train", {"train_batch/data_loss": value})
        writer.scalars(step, {"train_batch/data_loss": value}, 5.0)
    metrics.close()
    writer.close()
    forget_after(tmp_path, 9)
    event_file(tmp_path / "train").unlink()
    assert len(mend(tmp_path, 9)[1]) == 1
    assert np.isfinite([value for _, value in read_events(tmp_path / "train")["train_batch/data_loss"]]).tolist() == [
        True, False, False, False]


def test_a_killed_mending_tells_no_point_twice(tmp_path: pathlib.Path, read_events: Points) -> None:
    write_run(tmp_path)
    before = all_points(tmp_path, read_events)
    path = event_file(tmp_path / "train")
    path.with_name(path.name + "0").write_bytes(path.read_bytes())  # The second was not removed yet.
    assert mend(tmp_path, 99)[1] == []
    assert event_file(tmp_path / "train") == path
    after = all_points(tmp_path, read_events)
    assert {tag: points for tag, points in after["train"].items() if "loss" in tag} == {
        tag: points for tag, points in before["train"].items() if "loss" in tag}


def test_only_the_files_that_are_given_are_read_or_written(tmp_path: pathlib.Path, tree: Callable[..., Any]) -> None:
    write_run(tmp_path)
    for place in ("train/events.out.tfevents.9.other", "notes/events.out.tfevents.1"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"mine")
    before = tree(tmp_path)
    own = {split: [path for path in (tmp_path / split).iterdir() if "other" not in path.name]
           for split in ("train", "validation")}
    mend_logs(tmp_path, own, 10, pytest.fail)
    after = tree(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {
        "metrics.jsonl", *(str(path.relative_to(tmp_path)) for paths in own.values() for path in paths)}


def test_no_file_in_the_place_of_the_metrics_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(ConfigError, match=r"metrics\.jsonl is a folder, not a file: move it away"):
        mend(tmp_path, 5)


def test_records_of_another_run_under_the_runs_name_change_nothing(tmp_path: pathlib.Path, read_events: Points) -> None:
    write_run(tmp_path)
    told, steps = (tmp_path / "metrics.jsonl").read_bytes(), steps_of(tmp_path, read_events)
    name = event_file(tmp_path / "validation").name
    event_file(tmp_path / "validation").unlink()
    with_another = RunWriter(tmp_path / "other")
    for step in (10, 20):
        with_another.scalars(step, {"epoch/data_loss": 7.0 + step, "generalization/data_loss_gap": 3.0}, 0.0)
    with_another.close()
    event_file(tmp_path / "other").rename(tmp_path / "validation" / name)
    _, warnings = mend(tmp_path, 30)
    assert warnings == [f"validation/{name} holds the records of another run, dropped",
                        f"validation/{name} lacks 2 records: written again from metrics.jsonl"]
    assert (tmp_path / "metrics.jsonl").read_bytes() == told and steps_of(tmp_path, read_events) == steps
    assert mend(tmp_path, 30)[1] == []
    points = read_events(tmp_path / "validation")["epoch/data_loss"]
    assert [float(value) for _, value in points] == [5.0, 10.0]


def test_metrics_of_another_run_are_written_again_from_the_event_files(tmp_path: pathlib.Path) -> None:
    write_run(tmp_path)
    told = lines(tmp_path / "metrics.jsonl")
    other = [{**line, **{tag: 9.0 for tag in line if "/" in tag}} for line in told]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in other))
    mend(tmp_path, 30)
    assert lines(tmp_path / "metrics.jsonl") == told
