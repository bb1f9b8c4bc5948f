"""The arguments of a command line: reads flag files, refuses what cannot be a flag, parses numbers as reglab does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from absl import flags

from reglab.config import FLAGS, ConfigError
from reglab.config.durations import read_duration
from reglab.config.flag import DURATION_FIX
from reglab.config.strengths import Strength, read_strength
from reglab.inputs.numerals import read_float, read_integer
from reglab.inputs.paths import MOST_SMALL_FILE, Unusable, check_path, read_regular, reason
from reglab.inputs.texts import did_you_mean, one_line, shown

MOST_ARGUMENTS: Final = 10_000
MOST_CHARACTERS: Final = 100_000
"""The limit for one argument, large enough for the values of a long grid."""
_MOST_IN_NAME: Final = 64
_MOST_NESTED: Final = 8
_MOST_FILES: Final = 100
"""How many flag files are read, counting repeats: a few files that include each other could amount to a million."""
_NUMBER_FIX: Final = "give a number such as 1e-3"


class Arguments(flags.FlagValues):
    """absl's flags, except that nothing is read without a limit and every error is a `ConfigError`."""

    def parsed(self, argv: Sequence[str], *, known_only: bool = False) -> list[str]:
        """Parses a command line without the program's name; returns the arguments that are not flags.

        Raises:
          ConfigError: a flag is unknown or its value cannot be used.
        """
        try:
            rest: list[str] = self(["reglab", *argv], known_only)
        except _Refused as refused:
            raise refused.error from None
        except ConfigError:
            raise
        except flags.UnrecognizedFlagError as error:
            raise UnknownFlag(error.flagname, self.spellings()) from None
        except (flags.Error, ValueError) as error:
            raise ConfigError(f"{one_line(error, 400)}; --help lists the flags") from None
        return rest[1:]

    def spellings(self) -> list[str]:
        """Returns what may follow --: each flag, for booleans also no<name>, and version, which is answered earlier."""
        names = [name for name in self if len(name) > 1]
        return [*names, *(f"no{name}" for name in names if self[name].boolean), "version"]

    def read_flags_from_files(self, argv: Sequence[str], force_gnu: bool = True) -> list[str]:
        """Replaces flag files by the arguments in them. absl calls this before it parses anything."""
        found = self._expanded(list(argv), force_gnu or self.is_gnu_getopt())
        for argument in found:
            name = argument.lstrip("-").partition("=")[0]
            if argument.startswith("-") and (len(name) > _MOST_IN_NAME or name == "undefok"):
                raise ConfigError(f"unknown command line flag '{shown(name, 80)}'; --help lists the flags")
            if len(argument) > MOST_CHARACTERS:
                raise ConfigError(f"{shown(argument)}: an argument has at most {MOST_CHARACTERS:,} characters")
        return found

    def _expanded(self, argv: list[str], gnu: bool) -> list[str]:
        found: list[str] = []
        files = _FlagFiles()
        waiting = iter(argv)
        for argument in waiting:
            name, given, value = argument.lstrip("-").partition("=")
            if argument == "--" or not (gnu or argument.startswith("-")):  # The rest are not flags.
                return [*found, argument, *waiting]
            if argument in (f"-{name}{given}{value}", f"--{name}{given}{value}") and name == "flagfile":
                file = value if given else next(waiting, None)
                if file is None:
                    raise ConfigError("--flagfile: name the file")
                found += files.lines(file, []) if file else []
            else:
                found.append(argument)
                if argument.startswith("-") and not given and name in self and not self[name].boolean:
                    found += [value for value in [next(waiting, None)] if value is not None]
            if len(found) > MOST_ARGUMENTS:
                raise ConfigError(f"there are more than {MOST_ARGUMENTS:,} arguments, those in flag files among them")
        return found

    def define_number(self, name: str, default: float | None, text: str, type_: type) -> None:
        """Defines a flag for an integer (int) or any number (float)."""
        reader = _Number(name, read_integer, "give a whole number") if type_ is int else _Number(
            name, read_float, _NUMBER_FIX)
        flags.DEFINE(reader, name, default, text, flag_values=self)

    def define_duration(self, name: str, default: float | None, text: str) -> None:
        """Defines a flag for seconds, or a text such as 10m."""
        flags.DEFINE(_Number(name, read_duration, DURATION_FIX), name, default, text, flag_values=self)

    def define_strength(self, name: str, default: Strength | None, text: str) -> None:
        """Defines a flag for the strength of a penalty: one number, or separate numbers for some layers."""
        flags.DEFINE(_Number(name, read_strength, _NUMBER_FIX, "give numbers such as dense_0=1e-3;logits=1e-4"), name,
                     default, text, flag_values=self)


