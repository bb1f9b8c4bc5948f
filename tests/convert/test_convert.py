"""Each library's words mean what they mean there: its documented objective or update, or the library itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.special

from reglab.config import ConfigError
from reglab.convert import Strengths, convert
from reglab.convert.base import NoEquivalent
from reglab.convert.conversion import CONVENTIONS

Array = np.ndarray
EXAMPLES, FEATURES = 40, 4


def problem(classes: int) -> tuple[Array, Array]:
    """A small classification problem that is not separable: x [examples, features], y [examples]."""
    random = np.random.default_rng(classes)
    x = random.normal(size=(EXAMPLES, FEATURES))
    return x, (x[:, :classes] + random.normal(size=(EXAMPLES, classes))).argmax(axis=1)


def gradients(w: Array, b: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """The gradient of the mean cross-entropy of softmax(x w + b)."""
    p = scipy.special.softmax(x @ w + b, axis=1)
    p[np.arange(len(y)), y] -= 1
    return x.T @ p / len(y), p.mean(axis=0)


def distance(w: Array, b: Array, x: Array, y: Array, l1: float, l2: float) -> float:
    """The largest entry of the least subgradient of what reglab minimizes (README, What is minimized)."""
    of_w, of_b = gradients(w, b, x, y)
    smooth = of_w + 2 * l2 * w
    subgradient = np.where(np.abs(w) < 1e-9, np.maximum(np.abs(smooth) - l1, 0), smooth + l1 * np.sign(w))
    return float(max(np.abs(subgradient).max(), np.abs(of_b).max()))


def minimized(smooth: Callable[[Array, Array], float], l1: float, shape: tuple[int, ...],
              biases: int) -> tuple[Array, Array]:
    """argmin of smooth(w, b) + l1 · Σ|w| by SciPy, with w = u − v, u and v at least 0."""
    size = math.prod(shape)

    def split(z: Array) -> tuple[Array, Array]:
        return (z[:size] - z[size:2 * size]).reshape(shape), z[2 * size:]

    def objective(z: Array) -> float:
        return smooth(*split(z)) + l1 * float(z[:2 * size].sum())

    found = scipy.optimize.minimize(objective, np.zeros(2 * size + biases), method="L-BFGS-B", options={
        "ftol": 1e-16, "gtol": 1e-8, "maxiter": 3000, "maxfun": 10**6}, jac="3-point",
        bounds=[(0, None)] * (2 * size) + [(None, None)] * biases)
    return split(found.x)


def as_pair(w: Array, b: Array) -> tuple[Array, Array]:
    """The two logits of softmax whose difference is that of one vector of weights."""
    return np.stack([-w / 2, w / 2], axis=1), np.array([-b[0] / 2, b[0] / 2])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0])
def test_the_optimum_of_scikit_learn_is_that_of_reglabs_objective(classes: int, ratio: float) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = problem(classes)
    fitted = LogisticRegression(C=0.5, l1_ratio=ratio, solver="saga", tol=1e-10, max_iter=100_000, random_state=0)
    fitted.fit(x, y)
    w, b = (fitted.coef_.T, fitted.intercept_) if classes > 2 else as_pair(fitted.coef_[0], fitted.intercept_)
    l1, l2 = convert("sklearn", {"C": 0.5, "l1_ratio": ratio}, examples=EXAMPLES, classes=classes).strengths
    assert distance(w, b, x, y, l1, l2) < 1e-7
    assert distance(w, b, x, y, 2 * l1, l2 / 2) > 1e-3  # The same oracle tells other strengths apart.


GLMNET = {"lambda": 0.05, "alpha": 0.3}


@pytest.mark.parametrize(("library", "values", "strength", "ratio", "classes"), [
    ("glmnet", GLMNET, 0.05, 0.3, 3), ("glmnet", GLMNET, 0.05, 0.3, 2),
    ("skglm", {"alpha": 0.05, "l1_ratio": 0.6}, 0.05, 0.6, 2),
    ("sklearn_sgd", {"alpha": 0.05, "l1_ratio": 0.2}, 0.05, 0.2, 2)])
def test_the_optimum_of_a_published_objective_is_that_of_reglabs(
        library: str, values: Mapping[str, float], strength: float, ratio: float, classes: int) -> None:
    """(1/n) Σ loss + strength · ((1 − ratio)/2 · ‖w‖² + ratio · ‖w‖₁): glmnet's vignette, skglm's Logistic and
    L1_plus_L2, scikit-learn's user guide, 1.5.8."""
    x, y = problem(classes)

    def smooth(w: Array, b: Array) -> float:
        if classes == 2:
            loss = np.logaddexp(0, -np.where(y == 1, 1, -1) * (x @ w + b)).mean()
        else:
            loss = -scipy.special.log_softmax(x @ w + b, axis=1)[np.arange(len(y)), y].mean()
        return float(loss + strength * (1 - ratio) / 2 * np.square(w).sum())

    shape, biases = ((FEATURES,), 1) if classes == 2 else ((FEATURES, classes), classes)
    w, b = minimized(smooth, strength * ratio, shape, biases)
    if classes == 2:
        w, b = as_pair(w, b)
    l1, l2 = convert(library, values, classes=classes).strengths
    assert distance(w, b, x, y, l1, l2) < 1e-6
    assert distance(w, b, x, y, 2 * l1, l2 / 2) > 1e-3


