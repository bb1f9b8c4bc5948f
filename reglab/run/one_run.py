"""One call of `fit`: trains the epochs that are left, evaluates, logs and saves, and ends with a result."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import tensorflow as tf

from reglab.config import Config
from reglab.console import Console, EpochRow
from reglab.engine.assembly import total_steps
from reglab.engine.pace import Pace
from reglab.engine.training import Training
from reglab.run.agreement import Agreement
from reglab.run.early_stopping import EarlyStopping
from reglab.run.evaluation import Evaluation, evaluate
from reglab.run.journal import Journal
from reglab.run.logs.rhythm import Rhythm, is_evaluated, written_epochs
from reglab.run.nonfinite import Guard
from reglab.run.outcome import History, Interrupted
from reglab.run.patience import trained_steps
from reglab.run.plateau import Plateau
from reglab.run.profiling import Profiling
from reglab.run.report import describe_run, make_result
from reglab.signals.stop import StopRequest


class OneRun:
    """One call of `fit`.

    Attributes:
      guard: decides what to do about steps that are not finite.
      profiling: traces some of the steps.
    """

    _journal: Journal
    _stop: StopRequest

    def __init__(self, config: Config, training: Training, console: Console, until: int | None) -> None:
        self._config, self._training = config, training
        self._console, self._until = console, until
        self._is_chief = training.program.replicas.is_chief
        self._workers = Agreement(training.program.replicas)
        self.guard = Guard(config, training, self._go_back, console.warning)
        self._stopping = EarlyStopping(config, training)
        self._plateau = Plateau(config, training, console.message)
        self.profiling = Profiling(config, config.model_dir if self._is_chief else None)
        self._pace = Pace()
        self._evaluations: list[Evaluation] = []
        self._is_kept = written_epochs(config)
        self._total_steps = total_steps(config, training.program.layout)

    @property
    def state(self) -> dict[str, Any]:
        """The variables that checkpoints must hold."""
        return {**self.guard.state, **self._stopping.state, **self._plateau.state}

    def is_due(self, step: int) -> bool:
        """Returns whether a checkpoint is scheduled at a step, that is, made there however the run is interrupted.

        A run that may return to its best state and, after that, to a checkpoint before it, keeps one at each epoch.
        """
        every, epoch = self._config.checkpoint_every, self._training.steps_per_epoch
        keeps_epochs = every is None or (self._config.patience is not None and self._config.on_nonfinite == "restore")
        return (every is not None and step % every == 0) or (keeps_epochs and step % epoch == 0)

    @property
    def rhythm(self) -> Rhythm:
        """The steps at which the run writes points."""
        return Rhythm.of(self._config, self._training.steps_per_epoch)

    def fit(self, journal: Journal, stop: StopRequest) -> History:
        """Trains all epochs from the restored step on, then writes the result."""
        self._journal, self._stop = journal, stop
        config, console = self._config, self._console
        self._workers.on_start(journal)
        self._workers.on_values(tf.nest.flatten(self.state))
        self._plateau.use_rate()
        if journal.finished_result is None:
            self._training.prepare()
        facts = describe_run(config, self._training.program, self._training.source.about)
        console.header(facts)
        journal.write_header(facts)
        begun = time.perf_counter()
        if journal.finished_result is not None:
            console.message(f"This run is already complete: {trained_steps(journal.finished_result):,} steps.")
            console.summary(journal.finished_result)
            return self._history(journal.finished_result)
        if journal.restored_step:
            console.message(f"Resumed after step {journal.restored_step} of {self._total_steps}.")
        elif journal.begins_again:
            console.message("Nothing was saved yet: begins at step 0.")
        for line in self.profiling.problems(journal.restored_step, self._total_steps):
            console.warning(line)
        console.start(journal.restored_step, self._total_steps, config.epochs)
        for epoch in range(journal.restored_step // self._training.steps_per_epoch, config.epochs):
            if self._stopping.is_over:
                break
            self._train_epoch(epoch)
        ended = self._stopping.restore_best(journal, self.state, self._workers.on_values)
        if ended or not self._evaluations:  # None: killed after the last checkpoint, before the result was written.
            self._evaluations.append(self._evaluate())
        if ended:
            journal.save()
        console.finish()
        result = make_result(config, self._training, self._evaluations[-1], best=journal.confirm_best(),
                             seconds=time.perf_counter() - begun, steps_per_second=self._pace.steps_per_second,
                             resumed_from=journal.restored_step, nonfinite=self.guard.counts,
                             ended={**ended, **self._plateau.result})
        self._write_first_layer()
        journal.write_result(result)
        console.summary(result)
        return self._history(result)

    def _write_first_layer(self) -> None:
        training = self._training
        for kernel in [*training.program.step.model.kernels(training.weights().parameters).values()][:1]:
            self._journal.write_first_layer(training.steps_taken, kernel, training.source.about.input_shape)

    def _train_epoch(self, epoch: int) -> None:
        """Takes the remaining steps of one epoch, in calls; then evaluates and saves a checkpoint if they are due."""
        training, config = self._training, self._config
        first = training.steps_taken - epoch * training.steps_per_epoch
        began = time.perf_counter()
        while first < training.steps_per_epoch:
            count = self._agree(self._next_count(first, epoch * training.steps_per_epoch))
            self.guard.before_call()
            self.profiling.begin(training.steps_taken)
            with self._pace.measure(count):
                calls = training.run(epoch, first, count)
            for line in self.profiling.end(training.steps_taken):
                self._console.message(line)
            self._stop.limit_time(config.time_limit)  # Only now, so that each start gets at least this far.
            if config.on_nonfinite != "restore":  # With restore, `after_call` may drop some of them.
                self._journal.write_reports(calls)
            calls = self.guard.after_call(calls)
            if config.on_nonfinite == "restore":
                self._journal.write_reports(calls)
            first += len(calls.data_losses)
            self._show_progress(epoch, calls.data_losses)
            if first < training.steps_per_epoch and self._checkpoint_due():
                self._save()
        last = epoch + 1 == config.epochs
        if is_evaluated(config, epoch + 1):
            self._finish_epoch(epoch, time.perf_counter() - began)
        if last or self._checkpoint_due():
            self._save()

    def _finish_epoch(self, epoch: int, seconds: float) -> None:
        evaluation = evaluate(self._training, epoch + 1)
        # If the weights are finite, skip and restore go on: a single example can make the loss of its split not finite.
        if not math.isfinite(self._sum_of_losses(evaluation)) and (
                self._config.on_nonfinite == "stop" or not self._has_finite_weights()):
            self.guard.not_finite(evaluation.step, resume_at=evaluation.step)
            evaluation = evaluate(self._training, epoch + 1)
        for counting in (self._stopping, self._plateau):  # Before any state is saved, as their counts are part of it.
            counting.note(evaluation.validation["data_loss"])
        if self._evaluations and not self._is_kept(self._evaluations[-1].epoch):
            self._evaluations.pop()
        self._evaluations.append(evaluation)
        rate = self._pace.recent
        pace = {} if rate is None else {
            "perf/steps_per_second": rate, "perf/examples_per_second": rate * self._config.batch_size}
        left_out = {} if self._config.on_nonfinite == "stop" else {
            "updates/left_out": float(self.guard.counts["left_out"])}
        if self._journal.write_evaluation(evaluation, {**left_out, **pace}):
            self._stopping.note_best(self.state)
        if self._config.histograms:
            kernels = self._training.program.step.model.kernels(self._training.weights().parameters)
            self._journal.write_histograms(evaluation.step, kernels)
        self._console.epoch(EpochRow(epoch + 1, self._config.epochs, evaluation.step, evaluation.train,
                                     evaluation.validation, seconds, rate))

    def _evaluate(self) -> Evaluation:
        return evaluate(self._training, self._training.steps_taken // self._training.steps_per_epoch)

    def _sum_of_losses(self, evaluation: Evaluation) -> float:
        """The data losses of both splits; without validation examples, that of training."""
        has_validation = self._training.program.layout.validation > 0
        return evaluation.train["data_loss"] + (evaluation.validation["data_loss"] if has_validation else 0.0)

    def _next_count(self, first: int, epoch_start: int) -> int:
        """Returns the number of steps of the next call: to the end of the epoch, the next checkpoint or `until`, or as
        many as the time allows."""
        ends = [self._training.steps_per_epoch - first, self._training.program.layout.most_batches,
                self._pace.affordable_steps]
        every = self._config.checkpoint_every
        if every is not None:
            ends.append(every - (epoch_start + first) % every)
        ends += self.profiling.steps_to_edge(epoch_start + first)
        if self._until is not None and self._until > epoch_start + first:
            ends.append(self._until - epoch_start - first)
        return min(ends)

    def _agree(self, count: int) -> int:
        """Returns the number of steps of the next call, the same in every worker; if any worker got a stop signal, all
        stop here."""
        agreed = self._workers.on_steps(count, bool(self._stop) or self._training.steps_taken == self._until)
        if not agreed:
            self._save_and_stop()
        return agreed

    def _checkpoint_due(self) -> bool:
        return self.is_due(self._training.steps_taken)

    def _show_progress(self, epoch: int, data_losses: np.ndarray) -> None:
        finite = data_losses[np.isfinite(data_losses)]
        mean = float(finite.mean()) if len(finite) else math.nan
        self._console.progress(self._training.steps_taken, epoch + 1,
                               {self._training.program.step.trained_loss: mean})

    def _save_and_stop(self) -> None:
        """Ends the run once the state is on disk; the other workers learn that from the chief."""
        saved = self._workers.on_saved(self._journal, self._save())
        at_request = self._stop.signal is None and self._training.steps_taken == self._until
        raise Interrupted("request" if at_request else self._stop.name, self._training.steps_taken, saved)

    def _save(self) -> bool:
        """Saves a checkpoint, but never weights that the last update made infinite, which no loss shows yet."""
        step = self._training.steps_taken
        if not self._has_finite_weights():
            self.guard.not_finite(step, resume_at=step)
        if self.is_due(step):
            self.guard.checkpoint_made()
        return self._journal.save()

    def _has_finite_weights(self) -> bool:
        return all(np.isfinite(array).all() for arrays in self._training.parameters().values()
                   for array in arrays.values())

    def _go_back(self) -> int:
        """Restores, in every worker, the last scheduled checkpoint that is whole; returns its step."""
        training = self._training
        at = self._workers.on_going_back(self._journal)
        if at:
            self._workers.on_values(tf.nest.flatten({**training.state, **self._plateau.state}))
        else:
            training.restart(training.program.step.model.initialize(self._config.seed), training.hyper)
        self._plateau.use_rate(from_the_beginning=not at)
        return at

    def _history(self, result: dict[str, Any]) -> History:
        parameters, buffers = self._training.weights()
        return History(self._config, self._evaluations, result, parameters, self._is_chief, buffers,
                       self._training.source.about.facts)
