"""`export`: reads a run, writes its network, reads that back and compares."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any, Final

import numpy as np

from reglab.export.formats import SAVED_MODEL, Format, format_of
from reglab.export.outputs import check_output, output_path, owning_output, scratch_folder
from reglab.export.pruning import TOLERANCE as PRUNED_TOLERANCE
from reglab.export.pruning import Pruning, cost_of
from reglab.export.pruning import prune as without_units
from reglab.inputs import exit_codes
from reglab.signals.stop import stop_request
from reglab.storage.files import move_whole, writing
from reglab.trained.network import Network, read_network
from reglab.trained.source import run_folder

TOLERANCE: Final = 1e-5
"""The largest difference between logits, relative to the largest logit, that rounding explains: Keras multiplies by
1 / divisor, which it rounds to float32 even in a float64 model, and products may be summed in another order."""
_EXAMPLES: Final = 64


class WrongCopy(exit_codes.Ending, ArithmeticError):
    """The written network does not compute what the run's network computes; it was removed."""

    exit_code = exit_codes.VERDICT_FAILED


@dataclasses.dataclass(frozen=True, repr=False)
class Exported:
    """The outcome of an export.

    Attributes:
      output: the file or folder.
      format: the name of its format.
      usage: a line of Python that reads it.
      state: `best` or `last`.
      network: what is in it.
      largest_difference: of the logits of random inputs, read back against the network's, over the largest logit.
      pruning: what was left out and what that saves, if units were to be left out.
    """

    output: pathlib.Path
    format: str
    usage: str
    state: str
    network: Network
    largest_difference: float
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
                "largest_difference": self.largest_difference,
                **({} if self.pruning is None else {"pruning": self.pruning.to_dict()})}


def export(model_dir: str | os.PathLike[str], output: str | os.PathLike[str] | None = None, *,
           state: str = "best", prune: bool = False, drop_inputs: bool = False) -> Exported:
    """Writes the network of a run for use elsewhere, and checks that the written network computes the same.

    The run is not changed. The written network maps x, in the units of the data files, to logits.

    Args:
      model_dir: the folder of the run.
      output: `*.keras` for a Keras model, `*.npz` for NumPy arrays, any other name for a SavedModel folder; by
        default `model.keras` in the run's folder.
      state: `best`, the state of lowest validation data loss, or `last`.
      prune: whether to leave out the units that no logit needs, which changes no logit.
      drop_inputs: with `prune`, whether the written network takes only the inputs that it uses, as [batch, used
        inputs]; which these are is told by `Exported.network.inputs`.

    Raises:
      ConfigError: the run cannot be read, or `output` exists, cannot be written or is in use.
      StorageError: the file system refused while work was in progress; nothing is left.
      WrongCopy: the written network's logits differ from those of the run's network by more than rounding.
    """
    model_dir, path = run_folder(model_dir), output_path(model_dir, output)
    form = format_of(path)
    with owning_output(model_dir, path):
        check_output(path)
        network, pruning = read_network(model_dir, state, products="float32"), None  # Its user chooses anew.
        if prune or drop_inputs:
            network, pruning = _pruned(network, form, path, drop_inputs)
        difference = _write_and_compare(network, form, path)
        if pruning is not None:
            x = _like_the_data(network).astype(np.float32)
            pruning = dataclasses.replace(pruning, after=cost_of(network, path, form.read(network, path), x))
    return Exported(path, form.name, form.usage.format(path=path), state, network, difference, pruning)


def _pruned(network: Network, form: Format, path: pathlib.Path, drop_inputs: bool) -> tuple[Network, Pruning]:
    """Returns the network without the units that no logit needs, and what is known of that before it is written."""
    smaller, x = without_units(network, drop_inputs=drop_inputs), _like_the_data(network).astype(np.float32)
    expected, found = network.logits(x), smaller.network.logits(smaller.taken(x))
    difference = _largest(expected, found)
    if not difference <= PRUNED_TOLERANCE[network.dtype.name]:
        raise WrongCopy(f"the pruned network differs from the run's network by {difference:.1e} of the largest logit; "
                        "nothing was written")
    with scratch_folder(path) as scratch, writing(path):
        written = _place_in(scratch, form, path)
        form.write(network, written)
        before = cost_of(network, written, form.read(network, written), x)
    return smaller.network, Pruning(before, before, smaller.units, smaller.unused_inputs, drop_inputs, difference)


def _write_and_compare(network: Network, form: Format, path: pathlib.Path) -> float:
    """Writes the network beside its place and moves it there if it is right; returns the `_difference`."""
    with scratch_folder(path) as scratch, writing(path):
        written = _place_in(scratch, form, path)
        form.write(network, written)
        difference = _difference(network, form, written)
        if not difference <= TOLERANCE:
            raise WrongCopy(f"the {form.name} differs from the run's network by {difference:.1e} of the largest logit; "
                            "nothing was written")
        with stop_request() as stop:  # Within a command, signals now come too late: all is written.
            stop.check()
            move_whole(written, path)
    return difference


def _place_in(scratch: pathlib.Path, form: Format, path: pathlib.Path) -> pathlib.Path:
    return scratch / (f"network{path.suffix}" if form is not SAVED_MODEL else "network")


def _difference(network: Network, form: Format, written: pathlib.Path) -> float:
    """Computes max |logits read back − logits| / max |logits| on random inputs in the range of the data."""
    x = _like_the_data(network).astype(np.float32)
    return _largest(network.logits(x), form.read(network, written)(x))


def _largest(expected: np.ndarray, found: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(expected.dtype).tiny))


def _like_the_data(network: Network) -> np.ndarray:
    """Random inputs [examples, *input_shape] in the units of the data."""
    random, shape = np.random.default_rng(0), (_EXAMPLES, *network.input_shape)
    if network.standardization is None:
        return random.uniform(0, network.divisor, shape)
    mean, std = (array.reshape(network.input_shape) for array in (network.standardization.mean,
                                                                  network.standardization.std))
    return random.normal(mean, std, shape)
