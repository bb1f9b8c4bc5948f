"""What a comparison leaves in its folder, all of it or nothing.

    compare.json                    all numbers: intervals, values by seed, curves, configuration, verdict
    compare.csv                     one line for each arm and metric
    compare.png, compare.svg        the curves of both splits of each arm, the gap shaded
    tensorboard/<arm>/{train,validation}  the curves, the mean over seeds
"""

from __future__ import annotations

import csv
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any, Final

from reglab.compare.experiment import Comparison
from reglab.config import ConfigError
from reglab.lane_summaries import write_lane_runs
from reglab.plots import compare_picture

_PARTIAL: Final = ".partial"
_RESULT: Final = "compare.json"


class ComparisonFolder:
    """The folder of one comparison.

    Raises:
      ConfigError: it holds something already, or cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = pathlib.Path(path).expanduser()
        flag, fix = f"--model_dir={self.path}", "name a new or an empty folder"
        try:
            self._partial = self.path / _PARTIAL
            found = sorted(set(os.listdir(self.path)) - {_PARTIAL}) if self.path.exists() else []
            if found:
                held = "a finished comparison" if _RESULT in found else found[0]
                raise ConfigError(f"{flag} already holds {held}: {fix}")
            self._is_new = not self.path.exists()
            shutil.rmtree(self._partial, ignore_errors=True)  # Of a killed process.
            self._partial.mkdir(parents=True)
        except OSError as error:
            raise ConfigError(f"{flag} cannot be written ({error.strerror}): {fix}") from None

    def write(self, comparison: Comparison) -> None:
        """Writes all files aside and moves them in, `compare.json` last: where that is, all is."""
        result, lanes = comparison.result, comparison.lanes
        (self._partial / _RESULT).write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        write_csv(self._partial / "compare.csv", result)
        compare_picture(result, self._partial)
        seeds = len(lanes) // len(comparison.arms)
        write_lane_runs(self._partial / "tensorboard",
                        {arm.name: range(i * seeds, (i + 1) * seeds) for i, arm in enumerate(comparison.arms)},
                        lanes, comparison.curves, comparison.shared, comparison.steps_per_epoch)
        for name in sorted(os.listdir(self._partial), key=lambda name: name == _RESULT):
            os.replace(self._partial / name, self.path / name)

    def close(self) -> None:
        """Removes what is not finished, and the folder too if there was none and nothing is in it."""
        shutil.rmtree(self._partial, ignore_errors=True)
        if self._is_new and not os.listdir(self.path):
            self.path.rmdir()


def write_csv(path: pathlib.Path, result: Mapping[str, Any]) -> None:
    """One line for each arm and metric: losses in nats, accuracies and sparsity as fractions."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["arm", "l1", "l2", "metric", "mean", "low", "high",
                        "difference", "difference_low", "difference_high"])
        for arm in result["arms"]:
            for metric, final in arm["final"].items():
                difference = arm["difference"][metric] if arm["difference"] else {}
                lines.writerow([arm["name"], arm["l1"], arm["l2"], metric,
                                *(final[key] for key in ("mean", "low", "high")),
                                *(difference.get(key) for key in ("mean", "low", "high"))])
