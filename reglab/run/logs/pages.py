"""The contents of TensorBoard's pages other than the curves: Custom Scalars, HParams, Text and Images.

TensorBoard's own functions for these import all of TensorFlow 1's interface, or cannot express what is written here.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalar_metadata
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.text import metadata as text_metadata

from reglab.core import penalties
from reglab.run.logs.tags import ACCURACY, ACCURACY_GAP, DATA_LOSS, DATA_LOSS_GAP, PENALTY, TOTAL

HPARAMS_METRICS: Final = {DATA_LOSS: "validation data loss", ACCURACY: "validation accuracy",
                          DATA_LOSS_GAP: "data loss gap", ACCURACY_GAP: "accuracy gap", "sparsity/total": "sparsity"}
"""Page "HParams": maps tags to the titles of their columns. All belong to the run that holds the hyper-parameters, the
validation run: the page looks for metrics in and below that run only, whatever folder TensorBoard was pointed at."""
_USUALLY_VARIED: Final = ("learning_rate", "penalize", "seed")
"""The columns that come first, after the penalties, if it is not known what differs from run to run."""


def layout(names: Sequence[str], batches: bool = True, zeros: bool = False) -> dict[str, dict[str, tuple[str, ...]]]:
    """Page "Custom Scalars": maps categories to chart titles, and these to a tag, or a value and the ends of its band.

    A chart shows one tag, since TensorBoard gives all lines of a run the same color. The band reaches from the data
    loss to the total.

    Args:
      names: the names of the penalties.
      batches: whether single training batches are measured.
      zeros: whether entries that are exactly 0 are counted.
    """
    of_batches: dict[str, dict[str, tuple[str, ...]]] = {"Training batches": {
        f"{name}, one batch": (tag,) for name, tag in (
        ("data loss", "train_batch/data_loss"), ("accuracy", "train_batch/accuracy"),
        ("gradient norm of the data loss", "gradient_norm/data"))}}
    return {
        "Objective": {"total; its band is the penalty": (TOTAL, DATA_LOSS, TOTAL),
                      "data loss": (DATA_LOSS,), "penalty": (PENALTY,)},
        "Generalization": {"accuracy": (ACCURACY,), "data loss gap": (DATA_LOSS_GAP,),
                           "accuracy gap": (ACCURACY_GAP,)},
        "Penalty": {**{name: (f"penalty/{name}",) for name in names}, "sparsity": ("sparsity/total",),
                    **({"exact zeros": ("zeros/total",)} if zeros else {}),
                    "gradient norm of the penalty": ("gradient_norm/penalty",)},
        **(of_batches if batches else {}),
    }


def custom_scalars(names: Sequence[str], batches: bool = True, zeros: bool = False) -> summary_pb2.Summary:
    """Makes the summary with the charts of `layout`."""
    page = layout_pb2.Layout(category=[
        layout_pb2.Category(title=title, chart=[_chart(name, tags) for name, tags in charts.items()])
        for title, charts in layout(names, batches, zeros).items()])
    return _summary(custom_scalar_metadata.CONFIG_SUMMARY_TAG, [page.SerializeToString()],
                    custom_scalar_metadata.create_summary_metadata())


def columns(hyperparameters: Mapping[str, Any], varied: Collection[str] | None = None,
            zeros: bool = False) -> summary_pb2.Summary:
    """Makes the summary with the columns of the HParams page, those in `varied` first; TensorBoard sorts both parts."""
    metrics = {**HPARAMS_METRICS, **({"zeros/total": "exact zeros"} if zeros else {})}
    first = (*penalties.names(), *_USUALLY_VARIED) if varied is None else varied

    def column(name: str, value: Any) -> api_pb2.HParamInfo:
        kind = (api_pb2.DATA_TYPE_BOOL if isinstance(value, bool) else api_pb2.DATA_TYPE_FLOAT64
                if isinstance(value, int | float) else api_pb2.DATA_TYPE_STRING)
        return api_pb2.HParamInfo(name=name, type=kind, differs=name in first)

    experiment = api_pb2.Experiment(
        hparam_infos=[column(name, value) for name, value in hyperparameters.items()],
        metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=title)
                      for tag, title in metrics.items()])
    content = plugin_data_pb2.HParamsPluginData(experiment=experiment)
    return summary_pb2.Summary(value=[summary_pb2.Summary.Value(
        tag=hparams_metadata.EXPERIMENT_TAG, tensor=hparams_metadata.NULL_TENSOR,
        metadata=hparams_metadata.create_summary_metadata(content))])


def text(tag: str, markdown: str) -> summary_pb2.Summary.Value:
    """Makes an entry of the Text page."""
    return _summary(tag, [markdown.encode()], text_metadata.create_summary_metadata(None, None)).value[0]


def picture(tag: str, png: bytes) -> summary_pb2.Summary.Value:
    """Makes an entry of the Images page."""
    width, height = struct.unpack(">II", png[16:24])  # From the header that begins every PNG file.
    return _summary(tag, [str(width).encode(), str(height).encode(), png],
                    image_metadata.create_summary_metadata(None, None), is_list=True).value[0]


def table(rows: Mapping[str, str]) -> str:
    """Returns labels and texts as a table in Markdown, without the place of the files, since they may be moved."""
    return "\n".join(["| | |", "|---|---|", *(f"| {label} | {_cell(value)} |" for label, value in rows.items()
                                             if label not in ("Writing to", "Written to"))])


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("\n", " ")


def _chart(title: str, tags: tuple[str, ...]) -> layout_pb2.Chart:
    if len(tags) == 1:
        return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[f"^{tags[0]}$"]))
    value, lower, upper = tags
    return layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=[
        layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper)]))


def _summary(tag: str, content: list[bytes], metadata: Any, is_list: bool = False) -> summary_pb2.Summary:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=content)
    tensor.tensor_shape.SetInParent()
    if is_list:
        tensor.tensor_shape.dim.add(size=len(content))
    return summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])
