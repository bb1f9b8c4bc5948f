"""A profile of some steps of a run: its files are those of other tools, and the run stays what it is."""

from __future__ import annotations

import dataclasses
import gzip
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from reglab.config import Config, ConfigError
from reglab.data import Dataset
from reglab.run.loop import Interrupted, fit
from tests.run.test_loop import Spy

CONFIG = Config(hidden=(4,), batch_size=8, epochs=3, l1=0.01, jit=False)  # 7 steps an epoch.


def test_a_trace_of_the_steps_is_written_and_the_steps_are_the_same(dataset: Dataset, tmp_path: pathlib.Path) -> None:
    console, folder = Spy(), tmp_path / "run"
    config = dataclasses.replace(CONFIG, model_dir=str(folder), profile="5:6")
    history = fit(config, dataset, console=console)
    (line,) = [message for message in console.messages if message.startswith("Profile")]
    assert "steps 5 to 10" in line and str(folder / "profile") in line and "ui.perfetto.dev" in line
    assert len([*folder.glob("profile/plugins/profile/*/*.xplane.pb")]) == 1
    trace = json.loads(gzip.decompress((folder / "profile" / "trace.json.gz").read_bytes()))
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert events and all(event["dur"] >= 0 and event["name"] for event in events)
    assert {5, 11} <= set(console.steps)  # Calls begin and end where the profile does.
    plain = fit(CONFIG, dataset)
    for mine, theirs in zip(tf.nest.flatten(history.parameters), tf.nest.flatten(plain.parameters), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_stopped_profile_ends_and_one_whose_steps_are_past_is_warned_of(dataset: Dataset,
                                                                          tmp_path: pathlib.Path) -> None:
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path), profile="5:9")
    with pytest.raises(Interrupted):
        fit(config, dataset, until=9)
    tf.profiler.experimental.start(str(tmp_path / "other"))  # Would be refused while another is on.
    tf.profiler.experimental.stop()
    console = Spy()
    fit(config, dataset, console=console)
    assert console.warnings == ["--profile=5:9: nothing is traced, as it goes on after step 9"]


def test_without_a_folder_it_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="^--profile=5:9 writes into the run's folder"):
        fit(dataclasses.replace(CONFIG, profile="5:9"), dataset)
