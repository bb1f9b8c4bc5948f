"""Reports of a run: in words (the header), as `result.json`, and as a row of the HParams page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from reglab.config import FLAGS, Config, wording
from reglab.config.selection import strengths_by_layer
from reglab.config.strengths import in_words, is_zero
from reglab.core.step import Step
from reglab.core.terms import SPARSITY_THRESHOLD
from reglab.data import DataFacts
from reglab.engine import environment
from reglab.engine.assembly import summary_interval
from reglab.engine.program import Program
from reglab.engine.replicas import Replicas
from reglab.engine.training import Training
from reglab.run.evaluation import Evaluation
from reglab.run.logs.tags import meanings
from reglab.run.patience import rule
from reglab.storage.json_values import for_json

LATER: Final = ("label_smoothing", "ema", "decay_factor", "decay_every", "decay_patience", "proximal", "groups",
                "debias_epochs", "standardize", "class_weights")
"""Columns that the HParams page has only for runs that were given them."""
LEAST_SHOWN: Final = 1e-8
"""The place of a strength of 0 on a log axis."""


def describe_run(config: Config, program: Program, data: DataFacts) -> dict[str, str]:
    """Describes for people what will be trained; maps labels to texts."""
    step, replicas = program.step, program.replicas
    numerics = f"{config.precision}{', deterministic' if config.deterministic else ''}"
    rates = f"learning rate {config.learning_rate:g}, {wording.schedule(config)}"
    if config.clip_norm is not None:
        rates += f", gradients clipped to norm {config.clip_norm:g}"
    if config.resolved_weight_decay:
        rates += f", decoupled weight decay {config.resolved_weight_decay:g} on kernels"
    noise = f", {config.label_noise:.0%} of the training labels changed" if config.label_noise else ""
    return {
        **wording.name(config),
        "Data": data.description + noise,
        **{name.title(): text for name, text in data.caution.items()},
        "Model": f"{step.model.describe()}, {step.model.size:,} parameters",
        "Penalized": f"{', '.join(penalized_kernels(config, step))} ({_covered(step)}): " + ", ".join(
            f"{name} = {in_words(strength)}" for name, strength in config.strengths.told.items()),
        "Optimizer": f"{config.optimizer}, {rates}",
        **wording.proximal(config),
        **wording.loss_and_average(config),
        **_unusual(config, data),
        "Batches": f"{config.batch_size} examples, {program.layout.steps_per_epoch:,} steps an epoch, "
                   f"{_plural(config.epochs, 'epoch')}",
        **rule(config),
        "Device": f"{environment.device_name()}, {numerics}",
        "Strategy": _strategy(replicas),
        "XLA": f"compiles {compiled(replicas)}" if config.jit else "off (--jit=false)",
        "Seed": str(config.seed) if config.data_seed is None else f"{config.seed}, data {config.data_seed}",
        **wording.time_limit(config),
        "Writing to": config.model_dir or "nothing (no model_dir)",
    }


def _unusual(config: Config, data: DataFacts) -> dict[str, str]:
    """Returns the lines about settings that are shown only if they are not the default."""
    facts = {}
    if config.on_nonfinite != "stop":
        facts["Not finite"] = {"skip": "such updates are left out", "restore": "back to the last checkpoint, without "
                               "the updates since"}[config.on_nonfinite] + f" (--on_nonfinite={config.on_nonfinite})"
    interval = summary_interval(config, data)
    if interval != config.summary_every:
        facts["Summaries"] = (f"every {interval:,} steps, not {config.summary_every:,}: --max_points="
                              f"{config.max_points} would be exceeded")
    if config.max_points is not None and -(-config.epochs // config.evaluate_every) > config.max_points:
        facts["Evaluations"] = (f"{config.max_points:,} at the most are written, of "
                                f"{-(-config.epochs // config.evaluate_every):,} (--max_points)")
    return facts


def make_result(config: Config, training: Training, final: Evaluation, *,
                best: Mapping[str, Any] | None, seconds: float, steps_per_second: float,
                resumed_from: int, nonfinite: Mapping[str, int] | None = None,
                ended: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the contents of `result.json`: losses in nats, accuracies and sparsities as fractions, times in s.

    Args:
      ended: what early stopping and a plateau did, by name; empty without them.
    """
    replicas, data = training.program.replicas, training.source.about
    acting = proximal_terms(training.program.step)
    result: dict[str, Any] = {
        **({} if config.name is None else {"name": config.name}),
        "completed": True, "epochs": final.epoch, "steps": final.step,
        "train": final.train, "validation": final.validation, "gap": final.gap,
        "sparsity": final.weights["sparsity/total"], "sparsity_threshold": SPARSITY_THRESHOLD,
        **({"zeros": final.weights["zeros/total"], "proximal": acting} if acting else {}),
        "weights": final.weights, "best": dict(best) if best else None,
        **(ended or {}),
        "nonfinite": {"on_nonfinite": config.on_nonfinite, "left_out": 0, "restores": 0, **(nonfinite or {})},
        "seconds": seconds, "steps_per_second": steps_per_second,
        "examples_per_second": steps_per_second * config.batch_size,
        "resumed_from": resumed_from, "model_dir": config.model_dir,
        "penalized_kernels": penalized_kernels(config, training.program.step), "dataset": data.description,
        "sizes": dict(data.sizes), "validated_on_test": data.validated_on_test, **data.caution,
        "device": environment.device_name(), "precision": config.precision,
        "strategy": {"name": replicas.name, "replicas": replicas.count, "workers": replicas.workers,
                     "devices": list(replicas.devices), "collective": _collective(replicas)},
        "xla": compiled(replicas) if config.jit else None,
        "versions": environment.versions(), "numerics": {
            **environment.numerics(), "xla": config.jit, "device": environment.device_name(),
            "replicas": replicas.count, "workers": replicas.workers, "devices": list(replicas.devices),
            "data_digest": data.digest, "seed": config.seed, "data_seed": config.resolved_data_seed},
    }
    finite: dict[str, Any] = for_json(result)
    return finite


