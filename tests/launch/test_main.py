"""The launcher, with small Python programs in place of training."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec

import pytest

from reglab.inputs import exit_codes
from reglab.launch import __main__ as launch

ROOT = pathlib.Path(__file__).parents[2]
PRELUDE = """\
import json, os, pathlib, signal, subprocess, sys, time
config = json.loads(os.environ["TF_CONFIG"])
index = config["task"]["index"]
def ready():
    pathlib.Path(f"pid{index}.part").write_text(str(os.getpid()))
    os.rename(f"pid{index}.part", f"pid{index}")
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Iterator[Start]:
    """`start(code, *flags)`: the launcher, whose workers run `code` in `tmp_path`."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, *flags: str, passed: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        (tmp_path / "worker.py").write_text(PRELUDE + code)
        env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
        started.append(subprocess.Popen(
            [sys.executable, "-m", "reglab.launch", "--module=worker", *flags, "--", *passed], cwd=tmp_path, env=env,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=heed_signals))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def heed_signals() -> None:
    """The launcher leaves alone what it finds ignored, as these are where the tests run in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def pids(folder: pathlib.Path, count: int = 2) -> list[int]:
    """The processes of the workers, once they all run."""
    paths = [folder / f"pid{i}" for i in range(count)]
    wait_until(lambda: all(path.exists() for path in paths))
    return [int(path.read_text()) for path in paths]


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_cluster_of_workers_with_the_flags_after_the_dashes(start):
    done = start("print(json.dumps([config, sys.argv[1:]]))", "--workers=3", passed=("--l1=1e-3", "--", "a b"))
    out, err = done.communicate()
    assert (done.returncode, err) == (0, "")
    lines = sorted(out.splitlines())
    assert [line[:4] for line in lines] == ["[0] ", "[1] ", "[2] "]
    told = [json.loads(line[4:]) for line in lines]
    assert [config["task"] for config, _ in told] == [{"type": "worker", "index": i} for i in range(3)]
    assert all(arguments == ["--l1=1e-3", "--", "a b"] for _, arguments in told)
    addresses = told[0][0]["cluster"]["worker"]
    assert len(set(addresses)) == 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    assert all(config["cluster"] == {"worker": addresses} for config, _ in told)


def test_lines_stay_whole_and_in_their_stream(start):
    done = start("""
for i in range(300):
    print(f"{index} {i} " + "x" * 100 * (i % 7))
    sys.stderr.write(f"error {i}\\n")
sys.stdout.buffer.write("Grüße, ".encode() + b"\\xff without an end"); sys.stdout.flush()
""")
    out, err = done.stdout.buffer.read(), done.stderr.buffer.read()
    for i in range(2):
        mine = [line[4:] for line in out.splitlines() if line.startswith(b"[%d] " % i)]
        assert mine[:-1] == [b"%d %d " % (i, k) + b"x" * 100 * (k % 7) for k in range(300)]
        assert mine[-1] == "Grüße, ".encode() + b"\xff without an end"
        assert [line for line in err.splitlines() if line.startswith(b"[%d] " % i)] == [
            b"[%d] error %d" % (i, k) for k in range(300)]
    assert len(out.splitlines()) == 602


def test_output_shows_at_once(start):
    done = start("print('early'); time.sleep(60)", "--workers=1")
    assert done.stdout.readline() == "[0] early\n"


@pytest.mark.parametrize("passed", [("--json",), ("--l1", "1e-3", "-json=true"), ("--flagfile=flags",)])
def test_json_stays_one_object(start, tmp_path, passed):
    (tmp_path / "flags").write_text("--l1=1e-3\n--json\n")
    done = start("print(json.dumps({'of': index}, indent=1)); print('note', file=sys.stderr)", passed=passed)
    out, err = done.communicate()
    assert json.loads(out) == {"of": 0}
    assert sorted(err.splitlines()) == sorted(["[0] note", "[1] note", "[1] {", '[1]  "of": 1', "[1] }"])


def test_no_json_is_no_json(start):
    out, _ = start("print(1)", "--workers=1", passed=("--json", "--nojson")).communicate()
    assert out == "[0] 1\n"


