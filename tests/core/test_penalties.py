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
from reglab.core.covering import apart, joined
from reglab.core.penalties import Penalty, get, names, registry, value
from reglab.core.penalties.group_l1 import GroupL1
from reglab.core.penalties.l1 import L1
from reglab.core.penalties.l2 import L2


def group_norms(w: Any, axis: int) -> float:
    """Σ √size · ‖W_g‖ where a group is a slice along `axis`; an array of one axis is one group."""
    w = np.asarray(w, np.float64)
    groups = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1) if w.ndim > 1 else w.reshape(1, -1)
    return float(np.sqrt(groups.shape[1]) * np.sum(np.sqrt(np.sum(groups * groups, 1))))


CASES: dict[str, tuple[Penalty, Callable[[Any], float]]] = {
    "l1": (get("l1"), lambda w: float(np.sum(np.abs(w)))), "l2": (get("l2"), lambda w: float(np.sum(w * w))),
    "group_l1": (get("group_l1"), lambda w: group_norms(w, -2)),
    "group_l1, incoming": (GroupL1("incoming"), lambda w: group_norms(w, -1))}
REFERENCES = {name: reference for name, (_, reference) in CASES.items()}


def kernel(*shape: int, seed: int = 0) -> np.ndarray:
    """Gaussian entries, kept at least 0.01 away from 0, where L1 has its kink."""
    drawn = np.random.default_rng(seed).normal(size=shape or (4, 3))
    return drawn + np.copysign(0.01, drawn)


def metrics(*shape: int, seed: int = 0, decades: float = 1.0) -> np.ndarray:
    """Thresholds, one for each entry, that are so many decades around 0.1."""
    return 10.0 ** np.random.default_rng(seed).uniform(-1 - decades / 2, -1 + decades / 2, shape)


def test_every_registered_penalty_is_tested() -> None:
    assert tuple(dict.fromkeys(penalty.name for penalty, _ in CASES.values())) == names()


