"""Double descent on MNIST-1D: the test error against the width of a network, and what a tuned L2 makes of it.

The width at which a network just memorizes its noisy labels is the one with the largest test error; past it, wider
networks do better again. With a tuned L2 at each width there is no such peak (Nakkiran et al., ICLR 2021, "Optimal
regularization can mitigate double descent").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from reglab.config import Config
from reglab.core.penalties.by_name import ByPenalty
from reglab.data import Dataset
from reglab.reproduce.base import LABEL, Criterion, Interval, Job, Outcome, Reproduction
from reglab.reproduce.mnist1d_data import mnist1d
from reglab.reproduce.statistics import difference, is_above, lowest, mean_of

PUBLISHED: Final[Mapping[int, float]] = {
    2: 69.59, 3: 67.50, 4: 62.55, 5: 57.45, 7: 54.80, 9: 48.97, 12: 50.28, 16: 47.24, 21: 50.84, 27: 50.69, 36: 52.80,
    47: 54.05, 61: 54.02, 80: 52.08, 104: 50.23, 135: 48.39, 177: 47.88, 230: 46.54, 300: 45.47}
"""The test error in %, with noisy labels and no penalty, by width."""
VALLEY, PEAK, WIDEST = 16, 47, 300
"""Published: the width of least error before the peak, that of the peak, and the largest one."""
STRENGTHS: Final = (0.0, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3)
NOISE: Final = 0.135
"""Of the 15 % of the labels that were drawn anew there, one in ten was drawn as it had been."""


@dataclasses.dataclass(frozen=True)
class MNIST1D(Reproduction):
    """Test error against width, without a penalty and with the L2 that validation chooses.

    Attributes:
      widths: of both hidden layers; `VALLEY`, `PEAK` and `WIDEST` among them.
      strengths: of L2; 0 among them.
      epochs: passes over the training data.
      examples: how many there are to train on, to choose by and to test with.
    """

    widths: tuple[int, ...] = tuple(PUBLISHED)
    strengths: tuple[float, ...] = STRENGTHS
    epochs: int = 500
    examples: tuple[int, int, int] = (4000, 4000, 12_000)

    name = "mnist1d"
    title = "Double descent on MNIST-1D, and a tuned L2 that flattens it"
    source = ("Greydanus and Kobak, ICML 2024, Scaling down deep learning with MNIST-1D; the figures are printed in "
              "the notebook deep-double-descent.ipynb of github.com/greydanus/mnist1d")
    differently = (
        "One seed.",
        "15 % of the labels were drawn anew among all classes, so that 13.5 % were wrong on average; here exactly "
        "13.5 % are.",
        "Weights and biases start uniformly within 1/sqrt(inputs), as in PyTorch; here weights are Glorot's and "
        "biases 0.",
        "No validation part and no L2; here 4,000 further examples of the same generator choose its strength.",
    )
    metric = "test error (%)"
    columns = {LABEL: "width", "published": "published", "none": "no penalty", "tuned": "tuned L2", "l2": "its L2"}

    @property
    def settings(self) -> dict[str, Any]:
        """The fields."""
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in dataclasses.asdict(self).items()}

    @property
    def parts(self) -> tuple[str, ...]:
        """A part for each width."""
        return tuple(f"width-{width:03}" for width in self.widths)

    def data(self) -> Dataset:
        """Makes the data by their generator, and the noise."""
        return mnist1d(*self.examples, label_noise=NOISE)

    def train(self, part: str, data: Dataset, job: Job) -> dict[str, Any]:
        """Trains every strength from every seed; keeps the scores, [strengths, seeds] as fractions."""
        from reglab.lab.lanes import Lane
        from reglab.reproduce.lane_runs import kept, train_lanes

        width = int(part.removeprefix("width-"))
        config = Config(hidden=(width, width), optimizer="momentum", momentum=0.9, learning_rate=0.01, batch_size=100,
                        epochs=self.epochs, evaluate_every=self.epochs, summary_every=0)
        lanes = [Lane(ByPenalty(0.0, {"l2": strength}), learning_rate=config.learning_rate, seed=seed)
                 for strength in self.strengths for seed in job.seeds]
        return kept(train_lanes(config, data, lanes, job).scores, (len(self.strengths), len(job.seeds)))

    def outcome(self, parts: Mapping[str, Mapping[str, Any]]) -> Outcome:
        """Judges the peak at the published widths, in differences paired by seed."""
        none, tuned, chosen = {}, {}, {}
        for width, part in zip(self.widths, self.parts, strict=True):
            test, validation = (100 * np.array(parts[part][name], float) for name in ("test", "validation"))
            at = lowest(validation)
            none[width], tuned[width], chosen[width] = test[self.strengths.index(0)], test[at], self.strengths[at]
        rows = tuple({LABEL: str(width), "published": PUBLISHED.get(width), "none": mean_of(none[width]),
                      "tuned": mean_of(tuned[width]), "l2": f"{chosen[width]:g}"} for width in self.widths)
        rise, fall = (difference(none[PEAK], none[other]) for other in (VALLEY, WIDEST))
        gain, left = difference(none[PEAK], tuned[PEAK]), difference(tuned[PEAK], tuned[VALLEY])
        criteria = (
            Criterion(f"without a penalty the error rises from width {VALLEY} to {PEAK}: {_points(rise)}",
                      is_above(rise, 0)),
            Criterion(f"and falls again to width {WIDEST}: {_points(fall)} more at {PEAK}", is_above(fall, 0)),
            Criterion(f"a tuned L2 makes it smaller at width {PEAK}: {_points(gain)} less", is_above(gain, 0)),
            Criterion(f"and then no rise from width {VALLEY} to {PEAK} can be shown: {_points(left)}",
                      not is_above(left, 0) and is_above(difference(none[PEAK] - none[VALLEY],
                                                                    tuned[PEAK] - tuned[VALLEY]), 0)))
        peak = max((width for width in self.widths if width >= VALLEY), key=lambda width: float(np.mean(none[width])))
        published = PUBLISHED[PEAK] - PUBLISHED[VALLEY], PUBLISHED[PEAK] - PUBLISHED[WIDEST]
        return Outcome(rows, criteria, (
            f"Without a penalty the test error has its peak at width {peak} (published: {PEAK}); at width {PEAK} it is "
            f"{_points(rise)} above that at {VALLEY} (published: {published[0]:.2f}) and {_points(fall)} above that at "
            f"{WIDEST} ({published[1]:.2f}). With the L2 that validation chooses at each width it is {_points(gain)} "
            f"lower at width {PEAK}."))

    def draw(self, outcome: Outcome, axis: Any) -> None:
        """Draws the error against the width on a log scale."""
        from reglab.lab.plots.style import GREY, HUES

        widths = [int(row[LABEL]) for row in outcome.rows]
        published = [row["published"] for row in outcome.rows]
        axis.plot(widths, published, color=GREY, linestyle=":", marker="x", label="published, no penalty, one seed")
        for hue, name, label in ((HUES[3], "none", "no penalty"), (HUES[1], "tuned", "tuned L2")):
            means, lows, highs = (np.array([np.nan if end is None else end for end in ends], float)
                                  for ends in zip(*(row[name] for row in outcome.rows), strict=True))
            axis.plot(widths, means, color=hue, marker="o", markersize=4, label=label)
            axis.fill_between(widths, lows, highs, color=hue, alpha=0.25, linewidth=0)
        axis.set_xscale("log")
        axis.set_xticks([width for width in (2, 5, 16, 47, 104, 300) if width in widths])
        axis.set_xticklabels([str(width) for width in (2, 5, 16, 47, 104, 300) if width in widths])
        axis.minorticks_off()
        axis.set_xlabel("width of both hidden layers")


def _points(interval: Interval) -> str:
    """Formats a difference of percentages: `6.81 points (5.90 to 7.71)`."""
    within = "" if interval.low is None else f" ({interval.low:.2f} to {interval.high:.2f})"
    return f"{interval.mean:.2f} points{within}"
