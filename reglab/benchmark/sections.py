"""What is measured of one network in one process, each a function of (config, dataset, task) to JSON values.

The caller gives each a process of its own (`worker`), so that none meets what another left in memory.
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
from reglab.benchmark.subjects import FIRST_STEPS, Stepper, make_lanes, make_program
from reglab.benchmark.task import Task, lane_configs
from reglab.benchmark.timing import interleaved, stretch, timed
from reglab.config import Config
from reglab.core.penalties.by_name import ByPenalty
from reglab.data import Dataset, epoch_order
from reglab.engine.assembly import make_program as make_training_program
from reglab.engine.assembly import parameter_dtype
from reglab.engine.environment import device_name
from reglab.engine.program import Program
from reglab.engine.replicas import Replicas
from reglab.engine.strategies import make_replicas


def speed(config: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    """The pace of training, and how much of what the device can do it is; both in turn."""
    replicas = make_replicas(config, None)
    began = time.perf_counter()
    program = make_program(config, dataset, replicas)
    stepper = Stepper(program, dataset)
    compiled = time.perf_counter() - began - timed(stepper, FIRST_STEPS)
    stretch(stepper, task.seconds / 4)
    memory = _memory()  # Before the limit takes any.
    limit = _limit(config, dataset, program, replicas)
    times = interleaved({"step": stepper, **limit.runs()}, task.seconds, task.repeats)
    examples = len(dataset.train) / stepper.program.steps_per_epoch
    rates = [examples / t for t in times["step"]]
    return {**pace(times["step"]), "examples_per_second": spread(rates),
            "examples_per_second_per_device": spread([rate / replicas.count for rate in rates]),
            "compile_seconds": spread([max(compiled, 0.0)]), **memory,
            **_against_limit(limit, replicas.count, times), "final_data_loss": stepper.last_loss,
            "devices": replicas.count, "device": device_name(), "batch_size": config.batch_size,
            "hidden": list(config.hidden)}


def pace(seconds: list[float]) -> dict[str, Spread]:
    """Steps a second and µs a step, of seconds a step."""
    return {"steps_per_second": spread([1 / t for t in seconds]), "step_time_us": spread([1e6 * t for t in seconds])}


def start(config: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    """From the start of this process to the first step of a run as `fit` makes it; memory of its first epoch."""
    began = time.perf_counter()
    program = make_training_program(config, dataset, make_replicas(config, None))
    order = epoch_order(config.resolved_data_seed, 0, len(dataset.train))
    program.run(order, 0, 1)
    now = time.monotonic()
    first_call = time.perf_counter() - began
    second_call = timed(lambda steps: program.run(order, 1 % program.steps_per_epoch, steps), 1)
    program.run(order, 0, program.steps_per_epoch)
    return {"to_first_step": now - task.started, "import_tensorflow": task.import_seconds,
            "beyond_import": now - task.started - task.import_seconds, "compile": first_call - second_call, **{
                key: value["median"] for key, value in _memory().items()}}


def penalty(config: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    """Step time without any penalty in the program, with each alone, and with all of them."""
    replicas = make_replicas(config, None)
    told = config.strengths.told
    configs = {"none": config, **{name: dataclasses.replace(config, strengths=ByPenalty(0.0, {name: strength}))
                                  for name, strength in told.items()}, "_".join(told): config}
    steppers = {name: Stepper(make_program(variant, dataset, replicas, penalized=name != "none"), dataset)
                for name, variant in configs.items()}
    times = interleaved(steppers, task.seconds, task.repeats)
    return {name: {"ratio": ratios(seconds, times["none"]), **pace(seconds)} for name, seconds in times.items()}


def lanes(config: Config, dataset: Dataset, task: Task) -> dict[str, Any]:
    """Many configurations side by side, against one alone; `loss_difference` is between it and lane 0."""
    single = Stepper(make_program(config, dataset, Replicas()), dataset)
    steppers = {str(count): Stepper(make_lanes(lane_configs(config, count), dataset), dataset) for count in task.counts}
    times = interleaved({"single": single, **steppers}, task.seconds, task.repeats)
    result = {}
    for count, stepper in steppers.items():
        a_lane = [seconds / int(count) for seconds in times[count]]
        result[count] = {"ratio": ratios(a_lane, times["single"]), "lane_time_us": pace(a_lane)["step_time_us"],
                         **pace(times[count]), "loss_difference": stepper.loss_difference(single)}
    return result


class Scaling:
    """One number of devices: the same global batch (strong), and the same batch on every device (weak).

    Attributes:
      facts: JSON values to report.
    """

    def __init__(self, config: Config, dataset: Dataset, task: Task) -> None:
        gpus = bool(tf.config.list_physical_devices("GPU"))
        config = dataclasses.replace(config, num_devices=task.devices, cpu_devices=None if gpus else task.devices)
        weak = dataclasses.replace(config, batch_size=config.batch_size * task.devices)
        replicas = make_replicas(config, None)
        self._steppers = {"strong": Stepper(make_program(config, dataset, replicas), dataset)}
        self._steppers["weak"] = self._steppers["strong"] if task.devices == 1 else Stepper(
            make_program(weak, dataset, replicas), dataset)
        self._steps = {name: stretch(stepper, task.seconds) for name, stepper in self._steppers.items()}
        self.facts = {"kind": "GPU" if gpus else "logical CPU", "strategy": replicas.name,
                      "first_losses": np.asarray(self._steppers["strong"].first_losses, float).tolist()}

    def run(self) -> dict[str, float]:
        """Seconds a step of either, in one stretch."""
        return {name: timed(stepper, self._steps[name]) / self._steps[name]
                for name, stepper in self._steppers.items()}


def _limit(config: Config, dataset: Dataset, program: Program, replicas: Replicas) -> Limit:
    dtype = parameter_dtype(config)
    return Limit((dataset.train.x.shape[1], *config.hidden, dataset.classes), -(-config.batch_size // replicas.count),
                 program.step.optimizer, dtype, tf.bfloat16 if config.precision == "bfloat16" else dtype)


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
    """Peak memory so far: the host's, and where there is a GPU, the first one's."""
    result = {"peak_memory_bytes": spread([peak_memory_bytes()])}
    if tf.config.list_physical_devices("GPU"):
        result["peak_device_memory_bytes"] = spread([tf.config.experimental.get_memory_info("GPU:0")["peak"]])
    return result
