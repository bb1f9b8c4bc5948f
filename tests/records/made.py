"""Folders of runs as reglab writes them, made without training anything."""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

from reglab.config import Config
from reglab.run.run_file import RunFile

FACTS = {"description": "digits", "digest": "0375a7b3", "input_shape": [8, 8], "divisor": 16.0, "classes": 10,
         "sizes": {"train": 100, "validation": 20, "test": 20}}

CURVES = ("train_accuracy", "validation_accuracy", "train_data_loss", "validation_data_loss", "gap")


def result_of(config: Config, data_loss: float, steps: int) -> dict[str, Any]:
    """A `result.json` of a run that was completed."""
    split = {"data_loss": data_loss, "l1": 0.25, "l2": 0.5, "penalty": 0.75, "total": data_loss + 0.75,
             "accuracy": 0.75}
    best = {"step": steps, "epoch": config.epochs, "data_loss": data_loss, "accuracy": 0.75}
    weights = {"penalty/total": 0.75, "penalty/l1": 0.25, "penalty/l2": 0.5, "penalty/dense_0/l1": 0.25,
               "penalty/dense_0/l2": 0.125, "penalty/logits/l2": 0.375, "norm/dense_0/l1": 25.0, "norm/dense_0/l2": 5.0,
               "sparsity/dense_0": 0.5, "sparsity/logits": 0.25, "sparsity/total": 0.375}
    return {"completed": True, "epochs": config.epochs, "steps": steps, "train": split, "validation": split,
            "gap": {"data_loss": 0.0, "accuracy": 0.0}, "sparsity": 0.375, "sparsity_threshold": 1e-3,
            "weights": weights, "best": best, "seconds": 1.0, "steps_per_second": 100.0,
            "examples_per_second": 3200.0, "resumed_from": 0, "model_dir": "x", "penalized_kernels": ["dense_0"],
            "dataset": "digits", "device": "CPU", "precision": "float32", "strategy": {}, "xla": None, "versions": {},
            "numerics": {}}


def metrics_of(config: Config, data_loss: float, epochs: int, steps_per_epoch: int = 4) -> str:
    """A `metrics.jsonl` with an evaluation of both splits an epoch."""
    lines = []
    for epoch in range(1, epochs + 1):
        for split, more in (("train", 0.0), ("validation", 0.5 / epoch)):
            loss = data_loss + 1 / epoch + more
            lines.append({"step": steps_per_epoch * epoch, "split": split, "epoch/data_loss": loss,
                          "epoch/penalty": 0.75, "epoch/total": loss + 0.75, "generalization/accuracy": 0.75,
                          **({"sparsity/total": 0.1 * epoch, "generalization/data_loss_gap": more}
                             if split == "validation" else {})})
    return "".join(json.dumps(line) + "\n" for line in lines)


def make_run(folder: pathlib.Path, *, data_loss: float = 0.5, completed: bool = True, ended: Any = None,
             **settings: Any) -> pathlib.Path:
    """The folder of a run of 4 steps an epoch, complete or left after half of its epochs."""
    config = Config(model_dir=str(folder), **{"epochs": 4, **settings})
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config.to_json())
    (folder / "data.json").write_text(json.dumps(FACTS))
    epochs = config.epochs if completed else config.epochs // 2
    (folder / "metrics.jsonl").write_text(metrics_of(config, data_loss, epochs))
    digest = None
    if completed:
        (folder / "result.json").write_text(json.dumps(result_of(config, data_loss, 4 * epochs)))
        digest = hashlib.sha256((folder / "result.json").read_bytes()).hexdigest()
    RunFile(saved=4 * epochs, config=config.to_dict(), data=FACTS, result=digest, ended=ended).write(folder)
    return folder


def make_sweep(folder: pathlib.Path, *, completed: bool = True) -> pathlib.Path:
    """The folder of a sweep over three strengths of L1."""
    config = {name: value for name, value in Config(epochs=3).to_dict().items()
              if name not in ("l1", "l2", "learning_rate", "penalize", "model_dir", "resume")}
    plan = {"kind": "sweep", "config": config, "grid": {"l1": [0.0, 1e-4, 1e-3], "l2": [0.0], "learning_rate": [1e-3],
            "penalize": ["all"]}, "seeds": 2, "folds": None, "selection": "data_loss", "lanes_per_call": 6}
    (folder / "chunks").mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "chunks" / "chunk-000.json").write_text("{}")
    if completed:
        def mean(value: float) -> dict[str, float]:
            return {"mean": value, "se": value / 100}

        points = [{"l1": l1, "l2": 0.0, "learning_rate": 1e-3, "penalize": "all", "lanes": 2, "diverged": 0,
                   "validation": {"data_loss": mean(0.5 - at / 10), "accuracy": mean(0.9)},
                   "train": {"data_loss": mean(0.4 + at / 10), "accuracy": mean(0.95)},
                   "gap": {"data_loss": mean(0.1), "accuracy": mean(0.05)}, "sparsity": mean(0.1 * at),
                   "nonzero": mean(1000.0 - at), "norm_l1": mean(9.0), "norm_l2": mean(3.0)}
                  for at, l1 in enumerate((0.0, 1e-4, 1e-3))]
        findings = {"title": "Less is more", "sentences": ["With l1 = 0.001 the validation data loss is lowest."],
                    "over": "2 seeds on one split", "selection": "data_loss", "standard_error": "No such point."}
        (folder / "sweep.json").write_text(json.dumps({
            **plan, "points": points, "best": 2, "one_standard_error": None, "nonfinite": [], "findings": findings}))
    return folder


def make_comparison(folder: pathlib.Path) -> pathlib.Path:
    """The folder of a comparison of two arms over two seeds."""
    def spread(value: Any) -> dict[str, Any]:
        values = value if isinstance(value, list) else [value]
        low, high = ([each * factor for each in values] for factor in (0.9, 1.1))
        return {"mean": value, "low": low if isinstance(value, list) else low[0],
                "high": high if isinstance(value, list) else high[0]}

    arms = [{"name": name, "title": title, "l1": l1, "l2": 0.0, "diverged": 0,
             "final": {metric: spread(loss if "loss" in metric else 0.9) for metric in (
                 *CURVES, "sparsity")},
             "difference": {metric: spread(-0.1) for metric in ("validation_accuracy", "validation_data_loss")}
             if l1 else None,
             "curves": {metric: spread([1.0, loss]) for metric in CURVES}}
            for name, title, l1, loss in (("none", "no penalty", 0.0, 0.5), ("l1", "L1 alone", 1e-3, 0.25))]
    folder.mkdir(parents=True)
    (folder / "compare.json").write_text(json.dumps({
        "config": Config(l1=1e-3, model_dir=str(folder)).to_dict(), "dataset": "digits", "seeds": [0, 1],
        "epochs": [1, 2], "arms": arms, "confidence": 0.95, "vary": "weights", "nonfinite": [], "verdict": None,
        "findings": {"title": "L1 helps", "sentences": ["L1 alone is <b>best</b> & shown."], "over": "2 seeds",
                     "selection": "data_loss"}}))
    return folder
