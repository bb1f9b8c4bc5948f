"""The presets' flags and the verdict in words."""

from __future__ import annotations

from typing import Any

import pytest

from reglab.cli import flags
from reglab.compare.__main__ import EXTRA, WITHOUT
from reglab.compare.presets import CRITERIA, PRESETS, check_preset, judge, preset_flags, verdict_text
from reglab.config import Config, ConfigError


def made_result(**accuracies: float | None) -> dict[str, Any]:
    """Two arms; `none_train=0.97` and so on replace the numbers of a tutorial that came out just so."""
    numbers = {"none_train": 0.97, "none_validation": 0.78, "both_train": 0.9199, "both_validation": 0.85, **accuracies}
    return {"arms": [{"name": name, "title": title, "final": {f"{split}_accuracy": {"mean": numbers[f"{key}_{split}"]}
                                                             for split in ("train", "validation")}}
                     for name, title, key in (("none", "no penalty", "none"), ("l1_and_l2", "L1 and L2", "both"))]}


def test_the_verdict_holds_at_the_bounds_and_names_every_number() -> None:
    verdict = judge("tutorial", made_result())
    assert verdict["passed"]
    text = verdict_text(verdict)
    assert "The experiment holds" in text
    assert "no penalty: training accuracy 97.00 %, which is at least 97 %" in text
    assert "no penalty: validation accuracy 78.00 %, which is at most 78 %" in text
    assert "L1 and L2: validation accuracy 85.00 %, which is at least 85 %" in text
    assert "L1 and L2: training accuracy 91.99 %, which is under 92 %" in text


@pytest.mark.parametrize(("name", "value", "text"), [
    ("none_train", 0.9699, "no penalty: training accuracy 96.99 %, but should be at least 97 %"),
    ("none_validation", 0.79, "no penalty: validation accuracy 79.00 %, but should be at most 78 %"),
    ("both_validation", 0.8, "L1 and L2: validation accuracy 80.00 %, but should be at least 85 %"),
    ("both_train", 0.92, "L1 and L2: training accuracy 92.00 %, but should be under 92 %"),
    ("both_train", None, "L1 and L2: training accuracy not finite, but should be under 92 %")])
def test_a_missed_criterion_is_named(name: str, value: float | None, text: str) -> None:
    verdict = judge("tutorial", made_result(**{name: value}))
    assert not verdict["passed"]
    assert [criterion["passed"] for criterion in verdict["criteria"]].count(False) == 1
    shown = verdict_text(verdict)
    assert "The experiment does not hold: 1 of 4 criteria is missed." in shown
    assert f"  MISSED  {text}" in shown


@pytest.mark.parametrize(("preset", "dataset"), [(preset, dataset) for preset, known in PRESETS.items()
                                                 for dataset in known])
def test_a_preset_is_made_of_flags_that_exist(preset: str, dataset: str) -> None:
    config, _, _, _ = flags.parse_with([*preset_flags(preset, dataset), "--epochs=3"], EXTRA, WITHOUT)
    assert config.epochs == 3  # What the user gives comes later and overrides it.
    assert config.hidden == (128, 64)
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
