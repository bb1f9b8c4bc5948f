"""Each check passes what is right and refuses the rest in one line: the flag, the value found and the fix."""

from __future__ import annotations

import math
from typing import Any

import pytest

from reglab.config import ConfigError
from reglab.config.checks import Check, between, holds, one_of, path, pattern_or, positive, strength, text

RIGHT: list[tuple[Check, Any]] = [
    (holds(bool, "give one"), 1), (one_of("a", "b"), "b"), (between(1, 5, "give more"), 1),
    (between(1, 5, "give more"), 5), (strength(), 0), (strength(), 1e300), (positive("give more"), 5e-324),
    (path, "runs/a"), (text, "a b"), (pattern_or("all"), "all"), (pattern_or("all"), "dense_[01]")]


@pytest.mark.parametrize(("check", "value"), RIGHT)
def test_what_is_right_passes(check: Check, value: Any) -> None:
    check("flag", value)


@pytest.mark.parametrize(("check", "value", "said"), [
    (holds(bool, "give one"), 0, "--flag=0: give one"),
    (one_of("a", "b"), "c", "--flag=c: choose one of a, b"),
    (between(1, 5, "give more"), 0.5, "--flag=0.5: give more"),
    (between(1, 5000, "give more"), 5001, "--flag=5001: give at most 5,000"),
    (between(1, 5, "give more"), math.nan, "--flag=nan: give more"),
    (between(1, 5, "give more"), math.inf, "--flag=inf: give more"),
    pytest.param(between(0, 5, "give more"), 10**400, "(401 characters): give at most 5", id="more than a float holds"),
    (strength(), -1, "--flag=-1: give a finite number of at least 0"),
    (positive("give more"), 0, "--flag=0: give more"), (positive("give more"), math.nan, "--flag=nan: give more"),
    (path, "s3://a", "--flag=s3://a cannot be used: s3:// is not supported"),
    (text, "a\n", "--flag=a\\n cannot be used: it holds the control character"),
    (pattern_or("all", "hidden"), "(", "--flag=( is not a regular expression that can be used"),
    (pattern_or("all", "hidden"), "(", "give all, hidden or a pattern")])
def test_what_is_wrong_is_refused_in_one_line(check: Check, value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check("flag", value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
