"""The log lines of TensorFlow's C++ code are dropped, and nothing else."""

from __future__ import annotations

import os

import pytest

from reglab.engine import noise

NOISE = ("WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
         "I0000 00:00:1795386883.604092    5192 port.cc:153] oneDNN custom operations are on.\n"
         "E0000 00:00:1795386888.461454    5192 cuda_platform.cc:52] failed call to cuInit: INTERNAL\n")


def test_captured_stderr_restores_the_descriptor(capfd):
    with noise.captured_stderr():
        os.write(2, NOISE.encode() + b"a real complaint\n")
        assert capfd.readouterr().err == ""
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "a real complaint\nafter\n"
    with pytest.raises(RuntimeError), noise.captured_stderr():
        os.write(2, NOISE.encode())
        raise RuntimeError
    assert capfd.readouterr().err == NOISE


def test_captured_stderr_leaks_no_descriptor():
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        with noise.captured_stderr():
            pass
    assert len(os.listdir("/dev/fd")) == before


def test_fatal_lines_and_unknown_lines_are_no_noise():
    for line in (b"F0000 00:00:1795386888.46    5192 cpu_feature_guard.cc:1] The TensorFlow library was compiled",
                 b"Could not load dynamic library", b"ERROR: out of memory"):
        assert not noise._NOISE.match(line)
    assert noise._NOISE.match(b"2026-01-31 12:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN")
