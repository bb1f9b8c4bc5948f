"""Does a run give the same bits again? The check behind `python -m reglab.certify rerun DIR`."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import tensorflow as tf

from reglab.config import ConfigError
from reglab.console import Console
from reglab.data import Dataset
from reglab.engine.assembly import load_dataset
from reglab.inputs import exit_codes
from reglab.run.checkpoints.files import check_ordinary
from reglab.run.kept_run import check_data, kept_config, kept_result, last_step
from reglab.run.logs.metric_lines import read_metric_lines
from reglab.run.loop import Diverged, Interrupted, fit
from reglab.signals.stop import EarlyStop
from reglab.storage.reading import Unreadable

COMPARED: Final = ("epochs", "steps", "train", "validation", "gap", "sparsity", "weights", "best", "nonfinite",
                   "early_stopping")
"""The parts of `result.json` that must be equal; all others depend on the clock, the machine or the folder."""


class NotRepeated(exit_codes.Ending, ArithmeticError):
    """The rerun ended in a way in which the original run did not."""

    exit_code = exit_codes.VERDICT_FAILED


@dataclasses.dataclass(frozen=True)
class Difference:
    """The first number in a file that differs.

    Attributes:
      file: the file, relative to the folder of the run.
      place: which number of the file it is, for display.
      first, second: its values in the run and in the rerun.
    """

    file: str
    place: str
    first: Any
    second: Any

    def __str__(self) -> str:
        return f"{self.file}, {self.place}: {self.first!r}, and again {self.second!r}"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The outcome of a rerun.

    Attributes:
      step: the step up to which the two were compared.
      finished: whether the run was finished; if not, it was compared up to its last checkpoint.
      differences: the first difference in each file that differs; empty if all are equal to the bit.
      facts: recorded settings that determine the bits and differ, {name: (run's, rerun's)}; for finished runs only.
      compared: the number of compared numbers in each file.
      steps_per_second: the rates of the run and of the rerun, where known.
    """

    step: int
    finished: bool
    differences: list[Difference]
    facts: dict[str, tuple[Any, Any]]
    compared: dict[str, int]
    steps_per_second: tuple[float | None, float | None]

    @property
    def equal(self) -> bool:
        """Whether everything is equal to the bit."""
        return not self.differences


def rerun(directory: str, temporary: str, *, data: Dataset | None = None, console: Console | None = None) -> Verdict:
    """Runs a folder's configuration again and compares weights, slots, metrics and results, bit by bit.

    Nothing is written to the folder itself.

    Args:
      directory: the folder of the run.
      temporary: a new or empty folder for the rerun.
      data: the data, if they are not those that the configuration names.

    Raises:
      ConfigError: the folder holds no run, no intact checkpoint, or a run on other data.
      EarlyStop: a stop signal came.
      NotRepeated: the rerun diverged, which the run did not.
    """
    folder, again = pathlib.Path(directory), pathlib.Path(temporary) / "run"
    config = kept_config(folder)
    dataset = load_dataset(config) if data is None else data
    check_data(folder, dataset)
    result, step = kept_result(folder), last_step(folder)
    finished = result is not None and result.get("steps") == step
    try:
        fit(dataclasses.replace(config, model_dir=str(again), resume="auto", time_limit=None), dataset, console=console,
            until=None if finished else step)
    except Interrupted as stop:
        if stop.step != step:  # A signal ended it, not the requested end; what the rerun saved is discarded.
            raise EarlyStop(stop.signal_name) from None
    except Diverged as error:
        raise NotRepeated(f"the rerun did what the run did not: {error}") from error
    mine, theirs = result if finished else None, kept_result(again)
    files: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        f"checkpoints/ckpt-{step}": (arrays(folder, step), arrays(again, step)),
        "metrics.jsonl": (metrics(folder, step), metrics(again, step))}
    if mine is not None:
        files["result.json"] = (_compared(mine, mine), _compared(theirs or {}, mine))
    differences = [found for file, pair in files.items() if (found := first_difference(file, *pair)) is not None]
    return Verdict(step, finished, differences, different_facts(mine, theirs),
                   {file: sum(len(part) for part in pair[0].values()) for file, pair in files.items()},
                   ((mine or {}).get("steps_per_second"), (theirs or {}).get("steps_per_second")))


