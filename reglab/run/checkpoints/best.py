"""Finds the best state of a run even if a part of it is damaged; never silently replaces it by a worse one.

Three places say which state it is: `best.json`, the label of `best/ckpt-<step>`, and the evaluations in the logs. The
state is in `best/` and, until newer checkpoints push it out, in the checkpoint of the same step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reglab.run.checkpoints.checkpoint import Checkpoints
from reglab.run.checkpoints.files import NoLabel, read_label, saved_steps
from reglab.run.checkpoints.reading import is_evaluation, read_best
from reglab.storage.reading import Missing, Unreadable

Evaluated = dict[str, Any]
"""An evaluation in the form of `best.json`: step, epoch, and data_loss and accuracy of the validation split."""

Warn = Callable[[str], None]


def find_best(checkpoints: Checkpoints, evaluations: Sequence[Evaluated], last_step: int, warn: Warn,
              trusting: bool) -> Evaluated | None:
    """Returns the best evaluation up to `last_step`, or None; its state is then in `best/` if possible.

    Args:
      evaluations: all evaluations up to `last_step` that the logs hold, in order.
      warn: gets a line about what was damaged and whether it was repaired.
      trusting: whether to accept a best state without a label, as older versions wrote it.

    Raises:
      OSError: the file system refuses to write.
    """
    logged = min(evaluations, key=lambda evaluation: evaluation["data_loss"], default=None)
    try:
        noted = read_best(checkpoints.best_directory)
        _check_noted(checkpoints, noted, evaluations, last_step, trusting)
    except Unreadable as error:
        evaluation = _labelled(checkpoints, evaluations, last_step) or logged
        if evaluation is not None:
            source = "the logs tell" if evaluation is logged else "its label tells"
            warn(f"best/best.json {error}: the best is step {evaluation['step']}, as {source}")
            if keep_best(checkpoints, evaluation, warn, trusting):
                checkpoints.label_best(evaluation)
        elif not isinstance(error, Missing):
            warn(f"best/best.json {error}, and nothing tells which state up to step {last_step} was the best")
        return evaluation
    if noted["step"] <= last_step:
        keep_best(checkpoints, noted, warn, trusting)
        return noted
    if logged is not None:  # The run was killed after an evaluation that it will make again.
        with contextlib.suppress(Unreadable):
            checkpoints.remake_best(logged)
    return logged


def keep_best(checkpoints: Checkpoints, evaluation: Evaluated, warn: Warn, trusting: bool = False) -> bool:
    """Makes sure that the best state is whole in `best/`, copying it there again if needed; returns whether it is.

    Args:
      warn: gets a line about damage and how it was dealt with.

    Raises:
      OSError: the file system refuses to write.
    """
    step = evaluation["step"]
    try:
        checkpoints.check_best(step)
        return True
    except NoLabel as error:
        if not trusting:
            warn(f"best/ckpt-{step}: {error}; it is of step {step}, and labelled again")
        checkpoints.label_best(evaluation)
        return True
    except Unreadable as error:
        problem = str(error)
    try:
        checkpoints.remake_best(evaluation)
        warn(f"best/ckpt-{step} is damaged ({problem}): made again from checkpoint ckpt-{step}")
        return True
    except Unreadable:
        warn(f"the best state, best/ckpt-{step} (data loss {evaluation['data_loss']:.4g}), is lost ({problem}), and no "
             "checkpoint of that step is left: only a better one will take its place")
        return False


def _check_noted(checkpoints: Checkpoints, noted: Evaluated, evaluations: Sequence[Evaluated], last_step: int,
                 trusting: bool) -> None:
    """Checks that `best.json` contradicts neither the label of its state nor the logs, which may hold float32 values.

    Raises:
      Unreadable: it contradicts one of them.
    """
    if noted["step"] > last_step:
        return
    label = _label(checkpoints, noted["step"])
    if label is not None and label != noted:  # A label has its own digest, so it is right.
        raise Unreadable(f"does not tell what the label of ckpt-{noted['step']} tells")
    if not evaluations:
        return
    same = next((other for other in evaluations if other["step"] == noted["step"]), None)
    if same is None and not trusting and label is None:
        raise Unreadable(f"tells of step {noted['step']}, which was not evaluated")
    if same is not None and not _agree(same, noted):
        raise Unreadable(f"does not tell what the logs tell of step {noted['step']}")
    if any(np.float32(other["data_loss"]) < np.float32(noted["data_loss"]) for other in evaluations):
        raise Unreadable(f"tells of step {noted['step']}, which is not the best of the logs")


def _labelled(checkpoints: Checkpoints, evaluations: Sequence[Evaluated], last_step: int) -> Evaluated | None:
    """Returns the evaluation in the label of the best state if the logs do not contradict it; these may be incomplete
    and hold float32 values."""
    for step in reversed(saved_steps(checkpoints.best_directory)):
        evaluation = _label(checkpoints, step)
        if evaluation is not None and evaluation["step"] == step <= last_step and not any(
                np.float32(other["data_loss"]) < np.float32(evaluation["data_loss"])
                or (other["step"] == step and not _agree(other, evaluation)) for other in evaluations):
            return evaluation
    return None


def _label(checkpoints: Checkpoints, step: int) -> Evaluated | None:
    try:
        evaluation = read_label(checkpoints.best_directory, step).get("best")
    except Unreadable:
        return None
    return evaluation if is_evaluation(evaluation) else None


def _agree(one: Evaluated, other: Evaluated) -> bool:
    return all(np.float32(one[name]) == np.float32(other[name]) for name in ("data_loss", "accuracy"))
