"""A part of a sweep says which it is, and nothing else is believed."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import pytest

from reglab.lab.lanes import Lane
from reglab.sweep.parts import NotThePart, identity, read_sealed, sealed

NUMBERS = {"epochs": [1, 2], "train": {"data_loss": [[0.1, None], [1e-300, 3.0]]}}
LANES = [Lane(l1=0.0, l2=0.1, learning_rate=1e-3, seed=0), Lane(l1=0.0, l2=0.1, learning_rate=1e-3, seed=1)]


def part(plan: str = "a", number: int = 1, fold: int | None = None, lanes: list[Lane] = LANES,
         steps: int = 10) -> dict[str, Any]:
    return identity(plan, number, fold, lanes, steps)


def written(path: pathlib.Path, **of_part: Any) -> pathlib.Path:
    path.write_text(json.dumps(sealed(NUMBERS, part(**of_part))) + "\n")
    return path


def test_what_was_sealed_comes_back(tmp_path: pathlib.Path) -> None:
    assert read_sealed(written(tmp_path / "a.json", fold=2), part(fold=2)) == NUMBERS
    indented = json.dumps(sealed(NUMBERS, part()), indent=1, sort_keys=True)
    (tmp_path / "a.json").write_text(indented + "\n")
    assert read_sealed(tmp_path / "a.json", part()) == NUMBERS
    assert read_sealed(tmp_path / "none.json", part()) is None


@pytest.mark.parametrize(("change", "said"), [
    ({"plan": "b"}, "is of another sweep"), ({"number": 0}, "holds part 0 in place of part 1"),
    ({"fold": 0}, "holds part 1"),
    ({"lanes": LANES[:1]}, "holds part 1"), ({"steps": 11}, "holds part 1")])
def test_another_part_is_refused(tmp_path: pathlib.Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(NotThePart, match=said):
        read_sealed(written(tmp_path / "a.json", **change), part())


def test_every_damage_is_found(tmp_path: pathlib.Path) -> None:
    path = written(tmp_path / "a.json")
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at])
        with pytest.raises(NotThePart):
            read_sealed(path, part())
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        with pytest.raises(NotThePart):
            read_sealed(path, part())


@pytest.mark.parametrize(("text", "said"), [
    (json.dumps(NUMBERS), "as an older reglab wrote it"), ("[]", "is damaged"), ("", "is damaged"),
    ("[" * 100_000, "is damaged"),
    (json.dumps({**NUMBERS, "part": part(), "digest": 1}), "is damaged or was changed"),
    (json.dumps({**sealed(NUMBERS, part()), "epochs": [1, 3]}), "is damaged or was changed"),
    ('{"part": {}, "digest": "", "epochs": NaN}', "is damaged"), ("\xff", "is damaged")])
def test_what_is_no_part(tmp_path: pathlib.Path, text: str, said: str) -> None:
    (tmp_path / "a.json").write_text(text + "\n", encoding="latin-1")
    with pytest.raises(NotThePart, match=said):
        read_sealed(tmp_path / "a.json", part())


def test_what_is_no_file(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nothing")
    for name, said in (("pipe", "is no ordinary file"), ("link", "is a link to nothing"),
                       (".", "is a folder, not a file")):
        with pytest.raises(NotThePart, match=said):
            read_sealed(tmp_path / name, part())