def start(classes: int = 3) -> tuple[Array, Array, Array, Array]:
    """x, y and weights to make a step from."""
    random = np.random.default_rng(7)
    return *problem(classes), random.normal(size=(FEATURES, classes)), random.normal(size=classes)


def step_of_reglab(w: Array, b: Array, x: Array, y: Array, strengths: Strengths, rate: float) -> tuple[Array, Array]:
    """A step of plain SGD on reglab's objective, whose penalties give their gradients."""
    import tensorflow as tf

    from reglab.core import penalties

    of_w, of_b = gradients(w, b, x, y)
    for name, strength in strengths._asdict().items():
        of_w = of_w + strength * penalties.get(name).gradient(tf.constant(w)).numpy()
    return w - rate * of_w, b - rate * of_b


def test_a_step_of_keras_with_its_regularizers_is_that_of_reglab(keras64: Any) -> None:
    x, y, w, b = start()
    words = convert("reglab", {"l1": 0.03, "l2": 0.2}).words["keras"]
    layer = keras64.layers.Dense(3, kernel_regularizer=eval(words.code, {"keras": keras64}))
    model = keras64.Sequential([keras64.Input((FEATURES,)), layer])
    layer.set_weights([w, b])
    model.compile(keras64.optimizers.SGD(0.5), keras64.losses.SparseCategoricalCrossentropy(from_logits=True),
                  run_eagerly=True)
    model.train_on_batch(x, y)
    ours = step_of_reglab(w, b, x, y, Strengths(0.03, 0.2), 0.5)
    for found, expected in zip(layer.get_weights(), ours, strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)  # Keras rounds λ and the rate to float32.


