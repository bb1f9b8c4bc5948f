"""How the settings of training are told to people, in the headers of all commands."""

from __future__ import annotations

from reglab.config import Config, durations
from reglab.core import penalties
from reglab.inputs.texts import shown


def name(config: Config) -> dict[str, str]:
    """Returns the line with the name of a run, if it has one."""
    return {} if config.name is None else {"Name": config.name}


def time_limit(config: Config) -> dict[str, str]:
    """Returns the line on when a run stops, if it has a limit."""
    if config.time_limit is None:
        return {}
    return {"Time limit": f"{durations.told(config.time_limit)} from the start, then saved to go on later"}


def schedule(config: Config) -> str:
    """Returns what becomes of the learning rate: `constant`, `step (x 0.1 every 5 epochs) after 100 steps of …`."""
    if config.schedule == "step":
        told = f"step (x {config.resolved_decay_factor:g} every {_counted(config.resolved_decay_every, 'epoch')})"
    elif config.schedule == "plateau":
        by = f" lower by more than {config.min_delta:g} nats" if config.min_delta else " lower"
        told = (f"plateau (x {config.resolved_decay_factor:g} after "
                f"{_counted(config.resolved_decay_patience, 'evaluation')} without a validation data loss{by})")
    else:
        told = config.schedule
    return told + (f" after {config.warmup_steps:,} steps of warm-up" if config.warmup_steps else "")


def loss_and_average(config: Config) -> dict[str, str]:
    """Returns lines for a header, by label, on the loss and on what is evaluated; none if these are the usual ones."""
    lines = {}
    smoothing = f"label smoothing {config.label_smoothing:g}"
    chosen = "evaluated and chosen by the data loss"
    if config.class_weights is not None:
        weights = f"class weights {shown(config.class_weights, 100)}"
        lines["Loss"] = f"weighted data loss, {weights}{f', {smoothing}' if config.label_smoothing else ''}; {chosen}"
    elif config.label_smoothing:
        lines["Loss"] = f"smoothed data loss, {smoothing}; {chosen}"
    if config.ema is not None:
        lines["Average"] = (f"of the weights, exponential with decay {config.ema:g}, is evaluated, chosen and exported "
                            "in their place")
    return lines


def proximal(config: Config) -> dict[str, str]:
    """Returns the line for a header, by label, on penalties that act by their proximal operator, if there are any."""
    acting = [name for name in config.strengths.told if not penalties.get(name).is_smooth]
    if not config.proximal or not acting:
        return {}
    lines = {"Proximal": f"{', '.join(acting)}, at the rates of {config.optimizer}: what is held at 0 is exactly 0"}
    if config.debias_epochs:
        lines["Debiasing"] = (f"in the last {_counted(config.debias_epochs, 'epoch')} of {config.epochs:,}, zeros are "
                              f"held and {' and '.join(acting)} {'is' if len(acting) == 1 else 'are'} off")
    return lines


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
