"""TensorBoard runs of lanes: what `fit` would have written of them, each the mean over its seeds.

A run is two folders, `<name>/train` and `<name>/validation`, with the tags of `reglab.train`; as lanes measure whole
splits only, `loss/data` and `loss/total` of the train run are those of the whole training split here.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np

from reglab.config import Config
from reglab.lab.lanes import Lane, LaneCurves
from reglab.run.logs.event_file import WholeEventFile
from reglab.run.logs.summaries import RunWriter
from reglab.run.report import hyperparameters

SHOWN_RUNS: Final = 40
"""Where there are more, TensorBoard shows none of them until they are ticked one by one."""


def write_lane_runs(directory: str | os.PathLike[str], named_lanes: Mapping[str, Sequence[int]],
                    lanes: Sequence[Lane], curves: LaneCurves, shared: Config, steps_per_epoch: int,
                    important: Collection[str] = ()) -> None:
    """Writes one run for each name.

    Where both splits of all would be more than TensorBoard shows, training curves are those of `important` alone.

    Args:
      directory: what to give TensorBoard as its logdir.
      named_lanes: the name of a run, also its row on the HParams page, to the places in `lanes` it is the mean of.
      lanes: the lanes that `curves` are of; those of one name differ in their seed alone.
      shared: what all lanes have in common.
      steps_per_epoch: the step axis counts steps, as everywhere.
      important: names whose training curves are always written.
    """
    are_few = 2 * len(named_lanes) <= SHOWN_RUNS
    for name, places in named_lanes.items():
        path = pathlib.Path(directory) / name
        columns = hyperparameters(lanes[places[0]].config(shared))
        if len(places) > 1:
            del columns["seed"]
            columns["seeds"] = len({lanes[place].seed for place in places})
        mean = _mean_of(curves, list(places))
        with contextlib.closing(_writer(path / "validation")) as validation:
            validation.describe(columns, name)
            _write_curves(validation, mean.validation, mean, steps_per_epoch, with_gap=True)
        if are_few or name in important:
            with contextlib.closing(_writer(path / "train")) as train:
                _write_curves(train, mean.train, mean, steps_per_epoch)
        else:
            (path / "train" / WholeEventFile.NAME).unlink(missing_ok=True)


def _writer(directory: pathlib.Path) -> RunWriter:
    return RunWriter(directory, WholeEventFile(directory))


def _write_curves(writer: RunWriter, split: Mapping[str, np.ndarray], curves: LaneCurves, steps_per_epoch: int,
                  with_gap: bool = False) -> None:
    loss, accuracy = split["data_loss"], split["accuracy"]
    tags = {"loss/total": loss + curves.weights["penalty/total"], "loss/data": loss, "accuracy": accuracy,
            "evaluation/loss/data": loss, "evaluation/accuracy": accuracy, **curves.weights}
    if with_gap:
        with np.errstate(invalid="ignore"):  # Infinity from infinity.
            tags |= {"gap/data": loss - curves.train["data_loss"], "gap/accuracy": curves.train["accuracy"] - accuracy}
    now = time.time()
    for at, epoch in enumerate(curves.epochs.tolist()):
        writer.scalars(epoch * steps_per_epoch, {tag: float(values[at]) for tag, values in tags.items()}, now)


def _mean_of(curves: LaneCurves, places: list[int]) -> LaneCurves:
    """The mean over some lanes, without a lane axis or parameters. Lanes that diverged count only where all did."""
    final = curves.train["data_loss"][-1] + curves.validation["data_loss"][-1]
    places = [place for place in places if np.isfinite(final[place])] or places

    def mean(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore"):  # Of a diverged lane.
            return {name: array[:, places].mean(-1) for name, array in values.items()}

    return LaneCurves(curves.epochs, mean(curves.train), mean(curves.validation), mean(curves.weights), {})
