"""What to train, as one frozen value: `Config`. Nothing here imports TensorFlow.

Every field has the name of its command-line flag. `Config(...)` checks each field and each combination that can be
checked without reading data or opening a device; what is wrong is raised as `ConfigError`, one line that names the
flag, the value found and the fix.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from reglab.inputs import Unusable, check_path, check_text, read_regular, reason
from reglab.numerals import beyond, read_float, read_integer, rounded
from reglab.patterns import BadPattern, compile_pattern
from reglab.texts import one_line, shown

_Number = TypeVar("_Number", int, float)

DATASETS: Final = ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100")
OPTIMIZERS: Final = ("adam", "sgd", "momentum", "adamw")
SCHEDULES: Final = ("constant", "cosine")
ACTIVATIONS: Final = ("relu", "gelu", "elu", "selu", "silu", "tanh", "sigmoid", "softplus", "linear")
PRECISIONS: Final = ("float32", "float64", "bfloat16")
RESUME_MODES: Final = ("auto", "never", "must", "restart")
STRATEGIES: Final = ("auto", "one_device", "mirrored", "multi_worker")
ON_NONFINITE: Final = ("stop", "skip", "restore")

# Fields that say where a run is kept and what carries it, not what is trained: they may differ on resume.
HANDLING_FIELDS: Final = frozenset({"model_dir", "data_dir", "resume", "keep", "checkpoint_every", "strategy",
                                     "num_devices", "cpu_devices", "rendezvous_timeout", "compile_cache"})

DEFAULT_WEIGHT_DECAY: Final = 0.004  # Keras' AdamW


MOST_LAYERS: Final = 100
"""Hidden layers."""
MOST_COUNT: Final = 2**31 - 1
"""Epochs, examples, widths: what the compiled program counts in 32 bits. So no run has more than 2^62 steps."""
MOST_STEPS: Final = 2**53
"""Steps between two events, and steps of the warm-up: whole numbers that every float64 holds."""
MOST_SEED: Final = 2**63 - 1
MOST_CPU_DEVICES: Final = 256
MOST_LIST: Final = 100_000
"""Characters of a flag that takes a list."""


class ConfigError(ValueError):
    """Something the user gave cannot be used: a flag, a file or a combination. The commands exit with code 2.

    Its message is one line of at most 500 characters; values that it quotes go through `texts.shown`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@dataclasses.dataclass(frozen=True)
