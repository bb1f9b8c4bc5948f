"""The command line of a run: flags to a `Config`, exactly once. The only module that reads absl flags."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Collection, Mapping
from typing import Any, Final

from absl import flags

from reglab import config as configuration
from reglab.arguments import Arguments
from reglab.config import Config, ConfigError
from reglab.inputs import Unusable, check_path, check_text
from reglab.numerals import read_integer
from reglab.texts import shown

# Section to flag to (type, help). A flag that is not given has the default of `Config`.
_SECTIONS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Data": {
        "dataset": ("string", f"{', '.join(configuration.DATASETS)}, or the path of an .npz file with x_train, y_train "
                              "and optionally x_test, y_test."),
        "data_dir": ("string", "Folder of the data set's standard files; else Keras downloads and caches them."),
        "train_size": ("integer", "Train on a class-stratified sample of this many examples."),
        "label_noise": ("float", "Fraction of the training labels to change, each to another class."),
        "validation_split": ("float", "Fraction held out for validation where the data have no test part."),
        "data_seed": ("integer", "Seed of sample, label noise and order of the data; else --seed."),
    },
    "Model": {
        "hidden": ("list", "Widths of the hidden layers; empty for softmax regression."),
        "activation": ("string", f"{', '.join(configuration.ACTIVATIONS)}."),
    },
    "Objective: data loss + l1 * sum |W| + l2 * sum W^2": {
        "l1": ("float", "Strength of the L1 penalty."),
        "l2": ("float", "Strength of the L2 penalty."),
        "penalize": ("string", "Penalized Dense kernels: all, hidden (all but the last), or a regular expression that "
                               "matches whole layer names (dense_0, dense_1, ..., logits)."),
    },
    "Optimization": {
        "optimizer": ("string", f"{', '.join(configuration.OPTIMIZERS)}."),
        "learning_rate": ("float", "Learning rate."),
        "momentum": ("float", "Of --optimizer=momentum."),
        "weight_decay": ("float", "Of --optimizer=adamw: decoupled, on kernels, no part of the objective; else "
                                  f"{configuration.DEFAULT_WEIGHT_DECAY}."),
        "clip_norm": ("float", "Largest global norm of the gradient of the total."),
        "schedule": ("string", "constant, or cosine (down to 0 at the last step)."),
        "warmup_steps": ("integer", "Steps over which the learning rate rises from 0."),
        "epochs": ("integer", "Passes over the training data."),
        "batch_size": ("integer", "Examples a step, over all replicas."),
        "seed": ("integer", "Seed of the initial weights, and of all else unless --data_seed is given."),
        "on_nonfinite": ("string", "Where the data loss or the gradient of a step is not finite: stop; skip (leave "
                                   "that update out); or restore (go back to the weights of the last checkpoint and "
                                   "leave out all updates since then)."),
    },
    "Execution": {
        "jit": ("bool", "Compile the training loop with XLA."),
        "precision": ("string", "float32, float64 (for checks: everything in it), or bfloat16 (matrix products only)."),
        "deterministic": ("bool", "Have TensorFlow use operations that give the same bits each time, at some cost on "
                                  "GPUs."),
        "strategy": ("string", "auto (a cluster if TF_CONFIG or Slurm describes one, else all GPUs), one_device, "
                               "mirrored, or multi_worker."),
        "num_devices": ("integer", "Devices of this machine to use; else all."),
        "cpu_devices": ("integer", "Split the CPU into this many logical devices, to try replicas without GPUs."),
        "rendezvous_timeout": ("float", "Seconds to wait for the other workers of a cluster."),
        "compile_cache": ("string", "Folder to keep compiled code in, or off; else what REGLAB_COMPILE_CACHE says, or "
                                    "reglab in the user's cache folder (XDG_CACHE_HOME or ~/.cache)."),
    },
    "Files": {
        "model_dir": ("string", "Folder of the run; else runs/<time>-<name>."),
        "resume": ("string", "auto (go on where the folder's run stands), never, must, or restart (move its files "
                             "aside and begin at step 0)."),
        "checkpoint_every": ("integer", "Steps between checkpoints; else once an epoch."),
        "keep": ("integer", "How many checkpoints to keep, besides the best."),
        "evaluate_every": ("integer", "Epochs between evaluations of both splits."),
        "summary_every": ("integer", "Steps between measured steps in metrics.jsonl and TensorBoard; 0 for none."),
        "max_points": ("integer", "Most points of a tag in metrics.jsonl and TensorBoard: where there would be more, "
                                  "measured steps and evaluations are written more rarely; else no bound."),
        "histograms": ("bool", "Write histograms of the kernels at each evaluation."),
    },
}
_OTHER: Final = {
    "config_file": "Start from this config.json of a run; flags that are given override it.",
    "json": "Print the result as one JSON object on stdout, all else on stderr.",
    "help": "Show this help.", "flagfile": "Read flags from a file, one a line.",
}

_PATHS: Final = frozenset({"model_dir", "output"})  # Of the flags that commands have of their own.
_OF_RUNS: Final = frozenset({"config_file"}.union(*_SECTIONS.values()))

ExtraFlags = Mapping[str, tuple[type, str, Any]]
"""Flags that a command has of its own: name to (str, int, float or bool; help; default). One that has the name of a
run's flag stands in its place."""
_KINDS: Final[Mapping[type, str]] = {str: "string", int: "integer", float: "float", bool: "bool"}


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """What the user asked for.

    Attributes:
      config: the run.
      json: print the result as JSON.
      help: print the help and do nothing.
    """

    config: Config
    json: bool
    help: bool


