import builtins
import io
import os

import numpy as np
import pandas
import pytest

from reglab.config import Config, ConfigError
from reglab.data import load, tables

ROWS = "".join(f"{i},{i * i / 2},{'ab'[i % 2]}\n" for i in range(20))
FRAME = pandas.read_csv(io.StringIO("u,v,w\n" + ROWS))


@pytest.fixture
def read(tmp_path):
    def read_text(text, **options):
        path = tmp_path / "mine.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        try:
            return load(str(path), **options)
        except ConfigError as error:
            assert "\n" not in str(error) and len(str(error)) <= 500
            return str(error).replace(f"--dataset={path}", "IT").replace(str(path), "IT")
    return read_text


@pytest.mark.parametrize("text", [
    "u,v,w\n" + ROWS, "\ufeffu,v,w\r\n" + ROWS.replace("\n", "\r\n"), "u;v;w\n" + ROWS.replace(",", ";"),
    "u\tv\tw\n" + ROWS.replace(",", "\t"), '"u", "v", "w"\n' + ROWS.replace(",", ", "), "\n\nu,v,w\n" + ROWS])
def test_a_table_is_its_numbers_and_its_labels(read, text):
    made = read(text, test_split=0.25, validation_split=0.2)
    assert made.sizes == {"train": 12, "validation": 3, "test": 5}
    x, y = (np.concatenate([getattr(part, name) for part in made.splits.values()]) for name in "xy")
    order = np.argsort(x[:, 0])
    np.testing.assert_array_equal(x[order], FRAME[["u", "v"]].to_numpy(np.float32))
    assert np.array(made.class_names)[y[order]].tolist() == FRAME["w"].tolist()
    assert made.facts["columns"] == {"label": "w", "features": ("u", "v")}


@pytest.mark.parametrize("frame", [
    FRAME, FRAME.astype({"w": "category"}), FRAME.astype({"u": "float32", "v": "Float64"}),
    FRAME.assign(w=FRAME["w"].astype(object))])
def test_parquet_files_are_the_same_table(read, frame, tmp_path):
    frame.to_parquet(tmp_path / "mine.parquet", index=False)
    assert load(str(tmp_path / "mine.parquet")).digest == read("u,v,w\n" + ROWS).digest


@pytest.mark.parametrize("header, given, label, features", [
    ("a,b,c", None, "c", ("a", "b")), ("a,Label,c", None, "Label", ("a", "c")), ("y,b,c", None, "y", ("b", "c")),
    ("class,b,c", "c", "c", ("class", "b"))])
def test_which_column_is_the_label(read, header, given, label, features):
    made = read(f"{header}\n" + "1,2,0\n2,0,1\n0,1,2\n" * 5, label_column=given)
    assert made.columns == (label, features)


def test_columns_that_are_dropped_may_hold_anything(read, tmp_path):
    frame = FRAME.assign(id="x", when=pandas.Timestamp("2026-01-01"))[["id", "u", "when", "v", "w"]]
    frame.to_parquet(tmp_path / "mine.parquet", index=False)
    made = read(frame.to_csv(index=False), drop_columns="id, when")
    assert made.columns == ("w", ("u", "v")) and made.digest == read("u,v,w\n" + ROWS).digest
    assert load(str(tmp_path / "mine.parquet"), drop_columns="when,id").digest == made.digest
    assert read("u,v,w\n" + ROWS, drop_columns="uu") == (
        "--drop_columns=uu: there is no such column, but u, v, w; did you mean u?")
    assert read("u,v,w\n" + ROWS, drop_columns="u,v,w").startswith("--drop_columns=u, v, w leaves no column")
    assert read("u,v,w\n" + ROWS, drop_columns="w", label_column="w").startswith("--label_column=w: IT has no such")


def test_a_fifth_of_a_table_is_its_test_part_stratified_and_by_the_data_seed(read):
    text = "u,w\n" + "".join(f"{i},{'aaab'[i % 4]}\n" for i in range(100))
    made, other, none = read(text), read(text, seed=1), read(text, test_split=0)
    assert made.sizes == {"train": 64, "validation": 16, "test": 20} and none.sizes == {"train": 80, "validation": 20}
    assert np.bincount(made.test.y).tolist() == [15, 5]
    assert sorted(made.test.x[:, 0]) != sorted(other.test.x[:, 0])
    assert read(text, validation_split=0).sizes == {"train": 80, "validation": 20}
    assert "20 of 20 examples would be held out to test" in read("u,v,w\n" + ROWS, test_split=0.99)


