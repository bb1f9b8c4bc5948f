"""Libraries for linear classifiers, whose penalty is an elastic net of one strength and one ratio.

    mean loss + strength · (ratio · Σ|W| + (1 − ratio)/2 · ΣW²)

So λ1 = strength · ratio and λ2 = strength · (1 − ratio)/2. In reglab that is `--hidden=`, which has a logit for each
class. For two classes these libraries have one vector w instead. Of all pairs of vectors whose difference is w, ±w/2
has the least ΣW², which is Σw²/2, and none has a smaller Σ|W| than its Σ|w|. So λ1 is the same, and λ2 twice as large.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Final

from reglab.config import ConfigError
from reglab.convert.base import NO_EQUIVALENT, Convention, NoEquivalent, Parameter, Problem, Strengths, Words, written

_TWO: Final = "With two classes (--classes=2) it has one vector of weights, not two: l2 is then twice as large."
_REST: Final = "With three classes or more it trains each against the rest, where reglab has the softmax of all."


class _ExamplesNeeded(ConfigError):
    """The number of training examples was not given."""


class ElasticNet(Convention):
    """A linear classifier with an elastic net.

    Attributes:
      is_multinomial: whether it minimizes the cross-entropy of the softmax where there are three classes or more.
      strength_name, ratio_name: its parameters.
    """

    l2 = "sum W^2 / 2"
    biases = "no"
    is_multinomial: ClassVar[bool] = False
    strength_name: ClassVar[str] = "alpha"
    ratio_name: ClassVar[str] = "l1_ratio"

    def strengths(self, values: Mapping[str, float], problem: Problem) -> Strengths:
        """Returns λ1 and λ2 by the formula of the module."""
        if not (self.is_multinomial or problem.is_binary):
            raise NoEquivalent(f"--from={self.name}: no equivalent for three classes or more, of which it trains each "
                               "against the rest; give --classes=2 if there are two")
        strength, ratio = self._strength(values[self.strength_name], problem), values[self.ratio_name]
        return Strengths(strength * ratio, strength * (1 - ratio) / (1 if problem.is_binary else 2))

    def words(self, strengths: Strengths, problem: Problem) -> Words:
        """Returns the strength and the ratio that give these λ1 and λ2."""
        if not (self.is_multinomial or problem.is_binary):
            return Words(None, NO_EQUIVALENT, "No equivalent with three classes or more.")
        strength = strengths.l1 + strengths.l2 * (1 if problem.is_binary else 2)
        ratio = strengths.l1 / strength if strength else self._default_ratio
        try:
            value = self._parameter(strength, problem)
        except _ExamplesNeeded as error:
            return Words(None, "give --examples", f"{error}.")
        return Words({self.strength_name: value, self.ratio_name: ratio}, self._code(value, ratio))

    @property
    def _default_ratio(self) -> float:
        return next(p.default for p in self.parameters if p.name == self.ratio_name and p.default is not None)

    def _strength(self, value: float, problem: Problem) -> float:
        """Converts the parameter to the strength in the formula of the module."""
        return value

    def _parameter(self, strength: float, problem: Problem) -> float:
        """Converts the strength in the formula of the module to the parameter."""
        return strength

    def _code(self, value: float, ratio: float) -> str:
        raise NotImplementedError


class LogisticRegression(ElasticNet):
    """scikit-learn's LogisticRegression: C · Σ loss + ratio · Σ|W| + (1 − ratio)/2 · ΣW², so strength = 1/(C·n)."""

    name = "sklearn"
    title = "scikit-learn, linear_model.LogisticRegression"
    parameters = (Parameter("C"), Parameter("l1_ratio", 0.0, 1.0))
    loss = "C * sum"
    notes = ("The losses are summed, so the number n of training examples counts: l1 = l1_ratio / (C * n), "
             "l2 = (1 - l1_ratio) / (2 * C * n).", _TWO, "solver='liblinear' penalizes the intercept too.",
             "Before scikit-learn 1.8 l1_ratio counts only with penalty='elasticnet'; penalty='l1' is l1_ratio=1, and "
             "the default, 'l2', is l1_ratio=0.")
    is_multinomial = True
    strength_name = "C"

    def _strength(self, value: float, problem: Problem) -> float:
        if value == 0:
            raise ConfigError("--C=0: C is the inverse of a strength: give a positive number, or inf for no penalty")
        return 1 / value / self._examples(problem)

    def _parameter(self, strength: float, problem: Problem) -> float:
        return 1 / (strength * self._examples(problem)) if strength else math.inf

    def _code(self, value: float, ratio: float) -> str:
        c = "np.inf" if math.isinf(value) else written(value)
        solver = '"saga"' if ratio else '"lbfgs"'
        return f"LogisticRegression(C={c}, l1_ratio={written(ratio)}, solver={solver})"

    @staticmethod
    def _examples(problem: Problem) -> int:
        if problem.examples is None:
            raise _ExamplesNeeded("C depends on the number of training examples: give --examples")
        return problem.examples


class SGDClassifier(ElasticNet):
    """scikit-learn's SGDClassifier with loss="log_loss"."""

    name = "sklearn_sgd"
    title = 'scikit-learn, linear_model.SGDClassifier with loss="log_loss"'
    parameters = (Parameter("alpha"), Parameter("l1_ratio", 0.0, 1.0))
    notes = (_REST, _TWO, "l1_ratio counts only with penalty='elasticnet'; the default, 'l2', is l1_ratio=0.")

    def _code(self, value: float, ratio: float) -> str:
        return (f'SGDClassifier(loss="log_loss", penalty="elasticnet", alpha={written(value)}, '
                f"l1_ratio={written(ratio)})")


class Glmnet(ElasticNet):
    """glmnet (Friedman, Hastie and Tibshirani 2010): its lambda is the strength, its alpha the ratio."""

    name = "glmnet"
    title = 'glmnet of R, family="multinomial", with two classes "binomial"'
    parameters = (Parameter("lambda"), Parameter("alpha", 1.0, 1.0))
    notes = ("standardize=FALSE: by default it scales every input to unit variance first, and the strength is one on "
             "that scale.",
             'type.multinomial="ungrouped", the default; "grouped" is a group lasso over the classes.', _TWO)
    is_multinomial = True
    strength_name, ratio_name = "lambda", "alpha"

    def _code(self, value: float, ratio: float) -> str:
        return f"glmnet(x, y, ..., lambda={written(value)}, alpha={written(ratio)}, standardize=FALSE)"


class Skglm(ElasticNet):
    """skglm (Bertrand et al. 2022) with its Logistic loss and L1_plus_L2 penalty."""

    name = "skglm"
    title = "skglm, Logistic with L1_plus_L2; SparseLogisticRegression has L1 alone unless told otherwise"
    parameters = (Parameter("alpha"), Parameter("l1_ratio", 1.0, 1.0))
    notes = (_REST, _TWO)

    def _code(self, value: float, ratio: float) -> str:
        return f"GeneralizedLinearEstimator(Logistic(), L1_plus_L2({written(value)}, l1_ratio={written(ratio)}))"


CONVENTIONS: Final[tuple[Convention, ...]] = (LogisticRegression(), SGDClassifier(), Glmnet(), Skglm())
