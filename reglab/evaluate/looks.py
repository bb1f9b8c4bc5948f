"""The record of all looks at a run's network with some examples: `evaluation/looks.json` in the folder of the run.

The first look at a test part is an honest estimate. Whatever is changed after it and looked at again was chosen by it.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any, Final

from reglab.config import ConfigError
from reglab.run.restart import EVALUATIONS
from reglab.storage.files import write_atomically
from reglab.storage.reading import Missing, Unreadable, read_sealed, sealed

NAME: Final = f"{EVALUATIONS}/looks.json"
_FIELDS: Final = ("digest", "data", "split", "step", "state", "time", "by")


def read_looks(folder: pathlib.Path) -> list[dict[str, Any]]:
    """Reads the looks so far, first to last: digest, data and split of the examples, step and state, time and command.

    Raises:
      ConfigError: the record is damaged.
    """
    try:
        looks: Any = read_sealed(folder / NAME).get("looks")
        if not isinstance(looks, list) or not all(isinstance(look, dict) and set(look) == {*_FIELDS} for look in looks):
            raise Unreadable("tells no looks")
    except Missing:
        return []
    except Unreadable as error:
        raise ConfigError(f"{folder / NAME} {error}, so whether the test part was looked at before is not known: put "
                          "it back, or move it away to begin anew") from None
    return looks


def note_look(folder: pathlib.Path, look: Mapping[str, Any]) -> None:
    """Adds a look to the record.

    Raises:
      ConfigError: the record is damaged.
      OSError: the file system refuses.
    """
    looks = [*read_looks(folder), dict(look)]
    (folder / NAME).parent.mkdir(exist_ok=True)
    write_atomically(folder / NAME, sealed({"looks": looks}))
