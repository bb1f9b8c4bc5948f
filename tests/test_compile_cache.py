"""The folder of compiled code: what is kept in it, what is not trusted, and that TensorFlow really reads it."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from reglab import compile_cache, exit_codes
from reglab.compile_cache import VARIABLE, use_compile_cache
from reglab.config import ConfigError

ROOT = pathlib.Path(__file__).parent.parent
COMPILE = """
from reglab.startup import quiet_tensorflow
tf = quiet_tensorflow()
print(float(tf.function(lambda x: tf.reduce_sum(tf.tanh(x)), jit_compile=True)(tf.linspace(0.0, 1.0, 11))))
"""


@pytest.fixture
def sealed_at_exit(monkeypatch: pytest.MonkeyPatch) -> list[pathlib.Path]:
    """The folders that would be sealed at the end of this process; and the environment is put back."""
    folders: list[pathlib.Path] = []
    monkeypatch.setattr(compile_cache.atexit, "register", lambda function, folder: folders.append(folder))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug=false")
    return folders


def fill(folder: pathlib.Path, *names: str) -> None:
    for age, name in enumerate(names):
        path = folder / f"{name}.pb"
        path.write_bytes(name.encode() * 10)
        os.utime(path, (1e9 - age, 1e9 - age))


def names(folder: pathlib.Path) -> set[str]:
    return {path.stem for path in folder.glob("*.pb")}


def test_without_the_variable_nothing_is_kept(monkeypatch: pytest.MonkeyPatch,
                                              sealed_at_exit: list[pathlib.Path]) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not use_compile_cache()
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_clustering_debug=false"
    assert sealed_at_exit == []


def test_the_users_own_flags_stay(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
                                  sealed_at_exit: list[pathlib.Path]) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "new"))
    assert use_compile_cache()
    folder, = sealed_at_exit
    assert folder.parent == tmp_path / "new"
    flags = os.environ["TF_XLA_FLAGS"]
    assert flags.split()[:2] == ["--tf_xla_clustering_debug=false", f"--tf_xla_persistent_cache_directory={folder}"]
    use_compile_cache()  # As a child process would, which has the flags from its parent.
    assert sealed_at_exit == [folder, folder]
    assert os.environ["TF_XLA_FLAGS"] == flags


def test_only_sealed_entries_are_kept_and_not_too_many(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
                                                       sealed_at_exit: list[pathlib.Path]) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(compile_cache, "MOST_ENTRIES", 3)
    monkeypatch.setattr(compile_cache, "_fingerprint", lambda: "here")
    use_compile_cache()
    folder = tmp_path / "here"
    fill(folder, "a", "b", "c", "d", "e")
    compile_cache._seal_entries(folder)
    (folder / "a.pb").write_bytes(b"aaa")  # Cut short.
    (folder / "b.seal").unlink()  # Killed before it was sealed.
    os.utime(folder / "a.pb", (1e9, 1e9))
    (folder / "other.txt").write_text("not an entry")
    use_compile_cache()
    assert names(folder) == {"c"}  # d and e are the oldest.
    assert {path.name for path in folder.glob("*.seal")} == {"c.seal"}
    assert (folder / "other.txt").exists()


@pytest.mark.parametrize(("name", "value"), [
    ("XLA_FLAGS", "--xla_cpu_enable_fast_math=true"), ("TF_XLA_FLAGS", "--tf_xla_min_cluster_size=2"),
    ("TF_ENABLE_ONEDNN_OPTS", "0")])
def test_other_flags_have_another_folder(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compile_cache._fingerprint()
    assert compile_cache._fingerprint() == before
    monkeypatch.setenv(name, value)
    assert compile_cache._fingerprint() != before


@pytest.mark.parametrize(("place", "said"), [("file/below", "cannot be written"), ("with blank", "holds a blank")])
def test_a_folder_that_cannot_be_used(place: str, said: str, tmp_path: pathlib.Path,
                                      monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv(VARIABLE, str(tmp_path / place))
    with pytest.raises(ConfigError, match=f"{VARIABLE}={tmp_path / place} {said}"):
        use_compile_cache()


def run(*argv: str, cache: pathlib.Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, cwd=ROOT,
                          env={**kept, VARIABLE: str(cache), **more})


def test_a_command_says_so_in_one_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = run("-m", "reglab.train", f"--model_dir={tmp_path / 'run'}", cache=tmp_path / "file")
    assert (done.returncode, done.stdout) == (exit_codes.BAD_INPUT, "")
    assert done.stderr.startswith(f"reglab: {VARIABLE}={tmp_path / 'file'} cannot be written")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_tensorflow_reads_what_it_kept_and_a_damaged_entry_is_made_anew(tmp_path: pathlib.Path) -> None:
    first = run("-c", COMPILE, cache=tmp_path)
    entry, = tmp_path.glob("*/*.pb")
    size = entry.stat().st_size
    # TensorFlow's only sign that it reads an entry, which is why reglab silences its errors.
    second = run("-c", COMPILE, cache=tmp_path, TF_CPP_MIN_LOG_LEVEL="0")
    assert "XlaSerializedCacheEntry" in second.stderr
    os.truncate(entry, size // 2)
    third = run("-c", COMPILE, cache=tmp_path)
    assert entry.stat().st_size == size
    assert first.stdout == second.stdout == third.stdout != ""
    assert first.stderr == third.stderr == ""
