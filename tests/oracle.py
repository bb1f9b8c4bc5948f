"""Softmax regression with exact zeros against scikit-learn's optimum: `python -m tests.oracle`.

On the digits and on 2,000 images of MNIST (where `REGLAB_MNIST_DIR` names the folder of its files), for L1, L2 and
both, three strengths each, in float64 with full batches: prints both objectives and the support, and exits with 4
unless the objectives are within 1e-6 and the same entries are 0 but for those under 1e-6. Takes some minutes, most of
them in scikit-learn; `tests/test_oracle.py` is the same on fewer examples.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from reglab.config import Config
from reglab.core.penalties.by_name import ByPenalty
from reglab.data import Dataset
from reglab.engine.assembly import load_dataset
from reglab.lab.lanes import Lane, LaneTrainer

MOST = 1e-6
STRENGTHS = (3e-4, 1e-3, 3e-3)
CASES = [(l1, l2) for strength in STRENGTHS for l1, l2 in ((strength, 0.0), (0.0, strength), (strength, strength))]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the two optima of a problem are.

    Attributes:
      ours, theirs: the objectives.
      zeros: how many entries of the kernel are 0 in ours.
      other_support: how many entries that are 0 in one alone are 1e-6 or more in the other.
    """

    l1: float
    l2: float
    ours: float
    theirs: float
    zeros: int
    other_support: int

    @property
    def holds(self) -> bool:
        """Whether the two are one."""
        return abs(self.ours - self.theirs) <= MOST and not self.other_support


def verdicts(data: Dataset, cases: Sequence[tuple[float, float]], steps: int, rate: float) -> Iterator[Verdict]:
    """Solves problems, given as (l1, l2), by proximal descent as lanes, and each by scikit-learn."""
    x = data.train.x.reshape(len(data.train), -1).astype(np.float64) / data.divisor
    config = Config(hidden=(), proximal=True, precision="float64", batch_size=len(x), epochs=steps,
                    evaluate_every=steps, summary_every=0, optimizer="momentum", momentum=0.99, learning_rate=rate)
    lanes = [Lane(ByPenalty(0.0, {"l1": l1, "l2": l2}), rate) for l1, l2 in cases]
    found = LaneTrainer(config, data, len(lanes)).train(lanes).parameters["logits"]
    for at, (l1, l2) in enumerate(cases):
        kernel, bias = found["kernel"][at], found["bias"][at]
        optimum, intercept = optimum_of_scikit_learn(x, data.train.y, l1, l2)
        other = ((kernel == 0) & (np.abs(optimum) >= MOST)) | ((optimum == 0) & (np.abs(kernel) >= MOST))
        yield Verdict(l1, l2, objective(x, data.train.y, kernel, bias, l1, l2),
                      objective(x, data.train.y, optimum, intercept, l1, l2), int(np.sum(kernel == 0)),
                      int(np.sum(other)) if l1 else 0)


def optimum_of_scikit_learn(x: np.ndarray, y: np.ndarray, l1: float, l2: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns kernel and bias of its `LogisticRegression`, whose losses are summed and whose L2 has a half."""
    from sklearn.linear_model import LogisticRegression

    weight = len(x) * (l1 + 2 * l2)
    model = LogisticRegression(C=1 / weight, l1_ratio=l1 / (l1 + 2 * l2), solver="saga", tol=1e-9, max_iter=20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Such as one that it has not converged.
        model.fit(x, y)
    return model.coef_.T, model.intercept_


def objective(x: np.ndarray, y: np.ndarray, kernel: np.ndarray, bias: np.ndarray, l1: float, l2: float) -> float:
    """Data loss + l1·Σ|W| + l2·ΣW² of softmax regression, in NumPy."""
    logits = x @ kernel + bias
    shifted = logits - logits.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(y)), y]
    return float(losses.mean() + l1 * np.abs(kernel).sum() + l2 * (kernel * kernel).sum())


def main() -> int:
    """Prints a line for each problem."""
    problems: list[tuple[Any, ...]] = [(Config(), 4000, 0.3)]
    folder = os.environ.get("REGLAB_MNIST_DIR")
    if folder:
        problems.append((Config(dataset="mnist", data_dir=folder, train_size=2000), 8000, 0.05))
    else:
        print("REGLAB_MNIST_DIR is not set: digits alone")
    held = True
    for config, steps, rate in problems:
        data = load_dataset(config)
        print(f"{data.description}\n{'l1':>8} {'l2':>8} {'ours':>14} {'scikit-learn':>14} {'difference':>11} "
              f"{'zeros':>7} {'other support':>13}")
        for one in verdicts(data, CASES, steps, rate):
            held &= one.holds
            print(f"{one.l1:8g} {one.l2:8g} {one.ours:14.10f} {one.theirs:14.10f} {one.ours - one.theirs:11.1e} "
                  f"{one.zeros:7,} {one.other_support:13} {'' if one.holds else '<- MISSED'}", flush=True)
    return 0 if held else 4


if __name__ == "__main__":
    sys.exit(main())
