"""The fields of `Config`, each declared once: default, help, checks, and whether it may differ on resume."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Final

from reglab.config import allowed
from reglab.config.checks import (
    between,
    first_and_count,
    holds,
    known_model,
    named_or,
    one_of,
    path,
    pattern_or,
    positive,
    strength,
    strength_everywhere,
    text,
)
from reglab.config.durations import Duration
from reglab.config.flag import Flag, Section, flags_of
from reglab.config.strengths import Strength
from reglab.config.weights import ClassWeights
from reglab.core import models, penalties
from reglab.core.penalties import Penalty, registry
from reglab.core.penalties.by_name import ByPenalty

_DATA: Final = Section("Data")
_MODEL: Final = Section("Model")
_OBJECTIVE: Final = Section("Objective")
_OPTIMIZATION: Final = Section("Optimization")
_EXECUTION: Final = Section("Execution")
_FILES: Final = Section("Files")

_COUNT: Final = between(1, allowed.MOST_COUNT, "give at least 1")


@dataclasses.dataclass(frozen=True, init=False, repr=False, eq=False)  # `Config` has these methods: made once.
class Fields:
    """Everything a run is given, each field once with its help and checks; `Config` adds the penalties' strengths."""

    dataset: str = _DATA.flag(
        "digits", f"{', '.join(allowed.DATASETS)}, or the path of a file: an .npz file with x_train, y_train and "
        "optionally x_test, y_test, or a .csv or .parquet table with a row for each example.",
        path, named_or(lambda name: name.endswith(allowed.DATA_FILES), ", or give the path of an .npz, .csv or "
                       ".parquet file", *allowed.DATASETS))
    label_column: str | None = _DATA.flag(
        None, "Column of a table that has the labels; else that called label, target, class or y, else the last.", text,
        later=True)
    data_dir: str | None = _DATA.flag(
        None, "Folder of the data set's standard files; else Keras downloads and caches them.", path, handling=True)
    drop_columns: str | None = _DATA.flag(
        None, "Columns of a table that are no features, such as id,name.", text, later=True)
    train_size: int | None = _DATA.flag(
        None, "Train on a class-stratified sample of this many examples.",
        between(1, allowed.MOST_COUNT, "give a positive number of examples, or leave it out for all"))
    label_noise: float = _DATA.flag(
        0.0, "Fraction of the training labels to change, each to another class.",
        holds(lambda fraction: 0 <= fraction <= 1, "give a fraction from 0 to 1"))
    test_split: float | None = _DATA.flag(
        None, "Fraction of data without a test part that becomes one, stratified by class, before any other is held "
        "out; else 0.2 of a table, 0 of other files.",
        holds(lambda fraction: 0 <= fraction < 1, "give a fraction from 0 to less than 1, for example 0.2"), later=True)
    validation_split: float = _DATA.flag(
        0.2, "Fraction of the training part that is held out for validation, stratified by class (of the digits a "
        "fixed part); 0 takes the test part instead, which then chooses, so that none is left to test with.",
        holds(lambda fraction: 0 <= fraction < 1, "give a fraction between 0 and 1, or 0 for the test part"))
    standardize: bool = _DATA.flag(
        False, "Train on (x - mean) / std, feature by feature, with mean and standard deviation of the training split "
        "alone; they are kept with the run, and whatever uses its network applies them.", later=True)
    class_weights: ClassWeights | None = _DATA.flag(
        None, "Weights of the classes in the data loss of training: balanced (a class weighs as much as any other, "
        "however few its examples), or benign=1,malignant=2 (others weigh 1); else all examples weigh alike. "
        "Evaluations are never weighted.", later=True)
    data_seed: int | None = _DATA.flag(
        None, "Seed of test and validation part, sample, label noise and order of the data; else --seed.",
        between(0, allowed.MOST_DATA_SEED, "give a whole number of at least 0"))

    model: str = _MODEL.flag(
        "mlp", "; ".join(f"{model.name}: {model.help}" for model in models.registered()) + ".", known_model,
        later=True)
    hidden: tuple[int, ...] = _MODEL.flag(
        (128, 64), "Widths of the hidden layers; empty for softmax regression.",
        holds(lambda widths: all(width >= 1 for width in widths),
              "give positive layer widths such as 128,64, or nothing for softmax regression"),
        holds(lambda widths: len(widths) <= allowed.MOST_LAYERS, f"give at most {allowed.MOST_LAYERS} layers"),
        holds(lambda widths: all(width <= allowed.MOST_COUNT for width in widths),
              f"give widths of at most {allowed.MOST_COUNT:,}"))
    activation: str = _MODEL.flag("relu", f"{', '.join(allowed.ACTIVATIONS)}.", one_of(*allowed.ACTIVATIONS))
    dropout: float = _MODEL.flag(
        0.0, "Part of the outputs of each hidden Dense layer that a training step sets to 0, drawn anew.",
        holds(lambda rate: 0 <= rate < 1, "give a fraction from 0 to less than 1"), later=True)

    # Stands for one flag per penalty: `RunFlags`.
    strengths: ByPenalty[Strength] = _OBJECTIVE.flag(ByPenalty(0.0, {}), "", strength_everywhere)
    penalize: str = _OBJECTIVE.flag(
        "all", "Penalized kernels: all or hidden (all but the last) of the Dense layers, or a regular expression that "
        "matches whole layer names (dense_0, dense_1, ..., logits; of --model=cnn also conv_0, conv_1). "
        "A strength may name its layers instead: dense_0=1e-3;logits=1e-4.", text, pattern_or("all", "hidden"))
    proximal: bool = _OBJECTIVE.flag(
        False, "Have penalties with a kink at 0 act by their proximal operator, at the rates of the optimizer, instead "
        "of by a subgradient: the entries they hold at 0 are then exactly 0.", later=True)
    groups: str = _OBJECTIVE.flag(
        "outgoing", "Of penalties on groups of weights: outgoing (what leaves a unit or an input) or incoming (what "
        "reaches a unit, with its bias).", one_of(*allowed.GROUPS), later=True)

    debias_epochs: int = _OBJECTIVE.flag(
        0, "Of --proximal: the last epochs of the run, in which what is exactly 0 is held there and penalties with a "
        "kink are off, so that they no longer shrink what they left (the relaxed lasso).",
        between(0, allowed.MOST_COUNT, "give a number of epochs, fewer than --epochs"), later=True)

    label_smoothing: float = _OBJECTIVE.flag(
        0.0, "Part of each label that training spreads evenly over all classes: it then minimizes the smoothed data "
        "loss plus the penalties. Evaluations show both losses; what is chosen by stays the plain data loss.",
        holds(lambda part: 0 <= part < 1, "give a fraction from 0 to less than 1, for example 0.1"), later=True)

    optimizer: str = _OPTIMIZATION.flag("adam", f"{', '.join(allowed.OPTIMIZERS)}.", one_of(*allowed.OPTIMIZERS))
    learning_rate: float = _OPTIMIZATION.flag(
        1e-3, "Learning rate.", positive("give a positive number, for example 1e-3"))
    momentum: float = _OPTIMIZATION.flag(0.9, "Of --optimizer=momentum.", strength())
    weight_decay: float | None = _OPTIMIZATION.flag(
        None, "Of --optimizer=adamw: decoupled, on kernels, no part of the objective; else "
        f"{allowed.DEFAULT_WEIGHT_DECAY}.", strength())
    clip_norm: float | None = _OPTIMIZATION.flag(
        None, "Largest global norm of the gradient of the total.",
        positive("give a positive number, or leave it out for no clipping"))
    schedule: str = _OPTIMIZATION.flag(
        "constant", "constant; cosine (down to 0 at the last step); step (multiplied by --decay_factor every "
        "--decay_every epochs); or plateau (multiplied by it after --decay_patience evaluations without a better "
        "validation data loss).", one_of(*allowed.SCHEDULES))
    decay_factor: float | None = _OPTIMIZATION.flag(
        None, "Of --schedule=step and plateau: what the learning rate is multiplied by; else "
        f"{allowed.DEFAULT_DECAY_FACTOR}.",
        holds(lambda factor: 0 < factor < 1, "give a fraction above 0 and below 1, for example 0.5"), later=True)
    decay_every: int | None = _OPTIMIZATION.flag(
        None, f"Of --schedule=step: epochs from one decay to the next; else {allowed.DEFAULT_DECAY_EVERY}.", _COUNT,
        later=True)
    decay_patience: int | None = _OPTIMIZATION.flag(
        None, "Of --schedule=plateau: evaluations in a row without a lower validation data loss before the rate falls; "
        f"else {allowed.DEFAULT_DECAY_PATIENCE}.", _COUNT, later=True)
    warmup_steps: int = _OPTIMIZATION.flag(
        0, "Steps over which the learning rate rises from 0.",
        between(0, allowed.MOST_STEPS, "give a number of steps of at least 0"))
    ema: float | None = _OPTIMIZATION.flag(
        None, "Decay of an exponential average of the weights, which is evaluated, chosen and exported in their place; "
        "else the weights themselves are.",
        holds(lambda decay: 0 < decay < 1, "give a decay above 0 and below 1, for example 0.999, or leave it out"),
        later=True)
    epochs: int = _OPTIMIZATION.flag(10, "Passes over the training data.", _COUNT)
    patience: int | None = _OPTIMIZATION.flag(
        None, "Stop early, after this many evaluations in a row (see --evaluate_every) that did not lower the "
        "validation data loss, which has no penalty in it; however far it got, the run then ends with its best state.",
        between(1, allowed.MOST_COUNT, "give a number of evaluations of at least 1, or leave it out for all epochs"),
        later=True)
    min_delta: float = _OPTIMIZATION.flag(
        0.0, "Of --patience and --schedule=plateau: nats by which the validation data loss has to fall to count as "
        "lower.", strength(), later=True)
    batch_size: int = _OPTIMIZATION.flag(32, "Examples a step, over all replicas.", _COUNT)
    seed: int = _OPTIMIZATION.flag(
        0, "Seed of the initial weights, and of all else unless --data_seed is given.",
        between(0, allowed.MOST_SEED, "give a whole number of at least 0"))
    on_nonfinite: str = _OPTIMIZATION.flag(
        "stop", "Where the data loss or the gradient of a step is not finite: stop; skip (leave that update out); or "
        "restore (go back to the weights of the last checkpoint and leave out all updates since then).",
        one_of(*allowed.ON_NONFINITE))

    jit: bool = _EXECUTION.flag(True, "Compile the training loop with XLA.")
    precision: str = _EXECUTION.flag(
        "float32", "float32, float64 (for checks: everything in it), or bfloat16 (matrix products only).",
        one_of(*allowed.PRECISIONS))
    deterministic: bool = _EXECUTION.flag(
        False, "Have TensorFlow use operations that give the same bits each time, at some cost on GPUs.")
    strategy: str = _EXECUTION.flag(
        "auto", "auto (a cluster if TF_CONFIG or Slurm describes one, else all GPUs), one_device, mirrored, or "
        "multi_worker.", one_of(*allowed.STRATEGIES), handling=True)
    num_devices: int | None = _EXECUTION.flag(
        None, "Devices of this machine to use, for replicas or lanes; else all.",
        between(1, allowed.MOST_DEVICES, "give a number of devices, or leave it out for all"), handling=True)
    cpu_devices: int | None = _EXECUTION.flag(
        None, "Split the CPU into this many logical devices, to try several without GPUs.",
        between(1, allowed.MOST_CPU_DEVICES, "give a number of logical devices, or leave it out for one"),
        handling=True)
    rendezvous_timeout: float = _EXECUTION.flag(
        300.0, "Seconds to wait for the other workers of a cluster.",
        between(1, allowed.MOST_SECONDS, "give a number of seconds of at least 1"), handling=True)
    compile_cache: str | None = _EXECUTION.flag(
        None, "Folder to keep compiled code in, or off; else what REGLAB_COMPILE_CACHE says, or reglab in the user's "
        "cache folder (XDG_CACHE_HOME or ~/.cache).", path, handling=True)

    model_dir: str | None = _FILES.flag(
        None, "Folder of the run; else runs/<time>-<name>.", path,
        holds(lambda folder: folder != "", "name a folder, or leave the flag out"), handling=True)
    name: str | None = _FILES.flag(
        None, "Name of the run: for its folder unless --model_dir names that, the header, result.json and the HParams "
        "page.", text, holds(lambda name: 1 <= len(name.strip()) <= allowed.MOST_NAME,
                                     f"give a name of 1 to {allowed.MOST_NAME} characters, or leave it out"),
        handling=True, later=True)
    resume: str = _FILES.flag(
        "auto", "auto (go on where the folder's run stands), never, must, or restart (move its files aside and begin "
        "at step 0).", one_of(*allowed.RESUME_MODES), handling=True)
    time_limit: Duration | None = _FILES.flag(
        None, "Save and stop with exit code 75 this long after the start, as a signal would; the same command goes on. "
        "Such as 90s, 10m, 1h30m, or seconds.",
        between(1, allowed.MOST_TIME, "give a time of at least a second, for example 10m"), handling=True, later=True)
    checkpoint_every: int | None = _FILES.flag(
        None, "Steps between checkpoints; else once an epoch.",
        between(1, allowed.MOST_STEPS, "give a number of steps, or leave it out for once an epoch"), handling=True)
    keep: int = _FILES.flag(3, "How many checkpoints to keep, besides the best.", _COUNT, handling=True)
    evaluate_every: int = _FILES.flag(
        1, "Epochs between evaluations of both splits.",
        between(1, allowed.MOST_COUNT, "give a number of epochs of at least 1"))
    summary_every: int = _FILES.flag(
        100, "Steps between measured steps in metrics.jsonl and TensorBoard; 0 for none.",
        between(0, allowed.MOST_STEPS, "give a number of steps, or 0 for none"))
    max_points: int | None = _FILES.flag(
        None, "Most points of a tag in metrics.jsonl and TensorBoard: where there would be more, measured steps and "
        "evaluations are written more rarely; else no bound.",
        between(1, allowed.MOST_COUNT, "give a number of points, or leave it out for no bound"))
    profile: str | None = _FILES.flag(
        None, "START:COUNT: trace what the machine does in COUNT steps from step START on, with TensorFlow's profiler, "
        "into profile/ in the run's folder.", first_and_count, handling=True, later=True)
    histograms: bool = _FILES.flag(False, "Write histograms of the kernels at each evaluation.")


