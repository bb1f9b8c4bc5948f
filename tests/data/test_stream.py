"""Examples that functions bring: cut into batches, and held to what was told of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from reglab.data import Stream


def stream(parts: Iterable[tuple[Any, Any]], **told: Any) -> Stream:
    """One whose training part brings these."""
    kept = list(parts)
    facts: dict[str, Any] = {"train_size": 7, "classes": 3, "input_shape": (2, 2), "dtype": "uint8", **told}
    return Stream("mine", lambda epoch: iter(kept), lambda: [], validation_size=0, **facts)


def part(size: int, start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Examples whose numbers are all their place."""
    places = np.arange(start, start + size)
    return np.broadcast_to(places[:, None, None], (size, 2, 2)).astype(np.uint8), places % 3


@pytest.mark.parametrize("cuts", [[7], [3, 4], [1] * 7, [2, 0, 5]])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 9])
def test_parts_of_any_size_become_batches(cuts: list[int], batch_size: int) -> None:
    starts = np.cumsum([0, *cuts[:-1]])
    batches = list(stream(part(*cut) for cut in zip(cuts, starts, strict=True)).batches("train", 0, batch_size))
    sizes = [len(batch) for batch in batches]
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1) and sum(sizes) == 7
    assert np.concatenate([batch.x for batch in batches]).tolist() == [[place] * 4 for place in range(7)]
    assert np.concatenate([batch.y for batch in batches]).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert {(batch.x.dtype.name, batch.y.dtype.name) for batch in batches} == {("uint8", "int32")}


@pytest.mark.parametrize(("parts", "told", "said"), [
    ([part(6)], {}, "mine: train epoch 4 brought 6 examples, not the 7 that were told"),
    ([part(7), part(1)], {}, "brought 8 examples, not the 7"),
    ([part(5), part(2)], {"classes": 2}, "from example 0 on: y has other values than the class numbers 0 to 1"),
    ([part(5), (part(2)[0], np.array([0.0, 1.0]))], {}, "from example 5 on: y has other values"),
    ([(part(7)[0].astype(np.float32), part(7)[1])], {}, "x is float32, and uint8 was told"),
    ([part(7)], {"input_shape": (4,)}, r"x has shape \(7, 2, 2\) and y \(7,\); give \[some, 4\] and \[some\]"),
    ([(part(7)[0], part(6)[1])], {}, r"x has shape \(7, 2, 2\) and y \(6,\)"),
    ([(part(7)[0], part(7)[1][:, None])], {}, r"y \(7, 1\)")])
def test_what_is_other_than_was_told_is_named(parts: list[Any], told: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(stream(parts, **told).batches("train", 4, 3))


def test_whatever_is_told_makes_other_data() -> None:
    first = stream([])
    changes: list[dict[str, Any]] = [{}, {"name": "yours"}, {"version": "2"}, {"train_size": 8}, {"divisor": 2.0},
                                     {"classes": 4}, {"dtype": "float32"}, {"input_shape": (4,)}]
    assert len({dataclasses.replace(first, **change).digest for change in changes}) == len(changes)
    assert first.facts["description"] == "mine: 7 training and 0 validation images of 2x2, 3 classes"


def test_a_test_part_is_brought_when_it_is_asked_for() -> None:
    told = dataclasses.replace(stream([]), test=lambda: iter([part(2), part(3, 2)]), test_size=5)
    assert np.concatenate([batch.y for batch in told.batches("test", 0, 4)]).tolist() == [0, 1, 2, 0, 1]
    assert told.sizes == {"train": 7, "validation": 0, "test": 5}
    assert told.digest != stream([]).digest
    assert told.description == "mine: 7 training, 0 validation and 5 test images of 2x2, 3 classes"
