"""`run.json`: read back as it was written, or not believed."""

from __future__ import annotations

import json
import pathlib

import pytest

from reglab.run.run_file import RunFile, read_run_file
from reglab.storage.reading import Missing, Unreadable, sealed


def test_it_is_read_back_as_it_was_written(tmp_path: pathlib.Path) -> None:
    for run_file in (RunFile(), RunFile(saved=7, config={"l1": 0.1}, data={"digest": "0"}, result="a", events=("x",))):
        run_file.write(tmp_path)
        assert read_run_file(tmp_path) == run_file
    assert RunFile().run != RunFile().run


def test_a_missing_one_is_told_from_a_damaged_one(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Missing, match="^is missing$"):
        read_run_file(tmp_path)
    (tmp_path / "run.json").symlink_to("nowhere")
    with pytest.raises(Unreadable, match="^is a link to nothing$") as caught:
        read_run_file(tmp_path)
    assert not isinstance(caught.value, Missing)


def test_every_changed_character_is_noticed(tmp_path: pathlib.Path) -> None:
    RunFile("0123456789abcdef", saved=7, data={"digest": "0"}).write(tmp_path)
    text = (tmp_path / "run.json").read_text()
    for at, character in enumerate(text):
        if character not in " \n":
            (tmp_path / "run.json").write_text(text[:at] + chr(ord(character) ^ 1) + text[at + 1:])
            with pytest.raises(Unreadable):
                read_run_file(tmp_path)


@pytest.mark.parametrize("change", [{"run": "x"}, {"run": 5}, {"saved": -1}, {"saved": 1.5}, {"saved": True},
                                    {"saved": 10**30}, {"config": []}, {"data": "x"}, {"result": 1}, {"events": "x"},
                                    {"events": [1]}])
def test_a_sealed_one_of_wrong_types_is_not_believed(tmp_path: pathlib.Path, change: dict[str, object]) -> None:
    RunFile().write(tmp_path)
    fields = json.loads((tmp_path / "run.json").read_text())
    del fields["sha256"]
    (tmp_path / "run.json").write_text(sealed({**fields, **change}))
    with pytest.raises(Unreadable, match=f"does not tell '{next(iter(change))}'"):
        read_run_file(tmp_path)
