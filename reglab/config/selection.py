"""The model that a configuration asks for, and which of its kernels are penalized. No TensorFlow here."""

from __future__ import annotations

from reglab.config import Config, ConfigError
from reglab.config.strengths import Strength, read_layers
from reglab.core import models
from reglab.core.models import Model
from reglab.inputs.texts import did_you_mean, shown


def make_model(config: Config, input_shape: tuple[int, ...] | None = None, classes: int = 2) -> Model:
    """Makes the network that a configuration asks for.

    Args:
      input_shape, classes: those of the data; by default the smallest that the model takes, with the same layers.

    Raises:
      ConfigError: it does not take examples of that shape.
    """
    model = models.get(config.model)
    try:
        return model.configured(config, model.least_input if input_shape is None else input_shape, classes)
    except ValueError as error:
        raise ConfigError(f"--model={config.model}: {error}") from None


def penalized_layers(model: Model, penalize: str) -> tuple[str, ...]:
    """Returns the layers whose kernels are penalized.

    `all` chooses all Dense layers (in a network without any, all layers with a kernel), `hidden` all of these but the
    last, and a pattern the layers with a kernel, of any kind, whose whole name it matches.

    Raises:
      ConfigError: the pattern matches no layer.
    """
    usual = model.dense_layers or model.kernel_layers
    if penalize == "all":
        return usual
    if penalize == "hidden":
        chosen = usual[:-1]
    else:
        from reglab.inputs.patterns import compile_pattern  # Imported late, as in `config.checks`.

        chosen = compile_pattern(penalize).matching(model.kernel_layers)
    if not chosen:
        others = [name for name in ("all", "hidden", *model.kernel_layers) if name != penalize]
        raise ConfigError(f"--penalize={shown(penalize)} matches no layer: {_layers_of(model)}"
                          f"{did_you_mean(penalize, others)}")
    return chosen


def strengths_by_layer(model: Model, penalize: str, name: str, strength: Strength) -> dict[str, float]:
    """Maps each layer that `penalize` chooses, or that the strength names, to the strength of the penalty `name`.

    Raises:
      ConfigError: the strength names a layer that does not exist, or `penalize` matches no layer.
    """
    if not isinstance(strength, str):
        return dict.fromkeys(penalized_layers(model, penalize), strength)
    given, layers = read_layers(strength), model.kernel_layers
    for layer in given:
        if layer not in layers:
            raise ConfigError(f"--{name}={shown(strength)}: there is no layer {shown(layer, 60)}: {_layers_of(model)}"
                              f"{did_you_mean(layer, layers)}")
    return {layer: given[layer] for layer in layers if layer in given}


def _layers_of(model: Model) -> str:
    kind = "Dense layers" if model.dense_layers == model.kernel_layers else "layers with a kernel"
    return f"the {kind} are {shown(', '.join(model.kernel_layers))}"
