"""Progress in a notebook: one text, changed in place."""

from __future__ import annotations

from typing import Any

from reglab.console import EpochRow
from reglab.console.notebook import NotebookConsole, notebook_display

RESULT: dict[str, Any] = {
    "completed": True, "steps": 40, "seconds": 1.5, "steps_per_second": 30.0,
    "train": {"data_loss": 0.5, "accuracy": 0.8}, "validation": {"data_loss": 0.6, "accuracy": 0.7}}


def test_one_text_tells_how_far_it_is_and_then_how_it_ended() -> None:
    shown: list[str] = []
    now = [0.0]
    console = NotebookConsole(shown.append, lambda: now[0])
    console.header({"Data": "made"})
    console.start(0, 40, 2)
    assert shown == ["step 0 of 40"]
    for step in (10, 20):
        now[0] += 1
        console.progress(step, 1, {"data_loss": 0.75})
    assert shown[-1] == "epoch 1 of 2, step 20 of 40, data loss 0.7500, 10.00 steps/s, 0:02 left"
    console.progress(21, 1, {"data_loss": 0.75})  # Too soon to be drawn.
    assert len(shown) == 3
    scores = {"data_loss": 0.8, "accuracy": 0.25}
    console.epoch(EpochRow(1, 2, 20, {"data_loss": 0.7, "accuracy": 0.5}, scores, 1.0, None))
    now[0] += 1
    console.progress(30, 2, {"data_loss": 0.5})
    assert shown[-1].endswith("0:01 left; after epoch 1: data loss 0.8000, accuracy 25.00 %")
    console.warning("it is hot")
    console.finish()
    assert shown[-1].splitlines()[0] == "Warning: it is hot"
    assert shown[-1].splitlines()[1].startswith("30 of 40 steps in 0:03")
    console.finish()
    console.summary(RESULT)
    assert shown[-1].splitlines() == [
        "Warning: it is hot", "Done after 40 steps in 1.5 s, 30.00 steps/s",
        "Training    data loss 0.5000, accuracy 80.00 %", "Validation  data loss 0.6000, accuracy 70.00 %"]


def test_outside_a_notebook_there_is_no_display() -> None:
    assert notebook_display() is None
