"""Sizes and ages in few characters."""

from __future__ import annotations

import pytest

from reglab.console.format import age, size


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 KiB"), (1536, "1.5 KiB"),
                                             (3 * 2**20, "3.0 MiB"), (25 * 2**30, "25 GiB"), (2**60, "1048576 TiB")])
def test_size(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(-5, "0 s"), (0.4, "0 s"), (119, "119 s"), (120, "2 min"),
                                               (7300, "2 h"), (86400 * 2, "2 days"), (86400 * 400, "400 days")])
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text
