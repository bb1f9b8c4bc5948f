"""Errors carry their exit code and their advice."""

from __future__ import annotations

import pytest

from reglab.cluster import RendezvousError
from reglab.config import ConfigError
from reglab.inputs import exit_codes
from reglab.inputs.exit_codes import Ending, advising
from reglab.signals.stop import EarlyStop
from reglab.storage.files import StorageError


class Stopped(Ending, KeyboardInterrupt):
    """One of a test."""

    exit_code = exit_codes.STOPPED


@pytest.mark.parametrize(("kind", "builtin", "code"), [
    (ConfigError, ValueError, 2), (StorageError, Exception, 74), (EarlyStop, KeyboardInterrupt, 75),
    (RendezvousError, RuntimeError, 69)])
def test_an_error_has_its_code_and_is_what_callers_from_python_expect(kind: type[Ending], builtin: type, code: int,
                                                                      ) -> None:
    assert kind.exit_code == code
    assert issubclass(kind, builtin)


def test_errors_of_training_have_their_codes() -> None:
    from reglab.certify.rerun import NotRepeated
    from reglab.export import WrongCopy
    from reglab.run.loop import Diverged, Interrupted, PeerLost
    from reglab.sweep.progress import Stopped

    assert [kind.exit_code for kind in (Diverged, WrongCopy, NotRepeated, PeerLost, Interrupted, Stopped)] == [
        3, 4, 4, 69, 75, 75]
    assert all(issubclass(kind, KeyboardInterrupt) for kind in (Interrupted, Stopped))


def test_the_line_is_one_line_with_the_advice_behind_it() -> None:
    assert Stopped("stopped\nhere").line == "stopped here"
    assert EarlyStop("SIGTERM").line == "stopped by SIGTERM, nothing yet to save; the same command starts again"
    assert len(Stopped("x" * 10_000).line) <= 500


def test_advice_is_for_the_kinds_that_it_is_given_for() -> None:
    with pytest.raises(Stopped) as stopped, advising("go on", Stopped):
        raise Stopped("stopped")
    assert stopped.value.line == "stopped; go on"
    with pytest.raises(EarlyStop) as early, advising("go on", Stopped):
        raise EarlyStop("SIGTERM")
    assert early.value.line.endswith("; the same command starts again")
    with pytest.raises(ConfigError, match="^--l1=x$") as wrong, advising("go on", Stopped):
        raise ConfigError("--l1=x")
    assert wrong.value.line == "--l1=x"
