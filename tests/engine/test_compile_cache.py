"""The folder of compiled code: what is kept in it, what is not trusted, and that TensorFlow really reads from it."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from reglab.engine import cache_folder as cache
from reglab.engine import compile_cache
from reglab.engine.cache_folder import VARIABLE
from reglab.engine.compile_cache import use_compile_cache
from reglab.inputs import exit_codes

ROOT = pathlib.Path(__file__).parents[2]
COMPILE = """
import sys
from reglab.engine.startup import quiet_tensorflow, start_devices
tf = quiet_tensorflow(whole_process=True)
start_devices(None, print)
from reglab.engine.compile_cache import name_alike
x = tf.linspace(0.0, 1.0, 11)
for _ in range(int(sys.argv[1])):
    tf.constant(0)
name_alike()
function = tf.function(lambda x: tf.reduce_sum(tf.tanh(x)), jit_compile=True)
print(function.get_concrete_function(x).name, float(function(x)))
"""


@pytest.fixture
def at_exit(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> list[Callable[[], None]]:
    """Collects what would run at process exit; the process has not chosen a cache, and its environment is restored."""
    calls: list[Callable[[], None]] = []
    monkeypatch.setattr(compile_cache, "_decided", False)
    monkeypatch.setattr(cache, "fingerprint", lambda: "here")
    monkeypatch.setattr(compile_cache.atexit, "register",
                        lambda function, *arguments: calls.append(lambda: function(*arguments)))
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug=false")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return calls


def scratch() -> pathlib.Path:
    """Returns the folder that TensorFlow was given."""
    flag = next(flag for flag in os.environ["TF_XLA_FLAGS"].split() if "directory" in flag)
    return pathlib.Path(flag.partition("=")[2])


def again(monkeypatch: pytest.MonkeyPatch, at_exit: list[Callable[[], None]], setting: str | None = None) -> None:
    """Ends this process, as it were, and starts the next one."""
    at_exit.pop()()
    monkeypatch.setattr(compile_cache, "_decided", False)
    assert use_compile_cache(setting) is None


def kept(tmp_path: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "xdg/reglab/here").iterdir())


def test_off_keeps_nothing_and_leaves_the_users_flags(at_exit: list[Callable[[], None]], tmp_path: pathlib.Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug=false --tf_xla_persistent_cache_directory=/parents")
    assert use_compile_cache("off") is None
    assert os.environ["TF_XLA_FLAGS"] == "--tf_xla_clustering_debug=false"
    assert at_exit == [] and not (tmp_path / "xdg").exists()


def test_what_was_compiled_is_found_by_the_next_process(at_exit: list[Callable[[], None]], tmp_path: pathlib.Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    assert use_compile_cache() is None
    first = scratch()
    assert os.environ["TF_XLA_FLAGS"].startswith("--tf_xla_clustering_debug=false ")
    (first / "a.pb").write_bytes(b"code")
    again(monkeypatch, at_exit)
    assert not first.exists()
    assert (scratch() / "a.pb").read_bytes() == b"code"
    (scratch() / "b.pb").write_bytes(b"more")
    again(monkeypatch, at_exit)
    assert sorted(path.name for path in scratch().iterdir()) == ["a.pb", "b.pb"]
    assert len(kept(tmp_path)) == 2
    at_exit.pop()()


def test_it_is_decided_once_a_process(at_exit: list[Callable[[], None]], tmp_path: pathlib.Path) -> None:
    use_compile_cache()
    before = os.environ["TF_XLA_FLAGS"]
    assert use_compile_cache(str(tmp_path / "other")) is None
    assert os.environ["TF_XLA_FLAGS"] == before and not (tmp_path / "other").exists()
    at_exit.pop()()


@pytest.mark.parametrize("damage", [b"", b"cod", b"cOde", b"code and more"])
def test_a_damaged_entry_is_not_used(damage: bytes, at_exit: list[Callable[[], None]], tmp_path: pathlib.Path,
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    use_compile_cache()
    (scratch() / "a.pb").write_bytes(b"code")
    at_exit.pop()()
    entry, = (tmp_path / "xdg/reglab/here").iterdir()
    entry.write_bytes(damage)
    monkeypatch.setattr(compile_cache, "_decided", False)
    assert use_compile_cache() is None
    assert list(scratch().iterdir()) == [] and kept(tmp_path) == []
    at_exit.pop()()


def test_the_oldest_of_too_many_or_too_much_goes(at_exit: list[Callable[[], None]], tmp_path: pathlib.Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_PROGRAMS", 3)
    use_compile_cache()
    for name in "abcd":
        (scratch() / f"{name}.pb").write_bytes(name.encode() * 10)
    at_exit.pop()()
    for age, entry in enumerate(sorted((tmp_path / "xdg/reglab/here").iterdir())):
        os.utime(entry, (1e9 - age, 1e9 - age))
    (tmp_path / "xdg/reglab/here/notes.txt").write_text("not an entry")
    (tmp_path / "xdg/reglab/elsewhere").mkdir()
    (tmp_path / "xdg/reglab/elsewhere/old.pb.0").write_bytes(b"of an older TensorFlow")
    os.utime(tmp_path / "xdg/reglab/elsewhere/old.pb.0", (1, 1))
    monkeypatch.setattr(cache, "MOST_BYTES", 25)
    again_at = at_exit  # The names show what happens: three entries are few enough, and two small enough.
    monkeypatch.setattr(compile_cache, "_decided", False)
    use_compile_cache()
    assert sorted(path.name for path in scratch().iterdir()) == ["a.pb", "b.pb", "c.pb"]
    again_at.pop()()
    assert [name[0] for name in kept(tmp_path)] == ["a", "b", "n"]
    assert not (tmp_path / "xdg/reglab/elsewhere/old.pb.0").exists()


def test_what_a_killed_process_left_in_memory_goes_and_a_living_one_stays(at_exit: list[Callable[[], None]],
                                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    use_compile_cache()
    living = scratch()
    dead = living.with_name(f"reglab-compiled-{os.geteuid()}-dead")
    dead.mkdir()
    (dead / "a.pb").touch()
    monkeypatch.setattr(compile_cache, "_decided", False)
    use_compile_cache()
    assert living.exists() and not dead.exists()
    for call in at_exit:
        call()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_may_write_to_is_not_used(mode: int, at_exit: list[Callable[[], None]],
                                                       tmp_path: pathlib.Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(mode)
    problem = use_compile_cache(str(tmp_path / "open"))
    assert problem == (f"compiled code is not kept in {tmp_path / 'open'} (others may write to it): "
                       "give another --compile_cache, or off")
    assert at_exit == [] and os.environ["TF_XLA_FLAGS"] == "--tf_xla_clustering_debug=false"


def test_a_folder_that_cannot_be_made_is_said_in_a_line(at_exit: list[Callable[[], None]],
                                                        tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("mine")
    problem = use_compile_cache(str(tmp_path / "file" / "below"))
    assert problem is not None and str(tmp_path / "file") in problem and "\n" not in problem


def test_no_room_in_memory_or_on_disk_means_compiling(at_exit: list[Callable[[], None]], tmp_path: pathlib.Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(compile_cache.shutil, "disk_usage", lambda place: usage._replace(free=10))
    problem = use_compile_cache()
    assert problem is not None and "no room" in problem
    monkeypatch.undo()


def test_a_disk_that_fills_at_the_end_loses_only_the_entry(at_exit: list[Callable[[], None]], tmp_path: pathlib.Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: pathlib.Path, content: bytes, sync: bool) -> None:
        raise OSError(28, "No space left on device")

    use_compile_cache()
    (scratch() / "a.pb").write_bytes(b"code")
    monkeypatch.setattr(cache, "write_atomically", full)
    at_exit.pop()()
    assert not scratch().exists() and kept(tmp_path) == []


def run(*argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, cwd=ROOT,
                          env={**environment, **more})


def test_tensorflow_reads_what_it_kept_and_a_damaged_entry_is_made_anew(tmp_path: pathlib.Path) -> None:
    """Whatever a process did before, its functions have the names of the first one's, or they would not be found."""
    first = run("-c", COMPILE, "0", XDG_CACHE_HOME=str(tmp_path))
    entry, = tmp_path.glob("reglab/*/*.pb.*")
    written = entry.read_bytes()
    # The only sign that TensorFlow reads an entry, and the reason why reglab silences its errors.
    second = run("-c", COMPILE, "1000", XDG_CACHE_HOME=str(tmp_path), TF_CPP_MIN_LOG_LEVEL="0")
    assert "XlaSerializedCacheEntry" in second.stderr
    assert list(tmp_path.glob("reglab/*/*.pb.*")) == [entry] and entry.read_bytes() == written
    os.truncate(entry, len(written) // 2)
    third = run("-c", COMPILE, "0", XDG_CACHE_HOME=str(tmp_path))
    assert len(list(tmp_path.glob("reglab/*/*.pb.*"))) == 1
    assert first.stdout == second.stdout == third.stdout and "__inference_" in first.stdout
    assert first.stderr == third.stderr == ""


def test_a_command_trains_without_a_folder_and_says_so(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
                                                       capfd: pytest.CaptureFixture[str]) -> None:
    from reglab import train

    monkeypatch.setattr(compile_cache, "_decided", False)
    monkeypatch.setenv("TF_XLA_FLAGS", "")  # As it is to be afterwards.
    (tmp_path / "file").write_text("mine")
    assert train.main(["--epochs=1", "--hidden=", "--nojit", f"--model_dir={tmp_path / 'run'}",
                       f"--compile_cache={tmp_path / 'file'}"]) == exit_codes.SUCCESS
    assert f"Warning: compiled code is not kept in {tmp_path / 'file'} (" in capfd.readouterr().out
    assert (tmp_path / "run" / "result.json").exists()
