"""Writes the files of a comparison to its folder, all of them or none.

    compare.json                    everything: intervals, values by seed, curves, configuration, verdict
    compare.csv                     a line for each arm and metric
    compare.png, compare.svg        the curves of both splits of each arm, the gap shaded
    tensorboard/<arm>/{train,validation}  the curves, means over seeds
    tensorboard/overview            what was run and found, and the picture
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Final

from reglab.compare.experiment import Comparison
from reglab.compare.findings import best_of
from reglab.compare.table import table
from reglab.config import ConfigError
from reglab.core import penalties
from reglab.lab.lane_summaries import OVERVIEW, write_lane_runs, write_overview
from reglab.lab.plots import compare_picture
from reglab.run.logs.event_file import WholeEventFile
from reglab.storage.files import move_whole, remove_known, write_atomically, writing
from reglab.storage.locks import LOCK_NAMES
from reglab.storage.ownership import owning

_FIX: Final = "name a new or an empty folder"
_PARTIAL: Final = ".partial"
_RESULT: Final = "compare.json"
_FILES: Final = ("compare.csv", "compare.png", "compare.svg", _RESULT)
_CURVES: Final = tuple(f"{place}/{name}" for place in ("*/*", OVERVIEW)
                       for name in (WholeEventFile.NAME, f".{WholeEventFile.NAME}.tmp"))
_OWN: Final = (*_FILES, *(f".{name}.tmp" for name in _FILES), *(f"tensorboard/{name}" for name in _CURVES))


def check_free(folder: pathlib.Path) -> None:
    """Checks that there is nothing in a folder, if it exists, but what an unfinished comparison left.

    Raises:
      ConfigError: there is.
      OSError: the folder cannot be read.
    """
    found = sorted(set(os.listdir(folder)) - {_PARTIAL} - LOCK_NAMES) if folder.exists() else []
    if found:
        held = "a finished comparison" if _RESULT in found else found[0]
        raise ConfigError(f"--model_dir={folder} already holds {held}: {_FIX}")


class ComparisonFolder:
    """The folder of one comparison, which this process alone owns until `close`.

    Raises:
      ConfigError: the folder already holds something, is in use, or cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = pathlib.Path(path).expanduser()
        self._partial = self.path / _PARTIAL
        with contextlib.ExitStack() as stack:
            stack.enter_context(owning(self.path))
            self._prepare(f"--model_dir={self.path}")
            self._owned = stack.pop_all()

    def _prepare(self, flag: str) -> None:
        try:
            if (self._partial / _RESULT).exists():  # It was whole, but its process was killed while moving it in.
                self._move_in()
            check_free(self.path)
            left = remove_known(self._partial, _OWN)  # Left by a killed process.
            if left:
                raise ConfigError(f"{flag} already holds {_PARTIAL}/{left[0]}: {_FIX}")
            self._partial.mkdir()
        except OSError as error:
            raise ConfigError(f"{flag} cannot be written ({error.strerror}): {_FIX}") from None

    def write(self, comparison: Comparison) -> None:
        """Writes all files aside and moves them in, both with `compare.json` last: if that is there, so are the others.

        Raises:
          StorageError: the file system refuses; nothing is left.
        """
        with writing(self.path):
            self._write_partial(comparison)
            self._move_in()

    def close(self) -> None:
        """Removes what is unfinished, and the folder too if it was made here and is empty."""
        with self._owned, contextlib.suppress(OSError):
            remove_known(self._partial, _OWN)

    def _write_partial(self, comparison: Comparison) -> None:
        result, lanes = comparison.result, comparison.lanes
        write_atomically(self._partial / "compare.csv", csv_text(result))
        compare_picture(result, self._partial)
        seeds, best, board = len(lanes) // len(comparison.arms), best_of(result["arms"]), self._partial / "tensorboard"
        write_lane_runs(board, {arm.name: range(i * seeds, (i + 1) * seeds) for i, arm in enumerate(comparison.arms)},
                        lanes, comparison.curves, comparison.shared, comparison.steps_per_epoch,
                        {} if best is None else {comparison.arms[best].name: "best"})
        write_overview(board, comparison.shared, comparison.about, result["findings"]["sentences"], table(result),
                       {"curves": self._partial / "compare.png"})
        write_atomically(self._partial / _RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")

    def _move_in(self) -> None:
        moved: list[str] = []
        try:
            for name in ("tensorboard", *_FILES):
                if (self._partial / name).exists():
                    if os.path.lexists(self.path / name):
                        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path / name))
                    move_whole(self._partial / name, self.path / name)
                    moved.append(name)
        except OSError:
            for name in reversed(moved):
                os.rename(self.path / name, self._partial / name)
            raise


def csv_text(result: Mapping[str, Any]) -> str:
    """Returns CSV with a line for each arm and metric: losses in nats, accuracies and sparsity as fractions."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    names = [name for name in penalties.names() if name in result["arms"][0]]
    lines.writerow(["arm", *names, "metric", "mean", "low", "high",
                    "difference", "difference_low", "difference_high"])
    for arm in result["arms"]:
        for metric, final in arm["final"].items():
            difference = arm["difference"][metric] if arm["difference"] else {}
            lines.writerow([arm["name"], *(arm[name] for name in names), metric,
                            *(final[key] for key in ("mean", "low", "high")),
                            *(difference.get(key) for key in ("mean", "low", "high"))])
    return out.getvalue()
