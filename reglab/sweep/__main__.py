"""`python -m reglab.sweep --l1=0,1e-5:1e-2:8 --l2=0,1e-4,1e-3 --seeds=3`: how much of which penalty. See `--help`."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from reglab.cli.commands import Command, run_process
from reglab.cli.dry_run import DRY_RUN, data_here, show_plan
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.cli.preflight import preflight
from reglab.config import Config
from reglab.core import penalties
from reglab.inputs import exit_codes
from reglab.inputs.exit_codes import advising
from reglab.lab.grid import Grid, parse_grid
from reglab.lab.refused import BY_SWEEP, check_refused
from reglab.lab.seeds import VARY, VARY_HELP, check_vary
from reglab.run.folder_names import own_folder, with_default_name
from reglab.sweep.files import SweepFolder
from reglab.sweep.options import (
    SELECTIONS,
    check_folds,
    check_options,
    check_path,
    check_size,
    check_sweep,
    check_untested,
)

if TYPE_CHECKING:
    from reglab.data import Dataset
    from reglab.sweep.experiment import Sweep

PURPOSE: Final = ("Train a grid of penalties, from several seeds each, in one compiled program, and choose by what the "
                  "validation data say. Killed, the same command with the same --model_dir goes on.")
_NUMBERS: Final = "values and log ranges such as 0,1e-5:1e-2:8 (low:high:count)."
_EXTRA: Final[ExtraFlags] = {
    "learning_rate": (str, f"Learning rates: {_NUMBERS}", None),
    "penalize": (str, "Penalized kernels, choices separated by ; (each as in reglab.train).", None),
    "seeds": (int, "Seeds of each point, from --seed on.", 1),
    "vary": (VARY, VARY_HELP, "weights"),
    "folds": (int, "Cross-validate over this many folds of the training and validation examples; else the data's "
                   "validation part.", None),
    "select": (SELECTIONS, "What chooses, on the validation part: data_loss (the lowest, never penalized) or accuracy "
                           "(the highest).", "data_loss"),
    **DRY_RUN,
    "lanes_per_call": (int, "Lanes that train together; else chosen by memory and speed.", None),
}
WITHOUT: Final = {"strategy", "rendezvous_timeout"}


def extra_flags() -> ExtraFlags:
    """The command's own flags: those of every penalty take several strengths here."""
    first, *others = (f"--{name}" for name in penalties.names())
    along = f"{first} (or {' or '.join(others)})" if others else first
    return {**{penalty.name: (str, f"Strengths of the {penalty.title} penalty: {_NUMBERS}", None)
               for penalty in penalties.registered()}, **_EXTRA,
            "path": (bool, f"Instead, walk along {along} from weak to strong, each point starting where the last "
                           "ended and staying until its objective has settled, --epochs at most; then train all points "
                           "from the start for as many steps as that took, and choose from these.", False)}


def _sweep_in_folder(given: CommandLine) -> int:
    config, values = given.config, given.values
    grid = parse_grid(config, **{name: values[name] for name in (*penalties.names(), "learning_rate", "penalize")})
    check_refused(config, BY_SWEEP)
    check_options(values["seeds"], values["folds"], values["select"], values["lanes_per_call"])
    check_untested(config.validation_split == 0)
    check_size(config, grid, values["seeds"], values["folds"], values["lanes_per_call"])
    check_vary(values["vary"], config, values["seeds"])
    if values["path"]:
        check_path(grid, values["folds"], values["lanes_per_call"], values["vary"], config.schedule,
                   config.patience, config.debias_epochs)
    else:
        check_sweep(grid)
    kind = "path" if values["path"] else "sweep"
    if values["dry_run"]:
        return _plan(with_default_name(config, kind), grid, values, given.json)
    with own_folder(config, kind) as config:
        return _sweep(config, grid, values, given.json)


