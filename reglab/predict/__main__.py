"""`python -m reglab.predict runs/a --input=x.npy --output=y.csv`: a network's predictions. See `--help`."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any, Final

from reglab.cli.commands import Command, run_process
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.config import ConfigError
from reglab.config.checks import one_of
from reglab.inputs import exit_codes
from reglab.inputs.texts import shown
from reglab.trained.source import STATES, read_source, run_folder, usable_place

PURPOSE: Final = ("Write the class of each input, and the probability of every class, by the network of a run. Inputs "
                  "are in the type and the units of the run's data, and may be more than memory holds.")
FLAGS: Final[ExtraFlags] = {
    "model_dir": (str, "Folder of the run, which may also come first, without the flag; of a sweep its winner/.", None),
    "input": (str, "A .npy file of [examples, ...], as numpy.save writes it, flattened or not; or a .csv or .parquet "
                   "table with the columns that the run was trained on.", None),
    "output": (str, "*.npz (arrays class and probabilities), *.npy (one array with these fields), *.csv or *.json.",
               None),
    "state": (STATES, "best (lowest validation data loss) or last.", "best"),
    "overwrite": (bool, "Let the output take the place of a file.", False),
}


def _predict(given: CommandLine) -> int:
    values = given.values
    for name, what in (("model_dir", "the folder of a run"), ("input", "a .npy, .csv or .parquet file"),
                       ("output", "a file to write")):
        if not values[name]:
            raise ConfigError(f"--{name} is missing: name {what}")
    one_of(*STATES)("state", values["state"])
    _check_files(values)
    # TensorFlow is imported only now, so that help, a bad flag and files that cannot be used are answered at once.
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.predict.predicting import predict_file

    done = predict_file(values["model_dir"], values["input"], values["output"], state=values["state"],
                        overwrite=values["overwrite"])
    _show(done.result, sys.stderr if given.json else sys.stdout)
    if given.json:
        print(json.dumps(done.result))
    return exit_codes.SUCCESS


def _check_files(values: Mapping[str, Any]) -> None:
    from reglab.predict.files import check_output, open_inputs  # Imports NumPy, which help does not need.

    folder = run_folder(values["model_dir"])
    check_output(usable_place("output", values["output"]), folder, overwrite=values["overwrite"],
                 read=pathlib.Path(values["input"]))
    open_inputs(values["input"], read_source(folder))


def _show(result: Mapping[str, Any], out: Any) -> None:
    counts, names = result["predicted"], result.get("class_names")
    most = max(range(len(counts)), key=lambda k: counts[k])
    called = shown(str(most if names is None else names[most]), 40)
    left_out = (f"Left out    {shown(', '.join(result['left_out']), 200)}, which the run does not take\n"
                if "left_out" in result else "")
    print(f"Network     {result['state']} state, step {result['step']:,} of {result['run']}\n"
          f"Predicted   {result['examples']:,} examples, {sum(count > 0 for count in counts):,} of {len(counts):,} "
          f"classes; most often class {called}, {counts[most]:,} times\n"
          f"{left_out}Written to  {result['output']}", file=out)


main: Final = Command("reglab.predict", PURPOSE, _predict, FLAGS, trains=False, folder_first=True).main

if __name__ == "__main__":
    run_process(main)
