"""`certify`: what a run's weights and data alone say of its figures, and of how far it was trained."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from reglab.certify.figures import Holder, Mismatch
from reglab.certify.recomputed import in_float64, loss_weights, recompute, steps_an_epoch
from reglab.certify.stationarity import Distance, clipped_share, data_gradient, distances
from reglab.config import ConfigError
from reglab.data import Dataset
from reglab.engine.assembly import load_dataset, make_hyperparameters, make_step
from reglab.run.evaluation import Evaluation
from reglab.run.kept_run import check_data, kept_config, kept_result, last_step
from reglab.run.logs.rhythm import Expected, Rhythm
from reglab.run.patience import trained_steps
from reglab.run.run_file import RunFile, read_run_file
from reglab.storage.reading import Unreadable
from reglab.trained.network import Network, read_network


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What was found of a run.

    Attributes:
      network: the network of the state, as it was read.
      evaluation: its figures, computed in float64.
      zeros: the part of its kernel entries that are exactly 0.
      distances: maps each trained array to its distance from a stationary point.
      sizes: maps each of them to its number of entries.
      clipped: the part of the last batches whose gradient --clip_norm would shorten; None without it.
      compared: maps each file to how many of its figures were compared.
      mismatches: the figures that do not hold.
    """

    network: Network
    evaluation: Evaluation
    zeros: float
    distances: Mapping[str, Distance]
    sizes: Mapping[str, int]
    clipped: float | None
    compared: Mapping[str, int]
    mismatches: list[Mismatch]

    @property
    def holds(self) -> bool:
        """Whether every figure holds."""
        return not self.mismatches


def certify(directory: str | pathlib.Path, state: str = "last", *, data: Dataset | None = None) -> Certificate:
    """Computes a run's figures again from its weights and data, in float64, and its distance to a stationary point.

    Nothing is written.

    Args:
      directory: the folder of the run.
      state: `last`, the newest checkpoint, or `best`, the state of lowest validation data loss.
      data: the data, if they are not those that the configuration names.

    Raises:
      ConfigError: the folder holds no run, no intact checkpoint, or a run on other data.
    """
    folder = pathlib.Path(directory)
    network = read_network(folder, state)
    dataset = load_dataset(kept_config(folder)) if data is None else data
    check_data(folder, dataset)
    exact = in_float64(network)
    step = make_step(exact.config, dataset)
    hyper = make_hyperparameters(exact.config, step)
    told = recompute(network, step, hyper, dataset)
    # A run that --patience ended with an earlier state has told of more steps than its newest checkpoint has.
    last = max(last_step(folder), trained_steps(kept_result(folder)))
    holder = Holder(folder, _run_file(folder), last, told, step, hyper, network.config.precision,
                    _keys(network, dataset, last), network.config.schedule != "plateau")
    findings = holder.findings()
    kernels = [array.numpy() for array in network.model.kernels(network.parameters).values()]
    return Certificate(
        network, told.evaluation, sum(int(np.sum(w == 0)) for w in kernels) / sum(w.size for w in kernels),
        distances(exact, step, hyper, data_gradient(exact, step, dataset.train, loss_weights(step, dataset, "train"))),
        {f"{layer}/{name}": int(np.prod(array.shape)) for layer, arrays in network.parameters.items()
         for name, array in arrays.items()},
        clipped_share(exact, step, hyper, dataset), findings.compared, findings.mismatches)


def to_dict(found: Certificate, state: str) -> dict[str, Any]:
    """Returns a certificate as values for JSON."""
    told = found.evaluation
    return {"state": state, "step": told.step, "epoch": told.epoch, "train": told.train,
            "validation": told.validation, "gap": told.gap, "weights": told.weights, "zeros": found.zeros,
            "distances": {path: dataclasses.asdict(one) for path, one in found.distances.items()},
            "clipped": found.clipped, "compared": dict(found.compared), "holds": found.holds,
            "mismatches": [dataclasses.asdict(one) for one in found.mismatches]}


def _keys(network: Network, dataset: Dataset, last: int) -> frozenset[Any]:
    """Returns the points that the run must have told. One that went back may have told fewer."""
    config = network.config
    if config.on_nonfinite == "restore":
        return frozenset()
    return Expected.of(config, Rhythm.of(config, steps_an_epoch(network, dataset)), last).points


def _run_file(folder: pathlib.Path) -> RunFile:
    try:
        return read_run_file(folder)
    except Unreadable as error:
        raise ConfigError(f"{folder / 'run.json'} {error}: which files are the run's is not known; going on with the "
                          "run writes it again") from None
