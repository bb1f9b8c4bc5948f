"""The folder of a comparison: all files or none, its own and no other's."""

from __future__ import annotations

import errno
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from reglab.compare import compare
from reglab.compare import files as compare_files
from reglab.compare.files import ComparisonFolder
from reglab.config import Config, ConfigError
from reglab.data import Dataset
from reglab.storage import files
from reglab.storage.files import StorageError, write_atomically
from reglab.storage.ownership import owning

pytestmark = pytest.mark.usefixtures("shared_compilation")

CONFIG = Config(hidden=(3,), l1=0.01, epochs=1, batch_size=8, jit=False)
NAMES = ["compare.csv", "compare.json", "compare.png", "compare.svg", "tensorboard"]


@pytest.fixture(scope="module")
def comparison(dataset: Dataset) -> Any:
    return compare(CONFIG, 2, dataset)


@pytest.fixture
def quick_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files in the place of a picture, which takes a second to draw."""
    def picture(result: Any, folder: pathlib.Path) -> None:
        for kind in ("png", "svg"):  # Of a PNG no more than its size is read.
            write_atomically(folder / f"compare.{kind}", bytes(24))

    monkeypatch.setattr(compare_files, "compare_picture", picture)


def names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_files_and_no_lock(tmp_path: pathlib.Path, comparison: Any) -> None:
    folder = ComparisonFolder(str(tmp_path / "new"))
    assert names(tmp_path / "new") == [".partial", ".reglab.lock"]
    folder.write(comparison)
    folder.close()
    assert names(tmp_path / "new") == NAMES


def test_it_is_owned_until_it_is_closed(tmp_path: pathlib.Path) -> None:
    folder = ComparisonFolder(str(tmp_path))
    with owning(tmp_path):  # This thread may.
        pass
    assert ".reglab.lock" in names(tmp_path)
    folder.close()
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["compare.csv", "compare.png", "compare.json", "none"])
def test_a_refusal_leaves_nothing(tmp_path: pathlib.Path, comparison: Any, name: str, quick_picture: None,
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    original, renamed = files.os.replace, os.rename

    def full(source: Any, target: Any) -> None:
        if pathlib.Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(source, target)

    def move(source: Any, target: Any) -> None:
        if name == "none" and pathlib.Path(target) == tmp_path / "compare.svg":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(target))
        renamed(source, target)

    folder = ComparisonFolder(str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", full)
        patch.setattr(os, "rename", move)
        with pytest.raises(StorageError, match="No space left on device|Input/output error"):
            folder.write(comparison)
    folder.close()
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_removed_or_moved_in(tmp_path: pathlib.Path, comparison: Any,
                                                           quick_picture: None) -> None:
    killed = ComparisonFolder(str(tmp_path))
    killed._write_partial(comparison)
    (tmp_path / ".partial" / "compare.json").unlink()
    (tmp_path / ".partial" / ".compare.json.tmp").write_text("{")
    killed._owned.close()
    killed = ComparisonFolder(str(tmp_path))
    assert list((tmp_path / ".partial").iterdir()) == []
    killed._write_partial(comparison)
    os.rename(tmp_path / ".partial" / "compare.csv", tmp_path / "compare.csv")
    killed._owned.close()
    with pytest.raises(ConfigError, match="already holds a finished comparison"):
        ComparisonFolder(str(tmp_path))
    assert [name for name in names(tmp_path) if name != ".partial"] == NAMES


@pytest.mark.parametrize("name", ["notes.txt", "tensorboard/none/train/events.out.tfevents.1.host",
                                  "mine/compare.json"])
def test_what_is_not_reglabs_stays(tmp_path: pathlib.Path, name: str, tree: Callable[..., Any]) -> None:
    path = tmp_path / ".partial" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(ConfigError, match=f"already holds .partial/{name}: name a new or an empty folder"):
        ComparisonFolder(str(tmp_path))
    assert tree(tmp_path) == before