def _plan(config: Config, grid: Grid, values: Mapping[str, Any], as_json: bool) -> int:
    kind = "path" if values["path"] else "sweep"
    folder = SweepFolder(str(config.model_dir), config.resume, kind)
    dataset = data_here(config, **_lanes_checked(grid, values))
    check_folds(values["folds"], dataset)
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.sweep.dry_run import plan_sweep

    return show_plan(*plan_sweep(config, grid, values, dataset, folder, kind), as_json)


def _lanes_checked(grid: Grid, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"lanes": values["lanes_per_call"] or 1, "penalize": grid.penalize, "strengths": grid.strengths,
            "replicas": False}


def _sweep(config: Config, grid: Grid, values: Mapping[str, Any], as_json: bool) -> int:
    SweepFolder(str(config.model_dir), config.resume, "path" if values["path"] else "sweep")  # Refused, if it is.
    dataset = preflight(config, **_lanes_checked(grid, values))
    if dataset is not None:
        check_folds(values["folds"], dataset)
    # TensorFlow is imported only now, so that help, a bad flag, a bad file and a folder in use are answered at once.
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.console import open_console
    from reglab.run.loop import Interrupted
    from reglab.sweep.progress import Stopped, goes_on

    console = open_console(sys.stderr if as_json else sys.stdout)
    with advising(goes_on(config.model_dir), Stopped, Interrupted):
        result = (_show_path if values["path"] else _show_sweep)(config, grid, values, dataset, console)
    if as_json:
        print(json.dumps(result, allow_nan=False))
    return exit_codes.DIVERGED if all(point["diverged"] for point in result["points"]) else exit_codes.SUCCESS


def _show_sweep(config: Config, grid: Grid, values: Mapping[str, Any], dataset: Dataset | None,
                console: Any) -> dict[str, Any]:
    from reglab.sweep.experiment import sweep
    from reglab.sweep.outputs import table

    done = sweep(config, grid, seeds=values["seeds"], folds=values["folds"], selection=values["select"],
                 lanes_per_call=values["lanes_per_call"], vary=values["vary"], data=dataset, console=console)
    console.message(f"\n{table(done.result)}\n")
    console.message("\n".join(done.result["findings"]["sentences"]))
    console.message("\n".join([done.result["findings"]["standard_error"], *_saved(done), *_tested(done.result)]) + "\n")
    path = done.folder.path
    console.message(f"Written to {path}: sweep.json, sweep.csv, pictures (.png, .svg){_winners_in(path)}")
    console.message(f"tensorboard --logdir {path / 'tensorboard'}")
    return done.result


def _show_path(config: Config, grid: Grid, values: Mapping[str, Any], dataset: Dataset | None,
               console: Any) -> dict[str, Any]:
    from reglab.sweep.path_results import path_sentences, path_table
    from reglab.sweep.pathway import path

    done = path(config, grid, seeds=values["seeds"], selection=values["select"], data=dataset, console=console)
    console.message(f"\n{path_table(done.result)}\n")
    console.message("\n".join([*path_sentences(done.result), *_tested(done.result)]) + "\n")
    where = done.folder.path
    console.message(f"Written to {where}: path.json, path.csv, pictures (.png, .svg){_winners_in(where)}")
    console.message(f"tensorboard --logdir {done.folder.path / 'tensorboard'}")
    return done.result


def _winners_in(folder: pathlib.Path) -> str:
    return "".join(f", {name}/" for name in ("winner", "winner_1se") if (folder / name).exists())


def _saved(done: Sweep) -> list[str]:
    from reglab.lab.savings import sentence

    if (saved := done.result.get("early_stopping")) is None:
        return []
    timing = done.folder.read_json("timing.json")
    return [sentence(saved, timing["place_steps"] if timing["lanes_trained"] == saved["lanes"] else None)]


def _tested(result: Mapping[str, Any]) -> list[str]:
    return [result["test"]["sentence"]] if result["test"] is not None else []


main: Final = Command("reglab.sweep", PURPOSE, _sweep_in_folder, extra_flags, WITHOUT, BY_SWEEP).main

if __name__ == "__main__":
    run_process(main)
