"""Evaluations of runs: their figures against those of the run and of NumPy, their files, and the record of looks."""

from __future__ import annotations

import json
import pathlib
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import reglab
from reglab.config import Config, ConfigError
from reglab.data import Dataset, Stream, from_arrays, load
from reglab.evaluate import evaluating
from reglab.evaluate.evaluating import evaluate
from reglab.evaluate.looks import read_looks
from reglab.predict.predicting import predict
from reglab.run.loop import fit
from reglab.storage.ownership import owning

pytestmark = pytest.mark.usefixtures("shared_compilation")

KINDS: dict[str, dict[str, Any]] = {"mlp": {}, "cnn": {"model": "cnn", "dropout": 0.2},
                                    "float64": {"precision": "float64"}, "bfloat16": {"precision": "bfloat16"}}
TREE = Callable[[pathlib.Path], dict[str, Any]]


def images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of 4x4 whose class is where they are brighter."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.integers(0, 160, (count, 4, 4)) + 60 * (np.arange(4)[:, None] == y[:, None, None])
    return x.astype(np.uint8), y


def file_of(path: pathlib.Path, test_seed: int = 1) -> str:
    (x, y), (x_test, y_test) = images(90, 0), images(50, test_seed)
    np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    return str(path)


def trained(folder: pathlib.Path, **fields: Any) -> dict[str, Any]:
    """The `result.json` of a run on the file `mine.npz` beside its folder."""
    dataset = file_of(folder.parent / "mine.npz")
    return fit(Config(**{"dataset": dataset, "hidden": (8,), "batch_size": 16, "epochs": 3, "jit": False, "l1": 1e-3,
                         "learning_rate": 0.01, "model_dir": str(folder), **fields})).result


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with `mine.npz` and, in `run/`, a run on it, which names it as one does who is in that folder."""
    folder = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        trained(folder / "run", dataset="mine.npz")
    return folder


@pytest.fixture
def run(whole: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A copy of that run, beside a copy of its data."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Pictures take longer than all else, so they are drawn in one test."""
    with monkeypatch.context() as patch:
        for name in ("confusion_picture", "calibration_picture"):
            patch.setattr(evaluating, name, lambda *arguments: None)
        yield patch


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_are_those_of_the_run_and_of_what_it_predicts(kind: str, tmp_path: pathlib.Path) -> None:
    result, folder = trained(tmp_path / "run", **KINDS[kind]), tmp_path / "run"
    data = load(str(tmp_path / "mine.npz"))
    assert data.sizes == {"train": 72, "validation": 18, "test": 50}
    for state, noted in (("last", result["validation"]), ("best", result["best"])):
        ours = evaluate(folder, split="validation", state=state).result
        assert ours["data_loss"] == pytest.approx(noted["data_loss"], rel=1e-6)
        assert ours["accuracy"]["value"] == noted["accuracy"]
    assert data.test is not None
    on_test, guess = evaluate(folder).result, predict(folder, images(50, 1)[0])
    right = guess.classes == data.test.y
    counts = np.array([[np.sum((data.test.y == k) & (guess.classes == j)) for j in range(3)] for k in range(3)])
    assert on_test["confusion"] == counts.tolist()
    assert on_test["accuracy"]["value"] == right.mean() and on_test["accuracy"]["right"] == right.sum()
    assert on_test["data_loss"] == pytest.approx(
        -np.log(np.float64(guess.probabilities[np.arange(50), data.test.y])).mean(), rel=1e-5)
    for k, row in enumerate(on_test["classes"]):
        assert row["recall"] == pytest.approx(counts[k, k] / counts[k].sum())
        assert row["precision"] is None or row["precision"] == pytest.approx(counts[k, k] / counts[:, k].sum())


def test_it_writes_pictures_and_all_it_says_and_leaves_the_run_alone(
        run: pathlib.Path, tree: TREE, pictures: pytest.MonkeyPatch) -> None:
    pictures.undo()
    before = tree(run)
    done = reglab.evaluate(run)  # The module, which is a function too.
    after = tree(run)
    assert {name: content for name, content in after.items() if not name.startswith("evaluation")} == before
    step = done.result["step"]
    assert done.folder == run / "evaluation" / f"mine-test-step-{step}"
    assert {path.name for path in done.folder.iterdir()} == {
        "evaluation.json", "confusion.png", "confusion.svg", "calibration.png", "calibration.svg"}
    assert json.loads((done.folder / "evaluation.json").read_text()) == done.result
    first, second, third = done.result["sentences"]
    assert first.startswith("On the 50 test examples of mine the network (best state, step ") and "interval" in first
    assert "expected calibration error, 15 bins" in second
    assert third == "This is the first look of the run at this test part."


def test_each_look_at_a_test_part_is_noted_and_the_second_says_so(run: pathlib.Path) -> None:
    first = evaluate(run, state="last")
    evaluate(run, split="validation")
    again = evaluate(run, state="best")
    assert [look["split"] for look in read_looks(run)] == ["test", "validation", "test"]
    (before,) = again.result["looks_before"]
    assert (before["digest"], before["state"], before["by"]) == (first.result["digest"], "last", "reglab.evaluate")
    assert again.result["sentences"][-1].startswith("The run has looked at this test part once before (first by reglab."
                                                    f"evaluate on {before['time'][:10]}, step ")
    assert evaluate(run).result["sentences"][-1].startswith("The run has looked at this test part 2 times before")


