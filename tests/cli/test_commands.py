"""What every command has around it: exit codes, one line for each way to end, and streams that nobody reads."""

from __future__ import annotations

import errno
import io
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

import reglab
from reglab.cli.commands import Command, run_command
from reglab.cli.flags import CommandLine
from reglab.cluster import RendezvousError
from reglab.config import ConfigError
from reglab.inputs import exit_codes
from reglab.signals.stop import stop_request
from reglab.storage.files import StorageError

ROOT = pathlib.Path(__file__).parents[2]


def raising(error: BaseException) -> Callable[[list[str]], int]:
    def command(argv: list[str]) -> int:
        raise error
    return command


@pytest.mark.parametrize(("error", "code", "said"), [
    (ConfigError("--l1=x: no number"), exit_codes.BAD_INPUT, "--l1=x: no number"),
    (StorageError("the disk is full"), exit_codes.STORAGE_FAILED, "the disk is full"),
    (RendezvousError("worker 1 did not appear"), exit_codes.PEER_LOST, "worker 1 did not appear"),
    (KeyboardInterrupt(), exit_codes.INTERRUPTED, "interrupted, nothing more was saved")])
def test_what_a_command_raises_is_a_line_and_a_code(error: BaseException, code: int, said: str,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(error), []) == code
    assert capsys.readouterr() == ("", f"reglab: {said}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_before_anything_is_to_be_saved(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    def command(argv: list[str]) -> int:
        os.kill(os.getpid(), number)
        while True:
            time.sleep(0.001)

    assert run_command(command, []) == exit_codes.STOPPED == 75
    assert capsys.readouterr().err == (f"reglab: stopped by {number.name}, nothing yet to save; the same command "
                                       "starts again\n")


def test_a_signal_after_all_is_done_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def command(argv: list[str]) -> int:
        with stop_request() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            while not stop:
                time.sleep(0.001)
        print("done")
        return 0

    assert run_command(command, []) == 0
    assert capsys.readouterr() == ("done\n", "")


class Failing(io.StringIO):
    """Fails as its file would."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, text: str) -> int:
        """Fails."""
        raise OSError(self._number, os.strerror(self._number))


def says_all(argv: list[str]) -> int:
    print("out", flush=True)
    print("err", file=sys.stderr, flush=True)
    return 0


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
def test_work_goes_on_when_nobody_reads(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Failing(number))
    monkeypatch.setattr(sys, "stderr", Failing(number))
    assert run_command(says_all, []) == 0


def test_output_that_a_full_disk_takes_is_named(monkeypatch: pytest.MonkeyPatch,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdout", Failing(errno.ENOSPC))
    assert run_command(says_all, []) == exit_codes.STORAGE_FAILED == 74
    assert capsys.readouterr().err == ("err\nreglab: standard output cannot be written (No space left on device): what "
                                       "was to stand there is lost\n")


def test_streams_that_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert run_command(says_all, []) == 0


PROGRAM = """
import os, signal, sys, time
from reglab.cli.commands import run_command, run_process
from reglab.signals.stop import stop_request
def command(argv):
    {}
    return 0
run_process(lambda argv: run_command(command, argv))
"""


def program(body: str, redirection: str = "") -> subprocess.CompletedProcess[str]:
    """A process of the command `body`, started by a shell that redirects its streams."""
    return subprocess.run(["bash", "-c", f'set -o pipefail; "$0" -c "$1" {redirection}', sys.executable,
                           PROGRAM.format(body)], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
                          text=True, timeout=60)


@pytest.mark.parametrize("redirection", ["| head -1", ">&-", "2>&-", ">&- 2>&- <&-", "| (exec <&-; sleep 0.1)"])
def test_a_process_whose_streams_are_closed_ends_with_its_code_and_without_a_word(redirection: str) -> None:
    ended = program("[print('line' * 9) for _ in range(20_000)]", redirection)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: pathlib.Path) -> None:
    name = tmp_path / "file"
    assert program(f"file = open({str(name)!r}, 'w'); os.write(1, b'x'); os.write(2, b'x')", ">&- 2>&-").returncode == 0
    assert name.read_text() == ""


def test_a_second_ctrl_c_in_a_process() -> None:
    ended = program("stop_request().__enter__(); [(os.kill(os.getpid(), signal.SIGINT), time.sleep(0.2)) "
                    "for _ in range(3)]; print('not reached')")
    assert ended.returncode == 130
    assert (ended.stdout, ended.stderr.count("\n")) == ("", 1)


def test_signals_meet_no_python_that_shuts_down() -> None:
    ended = program("import atexit; atexit.register(lambda: [os.kill(os.getpid(), number) or time.sleep(0.05) for "
                    "number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]); stop_request().__enter__()")
    assert (ended.returncode, ended.stderr) == (0, "")


def answer(given: CommandLine) -> int:
    print(given.config.l1, given.values, given.json)
    return 5


OWN = {"color": (str, "Of the paint.", "red")}


@pytest.mark.parametrize(("command", "argv", "said"), [
    (Command("reglab.paint", "Paints.", answer), ["--l1=0.5", "--json"], "0.5 {} True\n"),
    (Command("reglab.paint", "Paints.", answer, OWN), ["--color=blue"], "0.0 {'color': 'blue'} False\n"),
    (Command("reglab.paint", "Paints.", answer, OWN, trains=False), [], "0.0 {'color': 'red'} False\n"),
    (Command("reglab.paint", "Paints.", answer, before=lambda given: [f"--l1={2 * given.config.l2}"]), ["--l2=2"],
     "4.0 {} False\n"),
    (Command("reglab.paint", "Paints.", answer, before=lambda given: ["--l1=7"]), ["--l1=2"], "2.0 {} False\n")])
def test_a_command_is_given_its_command_line(command: Command, argv: list[str], said: str,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(argv) == 5
    assert capsys.readouterr() == (said, "")


def test_a_command_shows_its_help_and_refuses_what_it_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    command = Command("reglab.paint", "Paints.", answer, OWN, {"l1"})
    assert command.main(["--help"]) == exit_codes.SUCCESS
    out = capsys.readouterr().out
    assert out.startswith("usage: python -m reglab.paint ") and "  --color" in out and "  --l1 " not in out
    assert command.main(["--l1=1"]) == exit_codes.BAD_INPUT
    assert "Unknown command line flag 'l1'" in capsys.readouterr().err


def test_the_version_of_a_command_is_not_that_of_what_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(says_all, ["--version"]) == exit_codes.SUCCESS
    assert capsys.readouterr() == (f"reglab {reglab.__version__}\n", "")
    assert run_command(says_all, ["--", "--version"]) == exit_codes.SUCCESS
    assert capsys.readouterr() == ("out\n", "err\n")


def test_a_lost_worker_ends_the_process_before_anything_waits_for_it() -> None:
    ended = program("import atexit; from reglab.cluster import RendezvousError; atexit.register(time.sleep, 50); "
                    "print('so far'); raise RendezvousError('worker 1 did not appear')")
    assert (ended.returncode, ended.stdout, ended.stderr) == (69, "so far\n", "reglab: worker 1 did not appear\n")


def test_an_error_that_is_reglabs_own_still_shows_where_it_is() -> None:
    ended = program("raise RuntimeError('a bug')")
    assert ended.returncode == 1
    assert ended.stderr.endswith("RuntimeError: a bug\n")
