"""`--time_limit`: what a run and a sweep do when their time is up; the same command goes on to the same bits."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from reglab.compare.experiment import compare
from reglab.config import Config, ConfigError
from reglab.data import Dataset
from reglab.lab.grid import Grid
from reglab.run.loop import Interrupted, fit
from reglab.signals.stop import StopRequest
from reglab.sweep.experiment import sweep
from reglab.sweep.progress import Stopped

pytestmark = pytest.mark.usefixtures("shared_compilation", "without_pictures")

# 53 training examples in batches of 8: 7 steps an epoch.
CONFIG = Config(hidden=(4,), batch_size=8, epochs=4, l1=0.01, jit=False, time_limit=10)


def clock(step: float) -> Callable[[], float]:
    """A clock that moves on by `step` seconds whenever it is looked at."""
    times = itertools.count()
    return lambda: next(times) * step


def test_a_request_is_late_from_the_limit_on_and_says_so() -> None:
    now = 0.0
    with mock.patch("reglab.signals.stop.monotonic", lambda: now):
        request = StopRequest()
        assert not request
        request.limit_time(10)
        now = 9.9
        assert not request
        now = 10.0
        assert request and request.name == "--time_limit"
        request.limit_time(None)
        assert not request


def test_a_run_stops_after_a_call_at_least_and_goes_on_to_the_same_bits(dataset: Dataset,
                                                                         tmp_path: pathlib.Path) -> None:
    whole = fit(dataclasses.replace(CONFIG, time_limit=None), dataset)
    config, stops = dataclasses.replace(CONFIG, model_dir=str(tmp_path)), []
    while True:  # Every start is late at once, and still takes steps.
        with mock.patch("reglab.signals.stop.monotonic", clock(100.0)):
            try:
                history = fit(config, dataset)
                break
            except Interrupted as stopped:
                stops.append(stopped.step)
                assert str(stopped) == f"stopped by --time_limit after step {stopped.step}, saved"
    assert stops == sorted(set(stops)) and stops[0] > 0 and len(stops) >= 3
    for mine, theirs in zip(tf.nest.flatten(history.parameters), tf.nest.flatten(whole.parameters), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_sweep_says_if_there_was_no_time_for_a_call_and_goes_on(dataset: Dataset, tmp_path: pathlib.Path) -> None:
    config, grid = dataclasses.replace(CONFIG, model_dir=str(tmp_path)), Grid(l1=(0.0, 0.01, 0.02))
    said = r"^stopped by --time_limit, 0 of 3 chunks finished, none of them by this start: give a longer --time_limit"
    with mock.patch("reglab.signals.stop.monotonic", clock(100.0)), pytest.raises(Stopped, match=said):
        sweep(config, grid, lanes_per_call=1, data=dataset)
    done = sweep(dataclasses.replace(config, time_limit=3600), grid, lanes_per_call=1, data=dataset)
    assert len(done.result["points"]) == 3


def test_a_comparison_refuses_it_since_it_would_lose_everything(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match="^--time_limit=10.0: a comparison keeps nothing until it is done"):
        compare(CONFIG, seeds=1, data=dataset)
