"""A picture of the first layer where inputs are images: what each unit looks for, and what a penalty took away."""

from __future__ import annotations

from typing import Final

import numpy as np
import tensorflow as tf

MOST_UNITS: Final = 256
LEAST_PIXELS: Final = 24
"""The least height and width of a unit's tile."""
_CHANNELS: Final = 4
_NEGATIVE, _POSITIVE, _BORDER = np.array([0, 114, 178]), np.array([213, 94, 0]), 200  # Okabe and Ito's colors.


def first_layer_png(kernel: np.ndarray, input_shape: tuple[int, ...]) -> bytes | None:
    """Returns a PNG file with a tile for each of the first `MOST_UNITS` units, or None if inputs are no images.

    A weight of 0 is white, positive ones are orange and negative ones blue, the darker the larger; all tiles have the
    same scale, that of the largest |w|. Channels are shown side by side.

    Args:
      kernel: [height · width · channels, units] of a Dense layer, or [height, width, channels, units] of a convolution.
      input_shape: the shape of an example: [height, width], with or without channels, is an image.
    """
    if len(input_shape) not in (2, 3):
        return None
    height, width, channels = (*input_shape, 1)[:3] if kernel.ndim == 2 else kernel.shape[:3]
    if channels > _CHANNELS:
        return None
    units = np.moveaxis(kernel.reshape(height, width, channels, -1), (3, 0, 2, 1), (0, 1, 2, 3))[:MOST_UNITS]
    tiles = units.reshape(len(units), height, channels * width)
    larger = -(-LEAST_PIXELS // min(height, width))
    return bytes(tf.io.encode_png(_sheet(_colored(tiles.repeat(larger, 1).repeat(larger, 2)))).numpy())


def _colored(tiles: np.ndarray) -> np.ndarray:
    """Returns [..., 3] uint8 colors of numbers."""
    finite = np.where(np.isfinite(tiles), tiles, 0)
    depth = np.abs(finite) / max(float(np.abs(finite).max(initial=0)), np.finfo(np.float32).tiny)
    hue = np.where(finite[..., None] > 0, _POSITIVE, _NEGATIVE)
    return np.rint(255 + depth[..., None] * (hue - 255)).astype(np.uint8)


def _sheet(tiles: np.ndarray) -> np.ndarray:
    """Returns one picture of [tiles, height, width, 3] tiles in rows, with a border around each."""
    bordered = np.pad(tiles, ((0, 0), (1, 0), (1, 0), (0, 0)), constant_values=_BORDER)
    count, height, width, _ = bordered.shape
    columns = min(count, max(1, round((count * height / width) ** 0.5)))
    rows = -(-count // columns)
    filled = np.pad(bordered, ((0, rows * columns - count), (0, 0), (0, 0), (0, 0)), constant_values=255)
    sheet = filled.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    return np.pad(sheet, ((0, 1), (0, 1), (0, 0)), constant_values=_BORDER)
