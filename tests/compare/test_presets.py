"""The presets' flags and the verdict in words."""

from __future__ import annotations

from typing import Any

import pytest

from reglab.cli import flags
from reglab.compare.__main__ import EXTRA, WITHOUT
from reglab.compare.presets import CRITERIA, PRESETS, check_preset, judge, preset_flags, verdict_text
from reglab.config import Config, ConfigError


def made_result(half_width: float | None = 0.01, **accuracies: float | None) -> dict[str, Any]:
    """Two arms; `none_train=0.97` and so on replace the numbers of a tutorial whose intervals end at the bounds."""
    numbers = {"none_train": 0.98, "none_validation": 0.77, "both_train": 0.9099, "both_validation": 0.86, **accuracies}

    def interval(mean: float | None) -> dict[str, float | None]:
        ends = (None, None) if mean is None or half_width is None else (mean - half_width, mean + half_width)
        return {"mean": mean, "low": ends[0], "high": ends[1]}

    return {"seeds": [0] if half_width is None else [0, 1], "confidence": 0.95, "validated_on_test": True,
            "arms": [{"name": name, "title": title, "final": {f"{split}_accuracy": interval(numbers[f"{key}_{split}"])
                                                              for split in ("train", "validation")}}
                     for name, title, key in (("none", "no penalty", "none"), ("l1_and_l2", "L1 and L2", "both"))]}


def test_the_verdict_holds_where_intervals_end_at_the_bounds_and_names_every_number() -> None:
    verdict = judge("tutorial", made_result())
    assert verdict["passed"]
    text = verdict_text(verdict)
    assert "The experiment holds" in text
    assert "one seed" not in text
    assert "The clean data are the test part, as in the tutorial (--validation_split=0)" in text
    assert "are the validation part, held out of the training part" in judge(
        "tutorial", {**made_result(), "validated_on_test": False})["text"]
    assert ("no penalty: training accuracy 98.00 % (95 % interval 97.00 to 99.00 %), which is at least 97 %") in text
    assert "no penalty: validation accuracy 77.00 % (95 % interval 76.00 to 78.00 %), which is at most 78 %" in text
    assert "L1 and L2: validation accuracy 86.00 % (95 % interval 85.00 to 87.00 %), which is at least 85 %" in text
    assert "L1 and L2: training accuracy 90.99 % (95 % interval 89.99 to 91.99 %), which is under 92 %" in text


@pytest.mark.parametrize(("name", "value", "text"), [
    ("none_train", 0.9799, "no penalty: training accuracy 97.99 % (95 % interval 96.99 to 98.99 %), but should be at "
                           "least 97 %"),
    ("none_validation", 0.775, "no penalty: validation accuracy 77.50 % (95 % interval 76.50 to 78.50 %), but should "
                               "be at most 78 %"),
    ("both_validation", 0.855, "L1 and L2: validation accuracy 85.50 % (95 % interval 84.50 to 86.50 %), but should be "
                               "at least 85 %"),
    ("both_train", 0.91, "L1 and L2: training accuracy 91.00 % (95 % interval 90.00 to 92.00 %), but should be under "
                         "92 %"),
    ("both_train", None, "L1 and L2: training accuracy diverged, but should be under 92 %")])
def test_a_criterion_that_an_end_of_its_interval_misses_is_named(name: str, value: float | None, text: str) -> None:
    verdict = judge("tutorial", made_result(**{name: value}))
    assert not verdict["passed"]
    assert [criterion["passed"] for criterion in verdict["criteria"]].count(False) == 1
    shown = verdict_text(verdict)
    assert "The experiment does not hold: 1 of 4 criteria is missed." in shown
    assert f"  MISSED  {text}" in shown


@pytest.mark.parametrize(("value", "passed"), [(0.97, True), (0.9699, False)])
def test_one_seed_is_judged_by_its_value_and_that_is_said(value: float, passed: bool) -> None:
    verdict = judge("tutorial", made_result(None, none_train=value))
    assert verdict["passed"] == passed
    assert verdict["text"].endswith("It is on one seed, without intervals.")


@pytest.mark.parametrize(("preset", "dataset"), [(preset, dataset) for preset, known in PRESETS.items()
                                                 for dataset in known])
def test_a_preset_is_made_of_flags_that_exist(preset: str, dataset: str) -> None:
    config, _, _, _ = flags.parse_with([*preset_flags(preset, dataset), "--epochs=3"], EXTRA, WITHOUT)
    assert config.epochs == 3  # What the user gives comes later and overrides it.
    assert (config.hidden, config.validation_split) == ((128, 64), 0)  # As in the tutorial.
    assert str(config.train_size) == PRESETS[preset][dataset]["train_size"]
    assert preset in CRITERIA
    check_preset(preset, config)


def test_an_unknown_preset_a_data_set_it_is_not_made_for_and_a_missing_arm_are_refused() -> None:
    with pytest.raises(ConfigError, match="--preset=x: choose tutorial"):
        preset_flags("x", "digits")
    with pytest.raises(ConfigError, match=r"--preset=tutorail: choose tutorial; did you mean tutorial\?"):
        preset_flags("tutorail", "digits")
    with pytest.raises(ConfigError, match="--dataset=cifar10: choose digits or mnist"):
        preset_flags("tutorial", "cifar10")
    with pytest.raises(ConfigError, match="--l2=0"):
        check_preset("tutorial", Config(l1=1e-3))
