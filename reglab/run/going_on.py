"""A run that was to be of fewer epochs goes on: `--epochs=20` in the folder of a run of 10.

It then is the run of 20 to the last bit. So everything it has done must be what that would have done, or it is refused:
the learning rates so far, the steps that were measured, the epochs that were evaluated, and for how long it did without
an improvement. What it told of itself as a run of 10 is dropped from its files.
"""

from __future__ import annotations

from typing import Final

from reglab.config import Config, ConfigError
from reglab.config.allowed import SCHEDULES_OF_ALL_EPOCHS
from reglab.run.logs.rhythm import Expected, Rhythm, is_evaluated

MAY_DIFFER: Final = frozenset({"epochs", "patience", "min_delta"})
"""The fields by which a run may go on further than it was to."""


def check_config(mine: Config, theirs: Config, flag: str) -> None:
    """Checks what two configurations tell that differ in nothing else than `MAY_DIFFER`.

    Args:
      mine: the configuration to go on with; `theirs` is that of the folder.
      flag: how the folder was given, for the message.

    Raises:
      ConfigError: the run cannot go on so.
    """
    if mine.epochs != theirs.epochs and mine.schedule in SCHEDULES_OF_ALL_EPOCHS:
        refuse(mine, theirs, flag, "epochs", f"with --schedule={mine.schedule} the number of epochs decides on every "
                                             "learning rate")
    if mine.schedule == "plateau" and mine.min_delta != theirs.min_delta:
        refuse(mine, theirs, flag, "min_delta", "it counted other falls of the data loss as improvements")
    if mine.schedule == "plateau" and mine.epochs != theirs.epochs and theirs.epochs % theirs.evaluate_every:
        refuse(mine, theirs, flag, "epochs", "its last evaluation, which that would not have made, counted for the "
                                             "learning rate")
    if mine.epochs != theirs.epochs and mine.debias_epochs:
        refuse(mine, theirs, flag, "epochs", "with --debias_epochs the number of epochs decides when penalties end")
    if mine.patience is None:
        return
    if theirs.patience is None:
        refuse(mine, theirs, flag, "patience", "it did not count for how long it went without an improvement")
    elif mine.patience < theirs.patience:
        refuse(mine, theirs, flag, "patience", "it may have gone on for longer without an improvement")
    if mine.min_delta != theirs.min_delta:
        refuse(mine, theirs, flag, "min_delta", "it counted other falls of the data loss as improvements")


def check_done(mine: Config, theirs: Config, flag: str, *, step: int, steps_per_epoch: int,
               best: int | None) -> int | None:
    """Checks what a run has done so far.

    Args:
      step: the step of its newest checkpoint.
      best: the step of its best state; None without one.

    Returns:
      The step of the evaluation after which it was to end, if the longer run does not make or write that; else None.

    Raises:
      ConfigError: the run cannot go on so.
    """
    done, end = step // steps_per_epoch, theirs.epochs * steps_per_epoch
    if mine.epochs != theirs.epochs and step >= mine.epochs * steps_per_epoch:
        refuse(mine, theirs, flag, "epochs", f"it has done {done:,} already")
    expected = [Expected.of(config, Rhythm.of(config, steps_per_epoch), step) for config in (mine, theirs)]
    differing = expected[0].points ^ expected[1].points
    if any(key.kind != "evaluation" or key.step != end for key in differing):
        refuse(mine, theirs, flag, "epochs", f"with --max_points={mine.max_points} that would have written other steps")
    if not is_evaluated(mine, theirs.epochs):
        where = f"epoch {theirs.epochs:,}, which that would not have evaluated (--evaluate_every={mine.evaluate_every})"
        if best == end:
            refuse(mine, theirs, flag, "epochs", f"its best state is that of {where}")
        if step == end and mine.patience is not None:  # Killed before it was back in its best state.
            refuse(mine, theirs, flag, "epochs", f"--patience has counted {where}")
    return end if differing else None


def refuse(mine: Config, theirs: Config, flag: str, name: str, why: str) -> None:
    """Refuses to go on with another value of a field.

    Raises:
      ConfigError: always.
    """
    here, there = (_spelled(config, name) for config in (mine, theirs))
    raise ConfigError(f"{flag} holds a run with {there}, which cannot go on with {here}, since {why}: name another "
                      f"folder, or go on with {there}")


def _spelled(config: Config, name: str) -> str:
    value = getattr(config, name)
    return f"no --{name}" if value is None else f"--{name}={value}"