def hyperparameters(config: Config) -> dict[str, Any]:
    """Returns the columns of the HParams page, which takes only numbers, texts and truth values.

    Its log axes cannot show 0, so each strength λ also has a column log10(max(λ, `LEAST_SHOWN`)).
    """
    names = ("penalize", "dataset", "train_size", "label_noise", "activation", "optimizer",
             "learning_rate", "schedule", "batch_size", "epochs", "seed", "precision")
    values = {name: getattr(config, name) for name in names}
    strengths = config.strengths.told
    on_log_axis = {f"{name} (log10)": math.log10(max(value, LEAST_SHOWN)) for name, value in strengths.items()
                   if not isinstance(value, str)}
    return {**strengths, **on_log_axis, **{name: value for name, value in values.items() if value is not None},
            "hidden": ",".join(map(str, config.hidden)) or "none",
            # Only if they are not the default, so that the pages of existing runs stay as they are.
            **({"model": config.model, "dropout": config.dropout} if config.model != "mlp" or config.dropout else {}),
            **{name: getattr(config, name) for name in LATER if getattr(config, name) != FLAGS[name].default}}


def about_tags(config: Config) -> str:
    """Returns a table of what each tag means, in Markdown."""
    rows = [f"| {' | '.join(meaning)} |" for meaning in meanings(list(config.strengths.told))]
    return "\n".join(["| tag | in run | meaning |", "|---|---|---|", *rows])


def penalties_by_layer(config: Config, step: Step) -> dict[str, dict[str, float]]:
    """Maps each layer whose kernel is penalized to the strengths of its penalties, by name."""
    found: dict[str, dict[str, float]] = {}
    for name, strength in config.strengths.items():
        for layer, number in strengths_by_layer(step.model, config.penalize, name, strength).items():
            if number:
                found.setdefault(layer, {})[name] = number
    return found


def penalized_kernels(config: Config, step: Step) -> list[str]:
    """Returns the layers whose kernels some term penalizes with a strength other than 0; if there are none, all layers
    that a term covers."""
    layers = step.model.kernel_layers
    given = {layer for name, strength in config.strengths.items() if not is_zero(strength)
             for layer, number in strengths_by_layer(step.model, config.penalize, name, strength).items() if number}
    return [layer for layer in layers if layer in (given or step.penalized_layers)]


def proximal_terms(step: Step) -> list[str]:
    """Returns the names of the penalties that act by their proximal operator."""
    return [term.name for term in step.terms if term.proximal]


def _covered(step: Step) -> str:
    """Returns which arrays of a layer the terms are of."""
    with_bias = [term.name for term in step.terms if term.penalty.covers_bias]
    return "kernels only" if not with_bias else f"kernels; {', '.join(with_bias)} with the bias of each unit"


def _strategy(replicas: Replicas) -> str:
    if replicas.name == "one_device":
        return "one device"
    workers = f" of {replicas.workers} workers" if replicas.workers > 1 else ""
    return (f"{replicas.name}: {_plural(replicas.count, 'replica')}{workers} ({', '.join(replicas.devices)}), "
            f"all-reduce by {_collective(replicas)}")


def _collective(replicas: Replicas) -> str | None:
    """Returns what sums over replicas, or None on one device. TensorFlow uses NCCL if every device is a GPU."""
    if replicas.name == "one_device":
        return None
    if all("GPU" in device for device in replicas.devices):
        return "NCCL"
    return "TensorFlow's ring" if replicas.workers > 1 else "a sum on the first device"


def compiled(replicas: Replicas) -> str:
    """Returns what XLA compiles, for people."""
    if replicas.name == "one_device":
        return "the whole training loop; not evaluation"
    return "gradient and update of each step; not the loop, the all-reduce and evaluation"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
