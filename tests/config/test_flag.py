"""A field declared once is a flag with all that is said about it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from reglab.config import FLAGS, HANDLING_FIELDS, Config, ConfigError
from reglab.config.checks import between
from reglab.config.flag import Section, flags_of
from reglab.core import penalties

FRUIT = Section("Fruit")


@dataclasses.dataclass(frozen=True)
class Basket:
    apples: int = FRUIT.flag(3, "How many apples.", between(0, 9, "give some"))
    weight: float | None = FRUIT.flag(None, "In kilograms.", between(0, 5, "give less"), handling=True)
    rows: tuple[int, ...] = FRUIT.flag((1, 2), "How they lie.")
    note: str = FRUIT.flag("", "What to say.")


def test_a_dataclass_is_read_back_as_flags_in_the_order_of_the_source() -> None:
    flags = flags_of(Basket)
    assert list(flags) == ["apples", "weight", "rows", "note"]
    assert [(flag.name, flag.kind, flag.default, flag.handling) for flag in flags.values()] == [
        ("apples", "int", 3, False), ("weight", "float", None, True), ("rows", "tuple[int, ...]", (1, 2), False),
        ("note", "str", "", False)]
    assert {flag.section for flag in flags.values()} == {"Fruit"}
    assert flags["weight"].annotation == "float | None"
    assert Basket(apples=4) == Basket(4, None, (1, 2), "")


@pytest.mark.parametrize(("name", "value", "typed"), [
    ("apples", 4, 4), ("weight", 2, 2.0), ("weight", None, None), ("weight", 0.5, 0.5), ("rows", [3, 4], (3, 4)),
    ("rows", (), ()), ("note", "ripe", "ripe")])
def test_a_value_gets_the_type_of_the_flag(name: str, value: Any, typed: Any) -> None:
    found = flags_of(Basket)[name].typed(value)
    assert (found, type(found)) == (typed, type(typed))


@pytest.mark.parametrize(("name", "value", "type_"), [
    ("apples", True, "int"), ("apples", 1.0, "int"), ("apples", None, "int"), ("weight", "1", r"float \| None"),
    ("weight", True, r"float \| None"), ("rows", (1.5,), "tuple"), ("rows", 3, "tuple"), ("note", None, "str")])
def test_a_value_of_another_type_is_refused(name: str, value: Any, type_: str) -> None:
    with pytest.raises(ConfigError, match=f"^--{name}=.*: give a value of type {type_}"):
        flags_of(Basket)[name].typed(value)


def test_a_value_is_held_to_the_checks_and_none_always_passes() -> None:
    flags = flags_of(Basket)
    flags["apples"].check(9)
    flags["weight"].check(None)
    with pytest.raises(ConfigError, match="^--apples=-1: give some"):
        flags["apples"].check(-1)


def test_every_default_is_of_its_type_and_passes_its_checks() -> None:
    for flag in FLAGS.values():
        assert flag.typed(flag.default) is flag.default
        flag.check(flag.default)
        assert flag.default == getattr(Config(), flag.name)


def test_what_is_derived_covers_every_field() -> None:
    fields = list(Config().to_dict())
    others = {*penalties.names()} - {*penalties.standing()}
    assert [name for name, flag in FLAGS.items() if not flag.later and name not in others] == fields
    assert {*Config(model="cnn", dropout=0.5).to_dict()} == {*fields, "model", "dropout"}
    assert {name for name, flag in FLAGS.items() if flag.handling} == HANDLING_FIELDS
    assert all(flag.help.endswith(".") for flag in FLAGS.values())


def test_a_section_is_one_stretch_of_flags() -> None:
    sections = [flag.section for flag in FLAGS.values()]
    assert sections == sorted(sections, key=list(dict.fromkeys(sections)).index)
