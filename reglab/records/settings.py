"""Settings of several records: in which they differ, what they share, and how a value is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from reglab.config import FLAGS, spelled
from reglab.inputs.texts import shown
from reglab.records.record import Record
from reglab.records.told import list_at
from reglab.storage.reading import is_number

_MOST: Final = 60


def differing(records: Sequence[Record]) -> list[str]:
    """Returns the names of the settings in which records differ, those of flags first and in their order.

    A setting that a record does not tell has its default: older files lack newer flags, and some are told only where
    they are not the default.
    """
    records = [record for record in records if record.settings]  # Those of a broken folder are not known.
    return [name for name in _names(records) if len({repr(setting(record, name)) for record in records}) > 1]


def unusual(records: Sequence[Record]) -> dict[str, Any]:
    """Returns the settings that all records share and that are not the default."""
    same = {name: setting(records[0], name) for name in _names(records)
            if len({repr(setting(record, name)) for record in records}) == 1} if records else {}
    return {name: value for name, value in same.items() if value != default(name)}


def setting(record: Record, name: str) -> Any:
    """Returns the value that a setting has in a record."""
    return record.settings.get(name, default(name))


def default(name: str) -> Any:
    """Returns the default of a setting as JSON has it; None for what is no flag."""
    value = FLAGS[name].default if name in FLAGS else None
    return list(value) if isinstance(value, tuple) else value


def spoken(value: Any) -> str:
    """Returns a setting as it would be given on the command line, cut where it is long; `-` where it is not given.

    Several values that were tried are shown as `0 to 0.01 (5 values)`.
    """
    tried = list_at(value, "values")
    if tried:
        is_numbers = all(map(is_number, tried))
        span = f"{spoken(min(tried))} to {spoken(max(tried))}" if is_numbers else ""
        return f"{span} ({len(tried)} values)" if is_numbers else shown("; ".join(map(spoken, tried)), _MOST)
    if value is None:
        return "-"
    if is_number(value) and isinstance(value, float):
        return f"{value:.4g}"
    return shown(value if isinstance(value, list) else spelled(value), _MOST) or "none"


def in_words(record: Record, names: Sequence[str]) -> str:
    """Returns the settings of a record among some names, those at their default left out: `hidden=32 l1=0.001`."""
    told = [(name, setting(record, name)) for name in names]
    return " ".join(f"{name}={spoken(value)}" for name, value in told if value != default(name))


def _names(records: Sequence[Record]) -> list[str]:
    told = {name: None for record in records for name in record.settings}
    return [*(name for name in FLAGS if name in told), *(name for name in told if name not in FLAGS)]
