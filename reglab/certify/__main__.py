"""`python -m reglab.certify replicas` checks that this machine or cluster computes what one device computes;
`python -m reglab.certify rerun DIR` checks that a run gives the same bits again; `python -m reglab.certify run DIR`
checks its figures, and how far it was trained. See `--help`."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING

from reglab.certify.of_run import COMMAND as RUN
from reglab.cli import flags
from reglab.cli.commands import run_command, run_process
from reglab.cli.completion import offers_of
from reglab.cli.preflight import preflight
from reglab.cluster.alone import is_the_one
from reglab.config import ConfigError
from reglab.core import penalties
from reglab.inputs import exit_codes
from reglab.inputs.texts import did_you_mean, shown
from reglab.run.kept_run import check_data, kept_config, kept_folder, last_step
from reglab.signals.stop import EarlyStop, StopRequest, stop_request
from reglab.storage.json_values import strict_json

if TYPE_CHECKING:
    from reglab.certify.rerun import Verdict
    from reglab.data import Dataset
    from reglab.engine.replicas import Replicas

_STANDING = " = ".join(penalties.standing())
PURPOSE = f"""Trains on one device and on the replicas that flags and environment describe, in float64, and compares
every weight, loss, penalty and accuracy. Usage: python -m reglab.certify replicas [--flag=value ...]; the defaults are
1,003 digits in batches of 100, {_STANDING} = 1e-3, gradients clipped to norm 1. Exit code 4 if they differ.
Or: python -m reglab.certify rerun DIR [--json] trains the configuration of a run's folder again, in a temporary one,
and compares weights, slots, metrics and results to the bit; a run that is not finished up to its last checkpoint. Exit
code 4 if they differ.
Or: python -m reglab.certify run DIR computes the figures of a run again from its weights and its data; see
python -m reglab.certify run --help."""
DEFAULTS = ["--train_size=1003", "--batch_size=100",
            *(f"--{name}=1e-3" for name in penalties.standing()), "--clip_norm=1"]

OFFERS = offers_of({}, words=("replicas", "rerun"), has_operands=True)


def main(argv: list[str]) -> int:
    """Parses the command line, runs the check and returns the exit code (see `exit_codes`)."""
    if argv[:1] == ["run"]:
        return RUN.main(argv[1:])
    return run_command(_main, argv)


def _main(argv: list[str]) -> int:
    if argv[:1] == ["rerun"] and "--help" not in argv:
        return _rerun(argv[1:])
    if argv[:1] != ["replicas"] and "--help" not in argv:
        subject = shown(" ".join(argv[:1])) or "needs a subject"
        raise ConfigError(f"certify {subject}: what can be certified is replicas or, of the folder "
                          f"of a run, rerun and run{did_you_mean(subject, ('replicas', 'rerun', 'run'))}")
    given = [flag for flag in argv if flag not in ("replicas", "rerun")]
    names_own_data = any(flag.lstrip("-").split("=")[0] in ("dataset", "train_size") for flag in given)
    command = flags.parse(DEFAULTS[names_own_data:] + given)
    if command.help:
        print(flags.help_text("reglab.certify replicas", PURPOSE))
        return exit_codes.SUCCESS
    return _certify(command)


def _certify(command: flags.CommandLine) -> int:
    here = preflight(command.config)
    from reglab.engine.startup import quiet_tensorflow, start_devices
    quiet_tensorflow(whole_process=True)
    from reglab.cluster import find_cluster
    from reglab.engine.assembly import check_fit, load_dataset
    from reglab.engine.placement import place_run
    from reglab.run.loop import peers_needed

    config = command.config
    start_devices(config.compile_cache, lambda problem: print(f"reglab: {problem}", file=sys.stderr))
    dataset = load_dataset(config) if here is None else here
    check_fit(config, dataset)
    cluster = find_cluster(config)
    if cluster is None:  # A signal may end the check at any point.
        return _check(command, dataset, place_run(config, None), None)
    with stop_request() as stop, peers_needed(cluster):
        return _check(command, dataset, place_run(config, cluster, stop), stop)


def _check(command: flags.CommandLine, dataset: Dataset, replicas: Replicas, stop: StopRequest | None) -> int:
    from reglab.certify.exactness import TOLERANCE, check_replicas

    config = command.config
    out = open(os.devnull, "w") if not replicas.is_chief else sys.stderr if command.json else sys.stdout  # noqa: SIM115
    several = f"{replicas.count} replica{'s' if replicas.count > 1 else ''} ({replicas.name})"
    print(f"{several} against one device, float64, {dataset.description}", file=out)
    findings = []
    for finding in check_replicas(config, dataset, replicas):
        if stop is not None and replicas.gather_numbers(bool(stop)).any():  # Workers stop together.
            raise EarlyStop(stop.name)
        findings.append(finding)
        details = ", ".join(f"{name} {value:.1e}" for name, value in finding.differences.items())
        print(f"  {'equal' if finding.exact else 'NOT EQUAL':10}{finding.case}: {details}", file=out, flush=True)
    exact, largest = all(finding.exact for finding in findings), max(finding.largest for finding in findings)
    print(f"{'Exact' if exact else 'NOT EXACT'}: the largest relative difference is {largest:.1e}, "
          f"{'at most' if exact else 'more than'} {TOLERANCE:g}.", file=out)
    if command.json and replicas.is_chief:
        print(strict_json({"exact": exact, "largest_difference": largest, "tolerance": TOLERANCE,
                          "replicas": replicas.count, "workers": replicas.workers, "strategy": replicas.name,
                          "cases": {finding.case: finding.differences for finding in findings}}))
    return exit_codes.SUCCESS if exact else exit_codes.VERDICT_FAILED


def _rerun(argv: list[str]) -> int:
    folders = [argument for argument in argv if not argument.startswith("-")]
    unknown = [argument for argument in argv if argument.startswith("-") and argument != "--json"]
    if len(folders) != 1 or unknown:
        raise ConfigError(f"certify rerun {' '.join(unknown or folders)}: give the folder of one run, and nothing else "
                          "but --json")
    if not is_the_one("reglab.certify rerun"):
        return exit_codes.SUCCESS
    folder = kept_folder(folders[0])
    config, _ = kept_config(folder), last_step(folder)
    dataset = preflight(config)
    if dataset is not None:
        check_data(folder, dataset)
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow()
    from reglab.certify.rerun import rerun

    as_json = "--json" in argv
    out = sys.stderr if as_json else sys.stdout
    with tempfile.TemporaryDirectory(prefix="reglab-rerun-") as temporary:
        verdict = rerun(str(folder), temporary, data=dataset)
    for line in describe_rerun(folders[0], verdict):
        print(line, file=out)
    if as_json:
        print(strict_json({"equal": verdict.equal, "step": verdict.step, "finished": verdict.finished,
                          "compared": verdict.compared, "differences": [vars(one) for one in verdict.differences],
                          "facts": verdict.facts}))
    return exit_codes.SUCCESS if verdict.equal else exit_codes.VERDICT_FAILED


def describe_rerun(folder: str, verdict: Verdict) -> list[str]:
    """Returns the verdict as lines of text."""
    upto = "" if verdict.finished else f" up to its last checkpoint, of step {verdict.step}, as it is not finished"
    compared = ", ".join(f"{count:,} numbers of {file}" for file, count in verdict.compared.items() if count)
    lines = [f"{folder} was run again{upto}: {compared}"]
    lines += [f"  {difference}" for difference in verdict.differences]
    lines += [f"  {name} was {mine!r}, and is {theirs!r}" for name, (mine, theirs) in verdict.facts.items()]
    if not verdict.equal and not verdict.facts:
        lines.append("  Of all that is recorded to decide the bits, nothing differs." if verdict.finished else
                     "  What decides the bits is recorded when a run ends, so what has changed is not known.")
    return [*lines, "Equal to the bit." if verdict.equal else "NOT EQUAL: the first difference of each file is above."]


if __name__ == "__main__":
    run_process(main)
