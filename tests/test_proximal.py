"""`--proximal` as users meet it: the zeros of a run, what is reported of them, resumption, lanes."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import signal
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from reglab.compare import compare
from reglab.compare.table import table
from reglab.config import Config, ConfigError
from reglab.console import Console
from reglab.console.format import summary_lines
from reglab.data import Dataset
from reglab.engine import pace
from reglab.run.loop import Interrupted, fit
from reglab.run.outcome import History
from reglab.sweep.results import last_evaluation

pytestmark = pytest.mark.usefixtures("shared_compilation")

CONFIG = Config(hidden=(5,), l1=0.04, l2=1e-3, proximal=True, batch_size=8, epochs=4, learning_rate=0.02, jit=False,
                summary_every=5)


class Spy(Console):
    """Notes the header, and asks this process to stop at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.facts: dict[str, str] = {}
        self._stop_at = stop_at

    def header(self, facts: Mapping[str, str]) -> None:
        self.facts = dict(facts)

    def progress(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        if step == self._stop_at:
            signal.raise_signal(signal.SIGTERM)


def zeros(parameters: Any) -> float:
    return float(np.mean(np.concatenate([arrays["kernel"].ravel() for arrays in parameters.values()]) == 0))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset) -> tuple[pathlib.Path, History]:
    """A run that nothing stopped."""
    folder = tmp_path_factory.mktemp("proximal") / "run"
    return folder, fit(dataclasses.replace(CONFIG, model_dir=str(folder)), dataset)


def test_zeros_are_counted_exactly_beside_what_is_small(whole: tuple[pathlib.Path, History],
                                                        read_events: Callable[..., Any]) -> None:
    folder, run = whole
    result = run.result
    assert result["proximal"] == ["l1"] and 0.1 < result["zeros"] < 0.9
    assert result["zeros"] == result["weights"]["zeros/total"] == pytest.approx(zeros(run.parameters), rel=1e-6)
    assert result["weights"]["zeros/dense_0"] == pytest.approx(np.mean(run.parameters["dense_0"]["kernel"] == 0))
    assert result["sparsity"] >= result["zeros"]
    assert summary_lines(result)["Sparsity"] == (
        f"{100 * result['zeros']:.2f} % of the kernel entries are exactly zero, {100 * result['sparsity']:.2f} % "
        "within 0.001 of zero")
    for split in ("train", "validation"):
        assert {"zeros/total", "zeros/dense_0", "zeros/logits", "sparsity/total"} <= set(read_events(folder / split))
    assert json.loads((folder / "config.json").read_text())["proximal"] is True


def test_the_header_says_what_acts(dataset: Dataset, whole: tuple[pathlib.Path, History]) -> None:
    console = Spy()
    again = fit(CONFIG, dataset, console=console)
    assert console.facts["Proximal"] == "l1, at the rates of adam: what is held at 0 is exactly 0"
    for layer, arrays in whole[1].parameters.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, again.parameters[layer][name])


def test_without_the_flag_nothing_is_said_or_counted(dataset: Dataset) -> None:
    console = Spy()
    run = fit(dataclasses.replace(CONFIG, proximal=False, epochs=1), dataset, console=console)
    assert "Proximal" not in console.facts and not {"zeros", "proximal"} & set(run.result)
    assert not any(tag.startswith("zeros") for tag in run.result["weights"])
    assert zeros(run.parameters) == 0 and "proximal" not in Config().to_dict()


def test_an_average_is_refused_since_it_has_no_zeros() -> None:
    with pytest.raises(ConfigError, match=r"--ema=0\.99: .* exact zeros of --proximal would be lost"):
        Config(proximal=True, ema=0.99)


def test_a_run_goes_on_to_the_bit(tmp_path: pathlib.Path, dataset: Dataset, whole: tuple[pathlib.Path, History],
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace.Pace, "affordable_steps", property(lambda self: 5))
    config = dataclasses.replace(CONFIG, model_dir=str(tmp_path / "run"))
    with pytest.raises(Interrupted):
        fit(config, dataset, console=Spy(12))
    resumed = fit(dataclasses.replace(config, resume="must"), dataset)
    assert resumed.result["resumed_from"] == 12 and resumed.result["zeros"] == whole[1].result["zeros"]
    for layer, arrays in whole[1].parameters.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, resumed.parameters[layer][name])


def test_lanes_are_runs_with_zeros_of_their_own(dataset: Dataset,
                                                whole: tuple[pathlib.Path, History]) -> None:
    compared = compare(CONFIG, 1, dataset)
    arms = {arm["name"]: arm for arm in compared.result["arms"]}
    assert arms["none"]["final"]["zeros"]["mean"] == arms["l2"]["final"]["zeros"]["mean"] == 0
    assert arms["l1_and_l2"]["final"]["zeros"]["mean"] == pytest.approx(whole[1].result["zeros"])
    assert "  exact zeros, %" in table(compared.result) and "Proximal" in compared.about
    entries = sum(arrays["kernel"].size for arrays in whole[1].parameters.values())
    last = last_evaluation(compared.curves, entries)
    assert last["nonzero"][0] == entries and last["nonzero"][-1] == round(entries * (1 - whole[1].result["zeros"]))