def test_labels_are_read_as_they_are(read):
    def names(labels):
        made = read("u,w\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels * 10)))
        return made if isinstance(made, str) else made.class_names
    assert names(["None", "b"]) == ("None", "b") and names(["1", "3"]) == (1, 3) and names(["1.0", "3.0"]) == (1, 3)
    assert names(["True", "False"]) == (False, True) and names(["0", "1"]) is None and names(["1", "x"]) == ("1", "x")
    assert names(["0.5", "1"]) == "IT: column w[0] is 0.5, no whole number: as if a quantity (regression), and " \
                                  "reglab learns classes; give the label of a class"


@pytest.mark.parametrize("text, message", [
    ("", "IT cannot be read (it is empty: give a table"), ("\n\n", "IT cannot be read (it is empty: give a table"),
    ("u,v,w\n", "IT has no rows"), ("w\na\nb\n", "IT has only the column w"),
    (ROWS, "IT cannot be read (its first line is 0, 0.0, a: put a line with the names of the columns before it)"),
    (",v,w\n" + ROWS, "IT cannot be read (its column 1 has no name, as the index that pandas writes"),
    ("v,v,w\n" + ROWS, "IT cannot be read (two columns are called v"),
    ("u,v\x1b[2J,w\n" + ROWS, "IT cannot be read (its column 2 is called v\\x1b[2J, and it holds the control"),
    ("u,v\n" + ROWS, "IT cannot be read (its first line has 2 names, and the others have more values: name"),
    ("u,v,w\n" + ROWS + "1,2,a,4\n", "IT cannot be read (Error tokenizing data. C error: Expected 3 fields in line 22"),
    ("u,v,w\n" + ROWS + "1,2\n", "IT: column w has no label in row 21 (1 of 21 rows are without)"),
    ("u,v,w\n" + ROWS + "1,2,NA\n", "IT: column w has no label in row 21"),
    ("u,v,w\n" + ROWS + "1,,a\n2,NA,b\n", "IT: column v has no value in row 21 (2 of 22 rows are without)"),
    ("u,v,w\n" + ROWS + "1,inf,a\n", "IT: column v is inf in row 21, which is not finite in float32"),
    ("u,v,w\n" + ROWS + "1,1e39,a\n", "IT: column v is 1e+39 in row 21, which is not finite in float32"),
    ("u,v,w\n" + ROWS + "1,two,a\n", "IT: column v holds text (two in row 21): give numbers (such as pandas.get_dum"),
    ("u,v,w\n" + ROWS + f"{10**30},2,a\n", "IT: column u holds 0 in row 1, which is no number of 64 bits"),
    ("u,v,w\n" + ROWS + '"1,2,a\n', "IT cannot be read (Error tokenizing data. C error: EOF inside string"),
    ("u,y,Class\n" + ROWS, "IT has the columns y, Class, each of which may be the label: name it with --label_column"),
    (b"u,v\xff,w\n" + ROWS.encode(), "IT cannot be read ('utf-8' codec can't decode byte 0xff"),
    (",".join(map(str, range(20_001))), "IT cannot be read (it has more than 20,000 columns"),
    ("x" * 2**22 + ",y\n1,2\n", "IT cannot be read (its first line has more than 4,194,304 bytes: put")])
def test_others_are_refused_in_one_line_that_names_column_and_row(read, text, message):
    assert read(text).startswith(message)


def test_a_column_that_is_not_there_is_answered_with_the_nearest(read):
    assert read("usage,v,w\n" + ROWS, label_column="usag") == (
        "--label_column=usag: IT has no such column, but usage, v, w; did you mean usage?")


@pytest.mark.parametrize("frame, message", [
    (FRAME.assign(u=pandas.Timestamp("2026-01-01")), "cannot be read (its column u is of type timestamp"),
    (FRAME.assign(u="x"), ": column u holds text (x in row 1)"),
    (FRAME.assign(v=FRAME["v"].where(FRAME["v"] > 1)), ": column v has no value in row 1 (2 of 20 rows are without)"),
    (FRAME.assign(w=FRAME["w"].where(FRAME["u"] > 0)), ": column w has no label in row 1 (1 of 20 rows are without)"),
    (FRAME.assign(u=FRAME["u"].map(lambda u: [u])), "cannot be read (its column u is of type list"),
    (FRAME.set_index(FRAME["u"] * 7 % 20), "cannot be read (its column 4 has no name"), (FRAME[:0], "has no rows")])
def test_parquet_files_are_refused_in_the_same_way(frame, message, tmp_path):
    path = tmp_path / "mine.parquet"
    frame.rename_axis(None).to_parquet(path)
    with pytest.raises(ConfigError) as error:
        load(str(path), test_split=0.25)
    assert str(error.value).replace(f"--dataset={path}", "").strip().startswith(message)


def test_what_takes_more_than_memory_is_not_read(read, monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "available_memory", lambda: 1000)
    assert read("u,v,w\n" + ROWS).startswith("IT cannot be read (it has 196 bytes, too many")
    monkeypatch.undo()
    pandas.DataFrame({"u": np.zeros(3 * 10**6), "y": 0}).to_parquet(tmp_path / "bomb.parquet", index=False)
    assert os.path.getsize(tmp_path / "bomb.parquet") < 10**5
    with pytest.raises(ConfigError, match="it grows from .* to .* bytes or more when unpacked"):
        load(str(tmp_path / "bomb.parquet"))


@pytest.mark.parametrize("name, package", [("mine.csv", "pandas"), ("mine.parquet", "pyarrow")])
def test_a_package_that_is_not_installed_is_named(name, package, monkeypatch, tmp_path):
    real = builtins.__import__

    def without(wanted, *arguments):
        if wanted == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return real(wanted, *arguments)

    (tmp_path / name).write_text("u,v\n1,2\n")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=f"{package}, which is not installed: pip install 'reglab\\[tables\\]'"):
        load(str(tmp_path / name))


def test_only_tables_have_columns_and_only_data_without_a_test_part_give_one():
    with pytest.raises(ConfigError, match="--label_column=x: only tables have columns"):
        Config(label_column="x")
    with pytest.raises(ConfigError, match="--test_split=0.1: digits has a test part already, of 360 examples"):
        load("digits", test_split=0.1)
