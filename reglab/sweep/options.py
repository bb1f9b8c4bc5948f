"""Checks the options of a sweep, before TensorFlow is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reglab.config import MOST_SEED, Config, ConfigError
from reglab.config.checks import one_of
from reglab.config.memory import check_memory
from reglab.core import penalties
from reglab.inputs.texts import shown
from reglab.lab.grid import MOST_LANES, Grid

if TYPE_CHECKING:
    from reglab.data import Dataset

SELECTIONS: Final = ("data_loss", "accuracy")


def check_options(seeds: int, folds: int | None, selection: str, lanes_per_call: int | None) -> None:
    """Checks the options that are independent of the grid.

    Raises:
      ConfigError: one is out of range.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds={shown(seeds)}: give at least 1; a standard error needs at least 2")
    if folds is not None and folds < 2:
        raise ConfigError(f"--folds={shown(folds)}: give at least 2, or leave it out for the data's own validation "
                          "part")
    one_of(*SELECTIONS)("select", selection)
    if lanes_per_call is not None and lanes_per_call < 1:
        raise ConfigError(f"--lanes_per_call={shown(lanes_per_call)}: give at least 1, or leave it out")
    for name, value in (("seeds", seeds), ("folds", folds), ("lanes_per_call", lanes_per_call)):
        if value is not None and value > MOST_LANES:
            raise ConfigError(f"--{name}={shown(value)}: give at most {MOST_LANES:,}")


def check_sweep(grid: Grid) -> None:
    """Checks that a grid has something to sweep.

    Raises:
      ConfigError: nothing has several values.
    """
    if grid.size == 1:
        *names, last = (f"--{name}" for name in grid.values)
        example = f"--{penalties.names()[0]}=0,1e-4,1e-3"
        raise ConfigError(f"there is nothing to sweep: give several values to {', '.join(names)} or {last}, for "
                          f"example {example}; reglab.train trains one")


def check_path(grid: Grid, folds: int | None, lanes_per_call: int | None, vary: str = "weights",
               schedule: str = "constant", patience: int | None = None, debias_epochs: int = 0) -> None:
    """Checks that the options describe a path: several strengths of one penalty, one value of everything else.

    Raises:
      ConfigError: they do not.
    """
    if folds is not None or lanes_per_call is not None or vary != "weights":
        raise ConfigError("--path trains the seeds of one point at a time, on the same batches: leave out --folds, "
                          "--lanes_per_call and --vary")
    if debias_epochs:
        raise ConfigError(f"--debias_epochs={debias_epochs}: --path trains until the objective has settled, so no "
                          "epochs are known to be the last: leave it out, or sweep without --path")
    if schedule != "constant":
        raise ConfigError(f"--schedule={schedule}: --path trains until the objective has settled, and a falling rate "
                          "would settle it wherever it is: leave it out")
    if patience is not None:
        raise ConfigError(f"--patience={patience}: --path stays at each strength until its objective has settled, and "
                          "then trains all points for as many steps as that took: leave it out")
    varying = [name for name, values in grid.values.items() if len(values) > 1]
    if len(varying) != 1 or varying[0] not in grid.strengths:
        raise ConfigError(f"--path: {', '.join(f'--{name}' for name in varying) or 'nothing'} has several values; "
                          f"give several to {' or to '.join(f'--{name}' for name in grid.strengths)}, and one to all "
                          "else")


def check_untested(validated_on_test: bool) -> None:
    """Checks that the choice is not made on the test part.

    Raises:
      ConfigError: the validation part, by which points are chosen, is the test part.
    """
    if validated_on_test:
        raise ConfigError("--validation_split=0 would have the test part choose: give a fraction such as 0.2, so that "
                          "examples held out of the training part do")


def check_folds(folds: int | None, dataset: Dataset) -> None:
    """Checks that there are enough examples for the folds.

    Raises:
      ConfigError: there are fewer training and validation examples than folds.
    """
    examples = len(dataset.train) + len(dataset.validation)
    if folds is not None and folds > examples:
        raise ConfigError(f"--folds={folds}: {dataset.name} has {examples} training and validation examples; "
                          "give at most that many")


def check_size(config: Config, grid: Grid, seeds: int, folds: int | None, lanes_per_call: int | None) -> None:
    """Checks the number of lanes.

    Raises:
      ConfigError: there are too many, or too many train together to fit in memory, or a seed would be too large.
    """
    lanes = grid.size * seeds * (folds or 1)
    if lanes > MOST_LANES:
        with_folds = f" x {folds:,} folds" if folds else ""
        raise ConfigError(f"--seeds={seeds}: {grid.size:,} points x {seeds:,} seeds{with_folds} are {lanes:,} lanes, "
                          f"and a sweep has at most {MOST_LANES:,}: give fewer")
    if config.seed + seeds - 1 > MOST_SEED:
        raise ConfigError(f"--seed={config.seed}: with --seeds={seeds} the last seed is more than {MOST_SEED:,}: "
                          "give a smaller one")
    check_memory(config, lanes=lanes_per_call or 1)
