"""Writes TensorBoard runs of lanes, each the mean over its seeds, with what `fit` would have written, and an overview.

A run is two folders, `<name>/train` and `<name>/validation`, with the tags of `reglab.train` except those of single
training batches: lanes measure whole splits only. One more run, `overview`, has texts and pictures about all of them.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from reglab.config import Config
from reglab.lab.lanes import Lane, LaneCurves
from reglab.run.logs.event_file import WholeEventFile
from reglab.run.logs.pages import table
from reglab.run.logs.summaries import RunWriter
from reglab.run.logs.tags import ABOUT_FOUND, ABOUT_RUN, ABOUT_TAGS, gap_tags, split_tags, trained_loss
from reglab.run.report import about_tags, hyperparameters

SHOWN_RUNS: Final = 40
"""If there are more runs, TensorBoard shows none of them until they are ticked one by one."""
OVERVIEW: Final = "overview"
CHOICE: Final = "choice"
"""The column of the HParams page that marks the chosen runs; its name sorts before those of the penalties."""


def write_lane_runs(directory: str | os.PathLike[str], named_lanes: Mapping[str, Sequence[int]],
                    lanes: Sequence[Lane], curves: LaneCurves, shared: Config, steps_per_epoch: int,
                    marks: Mapping[str, str]) -> None:
    """Writes one run for each name.

    If both splits of all names would be more than TensorBoard shows, only chosen names get training curves.

    Args:
      directory: the logdir for TensorBoard.
      named_lanes: maps the name of a run, also its row on the HParams page, to the places in `lanes` that it averages.
      lanes: the lanes of `curves`; those of one name differ in their seed only.
      shared: what all lanes have in common.
      steps_per_epoch: the number of steps in an epoch, since the step axis counts steps, as everywhere.
      marks: maps the chosen names to what they are, such as "best".
    """
    are_few = 2 * len(named_lanes) < SHOWN_RUNS  # Together with the overview.
    rows = {name: {CHOICE: marks.get(name, "-"), **_columns(places, lanes, shared)}
            for name, places in named_lanes.items()}
    names = dict.fromkeys(column for row in rows.values() for column in row)
    varied = [column for column in names if len({row.get(column) for row in rows.values()}) > 1]
    for name, places in named_lanes.items():
        path = pathlib.Path(directory) / name
        mean = _mean_of(curves, list(places))
        with contextlib.closing(_writer(path / "validation")) as validation:
            validation.describe(rows[name], name, varied=varied, batches=False)
            _write_curves(validation, mean.validation, mean, steps_per_epoch, with_gap=True)
        if are_few or name in marks:
            with contextlib.closing(_writer(path / "train")) as train:
                _write_curves(train, mean.train, mean, steps_per_epoch)
        else:
            (path / "train" / WholeEventFile.NAME).unlink(missing_ok=True)


def write_overview(directory: str | os.PathLike[str], shared: Config, about: Mapping[str, str], found: Sequence[str],
                   table_text: str, pictures: Mapping[str, pathlib.Path]) -> None:
    """Writes what was run, what each tag means, what was found, and the pictures.

    Args:
      directory: the logdir for TensorBoard.
      shared: what all lanes have in common.
      about: what was run; maps labels to texts.
      found: the findings as sentences.
      table_text: the results as they are printed.
      pictures: maps names to PNG files; files that do not exist are left out.
    """
    texts = {ABOUT_FOUND: "\n\n".join([*found, "\n".join(f"    {line}" for line in table_text.splitlines())]),
             ABOUT_RUN: table(about), ABOUT_TAGS: about_tags(shared)}
    with contextlib.closing(_writer(pathlib.Path(directory) / OVERVIEW)) as overview:
        overview.texts(0, texts)
        overview.pictures(0, {f"pictures/{name}": path.read_bytes() for name, path in pictures.items()
                              if path.exists()})


def _columns(places: Sequence[int], lanes: Sequence[Lane], shared: Config) -> dict[str, Any]:
    """Returns the hyper-parameters of some lanes that differ in their seed only."""
    columns = hyperparameters(lanes[places[0]].config(shared))
    if len(places) > 1:
        del columns["seed"]
        columns["seeds"] = len({lanes[place].seed for place in places})
    return columns


def _writer(directory: pathlib.Path) -> RunWriter:
    return RunWriter(directory, WholeEventFile(directory))


def _write_curves(writer: RunWriter, split: Mapping[str, np.ndarray], curves: LaneCurves, steps_per_epoch: int,
                  with_gap: bool = False) -> None:
    loss, accuracy, penalty = split["data_loss"], split["accuracy"], curves.weights["penalty/total"]
    tags = {**split_tags({**split, "penalty": penalty, "total": trained_loss(split) + penalty}),
            **curves.weights}
    if with_gap:
        with np.errstate(invalid="ignore"):  # Infinity minus infinity.
            tags |= gap_tags({"data_loss": loss - curves.train["data_loss"],
                              "accuracy": curves.train["accuracy"] - accuracy})
    now = time.time()
    for at, epoch in enumerate(curves.epochs.tolist()):
        writer.scalars(epoch * steps_per_epoch, {tag: float(values[at]) for tag, values in tags.items()}, now)


def _mean_of(curves: LaneCurves, places: list[int]) -> LaneCurves:
    """Returns the mean over some lanes, without lane axis or parameters. Diverged lanes count only if all diverged.

    The last point is of the states with which the lanes end, as the columns of the HParams page show the last one.
    """
    final = curves.final(curves.train["data_loss"] + curves.validation["data_loss"])
    places = [place for place in places if np.isfinite(final[place])] or places

    def mean(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore"):  # In a diverged lane.
            return {name: np.append(array[:-1, places].mean(-1), curves.final(array)[places].mean())
                    for name, array in values.items()}

    return LaneCurves(curves.epochs, mean(curves.train), mean(curves.validation), mean(curves.weights), {})
