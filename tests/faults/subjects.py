"""What is disturbed: commands on tiny data, in a folder `run` below the working directory, and how they are read."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any, Final

from tests.faults.cases import Bench
from tests.faults.processes import Outcome
from tests.faults.verdicts import Wrong

_TINY: Final = ("--hidden=8", "--train_size=200", "--model_dir=run")
_PLAIN: Final = (*_TINY, "--jit=false")


@dataclasses.dataclass(frozen=True)
class Subject:
    """A command.

    Attributes:
      name: for people.
      argv: the module and its flags.
      kind: of its folder, as `reading` knows them.
    """

    name: str
    argv: tuple[str, ...]
    kind: str = "run"

    def read(self, bench: Bench, folder: pathlib.Path) -> dict[str, Any]:
        """What `folder`/run tells.

        Raises:
          Wrong: it cannot be read.
        """
        outcome = bench.commands.run(["tests.faults.reading", self.kind, "run"], cwd=folder)
        if outcome.code != 0:
            raise Wrong(f"cannot be read: {outcome.err[-300:]}")
        return json.loads(outcome.out)

    def reference(self, bench: Bench) -> Reference:
        """The command undisturbed, run once for all cases."""
        def make(folder: pathlib.Path) -> Reference:
            first = bench.must_succeed(bench.commands.run(self.argv, cwd=folder))
            return Reference(folder, first, self.read(bench, folder))
        return bench.once(f"reference {self.name}", make)

    def again(self, bench: Bench) -> Outcome:
        """The command once more in the finished folder, run once for all cases."""
        return bench.once(f"again {self.name}", lambda folder: bench.commands.run(
            self.argv, cwd=self.reference(bench).folder))

    def usual(self, bench: Bench) -> Outcome:
        """All that the command prints when nothing is wrong, the first time and in a finished folder."""
        first, again = self.reference(bench).first, self.again(bench)
        return dataclasses.replace(first, out=f"{first.out}\n{again.out}", err=f"{first.err}\n{again.err}")


@dataclasses.dataclass(frozen=True)
class Reference:
    """An undisturbed command: its folder, how it ended, what its folder tells."""

    folder: pathlib.Path
    first: Outcome
    tells: dict[str, Any]


def _train(name: str, *flags: str) -> Subject:
    return Subject(name, ("reglab.train", *flags))


TRAIN: Final = _train("train", *_PLAIN, "--l1=1e-3", "--epochs=6", "--summary_every=5")
OTHER: Final = _train("another run", *_PLAIN, "--l1=1e-2", "--epochs=6", "--summary_every=5", "--seed=7")
LONG: Final = _train("train long", *_PLAIN, "--l2=1e-3", "--epochs=40", "--summary_every=5")
SWEEP: Final = Subject("sweep", ("reglab.sweep", *_PLAIN, "--l1=0,1e-3,1e-2", "--lanes_per_call=1",
                                 "--epochs=2"), "sweep")
FOLDS: Final = Subject("folds", ("reglab.sweep", *_PLAIN, "--l1=0,1e-3", "--folds=2", "--lanes_per_call=1",
                                 "--epochs=2"), "sweep")
PATH: Final = Subject("path", ("reglab.sweep", "--path", *_PLAIN, "--l1=1e-4:1e-2:3", "--epochs=2"), "path")
COMPARE: Final = Subject("compare", ("reglab.compare", *_PLAIN, "--l1=1e-3", "--l2=1e-3", "--seeds=1", "--epochs=3"),
                         "compare")
TRAININGS: Final = (
    _train("train adam, XLA", *_TINY, "--l1=1e-3", "--l2=1e-3", "--epochs=8"),
    _train("train sgd, checkpoint_every", *_PLAIN, "--optimizer=sgd", "--schedule=cosine", "--epochs=8",
           "--checkpoint_every=3", "--keep=2"),
    _train("train float64, momentum", *_PLAIN, "--precision=float64", "--optimizer=momentum", "--l2=1e-2",
           "--epochs=8", "--clip_norm=1"),
    _train("train cpu_devices=2", *_PLAIN, "--cpu_devices=2", "--l1=1e-3", "--epochs=6"),
    _train("train adamw, histograms", *_PLAIN, "--optimizer=adamw", "--histograms", "--evaluate_every=2",
           "--epochs=8", "--warmup_steps=9"),
)
