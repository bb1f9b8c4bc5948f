"""`python -m reglab.benchmark.worker <task as JSON>`: measures one section and answers one JSON line on stdout.

A section that cannot be measured as asked answers {"config_error": …}. Scaling answers its facts first and then, to
each line on stdin, what one stretch took, so that different numbers of devices can take turns.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import Any

from reglab.benchmark.peers.protocol import answer, private_stdout
from reglab.benchmark.task import Task
from reglab.config import ConfigError


def main(argv: list[str]) -> int:
    """Measures what the task says."""
    task = Task.from_json(argv[0])
    with private_stdout() as answers:
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
    """A section's result, measured in this process.

    Raises:
      ConfigError: the devices or the data are not there.
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
