"""`compare`: trains the arms of a comparison as lanes and puts their results side by side."""

from __future__ import annotations

import dataclasses
import time
from typing import Any, Final

from reglab.compare.arms import Arm, arms_of, check_seeds, measure
from reglab.compare.findings import findings_of
from reglab.compare.results import tabulate
from reglab.config import Config, wording
from reglab.config.selection import make_model
from reglab.config.strengths import in_words
from reglab.console import Console, console_for
from reglab.core.penalties.by_name import as_dict
from reglab.core.terms import SPARSITY_THRESHOLD
from reglab.data import Dataset
from reglab.engine import environment
from reglab.engine.assembly import arrays_of, total_steps
from reglab.engine.placement import LanePlacement
from reglab.engine.startup import start_devices
from reglab.inputs.texts import one_line
from reglab.lab.courses import curves_of
from reglab.lab.lane_sets import interleaved
from reglab.lab.lanes import Lane, LaneCurves, LaneTrainer, Waiting
from reglab.lab.refused import BY_COMPARE, check_refused
from reglab.lab.savings import savings
from reglab.lab.seeds import check_vary, counted, order_seed
from reglab.run.loop import Interrupted
from reglab.run.patience import ENDING, rule
from reglab.signals.stop import StopRequest, stop_request

SEEDS: Final = 5


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """The outcome of a comparison.

    Attributes:
      shared: what all lanes have in common.
      arms: the arms, the unpenalized one first.
      lanes: the lanes, arm by arm, in the order of the lane axis of `curves`.
      curves: the lanes' curves.
      steps_per_epoch: the number of updates in an epoch.
      result: the contents of `compare.json`.
      about: what was compared, for people; maps labels to texts.
    """

    shared: Config
    arms: tuple[Arm, ...]
    lanes: list[Lane]
    curves: LaneCurves
    steps_per_epoch: int
    result: dict[str, Any]
    about: dict[str, str]

    def __repr__(self) -> str:
        titles = ", ".join(arm["title"] for arm in self.result["arms"])
        return f"<Comparison of {titles}. {one_line(self.result['findings']['sentences'][0], 300)}>"

    @property
    def diverged(self) -> bool:
        """Whether any lane diverged."""
        return any(arm["diverged"] for arm in self.result["arms"])


def compare(config: Config, seeds: int = SEEDS, data: Dataset | None = None, *, vary: str = "weights",
            progress: bool = False, console: Console | None = None) -> Comparison:
    """Trains with no penalty, each alone and all together, from `seeds` seeds each, in one program on the same batches.

    Data, their order and the initial weights of a seed are the same in all arms, so differences are paired.

    Args:
      config: the configuration, with the penalties of the last arm; its seed is the first seed and
        that of the data.
      seeds: the number of seeds.
      data: the data to use instead of `config.dataset`.
      vary: "weights", or "order" to give each seed its own order of the data as well; the seeds then train one after
        another.
      progress: whether to show the progress on standard output, in a notebook as one text that changes in place.
      console: shows the progress instead.

    Raises:
      ConfigError: something in the configuration cannot be used, or there is no penalty.
      Interrupted: SIGINT or SIGTERM arrived.
    """
    check_refused(config, BY_COMPARE)
    check_seeds(seeds, config.seed)
    check_vary(vary, config, seeds)
    console = console_for(console, progress)
    arms = arms_of(config)
    start_devices(config.compile_cache, console.warning)
    dataset = arrays_of(config, data)
    trainer = _Trainer(config, arms, seeds, vary, dataset, console)
    steps_per_epoch = total_steps(config, dataset) // config.epochs
    about = describe(config, dataset, arms, seeds, vary, trainer.placement)
    console.header(about)
    began = time.perf_counter()
    curves = trainer.train()
    lanes = trainer.lanes
    result = {"config": config.to_dict(), "dataset": dataset.description, "sizes": dict(dataset.sizes),
              "validated_on_test": dataset.validated_on_test, **dataset.caution, "vary": vary,
              "seconds": time.perf_counter() - began,
              "steps_per_epoch": steps_per_epoch, "sparsity_threshold": SPARSITY_THRESHOLD,
              "device": environment.device_name(), "versions": environment.versions(),
              "nonfinite": [{**as_dict(lanes[blowup.lane]), "step": blowup.step,
                             "left_out": blowup.left_out} for blowup in curves.blowups],
              **tabulate([arm.described(config) for arm in arms], [lane.seed for lane in lanes[:seeds]], curves.epochs,
                         measure(curves), curves.ends), **trainer.early_stopping(curves, steps_per_epoch)}
    return Comparison(config, arms, lanes, curves, steps_per_epoch, {**result, "findings": findings_of(result)},
                      about)