def test_a_step_of_tensorflow_with_l2_loss_is_that_of_reglab() -> None:
    import tensorflow as tf

    x, y, w, b = start()
    kernel, bias = tf.Variable(w), tf.Variable(b)
    code = convert("reglab", {"l1": 0.03, "l2": 0.2}).words["tf_l2_loss"].code
    assert code == "0.4 * tf.nn.l2_loss(kernel) + 0.03 * tf.reduce_sum(tf.abs(kernel))"
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, x @ kernel + bias)
        loss = tf.reduce_mean(losses) + eval(code, {"tf": tf, "kernel": kernel})
    of_w, of_b = tape.gradient(loss, [kernel, bias])
    ours = step_of_reglab(w, b, x, y, Strengths(0.03, 0.2), 0.5)
    np.testing.assert_allclose(w - 0.5 * of_w.numpy(), ours[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(b - 0.5 * of_b.numpy(), ours[1], rtol=0, atol=1e-14)
    assert convert("tf_l2_loss", {"scale": 0.4}).strengths == (0, 0.2)


def torch_sgd(w: Array, gradient: Array, weight_decay: float, rate: float) -> Array:
    """A step of torch.optim.SGD as its documentation has it: g ← g + λθ, θ ← θ − γg."""
    return w - rate * (gradient + weight_decay * w)


def test_a_step_of_pytorchs_sgd_is_that_of_reglab() -> None:
    x, y, w, b = start()
    decay = (convert("reglab", {"l2": 0.2}).words["pytorch_sgd"].settings or {})["weight_decay"]
    ours, _ = step_of_reglab(w, b, x, y, Strengths(0, 0.2), 0.5)
    of_w, _ = gradients(w, b, x, y)
    np.testing.assert_allclose(torch_sgd(w, of_w, decay, 0.5), ours, rtol=0, atol=1e-14)


def test_steps_of_pytorchs_adam_are_those_of_reglab() -> None:
    """torch.optim.Adam as its documentation has it, g ← g + λθ before the moments; without ε, whose place differs."""
    import tensorflow as tf

    from reglab.core.optimizers import Adam

    x, y, w, b = start()
    decay = (convert("reglab", {"l2": 0.2}).words["pytorch_adam"].settings or {})["weight_decay"]
    theirs, m, v = w, np.zeros_like(w), np.zeros_like(w)
    ours: dict[str, Any] = {"logits": {"kernel": tf.constant(w)}}
    adam = Adam(epsilon=0.0)
    slots = adam.slots(ours)
    for t in range(1, 4):
        g = gradients(theirs, b, x, y)[0] + decay * theirs
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        theirs = theirs - 0.01 * (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t))
        kernel = ours["logits"]["kernel"].numpy()
        total = {"logits": {"kernel": tf.constant(gradients(kernel, b, x, y)[0] + 2 * 0.2 * kernel)}}
        ours, slots, _ = adam.update(total, slots, ours, tf.constant(t - 1, tf.int64), tf.constant(0.01, tf.float64))
    np.testing.assert_allclose(ours["logits"]["kernel"].numpy(), theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("library", "optimizer"), [("pytorch_sgd", "SGD"), ("pytorch_adam", "Adam")])
def test_pytorch_itself_adds_the_penalty_that_is_told(library: str, optimizer: str) -> None:
    torch = pytest.importorskip("torch")
    _, _, w, _ = start()
    words = convert("reglab", {"l1": 0.03, "l2": 0.2}).words[library]
    decayed, written = (torch.tensor(w, requires_grad=True) for _ in range(2))
    for kernel, decay, l2 in ((decayed, (words.settings or {})["weight_decay"], 0), (written, 0, 0.2)):
        steps = getattr(torch.optim, optimizer)([kernel], lr=0.01, weight_decay=decay)
        for _ in range(3):
            steps.zero_grad()
            (kernel.sin().sum() + 0.03 * kernel.abs().sum() + l2 * kernel.square().sum()).backward()
            steps.step()
    np.testing.assert_allclose(decayed.detach().numpy(), written.detach().numpy(), rtol=0, atol=1e-12)


def test_decoupled_decay_is_a_penalty_beside_plain_sgd_alone() -> None:
    import tensorflow as tf

    from reglab.core.optimizers import Adam

    x, y, w, b = start()
    of_w, _ = gradients(w, b, x, y)
    decoupled = w * (1 - 0.5 * 0.4) - 0.5 * of_w
    np.testing.assert_allclose(decoupled, step_of_reglab(w, b, x, y, Strengths(0, 0.4 / 2), 0.5)[0], rtol=0, atol=1e-14)
    kernel = {"logits": {"kernel": tf.constant(w)}}
    adam = Adam(weight_decay=0.4, decayed={"logits": "kernel"})
    stepped, _, _ = adam.update({"logits": {"kernel": tf.zeros_like(w)}}, adam.slots(kernel), kernel,
                             tf.constant(0, tf.int64), tf.constant(0.5, tf.float64))
    # What the note says: a factor of 1 − rate · decay beside Adam's step, which is 0 here.
    np.testing.assert_allclose(stepped["logits"]["kernel"].numpy(), w * (1 - 0.5 * 0.4), rtol=0, atol=1e-14)
    with pytest.raises(NoEquivalent, match=r"no term of an objective.*beside plain SGD it would be --l2=0\.2$"):
        convert("adamw", {"weight_decay": 0.4})
    assert convert("reglab", {"l2": 0.2}).words["adamw"].settings is None
    assert convert("reglab", {"l2": 0.0}).words["adamw"].settings == {"weight_decay": 0}


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("strengths", [(0.0, 0.0), (1e-3, 0.0), (0.0, 1e-4), (1e-3, 1e-4)])
@pytest.mark.parametrize("library", CONVENTIONS)
def test_there_and_back_is_the_same(library: str, strengths: tuple[float, float], classes: int) -> None:
    words = convert("reglab", dict(zip(("l1", "l2"), strengths, strict=True)), examples=1437, classes=classes).words
    settings = words[library].settings
    if settings is None or library == "adamw":
        assert library == "adamw" or (library in ("sklearn_sgd", "skglm") and classes > 2)
        return
    back = convert(library, settings, examples=1437, classes=classes).strengths
    has_l1 = library not in ("tf_l2_loss", "pytorch_sgd", "pytorch_adam")
    assert back.l1 == pytest.approx(strengths[0] if has_l1 else 0, rel=1e-12, abs=1e-18)
    assert back.l2 == pytest.approx(strengths[1], rel=1e-12, abs=1e-18)
    assert bool(words[library].lacks) == (not has_l1 and strengths[0] > 0)


@pytest.mark.parametrize(("library", "values", "others", "said"), [
    ("torch", {}, {}, "--from=torch: choose one of .*did you mean pytorch_sgd"),
    ("sklearn", {"alpha": 1.0}, {}, "--alpha is no parameter of --from=sklearn: it takes --C and --l1_ratio"),
    ("sklearn", {"C": 1.0}, {}, "give --examples"), ("sklearn", {"C": 0.0}, {"examples": 9}, "--C=0: C is the inverse"),
    ("sklearn", {"l1_ratio": 1.0}, {"examples": 9}, "takes --C and --l1_ratio: give --C"),
    ("sklearn", {"C": 1e-305}, {"examples": 9}, r"the strength is more than 1e\+300"),
    ("sklearn", {"C": 1.0, "l1_ratio": 1.5}, {"examples": 9}, "--l1_ratio=1.5: give a finite number .*at most 1"),
    ("glmnet", {"lambda": math.nan}, {}, "--lambda=nan: give a finite"), ("keras", {}, {}, "give --l1 or --l2"),
    ("keras", {"l1": 1.0}, {"examples": 0}, "--examples=0: give a whole number from 1 to"),
    ("keras", {"l1": 1.0}, {"classes": 1}, "--classes=1: give a whole number from 2 to"),
    ("skglm", {"alpha": 1.0}, {}, "no equivalent for three classes or more"),
    ("keras", {"l1": math.inf}, {}, "--l1=inf: give a finite number")])
def test_what_cannot_be_converted_is_refused_in_a_line(library: str, values: dict[str, float], others: dict[str, int],
                                                       said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        convert(library, values, **others)
