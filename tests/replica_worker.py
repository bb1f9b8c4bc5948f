"""What the tests of replicas run in processes of their own, where the CPU can be split before TensorFlow starts.

`exactness` and `distribution` split this process's CPU; `worker` is one of two, started by `reglab.launch`. Each writes
what it found as JSON into the folder it is given, for the tests to judge. `certify` is `reglab.certify` with the second
and the last of its cases alone.
"""
# ruff: noqa: E402

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import shutil
import signal
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

from reglab.engine.startup import quiet_tensorflow

tf = quiet_tensorflow(whole_process=True)  # As the commands import it, in half the time.

import reglab
from reglab.certify import __main__ as certify
from reglab.certify import exactness as certify_exactness
from reglab.cli.commands import run_process
from reglab.cluster import find_cluster
from reglab.config import Config
from reglab.console import Console
from reglab.data import Examples
from reglab.engine.assembly import load_dataset
from reglab.engine.pieces import Pieces
from reglab.engine.placement import place_run
from reglab.engine.replicas import Replicas
from reglab.engine.sharing import shared_programs

CERTIFY = ["replicas", "--train_size=1003", "--batch_size=100", "--l1=1e-3", "--l2=1e-3", "--clip_norm=1",
           "--strategy=mirrored", "--json"]
SMALL = ["--nojit", "--hidden="]
ELASTIC = Config(l1=1e-3, l2=1e-3, clip_norm=1.0, hidden=(), train_size=1003, batch_size=100, epochs=9,
                 precision="float64", jit=False, strategy="mirrored", cpu_devices=4, label_smoothing=0.1, ema=0.9,
                 schedule="step", decay_every=2, decay_factor=0.5, standardize=True, class_weights="balanced")


