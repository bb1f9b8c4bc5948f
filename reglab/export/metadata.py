"""What is told of a network in every export: where it comes from, what it takes and what its logits mean."""

from __future__ import annotations

import json
from typing import Any, Final

from reglab import __version__
from reglab.storage.json_values import for_json
from reglab.trained.network import Network

NAME: Final = "reglab.json"
"""The name of the metadata in formats that can hold a file."""


def metadata_of(network: Network, state: str, run: str | None) -> dict[str, Any]:
    """Returns the metadata as JSON values.

    Args:
      state: `best` or `last`.
      run: the id of the run, or None if that is not known.
    """
    mean, _ = network.scaling
    kept = "" if network.inputs is None else ", of which only those at the places in inputs are taken"
    scale = f"x / {network.divisor:g}" if mean is None else "(x - mean) / std, feature by feature"
    told: dict[str, Any] = for_json({
        "reglab": __version__, "run": run, "state": state, "step": network.step, "validation": network.validation,
        "input_shape": network.input_shape, "classes": network.classes, "class_names": network.class_names,
        "takes": f"x in the units of the data{kept}; inside, the network's input is {scale}",
        "gives": "logits; their softmax is the probability of each class",
        "divisor": network.divisor if mean is None else None,
        "standardization": None if network.standardization is None else network.standardization.to_dict(),
        "inputs": network.inputs, "config": network.config.to_dict()})
    return told


def as_text(metadata: dict[str, Any]) -> str:
    """Returns the metadata as a JSON text."""
    return json.dumps(metadata, indent=2, allow_nan=False) + "\n"
