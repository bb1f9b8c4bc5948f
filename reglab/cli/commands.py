"""What every command does around its work: flags, help and version; one line and an exit code if it ends early.

`python -m reglab.<command>` is `run_process(main)`, and every `main` calls `run_command`: most are `Command.main`;
commands with another kind of command line pass a function of their own.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NoReturn, TextIO, cast

from reglab import __version__
from reglab.cli import flags
from reglab.cli.arguments import UnknownFlag
from reglab.cli.completion import Offers, offers_of
from reglab.cluster.alone import is_the_one
from reglab.config import ConfigError
from reglab.console.stream import SafeStream
from reglab.inputs import exit_codes
from reglab.inputs.exit_codes import Ending
from reglab.inputs.spelling import spelled_as_flags
from reglab.inputs.texts import one_line
from reglab.signals.listener import listen_for_good, listening
from reglab.signals.stop import STARTS_AGAIN, EarlyStop, StopRequest
from reglab.storage.files import refusal

_VERSION: Final = frozenset({"--version", "-version"})
_LINGER: Final = 0.5  # Seconds for the other workers to receive the last message of a worker that stops.


@dataclasses.dataclass(frozen=True)
class Command:
    """A command whose command line consists of flags only.

    Attributes:
      module: the module that `python -m` runs.
      purpose: what the command is for, shown in the help; a function if it depends on what is registered.
      work: does the command's work and returns the exit code.
      extra: the command's own flags; a function if they depend on what is registered.
      without: flags of a run that it does not have.
      refused: further ones that people may look for here; maps each to a clause that says why not, and what to do.
      trains: whether it has flags of a run at all.
      before: returns flags to insert before the given ones, which it gets parsed; for instance those of a preset.
      folder_first: whether the folder of a run may come first, in place of --model_dir.
      operands: the arguments that are no flags, as the help names them; empty if it takes none.
      together: whether the workers of a cluster do its work together; if not, worker 0 does it (`cluster.alone`).
    """

    module: str
    purpose: str | Callable[[], str]
    work: Callable[[flags.CommandLine], int]
    extra: flags.ExtraFlags | Callable[[], flags.ExtraFlags] = dataclasses.field(default_factory=dict)
    without: Collection[str] = ()
    refused: Mapping[str, str] = dataclasses.field(default_factory=dict)
    trains: bool = True
    before: Callable[[flags.CommandLine], list[str]] = lambda given: []
    folder_first: bool = False
    operands: str = ""
    together: bool = False

    def main(self, argv: list[str]) -> int:
        """Does what the command line says and returns the exit code (see `exit_codes`)."""
        return run_command(self._answer, argv)

    def _answer(self, argv: list[str]) -> int:
        if self.folder_first and argv and not argv[0].startswith("-"):
            argv = [f"--model_dir={argv[0]}", *argv[1:]]
        given = self._parsed(argv)
        if given.help:
            purpose = self.purpose() if callable(self.purpose) else self.purpose
            command = " ".join(filter(None, [self.module, "DIR" if self.folder_first else self.operands]))
            print(flags.help_text(command, purpose, self._extra, self.hidden, trains=self.trains))
            return exit_codes.SUCCESS
        before = self.before(given)
        if not self.together and not is_the_one(self.module):
            return exit_codes.SUCCESS
        return self.work(self._parsed([*before, *argv]) if before else given)

    @property
    def offers(self) -> Offers:
        """What a shell can offer to complete."""
        return offers_of(self._extra, self.hidden, trains=self.trains,
                         has_operands=self.folder_first or bool(self.operands))

    @property
    def hidden(self) -> frozenset[str]:
        """All flags of a run that it does not have."""
        return frozenset({*self.without, *self.refused})

    @property
    def _extra(self) -> flags.ExtraFlags:
        return self.extra() if callable(self.extra) else self.extra

    def _parsed(self, argv: list[str]) -> flags.CommandLine:
        if self.trains:
            try:
                config, values, as_json, wants_help = flags.parse_with(argv, self._extra, self.hidden)
            except UnknownFlag as error:
                if error.name in self.refused:
                    raise ConfigError(f"--{error.name}: {self.refused[error.name]}") from None
                raise
            return flags.CommandLine(config, as_json, wants_help, values)
        return flags.parse_own(argv, self._extra, has_operands=bool(self.operands))


def run_process(main: Callable[[list[str]], int]) -> NoReturn:
    """Runs `main` on the command line as the only work of this process, and ends it with the exit code.

    Python and TensorFlow take a second to clean up, which the operating system does anyway; so the process ends right
    after the functions registered with atexit. A cluster's worker that other workers still need, or that still needs
    them, is shut down in TensorFlow's own way.
    """
    for descriptor in range(3):  # If one is closed, the next file opened gets its number, and prints would go there.
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    request = listen_for_good()
    ended: list[int] = []
    atexit.register(_leave, ended)
    ended.append(main(sys.argv[1:]))
    request.end()
    if ended[0] == exit_codes.PEER_LOST:
        os._exit(ended[0])  # TensorFlow's own exit functions would wait for the lost worker.
    sys.exit(ended[0])


def _leave(ended: list[int]) -> None:
    if not ended:  # An exception ended it, and Python is about to show it.
        return
    if "TF_CONFIG" in os.environ:
        if ended[0] != exit_codes.STOPPED:
            return
        time.sleep(_LINGER)
    os._exit(ended[0])


def run_command(command: Callable[[list[str]], int], argv: list[str]) -> int:
    """Returns the exit code of `command(argv)`: its result, or that of the error that ended it (see `exit_codes`).

    Stop signals are received from here on (see `listener`). Standard output and error never raise: their reader may be
    gone, and the work goes on.
    """
    with _safe_streams() as (out, err), spelled_as_flags(), _no_unraisable_stops(), listening() as request:
        code = _run(command, argv, request)
        out.flush()
        if out.failure is not None and code == exit_codes.SUCCESS:
            print(f"reglab: standard output cannot be written ({out.failure.strerror}): what was to stand there is "
                  "lost", file=sys.stderr)
            code = exit_codes.STORAGE_FAILED
        err.flush()
    return code


def _run(command: Callable[[list[str]], int], argv: list[str], request: StopRequest) -> int:
    try:
        with request.interruptible(EarlyStop, STARTS_AGAIN):
            if _VERSION.intersection(argv[:argv.index("--")] if "--" in argv else argv):
                print(f"reglab {__version__}")
                return exit_codes.SUCCESS
            return command(argv)
    except Ending as ending:
        print(f"reglab: {ending.line}", file=sys.stderr)
        return ending.exit_code
    except OSError as error:  # An error that no other code has handled: still no traceback.
        print(f"reglab: {one_line(refusal(error.filename or 'a file', error))}", file=sys.stderr)
        return exit_codes.STORAGE_FAILED
    except KeyboardInterrupt:  # A command run in a thread other than the main one does not handle Ctrl-C.
        print("reglab: interrupted, nothing more was saved", file=sys.stderr)
        return exit_codes.INTERRUPTED


@contextlib.contextmanager
def _no_unraisable_stops() -> Iterator[None]:
    """Hides stop signals that come where Python cannot raise, as in a destructor; `listener` then ends the process."""
    former = sys.unraisablehook
    sys.unraisablehook = lambda args: None if isinstance(args.exc_value, KeyboardInterrupt) else former(args)
    try:
        yield
    finally:
        sys.unraisablehook = former


class _Output(SafeStream):
    """A standard stream that never raises, and otherwise behaves like the real one."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._real = stream

    @property
    def closed(self) -> bool:
        """Whether there is no stream to write to."""
        return self._real is None or self._real.closed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextlib.contextmanager
def _safe_streams() -> Iterator[tuple[SafeStream, SafeStream]]:
    out, err = real = sys.stdout, sys.stderr
    if isinstance(out, _Output) and isinstance(err, _Output):
        yield out, err
        return
    safe = _Output(out), _Output(err)
    sys.stdout, sys.stderr = cast(TextIO, safe[0]), cast(TextIO, safe[1])
    try:
        yield safe
    finally:
        sys.stdout, sys.stderr = real
