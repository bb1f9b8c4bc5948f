"""`export`: reads a run, writes its network, reads that back and compares."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any, Final

import numpy as np

from reglab.export.formats import Format, format_named
from reglab.export.inputs import inputs_like
from reglab.export.kinds import KINDS, check_packages, chosen
from reglab.export.metadata import metadata_of
from reglab.export.outputs import check_output, output_path, owning_output, scratch_folder
from reglab.export.pruning import TOLERANCE as PRUNED_TOLERANCE
from reglab.export.pruning import Pruning, Smaller, cost_of
from reglab.export.pruning import prune as without_units
from reglab.inputs import exit_codes
from reglab.run.run_file import read_run_file
from reglab.signals.stop import stop_request
from reglab.storage.files import move_whole, writing
from reglab.storage.reading import Unreadable
from reglab.trained.network import Network, read_network
from reglab.trained.source import run_folder

TOLERANCE: Final = 1e-5
"""The largest difference between logits, relative to the largest logit, that rounding explains: Keras multiplies by
1 / divisor, which it rounds to float32 even in a float64 model, and products may be summed in another order."""


class WrongCopy(exit_codes.Ending, ArithmeticError):
    """The written network does not compute what the run's network computes; it was removed."""

    exit_code = exit_codes.VERDICT_FAILED


@dataclasses.dataclass(frozen=True, repr=False)
class Exported:
    """The outcome of an export.

    Attributes:
      output: the file or folder.
      format: the name of its format, for people.
      usage: a line of Python that reads it.
      state: `best` or `last`.
      network: what is in it.
      largest_difference: of the logits read back against the network's, over the largest logit.
      compared_on: the inputs of that comparison, for people.
      pruning: what was left out and what that saves, if units were to be left out.
    """

    output: pathlib.Path
    format: str
    usage: str
    state: str
    network: Network
    largest_difference: float
    compared_on: str
    pruning: Pruning | None = None

    def __repr__(self) -> str:
        return f"<{self.format} in {self.output}: the {self.state} state, step {self.network.step:,}. {self.usage}>"

    @property
    def validation(self) -> dict[str, float] | None:
        """Data loss and accuracy of the validation split as the run noted them, or None."""
        return self.network.validation

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain JSON values."""
        network = self.network
        return {"output": str(self.output), "format": self.format, "state": self.state, "step": network.step,
                "validation": network.validation, "input_shape": list(network.input_shape),
                "divisor": network.divisor, "classes": network.classes, **network.told,
                "largest_difference": self.largest_difference, "compared_on": self.compared_on,
                **({} if self.pruning is None else {"pruning": self.pruning.to_dict()})}


def export(model_dir: str | os.PathLike[str], output: str | os.PathLike[str] | None = None, *,
           state: str = "best", format: str | None = None, prune: bool = False, drop_inputs: bool = False) -> Exported:
    """Writes the network of a run for use elsewhere, and checks that the written network computes the same.

    The run is not changed. The written network maps x, in the units of the data files, to logits.

    Args:
      model_dir: the folder of the run.
      output: the file to write, or the folder for a SavedModel; by default `model.keras`, or the like, in the run's
        folder.
      state: `best`, the state of lowest validation data loss, or `last`.
      format: one of `kinds.KINDS`; by default that of the ending of `output`, a SavedModel where it has none of them.
      prune: whether to leave out the units that no logit needs, which changes no logit.
      drop_inputs: with `prune`, whether the written network takes only the inputs that it uses, as [batch, used
        inputs]; which these are is told by `Exported.network.inputs`.

    Raises:
      ConfigError: the run cannot be read, `output` exists, cannot be written or is in use, or the format is unknown,
        needs a package that is not installed, or cannot hold this network.
      StorageError: the file system refused while work was in progress; nothing is left.
      WrongCopy: the written network's logits differ from those of the run's network by more than rounding.
    """
    model_dir, path = run_folder(model_dir), output_path(model_dir, output, format)
    name, pruning = chosen(format, path), None
    check_packages(name)
    with owning_output(model_dir, path):
        check_output(path)
        network = read_network(model_dir, state, products="float32")  # Its user chooses anew.
        metadata, (x, about_x) = metadata_of(network, state, _run_id(model_dir)), inputs_like(network, model_dir)
        if prune or drop_inputs:
            smaller = without_units(network, drop_inputs=drop_inputs)
            pruning = _checked(smaller, network, name, path, metadata, x, drop_inputs)
            network, x = smaller.network, smaller.taken(x)
            metadata = metadata_of(network, state, metadata["run"])
        difference = _write_and_compare(network, name, path, metadata, x)
        if pruning is not None:
            after = cost_of(network, path, format_named(name).read(network, path), x)
            pruning = dataclasses.replace(pruning, after=after)
    return Exported(path, KINDS[name].title, KINDS[name].usage.format(path=path), state, network, difference, about_x,
                    pruning)


def _run_id(model_dir: pathlib.Path) -> str | None:
    try:
        return read_run_file(model_dir).run
    except Unreadable:
        return None


def _checked(smaller: Smaller, network: Network, name: str, path: pathlib.Path, metadata: dict[str, Any],
             x: np.ndarray, drop_inputs: bool) -> Pruning:
    """Returns what is known of a network without the units that no logit needs before it is written."""
    difference = _largest(network.logits(x), smaller.network.logits(smaller.taken(x)))
    if not difference <= PRUNED_TOLERANCE[network.dtype.name]:
        raise WrongCopy(f"the pruned network differs from the run's network by {difference:.1e} of the largest logit; "
                        "nothing was written")
    form = format_named(name)
    with scratch_folder(path) as scratch, writing(path):
        written = scratch / f"network{KINDS[name].suffix}"
        form.write(network, written, metadata)
        before = cost_of(network, written, form.read(network, written), x)
    return Pruning(before, before, smaller.units, smaller.unused_inputs, drop_inputs, difference)


def _write_and_compare(network: Network, name: str, path: pathlib.Path, metadata: dict[str, Any], x: np.ndarray
                       ) -> float:
    """Writes the network beside its place and moves it there if it is right; returns the `_difference`."""
    form = format_named(name)
    with scratch_folder(path) as scratch, writing(path):
        written = scratch / f"network{KINDS[name].suffix}"
        form.write(network, written, metadata)
        difference = _difference(network, form, written, x)
        if not difference <= TOLERANCE:
            raise WrongCopy(f"the {KINDS[name].title} differs from the run's network by {difference:.1e} of the "
                            "largest logit; nothing was written")
        with stop_request() as stop:  # Within a command, signals now come too late: all is written.
            stop.check()
            move_whole(written, path)
    return difference


def _difference(network: Network, form: Format, written: pathlib.Path, x: np.ndarray) -> float:
    """Computes max |logits read back − logits| / max |logits|."""
    return _largest(network.logits(x), form.read(network, written)(x))


def _largest(expected: np.ndarray, found: np.ndarray) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(expected.dtype).tiny))
