"""What certify tells of a folder before TensorFlow is imported."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

CODE = ("import sys; from reglab.certify.__main__ import main; code = main(['rerun', *sys.argv[1:]]); "
        "sys.exit(code if 'tensorflow' not in sys.modules else 1)")


@pytest.mark.parametrize(("folder", "said"), [
    ("none", "none holds no config.json"), ("loop", "cannot be used"), ("~no_such_user", "cannot be used"),
    ("x" * 300, "(File name too long)"), ("deep", "is not JSON that can be used"), ("empty", "holds no checkpoint"),
    ("large", "are free"), ("odd", "holds no checkpoint"), ("pipe", "data.json is missing or damaged"),
    ("other", r"holds a run on other data (digest ,\n,")])
def test_a_bad_folder_is_told_in_one_line(folder: str, said: str, tmp_path: pathlib.Path) -> None:
    for name, config, index in (("deep", "[" * 100_000, "1"), ("empty", "{}", ""), ("odd", "{}", "²"),
                                ("large", '{"hidden": [2147483647, 2147483647]}', "1"), ("pipe", "{}", "1"),
                                ("other", "{}", "1")):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "config.json").write_text(config)
        (tmp_path / name / "checkpoints" / f"ckpt-{index}.index").touch()
    os.mkfifo(tmp_path / "pipe" / "data.json")
    (tmp_path / "other" / "data.json").write_text('{"digest": ["", "\\n"]}')
    (tmp_path / "loop").symlink_to("loop")
    env = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", CODE, folder], capture_output=True, text=True, cwd=tmp_path, env=env,
                          timeout=30)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert said in done.stderr and done.stdout == ""
