"""One owner: who is refused, what is said, and that a lock never outlives its process or blocks its own."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from reglab.config import ConfigError
from reglab.storage.ownership import owning, owning_new

ROOT = pathlib.Path(__file__).parents[2]
HOLDER = ("import sys; from reglab.storage.ownership import owning\n"
          "with owning(sys.argv[1]): print(flush=True); sys.stdin.read()")
LINE = (r"--model_dir=(?P<folder>\S+) is in use by process (?P<pid>\d+) on (?P<host>\S+) since [\d: -]{19}: "
        "wait for it, stop it, or name another folder")


@contextlib.contextmanager
def held_by_another(folder: pathlib.Path, program: str = HOLDER) -> Iterator[subprocess.Popen[bytes]]:
    """A process that owns the folder until the block ends."""
    with subprocess.Popen([sys.executable, "-c", program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.stdin.close()


def refusal(folder: pathlib.Path, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught, owning(folder, **options):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_another_process_is_named_and_gone_when_it_ends(tmp_path: pathlib.Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with held_by_another(tmp_path / "run") as process:
        for name in ("run", "link", "../" + tmp_path.name + "/run"):
            match = re.match(LINE, refusal(tmp_path / name))
            assert match is not None
            assert (match["folder"], int(match["pid"]), match["host"]) == (
                str(tmp_path / name), process.pid, socket.gethostname())
    assert not (tmp_path / "run").exists()  # It was made for the lock, and nothing was written.


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_killed_process_is_free(tmp_path: pathlib.Path, number: int) -> None:
    with held_by_another(tmp_path) as process:
        process.send_signal(number)
        process.wait()
        assert [path.name for path in tmp_path.iterdir()] == [".reglab.lock"]
        with owning(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_children_of_a_dead_owner_do_not_keep_it(tmp_path: pathlib.Path) -> None:
    program = HOLDER.replace("print", "import os, subprocess, time; subprocess.Popen(['sleep', '30']); "
                             "os.fork() or (os.close(1), time.sleep(30)); print")
    with held_by_another(tmp_path, program) as process:
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
        process.kill()
        process.wait()
        try:
            with owning(tmp_path):
                pass
        finally:
            for pid in map(int, children.stdout.split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_a_thread_enters_again_and_others_do_not(tmp_path: pathlib.Path) -> None:
    found: list[str] = []
    with owning(tmp_path), owning(tmp_path):
        thread = threading.Thread(target=lambda: found.append(refusal(tmp_path)))
        thread.start()
        thread.join()
        with owning(tmp_path / "winner"):
            (tmp_path / "winner" / "file").touch()
    assert f"process {os.getpid()} " in found[0]
    assert [path.name for path in tmp_path.iterdir()] == ["winner"]


def test_a_fork_of_the_owner_is_another_process(tmp_path: pathlib.Path) -> None:
    program = ("import os, sys; from reglab.storage.ownership import owning\nfrom reglab.config import ConfigError\n"
               "with owning(sys.argv[1]):\n  child = os.fork()\n  if not child:\n"
               "    try:\n      with owning(sys.argv[1]): os._exit(1)\n    except ConfigError: os._exit(0)\n"
               "  print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))")
    shown = subprocess.run([sys.executable, "-W", "ignore", "-c", program, tmp_path], capture_output=True, text=True,
                           env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    assert shown.stdout == "0\n"


def test_what_is_left_behind(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine").mkdir()
    with owning(tmp_path / "mine"), owning(tmp_path / "a" / "b"), owning(tmp_path / "c" / "d"):
        (tmp_path / "c" / "d" / "file").touch()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["c", "c/d", "c/d/file", "mine"]


def test_of_one_file_only(tmp_path: pathlib.Path) -> None:
    with owning(tmp_path, flag="--output", file="a.npz"), owning(tmp_path, flag="--output", file="b.npz"):
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(refusal(tmp_path, flag="--output", file="a.npz")))
        thread.start()
        thread.join()
    assert found[0].startswith(f"--output={tmp_path / 'a.npz'} is in use by process {os.getpid()} on ")
    assert found[0].endswith("or name another output")
    assert list(tmp_path.iterdir()) == []


def test_new_folders_of_one_name_are_different(tmp_path: pathlib.Path) -> None:
    names = [str(tmp_path / name) for name in ("runs/a", "runs/a-2", "runs/a-3")]
    with owning_new(names) as first, owning_new(names) as second:
        assert [first, second] == names[:2]
        pathlib.Path(second, "file").touch()
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["a-2"]


def test_of_many_at_once_each_gets_a_folder_of_its_own(tmp_path: pathlib.Path) -> None:
    names = [str(tmp_path / "new" / "runs" / f"a-{number}") for number in range(8)]
    ready, found = threading.Barrier(8), []

    def enter() -> None:
        ready.wait()
        with owning_new(names) as name:
            found.append(name)
            ready.wait()  # All are at work.

    threads = [threading.Thread(target=enter) for _ in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == names
    assert list(tmp_path.glob("new/runs/*")) == []


@pytest.mark.parametrize("folder", ["/proc/reglab/run", "/dev/null/run", "~nobody-of-this-name/run", "x" * 300, "\0"])
def test_a_folder_that_cannot_be_made(folder: str) -> None:
    assert refusal(pathlib.Path(folder)).startswith("--model_dir=")


def test_a_file_and_a_link_to_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nothing")
    assert "is a file: name a folder" in refusal(tmp_path / "file")
    assert "is a link to nothing: remove it" in refusal(tmp_path / "link")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": -1, "host": "h", "since": "2026-01-31 10:15:30"}',
                                     '{"pid": 1, "host": "a\\nb", "since": "2026-01-31 10:15:30"}'])
def test_an_owner_that_does_not_say_who_it_is(tmp_path: pathlib.Path, content: str) -> None:
    with open(tmp_path / ".reglab.lock", "w") as file:
        file.write(content)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert f"--model_dir={tmp_path} is in use by another process: wait for it" in refusal(tmp_path)


# Where there are no locks.

@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(file: int, operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("without_locks")
def test_a_marker_stands_in_for_the_lock(tmp_path: pathlib.Path) -> None:
    found: list[str] = []
    with owning(tmp_path), owning(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".reglab.marker"]
        thread = threading.Thread(target=lambda: found.append(refusal(tmp_path)))
        thread.start()
        thread.join()
    assert f"process {os.getpid()} on {socket.gethostname()} since " in found[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_locks")
def test_a_marker_of_a_dead_process_is_taken_over_and_one_of_another_host_is_explained(tmp_path: pathlib.Path) -> None:
    with owning(tmp_path):
        marker = tmp_path / ".reglab.marker"
        lines = marker.read_text().splitlines()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    marker.write_text(f"{ended.pid}\n{lines[1]}\n")
    with owning(tmp_path):
        pass
    marker.write_text("4711\nelsewhere\n")
    assert "in use by process 4711 on elsewhere since " in (line := refusal(tmp_path))
    assert line.endswith(f"(this file system has no locks: if that process is gone, remove {marker})")
    assert json.dumps(marker.read_text()) == '"4711\\nelsewhere\\n"'
