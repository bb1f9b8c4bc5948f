"""Timing of whole processes: what a user waits for. No TensorFlow here.

The job is that of `python -m reglab.train`, including its data, epochs, evaluations and files, in a folder that is
removed afterwards. It takes turns with a plain `import tensorflow` and with other libraries' scripts for the same job.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from reglab.benchmark.peer_process import ENVIRONMENT
from reglab.benchmark.spread import ratios, spread
from reglab.benchmark.workers import WorkerError
from reglab.config import HANDLING_FIELDS, Config
from reglab.data import Dataset
from reglab.signals.listener import heard_by_children

SCRIPTS: Final = {"keras": "keras_fit.py", "torch": "torch_loop.py"}
"""Maps each library to the script in `scripts/` that does the job with it."""

ACCURACY_TOLERANCE: Final = 0.05
"""The largest difference allowed between final validation accuracies; each library has its own order and weights."""


def whole(config: Config, dataset: Dataset, repeats: int, peers: Sequence[str] = tuple(SCRIPTS)) -> dict[str, Any]:
    """Times whole processes, which take turns, and their ratios round by round.

    Returns:
      JSON values. "import" is a plain `import tensorflow`. "kept" and "empty" are the job with compiled code kept by an
      earlier run, and with none; their "ratio" is over "import". "alone" and "two_workers" are the times from the start
      to the first evaluation of a one-step job, the latter with `reglab.launch`; its "ratio" is over "alone". For each
      peer, the time of its job; its "ratio" is that of "kept" over it, and "agrees" says whether it reaches the same
      accuracy. "missing" lists peers whose library is not installed.

    Raises:
      WorkerError: a process failed.
    """
    missing = [name for name in peers if importlib.util.find_spec(name) is None]
    raced = [name for name in peers if name not in missing]
    with tempfile.TemporaryDirectory(prefix="reglab-benchmark-") as folder:
        jobs = _Jobs(config, dataset, pathlib.Path(folder))
        runs: dict[str, Callable[[], float]] = {
            "import": lambda: jobs.seconds([sys.executable, "-c", "import tensorflow"]),
            "kept": lambda: jobs.train("kept"), "empty": lambda: jobs.train(None),
            **{name: (lambda name=name: jobs.script(name)) for name in raced},  # type: ignore[misc]
            "alone": jobs.first_step_alone, "two_workers": jobs.first_step_of_two}
        for run in runs.values():  # Warms up: files into memory, code into the cache.
            run()
        times: dict[str, list[float]] = {name: [] for name in runs}
        for k in range(repeats):
            for name in reversed(list(runs)) if k % 2 else list(runs):
                times[name].append(runs[name]())
    over = {"kept": "import", "empty": "import", "two_workers": "alone"}
    result: dict[str, Any] = {name: {"seconds": spread(seconds), **({"ratio": ratios(seconds, times[over[name]])}
                                                                    if name in over else {})}
                              for name, seconds in times.items()}
    for name in raced:
        result[name] |= {"ratio": ratios(times["kept"], times[name]),
                         "agrees": abs(jobs.accuracy[name] - jobs.accuracy["reglab"]) <= ACCURACY_TOLERANCE}
    return {**result, "missing": missing}


class _Jobs:
    """The processes, each with a new folder below `folder`.

    Attributes:
      accuracy: the final accuracy on the validation split, by library.
    """

    def __init__(self, config: Config, dataset: Dataset, folder: pathlib.Path) -> None:
        self._config, self._folder, self._count = config, folder, 0
        self.accuracy: dict[str, float] = {}
        self._one_step = dataclasses.replace(config, epochs=1, train_size=config.batch_size)
        np.savez(folder / "data.npz", x_train=dataset.train.x, y_train=dataset.train.y,
                 x_validation=dataset.validation.x, y_validation=dataset.validation.y)
        job = {name: getattr(config, name) for name in ("l1", "l2", "learning_rate", "batch_size", "epochs", "seed")}
        self._job = json.dumps({**job, "hidden": list(config.hidden), "classes": dataset.classes,
                                "divisor": dataset.divisor, "output": str(folder / "weights")})

    def train(self, cache: str | None) -> float:
        """Returns the seconds of the job by `reglab.train`; `cache` names a compile cache, None means a new one."""
        run = self._new("run")
        flags = [*_flags(self._config), f"--model_dir={run}",
                 f"--compile_cache={self._folder / cache if cache else self._new('cache')}"]
        seconds = self.seconds([sys.executable, "-m", "reglab.train", *flags])
        self.accuracy["reglab"] = json.loads((run / "result.json").read_text())["validation"]["accuracy"]
        return seconds

    def script(self, name: str) -> float:
        """Returns the seconds of the job by another library's script."""
        script = pathlib.Path(__file__).parent / "scripts" / SCRIPTS[name]
        command = [sys.executable, str(script), str(self._folder / "data.npz"), self._job]
        began = time.perf_counter()
        done = self._run(command)
        seconds = time.perf_counter() - began
        self.accuracy[name] = float(json.loads(done.stdout.splitlines()[-1])["accuracy"])
        return seconds

    def first_step_alone(self) -> float:
        """Returns the seconds from the start of one process to its first evaluation, after a single step."""
        return self._until_first_row([sys.executable, "-m", "reglab.train", *self._first_step_flags()])

    def first_step_of_two(self) -> float:
        """Returns the same for two workers, from the start of the launcher."""
        return self._until_first_row([sys.executable, "-m", "reglab.launch", "--workers=2", "--",
                                      *self._first_step_flags(), "--strategy=multi_worker"])

    def seconds(self, command: Sequence[str]) -> float:
        """Returns the seconds that a whole process takes."""
        began = time.perf_counter()
        self._run(command)
        return time.perf_counter() - began

    def _first_step_flags(self) -> list[str]:
        return [*_flags(self._one_step), f"--model_dir={self._new('run')}", f"--compile_cache={self._folder / 'kept'}"]

    def _new(self, kind: str) -> pathlib.Path:
        self._count += 1
        return self._folder / f"{kind}-{self._count}"

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        with heard_by_children():
            done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True)
        if done.returncode:
            raise WorkerError(_failure(command, done.returncode, done.stderr))
        return done

    def _until_first_row(self, command: Sequence[str]) -> float:
        """Returns the seconds until the first epoch's row is printed, with the data loss of the first evaluation."""
        began = time.perf_counter()
        with heard_by_children(), tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
                command, env={**os.environ, **ENVIRONMENT, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE,
                stderr=errors, text=True) as process:
            assert process.stdout is not None
            found = next((time.perf_counter() - began for line in process.stdout if " 1/1 |" in line), None)
            process.stdout.read()
            code = process.wait()
            errors.seek(0)
            if code or found is None:
                raise WorkerError(_failure(command, code, errors.read()))
        return found


def _flags(config: Config) -> list[str]:
    """Returns the flags that give this configuration, apart from where it is stored."""
    default = Config().to_dict()
    given = {name: value for name, value in config.to_dict().items()
             if name not in HANDLING_FIELDS - {"data_dir"} and value != default.get(name)}
    return [f"--{name}={','.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in given.items()]


def _failure(command: Sequence[str], code: int, errors: str) -> str:
    lines = [line for line in errors.splitlines() if line.strip()]
    return f"{' '.join(command[1:4])} ended with code {code}: {lines[-1] if lines else 'it said nothing'}"
