"""A command's stop signals: what they raise while there is nothing to lose, and what they leave alone after that."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from reglab.inputs import exit_codes
from reglab.signals import listener
from reglab.signals.listener import CommandRequest, heard_by_children, listening
from reglab.signals.stop import COMMAND_SIGNALS, EarlyStop, StopRequest, deferred, stop_request


class Ended(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The exit codes with which the process would have ended."""
    codes: list[int] = []

    def leave(code: int) -> NoReturn:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(os, "_exit", leave)
    yield codes


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def blocked() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def never() -> bool:
    return False


@pytest.mark.parametrize("number", COMMAND_SIGNALS)
def test_with_nothing_to_lose_a_signal_raises_wherever_the_command_is(number: signal.Signals) -> None:
    with listening() as request, pytest.raises(EarlyStop, match=f"stopped by {number.name}, nothing yet to save"), \
            request.interruptible(EarlyStop, "again"):
        send(number)
        until(never)
    assert request.signal is number


@pytest.mark.parametrize("number", COMMAND_SIGNALS)
def test_once_held_it_is_noted_and_raises_nothing(number: signal.Signals) -> None:
    with listening() as request, request.interruptible(EarlyStop, "again"):
        with stop_request() as stop:
            assert stop is request
            send(number)
            until(lambda: stop)
        with stop_request() as again:  # Noted for good: the process ends when its work does.
            assert again.signal is number


def test_what_can_be_made_again_is_interrupted_even_then() -> None:
    with listening(), stop_request() as stop, pytest.raises(KeyError, match="SIGHUP"), \
            stop.interruptible(KeyError, "again"):  # type: ignore[arg-type]
        send(signal.SIGHUP)
        until(never)
    with listening(), stop_request() as stop:
        send(signal.SIGHUP)
        until(lambda: stop)
        with pytest.raises(EarlyStop), stop.interruptible(EarlyStop, "again"):
            pytest.fail("it is left before it begins")


def test_an_error_that_a_library_makes_of_the_stop_is_the_stop() -> None:
    with listening() as request, pytest.raises(EarlyStop), request.interruptible(EarlyStop, "again"):
        try:
            send(signal.SIGTERM)
            until(never)
        except EarlyStop:
            raise ImportError("initialization failed") from None
    with listening() as request, pytest.raises(ImportError), request.interruptible(EarlyStop, "again"):
        raise ImportError("no signal came")


def test_a_second_ctrl_c_ends_the_process_at_once_and_nothing_else_does(ends: list[int],
                                                                        capfd: pytest.CaptureFixture[str]) -> None:
    with listening() as request:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            request.receive(number)
        assert ends == []
        with pytest.raises(Ended):
            request.receive(signal.SIGINT)
    assert ends == [exit_codes.INTERRUPTED] == [130]
    assert capfd.readouterr().err == ("reglab: stopped at once by a second SIGINT: what was not yet saved is lost\n")


def test_a_command_that_does_not_heed_it_is_ended(ends: list[int], monkeypatch: pytest.MonkeyPatch,
                                                  capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(listener, "GRACE", 0.01)
    monkeypatch.setattr(threading, "excepthook", lambda args: None)  # Of `Ended`, in the timer's thread.
    with listening() as request, request.interruptible(EarlyStop, "the same command starts again"):
        try:
            send(signal.SIGTERM)
            until(never)
        except EarlyStop:
            until(lambda: ends)
        assert ends == [exit_codes.STOPPED] == [75]
    assert capfd.readouterr().err == "reglab: stopped by SIGTERM, nothing yet to save; the same command starts again\n"


def test_no_other_thread_hears_them() -> None:
    seen: list[set[int]] = []
    with listening():
        thread = threading.Thread(target=lambda: seen.append(blocked()))
        thread.start()
        thread.join()
        assert seen[0] & blocked() >= set(COMMAND_SIGNALS)
        with heard_by_children():
            assert not blocked() & set(COMMAND_SIGNALS)
        assert blocked() >= set(COMMAND_SIGNALS)


def test_a_handler_that_a_library_installs_takes_nothing_away() -> None:
    taken: list[int] = []
    with listening() as request:
        signal.signal(signal.SIGTERM, lambda number, frame: taken.append(number))
        request.hold()
        request.receive(signal.SIGTERM)
        assert request.signal is signal.SIGTERM


def test_all_is_as_before_afterwards() -> None:
    before, handlers = blocked(), {number: signal.getsignal(number) for number in COMMAND_SIGNALS}
    with listening():
        assert blocked() != before
    assert blocked() == before
    assert {number: signal.getsignal(number) for number in COMMAND_SIGNALS} == handlers
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]


def test_what_the_parent_ignores_stays_ignored() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening() as request, request.interruptible(EarlyStop, "again"):
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            send(signal.SIGHUP)
            assert signal.SIGHUP not in blocked() and not request
    finally:
        signal.signal(signal.SIGHUP, former)


def test_inside_a_command_another_shares_its_request() -> None:
    with listening() as outer, listening() as inner:
        assert isinstance(outer, CommandRequest)
        assert inner is outer


def test_outside_the_main_thread_none_ever_comes() -> None:
    seen: list[StopRequest] = []

    def inside() -> None:
        with listening() as request:
            seen.append(request)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert not isinstance(seen[0], CommandRequest) and not seen[0]


def test_a_signal_is_deferred_while_somebody_else_takes_its_handler() -> None:
    taken: list[int] = []
    with stop_request() as stop:
        with deferred():
            signal.signal(signal.SIGTERM, lambda number, frame: taken.append(number))  # As TensorFlow's servers do.
            signal.raise_signal(signal.SIGTERM)
            assert not stop
        assert stop.signal is signal.SIGTERM and not taken
