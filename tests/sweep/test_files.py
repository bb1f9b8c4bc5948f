"""What a sweep's folder reads back, whatever stands there."""

from __future__ import annotations

import os
import pathlib

import pytest

from reglab.config import ConfigError
from reglab.sweep.files import SweepFolder


@pytest.mark.parametrize("content", ["[" * 200_000, "", "nonsense", None])
def test_a_plan_that_cannot_be_read_is_named(tmp_path: pathlib.Path, content: str | None) -> None:
    if content is None:
        os.mkfifo(tmp_path / "plan.json")
    else:
        (tmp_path / "plan.json").write_text(content)
    with pytest.raises(ConfigError, match="plan.json"):
        SweepFolder(str(tmp_path), "auto")
