"""A configuration file is read with care: whatever it is, it is used or refused in one line."""

from __future__ import annotations

import pathlib

import pytest

from reglab.config import Config, ConfigError


@pytest.mark.parametrize(("text", "said"), [
    ("[" * 100_000, "not JSON"), ('{"l1": ' + "[" * 900 + "]" * 900 + "}", "--l1=..."),
    ('{"epochs": ' + "9" * 5000 + "}", "5,000"),
    ('{"l1": 1e400}', "1e400: it is beyond"), ('{"l1": 1e-400}', "1e-400: float64 would make it 0"),
    ('{"%s": 1}' % ("k" * 10**5), "unknown configuration field"), (" " * 2**21, "2,097,152 bytes"),
    ('{"dataset": "\\ud800.npz"}', "no text in UTF-8")])
def test_a_configuration_file_of_any_size_is_refused_in_one_line(text: str, said: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        Config.from_file(tmp_path / "config.json")
    assert said in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) <= 500


@pytest.mark.parametrize(("text", "problem"), [
    (None, "cannot be read"), ("{", "not JSON"), ("[1]", "no JSON object"), ("3", "no JSON object"),
    ('{"l1": -1}', "--l1=-1"), ('{"hidden": null}', "hidden"), ('{"hidden": 64}', "hidden"),
    ('{"hidden": "64"}', "hidden")])
def test_a_bad_config_file_is_a_config_error(text: str | None, problem: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        Config.from_file(path)


def test_a_config_file_that_is_no_text_is_a_config_error(tmp_path: pathlib.Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="not JSON"):
        Config.from_file(tmp_path / "config.json")


@pytest.mark.parametrize("fields", ['{"activati_n": "relu"}', '{"epochs": 0}', '{"l1": []}'])
def test_a_bad_field_is_told_with_its_file(fields: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(fields)
    with pytest.raises(ConfigError, match=r"config\.json: "):
        Config.from_file(path)
