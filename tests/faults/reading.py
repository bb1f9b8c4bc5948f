"""`python -m tests.faults.reading KIND FOLDER`: what a folder tells, as JSON on standard output, read without reglab.

Of a run the arrays of its newest and its best checkpoint, its metrics, events and figures; of a sweep, path or
comparison its results, curves, pictures and winners. Times and paces, which differ from run to run, are left out, so
that two folders that tell the same read the same.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

VOLATILE: Final = frozenset({"seconds", "steps_per_second", "examples_per_second", "resumed_from", "model_dir",
                             "start_seconds", "compile_seconds", "wall_time", "written_at", "host", "pid", "run",
                             "run_id", "command", "started", "ended", "threads", "bits", "reproducible"})
_STATE: Final = re.compile(r"(parameters|slots|step)(/|$)")


def main(argv: list[str]) -> None:
    """Prints what is in the folder of a kind."""
    kind, folder = argv[0], pathlib.Path(argv[1])
    print(json.dumps(read_run(folder) if kind == "run" else read_lab(kind, folder)))


def read_run(folder: pathlib.Path) -> dict[str, Any]:
    """The parts of a run's folder; what cannot be read is {"unreadable": why}."""
    found: dict[str, Any] = {"last": _attempt(_newest, folder / "checkpoints"),
                             "best": _attempt(_newest, folder / "checkpoints" / "best"),
                             "best.json": _attempt(_json, folder / "checkpoints" / "best" / "best.json"),
                             "checkpoints": _attempt(_steps, folder / "checkpoints"),
                             "metrics.jsonl": _attempt(_metrics, folder / "metrics.jsonl")}
    for split in ("train", "validation"):
        found[split] = _attempt(_events, folder / split)
    for name in ("config.json", "data.json", "result.json"):
        found[name] = _attempt(_json, folder / name)
    return found


def read_lab(kind: str, folder: pathlib.Path) -> dict[str, Any]:
    """The parts of the folder of a sweep, path or comparison."""
    found: dict[str, Any] = {f"{kind}.json": _attempt(_json, folder / f"{kind}.json"),
                             f"{kind}.csv": _attempt(pathlib.Path.read_text, folder / f"{kind}.csv")}
    for path in sorted([*folder.glob("*.png"), *folder.glob("*.svg")]):
        found[path.name] = _attempt(_picture, path)
    runs = [path for path in sorted((folder / "tensorboard").glob("*/*")) if path.is_dir()]
    found["tensorboard"] = {str(path.relative_to(folder)): _attempt(_events, path) for path in runs}
    for winner in ("winner", "winner_1se"):
        if (folder / winner).is_dir():
            found.update({f"{winner}/{part}": value for part, value in read_run(folder / winner).items()})
    return found


def _attempt(read_part: Any, path: pathlib.Path) -> Any:
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise ValueError("no file")  # To open a pipe would wait for ever.
        return read_part(path)
    except Exception as error:
        return {"unreadable": f"{type(error).__name__}: {error}"[:200]}


def _json(path: pathlib.Path) -> Any:
    return _lasting(json.loads(path.read_text()))


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in VOLATILE}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def _picture(path: pathlib.Path) -> str:
    data = path.read_bytes()
    whole = data.startswith(b"\x89PNG") and data.endswith(b"IEND\xaeB`\x82") or data.rstrip().endswith(b"</svg>")
    return "whole" if whole else "damaged"


def _steps(folder: pathlib.Path) -> list[int]:
    found = (re.fullmatch(r"ckpt-(\d+)\.index", path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def _metrics(path: pathlib.Path) -> list[dict[str, Any]]:
    return [_without_pace(json.loads(line)) for line in path.read_text().splitlines()]


def _without_pace(values: Mapping[str, Any]) -> dict[str, Any]:
    return {tag: value for tag, value in sorted(values.items()) if not tag.startswith("perf/")}


def _newest(folder: pathlib.Path) -> dict[str, Any]:
    """Step and digests of the arrays of the newest checkpoint in a folder."""
    import tensorflow as tf

    step = max(_steps(folder))
    reader = tf.train.load_checkpoint(str(folder / f"ckpt-{step}"))
    names = [name for name in sorted(reader.get_variable_to_shape_map()) if _STATE.match(name)]
    return {"file": step, "arrays": {name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): _digest(
        reader.get_tensor(name)) for name in names}}


def _digest(array: Any) -> str:
    import numpy as np
    return f"{np.asarray(array).dtype} {np.shape(array)} {hashlib.sha256(np.asarray(array).tobytes()).hexdigest()}"


def _events(folder: pathlib.Path) -> dict[str, Any]:
    """Tag to its [step, value] points in all event files of a folder, in order of the step."""
    from tensorboard.compat.proto import event_pb2

    tags: dict[str, list[Any]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        if path.name.endswith(".elsewhere"):  # A decoy (`decoys.py`).
            continue
        if not path.is_file():
            raise ValueError(f"{path.name} is no file")
        for record in records(path.read_bytes()):
            event = event_pb2.Event.FromString(record)
            for value in event.summary.value:
                if not value.tag.startswith("perf/") and "_hparams_" not in value.tag:
                    content = hashlib.sha256(value.tensor.SerializeToString()).hexdigest()[:16]
                    tags.setdefault(value.tag, []).append([event.step, content])
    return {tag: sorted(points) for tag, points in sorted(tags.items())}


def records(data: bytes) -> Iterator[bytes]:
    """The records of a TFRecord file.

    Raises:
      ValueError: the file is damaged.
    """
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    at = 0
    while at < len(data):
        head = data[at:at + 12]
        length = struct.unpack("<Q", head[:8].ljust(8, b"\xff"))[0]
        if len(head) < 12 or struct.unpack("<I", head[8:])[0] != masked_crc32c(head[:8]):
            raise ValueError(f"damaged at byte {at}")
        record, check = data[at + 12:at + 12 + length], data[at + 12 + length:at + 16 + length]
        if len(check) < 4 or struct.unpack("<I", check)[0] != masked_crc32c(record):
            raise ValueError(f"damaged at byte {at + 12}")
        yield record
        at += 16 + length


if __name__ == "__main__":
    main(sys.argv[1:])
