"""The command: its table, its JSON, its refusals."""

from __future__ import annotations

import json

import pytest

from reglab.convert.__main__ import main
from reglab.convert.conversion import CONVENTIONS
from reglab.inputs import exit_codes


def test_it_shows_every_library_in_a_table_and_says_what_each_assumes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--from=sklearn", "--C=0.1", "--examples=1437"]) == exit_codes.SUCCESS
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == "" and max(map(len, lines)) <= 120
    assert lines[0] == "Given: scikit-learn, linear_model.LogisticRegression, C = 0.1, l1_ratio = 0, examples = 1437"
    assert [line.split()[0] for line in lines[3:3 + len(CONVENTIONS)]] == list(CONVENTIONS)
    assert lines[3] == "reglab       mean     sum W^2      no         --l1=0 --l2=0.00347947112"
    assert lines[8] == "adamw        mean     none         if listed  no equivalent"
    text = " ".join(out.split())
    assert all(sentence in text for convention in CONVENTIONS.values() for sentence in convention.notes)
    assert "No equivalent: decoupled decay is no term of an objective; weight_decay=0.00695894224 shrinks" in text


def test_json_is_one_object_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--l1=1e-3", "--l2=0", "--json"]) == exit_codes.SUCCESS
    out, err = capsys.readouterr()
    shown = json.loads(out)
    assert err.startswith("Given: reglab, l1 = 0.001, l2 = 0\n")
    assert shown["from"] == "reglab" and shown["strengths"] == {"l1": 1e-3, "l2": 0}
    assert shown["words"]["glmnet"]["settings"] == {"lambda": 1e-3, "alpha": 1}
    assert shown["words"]["sklearn"] == {
        "title": "scikit-learn, linear_model.LogisticRegression", "loss": "C * sum", "l2": "sum W^2 / 2",
        "biases": "no", "notes": list(CONVENTIONS["sklearn"].notes), "settings": None, "code": "give --examples",
        "lacks": "C depends on the number of training examples: give --examples."}


@pytest.mark.parametrize(("argv", "said"), [
    (["--from=sklern"], "did you mean sklearn?"), (["--alpa=1"], "did you mean --alpha?"),
    (["--epochs=1"], "Unknown command line flag 'epochs'"),
    ([], "--from=reglab takes --l1 and --l2: give --l1 or --l2"),
    (["--from=adamw", "--weight_decay=0.01"], "--optimizer=adamw --weight_decay=0.01")])
def test_bad_input_is_code_2_and_one_line(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == exit_codes.BAD_INPUT
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.count("\n") == 1 and len(err) <= 510
