"""Layers that change images by chance in training, the same way for a given seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ranvier import ops, random
from ranvier._check import Interval, OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.images import ImageLayer, resized
from ranvier.layers.sampling import FILL_MODES, INTERPOLATIONS, affine


class RandomImageLayer(ImageLayer):
    """Base: draws a change for each image, and makes it.

    Called by itself, such a layer acts as in training unless `training=False` is given,
    as Keras's do; in a model it acts in `fit` only.

    Args:
        seed: a number; by default drawn from the process's seed.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.
    """

    def __init__(
        self, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.seed = seed
        self.generator = random.SeedGenerator(seed)

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> Any:
        """What is drawn for a batch of images."""
        raise NotImplementedError

    def transform_images(
        self, images: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The images, changed by what was drawn."""
        raise NotImplementedError

    def call(self, inputs: Any, training: Any = True) -> Any:
        """The changed images in training, else the images."""
        images = ops.cast(inputs, self.compute_dtype)
        drawn = self.get_random_transformation(images, training) if training else None
        return self.transform_images(images, drawn, bool(training))

    def _draw(self, shape: Any, low: float, high: float, seed: Any) -> Any:
        seed = self.generator if seed is None else seed
        return random.uniform(shape, low, high, seed=seed)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "seed": self.seed}


def bounds(
    owner: str, name: str, value: Any, low: float, high: float
) -> tuple[float, float]:
    """A range given as two numbers, or by one for both directions.

    Raises:
        ShapeError: RV100 for what is not within `low` and `high`.
    """
    allowed = Interval(float, low, high)
    many = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(many) > 2 or not all(allowed.accepts(v) for v in many):
        raise ShapeError(
            "RV100",
            f"{owner}: {name} must be a number from {low:g} to {high:g}, or two",
            details=f"received {name}={value!r}",
            fix=f"{name}=0.2",
        )
    if len(many) == 2:
        return min(many), max(many)
    return max(-abs(value), low), abs(value)


def _range(owner: str, value: Any) -> Sequence[float]:
    """Lowest and highest value.

    Raises:
        ShapeError: RV100 for anything but two numbers.
    """
    allowed = Interval(float)
    if (
        not isinstance(value, (list, tuple))
        or len(value) != 2
        or not all(allowed.accepts(v) for v in value)
    ):
        raise ShapeError(
            "RV100",
            f"{owner}: value_range={value!r} must be two numbers",
            fix="value_range=(0, 255)",
        )
    return value


