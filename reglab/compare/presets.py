"""`--preset=tutorial`: the experiment this project comes from, and the verdict on its result.

A network memorizes noisy labels: nearly perfect on the training set, poor on clean validation data. L1 and L2 on
its Dense kernels prevent that. Accuracy on the training set is that on its noisy labels, so a network that learned
what is true gets no more than the share of labels that was left alone.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from reglab.compare.arms import METRICS
from reglab.config import Config, ConfigError
from reglab.config.strengths import is_zero
from reglab.inputs.texts import did_you_mean, shown

# Maps each data set to the flags; the user's flags override them. As in the tutorial, validation is on the test part.
PRESETS: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "tutorial": {
        "digits": {"validation_split": "0", "train_size": "1000", "label_noise": "0.35", "epochs": "100",
                   "learning_rate": "0.005", "schedule": "cosine", "l1": "0.001", "l2": "0.001"},
        "mnist": {"validation_split": "0", "train_size": "3000", "label_noise": "0.25", "epochs": "30", "l1": "0.001",
                  "l2": "0.001"},
    },
}


class Criterion(NamedTuple):
    """A bound on the whole interval of an arm's mean metric over seeds, or on the value if there is one seed."""

    arm: str
    metric: str
    relation: str
    bound: float


_RELATIONS: Final = {"at least": (operator.ge, "low"), "at most": (operator.le, "high"), "under": (operator.lt, "high")}
"""How to compare, and the end of the interval that decides."""

CRITERIA: Final[Mapping[str, tuple[Criterion, ...]]] = {
    "tutorial": (Criterion("none", "train_accuracy", "at least", 0.97),
                 Criterion("none", "validation_accuracy", "at most", 0.78),
                 Criterion("l1_and_l2", "validation_accuracy", "at least", 0.85),
                 Criterion("l1_and_l2", "train_accuracy", "under", 0.92)),
}


def preset_flags(preset: str, dataset: str) -> list[str]:
    """Returns the flags that a preset stands for, to be put before those of the user.

    Raises:
      ConfigError: there is no such preset, or it does not know the data set.
    """
    if preset not in PRESETS:
        raise ConfigError(f"--preset={shown(preset)}: choose {' or '.join(PRESETS)}{did_you_mean(preset, PRESETS)}")
    if dataset not in PRESETS[preset]:
        raise ConfigError(f"--preset={preset} is not made for --dataset={shown(dataset)}: "
                          f"choose {' or '.join(PRESETS[preset])}")
    return [f"--{name}={value}" for name, value in PRESETS[preset][dataset].items()]


def check_preset(preset: str, config: Config) -> None:
    """Checks that a configuration has the arms of the verdict.

    Raises:
      ConfigError: an arm that the verdict needs is missing.
    """
    for name in ("l1", "l2"):
        if is_zero(config.strengths[name]):
            raise ConfigError(f"--{name}=0: the verdict of --preset={preset} is about L1 and L2 together; "
                              "give a positive number, for example 1e-3, or leave the preset out")


def judge(preset: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Makes the verdict on a comparison's `result`: `passed`, `text` for people and each criterion with its numbers.

    A criterion holds if it holds for the whole interval, so that chance does not decide; with no seed left, it fails.
    """
    arms = {arm["name"]: arm for arm in result["arms"]}
    criteria = [_judge(criterion, arms[criterion.arm], result["confidence"]) for criterion in CRITERIA[preset]]
    missed = sum(not criterion["passed"] for criterion in criteria)
    text = ("The experiment holds: without a penalty the network memorizes the noisy labels; with L1 and L2 "
            "it does not, and is right more often on data it was not trained on." if not missed else
            f"The experiment does not hold: {missed} of {len(criteria)} criteria {'is' if missed == 1 else 'are'} "
            "missed.")
    text += (" The clean data are the test part, as in the tutorial (--validation_split=0): nothing was chosen on it, "
             "but it is no longer untouched." if result["validated_on_test"] else
             " The clean data are the validation part, held out of the training part.")
    if len(result["seeds"]) == 1:
        text += " It is on one seed, without intervals."
    return {"preset": preset, "passed": not missed, "text": text, "criteria": criteria}


def _judge(criterion: Criterion, arm: Mapping[str, Any], confidence: float) -> dict[str, Any]:
    value, low, high = (arm["final"][criterion.metric][key] for key in ("mean", "low", "high"))
    holds, end = _RELATIONS[criterion.relation]
    decisive = value if low is None else {"low": low, "high": high}[end]
    passed = decisive is not None and bool(holds(decisive, criterion.bound))
    shown = "diverged" if value is None else f"{100 * value:.2f} %"
    shown += "" if low is None else f" ({100 * confidence:.0f} % interval {100 * low:.2f} to {100 * high:.2f} %)"
    return {**criterion._asdict(), "value": value, "low": low, "high": high, "passed": passed,
            "text": f"{arm['title']}: {METRICS[criterion.metric].title} {shown}, "
                    f"{'which is' if passed else 'but should be'} {criterion.relation} {100 * criterion.bound:.0f} %"}


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """Formats the verdict as lines for people."""
    marks = {True: "holds ", False: "MISSED"}
    return "\n".join([f"Verdict: {verdict['text']}",
                      *(f"  {marks[criterion['passed']]}  {criterion['text']}" for criterion in verdict["criteria"])])
