"""Flags of every command, configurations, grids, patterns and widths, from whatever a user or a script may give."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reglab.benchmark import settings as benchmark
from reglab.cli import flags
from reglab.compare import __main__ as compare
from reglab.compare.arms import arms_of, check_seeds
from reglab.config import FLAGS, Config
from reglab.export import __main__ as export
from reglab.inputs.patterns import BadPattern, compile_pattern
from reglab.lab.grid import parse_grid, parse_numbers, parse_patterns
from reglab.launch import __main__ as launch
from reglab.report import __main__ as report
from reglab.sweep import __main__ as sweep
from reglab.sweep.options import check_options, check_size

Survives = Callable[..., Any]
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

INTEGERS = st.one_of(st.integers(), st.sampled_from([2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**9, 0, 1]),
                     st.integers(1, 5000).map(lambda digits: 10**digits))
FLOATS = st.one_of(st.floats(), st.sampled_from([1e39, 1e-60, 1e-40, 3.4e38, 5e-324, 0.5, 1e-3, 0.0]))
NUMBERS = st.one_of(
    st.integers(1, 6000).map(lambda digits: "9" * digits), st.integers().map(str), FLOATS.map(repr),
    st.from_regex(r"[-+]?[0-9]{1,5}(\.[0-9]{0,5})?[eE][-+]?[0-9]{1,6}", fullmatch=True),
    st.sampled_from(["nan", "-inf", "Infinity", "1_0", "0x10", "0b1", "1e", " 5 ", "٣", "", "1e-400", "1e400"]))
CHARACTERS = st.characters(exclude_categories=())  # Surrogates too: bytes that are no text.
LENGTHS = st.sampled_from([1, 2, 3, 4, 10, 20, 50, 99, 100, 101, 200, 201, 300, 1000, 4097, 150_000])
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=30),
    st.builds(lambda text, times: text * times, st.text(CHARACTERS, min_size=1, max_size=3),
              LENGTHS),
    st.sampled_from(["/dev/zero", "/dev/urandom", "/", "gs://a/b.npz", "s3://b", "file:///x", "a\nb", "a\0b",
                     "~nobody/x", ".", "..", "all", "hidden", "mnist", "adamw", "float64", "true", "no", "x.npz", "https://x"]))
WIDTHS = st.one_of(st.lists(INTEGERS.map(abs).filter(lambda n: n < 10**4000), max_size=200).map(
    lambda widths: ",".join(map(str, widths))), st.text(st.sampled_from("0123456789,. -x"), max_size=30))
PARTS = st.one_of(NUMBERS, st.builds("{}:{}:{}".format, NUMBERS, NUMBERS, NUMBERS), st.sampled_from(
    ["1e-5:1e-2:8", "1e-5:1e-2:1000000000", "0", "1e-3", ":", "::", "1:2", "1e-300:1e300:5"]))
GRIDS = st.one_of(st.lists(PARTS, max_size=8).map(",".join),
                  st.builds(lambda part, times: ",".join([part] * times), PARTS, LENGTHS.filter(lambda n: n < 5000)),
                  st.text(st.sampled_from("0123456789.:,e-+nai "), max_size=40))
PATTERNS = st.one_of(
    st.lists(st.sampled_from(["a", "d", "dense_", "logits", "[0-9]", ".*", ".", "(", ")", "*", "+", "?", "|", "[", "]",
                              "^", "$", "\\", "\\d", "{1,3}", "{99}", "{,}", "(?:", "(?=", "-", "((.*)*)*x"]),
             max_size=60).map("".join), TEXTS)
LAYERS = st.one_of(st.sampled_from(["dense_0", "dense_1", "logits"]), TEXTS)
LAYERED = st.lists(st.builds("{}={}".format, LAYERS, NUMBERS), max_size=4).map(";".join)
VALUES = st.one_of(NUMBERS, TEXTS, WIDTHS, GRIDS, PATTERNS, LAYERED)


def parse_train(argv: list[str]) -> Any:
    return flags.parse(argv).config


def parse_sweep(argv: list[str]) -> Any:
    config, values, _, _ = flags.parse_with(argv, sweep.extra_flags(), sweep.WITHOUT)
    grid = parse_grid(config, **{name: values[name] for name in ("l1", "l2", "learning_rate", "penalize")})
    check_options(values["seeds"], values["folds"], values["select"], values["lanes_per_call"])
    check_size(config, grid, values["seeds"], values["folds"], values["lanes_per_call"])
    return config


def parse_compare(argv: list[str]) -> Any:
    config, values, _, _ = flags.parse_with(argv, compare.EXTRA, compare.WITHOUT)
    check_seeds(values["seeds"], config.seed)
    arms_of(config)
    return config


def parse_benchmark(argv: list[str]) -> Any:
    config, values, _, _ = flags.parse_with(argv, benchmark.extra_flags(), benchmark.WITHOUT)
    return benchmark.make_settings(config, values).config


COMMANDS: dict[str, tuple[Callable[[list[str]], Any], list[str]]] = {
    "train": (parse_train, []), "sweep": (parse_sweep, list(sweep.extra_flags())),
    "compare": (parse_compare, list(compare.EXTRA)), "benchmark": (parse_benchmark, list(benchmark.extra_flags())),
    "export": (lambda argv: flags.parse_own(argv, export.FLAGS).values, list(export.FLAGS)),
    "report": (lambda argv: flags.parse_own(argv, report.FLAGS, has_operands=True).values, list(report.FLAGS)),
    "launch": (launch._parse, ["workers", "module", "grace"])}


def arguments(names: list[str]) -> st.SearchStrategy[list[str]]:
    known = st.sampled_from([*names, "config_file", "flagfile", "json", "help", "undefok", "noseed", "nojit"])
    with_value = st.builds("{}{}={}".format, st.sampled_from(["--", "-", "--no"]), st.one_of(known, known, TEXTS),
                           VALUES)
    return st.lists(st.one_of(with_value, with_value, known.map("--{}".format), VALUES), max_size=6)


@pytest.mark.parametrize("command", COMMANDS)
@given(data=st.data())
def test_flags(command: str, data: st.DataObject, survives: Survives) -> None:
    parse, own = COMMANDS[command]
    names = own if command in ("export", "report", "launch") else [*FLAGS, *own]
    argv = data.draw(arguments(names))
    made = survives(lambda: parse(argv))
    if isinstance(made, Config):
        assert survives(lambda: Config.from_dict(json.loads(made.to_json()))) == made


JSON = st.recursive(st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS),
                    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=3)),
                    max_leaves=8)
FIELDS = st.dictionaries(st.one_of(st.sampled_from(list(FLAGS)), st.sampled_from(list(FLAGS)), TEXTS),
                         st.one_of(JSON, st.lists(INTEGERS, max_size=5), VALUES), max_size=5)


@given(fields=st.one_of(FIELDS, JSON, st.dictionaries(st.one_of(st.integers(), st.tuples(st.integers())), JSON)))
def test_fields(fields: Any, survives: Survives) -> None:
    survives(lambda: Config.from_dict(fields))


@given(text=LAYERED)
def test_strengths_layer_by_layer(text: str, survives: Survives) -> None:
    made = survives(lambda: Config(l1=text, precision="float64"))
    if made is not None:
        assert survives(lambda: Config.from_dict(json.loads(made.to_json()))) == made


@given(name=st.sampled_from(list(FLAGS)), value=st.one_of(JSON, st.binary(), st.complex_numbers(), st.decimals()))
def test_values_of_python(name: str, value: Any, survives: Survives) -> None:
    survives(lambda: dataclasses.replace(Config(), **{name: value}))


def _written(fields: Any) -> bytes:
    try:
        return json.dumps(fields).encode()
    except ValueError:  # A number too long for Python to write.
        return b'{"epochs": ' + b"9" * 6000 + b"}"


CONTENTS = st.one_of(
    FIELDS.map(_written), st.binary(max_size=200), st.builds(
        lambda opening, depth: opening * depth, st.sampled_from([b"[", b'{"l1":', b"[{", b" ", b"9", b"\0"]),
        LENGTHS),
    st.builds(lambda fields, at, new: fields[:at] + new + fields[at:], FIELDS.map(_written), st.integers(0, 100),
              st.binary(max_size=4)))


@given(content=CONTENTS)
def test_configuration_files(content: bytes, survives: Survives, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = pathlib.Path(tmp_path_factory.getbasetemp(), "fuzzed.json")
    path.write_bytes(content)
    survives(lambda: Config.from_file(path))


@given(content=st.one_of(CONTENTS, st.lists(VALUES, max_size=5).map(lambda lines: "\n".join(
    f"--{line}" for line in lines).encode(errors="surrogatepass"))))
def test_flag_files(content: bytes, survives: Survives, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = pathlib.Path(tmp_path_factory.getbasetemp(), "fuzzed.flags")
    path.write_bytes(content)
    survives(lambda: flags.parse([f"--flagfile={path}"]))


@given(text=st.one_of(GRIDS, TEXTS))
def test_grids(text: str, survives: Survives) -> None:
    values = survives(lambda: parse_numbers("l1", text))
    assert values is None or (values == tuple(sorted(set(values))) and len(values) <= 1000)
    survives(lambda: parse_patterns("penalize", text))


@given(text=PATTERNS)
def test_patterns(text: str, survives: Survives) -> None:
    names = [*(f"dense_{i}" for i in range(20)), "logits"]

    def match() -> Any:
        try:
            return compile_pattern(text).matching(names)
        except BadPattern as error:
            assert len(str(error)) < 100
            return Config(penalize=text) if text not in ("all", "hidden") else None
    survives(match)


@given(text=st.one_of(WIDTHS, NUMBERS, TEXTS))
def test_widths(text: str, survives: Survives) -> None:
    made = survives(lambda: flags.parse([f"--hidden={text}"]))
    assert made is None or all(0 < width < 2**31 for width in made.config.hidden)
