"""`python -m tests.faults.server`: imports TensorFlow once and forks a process for every command it is told.

A command so started is a process of its own, in a session of its own, that may be killed like any other; it only need
not import TensorFlow, which takes longer than all that is tried in it. Requests come as lines of JSON on standard
input, replies go out as lines of JSON on standard output.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import runpy
import select
import signal
import sys
import threading
import time
import warnings
from typing import Any, Final

_PRELOADED: Final = ("reglab.engine.startup", "reglab.run.loop", "reglab.sweep.experiment", "reglab.sweep.pathway",
                     "reglab.compare.experiment", "reglab.export.exporting", "reglab.console", "reglab.lab.plots",
                     "matplotlib.pyplot", "tests.faults.reading")
_POLL: Final = 0.005


def main() -> None:
    """Serves until standard input ends."""
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    _preload()
    _reply(replies, {"ready": True})
    children: dict[int, tuple[int, float]] = {}
    pending = b""
    while True:
        if select.select([0], [], [], _POLL if children else None)[0]:
            came = os.read(0, 1 << 16)
            if not came:
                break
            *lines, pending = (pending + came).split(b"\n")
            for line in lines:
                request = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    replies.close()
                    _become(request)
                children[pid] = request["id"], time.monotonic()
                _reply(replies, {"id": request["id"], "pid": pid})
        for pid in list(children):
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                number, began = children.pop(pid)
                _reply(replies, {"id": number, "code": os.waitstatus_to_exitcode(status),
                                 "seconds": time.monotonic() - began, "cpu": usage.ru_utime + usage.ru_stime,
                                 "peak_bytes": usage.ru_maxrss * 1024})
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _preload() -> None:
    importlib.import_module("reglab.engine.startup").quiet_tensorflow()
    for name in _PRELOADED:
        with contextlib.suppress(ImportError):  # A module of that name is no part of the contract, only its speed.
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # The children shall not copy these pages only to look for garbage in them.


def _reply(replies: Any, message: dict[str, Any]) -> None:
    replies.write(json.dumps(message) + "\n")


def _become(request: dict[str, Any]) -> None:
    """Runs the request in this forked process, as `python -m` would, and ends it."""
    code = 70
    try:
        os.setsid()
        for number, name in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
            opened = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(opened, number)
            os.close(opened)
        os.chdir(request["cwd"])
        for name, value in request["env"].items():
            os.environ[name] = value
        if request.get("file_bytes"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_bytes"],) * 2)
        if request.get("obey_permissions"):
            _obey_permissions()
        warnings.simplefilter("ignore", RuntimeWarning)  # of runpy: a module may be imported already
        code = _run(request["argv"])
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    with contextlib.suppress(Exception):
        sys.stderr.flush()
    os._exit(code)  # TensorFlow's modules take a second to be taken apart.


def _obey_permissions() -> None:
    """Takes from root what lets it read and write everything; others obey permissions anyway."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread: the only one yet
    sets = (ctypes.c_uint32 * 6)()
    if os.getuid() == 0 and libc.capget(header, sets) == 0:
        for low in range(3):  # effective, permitted, inheritable
            sets[low] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.capset(header, sets)


def _run(argv: list[str]) -> int:
    module, *arguments = argv
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


if __name__ == "__main__":
    main()