@functools.lru_cache(maxsize=8)
def _flags_with(registered: tuple[Penalty, ...]) -> dict[str, Flag]:
    formula = " + ".join(["data loss", *(f"{penalty.name} * {penalty.formula}" for penalty in registered)])
    found: dict[str, Flag] = {}
    for name, flag in flags_of(Fields).items():
        if flag.section == _OBJECTIVE.title:
            flag = flag._replace(section=f"{_OBJECTIVE.title}: {formula}")
        found |= {name: flag} if name != "strengths" else {
            penalty.name: flag._replace(name=penalty.name, annotation="Strength", default=0.0,
                                help=penalty.help) for penalty in registered}
    return found


class RunFlags(Mapping[str, Flag]):
    """Maps every field's name to its flag, in the order of `--help`: the fields declared here and one per penalty."""

    def __getitem__(self, name: str) -> Flag:
        return _flags_with(penalties.registered())[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_flags_with(penalties.registered()))

    def __len__(self) -> int:
        return len(_flags_with(penalties.registered()))


registry.reserve({*flags_of(Fields), "config_file", "dry_run", "flagfile", "help", "json", "version"})
FLAGS: Final = RunFlags()
HANDLING_FIELDS: Final = frozenset(flag.name for flag in FLAGS.values() if flag.handling)
"""Fields that say where a run is kept and what it runs on, not what is trained: they may differ on resume."""
