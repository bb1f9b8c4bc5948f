"""Builds the training that a configuration describes: the one place where names become functions."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from reglab.config import HANDLING_FIELDS, Config, ConfigError
from reglab.config.memory import check_memory
from reglab.config.selection import make_model, strengths_by_layer
from reglab.config.strengths import Strength, is_zero
from reglab.core import penalties
from reglab.core.models import Model
from reglab.core.models.base import parameter_dtype as dtype_of
from reglab.core.optimizers import make_optimizer
from reglab.core.parameters import Weights
from reglab.core.schedules import scheduled
from reglab.core.step import Hyperparameters, Step
from reglab.core.terms import Term
from reglab.data import DataFacts, Dataset, Stream, check_batch_size, load_configured, prepared, steps_per_epoch
from reglab.engine.lane_groups import LaneGroups
from reglab.engine.placement import LanePlacement
from reglab.engine.program import Program
from reglab.engine.replicas import Replicas
from reglab.engine.sharing import found_or_made
from reglab.engine.sources.arrays import ArraySource
from reglab.engine.sources.base import Layout, Source
from reglab.engine.sources.streams import StreamSource
from reglab.engine.summary_interval import interval_within
from reglab.engine.training import Training
from reglab.inputs.texts import shown

Data = Dataset | Stream | Source
"""Anything a run can be trained on."""
HasSizes = DataFacts | Layout
"""Anything that knows the sizes of the splits."""


def load_dataset(config: Config) -> Dataset:
    """Loads the data a configuration names, with its subset selected and its label noise applied.

    Raises:
      ConfigError: a file is missing or damaged, or the data do not fit the flags.
    """
    return load_configured(config)


def source_of(config: Config, data: Data) -> Source:
    """Returns a source for the batches of a run on these data.

    Raises:
      ConfigError: `data` is a source whose batch size or dtype differs from the configuration's, or is no arrays where
        the configuration needs them.
    """
    dtype = parameter_dtype(config)
    if isinstance(data, Dataset):
        return ArraySource(prepared(config, data), config.batch_size, dtype, config.resolved_data_seed)
    if not isinstance(data, ArraySource):
        _check_needs_no_arrays(config, data)
    if isinstance(data, Stream):
        return StreamSource(data, config.batch_size, dtype)
    if (data.layout.batch_size, data.layout.dtype) != (config.batch_size, dtype):
        raise ConfigError(f"{shown(data.about.name)} has batches of {data.layout.batch_size} examples in "
                          f"{data.layout.dtype.name}, and --batch_size={config.batch_size} --precision="
                          f"{config.precision} needs {config.batch_size} in {dtype.name}: make a source of these")
    return data


def _check_needs_no_arrays(config: Config, data: Stream | Source) -> None:
    name = shown(data.name if isinstance(data, Stream) else data.about.name, 60)
    if config.standardize:
        raise ConfigError(f"--standardize takes the statistics of the training part, and {name} brings its batches one "
                          "after the other: bring x scaled, or give reglab.data.from_arrays(...)")
    if config.class_weights is not None:
        raise ConfigError(f"--class_weights={shown(config.class_weights, 60)} needs all labels at hand, and {name} "
                          "brings its batches one after the other: give reglab.data.from_arrays(...)")


def arrays_of(config: Config, data: Data | None) -> Dataset:
    """Returns the data for lanes: `data` or, if None, the data that the configuration names.

    Raises:
      ConfigError: the data are not arrays, or cannot be loaded.
    """
    if data is None:
        return load_dataset(config)
    if not isinstance(data, Dataset):
        name = data.name if isinstance(data, Stream) else data.about.name
        raise ConfigError(f"{shown(name)} brings its batches one after the other, and lanes share arrays that lie on "
                          "the device: train one run at a time with reglab.fit, or give reglab.data.from_arrays(...)")
    return prepared(config, data)


def make_step(config: Config, data: DataFacts) -> Step:
    """Returns the objective and the steps on it.

    Raises:
      ConfigError: `penalize` matches no layer, a strength names a layer that does not exist, or the network does not
        fit into memory.
    """
    check_memory(config, input_shape=data.input_shape, classes=data.classes)
    model = make_model(config, data.input_shape, data.classes)
    optimizer = make_optimizer(config.optimizer, momentum=config.momentum, weight_decay=config.resolved_weight_decay,
                               decayed=model.kernel_names)
    schedule = functools.partial(scheduled, schedule=config.schedule, warmup_steps=config.warmup_steps,
                                 total_steps=total_steps(config, data), **_decay(config, data))
    terms = make_terms(model, [config.penalize],
                       {name: [strength] for name, strength in config.strengths.items()}, config)
    return Step(model, terms, optimizer, schedule, config.clip_norm, skip_nonfinite=config.on_nonfinite != "stop",
                label_smoothing=config.label_smoothing, average_decay=config.ema,
                weighted=data.is_weighted, debias_from=_debias_from(config, data))


def _debias_from(config: Config, data: HasSizes) -> int | None:
    if not config.debias_epochs:
        return None
    return (config.epochs - config.debias_epochs) * steps_per_epoch(data.sizes["train"], config.batch_size)


def _decay(config: Config, data: HasSizes) -> dict[str, Any]:
    if config.schedule != "step":
        return {}
    steps = config.resolved_decay_every * steps_per_epoch(data.sizes["train"], config.batch_size)
    return {"decay_factor": config.resolved_decay_factor, "decay_steps": steps}


def make_terms(model: Model, penalize: Sequence[str],
               strengths: Mapping[str, Sequence[Strength]] | None = None,
               config: Config | None = None) -> tuple[Term, ...]:
    """Returns the terms of a program that serves every combination of the given `penalize` patterns and strengths.

    Args:
      strengths: maps a penalty's name to its strengths; a missing name means 0. A penalty that is not standing and
        whose strengths are all 0 gets no term: see `Penalty.is_standing`.
      config: says how penalties act; by default as in `Config()`.

    Raises:
      ConfigError: a pattern matches no layer, or a strength names a layer that does not exist.
    """
    terms, config = [], config or Config()
    for penalty in (registered.configured(config) for registered in penalties.registered()):
        given = [strength for strength in (strengths or {}).get(penalty.name, ()) if not is_zero(strength)]
        if penalty.is_standing or given:
            # The layers do not depend on the value of a plain number, so 0.0 stands for all plain numbers.
            kinds = {strength if isinstance(strength, str) else 0.0 for strength in given or [0.0]}
            covered = {layer for kind in kinds for pattern in penalize
                       for layer in strengths_by_layer(model, pattern, penalty.name, kind)}
            terms.append(Term(penalty, tuple(layer for layer in model.kernel_layers if layer in covered),
                              config.proximal and not penalty.is_smooth))
    return tuple(terms)


def make_hyperparameters(config: Config, step: Step) -> Hyperparameters:
    """Returns strengths and learning rate as tensors; layers of a term that `config` does not penalize get 0."""
    dtype = parameter_dtype(config)
    layers = {term.name: term.layers for term in step.terms}
    strengths = {}
    for name, strength in config.strengths.items():
        given = strengths_by_layer(step.model, config.penalize, name, strength)
        assert all(layer in layers.get(name, ()) for layer, number in given.items() if number), \
            f"the step has a term for every strength of {name}"
        if name in layers:
            strengths[name] = tf.constant([given.get(layer, 0.0) for layer in layers[name]], dtype)
    drawn = tf.constant([config.seed % 2**32, config.seed >> 32], tf.uint32) if step.model.draws else ()
    return Hyperparameters(strengths, tf.constant(config.learning_rate, dtype), drawn)


def make_training(config: Config, data: Data, replicas: Replicas | None = None) -> Training:
    """Returns a single run in its initial state.

    Raises:
      ConfigError: the batch is larger than the training data, or `source_of` or `make_step` refuses.
    """
    source = source_of(config, data)
    check_batch_size(config, source.about)
    step = make_step(config, source.about)
    program = _program(config, step, source.layout, None, replicas or Replicas())
    return Training(program, step.model.initialize(config.seed), make_hyperparameters(config, step), source)


def make_program(config: Config, source: Source, replicas: Replicas) -> Program:
    """Returns the program of a single run; nothing is traced, compiled or put on a device.

    Raises:
      ConfigError: `make_step` refuses.
    """
    return _program(config, make_step(config, source.about), source.layout, None, replicas)


def make_lanes(config: Config, step: Step, weights: Weights, hyper: Hyperparameters, source: Source,
               placement: LanePlacement) -> LaneGroups:
    """Returns lanes that share `config`; every array in `weights` and `hyper` has a leading lane axis."""
    without_summaries = dataclasses.replace(config, summary_every=0)
    return LaneGroups(lambda lanes: _program(without_summaries, step, source.layout, lanes, Replicas()),
                      weights, hyper, source, placement)


def _program(config: Config, step: Step, layout: Layout, lanes: int | None, replicas: Replicas) -> Program:
    """Returns a new program or, inside `shared_programs`, an existing one that fits."""
    def make() -> Program:
        return Program(step, layout, summary_every=summary_interval(config, layout), lanes=lanes, jit=config.jit,
                       replicas=replicas)

    if not replicas.compiles_whole:  # Every run makes a new strategy, so there is nothing to share.
        return make()
    return found_or_made((_compiled_with(config), layout, step.terms, lanes), make)


def _compiled_with(config: Config) -> Config:
    """Returns the configuration with every field reset that may differ between runs of one compiled program."""
    default = Config()
    inputs = ["strengths", "learning_rate", "seed", "data_seed", "validation_split", *HANDLING_FIELDS]
    if config.schedule != "cosine" and config.max_points is None and not config.debias_epochs:
        # Nothing compiled depends on the number of steps.
        inputs.append("epochs")
    return dataclasses.replace(config, **{name: getattr(default, name) for name in inputs})


def check_fit(config: Config, data: DataFacts) -> None:
    """Checks, without a device, what `make_training` would refuse.

    Raises:
      ConfigError: the batch is larger than the training data, or `make_step` refuses.
    """
    check_batch_size(config, data)
    make_step(config, data)


def parameter_dtype(config: Config) -> tf.DType:
    """The dtype of parameters, sums and optimizer: bfloat16 applies only to matrix products."""
    return tf.as_dtype(dtype_of(config.precision))


def summary_interval(config: Config, data: HasSizes) -> int:
    """The interval between measured steps: `summary_every`, or longer to keep within `max_points`; 0 measures none."""
    return interval_within(config, total_steps(config, data))


def total_steps(config: Config, data: HasSizes) -> int:
    """The number of updates in the whole run."""
    return config.epochs * steps_per_epoch(data.sizes["train"], config.batch_size)
