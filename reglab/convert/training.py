"""Libraries whose training loop is the user's: reglab itself, Keras, TensorFlow, PyTorch, and decoupled decay.

Their loss is the mean over the examples of one step's batch, a shorter last one too, as in reglab, so strengths depend
on neither the number of examples nor the batch size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from reglab.convert.base import NO_EQUIVALENT, Convention, NoEquivalent, Parameter, Problem, Strengths, Words, written


class Reglab(Convention):
    """reglab's own flags."""

    name = "reglab"
    title = "reglab"
    parameters = (Parameter("l1", 0.0), Parameter("l2", 0.0))
    l2 = "sum W^2"
    biases = "no"
    notes = ("Here, in Keras, TensorFlow and PyTorch the mean is over the batch of a step, and the penalty counts once "
             "a step, in full: no strength depends on the batch size. In an epoch whose last batch is shorter, the "
             "examples of that batch count for more; the linear classifiers below weigh all examples alike.",)

    def strengths(self, values: Mapping[str, float], problem: Problem) -> Strengths:
        """Returns the values themselves."""
        return Strengths(values["l1"], values["l2"])

    def words(self, strengths: Strengths, problem: Problem) -> Words:
        """Returns the strengths as flags."""
        return Words(strengths._asdict(), f"--l1={written(strengths.l1)} --l2={written(strengths.l2)}")


class Keras(Reglab):
    """`keras.regularizers.L1L2`, whose convention reglab follows."""

    name = "keras"
    title = "Keras, kernel_regularizer of a layer"
    notes = ("bias_regularizer would penalize biases as well.",)

    def words(self, strengths: Strengths, problem: Problem) -> Words:
        """Returns λ1 and λ2 as they are."""
        return Words(strengths._asdict(),
                     f"keras.regularizers.L1L2(l1={written(strengths.l1)}, l2={written(strengths.l2)})")


class L2Loss(Convention):
    """`tf.nn.l2_loss`, which is ΣW²/2, times a scale: λ2 = scale / 2."""

    name = "tf_l2_loss"
    title = "TensorFlow, tf.nn.l2_loss added to the loss"
    parameters = (Parameter("scale"),)
    l2 = "sum W^2 / 2"
    biases = "if listed"
    notes = ("The loss is taken by tf.reduce_mean; beside tf.reduce_sum the scale is the batch size times as large.",)

    def strengths(self, values: Mapping[str, float], problem: Problem) -> Strengths:
        """Returns λ2 = scale / 2."""
        return Strengths(0.0, values["scale"] / 2)

    def words(self, strengths: Strengths, problem: Problem) -> Words:
        """Returns scale = 2 · λ2."""
        scale = 2 * strengths.l2
        l1 = f" + {written(strengths.l1)} * tf.reduce_sum(tf.abs(kernel))" if strengths.l1 else ""
        return Words({"scale": scale}, f"{written(scale)} * tf.nn.l2_loss(kernel){l1}",
                     "It has no L1, which is a term beside it." if l1 else "")


class PyTorchSGD(Convention):
    """`weight_decay` of `torch.optim.SGD` adds weight_decay · W to the gradient: λ2 = weight_decay / 2."""

    name = "pytorch_sgd"
    title = "PyTorch, weight_decay of torch.optim.SGD, with momentum or without"
    parameters = (Parameter("weight_decay"),)
    l2 = "sum W^2 / 2"
    biases = "if listed"
    notes: ClassVar[tuple[str, ...]] = (
        "weight_decay * W is added to the gradient; of biases and norms too, unless these are in a group with "
        "weight_decay=0.",
        "With reduction='sum' in the loss it is the batch size times as large.",
        "clip_grad_norm_ clips before it is added; --clip_norm clips the gradient of the total.")
    _code: ClassVar[str] = "torch.optim.SGD"

    def strengths(self, values: Mapping[str, float], problem: Problem) -> Strengths:
        """Returns λ2 = weight_decay / 2."""
        return Strengths(0.0, values["weight_decay"] / 2)

    def words(self, strengths: Strengths, problem: Problem) -> Words:
        """Returns weight_decay = 2 · λ2."""
        decay = 2 * strengths.l2
        l1 = f"{written(strengths.l1)} * kernel.abs().sum()" if strengths.l1 else ""
        return Words({"weight_decay": decay}, f"{self._code}(kernels, weight_decay={written(decay)})"
                     f"{f'; loss += {l1}' if l1 else ''}", "It has no L1, which has to be in the loss." if l1 else "")


class PyTorchAdam(PyTorchSGD):
    """`weight_decay` of `torch.optim.Adam`: added to the gradient before the moments are taken, as any penalty is."""

    name = "pytorch_adam"
    title = "PyTorch, weight_decay of torch.optim.Adam, which is not AdamW"
    notes = ("As of torch.optim.SGD; it is added before Adam takes its moments, as reglab's penalties are.",
             "Adam's epsilon is another: 1e-8 beside the corrected root there, 1e-7 beside the uncorrected one here.")
    _code = "torch.optim.Adam"


class AdamW(Convention):
    """Decoupled weight decay (Loshchilov and Hutter 2019), which is no term of an objective."""

    name = "adamw"
    title = "Decoupled decay: torch.optim.AdamW, keras.optimizers.AdamW, optax.adamw"
    parameters = (Parameter("weight_decay"),)
    l2 = "none"
    biases = "if listed"
    notes = ("Each step multiplies W by 1 - learning_rate * weight_decay, beside Adam's step.",
             "At rest an entry solves gradient + weight_decay * (sqrt(v) + epsilon) * W = 0, where v is its mean "
             "squared gradient: a strength of its own for each entry, which training changes.",
             "Beside a step of plain SGD the same decay is L2 of weight_decay / 2, at any rate.",
             "reglab has it as --optimizer=adamw --weight_decay, on kernels alone.")

    def strengths(self, values: Mapping[str, float], problem: Problem) -> Strengths:
        """Refuses: there are none."""
        decay = values["weight_decay"]
        raise NoEquivalent("--from=adamw: decoupled decay is no term of an objective, so no l1 and l2 are like it; "
                           f"reglab has it as --optimizer=adamw --weight_decay={written(decay)}; beside plain SGD it "
                           f"would be --l2={written(decay / 2)}")

    def words(self, strengths: Strengths, problem: Problem) -> Words:
        """Returns no settings: no decay has the optimum of a penalty."""
        if not any(strengths):
            return Words({"weight_decay": 0.0}, "torch.optim.AdamW(kernels, weight_decay=0)")
        like = (f"; weight_decay={written(2 * strengths.l2)} shrinks W in a step as much as this l2 does with plain "
                "SGD at the same rate, but its optimum is another") if strengths.l2 else ""
        return Words(None, NO_EQUIVALENT, f"No equivalent: decoupled decay is no term of an objective{like}.")


CONVENTIONS: Final[tuple[Convention, ...]] = (Reglab(), Keras(), L2Loss(), PyTorchSGD(), PyTorchAdam(), AdamW())
