"""The sections that measure one network in one process, each a function from (config, dataset, task) to JSON values.

The caller runs each in a separate process (`worker`), so that none is affected by what another left in memory.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import tensorflow as tf

from reglab.benchmark.limit import OPTIMIZER, PRODUCTS, Limit, step_flops
from reglab.benchmark.peers.protocol import peak_memory_bytes
from reglab.benchmark.spread import Spread, ratios, spread
from reglab.benchmark.subjects import FIRST_STEPS, make_lanes, make_training, of_lanes, of_training
from reglab.benchmark.task import Task, lane_configs
from reglab.benchmark.timing import interleaved, stretch, timed
from reglab.config import Config
from reglab.core.penalties.by_name import ByPenalty
from reglab.data import Dataset
from reglab.engine import assembly
from reglab.engine.environment import device_name
from reglab.engine.placement import place_run
from reglab.engine.replicas import Replicas
from reglab.engine.training import Training


def speed(config: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    """Measures the pace of training, and what share of the device's limit it reaches; the two take turns."""
    replicas = place_run(config, None)
    began = time.perf_counter()
    training = make_training(config, dataset, replicas)
    stepper = of_training(training)
    compiled = time.perf_counter() - began - timed(stepper, FIRST_STEPS)
    stretch(stepper, task.seconds / 4)
    memory = _memory()  # Before the limit's runs use any.
    limit = _limit(config, dataset, training)
    times = interleaved({"step": stepper, **limit.runs()}, task.seconds, task.repeats)
    examples = len(dataset.train) / training.steps_per_epoch
    rates = [examples / t for t in times["step"]]
    return {**pace(times["step"]), "examples_per_second": spread(rates),
            "examples_per_second_per_device": spread([rate / replicas.count for rate in rates]),
            "compile_seconds": spread([max(compiled, 0.0)]), **memory,
            **_against_limit(limit, replicas.count, times), "final_data_loss": stepper.last_loss,
            "devices": replicas.count, "device": device_name(), "batch_size": config.batch_size,
            "hidden": list(config.hidden)}


def pace(seconds: list[float]) -> dict[str, Spread]:
    """Converts seconds per step into steps per second and µs per step."""
    return {"steps_per_second": spread([1 / t for t in seconds]), "step_time_us": spread([1e6 * t for t in seconds])}


def start(config: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    """Measures the time from the start of this process to the first step of a `fit` run, and the memory of an epoch."""
    began = time.perf_counter()
    training = assembly.make_training(config, dataset, place_run(config, None))
    training.run(0, 0, 1)
    now = time.monotonic()
    first_call = time.perf_counter() - began
    second_call = timed(lambda steps: training.run(0, 1 % training.steps_per_epoch, steps), 1)
    training.run(0, 0, training.steps_per_epoch)
    return {"to_first_step": now - task.started, "import_tensorflow": task.import_seconds,
            "beyond_import": now - task.started - task.import_seconds, "compile": first_call - second_call, **{
                key: value["median"] for key, value in _memory().items()}}


def penalty(config: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    """Measures the step time without any penalty in the program, with each one alone, and with all of them."""
    replicas = place_run(config, None)
    told = config.strengths.told
    configs = {"none": config, **{name: dataclasses.replace(config, strengths=ByPenalty(0.0, {name: strength}))
                                  for name, strength in told.items()}, "_".join(told): config}
    steppers = {name: of_training(make_training(variant, dataset, replicas, penalized=name != "none"))
                for name, variant in configs.items()}
    times = interleaved(steppers, task.seconds, task.repeats)
    return {name: {"ratio": ratios(seconds, times["none"]), **pace(seconds)} for name, seconds in times.items()}


def lanes(config: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    """Measures lanes side by side against a single run; `loss_difference` compares lane 0 with that run."""
    single = of_training(make_training(config, dataset, Replicas()))
    steppers = {str(count): of_lanes(make_lanes(lane_configs(config, count), dataset)) for count in task.counts}
    times = interleaved({"single": single, **steppers}, task.seconds, task.repeats)
    result = {}
    for count, stepper in steppers.items():
        a_lane = [seconds / int(count) for seconds in times[count]]
        result[count] = {"ratio": ratios(a_lane, times["single"]), "lane_time_us": pace(a_lane)["step_time_us"],
                         **pace(times[count]), "loss_difference": stepper.loss_difference(single)}
    return result


class Scaling:
    """One number of devices: with the same global batch (strong), and with the same batch on every device (weak).

    Attributes:
      facts: JSON values to report.
    """

    def __init__(self, config: Config, dataset: Dataset, task: Task) -> None:
        gpus = bool(tf.config.list_physical_devices("GPU"))
        config = dataclasses.replace(config, num_devices=task.devices, cpu_devices=None if gpus else task.devices)
        weak = dataclasses.replace(config, batch_size=config.batch_size * task.devices)
        replicas = place_run(config, None)
        self._steppers = {"strong": of_training(make_training(config, dataset, replicas))}
        self._steppers["weak"] = self._steppers["strong"] if task.devices == 1 else of_training(
            make_training(weak, dataset, replicas))
        self._steps = {name: stretch(stepper, task.seconds) for name, stepper in self._steppers.items()}
        self.facts = {"kind": "GPU" if gpus else "logical CPU", "strategy": replicas.name,
                      "first_losses": np.asarray(self._steppers["strong"].first_losses, float).tolist()}

    def run(self) -> dict[str, float]:
        """Runs one stretch of each kind; returns the seconds per step."""
        return {name: timed(stepper, self._steps[name]) / self._steps[name]
                for name, stepper in self._steppers.items()}


def _limit(config: Config, dataset: Dataset, training: Training) -> Limit:
    dtype, program = assembly.parameter_dtype(config), training.program
    return Limit((dataset.train.x.shape[1], *config.hidden, dataset.classes),
                 -(-config.batch_size // program.replicas.count), program.step.optimizer, dtype,
                 tf.bfloat16 if config.precision == "bfloat16" else dtype)


def _against_limit(limit: Limit, devices: int, times: dict[str, list[float]]) -> dict[str, Any]:
    flops = step_flops(limit.widths, limit.batch_size)
    by = min(PRODUCTS, key=lambda name: spread(times[name])["median"])
    products, optimizer = times[by], times[OPTIMIZER]
    whole = [p + o for p, o in zip(products, optimizer, strict=True)]
    return {"flops_per_step": flops * devices,
            "flops_per_second_per_device": spread([flops / t for t in times["step"]]),
            "limit": {"time_us": pace(whole)["step_time_us"], "products_us": pace(products)["step_time_us"],
                      "optimizer_us": pace(optimizer)["step_time_us"], "products_by": by.split()[-1],
                      "flops_per_second": spread([flops / t for t in products])},
            "limit_share": ratios(whole, times["step"])}


def _memory() -> dict[str, Spread]:
    """Peak memory so far: of the host and, if there is a GPU, of the first GPU."""
    result = {"peak_memory_bytes": spread([peak_memory_bytes()])}
    if tf.config.list_physical_devices("GPU"):
        result["peak_device_memory_bytes"] = spread([tf.config.experimental.get_memory_info("GPU:0")["peak"]])
    return result
