"""Formats numbers, durations and the final summary as short ASCII texts."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from typing import Any, Final

TRAINED_LOSSES: Final = {"weighted_data_loss": "weighted", "smoothed_data_loss": "smoothed"}
"""What may be trained on in place of the data loss, and what it is called in front of these two words."""


def trained_loss(scores: Mapping[str, Any]) -> str | None:
    """Returns the name of the loss among scores that is trained on in place of the data loss, or None."""
    return next((name for name in TRAINED_LOSSES if name in scores), None)


def number(value: float | None, width: int = 9, sign: str = "") -> str:
    """Formats `value` with four significant digits, or fewer if `width` is too small; `sign="+"` shows a plus too.

    None, which stands for numbers that are not finite in JSON, is shown as `nan`.
    """
    if value is None or not math.isfinite(value):
        return str(float("nan" if value is None else value))
    if value == 0:
        return "0"
    text = ""
    for digits in (4, 3, 2, 1):
        # "#" keeps trailing zeros, which aligns columns, but also a trailing point, which is removed.
        text = f"{value:{sign}#.{digits}g}".replace(".e", "e").rstrip(".")
        if len(text) <= width:
            break
    return text


def percent(fraction: float | None, width: int = 8) -> str:
    """Formats a fraction as `98.12 %`; None as `nan`."""
    if fraction is None or not math.isfinite(fraction):
        return number(fraction)
    text = f"{100 * fraction:.2f} %"
    return text if len(text) <= width else f"{100 * fraction:.1f} %"


def rate(per_second: float | None) -> str:
    """Formats a rate, as an integer from 100 per second on; `-` if there is none yet."""
    if per_second is None:
        return "-"
    return f"{per_second:.0f}" if 100 <= per_second < 1e6 else number(per_second, 6)


def duration(seconds: float) -> str:
    """Formats seconds as `0:07`, `12:07` or `3:12:07`; as `-` if they are not finite."""
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Formats a number of bytes as `812 B`, `1.1 MiB` or `23 GiB`."""
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while count >= 1000 and len(units) > 1:
        count /= 1024
        del units[0]
    return f"{count:.0f} {units[0]}" if units[0] == "B" or count >= 10 else f"{count:.1f} {units[0]}"


def age(seconds: float) -> str:
    """Formats how long ago something was as `12 s`, `5 min`, `3 h` or `6 days`."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def summary_title(result: Mapping[str, Any]) -> str:
    """Says whether the run is complete, how many steps and how long it took, and its rate."""
    title = "Done" if result.get("completed", True) else "Stopped before the end"
    if "steps" in result:
        title += f" after {result['steps']} steps"
    if "seconds" in result:
        seconds = result["seconds"]
        title += f" in {seconds:.1f} s" if seconds < 60 else f" in {duration(seconds)}"
    if "steps_per_second" in result:
        title += f", {rate(result['steps_per_second'])} steps/s"
    return title


def summary_lines(result: Mapping[str, Any]) -> dict[str, str]:
    """Returns the results of the run as {label: text}; keys that `result` lacks get no line."""
    train, best, gap = (result.get(key) or {} for key in ("train", "best", "gap"))
    lines = {"Training": scores_text(train), "Validation": scores_text(result.get("validation") or {})}
    lines["Gap"] = _listed([
        f"{number(gap['data_loss'], sign='+')} in data loss" if "data_loss" in gap else "",
        f"{100 * gap['accuracy']:+.2f} percentage points in accuracy" if "accuracy" in gap else ""])
    if "penalty" in train:
        terms = " + ".join(f"{name} {number(value)}" for name, value in train.items()
                           if name not in ("data_loss", *TRAINED_LOSSES, "penalty", "total", "accuracy"))
        lines["Penalty"] = number(train["penalty"]) + (f" = {terms}" if terms else "")
    trained = trained_loss(train)
    if "total" in train:
        which = "" if trained is None else f"{TRAINED_LOSSES[trained]} "
        lines["Objective"] = f"{number(train['total'])} = {which}data loss + penalty"
    if result.get("sparsity") is not None:
        within = f"within {result['sparsity_threshold']:g} of zero"
        small, zeros = percent(result["sparsity"]), result.get("zeros")
        lines["Sparsity"] = (f"{small} of the kernel entries are {within}" if zeros is None else
                             f"{percent(zeros)} of the kernel entries are exactly zero, {small} {within}")
    if (nonfinite := result.get("nonfinite") or {}).get("left_out"):
        restores = f", {nonfinite['restores']} times back to a checkpoint" if nonfinite.get("restores") else ""
        lines["Left out"] = f"{nonfinite['left_out']:,} updates, which were not finite{restores}"
    if (ended := result.get("early_stopping")):
        lines["Stopped"] = _ending(ended, result)
    if best:
        lines["Best"] = _listed([f"epoch {best.get('epoch', '-')}, step {best.get('step', '-')}", scores_text(best)])
    if result.get("model_dir") is not None:
        lines["Written to"] = str(result["model_dir"])
    return {label: text for label, text in lines.items() if text}


def _ending(ended: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Returns when early stopping ended a run, and with which state."""
    when = (f"early, after epoch {ended['epochs']}: {ended['patience']} evaluations in a row without improvement"
            if ended["stopped"] else f"after all {ended['epochs']} epochs")
    return f"{when}; " + (f"these are the results of the best state, epoch {result['epochs']}" if
                          ended["best_state"] else "there is no whole best state, so these are those of the last")


def tensorboard_command(result: Mapping[str, Any]) -> str | None:
    """Returns the command that shows the run, ready to paste; None if nothing was written."""
    model_dir = result.get("model_dir")
    return None if model_dir is None else f"tensorboard --logdir {shlex.quote(str(model_dir))}"


def scores_text(values: Mapping[str, float | None]) -> str:
    """Formats data loss and accuracy, those of the two that are there."""
    trained = trained_loss(values)
    return _listed([f"data loss {number(values['data_loss'])}" if "data_loss" in values else "",
                    "" if trained is None else f"{TRAINED_LOSSES[trained]} data loss {number(values[trained])}",
                    f"accuracy {percent(values['accuracy'])}" if "accuracy" in values else ""])


def _listed(parts: list[str]) -> str:
    return ", ".join(filter(None, parts))
