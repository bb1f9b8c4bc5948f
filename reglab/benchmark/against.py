"""The parent's side of `--against`: peers in separate processes, with their runs interleaved. No TensorFlow here.

All peers stay alive, blocked on stdin, while one of them runs; so drift of the machine (heat, neighbors) affects all of
them alike, and ratios are taken between runs of the same round.
"""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from reglab.benchmark.known_peers import PEERS, REFERENCE, Peer
from reglab.benchmark.peer_process import PeerError, PeerProcess
from reglab.benchmark.peers.job import Job
from reglab.benchmark.spread import ratios, spread

SETTLE_SECONDS: Final = 0.2
"""Pause before each run: the thread pools of the previous peer spin for that long before they sleep."""

DEVIATION_TOLERANCE: Final = 5e-3
"""The largest ‖W − W*‖ / ‖W* − W₀‖ allowed for a peer's weights W after its warm-up from W₀; the exact ones are W*.

Observed in float32 on two cores after 3 steps: 1e-5, or 2e-2 if L2 is left out. See `peers.reference`.
"""

LOSS_TOLERANCE: Final = 0.05
"""The largest relative difference allowed between a peer's final total loss and reglab's. Between equal peers, 0.03 was
observed after 500-5,000 steps of MNIST. It only catches peers that go wrong later; the deviation checks the steps."""


def compare(job: Job, peers: Sequence[str], repeats: int, python: str = sys.executable, *,
            known: Mapping[str, Peer] = PEERS, timeout: float = 600.0,
            settle: float = SETTLE_SECONDS) -> dict[str, Any]:
    """Trains `job` with reglab and every peer named, in turn, for `repeats` timed stretches each.

    Args:
      peers: names in `known`; reglab itself need not be named.
      python: the interpreter for the peers; reglab is put on their path.
      timeout: seconds that a peer may take for one answer; compiling and tuning count as one answer.
      known: the peers that can be named.
      settle: seconds to pause before each run.

    Returns:
      JSON values. "peers" maps each name to step_time_us, steps_per_second and examples_per_second (per lane; all three
      with median, min and max), compile_seconds, tuning_seconds, peak_memory_bytes, loss, data_loss and deviation (each
      [lanes]), versions and settings; and, compared with reglab unless that failed, ratio (the peer's time over
      reglab's, round by round), loss_difference (the largest relative one of the lanes) and agrees (within both
      tolerances). "missing" maps names to the packages they lack, "failed" maps names to the reason. Also batch_size,
      steps, lanes, rounds, loss_tolerance and deviation_tolerance.

    Raises:
      ValueError: a peer is unknown, or the job has too few batches for that many repeats.
    """
    unknown = [name for name in peers if name not in known]
    if unknown:
        raise ValueError(f"unknown peer {unknown[0]!r}: choose from {', '.join(known)}")
    if len(job.order) < job.warmup_steps + repeats * job.steps:
        raise ValueError(f"the job holds {len(job.order)} batches: too few for {repeats} repeats of {job.steps}")
    wanted = list(dict.fromkeys([REFERENCE, *peers]))
    lacking = missing_packages({name: known[name] for name in wanted}, python)
    with tempfile.TemporaryDirectory(prefix="reglab-benchmark-") as folder:
        path = pathlib.Path(folder) / "job.npz"
        job.save(path)
        race = _Race(path, python, timeout)
        with contextlib.closing(race):
            for name in wanted:
                if name not in lacking:
                    race.start(name, known[name].module)
            for k in range(repeats):
                race.round(backwards=k % 2 == 1, settle=settle)
            race.finish()
    results = {name: {**_timing(job, race.seconds[name]), **race.facts[name]} for name in race.finished}
    ours = results.get(REFERENCE)
    for name, result in results.items():
        if ours is not None and name != REFERENCE:
            result["ratio"] = ratios(race.seconds[name], race.seconds[REFERENCE])
            result |= _agreement(ours, result)
    return {"batch_size": job.batch_size, "steps": job.steps, "lanes": job.lanes, "rounds": repeats,
            "loss_tolerance": LOSS_TOLERANCE, "deviation_tolerance": DEVIATION_TOLERANCE,
            "peers": results, "missing": lacking, "failed": race.failed}


def missing_packages(peers: Mapping[str, Peer], python: str = sys.executable) -> dict[str, str]:
    """Maps each peer that cannot be started to the packages that `python` lacks for it."""
    packages = sorted({package for peer in peers.values() for package in peer.requires})
    code = "import importlib.util, sys; print(*(p for p in sys.argv[1:] if importlib.util.find_spec(p) is None))"
    absent = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=True).stdout.split()
    lacking = {name: ", ".join(p for p in peer.requires if p in absent) for name, peer in peers.items()}
    return {name: packages for name, packages in lacking.items() if packages}


class _Race:
    """The running peers, their times, and the peers that failed. A failure removes a peer but never ends the race."""

    def __init__(self, job: pathlib.Path, python: str, timeout: float) -> None:
        self._job, self._python, self._timeout = job, python, timeout
        self._processes: dict[str, PeerProcess] = {}
        self.seconds: dict[str, list[float]] = {}
        self.facts: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, str] = {}
        self.finished: list[str] = []

    def start(self, name: str, module: str) -> None:
        """Starts a peer and waits until it is warmed up, so that no two compile at the same time."""
        process = PeerProcess([self._python, "-m", module, str(self._job)])
        self._processes[name], self.seconds[name] = process, []
        answer = self._ask(name, None)
        if answer:
            self.facts[name] = {key: answer.get(key) for key in ("compile_seconds", "tuning_seconds")}

    def round(self, *, backwards: bool, settle: float) -> None:
        """Runs one stretch of each peer; alternating directions keep any peer from always following the same one."""
        names = list(self._processes)
        for name in reversed(names) if backwards else names:
            time.sleep(settle)
            answer = self._ask(name, "run")
            if answer:
                self.seconds[name].append(answer["seconds"])

    def finish(self) -> None:
        """Collects the final losses and facts."""
        for name in list(self._processes):
            answer = self._ask(name, "finish")
            if answer:
                self.facts[name] |= answer
                self.finished.append(name)

    def close(self) -> None:
        """Ends all remaining processes."""
        for process in self._processes.values():
            process.close()

    def _ask(self, name: str, command: str | None) -> dict[str, Any] | None:
        try:
            return self._processes[name].ask(command, self._timeout)
        except PeerError as error:
            self.failed[name] = str(error)
            self._processes.pop(name).close(grace=0)
            return None


def _timing(job: Job, seconds: list[float]) -> dict[str, Any]:
    return {"step_time_us": spread([1e6 * s / job.steps for s in seconds]),
            "steps_per_second": spread([job.steps / s for s in seconds]),
            "examples_per_second": spread([job.steps * job.batch_size / s for s in seconds])}


def _agreement(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    differences = [abs(b - a) / abs(a) for a, b in zip(ours["loss"], theirs["loss"], strict=True)]
    # A loss that is NaN compares false with everything, and so does not agree.
    same_steps = all(d <= DEVIATION_TOLERANCE for d in [*ours["deviation"], *theirs["deviation"]])
    return {"loss_difference": max(differences), "agrees": same_steps and all(d <= LOSS_TOLERANCE for d in differences)}
