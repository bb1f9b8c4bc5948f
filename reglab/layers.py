"""The names of the Dense layers, and which of them are penalized. No TensorFlow here."""

from __future__ import annotations

from collections.abc import Sequence

from reglab.config import ConfigError
from reglab.strengths import Strength, read_layers
from reglab.texts import did_you_mean, shown


def dense_layers(hidden: Sequence[int]) -> tuple[str, ...]:
    """dense_0, dense_1, … for the hidden layers, input side first, then logits."""
    return (*(f"dense_{i}" for i in range(len(hidden))), "logits")


def penalized_layers(dense_layers: tuple[str, ...], penalize: str) -> tuple[str, ...]:
    """The layers whose kernels are penalized: `all`, `hidden` (all but the last), or those a pattern matches in full.

    Raises:
      ConfigError: the pattern matches no layer.
    """
    if penalize == "all":
        return dense_layers
    if penalize == "hidden":
        chosen = dense_layers[:-1]
    else:
        from reglab.patterns import compile_pattern  # As in `config.checks`: few runs have a pattern.

        chosen = compile_pattern(penalize).matching(dense_layers)
    if not chosen:
        others = [name for name in ("all", "hidden", *dense_layers) if name != penalize]
        raise ConfigError(f"--penalize={shown(penalize)} matches no layer: the Dense layers are "
                          f"{shown(', '.join(dense_layers))}{did_you_mean(penalize, others)}")
    return chosen


def strengths_by_layer(dense_layers: tuple[str, ...], penalize: str, name: str, strength: Strength) -> dict[str, float]:
    """Layer to the strength of the penalty `name` there: of those that `penalize` chooses, or that the strength names.

    Raises:
      ConfigError: it names one that there is not, or `penalize` matches none.
    """
    if not isinstance(strength, str):
        return dict.fromkeys(penalized_layers(dense_layers, penalize), strength)
    given = read_layers(strength)
    for layer in given:
        if layer not in dense_layers:
            raise ConfigError(f"--{name}={shown(strength)}: there is no layer {shown(layer, 60)}: the Dense layers are "
                              f"{shown(', '.join(dense_layers))}{did_you_mean(layer, dense_layers)}")
    return {layer: given[layer] for layer in dense_layers if layer in given}
