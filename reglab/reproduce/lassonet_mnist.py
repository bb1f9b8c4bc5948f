"""Fifty pixels of MNIST chosen by a group penalty on the inputs, judged by a classifier that reglab has no part in.

The group lasso on the outgoing weights of the inputs drops pixels one by one as its strength rises. Of each network
that still has fifty, the fifty that weigh most go to extremely randomized trees; validation chooses the strength.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from reglab.config import Config, ConfigError
from reglab.core.penalties.by_name import ByPenalty
from reglab.data import Dataset, Examples, load
from reglab.reproduce.base import LABEL, Criterion, Job, Outcome, Reproduction
from reglab.reproduce.statistics import is_above, mean_of

TO_REACH: Final = 89.2
"""In %."""
FRACTIONS: Final = (0.7, 0.1, 0.2)
_SEED: Final = 0
_PIXELS: Final = 784


@dataclasses.dataclass(frozen=True)
class LassoNetMNIST(Reproduction):
    """Accuracy of extremely randomized trees on the chosen pixels.

    Attributes:
      data_dir: the folder of MNIST's files; None has Keras download them.
      examples: how many images, of MNIST's training part, are divided 70-10-20 into the three splits.
      pixels: how many are chosen.
      strengths: of the group penalty on the inputs, among which validation chooses.
      epochs: passes over the training data.
      trees: how many the classifier has.
    """

    data_dir: str | None = None
    examples: int = 10_000
    pixels: int = 50
    strengths: tuple[float, ...] = (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3, 3.2e-3)
    epochs: int = 50
    trees: int = 100

    name = "lassonet_mnist"
    title = "Fifty pixels of MNIST by a group penalty on the inputs"
    source = ("Lemhadri, Ruan, Abraham and Tibshirani, JMLR 22:127 (2021), LassoNet; its table 2 was not at hand, so "
              f"none of its figures are shown, and {TO_REACH} % is what reglab was asked to reach")
    differently = (
        "LassoNet chooses inputs by a linear skip layer whose weights bound those of the network; here a group lasso "
        "on the outgoing weights of the inputs does, by its proximal operator.",
    )
    metric = "accuracy of extremely randomized trees (%)"
    columns = {LABEL: "pixels", "accuracy": "test accuracy", "network": "the network's own", "inputs": "inputs it has"}
    takes_data_dir = True

    @property
    def settings(self) -> dict[str, Any]:
        """The fields but for the folder."""
        fields = {**dataclasses.asdict(self), "strengths": list(self.strengths)}
        return {name: value for name, value in fields.items() if name != "data_dir"}

    @property
    def parts(self) -> tuple[str, ...]:
        """The choice with all seeds."""
        return ("choice",)

    def data(self) -> Dataset:
        """Takes the first images of MNIST's training part, which are in no order.

        Raises:
          ConfigError: scikit-learn is not installed, or there is no MNIST.
        """
        try:
            import sklearn  # noqa: F401
        except ImportError:
            raise ConfigError(f"{self.name} needs scikit-learn: pip install 'reglab[sklearn]'") from None
        whole = load("mnist", data_dir=self.data_dir)
        x, y = (np.concatenate([getattr(whole.train, name), getattr(whole.validation, name)]) for name in ("x", "y"))
        order = np.random.default_rng(_SEED).permutation(len(y))[:self.examples]
        ends = np.cumsum([round(fraction * self.examples) for fraction in FRACTIONS])
        parts = [Examples(x[of], y[of]) for of in np.split(order, ends[:-1])]
        return dataclasses.replace(whole, train=parts[0], validation=parts[1], test=parts[2], validated_on_test=False)

    def train(self, part: str, data: Dataset, job: Job) -> dict[str, Any]:
        """Trains every strength from every seed, chooses, and has the trees classify; keeps figures by seed."""
        from reglab.lab.lanes import Lane
        from reglab.reproduce.lane_runs import kept, train_lanes

        config = Config(hidden=(128, 64), batch_size=100, epochs=self.epochs, evaluate_every=self.epochs,
                        summary_every=0, proximal=True)
        lanes = [Lane(ByPenalty(0.0, {"group_l1": f"dense_0={strength}"}), seed=seed)
                 for seed in job.seeds for strength in self.strengths]
        trained = train_lanes(config, data, lanes, job)
        shape = len(job.seeds), len(self.strengths)
        scores = kept(trained.scores, shape)
        norms = trained.input_norms.reshape(*shape, -1)
        chosen = [self._chosen(data, of_seed, seed) for of_seed, seed in zip(norms, job.seeds, strict=True)]
        return {**scores, "chosen": [lane for lane, _ in chosen], "pixels": [pixels.tolist() for _, pixels in chosen],
                "accuracy": [self._of_trees(data, data.test, pixels, seed)
                             for (_, pixels), seed in zip(chosen, job.seeds, strict=True)],
                "of_all": [self._of_trees(data, data.test, np.arange(norms.shape[-1]), seed) for seed in job.seeds]}

    def outcome(self, parts: Mapping[str, Mapping[str, Any]]) -> Outcome:
        """Judges the mean accuracy over seeds."""
        found = parts["choice"]
        network, inputs = (mean_of(scale * np.array([1 - row[lane] for row, lane in zip(
            found[name], found["chosen"], strict=True)])) for name, scale in (("test", 100), ("inputs", _PIXELS)))
        accuracy, of_all = (mean_of(100 * np.array(found[name])) for name in ("accuracy", "of_all"))
        rows = ({LABEL: str(self.pixels), "accuracy": accuracy, "network": network, "inputs": inputs},
                {LABEL: "all", "accuracy": of_all, "network": None, "inputs": None})
        within = "" if accuracy.low is None else f" ({accuracy.low:.2f} to {accuracy.high:.2f} %)"
        criterion = Criterion(f"on {self.pixels} pixels {accuracy.mean:.2f} %{within} are right, more than "
                              f"{TO_REACH} %", is_above(accuracy, TO_REACH))
        return Outcome(rows, (criterion,), (
            f"Extremely randomized trees are right on {accuracy.mean:.2f} % of the test images by {self.pixels} "
            f"pixels, and on {of_all.mean:.2f} % by all {_PIXELS}."))

    def draw(self, outcome: Outcome, axis: Any) -> None:
        """Draws both accuracies as bars, and the figure to reach as a line."""
        from reglab.lab.plots.style import BLUE, GREY

        for place, row in enumerate(outcome.rows):
            axis.bar(place, row["accuracy"].mean, color=BLUE if place == 0 else GREY)
        axis.axhline(TO_REACH, color="black", linestyle=":", label=f"to reach: {TO_REACH}")
        axis.set_xticks(range(len(outcome.rows)), [f"{row[LABEL]} pixels" for row in outcome.rows])
        axis.set_ylim(50, 100)

    def _chosen(self, data: Dataset, norms: np.ndarray, seed: int) -> tuple[int, np.ndarray]:
        """Returns the strength, by its place, whose largest inputs serve the trees best on validation, and these."""
        best: tuple[float, int, np.ndarray] | None = None
        for lane, of_inputs in enumerate(norms):
            if np.sum(of_inputs > 0) >= self.pixels:
                pixels = np.sort(np.argsort(-of_inputs, kind="stable")[:self.pixels])
                accuracy = self._of_trees(data, data.validation, pixels, seed)
                if best is None or accuracy > best[0]:
                    best = accuracy, lane, pixels
        if best is None:
            raise ConfigError(f"{self.name}: none of the strengths {', '.join(map(str, self.strengths))} leaves "
                              f"{self.pixels} pixels: give smaller ones")
        return best[1:]

    def _of_trees(self, data: Dataset, part: Examples | None, pixels: np.ndarray, seed: int) -> float:
        from sklearn.ensemble import ExtraTreesClassifier

        assert part is not None, "a reproduction has a test part"
        trees = ExtraTreesClassifier(self.trees, random_state=seed).fit(data.train.x[:, pixels], data.train.y)
        return float(trees.score(part.x[:, pixels], part.y))