class Config:
    """One run. The defaults are those of the tutorial experiment, on the embedded digits.

    `None` means "not given": `data_seed` then takes `seed`, `weight_decay` what the optimizer is known for,
    `train_size` everything, `clip_norm` no clipping, `num_devices` all there are, `cpu_devices` one,
    `checkpoint_every` once an epoch, `max_points` no bound, `model_dir` no files (the commands choose
    `runs/<time>-<name>`), `compile_cache` what `REGLAB_COMPILE_CACHE` says or else `reglab` in the user's cache folder.
    `checkpoint_every` and `summary_every` count steps, `evaluate_every` epochs, `rendezvous_timeout` seconds.

    Raises:
      ConfigError: a value is out of range or a combination is impossible.
    """

    # Data.
    dataset: str = "digits"
    data_dir: str | None = None
    train_size: int | None = None
    label_noise: float = 0.0
    validation_split: float = 0.2
    data_seed: int | None = None
    # Model.
    hidden: tuple[int, ...] = (128, 64)
    activation: str = "relu"
    # Objective.
    l1: float = 0.0
    l2: float = 0.0
    penalize: str = "all"
    # Optimization.
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float | None = None
    clip_norm: float | None = None
    schedule: str = "constant"
    warmup_steps: int = 0
    epochs: int = 10
    batch_size: int = 32
    seed: int = 0
    on_nonfinite: str = "stop"
    # Execution.
    jit: bool = True
    precision: str = "float32"
    deterministic: bool = False
    strategy: str = "auto"
    num_devices: int | None = None
    cpu_devices: int | None = None
    rendezvous_timeout: float = 300.0
    compile_cache: str | None = None
    # What a run leaves.
    model_dir: str | None = None
    resume: str = "auto"
    checkpoint_every: int | None = None
    keep: int = 3
    evaluate_every: int = 1
    summary_every: int = 100
    max_points: int | None = None
    histograms: bool = False

    def __post_init__(self) -> None:
        hidden: Any = self.hidden
        if isinstance(hidden, list):  # JSON has no tuples, and users have lists.
            object.__setattr__(self, "hidden", tuple(self.hidden))
        _check_types(self)
        for name, allowed in _CHOICES.items():
            _require(getattr(self, name) in allowed, name, getattr(self, name), f"choose one of {', '.join(allowed)}")
        self._check_texts()
        self._check_ranges()
        _require(self.weight_decay in (None, 0.0) or self.optimizer == "adamw", "weight_decay", self.weight_decay,
                 "decoupled weight decay needs --optimizer=adamw; for a penalty in the objective use --l2")

    def _check_texts(self) -> None:
        for name, check in _TEXTS.items():
            try:
                if getattr(self, name) is not None:
                    check(getattr(self, name))
            except Unusable as error:
                raise ConfigError(f"--{name}={shown(getattr(self, name))} cannot be used: {error}") from None
        _require(self.dataset in DATASETS or self.dataset.endswith(".npz"), "dataset", self.dataset,
                 f"choose one of {', '.join(DATASETS)}, or give the path of an .npz file")
        _require(self.model_dir != "", "model_dir", self.model_dir, "name a folder, or leave the flag out")
        if self.penalize not in ("all", "hidden"):
            try:
                compile_pattern(self.penalize)
            except BadPattern as error:
                raise ConfigError(f"--penalize={shown(self.penalize)} is not a regular expression that can be used "
                                  f"({error}): give all, hidden or a pattern on layer names such as dense_[01]"
                                  ) from None

    def _check_ranges(self) -> None:
        for name, (low, high, why) in _RANGES.items():
            value = getattr(self, name)
            _require(value is None or (_is_finite(value) and value >= low), name, value, why)
            _require(value is None or value <= high, name, value, f"give at most {high:,}")
        _require(_is_finite(self.learning_rate) and self.learning_rate > 0, "learning_rate", self.learning_rate,
                 "give a positive number, for example 1e-3")
        _require(self.clip_norm is None or (_is_finite(self.clip_norm) and self.clip_norm > 0), "clip_norm",
                 self.clip_norm, "give a positive number, or leave it out for no clipping")
        _require(0 <= self.label_noise <= 1, "label_noise", self.label_noise, "give a fraction from 0 to 1")
        _require(0 < self.validation_split < 1, "validation_split", self.validation_split,
                 "give a fraction between 0 and 1")
        for name, annotation in FIELD_TYPES.items():
            value = getattr(self, name)
            if "float" in annotation and value is not None and (problem := beyond(value, self.precision)):
                _require(False, name, value, problem)
        _require(rounded(self.momentum, self.precision) < 1, "momentum", self.momentum,
                 "give a number from 0 to less than 1, even when rounded to the precision of the run")
        _require(all(width >= 1 for width in self.hidden), "hidden", self.hidden,
                 "give positive layer widths such as 128,64, or nothing for softmax regression")
        _require(len(self.hidden) <= MOST_LAYERS, "hidden", self.hidden, f"give at most {MOST_LAYERS} layers")
        _require(all(width <= MOST_COUNT for width in self.hidden), "hidden", self.hidden,
                 f"give widths of at most {MOST_COUNT:,}")

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
        """The fields as plain JSON values."""
        return {**dataclasses.asdict(self), "hidden": list(self.hidden)}

    def to_json(self) -> str:
        """The fields as an indented JSON object; `from_dict(json.loads(...))` gives an equal `Config`."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @staticmethod
    def from_dict(fields: Mapping[str, Any]) -> Config:
        """Rebuilds a `Config`.

        Raises:
          ConfigError: a field is unknown or its value is not allowed.
        """
        if not isinstance(fields, Mapping):
            raise ConfigError(f"a configuration is a mapping of fields, not {shown(fields)}")
        unknown = [name for name in fields if name not in FIELD_TYPES]
        if unknown:
            known = ", ".join(FIELD_TYPES)
            raise ConfigError(f"unknown configuration field '{shown(unknown[0], 40)}': known are {known}")
        return Config(**fields)

    @staticmethod
    def from_file(path: str | os.PathLike[str]) -> Config:
        """Reads a `config.json`.

        Raises:
          ConfigError: the file cannot be read, is not a JSON object, or holds a bad field.
        """
        flag, fix = f"--config_file={shown(os.fspath(path))}", "give a run's config.json"
        try:
            check_path(os.fspath(path))
            fields = json.loads(read_regular(path).decode(), parse_int=_in_json(read_integer),
                                parse_float=_in_json(read_float))
        except (OSError, Unusable) as error:
            raise ConfigError(f"{flag} cannot be read ({reason(error)}): {fix}") from None
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{flag} is not JSON that can be used ({one_line(error, 120)}): {fix}") from None
        if not isinstance(fields, dict):
            raise ConfigError(f"{flag} holds no JSON object: {fix}")
        return Config.from_dict(fields)

    def differences(self, other: Config) -> list[str]:
        """The fields that make `other` another experiment, as `name: mine, not theirs` texts.

        Fields that only say where and how a run is kept (`HANDLING_FIELDS`) do not count, nor does another
        `on_nonfinite` than the stop of `other`: as long as all was finite, the three are the same.
        """
        mine, theirs = self.to_dict(), other.to_dict()
        same = HANDLING_FIELDS | ({"on_nonfinite"} if other.on_nonfinite == "stop" else set())
        return [f"{name}: {_quoted(mine[name])}, not {_quoted(theirs[name])}" for name in mine
                if name not in same and mine[name] != theirs[name]]


_CHOICES: Final = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "activation": ACTIVATIONS, "precision": PRECISIONS,
                   "strategy": STRATEGIES, "resume": RESUME_MODES, "on_nonfinite": ON_NONFINITE}

_TEXTS: Final[Mapping[str, Callable[[str], None]]] = {
    "dataset": check_path, "data_dir": check_path, "model_dir": check_path, "compile_cache": check_path,
    "penalize": check_text}
_SCALE_FIX: Final = "give a finite number of at least 0, for example 1e-3"
_RANGES: Final[Mapping[str, tuple[float, float, str]]] = {
    "l1": (0, math.inf, _SCALE_FIX), "l2": (0, math.inf, _SCALE_FIX), "weight_decay": (0, math.inf, _SCALE_FIX),
    "momentum": (0, math.inf, _SCALE_FIX),
    "train_size": (1, MOST_COUNT, "give a positive number of examples, or leave it out for all"),
    "seed": (0, MOST_SEED, "give a whole number of at least 0"),
    "data_seed": (0, 2**64 - 1, "give a whole number of at least 0"),
    "warmup_steps": (0, MOST_STEPS, "give a number of steps of at least 0"),
    "epochs": (1, MOST_COUNT, "give at least 1"), "batch_size": (1, MOST_COUNT, "give at least 1"),
    "keep": (1, MOST_COUNT, "give at least 1"),
    "checkpoint_every": (1, MOST_STEPS, "give a number of steps, or leave it out for once an epoch"),
    "evaluate_every": (1, MOST_COUNT, "give a number of epochs of at least 1"),
    "num_devices": (1, 1024, "give a number of devices, or leave it out for all"),
    "cpu_devices": (1, MOST_CPU_DEVICES, "give a number of logical devices, or leave it out for one"),
    "rendezvous_timeout": (1, 10**6, "give a number of seconds of at least 1"),
    "summary_every": (0, MOST_STEPS, "give a number of steps, or 0 for none"),
    "max_points": (1, MOST_COUNT, "give a number of points, or leave it out for no bound"),
}


def _require(ok: bool, name: str, value: object, fix: str) -> None:
    if not ok:
        raise ConfigError(f"--{name}={shown(value)}: {fix}")


def _is_finite(value: float) -> bool:
    return isinstance(value, int) or math.isfinite(value)  # Large whole numbers are no floats.


def _in_json(read: Callable[[str], _Number]) -> Callable[[str], _Number]:
    def read_named(text: str) -> _Number:
        try:
            return read(text)
        except ValueError as error:
            raise ValueError(f"{shown(text, 60)}: {error}") from None
    return read_named


def _quoted(value: object) -> str:
    return repr(value) if len(repr(value)) <= 80 else shown(value, 80)


def _check_types(config: Config) -> None:
    """Refuses, say, `epochs="10"` or `jit=1` from a hand-written JSON file; whole numbers may stand for floats."""
    for name, annotation in FIELD_TYPES.items():
        value = getattr(config, name)
        if annotation == "tuple[int, ...]":
            ok = isinstance(value, tuple) and all(type(item) is int for item in value)
        else:
            kinds = {part.strip() for part in annotation.split("|")}
            ok = type(value).__name__ in kinds or (value is None and "None" in kinds)
            if not ok and type(value) is int and "float" in kinds:
                _require(abs(value) < 2**1023, name, value, "it is beyond the largest float64: give a smaller number")
                object.__setattr__(config, name, float(value))
                ok = True
        _require(ok, name, value, f"give a value of type {annotation}")


FIELD_TYPES: Final[Mapping[str, str]] = {field.name: str(field.type) for field in dataclasses.fields(Config)}
