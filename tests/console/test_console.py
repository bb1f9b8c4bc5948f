"""What a person sees during a run: numbers, the epoch table, plain lines, the live terminal, broken streams."""

from __future__ import annotations

import errno
import io
import math
import os
import pathlib
import re
import subprocess
import sys

import pytest

from reglab.console import Console, EpochRow, open_console
from reglab.console.format import duration, number, percent, rate, summary_lines, tensorboard_command
from reglab.console.plain import PROGRESS_SECONDS, PlainConsole
from reglab.console.stream import Pace, SafeStream
from reglab.console.table import EpochTable
from reglab.console.terminal import TerminalConsole

ROOT = pathlib.Path(__file__).parents[2]
RESULT = {
    "completed": True, "epochs": 10, "steps": 450, "seconds": 12.3, "steps_per_second": 4000.0,
    "sparsity": 0.12, "sparsity_threshold": 1e-3,
    "train": {"data_loss": 0.1, "l1": 0.01, "l2": 0.02, "penalty": 0.03, "total": 0.13, "accuracy": 0.99},
    "validation": {"data_loss": 0.2, "accuracy": 0.95}, "gap": {"data_loss": 0.1, "accuracy": 0.04},
    "best": {"step": 90, "epoch": 2, "data_loss": 0.19, "accuracy": 0.951}, "model_dir": "runs/my run",
}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        raise self.error


def row(epoch=1, epochs=10, validation=0.42, **train):
    values = {"data_loss": 0.3, "l1": 0.01, "l2": 0.02, "total": 0.33, "accuracy": 0.9812} | train
    scores = None if validation is None else {"data_loss": validation, "accuracy": 0.95}
    return EpochRow(epoch, epochs, 45 * epoch, values, scores, 0.5, 4321.0)


def drive(console: Console) -> None:
    console.header({"Data": "digits", "Writing to": "runs/x"})
    console.start(0, 90, 2)
    console.message("Resumed")
    for epoch in (1, 2):
        console.progress(45 * epoch, epoch, {"data_loss": 0.3, "accuracy": 0.9})
        console.epoch(row(epoch, 2))
    console.warning("careful")
    console.finish()
    console.finish()
    console.summary(RESULT)


@pytest.mark.parametrize(("value", "text"), [
    (0.31242, "0.3124"), (0.5, "0.5000"), (12.345, "12.35"), (1234.4, "1234"), (123456, "1.235e+05"), (0, "0"),
    (1.5e-7, "1.500e-07"), (math.nan, "nan"), (-math.inf, "-inf"), (1e300, "1.00e+300"),
])
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize("value", [0.0012345, -0.0012345, 1.5e-7, 123456.0, -1.23e12, 9999.9, 0.99999, 1e-99])
def test_number_gives_up_digits_for_width(value):
    text = number(value, 7, sign="+")
    assert len(text) <= 8 and float(text) == pytest.approx(value, rel=0.35)


def test_percent_rate_duration():
    assert [percent(x) for x in (0.98123, 1.0, 0, math.nan)] == ["98.12 %", "100.00 %", "0.00 %", "nan"]
    assert percent(1.0, 7) == "100.0 %"
    assert [rate(x) for x in (None, 4321.4, 3.14159, math.inf)] == ["-", "4321", "3.142", "inf"]
    assert [duration(x) for x in (7, 727, 11527, math.inf)] == ["0:07", "12:07", "3:12:07", "-"]


@pytest.mark.parametrize("width", [60, 80, 93, 100, 200])
@pytest.mark.parametrize("epochs", [1, 10, 999])
def test_table_lines_are_equally_wide_and_fit(width, epochs):
    table = EpochTable(epochs, width, ["l1", "l2"])
    rows = [row(1, epochs), row(epochs, epochs, None),
            row(1, epochs, math.nan, data_loss=math.inf, l1=1e-30, accuracy=1.0)]
    lines = ["".join(cell.text for cell in table.row(each)) for each in rows]
    assert {len(line) for line in [table.header()[1], *lines]} == {table.width}
    assert table.width <= width
    assert ("l1" in table.header()[1]) == (width >= 80)


def test_row_texts():
    table = EpochTable(10, penalties=row(3).penalties)
    cells = {cell.name: cell.text.strip() for cell in table.row(row(3))}
    assert cells["epoch"] == "3/10"
    assert (cells["train.data_loss"], cells["train.accuracy"]) == ("0.3000", "98.12 %")
    assert (cells["validation.data_loss"], cells["gap"], cells["steps/s"]) == ("0.4200", "+0.1200", "4321")
    assert row().gap == pytest.approx(0.12)
    assert row(validation=None).gap is None


