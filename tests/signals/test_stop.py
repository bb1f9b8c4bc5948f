"""A stop signal is a request, noted and answered later; the handlers of others come back."""

from __future__ import annotations

import signal
import threading

import pytest

from reglab.signals.stop import STOP_SIGNALS, stop_request


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_noted_and_interrupts_nothing(number: signal.Signals) -> None:
    with stop_request() as stop:
        assert not stop
        assert stop.signal is None
        signal.raise_signal(number)
        assert stop
        assert stop.signal is number


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stop_request() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # A scheduler may send it again: still in order.
        assert stop.signal is signal.SIGTERM
        signal.raise_signal(signal.SIGINT)


def test_the_first_signal_counts() -> None:
    with stop_request() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert stop.signal is signal.SIGINT


@pytest.mark.parametrize("error", [None, ValueError])
def test_the_former_handlers_come_back(error: type[Exception] | None) -> None:
    received = []
    former = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    try:
        try:
            with stop_request():
                assert [signal.getsignal(number) for number in STOP_SIGNALS] != before
                if error:
                    raise error
        except ValueError:
            pass
        assert [signal.getsignal(number) for number in STOP_SIGNALS] == before
        signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, former)


def test_outside_the_main_thread_no_request_ever_comes() -> None:
    before, seen = [signal.getsignal(number) for number in STOP_SIGNALS], []

    def inside() -> None:
        with stop_request() as stop:
            seen.append((bool(stop), [signal.getsignal(number) for number in STOP_SIGNALS]))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
