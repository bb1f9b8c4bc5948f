"""What a history does with its run: a table, a picture, its network, predictions, an evaluation."""

from __future__ import annotations

import dataclasses
import pathlib
import sys

import numpy as np
import pytest

import reglab
from reglab.data import Dataset, Examples
from reglab.evaluate.evaluating import evaluate
from reglab.predict.predicting import predict

CONFIG = reglab.Config(hidden=(5,), l1=1e-3, epochs=3, batch_size=8, jit=False, standardize=True)


@pytest.fixture(scope="module")
def data(dataset: Dataset) -> Dataset:
    """The data set of the tests, with a test part."""
    return Dataset("made", dataset.train, dataset.validation, 3, (6,), 1.0, test=dataset.validation.take(np.arange(15)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def history(data: Dataset, folder: pathlib.Path) -> reglab.History:
    kept = reglab.fit(dataclasses.replace(CONFIG, model_dir=str(folder / "a")), data)
    return dataclasses.replace(kept, config=CONFIG)  # As it would be without a folder.


def test_a_table_has_every_evaluation(history: reglab.History) -> None:
    frame = history.to_frame()
    assert frame.index.tolist() == [1, 2, 3]
    assert frame["step"].tolist() == [7, 14, 21]
    assert frame["train/data_loss"].tolist() == [one.train["data_loss"] for one in history.evaluations]
    assert frame["validation/accuracy"].tolist() == [one.validation["accuracy"] for one in history.evaluations]
    assert frame["sparsity/total"].iloc[-1] == history.result["sparsity"]


def test_a_table_needs_pandas(history: reglab.History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(reglab.ConfigError, match="pip install pandas"):
        history.to_frame()


def test_a_picture_has_both_splits(history: reglab.History) -> None:
    picture = history.plot()
    losses, accuracies = picture.axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation"]
    np.testing.assert_array_equal(losses.lines[1].get_ydata(),
                                  [one.validation["data_loss"] for one in history.evaluations])
    np.testing.assert_allclose(accuracies.lines[0].get_ydata(),
                               [100 * one.train["accuracy"] for one in history.evaluations])
    assert picture._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"


def test_its_network_predicts_what_its_folder_does(history: reglab.History, folder: pathlib.Path,
                                                   data: Dataset) -> None:
    x = data.validation.x
    theirs = predict(folder / "a", x, state="last")
    np.testing.assert_array_equal(history.predict(x).classes, theirs.classes)
    np.testing.assert_array_equal(history.predict(x).probabilities, theirs.probabilities)
    with pytest.raises(reglab.ConfigError, match="shape"):
        history.predict(x[:, :4])


def test_it_is_evaluated_in_memory_as_from_its_folder(history: reglab.History, folder: pathlib.Path, data: Dataset,
                                                      without_pictures: None) -> None:
    mine = history.evaluate(data)
    theirs = evaluate(folder / "a", data, state="last")
    assert mine.folder is None
    for name in ("accuracy", "data_loss", "confusion", "calibration", "split", "is_own", "digest"):
        assert mine.result[name] == theirs.result[name], name
    assert len(mine.result["sentences"]) == 2
    assert repr(mine) == f"<{mine.result['sentences'][0]}>"
    assert history.evaluate(data, split="train").result["examples"] == 53


def test_a_run_that_was_complete_has_its_network_but_no_evaluations(history: reglab.History, folder: pathlib.Path,
                                                                    data: Dataset) -> None:
    again = reglab.fit(dataclasses.replace(CONFIG, model_dir=str(folder / "a")), data)
    x = data.validation.x
    np.testing.assert_array_equal(again.predict(x).probabilities, history.predict(x).probabilities)
    assert repr(again) == repr(history)
    for ask in (again.plot, again.to_frame):
        with pytest.raises(reglab.ConfigError, match="complete already"):
            ask()


def test_a_history_is_a_line(history: reglab.History) -> None:
    assert repr(history).startswith("<History of 3 epochs, 21 steps: training data loss ")
    assert len(repr(history)) < 200
    assert all(len(repr(one)) < 200 for one in history.evaluations)


def test_without_validation_examples_there_is_no_curve_of_them(dataset: Dataset) -> None:
    empty = Dataset("made", dataset.train, Examples(dataset.train.x[:0], dataset.train.y[:0]), 3, (6,), 1.0)
    history = reglab.fit(CONFIG, empty)
    assert [line.get_label() for line in history.plot().axes[0].lines] == ["training"]
    assert history.result["validation"]["data_loss"] is None
