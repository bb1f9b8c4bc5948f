"""The estimator: scikit-learn's own checks, the weights of `reglab.fit`, NumPy's predictions, and what users do."""

from __future__ import annotations

import dataclasses
import inspect
import io
import pathlib
import pickle
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from reglab import data
from reglab.config import FLAGS, Config, ConfigError
from reglab.data import Dataset, Examples
from reglab.run.loop import fit
from reglab.sklearn import PenalizedClassifier, training

NAMES = np.array(["ash", "beech", "cedar"])
Trees = tuple[np.ndarray, np.ndarray]


def small(**parameters: Any) -> PenalizedClassifier:
    return PenalizedClassifier(**{"hidden": (5,), "epochs": 2, "batch_size": 8, "jit": False, **parameters})


@pytest.fixture(scope="module")
def trees(dataset: Dataset) -> Trees:
    """53 examples of 6 features, with texts as labels."""
    return dataset.train.x, NAMES[dataset.train.y]


@pytest.fixture(scope="module")
def fitted(trees: Trees) -> PenalizedClassifier:
    return small(l1=1e-3, l2=1e-3).fit(*trees)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_finds_nothing_to_object_to() -> None:
    # One batch, so that a weight of 2 is a second copy, and float64, in which scikit-learn compares the two.
    checked = check_estimator(PenalizedClassifier(hidden=(4,), epochs=8, learning_rate=0.1, batch_size=10**6, jit=False,
                                                  precision="float64", evaluate_every=8), on_fail=None)
    assert len(checked) > 50
    assert {check["check_name"]: check["exception"] for check in checked if check["status"] == "failed"} == {}
    assert [check["check_name"] for check in checked if check["status"] == "skipped"] == ["check_array_api_input"]


def test_its_parameters_are_the_fields_of_a_configuration() -> None:
    parameters = inspect.signature(PenalizedClassifier).parameters
    fields = {"random_state": "seed", "class_weight": "class_weights"}
    other = {"validation_split": 0.0, "jit": None, "verbose": False}
    for name, parameter in parameters.items():
        assert parameter.kind is parameter.KEYWORD_ONLY
        expected = other[name] if name in other else FLAGS[fields.get(name, name)].default
        assert parameter.default == expected, name
        assert f"    {name} : default {expected!r}\n" in PenalizedClassifier.__doc__
    sections = {FLAGS[fields.get(name, name)].section for name in parameters if name != "verbose"}
    left_out = {name for name, flag in FLAGS.items() if flag.section in sections - {"Data", "Execution", "Files"}
                and name not in {fields.get(parameter, parameter) for parameter in parameters}}
    assert left_out == set()


@pytest.mark.parametrize("fraction", [0.0, 0.25])
def test_its_weights_are_those_of_fit(trees: Trees, dataset: Dataset, fraction: float) -> None:
    x, y = trees
    other = (dataset.validation.x, NAMES[dataset.validation.y]) if fraction == 0 else ()
    estimator = small(l1=1e-3, penalize="hidden", standardize=True, validation_split=fraction, random_state=3,
                      schedule="cosine").fit(x, y)
    config = Config(l1=1e-3, penalize="hidden", standardize=True, hidden=(5,), epochs=2, batch_size=8, jit=False,
                    seed=3, schedule="cosine", strategy="one_device")
    history = fit(config, data.from_arrays(x, y, *other, validation_split=fraction, seed=3))
    for mine, layer in zip(estimator.coefs_, history.parameters.values(), strict=True):
        np.testing.assert_array_equal(mine, layer["kernel"])
    for mine, layer in zip(estimator.intercepts_, history.parameters.values(), strict=True):
        np.testing.assert_array_equal(mine, layer["bias"])
    assert estimator.n_iter_ == 2
    losses = [evaluation.validation["data_loss"] for evaluation in estimator.history_.evaluations]
    assert np.isnan(losses).all() if fraction == 0 else losses == [
        evaluation.validation["data_loss"] for evaluation in history.evaluations]


