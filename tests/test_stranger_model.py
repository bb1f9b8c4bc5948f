"""A stranger's model: one class, registered, and with no other edit all that a model of reglab's own has."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from reglab.config import Config, ConfigError
from reglab.config.selection import make_model, penalized_layers
from reglab.core import models
from reglab.core.parameters import map_arrays
from reglab.data import Dataset
from reglab.export import export
from reglab.lab.grid import Grid
from reglab.lab.lanes import Lane, LaneTrainer
from reglab.run.loop import fit
from reglab.run.report import describe_run
from reglab.sweep import outputs, sweep
from tests.stranger_model import Gated

ROOT = pathlib.Path(__file__).parent.parent
CONFIG = Config(model="mlp", precision="float64", epochs=3, batch_size=8, learning_rate=0.02, summary_every=4,
                optimizer="adamw", l1=1e-3, l2=1e-3)
AS_COMMAND = ("from reglab.engine.startup import quiet_tensorflow; quiet_tensorflow(whole_process=True); "
              "from reglab.core import models; from tests.stranger_model import Gated; models.register(Gated); ")


@pytest.fixture(autouse=True)
def gated(shared_compilation: None) -> Iterator[None]:
    models.register(Gated)
    yield
    models.unregister("gated")


def config(**fields: Any) -> Config:
    return dataclasses.replace(CONFIG, model="gated", **fields)


def run(code: str) -> subprocess.CompletedProcess[str]:
    """A Python process with the environment of a user, in which the model is registered."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHON"))}
    return subprocess.run([sys.executable, "-c", AS_COMMAND + code], cwd=ROOT, capture_output=True, text=True,
                          env=kept | {"PYTHONPATH": str(ROOT)}, timeout=600)


def same_bits(one: Any, other: Any) -> None:
    map_arrays(np.testing.assert_array_equal, one, other)


def near(one: Any, other: Any) -> None:
    map_arrays(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), one, other)


def test_it_is_trained_killed_resumed_to_the_same_bits_and_exported(
        tmp_path: pathlib.Path, read_events: Callable[..., Any]) -> None:
    chosen = config(train_size=53, checkpoint_every=4)
    whole = fit(dataclasses.replace(chosen, model_dir=str(tmp_path / "whole")))
    killed = dataclasses.replace(chosen, model_dir=str(tmp_path / "killed"))
    done = run("import os, reglab; from reglab.console import Console; Console.progress = lambda self, step, *_: "
               f"step > 9 and os.kill(os.getpid(), 9); from reglab.run.loop import fit; "
               f"fit(reglab.Config.from_dict({killed.to_dict()!r}), console=Console())")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list((tmp_path / "killed/checkpoints").glob("ckpt-*.index"))
    resumed = fit(killed)
    assert resumed.result["resumed_from"] > 0
    same_bits((resumed.parameters, resumed.buffers), (whole.parameters, whole.buffers))
    assert np.abs(whole.buffers["center"]["mean"]).max() > 0.1
    assert {"norm/gate/l1", "penalty/logits/l2"} <= set(read_events(tmp_path / "whole/validation"))
    assert whole.result["penalized_kernels"] == ["logits"]

    for name in ("network.npz", "network"):
        assert export(tmp_path / "whole", tmp_path / name, state="last").largest_difference < 1e-12
    with np.load(tmp_path / "network.npz") as file:
        np.testing.assert_array_equal(file["center/mean"], whole.buffers["center"]["mean"])
    with pytest.raises(ConfigError, match="--model=gated has no form of Keras layers"):
        export(tmp_path / "whole")


def test_its_lanes_are_its_runs_and_a_sweep_takes_it(tmp_path: pathlib.Path, dataset: Dataset,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = [Lane(l1=1e-3, l2=1e-3, learning_rate=0.02, seed=seed, penalize=chosen)
             for seed, chosen in ((0, "all"), (1, "value|gate"))]
    curves = LaneTrainer(config(), dataset, 2, ["all", "value|gate"]).train(lanes)
    for i, lane in enumerate(lanes):
        alone = fit(lane.config(config(jit=False)), dataset)  # So XLA is compared too.
        near(map_arrays(lambda array, i=i: array[i], (curves.parameters, curves.buffers)),
             (alone.parameters, alone.buffers))
    monkeypatch.setattr(outputs, "sweep_pictures", lambda *arguments: None)
    swept = sweep(config(model_dir=str(tmp_path / "sweep"), jit=False), Grid(l1=(0.0, 0.01), penalize=("all", ".*")),
                  data=dataset)
    assert len(swept.result["points"]) == 4
    assert "model=gated" in (tmp_path / "sweep/winner/config.json").read_text().replace('": "', "=").replace('"', "")


def test_its_replicas_compute_what_one_device_computes() -> None:
    # The first case alone, three batches of which the last is ragged: without XLA, 200 steps take long.
    done = run("from reglab.certify import __main__ as certify, exactness; "
               "exactness.STEPS, cases = 9, exactness.cases; "
               "exactness.cases = lambda *of: [next(cases(*of))]; raise SystemExit(certify.main(['replicas', "
               "'--model=gated', '--nojit', '--train_size=53', '--batch_size=25', '--l1=1e-3', '--cpu_devices=2']))")
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_words_and_layers_are_those_that_it_tells(dataset: Dataset) -> None:
    from reglab.engine.assembly import make_training

    model = make_model(config(), (6,), 3)
    assert penalized_layers(model, "all") == ("logits",)
    assert penalized_layers(model, "gate|value") == ("value", "gate")
    training = make_training(config(), dataset)
    header = describe_run(config(), training.program, training.source.about)
    assert header["Model"] == "Gated 6-4-3, 60 parameters"
    with pytest.raises(ConfigError, match=r"--model=gate: choose one of mlp, .*gated; did you mean gated\?"):
        Config(model="gate")
