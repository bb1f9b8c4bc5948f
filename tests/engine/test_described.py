"""Descriptions of traced values: equal for equal graphs, different for different ones, none for unknown values."""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
from typing import Any

import pytest
import tensorflow as tf

from reglab.config import Config
from reglab.core.optimizers import Adam
from reglab.core.penalties.l1 import L1
from reglab.core.schedules import scheduled
from reglab.core.terms import Term
from reglab.data import load
from reglab.engine.assembly import make_step, source_of
from reglab.engine.described import Indescribable, described

CONFIGS = [{}, {"hidden": (64,)}, {"activation": "tanh"}, {"l2": "logits=1e-3"}, {"penalize": "logits"},
           {"optimizer": "sgd"}, {"optimizer": "momentum"}, {"optimizer": "momentum", "momentum": 0.5},
           {"optimizer": "adamw"}, {"optimizer": "adamw", "weight_decay": 0.1}, {"clip_norm": 1.0},
           {"schedule": "cosine"}, {"schedule": "cosine", "epochs": 7}, {"warmup_steps": 5}, {"precision": "float64"},
           {"precision": "bfloat16"}, {"dropout": 0.5}, {"model": "cnn"}, {"on_nonfinite": "skip"},
           {"batch_size": 7}, {"train_size": 100},
           {"proximal": True}, {"group_l1": 1e-3}, {"group_l1": 1e-3, "groups": "incoming"}]


def of(**fields: Any) -> str:
    config = Config(**fields)
    data = load("digits", train_size=config.train_size)
    return described((make_step(config, data), source_of(config, data).layout))


def test_what_compiles_to_another_program_has_other_words() -> None:
    texts = [of(**fields) for fields in CONFIGS]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("fields", [{"l1": 0.5}, {"learning_rate": 0.5}, {"seed": 3}, {"data_seed": 3}])
def test_what_a_program_takes_as_an_input_has_the_same_words(fields: dict[str, Any]) -> None:
    assert of(**fields) == of()


def test_the_words_are_those_of_every_process() -> None:
    code = "from tests.engine.test_described import of; print(of(schedule='cosine', optimizer='adamw'))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert told == of(schedule="cosine", optimizer="adamw") and "0x" not in told


class Mine(L1):
    """A penalty from outside reglab."""


def test_what_is_not_reglabs_has_no_words() -> None:
    for value in (Mine(), Term(Mine(), ("logits",)), lambda x: x, object(), tf.constant(1), Adam(decayed={"a": Mine()}),
                  functools.partial(lambda x: x, 1), len, dataclasses.replace(make_step(Config(), load("digits")),
                                                                              schedule=lambda rate, step: rate)):
        with pytest.raises(Indescribable):
            described(value)


def test_plain_values_are_told_apart() -> None:
    values = [None, True, 1, 1.0, "1", b"1", (1,), (1, 1), ((1,), 1), {"a": 1}, {"b": 1}, tf.float32, tf.float64, L1(),
              Adam(), Adam(beta1=0.5), functools.partial(scheduled, warmup_steps=1),
              functools.partial(scheduled, warmup_steps=2), scheduled]
    assert len({described(value) for value in values}) == len(values)
