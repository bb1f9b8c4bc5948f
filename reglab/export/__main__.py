"""`python -m reglab.export --model_dir=runs/a`: the network of a run, for use elsewhere. See `--help`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from reglab.cli.commands import Command, run_process
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.config import ConfigError
from reglab.config.checks import one_of, require
from reglab.console.format import percent
from reglab.export.kinds import KINDS, check_packages, chosen
from reglab.export.outputs import check_output, output_path, owning_output
from reglab.inputs import exit_codes
from reglab.trained.source import STATES, read_source, run_folder

PURPOSE: Final = ("Write the network of a run as a Keras model, a SavedModel, NumPy arrays, ONNX or TensorFlow Lite, "
                  "and check that what was written gives the logits of the run's network.")
FLAGS: Final[ExtraFlags] = {
    "model_dir": (str, "Folder of the run; of a sweep its winner/ or winner_1se/.", None),
    "output": (str, "The file, or the folder for a SavedModel; else model.keras, or the like, in the folder of the "
                    "run.", None),
    "format": (tuple(KINDS), f"{', '.join(KINDS)}; else that of the ending of --output (.keras, .npz, .onnx, .tflite), "
                             "and savedmodel for any other name.", None),
    "state": (STATES, "best (lowest validation data loss) or last.", "best"),
    "prune": (bool, "Leave out the units that no logit needs, which changes no logit: those whose outgoing weights are "
                    "all 0, and those whose incoming weights are, whose constants biases take over.", False),
    "drop_inputs": (bool, "With --prune: the network takes only the inputs that it uses, as [batch, used inputs]; "
                          "--json and an .npz file tell which these are, under inputs.", False),
}


def _export_owned(given: CommandLine) -> int:
    values = given.values
    if not values["model_dir"]:
        raise ConfigError("--model_dir is missing: name the folder of a run")
    one_of(*STATES)("state", values["state"])
    require(values["prune"] or not values["drop_inputs"], "drop_inputs", True, "it needs --prune: give both")
    path = output_path(values["model_dir"], values["output"] or None, values["format"])
    check_packages(chosen(values["format"], path))
    with owning_output(values["model_dir"], path):
        check_output(path)
        read_source(run_folder(values["model_dir"]))
        return _export(values, given.json)


def _export(values: Mapping[str, Any], as_json: bool) -> int:
    # TensorFlow is imported only now, so that help, a bad flag, a bad folder and an output in use are answered at once.
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.export.exporting import export

    done = export(values["model_dir"], values["output"] or None, state=values["state"], format=values["format"],
                  prune=values["prune"], drop_inputs=values["drop_inputs"])
    _show(done, sys.stderr if as_json else sys.stdout)
    if as_json:
        print(json.dumps(done.to_dict()))
    return exit_codes.SUCCESS


def _show(done: Any, out: Any) -> None:
    network = done.network
    known = "" if network.validation is None else (
        f", validation data loss {network.validation['data_loss']:.4g}, "
        f"accuracy {percent(network.validation['accuracy'])}")
    pruned = [] if done.pruning is None else done.pruning.lines()
    units = "" if network.divisor == 1 else f", 0 to {network.divisor:g}"
    print(f"Network     {done.state} state, step {network.step:,}{known}\n"
          f"Takes       x of [batch, {', '.join(map(str, network.input_shape))}] as the data have it{units}; "
          f"gives logits of {network.classes} classes\n"
          + "".join(f"{line}\n" for line in pruned) +
          f"Checked     read back, its logits differ by {done.largest_difference:.1e} of the largest at most, on "
          f"{done.compared_on}\n"
          f"Written to  {done.output} ({done.format}): {done.usage}", file=out)


main: Final = Command("reglab.export", PURPOSE, _export_owned, FLAGS, trains=False).main

if __name__ == "__main__":
    run_process(main)
