"""`reproduce`: trains the parts of a reproduction that are not finished, judges all, and writes what was found."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from reglab.console import Console
from reglab.console.format import duration
from reglab.engine import environment
from reglab.engine.startup import start_devices
from reglab.lab.intervals import CONFIDENCE
from reglab.reproduce.base import Interval, Job, Outcome, Reproduction, check_seeds
from reglab.reproduce.outputs import csv_text, draw
from reglab.signals.stop import StopRequest, stop_request
from reglab.storage.files import writing
from reglab.storage.json_values import for_json
from reglab.storage.ownership import owning
from reglab.sweep.files import SweepFolder
from reglab.sweep.progress import Stopped

KIND: Final = "reproduction"

def reproduce(reproduction: Reproduction, model_dir: str, *, seeds: int | None = None, resume: str = "auto",
              console: Console | None = None) -> dict[str, Any]:
    """Trains what was published anew, in parts, and returns the contents of `reproduction.json`.

    Parts that the folder already holds are not trained again: if killed at any time, the same call goes on.

    Args:
      seeds: how many seeds, from 0 on, each figure is a mean over; by default as many as the reproduction takes.
      resume: as `Config.resume`.
      console: shows the progress; by default nothing is shown.

    Raises:
      ConfigError: something cannot be used, or the folder holds something else.
      Stopped: a stop signal arrived; finished parts are kept.
      StorageError: the file system refused.
    """
    seeds = reproduction.seeds if seeds is None else seeds
    check_seeds(seeds)
    console = console or Console()
    with owning(model_dir), writing(model_dir, tensorflow=False):
        folder = SweepFolder(model_dir, resume, KIND)
        start_devices(None, console.warning)
        data = reproduction.data()
        folder.open({"name": reproduction.name, "settings": reproduction.settings, "seeds": seeds}, data.digest,
                    has_test=True)
        console.header({"Reproduction": reproduction.title, "Published": reproduction.source,
                        "Data": data.description, "Seeds": f"{seeds} from 0 on", "Device": environment.device_name(),
                        "Writing to": str(folder.path)})
        began = time.perf_counter()
        with stop_request() as stop:
            parts = _Parts(reproduction, data, seeds, folder, console, stop).train()
        outcome = reproduction.outcome(parts)
        result = result_of(reproduction, outcome, seeds)
        result["seconds"] = time.perf_counter() - began
        folder.write_text(f"{KIND}.csv", csv_text(reproduction, outcome))
        with writing(folder.path):
            draw(reproduction, outcome, result["verdict"], folder.path)
        folder.write_json(f"{KIND}.json", result)
        folder.check_results()
    return result


def result_of(reproduction: Reproduction, outcome: Outcome, seeds: int) -> dict[str, Any]:
    """Returns the contents of `reproduction.json` but for the time it took."""
    rows = [{name: cell._asdict() if isinstance(cell, Interval) else cell for name, cell in row.items()}
            for row in outcome.rows]
    missed = sum(not criterion.passed for criterion in outcome.criteria)
    text = ("The result holds here: no criterion is missed." if not missed else
            f"The result does not hold here: {missed} of {len(outcome.criteria)} criteria "
            f"{'is' if missed == 1 else 'are'} missed.") + (
                " It is on one seed, without intervals." if seeds == 1 else "")
    verdict = {"passed": outcome.passed, "text": text, "sentence": outcome.sentence,
               "criteria": [criterion._asdict() for criterion in outcome.criteria]}
    made: dict[str, Any] = for_json({
        "name": reproduction.name, "title": reproduction.title, "source": reproduction.source,
        "differently": reproduction.differently, "metric": reproduction.metric, "settings": reproduction.settings,
        "seeds": seeds, "confidence": CONFIDENCE, "rows": rows, "verdict": verdict,
        "device": environment.device_name(), "versions": environment.versions()})
    return made


class _Parts:
    """Trains the parts of a reproduction that its folder does not hold."""

    def __init__(self, reproduction: Reproduction, data: Any, seeds: int, folder: SweepFolder, console: Console,
                 stop: StopRequest) -> None:
        self._reproduction, self._data, self._seeds = reproduction, data, seeds
        self._folder, self._console, self._stop = folder, console, stop
        self._done = 0  # Parts.
        self._steps: int | None = None  # Of a part, all its sets of lanes together; known once one is under way.

    def train(self) -> dict[str, Mapping[str, Any]]:
        """Returns what is kept of every part, as read back from its file."""
        names, kept = self._reproduction.parts, dict[str, Mapping[str, Any]]()
        try:
            for number, name in enumerate(names):
                identity = {"plan": self._folder.digest, "number": number, "name": name}
                file, began = f"chunks/part-{name}.json", time.perf_counter()
                found = self._folder.read_part(file, identity, self._console.warning)
                if found is None:
                    job = Job(range(self._seeds), self._console, self._on_step)
                    found = self._folder.write_part(file, self._reproduction.train(name, self._data, job), identity)
                    took = duration(time.perf_counter() - began)
                    self._console.message(f"{number + 1} of {len(names)} parts done: {name} took {took}")
                kept[name] = found
                self._done += 1
        finally:
            self._console.finish()
        return kept

    def _on_step(self, step: int, total: int) -> None:
        parts = len(self._reproduction.parts)
        if self._stop and step < total:
            raise Stopped(self._stop.name, self._done, parts, "parts")
        if self._steps is None:
            self._steps = total
            self._console.start(total * self._done, total * parts)
        self._console.progress(total * self._done + step, 1, {})
