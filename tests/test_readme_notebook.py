"""The README's Python runs in a notebook, as it stands there, and leaves nothing in it but results."""

from __future__ import annotations

import ast
import pathlib
import re
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

README = pathlib.Path(__file__).parent.parent / "README.md"
USERS_OWN = """
from sklearn.datasets import load_digits
x, y = load_digits(return_X_y=True)
x_train, y_train, x_test, y_test, x_new = x[:900], y[:900], x[900:1200], y[900:1200], x[1200:]"""
"""What the README supposes a user has."""


def statements() -> list[str]:
    """Every statement of the README's blocks of Python, which begin with an import."""
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", README.read_text(encoding="utf-8"), re.MULTILINE)
    python = [re.sub("^    ", "", block, flags=re.MULTILINE).strip() for block in blocks]
    python = [block for block in python if block.startswith(("import ", "from "))]
    return [str(ast.get_source_segment(block, node)) for block in python for node in ast.parse(block).body]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The outputs of each statement, each in a cell of its own."""
    cells = [nbformat.v4.new_code_cell(source) for source in (USERS_OWN, *statements())]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path_factory.mktemp("notebook")}}
                   ).execute()
    return {cell.source: cell.outputs for cell in notebook.cells}


def result(outputs: dict[str, list[Any]], source: str) -> str:
    """The text of the one result of a statement."""
    (output,) = outputs[source]
    assert output.output_type == "execute_result"
    return str(output.data["text/plain"])


def test_progress_leaves_one_text_and_no_other_statement_prints(outputs: dict[str, list[Any]]) -> None:
    assert len(outputs) > 15
    shown = {source: [output for output in found if output.output_type != "execute_result"]
             for source, found in outputs.items()}
    (source,) = [source for source, found in shown.items() if found]
    assert "progress=True" in source
    (output,) = shown[source]
    assert output.output_type == "display_data"
    lines = output.data["text/plain"].splitlines()
    assert re.match(r"Done after 340 steps in \d+\.\d s, [\d.e+]+ steps/s$", lines[0])
    assert [line.split()[0] for line in lines[1:4]] == ["Training", "Validation", "Gap"]
    assert "\r" not in output.data["text/plain"]


def test_what_it_shows_is_short_and_what_the_readme_says(outputs: dict[str, list[Any]]) -> None:
    gap = ast.literal_eval(result(outputs, 'history.result["gap"]'))
    assert gap == pytest.approx({"data_loss": 0.0049, "accuracy": 0.0008}, abs=5e-3)
    for source in ("history.evaluate().result[\"accuracy\"]", 'reglab.evaluate("runs/mine", mine).result["accuracy"]'):
        accuracy = ast.literal_eval(result(outputs, source))
        assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert "train/data_loss" in result(outputs, "history.to_frame()")
    (picture,) = outputs["history.plot()"]
    assert "image/png" in picture.data
    assert "Sequential" in result(outputs, "history.model()")
    assert result(outputs, 'reglab.fit(reglab.Config(l1=1e-3, model_dir="runs/mine"), data=mine)').startswith(
        "<History of 10 epochs, 230 steps: training data loss ")
    assert ast.literal_eval(result(outputs, "search.best_estimator_.coefs_[0].shape")) == (64, 128)
    ours = [output.data["text/plain"] for found in outputs.values() for output in found
            if output.data["text/plain"].startswith("<")]
    assert len(ours) > 3
    assert max(map(len, ours)) < 200
