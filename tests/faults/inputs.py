"""Input: hostile command lines, files and environments. Refused in a second, in one line, with nothing written."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pathlib
import random
import signal
import time
from collections.abc import Mapping
from typing import Final

from tests.faults.cases import Bench, Case
from tests.faults.hostile_files import make_files
from tests.faults.processes import Process
from tests.faults.trees import tree
from tests.faults.verdicts import Verdict, Wrong, check_refusal

SECONDS: Final = 1.0
"""Of processor time beyond what a flag that is simply wrong takes."""
BYTES: Final = 400 << 20
"""Of memory beyond the same."""

_DIGITS: Final = "9" * 400
_LATE: Final = ("--dataset=", "--data_dir=", "--model_dir=/", "--model_dir=config", "--model_dir=loop",
                "--num_devices=")
"""What can only be looked at when TensorFlow has been imported: these are tried where it has."""
_TRAIN: Final[Mapping[str, tuple[str, ...]]] = {
    **{f"{flag} of 400 digits": (f"--{flag}={_DIGITS}",) for flag in (
        "seed", "data_seed", "epochs", "batch_size", "train_size", "summary_every", "warmup_steps", "checkpoint_every",
        "keep", "evaluate_every", "num_devices", "cpu_devices", "hidden", "l1", "l2", "learning_rate", "clip_norm",
        "momentum", "weight_decay", "label_noise", "rendezvous_timeout", "validation_split")},
    **{f"{flag} of 10,000 digits": (f"--{flag}={'9' * 10_000}",) for flag in ("seed", "epochs", "hidden", "l1")},
    **{f"{flag}={value}": (f"--{flag}={value}",) for flag in ("l1", "l2", "learning_rate", "clip_norm")
       for value in ("1e39", "nan", "inf", "-inf", "1e400", "-1")},
    **{f"{flag} underflows": (f"--{flag}=1e-60",) for flag in ("l1", "l2", "learning_rate", "clip_norm")},
    "hidden of a billion": ("--hidden=1000000000",),
    "hidden of a billion twice": ("--hidden=1000000000,1000000000",),
    "hidden of 2^63": (f"--hidden={2 ** 63}",),
    "3,000 layers": ("--hidden=" + ",".join(["8"] * 3000),),
    "10^5 logical devices": ("--cpu_devices=100000",),
    "10^5 devices": ("--num_devices=100000",),
    "a pattern that runs for minutes": ("--penalize=(([a-z_0-9]+)*)+!",),
    "another such pattern": ("--penalize=(a|a_|.|dense_?)*(.*)*(.*)*x{100}",),
    "a pattern of 10^5 brackets": ("--penalize=" + "(" * 50_000 + ")" * 50_000,),
    "a pattern that repeats a billion times": ("--penalize=((a{1,1000}){1,1000}){1,1000}!",),
    "newlines": ("--optimizer=a\nb\nc",),
    "newlines in a name": ("--dataset=a\nb\n.npz",),
    "escape codes": ("--optimizer=\x1b[2J\x1b]0;x\x07",),
    "a million characters": ("--optimizer=" + "x" * 100_000,),
    "a long unknown flag": ("--" + "y" * 100_000 + "=1",),
    "a long argument": ("z" * 100_000,),
    "a long model_dir": ("--model_dir=" + "m" * 100_000,),
    "no text": (b"--optimizer=\xff\xfe".decode(errors="surrogateescape"),),
    "no text in a model_dir and a bad flag": (b"--model_dir=\xff".decode(errors="surrogateescape"), "--epochs=0"),
    **{f"model_dir={name}": (f"--model_dir={name}",) for name in (
        "s3://bucket/run", "gs://bucket/run", "hdfs://host/run", "file:///tmp/run", "ram://run", "http://host/run",
        "/dev/null", "/proc/self", "config.txt", "config.txt/run", "/sys/run", "loop/run")},
    **{f"config_file={name}": (f"--config_file={name}",) for name in (
        "deep.json", "/dev/zero", "pipe", "list.json", "wide.json", "binary.json", "types.json", "digits.json",
        "/proc/self/mem", ".", "missing.json", "big.json", "duplicate.json", "null.json")},
    **{f"flagfile={name}": (f"--flagfile={name}",) for name in ("/dev/zero", "pipe", "itself.flags", "binary.json", ".",
                                                               "missing.flags", "deep.flags", "many1.flags")},
    **{f"dataset={name}": (f"--dataset={name}",) for name in (
        "bomb.npz", "claims.npz", "pickled.npz", "empty.npz", "folder.npz", "pipe.npz", "s3://x/y.npz", "nan.npz",
        "crossed.npz", "zeros.npz", "itself.npz", "huge_label.npz",
        "wide.csv", "quoted.csv", "texts.csv", "control.csv", "ragged.csv", "label.csv", "zeros.csv", "endless.csv",
        "pipe.csv", "torn.parquet", "pipe.parquet")},
    **{f"{name} in data_dir={place}": (f"--dataset={name}", f"--data_dir={place}") for name, place in (
        ("mnist", "bomb"), ("mnist", "claims"), ("cifar10", "bomb"), ("cifar10", "claims"), ("cifar10", "pickle"),
        ("mnist", "rows"), ("cifar10", "rows"), ("mnist", "empty"), ("mnist", "pipes"),
        ("cifar10", "pipes"), ("mnist", "nowhere"), ("mnist", "s3://bucket"))},
}
_OTHERS: Final[Mapping[str, tuple[str, ...]]] = {
    "sweep of a billion points": ("reglab.sweep", "--l1=1e-5:1e-2:1000000000"),
    "sweep of 10^400 points": ("reglab.sweep", f"--l1=1e-5:1e-2:{_DIGITS}"),
    "sweep of 10^12 lanes": ("reglab.sweep", "--l1=1e-5:1e-2:1000000", "--l2=1e-5:1e-2:1000000"),
    "sweep over 1e39": ("reglab.sweep", "--l1=0,1e39"),
    "sweep over seeds without end": ("reglab.sweep", "--l1=0,1e-3", f"--seeds={_DIGITS}"),
    "sweep over a billion folds": ("reglab.sweep", "--l1=0,1e-3", "--folds=1000000000"),
    "sweep into s3": ("reglab.sweep", "--l1=0,1e-3", "--model_dir=s3://bucket/x"),
    "sweep over a range 6,000 times": ("reglab.sweep", "--l1=" + ",".join(["1e-5:1e-2:1000"] * 6000)),
    "sweep over 1,000 patterns": ("reglab.sweep", "--penalize=" + ";".join(f"(.*){{90}}x{i}?" for i in range(1000))),
    "sweep over more folds than examples": ("reglab.sweep", "--l1=0,1e-3", "--folds=2000"),
    "path of two flags": ("reglab.sweep", "--path", "--l1=0,1", "--l2=0,1"),
    "sweep with newlines": ("reglab.sweep", "--l1=0,\n1\nx"),
    "compare over a billion seeds": ("reglab.compare", "--l1=1e-3", "--seeds=1000000000"),
    "compare into gs": ("reglab.compare", "--l1=1e-3", "--model_dir=gs://bucket/x"),
    "compare at 1e39": ("reglab.compare", "--l1=1e39"),
    "export into s3": ("reglab.export", "--model_dir=.", "--output=s3://bucket/a.npz"),
    "export from s3": ("reglab.export", "--model_dir=s3://bucket/run"),
    **{f"export to {place[:20]}": ("reglab.export", "--model_dir=.", f"--output={place}") for place in (
        "loop/x", "~no_such_user/x", "x" * 300)},
    **{f"export from {place[:20]}": ("reglab.export", f"--model_dir={place}") for place in (
        "loop/x", "~no_such_user/x", "x" * 300, "/dev/null")},
    **{f"certify rerun {place[:20]}": ("reglab.certify", "rerun", place) for place in (
        "loop/x", "~no_such_user/x", "x" * 300, "/dev/null")},
    **{f"benchmark to {place[:20]}": ("reglab.benchmark", f"--output={place}") for place in (
        "loop", "~no_such_user/x", "x" * 300, "/proc/x", "itself.npz")},
    "export a state of 10^5 letters": ("reglab.export", "--model_dir=.", "--state=" + "s" * 100_000),
    "launch 20,000 workers": ("reglab.launch", "--workers=20000", "--", "--epochs=0"),
    "launch 10^400 workers": ("reglab.launch", f"--workers={_DIGITS}", "--"),
    "certify a thing of 10^5 letters": ("reglab.certify", "c" * 100_000),
}
_SLURM: Final = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2", "SLURM_PROCID": "0",
                 "SLURM_NODEID": "0", "SLURM_LOCALID": "0", "SLURM_TASKS_PER_NODE": "1(x2)",
                 "SLURM_JOB_NODELIST": "n[1-2]"}
_ENVIRONMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "TF_CONFIG that is deep": {"TF_CONFIG": "[" * 60_000},
    "TF_CONFIG of another type": {"TF_CONFIG": "7"},
    "TF_CONFIG with an index of 4,500 digits": {"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": '
                                                             '"worker", "index": ' + "9" * 4500 + "}}"},
    "TF_CONFIG of 20,000 workers and no task": {"TF_CONFIG": json.dumps(
        {"cluster": {"worker": [f"h:{i + 1}" for i in range(9000)]}})},
    "a nodelist of 10^8 hosts": {**_SLURM, "SLURM_JOB_NODELIST": "n[1-100000000]"},
    "a nodelist of 10^12 hosts": {**_SLURM, "SLURM_JOB_NODELIST": "n[1-1000000]m[1-1000000]"},
    "a nodelist that counts down": {**_SLURM, "SLURM_JOB_NODELIST": "n[1-100000000][3-1]"},
    "10^9 tasks a node": {**_SLURM, "SLURM_TASKS_PER_NODE": "1(x1000000000)"},
    "a job number of 4,500 digits": {**_SLURM, "SLURM_JOB_ID": "9" * 4500},
    "a port of 400 digits": {**_SLURM, "REGLAB_PORT": _DIGITS},
}


def cases(bench: Bench) -> list[Case]:
    """Every hostile input, each in a fresh process."""
    lines: dict[str, tuple[str, Mapping[str, str], tuple[str, ...]]] = {
        name: ("train", {}, ("reglab.train", *flags)) for name, flags in _TRAIN.items()}
    lines |= {name: (argv[0].removeprefix("reglab."), {}, argv) for name, argv in _OTHERS.items()}
    lines |= {name: ("environment", env, ("reglab.train",)) for name, env in _ENVIRONMENTS.items()}
    return [Case(group, name, functools.partial(_refused, bench, env, argv))
            for name, (group, env, argv) in lines.items()]


def _refused(bench: Bench, env: Mapping[str, str], argv: tuple[str, ...], folder: pathlib.Path, rng: random.Random
             ) -> Verdict:
    cpu, peak = bench.once("a wrong flag", functools.partial(_ordinary, bench))
    files = bench.once("hostile files", make_files)
    for path in files.iterdir():
        (folder / path.name).symlink_to(path)
    before = tree(folder)
    late = any(word.startswith(_LATE) and "://" not in word for word in argv)
    start = bench.commands.start if late else bench.commands.start_fresh
    process = start(argv, cwd=folder, env=dict(env))
    _watch(process, cpu + SECONDS + 3)
    outcome = process.wait(0.1)
    if outcome.code is None or outcome.code == -signal.SIGKILL:
        raise Wrong(f"not refused: killed after {outcome.cpu:.1f} s of processor time, {outcome.peak_bytes >> 20} MiB, "
                    f"with {len(outcome.err)} characters said")
    line = check_refusal(outcome, codes=(2,))
    if outcome.out.strip():
        raise Wrong(f"refused, and yet printed {outcome.out[:100]!r}")
    if tree(folder) != before:
        raise Wrong(f"refused, and yet wrote {sorted(set(tree(folder)) - set(before))[:3]}")
    if outcome.cpu > (1.0 if late else cpu) + SECONDS:
        raise Wrong(f"refused only after {outcome.cpu:.1f} s of processor time: {line[:200]}")
    if outcome.peak_bytes > peak + BYTES + (600 << 20 if late else 0):
        raise Wrong(f"refused with {outcome.peak_bytes >> 20} MiB of memory: {line[:200]}")
    if any(not char.isprintable() for char in line):
        raise Wrong(f"the line has control characters: {line[:200]!r}")
    return Verdict("refused", line[:200])


def _watch(process: Process, cpu: float) -> None:
    """Returns when it has ended, has used so many seconds of processor time, or stands still for half a minute."""
    began = time.monotonic()
    while not process.ended.wait(0.1) and time.monotonic() - began < 30:
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            if (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > cpu:
                process.kill()


def _ordinary(bench: Bench, folder: pathlib.Path) -> tuple[float, int]:
    """Processor time and memory of a refusal that needs no thought."""
    outcomes = [bench.commands.run_fresh(["reglab.train", "--optimizer=none"], cwd=folder) for _ in range(3)]
    return max(outcome.cpu for outcome in outcomes), max(outcome.peak_bytes for outcome in outcomes)
