"""Where the cache is, what it depends on, and that its entries are checksummed, limited, and never cause a failure."""

from __future__ import annotations

import os
import pathlib

import pytest

from reglab.engine import cache_folder as cache
from reglab.engine.cache_folder import VARIABLE, Entries, cache_folder


def test_which_folder_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for name in (VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder(None) == pathlib.Path("/home/me/.cache/reglab")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # The specification says to ignore relative paths.
    assert cache_folder(None) == pathlib.Path("/home/me/.cache/reglab")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder(None) == pathlib.Path("/xdg/reglab")
    monkeypatch.setenv(VARIABLE, "~/mine")
    assert cache_folder(None) == pathlib.Path("/home/me/mine")
    assert cache_folder("here") == pathlib.Path.cwd() / "here"
    assert cache_folder("off") is None
    monkeypatch.setenv(VARIABLE, "off")
    assert cache_folder(None) is None


@pytest.mark.parametrize(("name", "value"), [
    ("XLA_FLAGS", "--xla_cpu_enable_fast_math=true"), ("TF_XLA_FLAGS", "--tf_xla_min_cluster_size=2"),
    ("TF_ENABLE_ONEDNN_OPTS", "0")])
def test_other_flags_have_another_folder(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.fingerprint()
    assert cache.fingerprint() == before
    monkeypatch.setenv(name, value)
    assert cache.fingerprint() != before


def test_an_entry_is_read_as_it_was_written_and_a_newer_one_takes_its_place(tmp_path: pathlib.Path) -> None:
    entries = Entries(tmp_path, "function")
    assert entries.read("a") is None
    entries.write("a", b"old")
    old, = tmp_path.iterdir()
    os.utime(old, (1, 1))
    entries.write("a", b"new")
    assert entries.read("a") == b"new" and entries.read("b") is None
    assert Entries(tmp_path, "pb").read("a") is None


@pytest.mark.parametrize("damage", [b"", b"cod", b"cOde", b"code and more"])
def test_a_damaged_entry_is_not_read_and_goes(damage: bytes, tmp_path: pathlib.Path) -> None:
    entries = Entries(tmp_path, "function")
    entries.write("a", b"code")
    path, = tmp_path.iterdir()
    path.write_bytes(damage)
    assert entries.read("a") is None and not path.exists()


def test_the_bound_holds_for_all_kinds_together_and_spares_other_files(tmp_path: pathlib.Path,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 25)
    here, there = tmp_path / "here", tmp_path / "there"
    for age, (folder, kind) in enumerate(((here, "pb"), (here, "function"), (there, "function"))):
        folder.mkdir(exist_ok=True)
        Entries(folder, kind).write("a", b"x" * 10)
        path, = folder.glob(f"*.{kind}.*")
        os.utime(path, (1e9 - age, 1e9 - age))
    (here / "my.notes.txt").write_bytes(b"x" * 100)
    Entries(here, "pb").limit()
    assert sorted(path.name.split(".")[1] for path in here.iterdir()) == ["function", "notes", "pb"]
    assert list(there.iterdir()) == []


def test_no_more_entries_of_a_kind_are_kept_than_so_many_programs_have(tmp_path: pathlib.Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_PROGRAMS", 2)
    for kind in ("pb", "function"):
        for age, name in enumerate("abcdefgh"):
            Entries(tmp_path, kind).write(name, b"x")
            path, = tmp_path.glob(f"{name}.{kind}.*")
            os.utime(path, (1e9 - age, 1e9 - age))
    Entries(tmp_path, "pb").limit()
    assert sorted(path.name[0] for path in tmp_path.glob("*.pb.*")) == ["a", "b"]
    assert sorted(path.name[0] for path in tmp_path.glob("*.function.*")) == ["a", "b", "c", "d", "e", "f"]