def test_pace_covers_the_recent_past_without_the_compilation():
    clock = Clock()
    pace = Pace(clock, window=20)
    clock.now = 30.0  # the first call compiled for 30 s
    pace.update(1100)
    assert pace.steps_per_second is None and pace.seconds_left(2000) is None
    for step in (1200, 1300):
        clock.now += 1
        pace.update(step)
    assert pace.steps_per_second == pytest.approx(100)
    assert pace.seconds_left(2300) == pytest.approx(10)
    for step in (1310, 1320, 1330):
        clock.now += 10
        pace.update(step)
    assert pace.steps_per_second == pytest.approx(1)


def test_plain_output():
    stream = io.StringIO()
    drive(open_console(stream))
    text = stream.getvalue()
    assert text.isascii() and not re.search(r"[^\n -~]", text)
    lines = text.splitlines()
    assert lines[:3] == ["Data        digits", "Writing to  runs/x", "Resumed"]
    assert sum(line.startswith("epoch |") for line in lines) == 1
    assert [line[:5] for line in lines if re.match(r" +\d/2 \|", line)] == ["  1/2", "  2/2"]
    assert "Warning: careful" in lines
    assert not any(line.startswith("step") for line in lines)
    assert "Done after 450 steps in 12.3 s, 4000 steps/s" in lines
    assert lines[-1] == "tensorboard --logdir 'runs/my run'"


def test_plain_progress_is_rare():
    stream, clock = io.StringIO(), Clock()
    console = PlainConsole(stream, clock)
    console.start(500, 2000, 4)
    for step in range(501, 1001):
        clock.now += 0.1
        console.progress(step, 2, {"data_loss": 0.3124, "accuracy": 0.5})
    lines = stream.getvalue().splitlines()
    assert 0 < len(lines) <= 500 * 0.1 / PROGRESS_SECONDS
    assert re.fullmatch(r"step 6\d\d/2000, epoch 2, data loss 0.3124, accuracy 50.00 %, 10.\d+ steps/s, 2:\d\d left",
                        lines[0])


def test_each_plain_line_is_flushed():
    raw = io.BytesIO()
    console = PlainConsole(io.TextIOWrapper(io.BufferedWriter(raw, 1 << 16), "utf-8"))
    console.message("now")
    assert raw.getvalue() == b"now\n"


@pytest.mark.parametrize("make", [PlainConsole, TerminalConsole])
def test_characters_the_stream_lacks_and_control_characters(make):
    raw = io.BytesIO()
    console = make(io.TextIOWrapper(raw, "ascii", write_through=True))
    console.message("runs/Größe \x1b[31m\x07\udcff")
    drive(console)
    assert rb"runs/Gr\xf6\xdfe \x1b[31m\x07\udcff" in raw.getvalue()


@pytest.mark.parametrize("make", [PlainConsole, TerminalConsole])
@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(errno.ENOSPC, "full"), ValueError("closed file")])
def test_a_failing_stream_makes_the_console_quiet(make, error):
    stream = Broken(error)
    drive(make(stream))
    assert stream.writes == 1


def test_reader_that_leaves_does_not_change_the_exit_code():
    code = """
import sys
from reglab.console import open_console
console = open_console(sys.stdout)
for _ in range(20000):
    console.message("a line that is long enough to fill the pipe some time")
sys.stderr.write("trained")
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == "trained"
    assert process.returncode == 0


def test_plain_console_imports_neither_rich_nor_tensorflow():
    code = """
