"""What operations on images and on alignments refuse, and their default format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import ranvier as keras
from ranvier import ops
from ranvier.errors import RanvierError
from ranvier.graph import Spec, trace

IMAGE = np.zeros((4, 5, 3), "float32")
BATCH = IMAGE[None]
IDENTITY = np.array([1, 0, 0, 0, 1, 0, 0, 0], "float32")
im = ops.image

REFUSED: dict[str, tuple[str, Callable[[], Any]]] = {
    "resize an image without channels": ("RV103", lambda: im.resize(IMAGE[0], (2, 2))),
    "resize by another word": ("RV100", lambda: im.resize(IMAGE, (2, 2), "cubic")),
    "resize to one number": ("RV100", lambda: im.resize(IMAGE, (2,))),
    "resize to nothing": ("RV100", lambda: im.resize(IMAGE, (0, 2))),
    "resize with another fill": (
        "RV100",
        lambda: im.resize(IMAGE, (2, 2), fill_mode="reflect"),
    ),
    "resize with both ratios": (
        "RV100",
        lambda: im.resize(
            IMAGE, (2, 2), crop_to_aspect_ratio=True, pad_to_aspect_ratio=True
        ),
    ),
    "another data format": (
        "RV100",
        lambda: im.resize(IMAGE, (2, 2), data_format="last"),
    ),
    "pad with one of three": ("RV100", lambda: im.pad_images(IMAGE, 1, 1)),
    "pad with all three": (
        "RV100",
        lambda: im.pad_images(IMAGE, 1, 1, 1, 1, 6, 7),
    ),
    "pad to less": (
        "RV100",
        lambda: im.pad_images(IMAGE, 1, 1, target_height=3, target_width=9),
    ),
    "crop more than there is": ("RV100", lambda: im.crop_images(IMAGE, 3, 0, 2, 0)),
    "crop to more": (
        "RV100",
        lambda: im.crop_images(IMAGE, 0, 0, target_height=9, target_width=5),
    ),
    "patches of three numbers of an image": (
        "RV103",
        lambda: im.extract_patches(IMAGE, (2, 2, 2)),
    ),
    "patches of nothing": ("RV100", lambda: im.extract_patches(IMAGE, 0)),
    "grey of two channels": ("RV103", lambda: im.rgb_to_grayscale(IMAGE[..., :2])),
    "hue of integers": ("RV100", lambda: im.rgb_to_hsv(IMAGE.astype("uint8"))),
    "colours of one channel": ("RV103", lambda: im.hsv_to_rgb(IMAGE[..., :1])),
    "another fill": (
        "RV100",
        lambda: im.affine_transform(IMAGE, IDENTITY, fill_mode="edge"),
    ),
    "another interpolation": (
        "RV100",
        lambda: im.affine_transform(IMAGE, IDENTITY, "bicubic"),
    ),
    "six numbers": ("RV103", lambda: im.affine_transform(IMAGE, IDENTITY[:6])),
    "two maps for one image": (
        "RV103",
        lambda: im.affine_transform(IMAGE, np.stack([IDENTITY] * 2)),
    ),
    "three points": (
        "RV103",
        lambda: im.perspective_transform(IMAGE, np.ones((3, 2)), np.ones((3, 2))),
    ),
    "too few coordinates": (
        "RV103",
        lambda: im.map_coordinates(IMAGE, np.ones((2, 4)), 1),
    ),
    "cubic coordinates": (
        "RV100",
        lambda: im.map_coordinates(IMAGE, np.ones((3, 4)), 3),
    ),
    "scaled by another method": (
        "RV100",
        lambda: im.scale_and_translate(IMAGE, (4, 5, 3), [1.0], [0.0], (0,), "nearest"),
    ),
    "two factors for one axis": (
        "RV103",
        lambda: im.scale_and_translate(
            IMAGE, (4, 5, 3), [1.0, 2.0], [0.0, 0.0], (0,), "linear"
        ),
    ),
    "images of two shapes compared": ("RV103", lambda: im.ssim(IMAGE, IMAGE[:, :4])),
    "labels of one axis": (
        "RV103",
        lambda: ops.ctc_loss([1], np.ones((1, 2, 3), "float32"), [1], [2]),
    ),
    "another way to decode": (
        "RV100",
        lambda: ops.ctc_decode(np.ones((1, 2, 3), "float32"), [2], "best"),
    ),
    "logits of two axes": (
        "RV103",
        lambda: ops.ctc_decode(np.ones((2, 3), "float32"), [2]),
    ),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_refused(what: str) -> None:
    code, call = REFUSED[what]
    with pytest.raises(RanvierError) as caught:
        call()
    assert caught.value.code == code
    assert "ops." in caught.value.message or "ctc" in caught.value.message


def test_beam_search_is_not_traced() -> None:
    def step(inputs: Any) -> Any:
        found = ops.ctc_decode(inputs["x"], inputs["n"], "beam_search")
        return {"y": found[1]}

    with pytest.raises(RanvierError, match="RV112"):
        trace(step, {"x": Spec((1, 2, 3), "float32"), "n": Spec((1,), "int32")})


def test_the_default_format_is_that_of_the_configuration() -> None:
    try:
        keras.config.set_image_data_format("channels_first")
        assert im.resize(BATCH, (2, 2)).shape == (1, 4, 2, 2)
        assert im.gaussian_blur(BATCH).shape == BATCH.shape
    finally:
        keras.config.set_image_data_format("channels_last")
    assert im.resize(BATCH, (2, 2)).shape == (1, 2, 2, 3)


def test_names_of_the_namespace() -> None:
    with pytest.raises(AttributeError, match="resize"):
        im.resise  # noqa: B018


def test_images_in_a_functional_model_with_a_free_batch() -> None:
    x = keras.Input((6, 6, 3))
    small = ops.image.resize(x, (3, 3))
    grey = ops.image.rgb_to_grayscale(small)
    turned = ops.image.affine_transform(grey, IDENTITY)
    model = keras.Model(x, turned)
    assert model.output_shape == (None, 3, 3, 1)
    images = np.random.default_rng(0).random((5, 6, 6, 3), "float32")
    wanted = im.rgb_to_grayscale(im.resize(images, (3, 3))).numpy()
    np.testing.assert_allclose(model.predict(images, verbose=0), wanted, rtol=1e-5)