class _Trainer:
    """Trains the lanes of a comparison: all together, or seed by seed if seeds differ in the order of the data.

    Attributes:
      lanes: the lanes, arm by arm, each over its seeds.
      placement: where the lanes run.
    """

    def __init__(self, config: Config, arms: tuple[Arm, ...], seeds: int, vary: str, dataset: Dataset,
                 console: Console) -> None:
        self.lanes = lanes_of(arms, config, seeds)
        self._config, self._vary, self._console, self._arms = config, vary, console, len(arms)
        self._sets = [self.lanes] if vary == "weights" else [self.lanes[i::seeds] for i in range(seeds)]
        self._steps = total_steps(config, dataset)
        self._trainer = LaneTrainer(config, dataset, len(self._sets[0]), [config.penalize],
                                    {name: (0.0, strength) for name, strength in config.strengths.items()})
        self.placement = self._trainer.placement

    def train(self) -> LaneCurves:
        """Trains all lanes; returns their curves."""
        with stop_request() as stop:
            try:
                if self._config.patience is not None:
                    return self._train_waiting(stop)
                self._console.start(0, self._steps * len(self._sets), self._config.epochs)
                curves = [self._train_set(at, stop) for at in range(len(self._sets))]
            finally:
                self._console.finish()
        return curves[0] if self._vary == "weights" else interleaved(curves)

    def early_stopping(self, curves: LaneCurves, steps_per_epoch: int) -> dict[str, Any]:
        """Returns what early stopping did, for the result; empty without it."""
        if curves.trained is None:
            return {}
        return {ENDING: {**savings(self._config, curves.trained, steps_per_epoch),
                         "place_steps": self._trainer.place_steps,
                         "trained_epochs": curves.trained.reshape(-1, len(self.lanes) // self._arms).tolist()}}

    def _train_waiting(self, stop: StopRequest) -> LaneCurves:
        """Trains with early stopping: where seeds differ in the order of the data, the next one takes free places."""
        def on_step(step: int) -> None:
            if stop.signal is not None:
                raise Interrupted(stop.signal.name, step // len(self.lanes), saved=False)
            self._console.progress(step, 1 + (step - 1) // len(self.lanes) * self._config.epochs // self._steps, {})

        self._console.start(0, self._steps * len(self.lanes), self._config.epochs)
        places = [self.lanes.index(lane) for lanes in self._sets for lane in lanes]
        waiting = [Waiting(lane, order_seed(self._vary, self._config, lane.seed)) for lanes in self._sets
                   for lane in lanes]
        ended = {places[at]: course for at, course in self._trainer.train_waiting(
            waiting, on_step=on_step, warn=self._console.warning)}
        return curves_of([ended[at] for at in range(len(self.lanes))], self._trainer.kernel_entries)

    def _train_set(self, at: int, stop: StopRequest) -> LaneCurves:
        def on_step(step: int) -> None:
            done = at * self._steps + step
            if stop.signal is not None:
                raise Interrupted(stop.signal.name, done, saved=False)
            self._console.progress(done, 1 + (step - 1) * self._config.epochs // self._steps, {})

        lanes = self._sets[at]
        return self._trainer.train(lanes, on_step=on_step, warn=self._console.warning,
                                   order_seed=order_seed(self._vary, self._config, lanes[0].seed))


def lanes_of(arms: tuple[Arm, ...], config: Config, seeds: int) -> list[Lane]:
    """Returns the lanes, arm by arm, each over the seeds from `config.seed` on."""
    return [Lane(arm.strengths, config.learning_rate, config.seed + i, config.penalize)
            for arm in arms for i in range(seeds)]


def describe(config: Config, dataset: Dataset, arms: tuple[Arm, ...], seeds: int, vary: str,
             placement: LanePlacement) -> dict[str, str]:
    """Describes for people what will be compared; maps labels to texts."""
    noise = f", {100 * config.label_noise:g} % of the training labels changed" if config.label_noise else ""
    return {
        **wording.name(config),
        "Data": dataset.description + noise,
        **{name.title(): text for name, text in dataset.caution.items()},
        "Model": make_model(config, dataset.input_shape, dataset.classes).describe(),
        "Arms": ", ".join(arm.title for arm in arms) + "; " + ", ".join(
            f"{name} = {in_words(strength)}" for name, strength in config.strengths.told.items()),
        "Lanes": f"{len(arms)} arms x {counted(seeds, 'seed')} from {config.seed} on, side by side on the same batches"
                 + ("" if vary == "weights" else ", each seed on its own"),
        "Training": f"{config.optimizer}, learning rate {config.learning_rate:g}, {wording.schedule(config)}, batches "
                    f"of {config.batch_size}, {config.epochs} epochs",
        **wording.proximal(config),
        **wording.loss_and_average(config),
        **rule(config),
        "Device": f"{environment.device_name()}, {config.precision}{placement.describe()}",
        "Writing to": config.model_dir or "nothing (no model_dir)",
    }
