"""`python -m reglab.export --model_dir=runs/a`: the network of a run, for use elsewhere. See `--help`."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from reglab import exit_codes, flags
from reglab.commands import run_command, run_process
from reglab.config import ConfigError
from reglab.console.format import percent
from reglab.export.outputs import check_output, output_path, owning_output, run_folder
from reglab.export.source import read_source
from reglab.texts import shown

STATES: Final = ("best", "last")
PURPOSE: Final = ("Write the network of a run as a Keras model, a SavedModel or NumPy arrays, and check that what was "
                  "written gives the logits of the run's network.")
FLAGS: Final[flags.ExtraFlags] = {
    "model_dir": (str, "Folder of the run; of a sweep its winner/ or winner_1se/.", None),
    "output": (str, "*.keras for a Keras model, *.npz for NumPy arrays, any other name for a SavedModel folder; else "
                    "model.keras in the folder of the run.", None),
    "state": (str, "best (lowest validation data loss) or last.", "best"),
}


def main(argv: list[str]) -> int:
    """Parses the command line, exports, and returns the exit code (see `exit_codes`)."""
    return run_command(_main, argv)


def _main(argv: list[str]) -> int:
    values, as_json, wants_help = flags.parse_own(argv, FLAGS)
    if wants_help:
        print(flags.help_text("reglab.export", PURPOSE, FLAGS, trains=False))
        return exit_codes.SUCCESS
    if not values["model_dir"]:
        raise ConfigError("--model_dir is missing: name the folder of a run")
    if values["state"] not in STATES:
        raise ConfigError(f"--state={shown(values['state'])}: choose one of {', '.join(STATES)}")
    path = output_path(values["model_dir"], values["output"] or None)
    with owning_output(values["model_dir"], path):
        check_output(path)
        read_source(run_folder(values["model_dir"]))
        return _export(values, as_json)


def _export(values: dict[str, Any], as_json: bool) -> int:
    # TensorFlow is imported only now, so that help, a bad flag, a bad folder and an output in use are answered at once.
    from reglab.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.export.exporting import WrongCopy, export

    try:
        done = export(values["model_dir"], values["output"] or None, state=values["state"])
    except WrongCopy as error:
        print(f"reglab: {error}", file=sys.stderr)
        return exit_codes.VERDICT_FAILED
    _show(done, sys.stderr if as_json else sys.stdout)
    if as_json:
        print(json.dumps(done.to_dict()))
    return exit_codes.SUCCESS


def _show(done: Any, out: Any) -> None:
    network = done.network
    known = "" if network.validation is None else (
        f", validation data loss {network.validation['data']:.4g}, accuracy {percent(network.validation['accuracy'])}")
    units = "" if network.divisor == 1 else f", 0 to {network.divisor:g}"
    print(f"Network     {done.state} state, step {network.step:,}{known}\n"
          f"Takes       x of [batch, {', '.join(map(str, network.input_shape))}] as the data have it{units}; "
          f"gives logits of {network.classes} classes\n"
          f"Checked     read back, its logits differ by {done.largest_difference:.1e} of the largest at most\n"
          f"Written to  {done.output} ({done.format}): {done.usage}", file=out)


if __name__ == "__main__":
    run_process(main)
