"""Flags of single runs that have no meaning where many configurations train side by side, and why. No TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reglab.config import FLAGS, Config
from reglab.config.checks import require

BY_SWEEP: Final = {
    "profile": "it traces the steps of one run: give it to reglab.train, with the settings of one point",
}
BY_COMPARE: Final = {
    "profile": "it traces the steps of one run: give it to reglab.train, with the settings of one arm",
    "time_limit": "a comparison keeps nothing until it is done, so a limit would only lose it: leave it out, or give "
                  "it to reglab.sweep, which goes on",
}


def check_refused(config: Config, refused: Mapping[str, str]) -> None:
    """Checks that none of the refused fields was given, for instance in a configuration file.

    Raises:
      ConfigError: one was.
    """
    for name, why in refused.items():
        value = getattr(config, name)
        require(value == FLAGS[name].default, name, value, why)