@pytest.mark.parametrize("name", CASES)
class TestEveryPenalty:
    """What every penalty must satisfy."""

    @pytest.fixture
    def penalty(self, name: str) -> Penalty:
        return CASES[name][0]

    @pytest.mark.parametrize("shape", [(4, 3), (7,), (1, 1), (2, 3, 2), (3, 3, 2, 4)])
    def test_the_value_is_that_of_numpy_and_of_the_terms(self, name: str, penalty: Penalty,
                                                         shape: tuple[int, ...]) -> None:
        w = kernel(*shape)
        np.testing.assert_allclose(value(penalty, tf.constant(w)), REFERENCES[name](w), rtol=1e-14)
        terms = penalty.terms(tf.constant(w))
        assert terms.shape == w.shape
        np.testing.assert_allclose(np.sum(terms), REFERENCES[name](w), rtol=1e-14)

    def test_the_value_is_a_scalar_and_nothing_costs_nothing(self, penalty: Penalty) -> None:
        assert value(penalty, tf.constant(kernel())).shape == []
        assert value(penalty, tf.zeros([4, 3])) == 0
        assert value(penalty, tf.zeros([0, 3])) == 0

    def test_the_gradient_is_that_of_the_tape(self, penalty: Penalty) -> None:
        w = tf.constant(kernel())
        with tf.GradientTape() as tape:
            tape.watch(w)
            total = value(penalty, w)
        np.testing.assert_allclose(penalty.gradient(w), tape.gradient(total, w), rtol=1e-13)

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
        np.testing.assert_array_equal(penalty.gradient(tf.zeros([2, 3])), np.zeros((2, 3)))

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

    @pytest.mark.parametrize("seed", range(3))
    def test_the_prox_is_the_minimum_in_any_diagonal_metric(self, name: str, penalty: Penalty, seed: int) -> None:
        w, t = kernel(3, 2, seed=seed), metrics(3, 2, seed=seed) * (1, 3, 30)[seed]
        found = penalty.proximal(tf.constant(w), tf.constant(t)).numpy()

        def objective(v: np.ndarray) -> float:
            return float(np.sum((v.reshape(w.shape) - w) ** 2 / (2 * t))) + REFERENCES[name](v.reshape(w.shape))

        best = min((scipy.optimize.minimize(objective, start.ravel(), method="Powell",
                                            options={"xtol": 1e-10, "ftol": 1e-14, "maxiter": 200})
                    for start in (w, np.zeros_like(w))), key=lambda result: result.fun)
        assert objective(found) <= best.fun + 1e-12
        np.testing.assert_allclose(found.ravel(), best.x, atol=1e-5)

    @pytest.mark.parametrize("decades", [0, 1, 4, 8])
    def test_the_prox_satisfies_the_optimality_condition_whatever_the_metric(self, penalty: Penalty,
                                                                             decades: float) -> None:
        """(w − v) / t is a subgradient at v; thresholds of 0 change nothing, huge ones leave 0 or next to nothing."""
        w, t = kernel(200, 5), 10 * metrics(200, 5, decades=decades)
        v = penalty.proximal(tf.constant(w), tf.constant(t))
        left = penalty.least_subgradient(v, tf.constant((v - w) / t), tf.constant(1.0, tf.float64)).numpy()
        assert np.abs(t * left).max() <= 1e-12 and np.abs(left).max() <= 1e-8
        t[::2] = 0
        still = penalty.proximal(tf.constant(w), tf.constant(t)).numpy()
        assert np.isfinite(still).all()
        if not penalty.covers_bias:  # Whose groups have entries of both kinds.
            np.testing.assert_array_equal(still[::2], w[::2])
        huge = penalty.proximal(tf.constant(w), tf.constant(1e30, tf.float64)).numpy()
        assert np.abs(huge).max() <= 1e-29 and (penalty.is_smooth or not np.any(huge))

    def test_the_prox_in_float32_is_near_that_in_float64(self, penalty: Penalty) -> None:
        w, t = kernel(200, 50), metrics(200, 50)
        exact = penalty.proximal(tf.constant(w), tf.constant(t))
        single = penalty.proximal(tf.constant(w, tf.float32), tf.constant(t, tf.float32))
        np.testing.assert_allclose(single, exact, atol=1e-6)

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
        w[1] = 0
        np.testing.assert_array_equal(penalty.proximal(tf.constant(w), tf.constant(0.0, tf.float64)), w)
        np.testing.assert_array_equal(penalty.proximal(tf.constant(w), tf.zeros_like(w)), w)

    def test_what_is_zero_stays_zero_and_makes_no_nan(self, penalty: Penalty) -> None:
        for threshold in (0.0, 1e-30, 1.0, 1e4, 1e30):
            for like in (np.float32, np.float64):
                there = penalty.proximal(tf.zeros([3, 2], like), tf.fill([3, 2], tf.constant(threshold, like)))
                np.testing.assert_array_equal(there, np.zeros((3, 2)))
                assert not np.signbit(there).any()

    def test_a_scale_goes_through_the_prox(self, penalty: Penalty) -> None:
        """prox of c·w with thresholds t·c^(2−p) is c times that of w with t, for a penalty of degree p."""
        w, t = kernel(), metrics(4, 3)
        for scale in (1e-6, 1e6):
            scaled = penalty.proximal(tf.constant(scale * w), tf.constant(t * scale ** (2 - (penalty.degree or 1))))
            np.testing.assert_allclose(scaled, scale * penalty.proximal(tf.constant(w), tf.constant(t)), rtol=1e-12)

    def test_the_distance_is_0_at_the_fixed_points_of_the_prox_and_nowhere_else(self, penalty: Penalty) -> None:
        w, rate, strength = kernel(), 0.5, tf.constant(0.3, tf.float64)
        # W is a fixed point of a proximal step exactly if it is stationary, which yields a gradient for it.
        shifted = tf.constant((w + np.where(np.abs(w) < 0.3, 0.0, 1.0)) * [0.1, 1, 1] * [[0.1], [1], [1], [1]])
        fixed = penalty.proximal(shifted, rate * strength)
        gradient = (fixed - shifted) / rate
        assert np.any(fixed.numpy() == 0) or penalty.is_smooth
        np.testing.assert_allclose(penalty.distance(fixed, gradient, strength), 0, atol=1e-14)
        assert penalty.distance(fixed, gradient + 0.7, strength) > 0.1
        np.testing.assert_allclose(penalty.least_subgradient(fixed, gradient, strength), np.zeros(w.shape), atol=1e-14)

    def test_the_distance_is_that_of_the_gradient_where_there_is_one(self, penalty: Penalty) -> None:
        w, gradient = tf.constant(kernel()), kernel(seed=4)
        expected = np.linalg.norm(gradient + 0.3 * penalty.gradient(w).numpy())
        np.testing.assert_allclose(penalty.distance(w, tf.constant(gradient), tf.constant(0.3, tf.float64)), expected,
                                   rtol=1e-14)

    def test_the_distance_at_zero_is_what_the_strength_does_not_hold(self, name: str, penalty: Penalty) -> None:
        """The least norm over subgradients, which are the gradients in the limit of small weights in all directions."""
        gradient, zero = tf.constant(kernel()), tf.zeros([4, 3], tf.float64)
        strongest = 1.0 if penalty.is_smooth else float(np.abs(gradient).max()) * np.sqrt(12)
        held = penalty.distance(zero, gradient, tf.constant(strongest, tf.float64))
        assert held == (penalty.distance(zero, gradient, tf.constant(0.0, tf.float64)) if penalty.is_smooth else 0)
        weak, h = tf.constant(1e-3, tf.float64), 1e-9
        steepest = np.asarray(penalty.least_subgradient(zero, gradient, weak))
        down = -h * steepest / np.linalg.norm(steepest)
        slope = (np.sum(gradient * down) + 1e-3 * REFERENCES[name](down)) / h
        np.testing.assert_allclose(slope, -penalty.distance(zero, gradient, weak), rtol=1e-6)

    def test_degree_and_slope_are_what_they_say(self, name: str, penalty: Penalty) -> None:
        w = kernel()
        if penalty.degree is not None:
            np.testing.assert_allclose(REFERENCES[name](3 * w), 3 ** penalty.degree * REFERENCES[name](w), rtol=1e-14)
        if penalty.slope is not None:
            np.testing.assert_allclose(penalty.gradient(tf.constant(w)), penalty.slope * w, rtol=1e-14)

    def test_the_norms_of_parts_join_to_that_of_the_whole(self, name: str, penalty: Penalty) -> None:
        w = kernel(6, 5)
        halves = (w[:, :2], w[:, 2:]) if penalty.covers_bias else (w[:2], w[2:])
        parts = np.array([penalty.norm(np.array(REFERENCES[name](part))) for part in halves])
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
        thresholds = tf.constant(np.stack([scale * metrics(4, 3, seed=5) for scale in (0, 1, 10)]))

        def all_of_it(w: Any, threshold: Any) -> Any:
            return value(penalty, w), penalty.gradient(w), penalty.proximal(w, threshold)

        compiled = tf.function(lambda w, t: tf.vectorized_map(lambda lane: all_of_it(*lane), (w, t)), jit_compile=True)
        for lane, results in enumerate(zip(*compiled(lanes, thresholds), strict=True)):
            for result, alone in zip(results, all_of_it(lanes[lane], thresholds[lane]), strict=True):
                np.testing.assert_allclose(result, alone, rtol=1e-13)


