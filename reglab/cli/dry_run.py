"""`--dry_run` of the commands that train: what they would do, and nothing done."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from reglab.cli.flags import ExtraFlags
from reglab.cli.preflight import preflight
from reglab.config import Config, ConfigError
from reglab.console import open_console
from reglab.inputs import exit_codes
from reglab.inputs.texts import shown
from reglab.storage.json_values import strict_json

if TYPE_CHECKING:
    from reglab.data import Dataset

DRY_RUN: Final[ExtraFlags] = {
    "dry_run": (bool, "Check everything and tell what would be done (steps, splits, penalized layers, memory, devices, "
                      "what is compiled), but do nothing: nothing is written, not even compiled code.", False),
}


def data_here(config: Config, **options: Any) -> Dataset:
    """Checks what `preflight` checks, and returns the data.

    Args:
      options: the further arguments of `preflight`.

    Raises:
      ConfigError: something cannot be used, or the data would have to be downloaded, which writes files.
    """
    dataset = preflight(config, **options)
    if dataset is None:
        raise ConfigError(f"--dataset={shown(config.dataset)}: its files are not on this machine, and --dry_run "
                          "downloads nothing: name their folder with --data_dir, or leave --dry_run out")
    return dataset


def show_plan(facts: Mapping[str, str], told: Mapping[str, Any], as_json: bool) -> int:
    """Shows a plan to people and, if wanted, as one JSON object on stdout; returns the exit code."""
    console = open_console(sys.stderr if as_json else sys.stdout)
    console.header(facts)
    console.message("\nDry run: nothing was trained, compiled or written.")
    if as_json:
        print(strict_json(told))
    return exit_codes.SUCCESS
