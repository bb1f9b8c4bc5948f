"""`Config`: the checked fields of a run, and their conversion to and from JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any, Final

from reglab.config import allowed
from reglab.config.allowed import (
    DEFAULT_DECAY_EVERY,
    DEFAULT_DECAY_FACTOR,
    DEFAULT_DECAY_PATIENCE,
    DEFAULT_WEIGHT_DECAY,
)
from reglab.config.checks import require
from reglab.config.errors import ConfigError
from reglab.config.fields import FLAGS, HANDLING_FIELDS, Fields
from reglab.config.reading import read_fields
from reglab.config.strengths import numbers
from reglab.config.weights import BALANCED, read_weights
from reglab.core import penalties
from reglab.core.penalties.by_name import ByPenalty, as_dict, by_penalty_name
from reglab.inputs.numerals import beyond, rounded
from reglab.inputs.texts import did_you_mean, shown

_USUAL: Final = {name: flag.default for name, flag in FLAGS.items() if flag.later}


@by_penalty_name
@dataclasses.dataclass(frozen=True, repr=False)
class Config(Fields):
    """The configuration of one run. The defaults are those of the tutorial experiment, on the embedded digits.

    Every field has the name of its command-line flag and is declared in `fields.Fields`. The penalties' names are
    fields too, as in `Config(l1=1e-3)`: each a number or a mapping from layers to numbers; `strengths` holds them all.
    What can be checked without reading data or opening a device is checked here: each field, and then each combination.

    `None` means "not given": `data_seed` then takes `seed`, `weight_decay` what the optimizer is known for,
    `train_size` everything, `clip_norm` no clipping, `patience` all epochs, `num_devices` all there are, `cpu_devices`
    one, `checkpoint_every` once an epoch, `max_points` no bound, `model_dir` no files (the commands choose
    `runs/<time>-<name>`), `compile_cache` what `REGLAB_COMPILE_CACHE` says or else `reglab` in the user's cache folder,
    `test_split` 0.2 of a table and 0 of other files, `label_column` the column of the usual name or the last,
    `drop_columns` none, `class_weights` (also a mapping from classes to weights) the same weight for all examples,
    `ema` no average, `decay_factor`, `decay_every` and `decay_patience` what their flags tell, `time_limit`, `name`
    and `profile` none. `checkpoint_every` and `summary_every` count steps, `evaluate_every` and `decay_every` epochs,
    `patience` and `decay_patience` evaluations, `rendezvous_timeout` and `time_limit` (also a text such as `10m`)
    seconds.

    Raises:
      ConfigError: a value is out of range or a combination is impossible; one line that names the flag, the value
        found and the fix.
    """

    def __post_init__(self) -> None:
        object.__setattr__(self, "strengths", ByPenalty(0.0, self.strengths))
        typed = {name: flag.typed(getattr(self, name)) for name, flag in FLAGS.items()}
        strengths = ByPenalty(0.0, {name: typed.pop(name) for name in self.strengths})
        for name, value in {**typed, "strengths": strengths}.items():
            object.__setattr__(self, name, value)
        for name, flag in FLAGS.items():
            flag.check(getattr(self, name))
        self._check_together()

    def _check_together(self) -> None:
        """Checks the combinations of fields."""
        for name, flag in FLAGS.items():
            value = getattr(self, name)
            if flag.kind not in ("float", "Strength") or value is None:
                continue
            for number in numbers(value):
                if problem := beyond(number, self.precision):
                    require(False, name, value, problem)
        for name in ("label_column", "drop_columns"):
            require(getattr(self, name) is None or self.dataset.endswith(allowed.TABLES), name, getattr(self, name),
                    "only tables have columns: give a .csv or .parquet file as --dataset, or leave it out")
        for number in () if self.class_weights in (None, BALANCED) else read_weights(self.class_weights).values():
            if problem := beyond(number, self.precision):
                require(False, "class_weights", self.class_weights, problem)
        require(rounded(self.momentum, self.precision) < 1, "momentum", self.momentum,
                "give a number from 0 to less than 1, even when rounded to the precision of the run")
        require(not self.min_delta or self.patience is not None or self.schedule == "plateau", "min_delta",
                self.min_delta, "it says what --patience or --schedule=plateau counts as lower: give --patience too, "
                "or leave it out")
        require(self.weight_decay in (None, 0.0) or self.optimizer == "adamw", "weight_decay", self.weight_decay,
                "decoupled weight decay needs --optimizer=adamw; for a penalty in the objective use " + " or ".join(
                    f"--{penalty.name}" for penalty in penalties.registered() if penalty.slope is not None))

        require(self.ema is None or not self.proximal, "ema", self.ema, "an average of weights is not 0 where only "
                "some of them are, so the exact zeros of --proximal would be lost: leave one of the two out")
        require(not self.debias_epochs or self.proximal, "debias_epochs", self.debias_epochs,
                "it holds what is exactly 0, and only --proximal makes exact zeros: give --proximal too")
        require(self.debias_epochs < self.epochs, "debias_epochs", self.debias_epochs,
                f"they are the last of all epochs, and there are {self.epochs}: give fewer, or more --epochs")
        require(not self.debias_epochs or self.patience is None, "debias_epochs", self.debias_epochs,
                "with --patience the last epochs are not known beforehand: leave one of the two out")
        decaying = {"decay_factor": ("step", "plateau"), "decay_every": ("step",), "decay_patience": ("plateau",)}
        for name, schedules in decaying.items():
            require(getattr(self, name) is None or self.schedule in schedules, name, getattr(self, name),
                    f"it is of --schedule={' and '.join(schedules)}, and this is --schedule={self.schedule}: give "
                    "both, or leave it out")

    @property
    def resolved_decay_factor(self) -> float:
        """What `schedule` multiplies the learning rate by, if it is step or plateau."""
        return DEFAULT_DECAY_FACTOR if self.decay_factor is None else self.decay_factor

    @property
    def resolved_decay_every(self) -> int:
        """The epochs from one decay of `schedule="step"` to the next."""
        return DEFAULT_DECAY_EVERY if self.decay_every is None else self.decay_every

    def __repr__(self) -> str:
        """The expression that makes this configuration: only what differs from the default."""
        return f"Config({', '.join(f'{name}={_quoted(value)}' for name, value in self._unusual.items())})"

    @property
    def _unusual(self) -> dict[str, Any]:
        """The fields that differ from their default, by name."""
        values = {name: getattr(self, name) for name in FLAGS}
        return {name: value for name, value in values.items() if value != FLAGS[name].default}

    @property
    def resolved_decay_patience(self) -> int:
        """The evaluations without a better one after which `schedule="plateau"` lowers the rate."""
        return DEFAULT_DECAY_PATIENCE if self.decay_patience is None else self.decay_patience

    @property
    def resolved_data_seed(self) -> int:
        """The seed of the subset, the label noise and the order of the batches."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def resolved_weight_decay(self) -> float:
        """The decoupled weight decay that is applied: 0 for every optimizer but AdamW."""
        if self.optimizer != "adamw":
            return 0.0
        return DEFAULT_WEIGHT_DECAY if self.weight_decay is None else self.weight_decay

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain JSON values.

        Later fields are omitted where they have their default. Files of runs and sweeps
        from before there was a choice lack them too, and so can still be resumed.
        """
        told = {**as_dict(self), "hidden": list(self.hidden)}
        return {name: value for name, value in told.items() if name not in _USUAL or value != _USUAL[name]}

    def to_json(self) -> str:
        """Returns the fields as an indented JSON object; `from_dict(json.loads(...))` gives an equal `Config`."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Config:
        """Rebuilds a `Config`.

        Raises:
          ConfigError: a field is unknown or its value is not allowed.
        """
        if not isinstance(fields, Mapping):
            raise ConfigError(f"a configuration is a mapping of fields, not {shown(fields)}")
        unknown = [name for name in fields if name not in FLAGS]
        if unknown:
            hint = did_you_mean(shown(unknown[0], 40), FLAGS)
            raise ConfigError(f"unknown configuration field '{shown(unknown[0], 40)}': known are "
                              f"{', '.join(FLAGS)}{hint}")
        return Config(**fields)

    @staticmethod
    def from_file(path: str | os.PathLike[str]) -> Config:
        """Reads a `config.json`.

        Raises:
          ConfigError: the file cannot be read, is not a JSON object, or holds a bad field; the message names the file.
        """
        fields = read_fields(path)
        try:
            return Config.from_dict(fields)
        except ConfigError as error:
            raise ConfigError(f"{shown(os.fspath(path))}: {error}") from None

    def differences(self, other: Config) -> list[str]:
        """Lists the fields in which `other` is a different experiment, as `name: mine, not theirs` texts."""
        mine, theirs = self._told, other._told
        return [f"{name}: {_quoted(mine[name])}, not {_quoted(theirs[name])}" for name in self.different_fields(other)]

    def different_fields(self, other: Config) -> list[str]:
        """Lists the names of the fields in which `other` is a different experiment.

        Fields that only say where and how a run is kept (`HANDLING_FIELDS`) do not count, nor does `on_nonfinite` if
        that of `other` is "stop": as long as everything was finite, its three values have the same effect.
        """
        mine, theirs = self._told, other._told
        same = HANDLING_FIELDS | ({"on_nonfinite"} if other.on_nonfinite == "stop" else set())
        return [name for name in mine if name not in same and mine[name] != theirs[name]]

    @property
    def _told(self) -> dict[str, Any]:
        return {**_USUAL, **self.to_dict(), **self.strengths}


def _quoted(value: object) -> str:
    return repr(value) if len(repr(value)) <= 80 else shown(value, 80)