def call(*argv: str) -> dict[str, Any]:
    """What `certify` returns and prints."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = certify.main(list(argv))
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


@contextlib.contextmanager
def every_other_case(first: int) -> Iterator[None]:
    """Has `certify` try these alone."""
    cases = certify_exactness.cases
    with mock.patch.object(certify_exactness, "cases", lambda *of: [*cases(*of)][first::2]):
        yield


# One process, whose CPU is split.

def exactness() -> dict[str, Any]:
    """`certify` for 1, 2 and 4 replicas, for programs that are wrong, and for devices that do not exist."""
    with shared_programs():  # What one device computes is compiled once for all of them.
        found = {f"{count} replicas": call(*CERTIFY, *SMALL, "--cpu_devices=4", f"--num_devices={count}")
                 for count in (1, 4)} | broken()
    with every_other_case(0):  # Compilation takes long; two workers do the others.
        found["2 replicas"] = call(*CERTIFY, "--hidden=8", "--cpu_devices=4", "--num_devices=2")
    return found | {flag: call(*CERTIFY, flag) for flag in ("--num_devices=5", "--cpu_devices=3")}


def distribution() -> dict[str, Any]:
    """What 4 replicas do to arrays, and runs that change their number."""
    replicas = place_run(ELASTIC, None)
    return {"arrays": arrays(replicas), "numbers": replicas.gather_numbers(3, 4).tolist(),
            "devices": list(replicas.devices), "left out": left_out(), "proximal": proximal(), **elastic()}


def arrays(replicas: Replicas) -> dict[str, Any]:
    """A sum over replicas of arrays of several dtypes, and the all-reduces that each replica took part in for it."""
    def shares() -> dict[str, tf.Tensor]:
        i = replicas.index()
        real = tf.cast(i, tf.float64)
        return {"matrix": tf.fill([2, 3], real), "scalar": tf.cast(10.0, tf.float64) * real,
                "whole": tf.fill([2], tf.cast(i, tf.int64)), "empty": tf.zeros([0, 2], tf.float64)}

    calls = []
    real_all_reduce = tf.distribute.ReplicaContext.all_reduce

    def counted(self: Any, operation: Any, value: Any) -> Any:
        calls.append(value.dtype.name)
        return real_all_reduce(self, operation, value)

    with mock.patch.object(tf.distribute.ReplicaContext, "all_reduce", counted):
        summed = replicas.program(lambda: replicas.first(replicas.run(lambda: replicas.sum(shares()))), True)()
    local = replicas.count // replicas.workers
    return {"calls": calls[::local], **{name: array.numpy().tolist() for name, array in summed.items()}}


class StopAfter(Console):
    """Sends this process SIGTERM once a step is reached, as a scheduler would."""

    def __init__(self, step: int) -> None:
        self._step = step

    def progress(self, step: int, epoch: int, values: Any) -> None:
        """See `Console`."""
        if step >= self._step:
            os.kill(os.getpid(), signal.SIGTERM)


def left_out() -> dict[str, Any]:
    """For skip and restore: how far two replicas are from one device where an example is not finite."""
    data = load_dataset(ELASTIC)
    x = data.train.x.astype(np.float64) / data.divisor
    x[17, 5] = np.nan
    data = dataclasses.replace(data, divisor=1.0, train=Examples(x, data.train.y), validation=Examples(
        data.validation.x / data.divisor, data.validation.y))
    found = {}
    for mode in ("skip", "restore"):
        runs = [reglab.fit(dataclasses.replace(ELASTIC, epochs=3, on_nonfinite=mode, strategy=strategy, summary_every=5,
                                               num_devices=count, jit=mode == "skip", model_dir=f"{mode}{count}",
                                               standardize=False), data)
                for strategy, count in (("one_device", None), ("mirrored", 2))]
        found[mode] = {"difference": float(np.abs(flat(runs[0].parameters) - flat(runs[1].parameters)).max()),
                       "counted": [run.result["nonfinite"] for run in runs]}
    return found


def proximal() -> dict[str, Any]:
    """How far two replicas with a proximal operator are from one device, and whether they have the same zeros."""
    config = dataclasses.replace(ELASTIC, epochs=2, proximal=True, l1=1e-2, ema=None, standardize=False,
                                 class_weights=None)
    one, two = (flat(reglab.fit(dataclasses.replace(config, strategy=strategy, num_devices=count)).parameters)
                for strategy, count in (("one_device", None), ("mirrored", 2)))
    return {"difference": float(np.abs(one - two).max()), "same zeros": bool(np.array_equal(one == 0, two == 0)),
            "zeros": float(np.mean(one == 0))}


def elastic() -> dict[str, Any]:
    """For each change of the number of replicas in mid-run: the largest difference to one device left alone."""
    reference = flat(reglab.fit(dataclasses.replace(ELASTIC, strategy="one_device")).parameters)
    found = {}
    for before, afters in ((2, (1, 4)), (1, (2,))):
        here = pathlib.Path(f"of{before}")
        config = dataclasses.replace(ELASTIC, num_devices=before, model_dir=str(here))
        try:
            reglab.fit(config, console=StopAfter(50))
        except reglab.Interrupted as stop:
            stopped = stop.step
        for after in afters:
            there = pathlib.Path(f"of{before}to{after}")
            shutil.copytree(here, there)
            history = reglab.fit(dataclasses.replace(config, num_devices=after, model_dir=str(there), resume="must"))
            found[f"{before} to {after}"] = {
                "difference": float(np.abs(flat(history.parameters) - reference).max()), "stopped": stopped,
                "resumed": history.result["resumed_from"], "steps": history.result["steps"],
                "strategy": history.result["strategy"], "xla": history.result["xla"]}
    return found


def broken() -> dict[str, Any]:
    """`certify` for 2 replicas of programs that are wrong in ways that people have got wrong."""
    update, batch, share = Pieces.update, Pieces._batch, Pieces.gradient_share

    def penalty_of_each(self: Pieces, state: Any, gradients: Any, hyper: Any, buffers: Any) -> Any:
        count = self.replicas.count
        return update(self, state, gradients, hyper._replace(
            strengths={name: count * strength for name, strength in hyper.strengths.items()}), buffers)

    def mean_of_means(self: Pieces, *arguments: Any) -> Any:
        mine = batch(self, *arguments)
        return mine._replace(total_weight=self.replicas.count * tf.maximum(tf.reduce_sum(mine.weights), 1))

    def loss_of_one(self: Pieces, *arguments: Any) -> Any:
        loss, gradients, buffers = share(self, *arguments)
        return tf.where(tf.equal(self.replicas.index(), 0), loss * self.replicas.count, 0), gradients, buffers

    wrong = {"penalty of each replica": ("update", penalty_of_each), "mean of means": ("_batch", mean_of_means),
             "loss of one replica": ("gradient_share", loss_of_one)}
    found = {}
    for name, (method, replacement) in wrong.items():
        with mock.patch.object(Pieces, method, replacement):
            found[name] = call(*CERTIFY, *SMALL, "--cpu_devices=4", "--num_devices=2")
    return found


# One worker of a cluster.

def some_cases(argv: list[str]) -> int:
    """What `certify` returns; what it prints is for the launcher."""
    with every_other_case(1):
        return certify.main(argv[1:])


def worker() -> dict[str, Any]:
    """What replicas bring from worker to worker."""
    config = Config(strategy="multi_worker", rendezvous_timeout=120)
    with contextlib.redirect_stderr(io.StringIO()):  # As in a notebook, it is no file then.
        replicas = place_run(config, find_cluster(config))
    chief = [np.array([[1.5, -0.0, np.nan]], np.float32), np.array([2.0 ** 40, -np.inf]), np.array(-7, np.int64)]
    mine = chief if replicas.is_chief else [np.full_like(array, 3) for array in chief]
    taken = replicas.from_chief(mine)
    return {"arrays": arrays(replicas), "devices": list(replicas.devices),
            "numbers": replicas.gather_numbers(replicas.worker, 0.1).tolist(),
            "from chief": all(a.tobytes() == b.tobytes() and a.dtype == b.dtype and a.shape == b.shape
                              for a, b in zip(taken, chief, strict=True))}


def flat(parameters: dict[str, dict[str, np.ndarray]]) -> np.ndarray:
    return np.concatenate([array.ravel() for arrays in parameters.values() for array in arrays.values()])


if __name__ == "__main__":
    if sys.argv[1] == "certify":
        run_process(some_cases)
    mode, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    os.chdir(folder)
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"] if mode == "worker" else 0
    found = {"exactness": exactness, "distribution": distribution, "worker": worker}[mode]()
    (folder / f"{mode}{index}.json").write_text(json.dumps(found))
