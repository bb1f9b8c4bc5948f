"""What every command does around its work: flags, help, version; one line and an exit code for what ends it early.

`python -m reglab.<command>` is `run_process(main)`, and every `main` is `run_command` of what the command does: that of
`Command`, which most are, or of a function where the command line is another.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final, NoReturn, TextIO, cast

from reglab import __version__
from reglab.cli import flags
from reglab.config import Config
from reglab.console.stream import SafeStream
from reglab.inputs import exit_codes
from reglab.inputs.exit_codes import Ending
from reglab.inputs.texts import one_line
from reglab.signals.listener import listen_for_good, listening
from reglab.signals.stop import STARTS_AGAIN, EarlyStop, StopRequest
from reglab.storage.files import refusal

_VERSION: Final = frozenset({"--version", "-version"})
_LINGER: Final = 0.5  # seconds for the others to hear the last word of a worker that stops


@dataclasses.dataclass(frozen=True)
class Command:
    """A command whose command line is all flags.

    Attributes:
      module: what `python -m` runs.
      purpose: what it is for, in the help; a function where it depends on what is registered.
      work: what it does with the command line, up to the exit code.
      extra: its own flags; a function where they depend on what is registered.
      without: flags of a run that it does not have.
      trains: whether it has flags of a run at all.
      before: flags to be put before those given, once these are known, as those of a preset.
      folder_first: whether the folder of a run may come first, in place of --model_dir.
    """

    module: str
    purpose: str | Callable[[], str]
    work: Callable[[flags.CommandLine], int]
    extra: flags.ExtraFlags | Callable[[], flags.ExtraFlags] = dataclasses.field(default_factory=dict)
    without: Collection[str] = ()
    trains: bool = True
    before: Callable[[flags.CommandLine], list[str]] = lambda given: []
    folder_first: bool = False

    def main(self, argv: list[str]) -> int:
        """Does what the command line says, and returns the exit code (see `exit_codes`)."""
        return run_command(self._answer, argv)

    def _answer(self, argv: list[str]) -> int:
        if self.folder_first and argv and not argv[0].startswith("-"):
            argv = [f"--model_dir={argv[0]}", *argv[1:]]
        given = self._parsed(argv)
        if given.help:
            purpose = self.purpose() if callable(self.purpose) else self.purpose
            command = f"{self.module} DIR" if self.folder_first else self.module
            print(flags.help_text(command, purpose, self._extra, self.without, trains=self.trains))
            return exit_codes.SUCCESS
        before = self.before(given)
        return self.work(self._parsed([*before, *argv]) if before else given)

    @property
    def _extra(self) -> flags.ExtraFlags:
        return self.extra() if callable(self.extra) else self.extra

    def _parsed(self, argv: list[str]) -> flags.CommandLine:
        if self.trains:
            config, values, as_json, wants_help = flags.parse_with(argv, self._extra, self.without)
            return flags.CommandLine(config, as_json, wants_help, values)
        values, as_json, wants_help = flags.parse_own(argv, self._extra)
        return flags.CommandLine(Config(), as_json, wants_help, values)


def run_process(main: Callable[[list[str]], int]) -> NoReturn:
    """Runs `main` on the command line as all that this process does, and ends with its exit code.

    Python and TensorFlow take a second to clean up, which the end of the process does as well; so nothing follows the
    last of the functions that they registered for their exit. A worker of a cluster that others still need, or that
    needs them, takes leave of them as TensorFlow does.
    """
    for descriptor in range(3):  # Where one is closed, the next file that is opened would be written to by others.
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
        os._exit(ended[0])  # What TensorFlow does at its exit would wait for the lost worker.
    sys.exit(ended[0])


def _leave(ended: list[int]) -> None:
    if not ended:  # By an error, which Python is to show.
        return
    if "TF_CONFIG" in os.environ:
        if ended[0] != exit_codes.STOPPED:
            return
        time.sleep(_LINGER)
    os._exit(ended[0])


def run_command(command: Callable[[list[str]], int], argv: list[str]) -> int:
    """The exit code of `command(argv)`: what it returns, or that of the error that it ends by (see `exit_codes`).

    Stop signals are heard from here on (see `listener`). Standard output and error never raise: whoever read them may
    have left, and the work goes on.
    """
    with _safe_streams() as (out, err), _no_unraisable_stops(), listening() as request:
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
    except OSError as error:  # Whatever nobody has named before: still no traceback.
        print(f"reglab: {one_line(refusal(error.filename or 'a file', error))}", file=sys.stderr)
        return exit_codes.STORAGE_FAILED
    except KeyboardInterrupt:  # Where a thread calls a command, Ctrl-C is not for the command to handle.
        print("reglab: interrupted, nothing more was saved", file=sys.stderr)
        return exit_codes.INTERRUPTED


@contextlib.contextmanager
def _no_unraisable_stops() -> Iterator[None]:
    """A stop signal that comes where Python cannot raise, in a destructor say, shows nothing: `listener` ends all."""
    former = sys.unraisablehook
    sys.unraisablehook = lambda args: None if isinstance(args.exc_value, KeyboardInterrupt) else former(args)
    try:
        yield
    finally:
        sys.unraisablehook = former


class _Output(SafeStream):
    """A standard stream that never raises, and is like the real one in all else."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._real = stream

    @property
    def closed(self) -> bool:
        """Whether there is nothing to write to."""
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
