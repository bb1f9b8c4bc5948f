"""The benchmark's result as text: medians, with their range in brackets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reglab.config.strengths import Strength, in_words
from reglab.console.format import number
from reglab.core import penalties

_NAMES = {"bare": "neither", "both": "summaries and checkpoints"}


def tables(result: Mapping[str, Any]) -> str:
    """Returns the tables of all sections in the result."""
    config, load = result["config"], result["load_average"]
    strengths = ", ".join(f"{name} = {in_words(strength)}" for name, strength in _told(config).items())
    lines = [result["dataset"],
             f"hidden layers {','.join(map(str, config['hidden'])) or 'none'}, batch {config['batch_size']}, "
             f"{config['optimizer']}, {strengths}, {config['precision']}",
             f"median (range) of {result['repeats']} rounds" + ("" if load is None else f", load average {load:g}")]
    sections = (_speed, _start, _penalty, _logging, _deterministic, _whole, _devices, _growth, _lanes, _peers, _failed)
    return "\n".join(lines + [line for section in sections for line in section(result)])


def _told(config: Mapping[str, Any]) -> dict[str, Strength]:
    return {name: config[name] for name in penalties.names() if name in config}


def _speed(result: Mapping[str, Any]) -> list[str]:
    if "limit_share" not in result:
        return []
    limit, devices = result["limit"], result["devices"]
    device = f"{result['device']}" + (f", {devices} replicas" if devices > 1 else "")
    rows = [("step time, us", _cell(result["step_time_us"])), ("steps/s", _cell(result["steps_per_second"])),
            ("examples/s", _cell(result["examples_per_second"])),
            ("examples/s and device", _cell(result["examples_per_second_per_device"])),
            ("GFLOP/s and device", _cell(result["flops_per_second_per_device"], 1e-9)),
            ("limit: step time, us", _cell(limit["time_us"])),
            ("  products, us", f"{_cell(limit['products_us'])} by {limit['products_by']}"),
            ("  optimizer's pass, us", _cell(limit["optimizer_us"])),
            ("  GFLOP/s of the products", _cell(limit["flops_per_second"], 1e-9)),
            ("limit / step time", _cell(result["limit_share"]))]
    return ["", f"Speed on {device}", *_aligned(rows)]


def _start(result: Mapping[str, Any]) -> list[str]:
    rows = [("compilation, s", "compile_seconds", 1.0), ("peak memory, MB", "peak_memory_bytes", 1e-6),
            ("peak memory of the GPU, MB", "peak_device_memory_bytes", 1e-6)]
    start = result.get("start_seconds", {})
    more = [(title, start[name], 1.0) for title, name in (
        ("process start to first step, s", "to_first_step"), ("  importing TensorFlow, s", "import_tensorflow"),
        ("  all else, s", "beyond_import")) if name in start]
    found = [(title, _cell(result[name], scale)) for title, name, scale in rows if name in result]
    return ["", "Start and memory", *_aligned([(t, _cell(v, s)) for t, v, s in more] + found)] if found else []


def _penalty(result: Mapping[str, Any]) -> list[str]:
    told = _told(result["config"])
    return _costs("Cost of the penalty", "step time, us", "step_time_us", result.get("penalty_cost"),
                  {"_".join(told): " + ".join(told)})


def _deterministic(result: Mapping[str, Any]) -> list[str]:
    return _costs("Cost of --deterministic", "step time, us", "step_time_us", result.get("deterministic_cost"))


def _logging(result: Mapping[str, Any]) -> list[str]:
    cost = result.get("logging_cost")
    title = "" if not cost else (f"Cost of summaries every {cost['summary_every']} steps and of a checkpoint an epoch "
                                 f"({cost['steps_per_epoch']} steps)")
    return _costs(title, "epoch, s", "epoch_seconds", cost)


def _whole(result: Mapping[str, Any]) -> list[str]:
    found = result.get("whole", {})
    titles = (("import", "import tensorflow", ""), ("kept", "reglab.train, compiled code kept", "of import tensorflow"),
              ("empty", "reglab.train, empty cache", "of import tensorflow"),
              ("keras", "a Keras script", "reglab's of it"), ("torch", "a PyTorch script", "reglab's of it"),
              ("alone", "start to first evaluation, one process", ""),
              ("two_workers", "the same, two workers", "of one process"))
    rows = [(title, _cell(found[name]["seconds"]), f"{_cell(found[name]['ratio'])} {of}" if of else "",
             "" if found[name].get("agrees", True) else "DIFFERENT ACCURACY")
            for name, title, of in titles if name in found]
    left_out = [f"  {name} is left out: it is not installed" for name in found.get("missing", ())]
    return ["", "Whole processes, seconds", *_aligned(rows), *left_out] if rows else []


def _costs(title: str, unit: str, key: str, costs: Mapping[str, Any] | None,
           names: Mapping[str, str] = _NAMES) -> list[str]:
    rows = [(names.get(name, name), _cell(cost["ratio"]), _cell(cost[key]))
            for name, cost in (costs or {}).items() if isinstance(cost, dict)]
    return ["", title, *_aligned([("", "ratio", unit), *rows])] if rows else []


def _devices(result: Mapping[str, Any]) -> list[str]:
    found = result.get("devices_scaling", {})
    if not found:
        return []
    rows = [(f"{n} {each['kind']}{'s' if n != '1' else ''}, {kind}", str(each[kind]["batch_size"]),
             _cell(each[kind]["step_time_us"]), _cell(each[kind]["efficiency"]))
            for kind in ("strong", "weak") for n, each in found.items()]
    note = ["  Logical CPUs share the cores: this shows what replicas cost, not what more devices bring."
            ] if any(each["kind"] != "GPU" for each in found.values()) else []
    return ["", "Scaling", *_aligned([("", "batch", "step time, us", "efficiency"), *rows]), *note]


def _growth(result: Mapping[str, Any]) -> list[str]:
    lines = []
    for kind, title in (("widths", "hidden"), ("batch_sizes", "batch")):
        rows = [(",".join(map(str, each["hidden"])) if kind == "widths" else value, _cell(each["step_time_us"]),
                 _cell(each["examples_per_second"]), _cell(each["flops_per_second_per_device"], 1e-9),
                 _cell(each["limit_share"])) for value, each in result.get(kind, {}).items()]
        if rows:
            heads = (title, "step time, us", "examples/s", "GFLOP/s and device", "limit / step time")
            lines += ["", f"Growth over {kind.replace('_', ' ')}", *_aligned([heads, *rows])]
    return lines


def _lanes(result: Mapping[str, Any]) -> list[str]:
    rows = [(f"{count} lane{'s' if count != '1' else ''}", _cell(each["step_time_us"]), _cell(each["lane_time_us"]),
             _cell(each["ratio"])) for count, each in result.get("lanes", {}).items()]
    heads = ("", "step time, us", "a lane, us", "a lane / single run")
    lines = ["", "Lanes", *_aligned([heads, *rows])] if rows else []
    for count, race in result.get("lanes_against", {}).items():
        lines += _raced(f"{count} lanes against", race["peers"], race["missing"], race["failed"])
    return lines


def _peers(result: Mapping[str, Any]) -> list[str]:
    if "peers" not in result:
        return []
    return _raced("Against", result["peers"], result["peers_missing"], result["peers_failed"])


def _raced(title: str, peers: Mapping[str, Any], missing: Mapping[str, str], failed: Mapping[str, str]) -> list[str]:
    rows = [(name, _cell(peer["ratio"]) if "ratio" in peer else "1", _cell(peer["step_time_us"]),
             number(peer["compile_seconds"]), f"{peer['peak_memory_bytes'] / 1e6:,.0f}",
             number(sum(peer["loss"]) / len(peer["loss"])),
             {True: "yes", False: "NO", None: ""}[peer.get("agrees")]) for name, peer in peers.items()]
    heads = ("", "time / reglab's", "step time, us", "compile, s", "memory, MB", "final loss", "agrees")
    return ["", title, *_aligned([heads, *rows]),
            *(f"  {name} is left out: this Python lacks {packages}" for name, packages in missing.items()),
            *(f"  {name} failed: {why}" for name, why in failed.items())]


def _failed(result: Mapping[str, Any]) -> list[str]:
    return ["", *(f"Failed: {why}" for why in result["failed"].values())] if result["failed"] else []


def _cell(spread: Mapping[str, float], scale: float = 1.0) -> str:
    """Formats a spread as `352.1 (349.8-360.4)`."""
    median, low, high = (_number(scale * spread[name]) for name in ("median", "min", "max"))
    return median if low == high else f"{median} ({low}-{high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else number(value)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(
        row[1:], widths[1:], strict=True))]).rstrip() for row in rows]
