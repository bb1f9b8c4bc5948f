"""`python -m reglab.compare --l1=1e-3 --l2=1e-3`, or `--preset=tutorial`: what a penalty does. See `--help`.

The tutorial, on the embedded digits (--dataset=mnist for the original; five seeds each):

    python -m reglab.compare --preset=tutorial
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any, Final

from reglab.cli.commands import Command, run_process
from reglab.cli.dry_run import DRY_RUN, data_here, show_plan
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.cli.preflight import preflight
from reglab.compare.arms import arms_of, check_seeds
from reglab.compare.presets import PRESETS, check_preset, judge, preset_flags, verdict_text
from reglab.config import Config
from reglab.core import penalties
from reglab.inputs import exit_codes
from reglab.inputs.exit_codes import advising
from reglab.lab.refused import BY_COMPARE, check_refused
from reglab.lab.seeds import VARY, VARY_HELP, check_vary
from reglab.run.folder_names import own_folder, with_default_name
from reglab.signals.stop import STARTS_AGAIN

EXTRA: Final[ExtraFlags] = {
    "seeds": (int, "How many seeds, from --seed on; the data are the same.", 5),
    "vary": (VARY, VARY_HELP, "weights"),
    **DRY_RUN,
    "preset": (tuple(PRESETS), "tutorial: labels with noise, memorized without a penalty; made for --dataset=digits "
               "and mnist. Ends with a verdict; exit code 4 if it is not as expected. Other flags override it.", None),
}
WITHOUT: Final = {"strategy", "rendezvous_timeout", "resume", "checkpoint_every", "keep", "summary_every",
                  "histograms"}


def purpose() -> str:
    """Returns what the command does, in a sentence."""
    alone = [f"{penalty.title} alone" for penalty in penalties.registered()]
    return (f"Compare no penalty, {', '.join(alone)} and together, those that are given, over several seeds, in one "
            "program on the same batches.")


def _flags_of_preset(given: CommandLine) -> list[str]:
    preset = given.values["preset"]
    return [] if preset is None else preset_flags(preset, given.config.dataset)


def _compare_in_folder(given: CommandLine) -> int:
    preset, seeds, vary = (given.values[name] for name in ("preset", "seeds", "vary"))
    if preset is not None:
        check_preset(preset, given.config)
    if given.values["dry_run"]:
        return _plan(with_default_name(given.config, "compare"), seeds, vary, given.json)
    with own_folder(given.config, "compare") as config:
        return _compare(config, seeds, vary, preset, given.json)


def _plan(config: Config, seeds: int, vary: str, as_json: bool) -> int:
    dataset = data_here(config, lanes=_checked_lanes(config, seeds, vary), replicas=False)
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.compare.plan import plan_comparison

    return show_plan(*plan_comparison(config, seeds, vary, dataset), as_json)


def _compare(config: Config, seeds: int, vary: str, preset: str | None, as_json: bool) -> int:
    dataset = preflight(config, lanes=_checked_lanes(config, seeds, vary), replicas=False)
    # TensorFlow is imported only now, so that help, a bad flag and a folder in use are answered at once.
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.compare.experiment import compare
    from reglab.compare.files import ComparisonFolder
    from reglab.console import open_console
    from reglab.run.loop import Interrupted

    console = open_console(sys.stderr if as_json else sys.stdout)
    with contextlib.closing(ComparisonFolder(str(config.model_dir))) as folder:
        with advising(STARTS_AGAIN, Interrupted):
            comparison = compare(config, seeds, dataset, vary=vary, console=console)
        verdict = judge(preset, comparison.result) if preset is not None else None
        comparison.result["verdict"] = verdict
        folder.write(comparison)  # A signal that comes now finds all written: it takes seconds, training took more.
    _show(comparison.result, folder, console)
    if as_json:
        print(json.dumps(comparison.result, allow_nan=False))
    if verdict is not None and not verdict["passed"]:
        return exit_codes.VERDICT_FAILED
    return exit_codes.DIVERGED if comparison.diverged else exit_codes.SUCCESS


def _checked_lanes(config: Config, seeds: int, vary: str) -> int:
    check_refused(config, BY_COMPARE)
    lanes = len(arms_of(config)) * check_seeds(seeds, config.seed)
    check_vary(vary, config, seeds)
    return lanes


def _show(result: dict[str, Any], folder: Any, console: Any) -> None:
    from reglab.compare.table import table

    console.message(f"\n{table(result)}\n")
    console.message("\n".join([*result["findings"]["sentences"], *([result["caution"]] if "caution" in result else [])])
                    + "\n")
    if result["verdict"] is not None:
        console.message(f"{verdict_text(result['verdict'])}\n")
    console.message(f"Done in {result['seconds']:.1f} s. Written to {folder.path}: compare.png, .svg, .json, .csv")
    console.message(f"tensorboard --logdir {folder.path / 'tensorboard'}")


main: Final = Command("reglab.compare", purpose, _compare_in_folder, EXTRA, WITHOUT, BY_COMPARE,
                      before=_flags_of_preset).main

if __name__ == "__main__":
    run_process(main)
