"""The one property of every parser: a valid result, or a `ConfigError` of one bounded line; soon, and in little memory.

A hundred examples each, always the same, unless REGLAB_FUZZ_EXAMPLES asks for more: those are new ones every time, and
must also be done within 200 ms of processor time each.
"""

from __future__ import annotations

import itertools
import os
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from reglab.config import ConfigError

EXAMPLES = int(os.environ.get("REGLAB_FUZZ_EXAMPLES", "0"))
MOST_SECONDS = 0.2
MOST_BYTES = 200 * 2**20
MOST_CHARACTERS = 500
TRACED = 10  # One in so many is watched for memory, which takes several times as long; the others for time.

settings.register_profile("reglab", max_examples=EXAMPLES or 100, derandomize=not EXAMPLES, deadline=None,
                          database=None, print_blob=True, suppress_health_check=list(HealthCheck))
settings.load_profile("reglab")


def outcome(parse: Callable[[], Any]) -> Any:
    try:
        return parse()
    except ConfigError as error:
        message = str(error)
        assert len(message) <= MOST_CHARACTERS
        assert message.isprintable(), "a message is one line without control characters"
        message.encode()
        return None


def seconds_of(parse: Callable[[], Any]) -> float:
    began = time.thread_time()
    outcome(parse)
    return time.thread_time() - began


@pytest.fixture(scope="session")
def survives() -> Callable[[Callable[[], Any]], Any]:
    """`survives(parse)`: what `parse()` gives, or None if it refused as it should."""
    calls = itertools.count()

    def survive(parse: Callable[[], Any]) -> Any:
        if next(calls) % TRACED == 0:
            tracemalloc.start()
            try:
                result = outcome(parse)
                assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
            finally:
                tracemalloc.stop()
            return result
        began = time.thread_time()
        result = outcome(parse)
        if EXAMPLES and time.thread_time() - began > MOST_SECONDS:  # Garbage may have been collected meanwhile.
            assert min(seconds_of(parse), seconds_of(parse)) < MOST_SECONDS
        return result
    return survive
