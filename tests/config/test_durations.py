"""Durations in the words of people, of schedulers, and in seconds."""

from __future__ import annotations

import pytest

from reglab.config import Config, ConfigError
from reglab.config.durations import read_duration, told


@pytest.mark.parametrize(("text", "seconds", "shortest"), [
    ("90", 90, "1m30s"), ("90s", 90, "1m30s"), ("10m", 600, "10m"), ("1h", 3600, "1h"), ("1h30m", 5400, "1h30m"),
    ("1.5h", 5400, "1h30m"), ("2d", 172_800, "2d"), (" 1H ", 3600, "1h"), ("0.5", 0.5, "0.5s"),
    ("1e3", 1000, "16m40s")])
def test_texts_are_read_and_told_again(text: str, seconds: float, shortest: str) -> None:
    assert read_duration(text) == seconds and told(seconds) == shortest
    assert read_duration(shortest) == seconds


@pytest.mark.parametrize("text", ["10 min", "m10", "1:30", "", "1h-3m", "9" * 101 + "m", "1..5h"])
def test_others_are_refused_in_one_line_that_shows_what_to_give(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--time_limit=.*give a time such as 90s, 10m, 1h30m, or seconds$"):
        Config(time_limit=text)  # type: ignore[arg-type]


def test_a_configuration_holds_seconds() -> None:
    assert Config(time_limit="10m").to_dict()["time_limit"] == 600.0  # type: ignore[arg-type]
    assert Config(time_limit=90).time_limit == 90.0
