"""The tiles of the first layer: every weight in its place and color, and no picture where inputs are no images."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from reglab.run.logs.tiles import first_layer_png


def pixels(png: bytes | None) -> np.ndarray:
    assert png is not None
    return tf.io.decode_png(png).numpy().astype(int)


def test_each_unit_is_an_image_whose_colors_tell_sign_and_size() -> None:
    kernel = np.zeros((30 * 24, 3), np.float32)
    kernel[2 * 24 + 5, 1], kernel[29 * 24, 2] = 0.5, -0.25
    picture = pixels(first_layer_png(kernel, (30, 24)))
    assert picture.shape == (2 * 31 + 1, 2 * 25 + 1, 3), "three tiles with borders, in two rows"
    first, second, third = picture[1:31, 1:25], picture[1:31, 26:50], picture[32:62, 1:25]
    assert (first == 255).all() and (picture[0] == 200).all() and (picture[:, 25][:31] == 200).all()
    assert second[2, 5].tolist() == [213, 94, 0] and (np.delete(second.reshape(-1, 3), 2 * 24 + 5, 0) == 255).all()
    assert third[29, 0].tolist() == [128, 184, 216], "half as far from white as the largest"
    assert (picture[32:62, 26:50] == 255).all()


def test_small_tiles_are_enlarged_and_channels_stand_side_by_side() -> None:
    kernel = np.zeros((3, 3, 2, 5))
    kernel[1, 2, 1, 0] = 1
    picture = pixels(first_layer_png(kernel, (28, 28, 2)))
    tile = picture[1:25, 1:49]
    assert (tile[8:16, 40:48] == [213, 94, 0]).all() and (tile[:, :24] == 255).all()
    assert not (tile[:8] != 255).any()


@pytest.mark.parametrize(("kernel", "shape"), [((6, 4), (6,)), ((3, 3, 16, 4), (8, 8, 16))])
def test_where_inputs_are_no_images_there_is_no_picture(kernel: tuple[int, ...], shape: tuple[int, ...]) -> None:
    assert first_layer_png(np.ones(kernel), shape) is None


def test_kernels_of_zeros_and_of_what_is_not_finite_have_a_picture_too() -> None:
    assert (pixels(first_layer_png(np.zeros((24 * 24, 1)), (24, 24)))[1:25, 1:25] == 255).all()
    kernel = np.full((24 * 24, 1), np.nan)
    kernel[0] = np.inf
    assert (pixels(first_layer_png(kernel, (24, 24, 1)))[1:25, 1:25] == 255).all()
    assert pixels(first_layer_png(np.zeros((9, 1000)), (3, 3))).shape == (16 * 25 + 1, 16 * 25 + 1, 3)
