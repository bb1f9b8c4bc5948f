"""The one property of every parser: a valid result, or a `ConfigError` of one bounded line; soon, and in little memory.

A hundred examples each, always the same, unless REGLAB_FUZZ_EXAMPLES asks for more: those are new ones every time, and
must also be done within 200 ms of processor time each.
"""

from __future__ import annotations

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

settings.register_profile("reglab", max_examples=EXAMPLES or 100, derandomize=not EXAMPLES, deadline=None,
                          database=None, print_blob=True, suppress_health_check=list(HealthCheck))
settings.load_profile("reglab")


@pytest.fixture(scope="session")
def survives() -> Callable[[Callable[[], Any]], Any]:
    """`survives(parse)`: what `parse()` gives, or None if it refused as it should.

    `traced` says whether its memory is to be watched, which takes several times as long.
    """
    def survive(parse: Callable[[], Any], *, traced: bool = False) -> Any:
        if traced:
            tracemalloc.start()
        began, result = time.thread_time(), None
        try:
            result = parse()
        except ConfigError as error:
            message = str(error)
            assert len(message) <= MOST_CHARACTERS
            assert message.isprintable(), "a message is one line without control characters"
            message.encode()
        finally:
            seconds, peak = time.thread_time() - began, tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MOST_BYTES
        assert not EXAMPLES or seconds < MOST_SECONDS
        return result
    return survive
