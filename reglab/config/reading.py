"""Reads the `config.json` of a run with care: whatever the file holds, it is used or refused in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

from reglab.config.errors import ConfigError
from reglab.inputs.numerals import read_float, read_integer
from reglab.inputs.paths import Unusable, check_path, read_regular, reason
from reglab.inputs.texts import one_line, shown

_Number = TypeVar("_Number", int, float)


def read_fields(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the JSON object in the file given by `--config_file`; its fields are not checked.

    Raises:
      ConfigError: the file cannot be read, or is not a JSON object.
    """
    flag, fix = f"--config_file={shown(os.fspath(path))}", "give a run's config.json"
    try:
        check_path(os.fspath(path))
        fields = json.loads(read_regular(path).decode(), parse_int=_in_json(read_integer),
                            parse_float=_in_json(read_float))
    except (OSError, Unusable) as error:
        raise ConfigError(f"{flag} cannot be read ({reason(error)}): {fix}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{flag} is not JSON that can be used ({one_line(error, 120)}): {fix}") from None
    if not isinstance(fields, dict):
        raise ConfigError(f"{flag} holds no JSON object: {fix}")
    return fields


def _in_json(read: Callable[[str], _Number]) -> Callable[[str], _Number]:
    def read_named(text: str) -> _Number:
        try:
            return read(text)
        except ValueError as error:
            raise ValueError(f"{shown(text, 60)}: {error}") from None
    return read_named