def arrays(folder: pathlib.Path, step: int) -> dict[str, np.ndarray]:
    """Returns every array of a checkpoint, flattened, by name.

    Raises:
      ConfigError: it cannot be read.
    """
    prefix = folder / "checkpoints" / f"ckpt-{step}"
    try:
        check_ordinary(prefix.parent, step)
        reader = tf.train.load_checkpoint(str(prefix))
        names = [name for name in sorted(reader.get_variable_to_shape_map()) if name.endswith("VARIABLE_VALUE")]
        return {name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): np.ravel(reader.get_tensor(name)) for name in names}
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:
        raise ConfigError(f"{prefix} cannot be read ({(str(error).splitlines() or ['?'])[0][:120]}): go on with the "
                          "run, which passes damaged checkpoints over") from None


def metrics(folder: pathlib.Path, step: int) -> dict[str, dict[str, Any]]:
    """Returns the numbers in `metrics.jsonl` up to a checkpoint's step, by line, without those that time determines.

    Raises:
      ConfigError: the file cannot be read.
    """
    try:
        points = read_metric_lines(folder / "metrics.jsonl").points
    except Unreadable as error:
        raise ConfigError(f"{folder / 'metrics.jsonl'} {error}: rerun needs what the run measured; going on with the "
                          "run writes it again") from None
    found = {}
    for key, point in points.items():
        if key.stays(step):
            evaluated = key.kind == "evaluation"
            # Written only if --on_nonfinite is not stop.
            unsaid = {"updates/left_out": 0.0} if evaluated and key.split == "train" else {}
            found[f"{'evaluation at ' if evaluated else ''}step {key.step}, {key.split}"] = {
                **unsaid, **{tag: value for tag, value in point.values.items() if not tag.startswith("perf/")}}
    return found


def first_difference(file: str, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Difference | None:
    """Returns the first number that differs between two files, given as {part: array or {name: number}}, or None."""
    for part in [*mine, *(part for part in theirs if part not in mine)]:
        if part not in mine or part not in theirs:
            return Difference(file, part, *("there" if part in side else "missing" for side in (mine, theirs)))
        for place, first, second in _differing(mine[part], theirs[part]):
            return Difference(file, f"{part}, {place}" if place else part, first, second)
    return None


def different_facts(mine: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    """Returns what determines the bits and differs between two `result.json`, as {name: (first, second)}."""
    if mine is None or theirs is None:
        return {}
    a, b = ({**side.get("versions", {}), **side.get("numerics", {})} for side in (mine, theirs))
    return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}


def _differing(mine: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(mine, np.ndarray):
        if mine.dtype != theirs.dtype or mine.shape != theirs.shape:
            yield "dtype and size", f"{mine.dtype} {mine.size}", f"{theirs.dtype} {theirs.size}"
        elif mine.tobytes() != theirs.tobytes():
            at = next(k for k in range(mine.size) if mine[k].tobytes() != theirs[k].tobytes())
            yield f"entry {at}", mine[at].item(), theirs[at].item()
    else:
        for tag in [*mine, *(tag for tag in theirs if tag not in mine)]:
            if repr(mine.get(tag)) != repr(theirs.get(tag)):  # repr tells -0.0 from 0.0.
                yield tag, mine.get(tag), theirs.get(tag)


def _compared(result: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Returns the `COMPARED` parts of a result that `like` has too: older versions of reglab wrote fewer."""
    return {name: _flat(result.get(name)) for name in COMPARED if name in like}


def _flat(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {"": value}
    return {f"{name}{f'/{inner}' if inner else ''}": number for name, item in value.items()
            for inner, number in _flat(item).items()}
