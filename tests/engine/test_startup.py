"""Start-up is quiet unless something is wrong. A few lines of Python stand in for TensorFlow where that suffices."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import subprocess
import sys

import pytest

from reglab.engine import startup

ROOT = pathlib.Path(__file__).parents[2]
NOISE = ("WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
         "I0000 00:00:1795386883.604092    5192 port.cc:153] oneDNN custom operations are on.\n"
         "E0000 00:00:1795386888.461454    5192 cuda_platform.cc:52] failed call to cuInit: INTERNAL\n")


def run(code: str, path: pathlib.Path | None = None, level: str | None = None,
        redirect: str = "") -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("TF_", "PYTHON"))}
    env["PYTHONPATH"] = os.pathsep.join(map(str, filter(None, (path, ROOT))))
    if level is not None:
        env["TF_CPP_MIN_LOG_LEVEL"] = level
    return subprocess.run(["/bin/sh", "-c", f'exec "$0" -c "$1" {redirect}', sys.executable, code], env=env, text=True,
                          capture_output=True)


@pytest.fixture
def fake(tmp_path):
    """Creates a stand-in for `tensorflow` that logs noise as if from C++ and then runs `code`."""
    def make(code: str = "") -> pathlib.Path:
        (tmp_path / "tensorflow.py").write_text(f"""\
import contextlib, os, sys, types, warnings
def log():
    with contextlib.suppress(OSError):  # C++ does not notice that descriptor 2 is closed
        os.write(2, {NOISE.encode()!r})
log()
config = types.SimpleNamespace(list_physical_devices=log)
{code}
""")
        return tmp_path
    return make


QUIET = """
from reglab.engine.startup import quiet_tensorflow, start_devices
tf = quiet_tensorflow()
start_devices("off", print)
print(tf.__name__)
"""


def test_noise_is_dropped_but_python_output_stays(fake):
    done = run(QUIET, fake("warnings.warn('old driver'); print('plain', file=sys.stderr)"))
    assert done.stdout == "tensorflow\n"
    assert "UserWarning: old driver" in done.stderr
    assert "plain\n" in done.stderr
    assert "oneDNN" not in done.stderr and "WARNING: All" not in done.stderr and "cuInit" not in done.stderr


@pytest.mark.parametrize(("level", "shown"), [("0", 2), ("1", 2), ("3", 0)])
def test_the_user_decides_with_the_environment(fake, level, shown):
    assert run(QUIET, fake(), level).stderr.count("oneDNN") == shown


@pytest.mark.parametrize("code", ["raise ImportError('libfoo.so')",
                                  "config.list_physical_devices = lambda: (log(), 1 / 0)"])
def test_a_failure_replays_everything(fake, code):
    done = run(QUIET, fake(code))
    assert done.returncode == 1
    assert done.stderr.startswith(NOISE)
    assert "libfoo.so" in done.stderr or "ZeroDivisionError" in done.stderr


REAL = """
import gc, sys, warnings
from reglab.engine.startup import quiet_tensorflow, start_devices
tf = quiet_tensorflow(whole_process={whole_process})
start_devices("off", print)
warnings.warn("mine")
print(float(tf.function(lambda x: x * 2, jit_compile=True)(tf.constant(3.0))))
print([name for name in sys.modules if name.split(".")[0] in ("keras", "matplotlib")], gc.isenabled())
print("Keras", file=sys.stderr)
model = tf.keras.Sequential([tf.keras.layers.Dense(2)])
model.compile("adam", "mse")
print(model.predict(tf.ones([1, 3]), verbose=0).shape, tf.nn.relu(-1.0).numpy(), tf.compat.v1.Session.__name__)
"""


@pytest.mark.parametrize("whole_process", [False, True])
def test_real_tensorflow_is_silent_and_keras_is_held_back_and_works_when_it_is_used(whole_process):
    done = run(REAL.format(whole_process=whole_process))
    assert done.stdout.splitlines() == ["6.0", "[] True", "(1, 2) 0.0 Session"], done.stderr
    said, _, _ = done.stderr.partition("Keras\n")
    assert said == "<string>:6: UserWarning: mine\n"


def test_a_keras_that_is_imported_already_is_left_alone(fake):
    (fake() / "keras").mkdir()
    (fake() / "keras" / "__init__.py").touch()
    (fake() / "keras" / "src.py").write_text("print('whole Keras')")
    done = run("import keras\n" + QUIET, fake("import keras.src"))
    assert done.stdout == "whole Keras\ntensorflow\n"
    assert done.stderr == ""


def test_a_tensorflow_that_cannot_do_without_keras_gets_it(fake):
    (fake() / "keras").mkdir()
    (fake() / "keras" / "__init__.py").touch()
    (fake() / "keras" / "src.py").write_text("print('whole Keras')")
    done = run(QUIET, fake("import keras.src"))
    assert done.stdout == "whole Keras\ntensorflow\n"
    assert done.stderr == ""


def test_other_threads_may_import_keras_meanwhile():
    finder = startup._HoldKerasBack()
    with pytest.raises(ImportError, match="keras.src"):
        finder.find_spec("keras.src")
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        assert other.submit(finder.find_spec, "keras.src").result() is None


def test_missing_tensorflow_is_the_usual_error():
    done = run("import sys; sys.modules['tensorflow'] = None\n" + QUIET)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: ")


def test_closed_stderr(fake):
    done = run(QUIET, fake(), redirect="2>&-")
    assert (done.returncode, done.stdout) == (0, "tensorflow\n")


def test_no_temporary_folder(fake):
    done = run("import tempfile; tempfile.tempdir = '/nowhere'\n" + QUIET, fake())
    assert done.stdout == "tensorflow\n"


def test_a_crash_inside_leaves_a_traceback(fake):
    done = run(QUIET, fake("os.abort()"))
    assert done.returncode != 0
    assert "Fatal Python error: Aborted" in done.stderr
    assert "quiet_tensorflow" in done.stderr


def test_loaded_tensorflow_is_returned_as_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", loaded := type(sys)("tensorflow"))
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    assert startup.quiet_tensorflow() is loaded
    assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