def test_a_record_that_is_damaged_is_refused_not_written_over(run: pathlib.Path) -> None:
    evaluate(run)
    path = run / "evaluation" / "looks.json"
    path.write_text(path.read_text().replace("test", "nest"))
    kept = path.read_bytes()
    with pytest.raises(ConfigError, match=r"looks.json is not as it was written, so whether the test part was looked"):
        evaluate(run)
    assert path.read_bytes() == kept


def test_new_data_are_named_and_written_over_no_other_evaluation(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    own = evaluate(run)
    kept = (own.folder / "evaluation.json").read_bytes()
    (tmp_path / "other").mkdir()
    other = evaluate(run, dataset=file_of(tmp_path / "other" / "mine.npz", test_seed=7))
    assert not other.result["is_own"] and other.result["digest"] != own.result["digest"]
    assert other.folder.name == f"{own.folder.name}-2"
    assert other.result["sentences"][-1] == "This is the first look of the run at these data, which are not the run's."
    assert (own.folder / "evaluation.json").read_bytes() == kept
    same = evaluate(run, dataset=str(tmp_path / "mine.npz"))  # By its name, but the very same examples.
    assert same.result["is_own"] and same.folder == own.folder and len(same.result["looks_before"]) == 1
    elsewhere = evaluate(run, output=tmp_path / "new")
    assert elsewhere.folder == tmp_path / "new" and (tmp_path / "new" / "evaluation.json").exists()
    with pytest.raises(ConfigError, match="^--output=.*other exists already: name another folder, or remove it$"):
        evaluate(run, output=tmp_path / "other")


def test_new_data_without_a_test_part_are_looked_at_as_a_whole(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    x, y = images(30, 5)
    np.savez(tmp_path / "new.npz", x_train=x.reshape(30, 16), y_train=np.minimum(y, 1))
    found = evaluate(run, dataset=str(tmp_path / "new.npz")).result
    assert (found["examples"], found["split"]) == (30, "train")
    assert found["classes"][2]["support"] == 0 and found["classes"][2]["recall"] is None


@pytest.mark.parametrize(("x", "y", "said"), [
    (np.zeros((9, 4, 4), np.uint8), np.arange(9) % 4, "label 3 is 3, and the network of the run knows the classes 0 to "
                                                      "2$"),
    (np.zeros((9, 4, 4)), np.zeros(9, int), "its x is float32, and the run's data are uint8, divided by 255"),
    (np.zeros((9, 4, 4), bool), np.zeros(9, int), "its x is bool, and the run's data are uint8"),
    (np.zeros((9, 5), np.uint8), np.zeros(9, int), r"its x has shape \(9, 5\), and the run takes \[examples, 4, 4\]")])
def test_new_data_that_do_not_fit_are_refused(run: pathlib.Path, tmp_path: pathlib.Path, x: Any, y: Any, said: str,
                                              tree: TREE) -> None:
    np.savez(tmp_path / "new.npz", x_train=x, y_train=y)
    before = tree(run)
    with pytest.raises(ConfigError, match=f"^--dataset=.*new.npz: {said}"):
        evaluate(run, dataset=str(tmp_path / "new.npz"))
    assert tree(run) == before


def test_data_that_changed_since_are_refused(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    file_of(tmp_path / "mine.npz", test_seed=9)
    with pytest.raises(ConfigError, match="holds a run on other data than its configuration names now .*: put the data "
                                          "back, name new data with --dataset"):
        evaluate(run)


def test_arrays_of_ones_own_are_given_again(tmp_path: pathlib.Path, dataset: Dataset) -> None:
    mine = from_arrays(*images(90, 0), *images(20, 1))
    fit(Config(hidden=(4,), epochs=1, jit=False, model_dir=str(tmp_path)), mine)
    found = evaluate(tmp_path, mine).result
    assert (found["is_own"], found["examples"]) == (True, 20)


def test_a_stream_with_a_test_part(tmp_path: pathlib.Path) -> None:
    x, y = images(40, 3)
    mine = Stream("mine", lambda epoch: [(x, y)], lambda: [(x[:8], y[:8])], 40, 8, 3, (4, 4), 255.0, "uint8",
                  test=lambda: [(x[:5], y[:5]), (x[5:9], y[5:9])], test_size=9)
    fit(Config(hidden=(4,), epochs=1, jit=False, model_dir=str(tmp_path)), mine)
    found, guess = evaluate(tmp_path, mine).result, predict(tmp_path, x[:9])
    assert found["accuracy"]["right"] == np.sum(guess.classes == y[:9]) and found["is_own"]


def test_a_run_that_was_validated_on_the_test_part_has_none(tmp_path: pathlib.Path) -> None:
    result = trained(tmp_path / "run", validation_split=0.0)
    assert result["validated_on_test"] and result["caution"].startswith("Validated on the test part")
    with pytest.raises(ConfigError, match="have no test part, since their validation part is the test part"):
        evaluate(tmp_path / "run")
    assert evaluate(tmp_path / "run", split="validation").result["examples"] == 50


def test_a_folder_in_use_is_refused(run: pathlib.Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with owning(run):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    try:
        with pytest.raises(ConfigError, match="is in use by process"):
            evaluate(run)
    finally:
        leave.set()
        thread.join()
