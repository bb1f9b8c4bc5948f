"""`python -m reglab.benchmark.worker <task as JSON>`: measures one section and answers with one JSON line on stdout.

If a section cannot be measured as asked, the answer is {"config_error": …}. Scaling answers with its facts first and
then, for each line on stdin, with the times of one stretch, so that different numbers of devices can take turns.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import Any

from reglab.benchmark.peers.protocol import answer, private_stdout
from reglab.benchmark.task import Task
from reglab.config import ConfigError
from reglab.inputs.spelling import spelled_as_flags


def main(argv: list[str]) -> int:
    """Measures the task in `argv[0]`; returns the exit code."""
    task = Task.from_json(argv[0])
    with private_stdout() as answers, spelled_as_flags():  # The command that asks prints what is answered.
        try:
            began = time.monotonic()
            from reglab.engine.startup import quiet_tensorflow, start_devices
            quiet_tensorflow(whole_process=True)
            start_devices(task.config.compile_cache, lambda problem: print(problem, file=sys.stderr))
            task = dataclasses.replace(task, import_seconds=time.monotonic() - began)
            if task.section != "scaling":
                answer(answers, measure(task))
                return 0
            scaling = _scaling(task)
            answer(answers, scaling.facts)
            for _ in sys.stdin:
                answer(answers, scaling.run())
        except ConfigError as error:
            answer(answers, {"config_error": str(error)})
    return 0


def measure(task: Task) -> dict[str, Any]:
    """Measures a section in this process and returns its result.

    Raises:
      ConfigError: the devices or the data do not exist.
      KeyError: there is no such section.
    """
    from reglab.benchmark import fits, sections
    from reglab.engine.assembly import load_dataset

    functions = {"speed": sections.speed, "start": sections.start, "penalty": sections.penalty,
                 "lanes": sections.lanes, "logging": fits.logging}
    return functions[task.section](task.config, load_dataset(task.config), task)


def _scaling(task: Task) -> Any:
    from reglab.benchmark.sections import Scaling
    from reglab.engine.assembly import load_dataset

    return Scaling(task.config, load_dataset(task.config), task)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
