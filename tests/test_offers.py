"""What Python offers: names that tab completion finds, imported when asked for, and objects shown in a line."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import reglab
from reglab.data import Dataset, Stream
from reglab.data.examples import Undivided
from reglab.offers import offer

ROOT = pathlib.Path(__file__).parent.parent


def test_tab_completion_finds_what_is_offered_and_nothing_is_imported_for_it() -> None:
    code = """
import sys
import reglab
print(*[name for name in dir(reglab) if not name.startswith("__")])
print(*[name for name in dir(reglab.sweep) if not name.startswith("__")])
reglab.Config(l1=1e-3), reglab.Grid(l1=(0.0, 1.0)), reglab.data.load
print([name for name in ("tensorflow", "matplotlib", "scipy", "pandas", "sklearn") if name in sys.modules])"""
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == [
        "Config ConfigError Diverged Grid History Interrupted PeerLost compare data evaluate export fit predict report "
        "runs sweep",
        "Path Sweep path sweep", "[]"]


def test_all_that_is_offered_is_there() -> None:
    assert {*reglab.__all__} <= {*dir(reglab)}
    for name in dir(reglab):
        assert getattr(reglab, name) is not None or name == "__builtins__"


def test_a_name_that_is_not_offered_is_refused() -> None:
    get, _ = offer("reglab", {"reglab.config": ("Config",)}, light=("reglab.config",))
    assert get("Config") is reglab.Config
    with pytest.raises(AttributeError, match="module 'reglab' has no attribute 'Confg'"):
        get("Confg")


def test_a_configuration_is_shown_as_the_expression_that_makes_it() -> None:
    config = reglab.Config(hidden=(8,), l1=1e-3, l2={"dense_0": 1.0}, model_dir="runs/a")
    assert repr(config) == "Config(hidden=(8,), l1=0.001, l2='dense_0=1.0', model_dir='runs/a')"
    assert eval(repr(config), {"Config": reglab.Config}) == config
    assert repr(reglab.Config()) == "Config()"


def test_data_are_shown_in_a_line(dataset: Dataset) -> None:
    assert repr(dataset) == "<Dataset made: 53 training and 20 validation examples of 6 features, 3 classes>"
    assert repr(dataset.train) == "<53 examples of 6 float32 features>"
    stream = Stream("shards", lambda epoch: [], lambda: [], 60_000, 10_000, 10, (28, 28), 255, "uint8")
    assert repr(stream) == "<Stream shards: 60,000 training and 10,000 validation images of 28x28, 10 classes>"
    assert len(repr(Undivided("made", dataset.train, None, 3, (6,), 1.0, np.arange(1000)))) < 500
