"""The error for everything a user gave that cannot be used."""

from __future__ import annotations

from reglab.inputs import exit_codes
from reglab.inputs.texts import one_line


class ConfigError(exit_codes.Ending, ValueError):
    """Something the user gave cannot be used: a flag, a file or a combination.

    Its message is one line of at most 500 characters that names flags (see `inputs.spelling`); values that it quotes go
    through `texts.shown`.
    """

    exit_code = exit_codes.BAD_INPUT

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
