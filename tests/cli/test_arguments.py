"""What is no flag, or none of a flag's names, is answered with the nearest that there is."""

from __future__ import annotations

import pytest

from reglab.cli import flags
from reglab.config import ConfigError


def refusal(argument: str) -> str:
    with pytest.raises(ConfigError) as caught:
        flags.parse([argument])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("argument", "hint"), [
    ("--l3=1", "did you mean --l1?"), ("--optimzer=sgd", "did you mean --optimizer?"),
    ("--nojti", "did you mean --nojit?"), ("--batch-size=8", "did you mean --batch_size?"),
    ("--lr=1", "did you mean --learning_rate?"), ("--lone=1", "did you mean --l1?"),
    ("--l_two=1", "did you mean --l2?"), ("--verison", "did you mean --version?"),
    ("--decay_pateince=1", "did you mean --decay_patience?"),
    ("--schedule=cosin", "did you mean cosine?"), ("--optimiser=sgd", "did you mean --optimizer?"),
    ("--optimizer=adma", "choose one of adam, sgd, momentum, adamw; did you mean adam?"),
    ("--dataset=mnsit", "or give the path of an .npz, .csv or .parquet file; did you mean mnist?"),
    ("--precision=float", "; did you mean float32?"), ("--flagfiles=x", "did you mean --flagfile?")])
def test_what_is_misspelt_is_answered_with_the_nearest_right_name(argument: str, hint: str) -> None:
    assert hint in refusal(argument)


def test_what_is_like_nothing_is_answered_without_a_guess() -> None:
    assert refusal("--xyzzy=1") == "Unknown command line flag 'xyzzy'; --help lists the flags"
    assert refusal("--optimizer=lion") == "--optimizer=lion: choose one of adam, sgd, momentum, adamw"


def test_a_flag_that_only_other_commands_have_is_no_misspelt_one() -> None:
    with pytest.raises(ConfigError, match="^Unknown command line flag 'strategy'; --help lists the flags$"):
        flags.parse_with(["--strategy=x"], {"strategies": (str, "", None)}, {"strategy"})