def test_it_predicts_what_numpy_computes_from_its_weights(fitted: PenalizedClassifier,
                                                          trees: Trees) -> None:
    x, y = trees
    (first, second), (shift, offset) = fitted.coefs_, fitted.intercepts_
    logits = np.maximum(x.astype(np.float64) @ first + shift, 0) @ second + offset
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(fitted.decision_function(x), logits, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fitted.predict_proba(x), probabilities, rtol=1e-12)
    np.testing.assert_allclose(fitted.predict_log_proba(x), np.log(probabilities), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(fitted.predict(x), NAMES[logits.argmax(1)])
    assert fitted.score(x, y) == np.mean(NAMES[logits.argmax(1)] == y)
    assert fitted.classes_.tolist() == ["ash", "beech", "cedar"]


def test_it_is_pickled_without_tensorflow(fitted: PenalizedClassifier, trees: Trees) -> None:
    class Plain(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            assert module.partition(".")[0] in ("numpy", "reglab"), f"{module}.{name}"
            return super().find_class(module, name)

    read = Plain(io.BytesIO(pickle.dumps(fitted))).load()
    np.testing.assert_array_equal(read.predict_proba(trees[0]), fitted.predict_proba(trees[0]))
    assert clone(fitted).get_params() == fitted.get_params()
    assert repr(clone(fitted).set_params(l1=0.0, hidden=(128, 64))) == (
        "PenalizedClassifier(batch_size=8, epochs=2, jit=False, l2=0.001)")


def test_a_grid_in_threads_compiles_once_for_each_size(trees: Trees) -> None:
    x, y = trees
    pipeline = make_pipeline(StandardScaler(), small())
    grid = {"penalizedclassifier__l1": [0.0, 1e-3, 1e-2], "penalizedclassifier__epochs": [1, 2]}
    before = len(training.KEPT)
    with joblib.parallel_config(backend="threading"):
        search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise").fit(x[:52], y[:52])
    assert len(training.KEPT) <= before + 2  # Folds of 26, and the fit on all.
    best = clone(search.best_estimator_).fit(x[:52], y[:52])
    np.testing.assert_array_equal(best.predict_proba(x), search.predict_proba(x))


def test_a_table_keeps_the_names_of_its_features(trees: Trees, fitted: PenalizedClassifier) -> None:
    x, y = trees
    table = pd.DataFrame(x, columns=list("abcdef"))
    named = small(l1=1e-3, l2=1e-3).fit(table, pd.Series(y))
    assert named.feature_names_in_.tolist() == list("abcdef")
    np.testing.assert_array_equal(named.predict_proba(table), fitted.predict_proba(x))
    with pytest.raises(ValueError, match="feature names"):
        named.predict(table[list("bacdef")])


@pytest.mark.parametrize(("parameters", "error", "said"), [
    ({"l1": -1.0}, ValueError, "l1=-1"), ({"hidden": "many"}, ValueError, "hidden=many"),
    ({"class_weight": {"oak": 2.0}}, ValueError, "class_weight names the class 'oak', and y has 'ash', 'be"),
    ({"on_nonfinite": "restore"}, ValueError, "checkpoints"), ({"random_state": -1}, ValueError, "seed=-1"),
    ({"validation_split": 0.001}, ValueError, "validation_split"),
    ({"patience": 2}, ValueError, "patience=2: X has no validation examples .*validation_split"),
    ({"schedule": "plateau"}, ValueError, "schedule=plateau: X has no validation examples")])
def test_what_cannot_be_used_is_refused_by_fit(trees: Trees, parameters: dict[str, Any],
                                               error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        small(**parameters).fit(*trees)


def test_data_that_cannot_be_used_are_refused(trees: Trees) -> None:
    x, y = trees
    with pytest.raises(TypeError, match="dense"):
        small().fit(scipy.sparse.csr_array(x), y)
    with pytest.raises(ValueError, match="float32"):
        small().fit(np.where(x > 1, 1e300, x.astype(np.float64)), y)
    with pytest.raises(ValueError, match="only one class"):
        small().fit(x, ["ash"] * len(x))


def test_weights_of_examples_and_classes_are_those_of_the_data_loss(trees: Trees) -> None:
    x, y = trees
    weights = np.random.default_rng(0).uniform(0.5, 2, len(x))
    one_step = small(hidden=(), epochs=1, batch_size=100, optimizer="sgd", precision="float64",
                     class_weight={"beech": 3.0})
    before = clone(one_step).set_params(learning_rate=1e-30).fit(x, y, weights)
    logits = x.astype(np.float64) @ before.coefs_[0] + before.intercepts_[0]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    all_weights = weights * np.where(y == "beech", 3.0, 1.0)
    residuals = all_weights[:, None] * (probabilities - (y[:, None] == NAMES)) / all_weights.sum()
    after = one_step.set_params(learning_rate=0.5).fit(x, y, weights)
    np.testing.assert_allclose(after.coefs_[0], before.coefs_[0] - 0.5 * x.T.astype(np.float64) @ residuals, rtol=1e-12)
    np.testing.assert_allclose(after.intercepts_[0], before.intercepts_[0] - 0.5 * residuals.sum(0), rtol=1e-12)


def test_an_example_of_weight_0_is_no_example(trees: Trees) -> None:
    x, y = trees
    weights = np.where(np.arange(len(x)) < 40, 2.0, 0.0)
    left = small().fit(x[:40], y[:40], np.full(40, 2.0))
    np.testing.assert_array_equal(small().fit(x, y, weights).coefs_[0], left.coefs_[0])


def test_it_stops_early(trees: Trees) -> None:
    stopped = small(epochs=50, patience=2, validation_split=0.3, learning_rate=0.1).fit(*trees)
    losses = [evaluation.validation["data_loss"] for evaluation in stopped.history_.evaluations]
    assert stopped.n_iter_ < 50
    assert losses[-1] == min(losses)


def test_a_random_state_draws_the_seed(trees: Trees) -> None:
    seeds = [small(random_state=np.random.RandomState(seed)).fit(*trees).history_.config.seed for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_a_fit_of_many_steps_is_compiled_unless_the_user_decides() -> None:
    config = Config(epochs=10, batch_size=100)
    assert training.fitted(config, 50, None) == dataclasses.replace(config, batch_size=50, jit=False)
    assert training.fitted(config, 100 * training.JIT_STEPS // 10, None).jit
    assert training.fitted(config, 50, True).jit
    assert not training.fitted(config, 10**9, False).jit


def test_a_folder_needs_validation_examples(dataset: Dataset, tmp_path: pathlib.Path) -> None:
    empty = dataclasses.replace(dataset, validation=Examples(dataset.train.x[:0], dataset.train.y[:0]))
    with pytest.raises(ConfigError, match="model_dir=.*no validation examples"):
        fit(Config(model_dir=str(tmp_path / "a"), batch_size=8), empty)
    assert not (tmp_path / "a").exists()