class UnknownFlag(ConfigError):
    """There is no such flag.

    Attributes:
      name: the name that was given, shortened for messages.
      hint: the end of the message, which suggests the closest existing flag, or "" if none is close.
    """

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = shown(name, 80)
        # A run's flag that this command does not have is not a misspelling.
        self.hint = "" if name in FLAGS else did_you_mean(name.replace("-", "_"), known, "--")
        super().__init__(f"Unknown command line flag '{self.name}'{self.hint or ';'} --help lists the flags")


class _Refused(Exception):
    """Carries a `ConfigError` through absl, which would wrap a `ValueError` in words of its own."""

    def __init__(self, error: ConfigError) -> None:
        super().__init__(str(error))
        self.error = error


class _Number(flags.ArgumentParser):
    def __init__(self, name: str, read: Callable[[str], Any], fix: str, layers_fix: str = "") -> None:
        super().__init__()
        self._name, self._read, self._fix, self._layers_fix = name, read, fix, layers_fix

    def parse(self, argument: Any) -> Any:
        try:
            return self._read(argument) if isinstance(argument, str) else argument
        except ValueError as error:
            fix = self._layers_fix if self._layers_fix and "=" in argument else self._fix
            raise _Refused(ConfigError(f"--{self._name}={shown(argument)}: {error}; {fix}")) from None


class _FlagFiles:
    """Reads the flag files of a command line, whose total size may not exceed the limit for one file."""

    def __init__(self) -> None:
        self._files, self._bytes = _MOST_FILES, MOST_SMALL_FILE

    def lines(self, path: str, within: list[str]) -> list[str]:
        """Returns the arguments in a flag file, one per line; skips empty lines and those starting with # or //."""
        flag = f"--flagfile={shown(path)}"
        if path in within or len(within) >= _MOST_NESTED:
            what = "includes itself" if path in within else f"is nested more than {_MOST_NESTED} deep"
            raise ConfigError(f"{flag} {what}: put the flags into one file")
        found: list[str] = []
        for line in map(str.strip, self._read(path, flag).replace("\r", "\n").split("\n")):
            if line.startswith(("--flagfile=", "-flagfile=")):
                found += self.lines(line.partition("=")[2].strip(), [*within, path])
            elif line and not line.startswith(("#", "//")):
                found.append(line)
            if len(found) > MOST_ARGUMENTS:
                raise ConfigError(f"{flag} holds more than {MOST_ARGUMENTS:,} flags: leave some out")
        return found

    def _read(self, path: str, flag: str) -> str:
        try:
            check_path(path)
            content = read_regular(os.path.expanduser(path))
            self._files, self._bytes = self._files - 1, self._bytes - len(content)
            if self._files < 0 or self._bytes < 0:
                raise ConfigError(f"{flag}: at most {_MOST_FILES} flag files of {MOST_SMALL_FILE:,} bytes together are "
                                  "read: put the flags into one file")
            return content.decode()
        except UnicodeDecodeError:
            raise ConfigError(f"{flag} is no text in UTF-8: give a file with one flag a line") from None
        except (OSError, Unusable) as error:
            raise ConfigError(f"{flag} cannot be read ({reason(error)}): give a file with one flag a line") from None
