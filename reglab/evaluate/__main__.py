"""`python -m reglab.evaluate runs/a`: evaluates a trained network on examples that chose nothing. See `--help`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from reglab.cli.commands import Command, run_process
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.config import FLAGS as RUN_FLAGS
from reglab.config import ConfigError
from reglab.inputs import exit_codes
from reglab.trained.source import SPLITS, STATES, Source, read_source, run_folder

if TYPE_CHECKING:
    import pathlib

    from reglab.evaluate.subject import Subject

PURPOSE: Final = ("Look at the network of a run with the test part of its data, or with new data: data loss, accuracy, "
                  "precision and recall of each class, confusion matrix, calibration. Looks are noted in the folder.")
FLAGS: Final[ExtraFlags] = {
    "model_dir": (str, "Folder of the run, which may also come first, without the flag; of a sweep its winner/.", None),
    "dataset": (str, "New data: digits, mnist, fashion_mnist, cifar10, cifar100 or an .npz, .csv or .parquet file; "
                     "its test part or, where there is none, all of it. Else the data of the run.", None),
    "data_dir": (str, "Folder of the files of the run's data, or of --dataset; else where the run found them.", None),
    "split": (SPLITS, "test, validation or train; else test.", None),
    "state": (STATES, "best (lowest validation data loss) or last.", "best"),
    "output": (str, "Folder for the pictures and evaluation.json; else one in evaluation/ in the folder of the run.",
               None),
}


def _evaluate(given: CommandLine) -> int:
    values = given.values
    if not values["model_dir"]:
        raise ConfigError("the folder of a run is missing: name it first, or with --model_dir")
    from reglab.evaluate.subject import check_options  # Imports NumPy, which help and bad flags do not need.

    check_options(values["split"], values["state"])
    for name in ("dataset", "data_dir"):
        RUN_FLAGS[name].check(values[name] or None)
    folder = run_folder(values["model_dir"])
    source = read_source(folder)
    subject = _found_here(folder, source, values)
    # TensorFlow is imported only now, so that help, a bad flag, a bad folder and bad data are answered at once.
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.evaluate.evaluating import look
    from reglab.evaluate.report import table

    done = look(folder, subject or _find(folder, source, values), state=values["state"],
                output=values["output"] or None)
    out = sys.stderr if given.json else sys.stdout
    print(f"{table(done.result)}\n\n" + "\n".join(done.result["sentences"]) + f"\n\nWritten to {done.folder}", file=out)
    if given.json:
        print(json.dumps(done.result, allow_nan=False))
    return exit_codes.SUCCESS


def _found_here(folder: pathlib.Path, source: Source, values: Any) -> Subject | None:
    """Finds the examples, or returns None if they must be downloaded, which needs TensorFlow."""
    from reglab.data import is_here

    dataset = values["dataset"] or source.config.dataset
    data_dir = values["data_dir"] or (None if values["dataset"] else source.config.data_dir)
    return _find(folder, source, values) if is_here(dataset, data_dir) else None


def _find(folder: pathlib.Path, source: Source, values: Any) -> Subject:
    from reglab.evaluate.subject import find_subject

    return find_subject(folder, source, **{name: values[name] or None for name in ("dataset", "data_dir", "split")})


main: Final = Command("reglab.evaluate", PURPOSE, _evaluate, FLAGS, trains=False, folder_first=True).main

if __name__ == "__main__":
    run_process(main)
