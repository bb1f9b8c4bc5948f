"""`python -m reglab.certify run DIR`: see `PURPOSE`."""

from __future__ import annotations

import sys
from typing import Final

from reglab.cli.commands import Command
from reglab.cli.flags import CommandLine, ExtraFlags
from reglab.cli.preflight import preflight
from reglab.config import ConfigError
from reglab.config.checks import one_of
from reglab.inputs import exit_codes
from reglab.run.kept_run import check_data, kept_config, kept_folder
from reglab.storage.json_values import strict_json
from reglab.trained.source import STATES, read_source

PURPOSE: Final = (
    "Compute the figures of a run again in float64, from its weights and its data alone, and hold its event files, "
    "metrics.jsonl and result.json to them: exit code 4 if one does not hold. Says how far every array is from a "
    "stationary point of the objective, and so whether the network is sparse or just under-trained.")
FLAGS: Final[ExtraFlags] = {
    "model_dir": (str, "Folder of the run; of a sweep its winner/ or winner_1se/.", None),
    "state": (str, "last (the newest checkpoint) or best (lowest validation data loss).", "last"),
}


def _work(given: CommandLine) -> int:
    name, state = given.values["model_dir"], given.values["state"]
    if not name:
        raise ConfigError("certify run: name the folder of a run, as in python -m reglab.certify run DIR")
    one_of(*STATES)("state", state)
    folder = kept_folder(name)
    read_source(folder)
    dataset = preflight(kept_config(folder), replicas=False)
    if dataset is not None:
        check_data(folder, dataset)
    from reglab.engine.startup import quiet_tensorflow
    quiet_tensorflow(whole_process=True)
    from reglab.certify.answers import answer, cautions, lines_of
    from reglab.certify.certificate import certify, to_dict

    found = certify(folder, state, data=dataset)
    out = sys.stderr if given.json else sys.stdout
    print(f"{folder}: {state} state, step {found.network.step:,}, {found.network.model.describe()}, "
          f"{found.network.config.precision}, computed again in float64", file=out)
    for line in lines_of(found):
        print(line, file=out)
    if given.json:
        print(strict_json({**to_dict(found, state), "cautions": cautions(found), "answer": answer(found)}))
    return exit_codes.SUCCESS if found.holds else exit_codes.VERDICT_FAILED


COMMAND: Final = Command("reglab.certify run", PURPOSE, _work, FLAGS, trains=False, folder_first=True)
