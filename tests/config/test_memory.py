"""A network larger than memory is refused with its size."""

from __future__ import annotations

import pytest

from reglab.config import Config, ConfigError, memory
from reglab.config.memory import available_memory, check_memory


def test_this_machine_has_memory() -> None:
    assert 2**20 < available_memory() < 2**50


@pytest.mark.parametrize(("config", "lanes"), [(Config(hidden=(10**9,)), 1), (Config(hidden=(5000,)), 10_000)])
def test_what_is_too_large_is_refused_with_its_size(config: Config, lanes: int,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 10**9)
    monkeypatch.setattr(memory, "_LARGEST_GPU", 0)
    with pytest.raises(ConfigError, match=r"^--hidden=.*parameters.*GB.*1\.0 GB are free.*layers$"):
        check_memory(config, input_shape=(64,), classes=10, lanes=lanes)


def test_the_estimate_counts_parameters_gradients_and_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = 999 * 10**5 + 10**5 + (10**5 + 1) * 10  # 999-100,000-10
    monkeypatch.setattr(memory, "_LARGEST_GPU", 0)
    for optimizer, copies in (("sgd", 2), ("momentum", 3), ("adam", 4)):
        for free, fits in ((4 * copies * parameters, True), (4 * copies * parameters - 1, False)):
            monkeypatch.setattr(memory, "available_memory", lambda free=free: free)
            try:
                check_memory(Config(hidden=(10**5,), optimizer=optimizer), input_shape=(999,), classes=10)
                assert fits
            except ConfigError:
                assert not fits
