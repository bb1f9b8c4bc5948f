"""The command line of a run: turns flags into a `Config`, in one place. The only module that reads absl flags."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Collection, Mapping
from typing import Any, Final

from absl import flags

from reglab.cli.arguments import Arguments
from reglab.config import FLAGS, MOST_LIST, Config, ConfigError, spelled
from reglab.core import penalties
from reglab.inputs.numerals import read_integer
from reglab.inputs.paths import Unusable, check_path, check_text
from reglab.inputs.texts import shown

OTHER: Final = {
    "config_file": "Start from this config.json of a run; flags that are given override it.",
    "json": "Print the result as one JSON object on stdout, all else on stderr.",
    "help": "Show this help.", "version": "Show the version.", "flagfile": "Read flags from a file, one a line.",
}
"""The flags that every command also has: maps names to help texts."""

PATHS: Final = frozenset({"model_dir", "output", "data_dir", "input", "config_file", "flagfile"})
"""Those of the flags that are not fields of `Config`, or have another meaning there, that are paths."""

ExtraFlags = Mapping[str, tuple[type | tuple[str, ...], str, Any]]
"""A command's own flags: maps each name to (str, int, float, bool or the names to choose from; help; default). A flag
with the name of a run's flag replaces that one."""


@dataclasses.dataclass(frozen=True)
class CommandLine:
    """What the user asked for.

    Attributes:
      config: the run.
      json: whether to print the result as JSON.
      help: whether to print the help and do nothing else.
      values: the values of the command's own flags, by name.
      operands: the arguments that are no flags, of a command that takes such.
    """

    config: Config
    json: bool
    help: bool
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    operands: tuple[str, ...] = ()


def parse(argv: list[str]) -> CommandLine:
    """Parses the command line of a run, without the program's name.

    Raises:
      ConfigError: a flag is unknown or its value cannot be used.
    """
    config, _, json, help_wanted = parse_with(argv, {})
    return CommandLine(config, json, help_wanted)


def parse_with(argv: list[str], extra: ExtraFlags,
               without: Collection[str] = ()) -> tuple[Config, dict[str, Any], bool, bool]:
    """Parses the command line of a command that has flags beyond those of a run.

    Args:
      extra: the command's own flags.
      without: flags of a run that the command does not have.

    Returns:
      The configuration, on which the extra flags have no effect; their values by name; `json`; `help`.

    Raises:
      ConfigError: a flag is unknown or its value cannot be used.
    """
    hidden = {*extra, *without}
    values, _ = _parsed(argv, extra, hidden, example=f"--{penalties.names()[0]}=1e-3")
    given: dict[str, Any] = {
        name: _widths(name, values[name].value) if flag.kind == "tuple[int, ...]" else values[name].value
        for name, flag in FLAGS.items() if name not in hidden and values[name].present}
    base = Config.from_file(values.config_file) if values.config_file else Config()
    return (dataclasses.replace(base, **given), {name: values[name].value for name in extra}, values.json,
            values.help)


def parse_own(argv: list[str], extra: ExtraFlags, *, has_operands: bool = False) -> CommandLine:
    """Parses the command line of a command that trains nothing.

    Args:
      has_operands: whether it takes arguments that are no flags: paths.

    Raises:
      ConfigError: a flag is unknown or its value cannot be used.
    """
    values, operands = _parsed(argv, extra, _of_runs(), example=f"--{next(iter(extra))}=...",
                               has_operands=has_operands)
    return CommandLine(Config(), values.json, values.help, {name: values[name].value for name in extra},
                       tuple(operands))


def help_text(command: str, purpose: str, extra: ExtraFlags | None = None,
              without: Collection[str] = (), *, trains: bool = True) -> str:
    """Returns the help of a command: its purpose, then all flags with their defaults by section, its own flags first.

    Args:
      trains: whether it has the flags of a run.
    """
    without = without if trains else _of_runs()
    extra = extra or {}
    lines = [f"usage: python -m {command} [--flag=value ...]", "", purpose]
    if extra:
        lines += ["", "Of this command:"]
        for name, (_, text, default) in extra.items():
            lines += _entry(name, text, spelled(default))
    offered = [flag for name, flag in FLAGS.items() if name not in extra and name not in without]
    for section in dict.fromkeys(flag.section for flag in offered):
        lines += ["", f"{section}:"]
        for flag in offered:
            lines += _entry(flag.name, flag.help, spelled(flag.default)) if flag.section == section else []
    lines += ["", "Other:"]
    for name, text in OTHER.items():
        lines += _entry(name, text, "") if name not in without else []
    return "\n".join(lines)


def _of_runs() -> frozenset[str]:
    return frozenset({"config_file", *FLAGS})


def _parsed(argv: list[str], extra: ExtraFlags, hidden: Collection[str], *, example: str, has_operands: bool = False
            ) -> tuple[Arguments, list[str]]:
    values = _define(extra, hidden)
    rest = values.parsed(argv)
    if rest and not has_operands:
        raise ConfigError(f"unexpected argument '{shown(rest[0])}': every setting is a flag such as {example}")
    for operand in rest:
        try:
            check_path(operand)
        except Unusable as error:
            raise ConfigError(f"{shown(operand)} cannot be used: {error}") from None
    for name in extra:
        if isinstance(values[name].value, str):
            try:
                (check_path if name in ("model_dir", "output") else _check_list)(values[name].value)
            except Unusable as error:
                raise ConfigError(f"--{name}={shown(values[name].value)} cannot be used: {error}") from None
    return values, rest


def _check_list(text: str) -> None:
    check_text(text, MOST_LIST)


def _define(extra: ExtraFlags, hidden: Collection[str]) -> Arguments:
    """Creates new flags, separate from absl's global ones, so that parsing twice in one process is harmless."""
    values = Arguments()

    def define(kind: str, name: str, default: Any, text: str) -> None:
        if kind in ("float", "int"):
            values.define_number(name, default, text, float if kind == "float" else int)
        elif kind == "Strength":
            values.define_strength(name, default, text)
        elif kind == "Duration":
            values.define_duration(name, default, text)
        else:
            (flags.DEFINE_bool if kind == "bool" else flags.DEFINE_string)(name, default, text, flag_values=values)

    for name, flag in FLAGS.items():
        if name not in hidden:  # No default, so that `Config` fills in what is not given.
            define(flag.kind, name, None, flag.help)
    for name, (type_, text, default) in extra.items():
        define("str" if isinstance(type_, tuple) else type_.__name__, name, default, text)
    if "config_file" not in hidden:
        define("str", "config_file", None, OTHER["config_file"])
    define("str", "flagfile", "", OTHER["flagfile"])
    define("bool", "json", False, OTHER["json"])
    flags.DEFINE_bool("help", False, OTHER["help"], short_name="h", flag_values=values)
    return values


def _widths(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(read_integer(width) for width in text.split(",") if width.strip())
    except ValueError:
        raise ConfigError(f"--{name}={shown(text)}: give layer widths such as 128,64, or nothing for softmax "
                          "regression") from None


def _entry(name: str, text: str, default: str) -> list[str]:
    text = f"{text} Default: {default}." if default else text
    wrapped = textwrap.wrap(text, 72)
    return [f"  --{name:<20}{wrapped[0]}", *(" " * 24 + line for line in wrapped[1:])]
