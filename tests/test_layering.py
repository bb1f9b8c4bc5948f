"""Imports point downward: a module imports modules of lower floors, or of its own folder. And imports stay light."""

from __future__ import annotations

import ast
import graphlib
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "reglab"

# A room is a folder right under the package, or a module there; all that is in a folder stands on one floor.
FLOORS: dict[str, int] = {name: floor for floor, names in enumerate((
    ("inputs", "core", "console"),
    ("config", "signals"),
    ("storage", "data"),
    ("cluster",),
    ("engine",),
    ("run", "cli", "offers"),
    ("lab", "trained", "benchmark", "convert", "launch", "train", "records"),
    ("export", "evaluate", "predict", "compare", "certify", "runs", "report"),
    ("sweep", "interactive"),
    ("reproduce", "sklearn"),
    ("__main__",),
)) for name in names}

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path: pathlib.Path) -> str:
    """The name of the folder or module right under the package."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


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
            names = [f"{start}.{alias.name}" for alias in node.names] if start == "reglab" else [start]
        else:
            continue
        for name in names:
            if name.startswith("reglab.") and name != "reglab.__version__":
                yield node.lineno, name.split(".")[1]


def violations(name: str, source: str, folders: tuple[str, ...] = ()) -> list[str]:
    """Every import in the room `name` that does not point downward, for people."""
    if name not in FLOORS:
        return [f"reglab/{name} has no floor: add it to FLOORS in {pathlib.Path(__file__).name}"]
    found = []
    for line, target in imported_rooms(source, folders):
        if target not in FLOORS:
            found.append(f"line {line}: reglab.{target} is no module with a floor: import the module "
                         "that defines it")
        elif FLOORS[target] >= FLOORS[name] and (target,) != folders[:1]:
            found.append(f"line {line}: {name} (floor {FLOORS[name]}) imports {target} (floor {FLOORS[target]}): "
                         "imports point downward only")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_downward(path: pathlib.Path) -> None:
    folders = path.relative_to(PACKAGE).parts[:-1]
    assert not (found := violations(room(path), path.read_text(), folders)), "\n".join(found)


@pytest.mark.parametrize(("name", "source", "folders", "problem"), [
    ("engine", "import reglab.run.loop", ("engine",), "point downward"),
    ("train", "import reglab.train", (), "point downward"),
    ("data", "from reglab import engine", ("data",), "point downward"),
    ("data", "def f():\n  from reglab.engine.program import Program", ("data",), "line 2.*point downward"),
    ("train", "from . import sweep", (), "point downward"),
    ("train", "from .sweep import plan", (), "point downward"),
    ("data", "from ..core.optimizers import SGD\nfrom ..engine import program", ("data",), "line 2.*point downward"),
    ("core", "from ...data import idx", ("core", "models"), "point downward"),
    ("data", "from reglab import Config", ("data",), "import the module that defines it"),
    ("train", "import reglab\nreglab.fit()", (), "line 2.*import the module that defines it"),
    ("data", "import reglab\nreglab.engine.program.run()", ("data",), "line 2.*point downward"),
    ("novelty", "", (), "novelty has no floor: add it")])
def test_a_wrong_import_is_found(name: str, source: str, folders: tuple[str, ...], problem: str) -> None:
    found = violations(name, source, folders)
    assert len(found) == 1
    assert re.search(problem, found[0])


@pytest.mark.parametrize(("name", "source", "folders"), [
    ("engine", "import reglab.core.optimizers as m, tensorflow as tf\nfrom reglab.config import Config", ("engine",)),
    ("data", "from reglab.data.idx import read\nfrom .npz import read\nfrom . import digits", ("data",)),
    ("core", "from ..parameters import Arrays", ("core", "models")),
    ("data", "import reglab\nprint(reglab.__version__)", ("data",)),
    ("train", "import regular\nfrom reglabel import x", ())])
def test_a_right_import_passes(name: str, source: str, folders: tuple[str, ...]) -> None:
    assert not violations(name, source, folders)


def test_modules_import_one_another_in_one_direction() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in names:
                targets = (f"{node.module}.{alias.name}" for alias in node.names)
                graph.setdefault(name, set()).update(t if t in names else node.module for t in targets)
    graphlib.TopologicalSorter({name: targets - {name} for name, targets in graph.items()}).prepare()


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES if path.parent != PACKAGE}),
                         ids=lambda folder: str(folder.relative_to(PACKAGE)))
def test_every_folder_says_in_a_sentence_what_lives_there(folder: pathlib.Path) -> None:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    assert docstring.split("\n")[0].endswith((".", ":", "?"))


@pytest.mark.parametrize("modules", ["reglab, reglab.config", "reglab.data, reglab.console, reglab.engine.startup",
                                     "reglab.convert.__main__", "reglab.sklearn"])
def test_what_needs_no_tensorflow_does_not_import_it(modules: str) -> None:
    code = f"import sys, {modules}; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
