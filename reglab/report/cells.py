"""Cells of tables: numbers as in reglab's other tables, with their intervals or errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reglab.console.format import number, percent
from reglab.records.told import number_at

UNKNOWN = "-"
Form = Callable[[float], str]


def cell(value: float | None, form: Form = number) -> str:
    """Returns a number as text, or `-` if it is not known."""
    return UNKNOWN if value is None else form(value)


def signed(value: float) -> str:
    """Returns a number with its sign."""
    return number(value, sign="+")


def points(value: float) -> str:
    """Returns a difference of fractions in percentage points: `+1.25`."""
    return f"{100 * value:+.2f}"


def with_interval(told: Any, form: Form = number) -> str:
    """Returns `0.80 (0.71 to 0.89)` of {"mean", "low", "high"}, or the mean alone where there is no interval."""
    mean, low, high = (number_at(told, name) for name in ("mean", "low", "high"))
    if mean is None or low is None or high is None:
        return cell(mean, form)
    return f"{form(mean)} ({form(low).removesuffix(' %')} to {form(high).removesuffix(' %')})"


def with_error(told: Any, form: Form = number) -> str:
    """Returns `0.80 ± 0.01` of {"mean", "se"}, or the mean alone where there is no error."""
    mean, error = number_at(told, "mean"), number_at(told, "se")
    if mean is None or error is None:
        return cell(mean, form)
    return f"{form(mean)} ± {f'{100 * error:.2f}' if form is percent else f'{error:.2g}'}"


def count(value: float) -> str:
    """Returns a whole number with separators."""
    return f"{value:,.0f}"


def finite(*values: float | None) -> list[float]:
    """Returns the values that are known."""
    return [value for value in values if value is not None]


def rows_of_settings(settings: Mapping[str, Any], spoken: Callable[[Any], str]) -> list[tuple[str, str]]:
    """Returns a table of settings, by the names of their flags."""
    return [(f"--{name}", spoken(value)) for name, value in settings.items()]
