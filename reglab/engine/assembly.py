"""From a configuration to the program that runs it: the one place where names become functions."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from reglab import data
from reglab.config import HANDLING_FIELDS, Config
from reglab.config.memory import check_memory
from reglab.config.selection import make_model, strengths_by_layer
from reglab.config.strengths import Strength, is_zero
from reglab.core import penalties
from reglab.core.models import Model
from reglab.core.models.base import parameter_dtype as dtype_of
from reglab.core.optimizers import make_optimizer, scheduled
from reglab.core.parameters import Weights
from reglab.core.step import Hyperparameters, Step
from reglab.core.terms import Term
from reglab.data import Dataset, check_batch_size
from reglab.engine.lane_program import LaneProgram
from reglab.engine.program import Program
from reglab.engine.replicas import Replicas

MakeProgram = Callable[[Weights, Hyperparameters], Program]


def load_dataset(config: Config) -> Dataset:
    """The data a configuration names, its subset taken and its labels noised.

    Raises:
      ConfigError: a file is missing or damaged, or the data do not fit the flags.
    """
    return data.load_configured(config)


def make_step(config: Config, dataset: Dataset) -> Step:
    """The objective and the steps on it.

    Raises:
      ConfigError: `penalize` matches no layer, a strength names one that there is not, or the network is larger than
        memory.
    """
    check_memory(config, input_shape=dataset.input_shape, classes=dataset.classes)
    model = make_model(config, dataset.input_shape, dataset.classes)
    optimizer = make_optimizer(config.optimizer, momentum=config.momentum, weight_decay=config.resolved_weight_decay,
                               decayed=model.kernel_names)
    schedule = functools.partial(scheduled, schedule=config.schedule, warmup_steps=config.warmup_steps,
                                 total_steps=total_steps(config, dataset))
    terms = make_terms(model, [config.penalize],
                       {name: [strength] for name, strength in config.strengths.items()})
    return Step(model, terms, optimizer, schedule, config.clip_norm, skip_nonfinite=config.on_nonfinite != "stop")


def make_terms(model: Model, penalize: Sequence[str],
               strengths: Mapping[str, Sequence[Strength]] | None = None) -> tuple[Term, ...]:
    """The terms of a program that serves every combination of these `penalize` and strengths.

    Args:
      strengths: name of a penalty to its strengths, 0 where it is left out. Those that are not standing and have
        strength 0 in all are no term: see `Penalty.is_standing`.

    Raises:
      ConfigError: a layer is named, or to be matched, that there is not.
    """
    terms = []
    for penalty in penalties.registered():
        given = [strength for strength in (strengths or {}).get(penalty.name, ()) if not is_zero(strength)]
        if penalty.is_standing or given:
            # Which layers does not depend on the number, so one of the numbers stands for all.
            kinds = {strength if isinstance(strength, str) else 0.0 for strength in given or [0.0]}
            covered = {layer for kind in kinds for pattern in penalize
                       for layer in strengths_by_layer(model, pattern, penalty.name, kind)}
            terms.append(Term(penalty, tuple(layer for layer in model.kernel_layers if layer in covered)))
    return tuple(terms)


def make_hyperparameters(config: Config, step: Step) -> Hyperparameters:
    """The strengths and the learning rate as tensors; layers of a term that `config` does not penalize get 0."""
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


def make_program(config: Config, dataset: Dataset, replicas: Replicas | None = None) -> Program:
    """The compiled program of a single run, at its initial state.

    Raises:
      ConfigError: the batch is larger than the training data, or `penalize` matches no layer.
    """
    check_batch_size(config, dataset)
    step, replicas = make_step(config, dataset), replicas or Replicas()

    def make(weights: Weights, hyper: Hyperparameters) -> Program:
        return Program(step, weights, hyper, dataset, batch_size=config.batch_size,
                       summary_every=summary_interval(config, dataset), jit=config.jit, replicas=replicas)

    shared = _sharing(make, config, dataset, replicas.devices, step.terms) if replicas.compiles_whole else make
    return shared(step.model.initialize(config.seed), make_hyperparameters(config, step))


def make_lane_program(config: Config, step: Step, weights: Weights, hyper: Hyperparameters,
                      dataset: Dataset) -> LaneProgram:
    """The compiled programs of lanes that have `config` in common; every array has a leading lane axis."""
    def make(weights: Weights, hyper: Hyperparameters) -> Program:
        return Program(step, weights, hyper, dataset, batch_size=config.batch_size, summary_every=0,
                       lanes=len(hyper.learning_rate), jit=config.jit)

    return LaneProgram(_sharing(make, config, dataset, step.terms), weights, hyper)


@contextlib.contextmanager
def shared_programs() -> Iterator[None]:
    """Inside the block, runs on the same data that differ only in what a compiled program takes as an input share one.

    For several runs in a row: the block keeps their programs, and with them their data, in memory.
    """
    token = _shared.set({})
    try:
        yield
    finally:
        _shared.reset(token)


_shared: contextvars.ContextVar[dict[Any, Program] | None] = contextvars.ContextVar("shared_programs", default=None)


def _sharing(make: MakeProgram, config: Config, dataset: Dataset, *more: Any) -> MakeProgram:
    """`make`, but inside `shared_programs` only the first program of its kind is made, and others are its siblings.

    Args:
      more: what else the compiled functions depend on, besides the shapes of weights and hyper-parameters.
    """
    shared = _shared.get()
    if shared is None:
        return make

    def shared_or_made(weights: Weights, hyper: Hyperparameters) -> Program:
        key = (_compiled_with(config), dataset.digest, hyper.learning_rate.shape, *more)
        if key in shared:
            return shared[key].sibling(weights, hyper)
        return shared.setdefault(key, make(weights, hyper))
    return shared_or_made


def _compiled_with(config: Config) -> Config:
    """The configuration without what may differ between runs of one compiled program."""
    default = Config()
    inputs = ("strengths", "learning_rate", "seed", "data_seed", *HANDLING_FIELDS)
    return dataclasses.replace(config, **{name: getattr(default, name) for name in inputs})


def check_fit(config: Config, dataset: Dataset) -> None:
    """What `make_program` would refuse, found without a device.

    Raises:
      ConfigError: the batch is larger than the training data, or `penalize` matches no layer.
    """
    check_batch_size(config, dataset)
    make_step(config, dataset)


def parameter_dtype(config: Config) -> tf.DType:
    """The dtype of parameters, sums and optimizer: bfloat16 concerns the matrix products alone."""
    return tf.as_dtype(dtype_of(config.precision))


def summary_interval(config: Config, dataset: Dataset) -> int:
    """Steps between measured steps: `summary_every`, or more for `max_points` of them at the most; 0 for none."""
    if not config.summary_every or config.max_points is None:
        return config.summary_every
    return max(config.summary_every, (total_steps(config, dataset) - 1) // config.max_points + 1)


def total_steps(config: Config, dataset: Dataset) -> int:
    """How many updates the whole run makes."""
    return config.epochs * -(-len(dataset.train) // config.batch_size)