# Groups: cases that the suites of jaxopt and skglm know, and what the two kinds of groups are.

def test_at_equal_thresholds_the_prox_of_a_group_is_block_soft_thresholding() -> None:
    w = kernel(5, 4)
    w[3] *= 0.1
    norms = np.linalg.norm(w, axis=1, keepdims=True)
    expected = w * np.maximum(1 - 0.3 * np.sqrt(4) / norms, 0)
    assert not np.any(expected[3]) and np.any(expected[0])
    found = GroupL1().proximal(tf.constant(w), tf.constant(0.3, tf.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    np.testing.assert_array_equal(found[3], np.zeros(4))


def test_groups_of_one_entry_are_the_lasso() -> None:
    w, t, g = kernel(8, 1), metrics(8, 1), kernel(8, 1, seed=3)
    w[2], strength = 0.05, tf.constant(0.4, tf.float64)
    np.testing.assert_allclose(GroupL1().proximal(tf.constant(w), tf.constant(t)),
                               L1().proximal(tf.constant(w), tf.constant(t)), rtol=1e-12, atol=1e-16)
    w[2] = 0
    np.testing.assert_allclose(GroupL1().least_subgradient(tf.constant(w), tf.constant(g), strength),
                               L1().least_subgradient(tf.constant(w), tf.constant(g), strength), rtol=1e-12)


@pytest.mark.parametrize("name", ["group_l1", "group_l1, incoming"])
def test_soft_thresholds_and_then_groups_minimize_the_sum_in_any_diagonal_metric(name: str) -> None:
    """The sparse group lasso, on a grid of strengths that makes whole groups, single entries and nothing zero."""
    group, reference = CASES[name]
    w, t = kernel(3, 2, seed=6), metrics(3, 2, seed=6)
    for l1, strength in ((1.0, 0.5), (3.0, 1.0), (0.1, 4.0)):
        found = group.proximal(L1().proximal(tf.constant(w), tf.constant(l1 * t)), tf.constant(strength * t)).numpy()

        def objective(v: np.ndarray, l1: float = l1, strength: float = strength) -> float:
            v = v.reshape(w.shape)
            return float(np.sum((v - w) ** 2 / (2 * t)) + l1 * np.abs(v).sum()) + strength * reference(v)

        best = min((scipy.optimize.minimize(objective, start.ravel(), method="Powell",
                                            options={"xtol": 1e-10, "ftol": 1e-14}) for start in (w, 0 * w)),
                   key=lambda result: result.fun)
        assert objective(found.ravel()) <= best.fun + 1e-12


def test_an_entry_at_an_infinite_rate_and_zero_does_not_move_its_group() -> None:
    """A dead input has a v of Adam that is 0, and so a huge rate; a mean over the group would make it all zero."""
    w, t = kernel(4, 3), metrics(4, 3) * 1e-2
    without = GroupL1().proximal(tf.constant(w), tf.constant(t / np.sqrt(3))).numpy()
    wider = np.pad(w, ((0, 0), (0, 2))), np.pad(t, ((0, 0), (0, 2)), constant_values=1e4)
    found = GroupL1().proximal(tf.constant(wider[0]), tf.constant(wider[1] / np.sqrt(5))).numpy()
    np.testing.assert_allclose(found[:, :3], without, rtol=1e-12)
    assert np.all(without) and not np.any(found[:, 3:])


def test_the_groups_of_a_convolution_are_its_channels() -> None:
    w, t = kernel(3, 2, 5, 4), metrics(3, 2, 5, 4)
    for penalty, axis in ((GroupL1(), 2), (GroupL1("incoming"), 3)):
        rows = [np.moveaxis(array, axis, 0).reshape(w.shape[axis], -1) for array in (w, t)]
        flat = GroupL1().proximal(*map(tf.constant, rows)).numpy()
        expected = np.moveaxis(flat.reshape(w.shape[axis], *np.delete(w.shape, axis)), 0, axis)
        np.testing.assert_allclose(penalty.proximal(tf.constant(w), tf.constant(t)), expected, rtol=1e-13)


def test_kernel_and_bias_are_one_array_for_a_penalty_that_covers_both() -> None:
    for shape in ((4, 3), (2, 2, 4, 3)):
        w, b = tf.constant(kernel(*shape)), tf.constant(kernel(3))
        whole = joined(GroupL1("incoming"), w, b)
        assert whole.shape == (np.prod(shape) // 3 + 1, 3)
        expected = np.sqrt(whole.shape[0]) * np.sum(np.sqrt((w.numpy() ** 2).reshape(-1, 3).sum(0) + b.numpy() ** 2))
        np.testing.assert_allclose(value(GroupL1("incoming"), whole), expected, rtol=1e-14)
        for part, was in zip(apart(GroupL1("incoming"), whole, w, b), (w, b), strict=True):
            np.testing.assert_array_equal(part, was)
        assert joined(GroupL1(), w, b) is w and apart(GroupL1(), w, w, b) == (w, None)
        assert joined(GroupL1("incoming"), w, None) is w


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
