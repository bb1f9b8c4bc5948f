"""Every penalty against Keras' regularizer, NumPy in float64, central differences and minimization with SciPy."""

from __future__ import annotations

import ast
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

import reglab
from reglab.core.penalties import Penalty, get, names, registry, value
from reglab.core.penalties.l1 import L1
from reglab.core.penalties.l2 import L2

REFERENCES: dict[str, Callable[[Any], float]] = {"l1": lambda w: float(np.sum(np.abs(w))),
                                                        "l2": lambda w: float(np.sum(w * w))}


def kernel(*shape: int, seed: int = 0) -> np.ndarray:
    """Gaussian entries, kept at least 0.01 away from 0, where L1 has its kink."""
    drawn = np.random.default_rng(seed).normal(size=shape or (4, 3))
    return drawn + np.copysign(0.01, drawn)


def test_every_registered_penalty_is_tested() -> None:
    assert tuple(REFERENCES) == names()


@pytest.mark.parametrize("name", names())
class TestEveryPenalty:
    """What every penalty must satisfy."""

    @pytest.fixture
    def penalty(self, name: str) -> Penalty:
        return get(name)

    @pytest.mark.parametrize("shape", [(4, 3), (7,), (1, 1), (2, 3, 2)])
    def test_the_value_is_that_of_numpy(self, name: str, penalty: Penalty, shape: tuple[int, ...]) -> None:
        w = kernel(*shape)
        np.testing.assert_allclose(value(penalty, tf.constant(w)), REFERENCES[name](w), rtol=1e-14)

    def test_the_terms_are_those_of_the_single_entries(self, name: str, penalty: Penalty) -> None:
        w = kernel()
        terms = penalty.terms(tf.constant(w))
        assert terms.shape == w.shape
        for at in np.ndindex(w.shape):
            np.testing.assert_allclose(terms.numpy()[at], REFERENCES[name](w[at]), rtol=1e-14)

    def test_the_value_is_a_scalar_and_nothing_costs_nothing(self, penalty: Penalty) -> None:
        assert value(penalty, tf.constant(kernel())).shape == []
        assert value(penalty, tf.zeros([4, 3])) == 0
        assert value(penalty, tf.zeros([0, 3])) == 0

    def test_the_gradient_is_that_of_the_tape(self, penalty: Penalty) -> None:
        w = tf.constant(kernel())
        with tf.GradientTape() as tape:
            tape.watch(w)
            total = value(penalty, w)
        np.testing.assert_allclose(penalty.gradient(w), tape.gradient(total, w), rtol=1e-14)

    def test_the_gradient_is_that_of_central_differences(self, name: str, penalty: Penalty) -> None:
        w, h = kernel(), 1e-5
        numeric = np.zeros_like(w)
        for at in np.ndindex(w.shape):
            shift = np.zeros_like(w)
            shift[at] = h
            numeric[at] = (REFERENCES[name](w + shift) - REFERENCES[name](w - shift)) / (2 * h)
        np.testing.assert_allclose(penalty.gradient(tf.constant(w)), numeric, atol=1e-9)

    def test_zero_has_a_zero_subgradient(self, penalty: Penalty) -> None:
        np.testing.assert_array_equal(penalty.gradient(tf.constant([0.0, -0.0])), [0, 0])

    @pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16, tf.float32, tf.float64])
    def test_gradient_and_prox_keep_dtype_and_shape(self, penalty: Penalty, dtype: tf.DType) -> None:
        w = tf.cast(kernel(), dtype)
        for result in (penalty.gradient(w), penalty.proximal(w, tf.constant(0.25, dtype))):
            assert (result.dtype, result.shape) == (dtype, w.shape)

    @pytest.mark.parametrize(("dtype", "summed"), [(tf.bfloat16, tf.float32), (tf.float16, tf.float32),
                                                   (tf.float32, tf.float32), (tf.float64, tf.float64)])
    def test_sums_are_taken_in_float32_at_least(self, name: str, penalty: Penalty, dtype: tf.DType,
                                                summed: tf.DType) -> None:
        w = tf.cast(kernel(300, 7), dtype)
        total = value(penalty, w)
        assert total.dtype == penalty.terms(w).dtype == summed
        exact = REFERENCES[name](tf.cast(w, tf.float64).numpy())
        np.testing.assert_allclose(total, exact, rtol=1e-6)  # Sums in bfloat16 would be off by 1e-3 or more.

    @pytest.mark.parametrize("threshold", [0.0, 1e-3, 0.3, 2.0])
    def test_the_prox_minimizes_its_objective_entry_by_entry(self, name: str, penalty: Penalty,
                                                             threshold: float) -> None:
        w = np.array([-3.0, -1.0, -0.3, -0.1, 0.0, 0.2, 0.9, 2.5])
        proximal = penalty.proximal(tf.constant(w), tf.constant(threshold, tf.float64)).numpy()
        for entry, found in zip(w, proximal, strict=True):
            best = scipy.optimize.minimize_scalar(
                lambda v, w=entry: 0.5 * (v - w) ** 2 + threshold * REFERENCES[name](np.array(v)),
                bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
            np.testing.assert_allclose(found, best.x, atol=2e-6)

    def test_no_other_matrix_beats_the_prox(self, name: str, penalty: Penalty) -> None:
        w, threshold = kernel(), 0.4
        proximal = penalty.proximal(tf.constant(w), tf.constant(threshold, tf.float64)).numpy()

        def objective(v: np.ndarray) -> float:
            return 0.5 * float(np.sum((v - w) ** 2)) + threshold * REFERENCES[name](v)

        rng = np.random.default_rng(1)
        others = [proximal + scale * rng.normal(size=w.shape) for scale in (1e-6, 1e-3, 0.1, 1) for _ in range(50)]
        assert all(objective(proximal) <= objective(other) for other in [*others, w, np.zeros_like(w)])

    def test_the_prox_without_threshold_changes_nothing(self, penalty: Penalty) -> None:
        w = kernel()
        np.testing.assert_array_equal(penalty.proximal(tf.constant(w), tf.constant(0.0, tf.float64)), w)

    def test_the_prox_takes_a_threshold_for_each_entry(self, penalty: Penalty) -> None:
        w, thresholds = kernel(), np.abs(kernel(seed=3))
        together = penalty.proximal(tf.constant(w), tf.constant(thresholds)).numpy()
        for at in np.ndindex(w.shape):
            alone = penalty.proximal(tf.constant([w[at]]), tf.constant([thresholds[at]]))
            np.testing.assert_allclose(together[at], alone[0], rtol=1e-14)

    def test_the_distance_is_0_at_the_fixed_points_of_the_prox_and_nowhere_else(self, penalty: Penalty) -> None:
        w, rate, strength = kernel(), 0.5, tf.constant(0.3, tf.float64)
        # W is a fixed point of a proximal step exactly if it is stationary, which yields a gradient for it.
        shifted = tf.constant(w + np.where(np.abs(w) < 0.3, 0.0, 1.0))
        fixed = penalty.proximal(shifted, rate * strength)
        gradient = (fixed - shifted) / rate
        assert np.any(fixed.numpy() == 0) or penalty.is_smooth
        np.testing.assert_allclose(penalty.distance(fixed, gradient, strength), 0, atol=1e-14)
        assert penalty.distance(fixed, gradient + 0.7, strength) > 0.1

    def test_the_least_subgradient_is_the_least_slope_of_every_entry(self, name: str, penalty: Penalty) -> None:
        w, gradient, h = np.where(kernel() > 0.5, kernel(), 0.0), 0.5 * kernel(seed=4), 1e-7
        found = penalty.least_subgradient(tf.constant(w), tf.constant(gradient), tf.constant(0.3, tf.float64)).numpy()
        for at in np.ndindex(w.shape):
            left, right = (gradient[at] + 0.3 * (REFERENCES[name](w[at] + step) - REFERENCES[name](w[at])) / step
                           for step in (-h, h))
            np.testing.assert_allclose(found[at], np.clip(0.0, left, right), atol=1e-6)

    def test_the_distance_is_that_of_the_gradient_where_there_is_one(self, penalty: Penalty) -> None:
        w, gradient = tf.constant(kernel()), kernel(seed=4)
        expected = np.linalg.norm(gradient + 0.3 * penalty.gradient(w).numpy())
        np.testing.assert_allclose(penalty.distance(w, tf.constant(gradient), tf.constant(0.3, tf.float64)), expected,
                                   rtol=1e-14)

    def test_degree_and_slope_are_what_they_say(self, name: str, penalty: Penalty) -> None:
        w = kernel()
        if penalty.degree is not None:
            np.testing.assert_allclose(REFERENCES[name](3 * w), 3 ** penalty.degree * REFERENCES[name](w), rtol=1e-14)
        if penalty.slope is not None:
            np.testing.assert_allclose(penalty.gradient(tf.constant(w)), penalty.slope * w, rtol=1e-14)

    def test_the_norms_of_parts_join_to_that_of_the_whole(self, name: str, penalty: Penalty) -> None:
        w = kernel(6, 5)
        parts = np.array([penalty.norm(np.array(REFERENCES[name](part))) for part in (w[:2], w[2:])])
        np.testing.assert_allclose(penalty.joined(parts), penalty.norm(np.array(REFERENCES[name](w))), rtol=1e-14)

    def test_its_words_are_there_and_plain(self, penalty: Penalty) -> None:
        for word in (penalty.name, penalty.title, penalty.formula, penalty.symbol, penalty.norm_formula, penalty.help,
                     penalty.source):
            assert word and word.isprintable()
        assert (penalty.formula + penalty.norm_formula + penalty.help + penalty.title).isascii()

    def test_the_prox_never_lengthens_a_distance(self, penalty: Penalty) -> None:
        a, b, threshold = kernel(seed=1), kernel(seed=2), tf.constant(0.5, tf.float64)
        moved = penalty.proximal(tf.constant(a), threshold) - penalty.proximal(tf.constant(b), threshold)
        assert np.linalg.norm(moved) <= np.linalg.norm(a - b)

    def test_it_compiles_under_xla_over_lanes(self, penalty: Penalty) -> None:
        lanes = tf.constant(np.stack([kernel(seed=seed) for seed in range(3)]))
        thresholds = tf.constant([0.0, 0.1, 1.0], tf.float64)

        def all_of_it(w: Any, threshold: Any) -> Any:
            return value(penalty, w), penalty.gradient(w), penalty.proximal(w, threshold)

        compiled = tf.function(lambda w, t: tf.vectorized_map(lambda lane: all_of_it(*lane), (w, t)), jit_compile=True)
        for lane, results in enumerate(zip(*compiled(lanes, thresholds), strict=True)):
            for result, alone in zip(results, all_of_it(lanes[lane], thresholds[lane]), strict=True):
                np.testing.assert_allclose(result, alone, rtol=1e-14)


@pytest.mark.parametrize("strength", [2.0**-13, 0.75])  # Keras rounds strengths to float32; these are exact there.
def test_value_and_gradient_are_those_of_keras_regularizers(strength: float) -> None:
    from keras import regularizers

    w = tf.constant(kernel())
    l1, l2 = get("l1"), get("l2")
    for ours, gradient, keras in (
            (value(l1, w), l1.gradient(w), regularizers.L1(strength)),
            (value(l2, w), l2.gradient(w), regularizers.L2(strength)),
            (value(l1, w) + 3 * value(l2, w), l1.gradient(w) + 3 * l2.gradient(w),
             regularizers.L1L2(strength, 3 * strength))):
        with tf.GradientTape() as tape:
            tape.watch(w)
            theirs = keras(w)
        np.testing.assert_allclose(strength * ours, theirs, rtol=1e-14)
        np.testing.assert_allclose(strength * gradient, tape.gradient(theirs, w), rtol=1e-14)


def test_l2_has_no_half() -> None:
    assert value(L2(), tf.constant([3.0])) == 9
    assert L2().gradient(tf.constant([3.0])) == 6


def test_l1_sets_small_entries_to_zero_exactly_and_moves_the_others_by_the_threshold() -> None:
    shrunk = L1().proximal(tf.constant([-1.0, -0.25, 0.0, 0.125, 0.75]), tf.constant(0.25))
    np.testing.assert_array_equal(shrunk, [-0.75, 0, 0, 0, 0.5])


def test_moreau_the_l1_prox_and_the_projection_on_the_box_add_up() -> None:
    w = kernel()
    shrunk = L1().proximal(tf.constant(w), tf.constant(0.4, tf.float64))
    np.testing.assert_allclose(shrunk + np.clip(w, -0.4, 0.4), w, rtol=1e-14)


# Files whose subject L1 and L2 are, or that share them with other libraries.
KNOWN_TO = ("core/penalties/l1.py", "core/penalties/l2.py", "benchmark/peers/", "benchmark/scripts/",
            "benchmark/settings.py", "benchmark/experiment.py", "benchmark/whole.py", "compare/presets.py", "convert/",
            "reproduce/")


def named_in(source: str) -> list[int]:
    """Returns the lines of a module that name a penalty as a string, an attribute, a variable or an argument."""
    told = {ast.Constant: "value", ast.Attribute: "attr", ast.Name: "id", ast.keyword: "arg", ast.arg: "arg"}
    return [node.lineno for node in ast.walk(ast.parse(source))
            if type(node) in told and getattr(node, told[type(node)]) in ("l1", "l2", "norm_l1", "norm_l2")]


def test_nothing_outside_their_files_knows_the_penalties_names() -> None:
    package = pathlib.Path(reglab.__file__).parent
    modules = {str(path.relative_to(package)): path.read_text() for path in package.rglob("*.py")}
    knowing = {name: lines for name, source in modules.items() if (lines := named_in(source))}
    assert {name: lines for name, lines in knowing.items() if not name.startswith(KNOWN_TO)} == {}
    assert named_in('x = {"l1": 0}') and named_in("config.l2") and named_in("f(l1=0)") and not named_in('"l1 and"')


def test_a_name_is_taken_once_and_is_an_identifier(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="already"):
        registry.register(L1())
    for name in ("no name", "class", "total", "seed", "json", "strengths"):
        monkeypatch.setattr(L1, "name", name)
        with pytest.raises(ValueError, match="no name for a penalty"):
            registry.register(L1())
