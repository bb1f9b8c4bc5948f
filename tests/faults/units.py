"""Damage of more than one file at once, and swaps: what lies there is whole, but not what its name says."""

from __future__ import annotations

import functools
import itertools
import pathlib
import random
import re
import shutil

from tests.faults.trees import remove
from tests.faults.ways import Way


def of(template: pathlib.Path, lender: pathlib.Path | None) -> list[tuple[str, str, Way]]:
    """Target, name and way of each; `lender` is another run, which lends its files to a damaged one."""
    found: list[tuple[str, str, Way]] = []
    for folder in sorted({path.parent for path in template.rglob("ckpt-*.index")}):
        at = str(folder.relative_to(template))
        prefixes = sorted({path.name.split(".")[0] for path in folder.glob("ckpt-*.index")},
                          key=lambda name: int(name[5:]))
        for a, b in itertools.permutations(prefixes, 2):
            found.append((f"{at}/{b}.index", f"and its data from {a}", functools.partial(_copy_prefix, a, b)))
            found.append((f"{at}/{b}.data-00000-of-00001", f"from {a}", functools.partial(_copy_one, a)))
        found.append((f"{at}/{prefixes[-1]}.index", "and its data removed", functools.partial(_remove_prefix)))
        if len(prefixes) > 1:
            found.append((at, "without all indexes", _remove_indexes))
            found.append((at, "with all data bit-flipped", _flip_all))
    if lender is not None:
        for path in sorted(lender.rglob("*")):
            target = str(path.relative_to(lender))
            if (template / target).is_file() and path.is_file():
                found.append((target, "from another run", functools.partial(_borrow, path)))
        for split in ("train", "validation"):
            mine, theirs = (next((place / split).glob("events.out.*"), None) for place in (template, lender))
            if mine is not None and theirs is not None:
                found.append((f"{split}/{mine.name}", "from another run", functools.partial(_borrow, theirs)))
        for prefix in sorted(lender.rglob("ckpt-*.index")):
            target = str(prefix.relative_to(lender))
            if (template / target).is_file():
                found.append((target, "and its data from another run", functools.partial(_borrow_prefix, prefix)))
        found.append(("checkpoints/best", "from another run", functools.partial(
            _borrow_folder, lender / "checkpoints" / "best")))
        found.append(("checkpoints", "from another run", functools.partial(_borrow_folder, lender / "checkpoints")))
    chunks = sorted((template / "chunks").glob("*.json"))
    for a, b in itertools.permutations(chunks[:3], 2):
        found.append((f"chunks/{b.name}", f"from {a.name}", functools.partial(_copy_one_whole, a.name)))
    return found


def _copy_prefix(a: str, b: str, path: pathlib.Path, rng: random.Random) -> None:
    for source in sorted(path.parent.glob(f"{a}.*")):
        shutil.copy(source, path.with_name(b + source.name[len(a):]))


def _copy_one(a: str, path: pathlib.Path, rng: random.Random) -> None:
    shutil.copy(path.with_name(re.sub(r"^ckpt-\d+", a, path.name)), path)


def _copy_one_whole(name: str, path: pathlib.Path, rng: random.Random) -> None:
    shutil.copy(path.with_name(name), path)


def _remove_prefix(path: pathlib.Path, rng: random.Random) -> None:
    for file in path.parent.glob(f"{path.name.split('.')[0]}.*"):
        file.unlink()


def _remove_indexes(path: pathlib.Path, rng: random.Random) -> None:
    for file in path.glob("ckpt-*.index"):
        file.unlink()


def _flip_all(path: pathlib.Path, rng: random.Random) -> None:
    for file in path.glob("ckpt-*.data-*"):
        data = bytearray(file.read_bytes())
        data[rng.randrange(len(data))] ^= 1
        file.write_bytes(data)


def _borrow(source: pathlib.Path, path: pathlib.Path, rng: random.Random) -> None:
    shutil.copy(source, path)


def _borrow_prefix(source: pathlib.Path, path: pathlib.Path, rng: random.Random) -> None:
    for file in source.parent.glob(f"{source.name.split('.')[0]}.*"):
        shutil.copy(file, path.with_name(file.name))


def _borrow_folder(source: pathlib.Path, path: pathlib.Path, rng: random.Random) -> None:
    remove(path)
    shutil.copytree(source, path)
