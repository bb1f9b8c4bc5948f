"""`run.json` tells how a run ended before it was complete, until it goes on."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

import reglab
from reglab.run.run_file import read_run_file

RUN = reglab.Config(train_size=64, hidden=(4,), epochs=2, jit=False, summary_every=0)


def test_a_stop_is_told_until_the_run_goes_on(tmp_path: pathlib.Path) -> None:
    config = dataclasses.replace(RUN, model_dir=str(tmp_path / "a"))
    with pytest.raises(reglab.Interrupted) as caught:
        reglab.fit(config, until=3)
    assert read_run_file(tmp_path / "a").ended == {"how": "stopped", "step": 3, "line": caught.value.line}
    assert "after step 3, saved" in caught.value.line
    reglab.fit(config)
    assert read_run_file(tmp_path / "a").ended is None
    assert b"ended" not in (tmp_path / "a" / "run.json").read_bytes()


def test_a_divergence_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(reglab.Diverged) as caught:
        reglab.fit(dataclasses.replace(RUN, optimizer="sgd", learning_rate=1e30, model_dir=str(tmp_path / "a")))
    ended = read_run_file(tmp_path / "a").ended
    assert ended == {"how": "diverged", "step": caught.value.step, "line": caught.value.line}