class RandomFlip(RandomImageLayer):
    """Mirrors half of the images.

    Args:
        mode: `"horizontal"`, `"vertical"`, or `"horizontal_and_vertical"`: both at once.
        seed: a number; by default drawn from the process's seed.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for another mode.

    Example:
        >>> import numpy as np
        >>> RandomFlip()(np.zeros((2, 4, 4, 3))).shape
        (2, 4, 4, 3)
    """

    _parameters = {"mode": OneOf("horizontal", "vertical", "horizontal_and_vertical")}

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        check_parameters("RandomFlip", self._parameters, {"mode": mode})
        self.mode = mode

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> Any:
        """Which images are mirrored."""
        shape = (data.shape[0], 1, 1, 1)
        return {"flips": self._draw(shape, 0.0, 1.0, seed) <= 0.5}

    def transform_images(
        self, images: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The images, some of them mirrored."""
        if not training:
            return images
        axes = [
            axis
            for axis, name in zip(self._axes, ("vertical", "horizontal"), strict=True)
            if name in self.mode
        ]
        return ops.where(transformation["flips"], ops.flip(images, axes), images)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "mode": self.mode}


class RandomContrast(RandomImageLayer):
    """Stretches each channel's distance from its mean by a factor for each image.

    The factor is drawn from `1 - lower` to `1 + upper`; the result is clipped to
    `value_range`.

    Args:
        factor: `(lower, upper)`; a single number is the upper one, with 0 as lower, as
            in Keras.
        value_range: lowest and highest value.
        seed: a number; by default drawn from the process's seed.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for factors outside 0 .. 1.

    Example:
        >>> import numpy as np
        >>> RandomContrast(0.2)(np.full((1, 2, 2, 1), 7.0)).numpy().ravel()
        array([7., 7., 7., 7.], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.factor = bounds("RandomContrast", "factor", factor, 0, 1)
        self.value_range = _range("RandomContrast", value_range)

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> Any:
        """A factor for each image."""
        low, high = 1.0 - self.factor[0], 1.0 + self.factor[1]
        shape = (data.shape[0], 1, 1, 1)
        return {"contrast_factor": self._draw(shape, low, high, seed)}

    def transform_images(
        self, images: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The images with other contrasts."""
        if not training:
            return images
        middle = ops.mean(images, axis=self._axes, keepdims=True)
        images = (images - middle) * transformation["contrast_factor"] + middle
        return ops.clip(images, *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"factor": self.factor, "value_range": self.value_range}
        return {**super().get_config(), **own}


class RandomBrightness(RandomImageLayer):
    """Adds a number to each image, drawn as a share of the range of values.

    The result is clipped to `value_range`.

    Args:
        factor: the lowest and highest share; one number for both directions.
        value_range: lowest and highest value.
        seed: a number; by default drawn from the process's seed.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for factors outside -1 .. 1, or for another range.

    Example:
        >>> import numpy as np
        >>> RandomBrightness([0.1, 0.1])(np.full((1, 1, 1, 1), 7.0)).numpy().ravel()
        array([32.5], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.factor = bounds("RandomBrightness", "factor", factor, -1, 1)
        self.value_range = sorted(_range("RandomBrightness", value_range))

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> Any:
        """What is added to each image."""
        share = self._draw((data.shape[0], 1, 1, 1), *self.factor, seed)
        return {"rgb_delta": share * float(self.value_range[1] - self.value_range[0])}

    def transform_images(
        self, images: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The images, darker or brighter."""
        if not training:
            return images
        images = images + transformation["rgb_delta"]
        return ops.clip(images, *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"factor": self.factor, "value_range": self.value_range}
        return {**super().get_config(), **own}


class RandomCrop(RandomImageLayer):
    """A window of a given height and width; in training its place is drawn.

    One place is drawn for a batch. In inference, the largest window of these
    proportions out of the middle is brought to the size: so Keras documents it, and so
    outputs have the shape that the layer states (Keras 3.15 hands whole images on).
    Images that are not larger are cut in the middle and brought to the size.

    Args:
        height: of the output.
        width: of the output.
        seed: a number; by default drawn from the process's seed.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for sizes below 1.

    Example:
        >>> import numpy as np
        >>> RandomCrop(3, 2)(np.zeros((4, 5, 5, 1))).shape
        (4, 3, 2, 1)
    """

    _parameters = {"height": Interval(int, 1), "width": Interval(int, 1)}

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        given = {"height": height, "width": width}
        check_parameters("RandomCrop", self._parameters, given)
        self.height, self.width = height, width

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> Any:
        """Where the window begins."""
        height, width = self.size_of(data)
        if height > self.height and width > self.width:
            spare = height - self.height, width - self.width
            return tuple(
                ops.cast(self._draw((), 0.0, float(s + 1), seed), "int32")
                for s in spare
            )
        high = max(min(height, int(float(width * self.height) / self.width)), 1)
        wide = max(min(width, int(float(height * self.width) / self.height)), 1)
        return (height - high) // 2, (width - wide) // 2

    def transform_images(
        self, images: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The windows."""
        size = self.height, self.width
        if not training:
            return resized(self.middle(images, size), self._axes, size, "bilinear")
        places = zip(transformation, size, self.size_of(images), strict=True)
        # A window that is drawn fits; one in the middle may reach the end.
        kept = [
            min(wanted, full - start) if isinstance(start, int) else wanted
            for start, wanted, full in places
        ]
        images = self.cut(images, transformation, kept)
        return resized(images, self._axes, size, "bilinear")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "height": self.height, "width": self.width}


class _AffineLayer(RandomImageLayer):
    """Base of layers that look at images through an affine map."""

    _sampling = {
        "fill_mode": OneOf(*FILL_MODES),
        "interpolation": OneOf(*INTERPOLATIONS),
    }

    def __init__(
        self,
        fill_mode: str,
        interpolation: str,
        seed: int | None,
        fill_value: float,
        data_format: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        given = {"fill_mode": fill_mode, "interpolation": interpolation}
        check_parameters(type(self).__name__, self._sampling, given)
        self.fill_mode, self.interpolation = fill_mode, interpolation
        self.fill_value = fill_value

    def _transform(self, transformation: Any, height: int, width: int) -> Any:
        """The six numbers of each row's map."""
        raise NotImplementedError

    def transform_images(
        self, images: Any, transformation: Any, training: bool = True
    ) -> Any:
        """The images, looked at through the maps that were drawn."""
        if not training:
            return images
        first = self.data_format == "channels_first"
        maps = self._transform(transformation, *self.size_of(images))
        if first:
            images = ops.transpose(images, (0, 2, 3, 1))
        images = affine(
            images, maps, self.interpolation, self.fill_mode, self.fill_value
        )
        return ops.transpose(images, (0, 3, 1, 2)) if first else images

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "fill_mode": self.fill_mode,
            "interpolation": self.interpolation,
            "fill_value": self.fill_value,
        }


class RandomRotation(_AffineLayer):
    """Turns each image around its middle by an angle that is drawn.

    Args:
        factor: the lowest and highest angle as shares of a full turn; one number for
            both directions.
        fill_mode: what lies outside: `"reflect"`, `"wrap"`, `"constant"`, `"nearest"`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: a number; by default drawn from the process's seed.
        fill_value: of `"constant"`.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for factors outside -1 .. 1, or other names.

    Example:
        >>> import numpy as np
        >>> x = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
        >>> RandomRotation([0.25, 0.25])(x).numpy().round(3).ravel()
        array([2., 4., 1., 3.], dtype=float32)
    """

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_mode, interpolation, seed, fill_value, data_format, **kwargs
        )
        self.factor = bounds("RandomRotation", "factor", factor, -1, 1)

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> Any:
        """An angle for each image, in degrees."""
        low, high = (360.0 * f for f in self.factor)
        return {"angle": self._draw((data.shape[0],), low, high, seed)}

    def _transform(self, transformation: Any, height: int, width: int) -> Any:
        angle = transformation["angle"] * (math.pi / 180.0)
        cos, sin = ops.cos(angle), ops.sin(angle)
        x, y = 0.5 * (width - 1), 0.5 * (height - 1)
        found = [cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos]
        return ops.stack(found, axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "factor": self.factor}


class RandomTranslation(_AffineLayer):
    """Moves each image by a distance that is drawn.

    Args:
        height_factor: the lowest and highest distance downwards, as shares of the
            height; one number for both directions.
        width_factor: the same to the right, as shares of the width.
        fill_mode: what lies outside: `"reflect"`, `"wrap"`, `"constant"`, `"nearest"`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: a number; by default drawn from the process's seed.
        fill_value: of `"constant"`.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for factors outside -1 .. 1, or other names.

    Example:
        >>> import numpy as np
        >>> x = np.array([[[1.0], [2.0]]])
        >>> RandomTranslation(0, [0.5, 0.5], "constant")(x).numpy().ravel()
        array([0., 1.], dtype=float32)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_mode, interpolation, seed, fill_value, data_format, **kwargs
        )
        name = "RandomTranslation"
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = bounds(name, "height_factor", height_factor, -1, 1)
        self._width = bounds(name, "width_factor", width_factor, -1, 1)

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> Any:
        """How far each image moves, in pixels: to the right, and down."""
        height, width = self.size_of(data)
        shape = (data.shape[0], 1)
        down = self._draw(shape, *self._height, seed) * float(height)
        right = self._draw(shape, *self._width, seed) * float(width)
        return {"translations": ops.concatenate([right, down], axis=1)}

    def _transform(self, transformation: Any, height: int, width: int) -> Any:
        right, down = (transformation["translations"][:, i] for i in (0, 1))
        zero, one = ops.zeros_like(right), ops.ones_like(right)
        return ops.stack([one, zero, -right, zero, one, -down], axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "height_factor": self.height_factor,
            "width_factor": self.width_factor,
        }


class RandomZoom(_AffineLayer):
    """Enlarges or shrinks each image around its middle by a factor that is drawn.

    Args:
        height_factor: the lowest and highest change of the height that is seen, as a
            share: -0.2 enlarges the image, 0.2 shrinks it; one number for both.
        width_factor: the same for the width; ``None`` keeps the proportions.
        fill_mode: what lies outside: `"reflect"`, `"wrap"`, `"constant"`, `"nearest"`.
        interpolation: `"bilinear"` or `"nearest"`.
        seed: a number; by default drawn from the process's seed.
        fill_value: of `"constant"`.
        data_format: `"channels_last"` or `"channels_first"`.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for factors outside -1 .. 1, or other names.

    Example:
        >>> import numpy as np
        >>> x = np.arange(3.0).reshape(1, 3, 1)
        >>> RandomZoom([-0.5, -0.5])(x).numpy().ravel()
        array([0.5, 1. , 1.5], dtype=float32)
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            fill_mode, interpolation, seed, fill_value, data_format, **kwargs
        )
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = bounds("RandomZoom", "height_factor", height_factor, -1, 1)
        if width_factor is not None:
            self._width = bounds("RandomZoom", "width_factor", width_factor, -1, 1)

    def get_random_transformation(
        self, data: Any, training: bool = True, seed: Any = None
    ) -> Any:
        """The share of height and width that is seen of each image."""
        shape = (data.shape[0], 1)
        low, high = self._height
        height = self._draw(shape, 1.0 + low, 1.0 + high, seed)
        width = height
        if self.width_factor is not None:
            low, high = self._width
            width = self._draw(shape, 1.0 + low, 1.0 + high, seed)
        return {"height_zoom": height, "width_zoom": width}

    def _transform(self, transformation: Any, height: int, width: int) -> Any:
        x, y = (transformation[f"{k}_zoom"][:, 0] for k in ("width", "height"))
        zero = ops.zeros_like(x)
        right = (width - 1.0) / 2.0 * (1.0 - x)
        down = (height - 1.0) / 2.0 * (1.0 - y)
        return ops.stack([x, zero, right, zero, y, down], axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "height_factor": self.height_factor,
            "width_factor": self.width_factor,
        }


__all__ = [
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
]
