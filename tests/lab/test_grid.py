"""Values, lists and ranges of a grid, read from flags."""

from __future__ import annotations

import pytest

from reglab.config import Config, ConfigError
from reglab.lab.grid import Grid, Point, parse_grid, parse_numbers, parse_patterns


@pytest.mark.parametrize(("text", "values"), [
    ("0", (0.0,)), ("1e-3", (1e-3,)), ("1e-3,0", (0.0, 1e-3)), (" 0 , 1e-3 ", (0.0, 1e-3)), ("1,1,1.0", (1.0,)),
    ("-0,0", (0.0,)), ("1e-5:1e-2:4", (1e-5, 1e-4, 1e-3, 1e-2)), ("1e-4:1e-2:3,0,1e-3", (0.0, 1e-4, 1e-3, 1e-2)),
    ("2:8:2", (2.0, 8.0)), ("1:100:3,10", (1.0, 10.0, 100.0)), ("0.1:0.3:2,0.1", (0.1, 0.3))])
def test_numbers(text: str, values: tuple[float, ...]) -> None:
    assert parse_numbers("l1", text) == values


def test_a_range_has_a_constant_ratio_and_its_ends_exactly() -> None:
    values = parse_numbers("l1", "1e-5:1e-2:8")
    assert len(values) == 8
    assert (values[0], values[-1]) == (1e-5, 1e-2)
    assert [b / a for a, b in zip(values, values[1:], strict=False)] == pytest.approx([1000 ** (1 / 7)] * 7, rel=1e-11)


@pytest.mark.parametrize(("text", "named"), [
    ("", "''"), ("a", "'a'"), ("1,,2", "''"), ("0:1:3", "0 < low < high"), ("1:1:3", "0 < low < high"),
    ("2:1:3", "0 < low < high"), ("1:2", "'1:2'"), ("1:2:3:4", "'1:2:3:4'"), ("1:2:1", "from 2 to"),
    ("1:2:1e6", "'1:2:1e6'"), ("1:2:1001", "from 2 to"), ("nan", "'nan'"), ("inf", "'inf'"), ("1:inf:3", "'1:inf:3'")])
def test_what_is_no_number_is_refused_in_one_line(text: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_numbers("l2", text)
    message = str(caught.value)
    assert message.startswith(f"--l2={text}: ")
    assert named in message
    assert "such as 0,1e-4,1e-3" in message
    assert "\n" not in message


@pytest.mark.parametrize(("given", "said"), [
    ({"l1": "1e-5:1e-2:1000000000"}, "from 2 to 1,000 values"), ({"l1": "1e39"}, "beyond the largest float32"),
    ({"l1": "0,1e-60"}, "float32 would make it 0"), ({"l1": "1e-400"}, "float64 would make it 0"),
    ({"l1": ",".join(map(str, range(1001)))}, "more than 1,000 values"), ({"l2": "1e-300:1e300:3"}, "too far apart"),
    ({"penalize": ";".join(["all"] * 101)}, "more than 100 parts"),
    ({"l1": ",".join(["1e-5:1e-2:1000"] * 2)}, "more than 1,000 values"), ({"l1": "9" * 10**5}, "100,000 characters"),
    ({"l1": "1e-5:1e-2:999", "l2": "1e-5:1e-2:999"}, "998,001 points"), ({"penalize": "(?=x)"}, "groups only")])
def test_a_grid_of_any_size_is_refused_in_one_line(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_grid(Config(), **given)
    assert said in str(caught.value)
    assert len(str(caught.value)) <= 500


def test_patterns_are_separated_by_semicolons_and_keep_their_order() -> None:
    assert parse_patterns("penalize", "hidden;all; dense_[0,1] ;hidden") == ("hidden", "all", "dense_[0,1]")


@pytest.mark.parametrize("text", ["", "all;", ";"])
def test_an_empty_pattern_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="^--penalize=.*a part is empty"):
        parse_patterns("penalize", text)


def test_a_flag_that_is_not_given_has_the_value_of_the_configuration() -> None:
    config = Config(l1=1e-4, l2=1e-3, learning_rate=0.1, penalize="hidden")
    assert parse_grid(config) == Grid(l1=(1e-4,), l2=(1e-3,), learning_rate=(0.1,), penalize=("hidden",))
    assert parse_grid(config, l1="0,1", penalize="all").l1 == (0.0, 1.0)


@pytest.mark.parametrize(("given", "named"), [
    ({"l1": "0,-1e-3"}, "--l1=-0.001"), ({"learning_rate": "0,1e-3"}, "--learning_rate=0.0"),
    ({"penalize": "all;("}, r"--penalize=\(")])
def test_a_value_that_no_run_could_have_is_refused(given: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigError, match=f"^{named}"):
        parse_grid(Config(), **given)


def test_the_points_are_all_combinations() -> None:
    grid = Grid(l1=(0.0, 1.0), l2=(2.0, 3.0), learning_rate=(0.1, 0.2), penalize=("all", "hidden"))
    assert len(set(grid.points)) == len(grid.points) == 16
    assert grid.points[:3] == [Point(l1=l1, l2=l2, learning_rate=0.1, penalize="all")
                               for l1, l2 in ((0.0, 2.0), (0.0, 3.0), (1.0, 2.0))]
    assert {point.penalize for point in grid.points[8:]} == {"hidden"}