import sys
from reglab.console import open_console
open_console(sys.stdout).message("x")
assert not {"rich", "tensorflow"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def test_which_console(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(open_console(Tty()), TerminalConsole)
    assert isinstance(open_console(io.StringIO()), PlainConsole)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_console(Tty()), PlainConsole)
    closed = io.StringIO()
    closed.close()
    assert type(open_console(closed)) is type(open_console(None)) is Console
    drive(Console())


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    return Tty()


def test_terminal_bar_and_rows(terminal):
    clock = Clock()
    console = TerminalConsole(terminal, clock)
    console.start(10, 90, 2)
    assert "10/90" in terminal.getvalue()
    for step in (20, 30, 40):
        clock.now += 1
        console.progress(step, 1, {"data_loss": 0.3124, "accuracy": 0.5})
    assert "40/90  10.00 steps/s  0:05 left  loss 0.3124  50.0 %" in terminal.getvalue()
    assert "epoch 1/2" in terminal.getvalue()
    console.epoch(row(1, 2))
    console.epoch(row(2, 2))
    console.finish()
    console.summary(RESULT)
    assert terminal.getvalue().count("step/s") == 1
    assert terminal.getvalue().endswith("tensorboard --logdir 'runs/my run'\n")
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")  # the cursor is back


def test_terminal_redraws_seldom(terminal):
    clock = Clock()
    console = TerminalConsole(terminal, clock)
    console.start(0, 10000, 1)
    for step in range(10000):
        clock.now += 1e-3
        console.progress(step, 1, {})
    console.finish()
    assert terminal.getvalue().count("epoch 1/1") <= 101


def test_terminal_colors(terminal, monkeypatch):
    console = TerminalConsole(terminal)
    console.epoch(row(1))
    console.epoch(row(2, validation=0.5))
    console.epoch(row(3, data_loss=math.nan))
    first, second, third = terminal.getvalue().splitlines()[-3:]
    assert "\x1b[32m" in first and "\x1b" not in second and "31m" in third
    monkeypatch.setenv("NO_COLOR", "1")
    drive(TerminalConsole(colorless := Tty()))
    assert not re.search(r"\x1b\[[\d;]*3[1-7]", colorless.getvalue())


def test_terminal_does_not_take_over_a_piped_stdout(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stdout", piped := io.StringIO())
    console = TerminalConsole(terminal)
    console.start(0, 10)
    print('{"json": 1}')
    console.finish()
    assert piped.getvalue() == '{"json": 1}\n'
    assert sys.stdout is piped


def test_summary():
    assert summary_lines(RESULT) == {
        "Training": "data loss 0.1000, accuracy 99.00 %", "Validation": "data loss 0.2000, accuracy 95.00 %",
        "Gap": "+0.1000 in data loss, +4.00 percentage points in accuracy",
        "Penalty": "0.03000 = l1 0.01000 + l2 0.02000", "Objective": "0.1300 = data loss + penalty",
        "Sparsity": "12.00 % of the kernel entries are within 0.001 of zero",
        "Best": "epoch 2, step 90, data loss 0.1900, accuracy 95.10 %", "Written to": "runs/my run"}


def test_summary_of_a_run_whose_losses_are_not_finite():
    found = summary_lines({"train": {"data_loss": None, "l2": None, "penalty": None, "total": None, "accuracy": 0.1},
                           "gap": {"data_loss": None, "accuracy": 0.0}})
    assert found == {"Training": "data loss nan, accuracy 10.00 %", "Penalty": "nan = l2 nan",
                     "Gap": "nan in data loss, +0.00 percentage points in accuracy",
                     "Objective": "nan = data loss + penalty"}


def test_summary_of_a_run_without_files_or_figures():
    stream = io.StringIO()
    console = PlainConsole(stream)
    console.summary({"completed": False, "steps": 7, "model_dir": None, "best": None, "validation": None})
    assert stream.getvalue() == "\nStopped before the end after 7 steps\n"
    assert tensorboard_command({}) is None


def test_safe_stream_without_a_descriptor():
    stream = SafeStream(Broken(BrokenPipeError()))
    assert stream.write("x") == 1
    assert not stream.isatty()
    stream.flush()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo terminal")
def test_real_pseudo_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    main, side = os.openpty()
    with open(side, "w", encoding="utf-8") as stream:
        console = open_console(stream)
        assert isinstance(console, TerminalConsole)
        console.message("hello")
        assert os.read(main, 100) == b"hello\r\n"
    os.close(main)


@pytest.mark.parametrize(("width", "last"), [(50, "10000000"), (80, "loss 0.3124"), (120, "50.0 %")])
def test_terminal_bar_drops_what_does_not_fit(terminal, monkeypatch, width, last):
    monkeypatch.setenv("COLUMNS", str(width))
    clock = Clock()
    console = TerminalConsole(terminal, clock)
    console.start(0, 10_000_000, 100)
    for step in (100_000, 110_000):
        clock.now += 1
        console.progress(step, 42, {"data_loss": 0.3124, "accuracy": 0.5})
    drawn = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", terminal.getvalue()).splitlines()[-1].split("\r")[-1]
    assert "…" not in drawn and len(drawn) <= width - 3
    assert drawn.rstrip().endswith(last)
    console.finish()