@pytest.mark.parametrize("ending, code, said", [
    ("sys.exit(7)", 7, "[1] ended with exit code 7, so the others are ended"),
    ("os.kill(os.getpid(), signal.SIGKILL)", 137, "[1] was killed by SIGKILL, so the others are ended"),
])
def test_one_failure_ends_all(start, tmp_path, ending, code, said):
    done = start(f"""
def stop(*_): print("asked to end"); sys.exit(75)
signal.signal(signal.SIGTERM, stop)
ready()
if index == 1:
    while not os.path.exists("pid0"): time.sleep(0.01)
    {ending}
time.sleep(60)
""")
    begun = time.monotonic()
    out, err = done.communicate()
    assert done.returncode == code, "the first failure's, not that of those who were ended"
    assert (out, err) == ("[0] asked to end\n", said + "\n")
    assert time.monotonic() - begun < 5
    assert not any(map(runs, pids(tmp_path)))


def test_who_does_not_end_in_time_is_killed_with_what_it_started(start, tmp_path):
    done = start("""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if index == 1:
    while not os.path.exists("pid0"): time.sleep(0.01)
    ready()
    sys.exit(3)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
                          "print('up', flush=True); time.sleep(60)"])
time.sleep(0.5)
pathlib.Path("child").write_text(str(child.pid))
ready()
time.sleep(60)
""", "--grace=0.5")
    done.communicate(timeout=20)
    assert done.returncode == 3
    assert not any(map(runs, [*pids(tmp_path), int((tmp_path / "child").read_text())]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on_to_all_once(start, tmp_path, number):
    done = start("""
got = []
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: got.append(number))
ready()
while not got: time.sleep(0.01)
time.sleep(0.3)
print(*map(int, got))
""")
    pids(tmp_path)
    os.killpg(done.pid, number)  # the whole foreground group, as a terminal does
    out, _ = done.communicate(timeout=20)
    assert sorted(out.splitlines()) == [f"[{i}] {number:d}" for i in range(2)]
    assert done.returncode == 0


def test_a_second_signal_kills(start, tmp_path):
    done = start("signal.signal(signal.SIGINT, signal.SIG_IGN); ready(); time.sleep(60)")
    workers = pids(tmp_path)
    done.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert all(map(runs, workers))
    done.send_signal(signal.SIGINT)
    done.communicate(timeout=20)
    assert done.returncode == 137
    assert not any(map(runs, workers))


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to kill the children")
def test_no_orphans_when_the_launcher_is_killed(start, tmp_path):
    done = start("signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); time.sleep(60)")
    workers = pids(tmp_path)
    done.kill()
    wait_until(lambda: not any(map(runs, workers)), seconds=3)


def test_workers_do_not_stall_when_nobody_reads(start, tmp_path):
    done = start("""
for i in range(20_000): print("x" * 50)
ready()
""")
    done.stdout.readline()
    done.stdout.close()
    pids(tmp_path)
    assert done.wait(timeout=20) == 0


@pytest.mark.parametrize("flags, said", [
    (["--workers=0"], "reglab: --workers=0: give a number from 1 to 256; each is a process with a TensorFlow of its "
     "own"),
    (["--l1=1"], "reglab: --l1 is no flag of launch: put the flags of the workers after a --"),
    (["--worker=3"], "reglab: --worker is no flag of launch: put the flags of the workers after a --; did you mean "
     "--workers?"),
    (["train"], "reglab: unexpected argument 'train': put what the workers are to get after a --"),
    (["--grace=soon"], "reglab: --grace=soon: it is no number; give a number such as 1e-3"),
])
def test_bad_flags(start, flags, said):
    done = start("print('started')", *flags)
    assert done.communicate() == ("", said + "\n")
    assert done.returncode == 2


def test_help_is_quick_and_without_tensorflow():
    code = ("import sys; from reglab.launch.__main__ import main; code = main(['--help']); "
            "sys.exit(code or ('tensorflow' in sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m reglab.launch ")


def test_a_module_is_found_by_whatever_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `pip install -e` installs is on no path: a finder of its own knows it."""
    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            return ModuleSpec(name, None, is_package=True) if name == "installed_elsewhere" else None

    assert not launch._exists("installed_elsewhere")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert launch._exists("installed_elsewhere")
    assert not launch._exists("installed_elsewhere.worker")
    assert launch._exists("reglab.train") and not launch._exists("reglab.nothing")


def test_ports_that_run_out_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(launch, "_PORTS", range(taken.getsockname()[1], taken.getsockname()[1] + 1))
        assert launch.main(["--workers=2", "--"]) == exit_codes.BAD_INPUT
    assert re.fullmatch(r"reglab: --workers=2: of the ports .* on 127.0.0.1 only 0 are free: [^\n]+\n",
                        capsys.readouterr().err)
