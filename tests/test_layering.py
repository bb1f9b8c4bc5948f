"""Imports point downward: a module imports modules of lower floors, or of its own folder. And imports stay light."""

from __future__ import annotations

import ast
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "reglab"

# A folder stands for every module in it, but for `core`, whose modules and folders are rooms of their own.
FLOORS: dict[str, int] = {name: floor for floor, names in enumerate((
    ("texts", "core/lazily"),
    ("numerals", "inputs", "patterns", "exit_codes", "core/penalties", "parameters"),
    ("strengths", "core/models"),
    ("config", "signals", "environment", "intervals",
     "files", "locks", "noise", "reading"),
    ("layers",),
    ("memory",),
    ("compile_cache", "listener", "processes", "arguments", "grid", "core/terms", "optimizers", "data",
     "distribution", "cluster", "console", "plots", "event_file", "ownership", "records", "run_file", "result_file"),
    ("step", "strategies", "startup", "flags", "preflight", "summaries", "checkpoint_files", "logged"),
    ("kept_run", "measurement", "commands", "checkpoint_reading", "restart", "logs"),
    ("program", "run_directory", "checkpoint"),
    ("best", "lane_program", "divergence"),
    ("assembly",),
    ("opening", "nonfinite", "lane_blowups"),
    ("journal",),
    ("report", "lanes", "exactness"),
    ("loop", "lane_summaries"),
    ("sweep", "compare", "benchmark", "export", "launch", "rerun"),
    ("train", "certify", "__main__"),
)) for name in names}

MODULES = sorted(path for path in PACKAGE.rglob("*.py")
                 if path not in (PACKAGE / "__init__.py", PACKAGE / "core" / "__init__.py"))


def room(path: pathlib.Path) -> str:
    """The module's or folder's name right under the package; an entry of a folder stands where all entries stand."""
    return "__main__" if path.stem == "__main__" else _room(path.relative_to(PACKAGE).with_suffix("").parts)


def _room(parts: tuple[str, ...]) -> str:
    return "/".join(parts[:2 if parts[:1] == ("core",) else 1])


def imported_rooms(source: str, folders: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and room of every import of reglab, anywhere in `source`, a module in `folders` under the package's root."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name != "reglab"]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "reglab":
            names = [f"reglab.{node.attr}"]
        elif isinstance(node, ast.ImportFrom):
            absolute = ("reglab", *folders)[:len(folders) + 2 - node.level] if node.level else ()
            start = ".".join([*absolute, *([node.module] if node.module else [])])
            names = [f"{start}.{alias.name}" for alias in node.names] if start in ("reglab", "reglab.core") else [start]
        else:
            continue
        for name in names:
            if name.startswith("reglab.") and name != "reglab.__version__":
                yield node.lineno, _room(tuple(name.split(".")[1:]))


def violations(name: str, source: str, folders: tuple[str, ...] = ()) -> list[str]:
    """Every import in the room `name` that does not point downward, for people."""
    if name not in FLOORS:
        return [f"reglab/{name} has no floor: add it to FLOORS in {pathlib.Path(__file__).name}"]
    found = []
    for line, target in imported_rooms(source, folders):
        if target not in FLOORS:
            found.append(f"line {line}: reglab.{target} is no module with a floor: import the module "
                         "that defines it")
        elif FLOORS[target] >= FLOORS[name] and target != _room(folders):
            found.append(f"line {line}: {name} (floor {FLOORS[name]}) imports {target} (floor {FLOORS[target]}): "
                         "imports point downward only")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path: pathlib.Path) -> None:
    folders = path.relative_to(PACKAGE).parts[:-1]
    assert not (found := violations(room(path), path.read_text(), folders)), "\n".join(found)


@pytest.mark.parametrize(("name", "source", "folders", "problem"), [
    ("step", "import reglab.program", (), "point downward"),
    ("step", "import reglab.step", (), "point downward"),
    ("distribution", "from reglab import optimizers", (), "point downward"),
    ("distribution", "def f():\n  from reglab.optimizers import Adam", (), "line 2.*point downward"),
    ("distribution", "from . import optimizers", (), "point downward"),
    ("distribution", "from .optimizers import Adam", (), "point downward"),
    ("data", "from ..optimizers import SGD", ("data",), "point downward"),
    ("data", "from .. import optimizers", ("data",), "point downward"),
    ("distribution", "from reglab import Config", (), "import the module that defines it"),
    ("distribution", "import reglab\nreglab.fit()", (), "line 2.*import the module that defines it"),
    ("distribution", "import reglab\nreglab.optimizers.Adam()", (), "line 2.*point downward"),
    ("novelty", "", (), "novelty has no floor: add it")])
def test_a_wrong_import_is_found(name: str, source: str, folders: tuple[str, ...], problem: str) -> None:
    found = violations(name, source, folders)
    assert len(found) == 1
    assert re.search(problem, found[0])


@pytest.mark.parametrize(("name", "source", "folders"), [
    ("step", "import reglab.optimizers as m, tensorflow as tf\nfrom reglab.config import Config", ()),
    ("data", "from reglab.data.idx import read\nfrom .npz import read\nfrom . import digits", ("data",)),
    ("distribution", "import reglab\nprint(reglab.__version__)", ()),
    ("distribution", "import regular\nfrom reglabel import x", ())])
def test_a_right_import_passes(name: str, source: str, folders: tuple[str, ...]) -> None:
    assert not violations(name, source, folders)


@pytest.mark.parametrize("modules", ["reglab, reglab.config", "reglab.data, reglab.console, reglab.startup"])
def test_what_needs_no_tensorflow_does_not_import_it(modules: str) -> None:
    code = f"import sys, {modules}; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
