"""`python -m reglab.reproduce NAME`: a published result, trained anew. See `--help`."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Final

from reglab.cli.commands import Command, run_process
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.config import FLAGS as FLAGS_OF_RUNS
from reglab.config import ConfigError
from reglab.inputs import exit_codes
from reglab.inputs.exit_codes import advising
from reglab.reproduce.base import Reproduction, check_seeds
from reglab.reproduce.registry import NAMES, reproduction_of
from reglab.run.folder_names import timed_names
from reglab.storage.json_values import strict_json
from reglab.storage.ownership import owning, owning_new

PURPOSE: Final = (f"Train a published result anew; NAME is {' or '.join(NAMES)}. Prints what was published, "
                  "what reglab gets with intervals over seeds, and a verdict; exit code 4 if it falls short. Killed, "
                  "the same command with the same --model_dir goes on.")
FLAGS: Final[ExtraFlags] = {
    "seeds": (int, "How many seeds, from 0 on; else as many as the reproduction takes.", None),
    "data_dir": (str, "Folder of MNIST's standard files, for what needs them; else Keras downloads them.", None),
    "model_dir": (str, "Folder for what is found; else runs/<time>-NAME-reproduction.", None),
    "resume": (str, "auto (go on with what the folder holds), never, or must.", "auto"),
}


def _reproduce_in_folder(given: CommandLine) -> int:
    if len(given.operands) != 1:
        raise ConfigError(f"reproduce takes one NAME and found {len(given.operands)}: choose "
                          f"{' or '.join(NAMES)}")
    reproduction = reproduction_of(given.operands[0], given.values["data_dir"])
    folder, resume = given.values["model_dir"], given.values["resume"]
    seeds = reproduction.seeds if given.values["seeds"] is None else given.values["seeds"]
    check_seeds(seeds)
    FLAGS_OF_RUNS["resume"].check(resume)
    with (owning_new(timed_names(f"{reproduction.name}-reproduction")) if folder is None else
          contextlib.nullcontext(folder)) as folder, owning(folder):
        return _reproduce(reproduction, folder, seeds, resume, given.json)


def _reproduce(reproduction: Reproduction, folder: str, seeds: int, resume: str, as_json: bool) -> int:
    # TensorFlow is imported only now, so that help, a bad flag and a folder in use are answered at once.
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.console import open_console
    from reglab.reproduce.experiment import reproduce
    from reglab.sweep.progress import Stopped, goes_on

    console = open_console(sys.stderr if as_json else sys.stdout)
    with advising(goes_on(folder), Stopped):
        result = reproduce(reproduction, folder, seeds=seeds, resume=resume, console=console)
    _show(reproduction, result, folder, console)
    if as_json:
        print(strict_json(result))
    return exit_codes.SUCCESS if result["verdict"]["passed"] else exit_codes.VERDICT_FAILED


def _show(reproduction: Reproduction, result: dict[str, Any], folder: str, console: Any) -> None:
    from reglab.reproduce.outputs import table, verdict_text

    console.message(f"\n{result['metric']}, mean over {result['seeds']} seeds\n{table(reproduction, result)}\n")
    console.message("Done differently there:\n" + "\n".join(f"  {each}" for each in result["differently"]) + "\n")
    console.message(f"{result['verdict']['sentence']}\n\n{verdict_text(result['verdict'])}\n")
    console.message(f"Done in {result['seconds']:.1f} s. Written to {folder}: reproduction.json, .csv, .png, .svg")


main: Final = Command("reglab.reproduce", PURPOSE, _reproduce_in_folder, FLAGS, trains=False, operands="NAME").main

if __name__ == "__main__":
    run_process(main)