def parse(argv: list[str]) -> CommandLine:
    """Parses the command line of a run, without the program's name.

    Raises:
      ConfigError: a flag is unknown or its value cannot be used.
    """
    config, _, json, help_wanted = parse_with(argv, {})
    return CommandLine(config, json, help_wanted)


def parse_with(argv: list[str], extra: ExtraFlags,
               without: Collection[str] = ()) -> tuple[Config, dict[str, Any], bool, bool]:
    """Parses the command line of a command that has further flags than a run.

    Args:
      extra: the command's own flags.
      without: flags of a run that the command does not have.

    Returns:
      The configuration, which the extra flags leave alone; their values by name; `json`; `help`.

    Raises:
      ConfigError: a flag is unknown or its value cannot be used.
    """
    hidden = {*extra, *without}
    values = _parsed(argv, extra, hidden, example="--l1=1e-3")
    given = {name: values[name].value for section in _SECTIONS.values() for name in section
             if name not in hidden and values[name].present}
    if "hidden" in given:
        given["hidden"] = _widths(given["hidden"])
    base = Config.from_file(values.config_file) if values.config_file else Config()
    return (dataclasses.replace(base, **given), {name: values[name].value for name in extra}, values.json,
            values.help)


def parse_own(argv: list[str], extra: ExtraFlags) -> tuple[dict[str, Any], bool, bool]:
    """Parses the command line of a command that trains nothing: its own flags by name; `json`; `help`.

    Raises:
      ConfigError: a flag is unknown or its value cannot be used.
    """
    values = _parsed(argv, extra, _OF_RUNS, example=f"--{next(iter(extra))}=...")
    return {name: values[name].value for name in extra}, values.json, values.help


def help_text(command: str, purpose: str, extra: ExtraFlags | None = None,
              without: Collection[str] = (), *, trains: bool = True) -> str:
    """The help of a command: its purpose and every flag with its default, by section, its own first.

    Args:
      trains: whether it has the flags of a run.
    """
    without = without if trains else _OF_RUNS
    extra = extra or {}
    lines = [f"usage: python -m {command} [--flag=value ...]", "", purpose]
    if extra:
        lines += ["", "Of this command:"]
        for name, (_, text, default) in extra.items():
            lines += _entry(name, text, _default(default))
    for section, entries in _SECTIONS.items():
        shown = {name: text for name, (_, text) in entries.items() if name not in extra and name not in without}
        lines += ["", f"{section}:"] if shown else []
        for name, text in shown.items():
            lines += _entry(name, text, _default(getattr(Config(), name)))
    lines += ["", "Other:"]
    for name, text in _OTHER.items():
        lines += _entry(name, text, "") if name not in without else []
    return "\n".join(lines)


def _parsed(argv: list[str], extra: ExtraFlags, hidden: Collection[str], *, example: str) -> Arguments:
    values = _define(extra, hidden)
    rest = values.parsed(argv)
    if rest:
        raise ConfigError(f"unexpected argument '{shown(rest[0])}': every setting is a flag such as {example}")
    for name in extra:
        if isinstance(values[name].value, str):
            try:
                (check_path if name in _PATHS else _check_list)(values[name].value)
            except Unusable as error:
                raise ConfigError(f"--{name}={shown(values[name].value)} cannot be used: {error}") from None
    return values


def _check_list(text: str) -> None:
    check_text(text, configuration.MOST_LIST)


def _define(extra: ExtraFlags, hidden: Collection[str]) -> Arguments:
    """Fresh flags, apart from absl's global ones: parsing twice in one process is harmless."""
    values = Arguments()

    def define(kind: str, name: str, default: Any, text: str) -> None:
        if kind in ("float", "integer"):
            values.define_number(name, default, text, float if kind == "float" else int)
        else:
            (flags.DEFINE_bool if kind == "bool" else flags.DEFINE_string)(name, default, text, flag_values=values)

    for section in _SECTIONS.values():
        for name, (kind, text) in section.items():
            if name not in hidden:
                define(kind, name, None, text)
    for name, (type_, text, default) in extra.items():
        define(_KINDS[type_], name, default, text)
    if "config_file" not in hidden:
        define("string", "config_file", None, _OTHER["config_file"])
    define("string", "flagfile", "", _OTHER["flagfile"])
    define("bool", "json", False, _OTHER["json"])
    flags.DEFINE_bool("help", False, _OTHER["help"], short_name="h", flag_values=values)
    return values


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(read_integer(width) for width in text.split(",") if width.strip())
    except ValueError:
        raise ConfigError(f"--hidden={shown(text)}: give layer widths such as 128,64, or nothing for softmax "
                          "regression") from None


def _default(default: Any) -> str:
    """A default as one would give it on the command line; empty where there is none."""
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def _entry(name: str, text: str, default: str) -> list[str]:
    text = f"{text} Default: {default}." if default else text
    wrapped = textwrap.wrap(text, 72)
    return [f"  --{name:<20}{wrapped[0]}", *(" " * 24 + line for line in wrapped[1:])]
