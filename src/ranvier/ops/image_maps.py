"""Images seen through maps of their coordinates: affine, perspective, any."""

from __future__ import annotations

import functools
import itertools
import operator
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph.functions import as_tensor
from ranvier.graph.trace import Tensor
from ranvier.ops._images import channels_last, images_of, known_sizes, one_of
from ranvier.ops._sampling import FILL_MODES, neighbours

__all__ = ["affine_transform", "map_coordinates", "perspective_transform"]

_INTERPOLATIONS = {"nearest": 0, "bilinear": 1}


def map_coordinates(
    inputs: Any,
    coordinates: Any,
    order: int,
    fill_mode: str = "constant",
    fill_value: float = 0,
) -> Tensor:
    """Values of an array at places between its own.

    Args:
        inputs: an array; integers stay integers, rounded.
        coordinates: for each axis of `inputs` the places: ``(axes, ...)``.
        order: 0 for the nearest value, 1 for a mean of those around, by distance.
        fill_mode: what lies outside: ``"constant"``, the edge (``"nearest"``), the array
            again (``"wrap"``), mirrored at the middle of its edge places (``"mirror"``)
            or behind them (``"reflect"``).
        fill_value: the constant.

    Returns:
        An array of the shape of `coordinates` without the first axis.

    Raises:
        ShapeError: RV103 for as many coordinates as the array has not axes; RV100 for
            another order or word.

    Example:
        >>> map_coordinates([0.0, 10.0, 20.0], [[0.5, 1.25]], order=1).numpy()
        array([ 5. , 12.5], dtype=float32)
    """
    name = "map_coordinates"
    one_of(name, "fill_mode", fill_mode, FILL_MODES)
    one_of(name, "order", order, (0, 1))
    inputs, places = as_tensor(inputs), as_tensor(coordinates)
    if places.ndim < 2 or places.shape[0] != inputs.ndim:
        raise ShapeError(
            "RV103",
            f"ops.image.{name}: coordinates need a row for each of {inputs.ndim} axes",
            details=f"inputs {tuple(inputs.shape)}, coordinates {tuple(places.shape)}",
            fix="coordinates=ops.stack([rows, columns, ...])",
        )
    if not places.spec.floating:
        places = ops.cast(places, "float32")
    interpolation = "bilinear" if order else "nearest"
    around = [
        neighbours(places[axis], size, interpolation, fill_mode)
        for axis, size in enumerate(inputs.shape)
    ]
    return _gathered(
        ops.reshape(inputs, (-1,)), around, inputs.shape, None, fill_value, inputs
    )


def _gathered(
    flat: Tensor,
    around: list[Any],
    sizes: Any,
    begin: Any,
    fill_value: Any,
    like: Tensor,
) -> Tensor:
    """Sums what is around places, by its shares.

    Args:
        flat: the values, their sampled axes flattened into the first.
        around: for each axis what `neighbours` gave.
        sizes: of these axes.
        begin: where in `flat` each place's image begins.
        fill_value: what stands for values outside.
        like: has the dtype of the result.
    """
    deeper = flat.ndim - 1  # axes of a value, such as its channels
    values = flat if flat.spec.floating else ops.cast(flat, "float32")
    total: Any = None
    for corner in itertools.product(*around):
        index: Any = None
        for (place, _, _), size in zip(corner, sizes, strict=True):
            index = place if index is None else index * size + place
        found = ops.take(values, index if begin is None else begin + index, axis=0)
        inside = [here for _, here, _ in corner if here is not None]
        shares = [share for _, _, share in corner if share is not None]
        if inside:
            here = functools.reduce(ops.logical_and, inside)
            found = ops.where(_deeper(here, deeper), found, float(fill_value))
        if shares:
            share = functools.reduce(operator.mul, shares)
            found = found * ops.cast(_deeper(share, deeper), found.dtype)
        total = found if total is None else total + found
    if not like.spec.floating:
        # Halves are rounded away from zero.
        total = ops.floor(ops.abs(total) + 0.5) * ops.sign(total)
    return ops.cast(total, like.dtype)


def _deeper(x: Tensor, axes: int) -> Tensor:
    return ops.reshape(x, (*x.shape, *[1] * axes)) if axes else x


def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """``out[y, x] = in[b0 x + b1 y + b2, a0 x + a1 y + a2]``.

    Args:
        images: an image or a batch.
        transform: ``(a0, a1, a2, b0, b1, b2, 0, 0)``, for all images or a row for each.
        interpolation: ``"bilinear"`` between the four pixels around, or the
            ``"nearest"``.
        fill_mode: see `map_coordinates`.
        fill_value: the constant outside.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV103 for what is no image or no transform; RV100 for another word.

    Example:
        >>> image = [[[1.0], [2.0], [3.0]]]
        >>> affine_transform(image, [1, 0, 1, 0, 1, 0, 0, 0]).numpy().ravel()
        array([2., 3., 0.], dtype=float32)
    """
    name = "affine_transform"
    one_of(name, "fill_mode", fill_mode, FILL_MODES)
    matrix = as_tensor(transform)
    if matrix.ndim not in (1, 2) or matrix.shape[-1] != 8:
        raise ShapeError(
            "RV103",
            f"ops.image.{name}: transform must have 8 numbers, or 8 for each image; got "
            f"shape {tuple(matrix.shape)}",
            fix="transform=[1, 0, 0, 0, 1, 0, 0, 0] leaves images as they are",
        )
    matrix = ops.reshape(matrix, (-1, 8))

    def at(y: Any, x: Any) -> tuple[Any, Any]:
        a0, a1, a2, b0, b1, b2 = (_for_rows(matrix[:, i]) for i in range(6))
        return b1 * y + b0 * x + b2, a1 * y + a0 * x + a2

    return _seen(
        name, images, at, matrix, interpolation, fill_mode, fill_value, data_format
    )


def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images as a plane seen from elsewhere: four points move to four others.

    ``out[y, x]`` is what the image has at ``((h0 x + h1 y + h2) / d, (h3 x + h4 y + h5)
    / d)`` with ``d = h6 x + h7 y + 1``; the eight numbers are those that take
    `end_points` to `start_points`.

    Args:
        images: an image or a batch.
        start_points: ``(4, 2)``, four points ``(x, y)`` in the image, or a row for each
            image.
        end_points: where they are in the result.
        interpolation: ``"bilinear"`` or ``"nearest"``.
        fill_value: what lies outside.
        data_format: ``"channels_last"`` or ``"channels_first"``.

    Raises:
        ShapeError: RV103 for other shapes; RV100 for another word.

    Example:
        >>> image = [[[0.0], [1.0]], [[2.0], [3.0]]]
        >>> corners = [[0, 0], [1, 0], [0, 1], [1, 1]]
        >>> mirrored = [[1, 0], [0, 0], [1, 1], [0, 1]]
        >>> perspective_transform(image, corners, mirrored).numpy().round(4).ravel()
        array([1., 0., 3., 2.], dtype=float32)
    """
    name = "perspective_transform"
    start, end = (ops.cast(as_tensor(p), "float32") for p in (start_points, end_points))
    if (
        start.ndim not in (2, 3)
        or tuple(start.shape[-2:]) != (4, 2)
        or (start.ndim != end.ndim or tuple(start.shape[-2:]) != tuple(end.shape[-2:]))
    ):
        raise ShapeError(
            "RV103",
            f"ops.image.{name} takes four points (x, y), or four for each image, twice",
            details=f"start_points {tuple(start.shape)}, end_points {tuple(end.shape)}",
            fix="start_points=[[0, 0], [w, 0], [0, h], [w, h]]",
        )
    start, end = (ops.reshape(p, (-1, 4, 2)) for p in (start, end))
    from_x, from_y, to_x, to_y = start[..., 0], start[..., 1], end[..., 0], end[..., 1]
    none, one = ops.zeros_like(to_x), ops.ones_like(to_x)
    across = [to_x, to_y, one, none, none, none, -from_x * to_x, -from_x * to_y]
    down = [none, none, none, to_x, to_y, one, -from_y * to_x, -from_y * to_y]
    left = ops.concatenate([ops.stack(across, -1), ops.stack(down, -1)], 1)
    right = ops.expand_dims(ops.concatenate([from_x, from_y], -1), -1)
    numbers = ops.squeeze(ops.solve(left, right), -1)

    def at(y: Any, x: Any) -> tuple[Any, Any]:
        h = [_for_rows(numbers[:, i]) for i in range(8)]
        depth = h[6] * x + h[7] * y + 1.0
        return (h[3] * x + h[4] * y + h[5]) / depth, (
            h[0] * x + h[1] * y + h[2]
        ) / depth

    return _seen(
        name, images, at, numbers, interpolation, "constant", fill_value, data_format
    )


def _for_rows(x: Any) -> Any:
    return ops.reshape(x, (-1, 1, 1))


def _seen(
    name: str,
    images: Any,
    at: Any,
    numbers: Tensor,
    interpolation: str,
    fill_mode: str,
    fill_value: Any,
    data_format: str | None,
) -> Tensor:
    """Images looked at where a function of rows and columns says."""
    one_of(name, "interpolation", interpolation, _INTERPOLATIONS)
    images = images_of(name, images)
    last = channels_last(name, data_format)
    batch = images if images.ndim == 4 else ops.expand_dims(images, 0)
    if not last:
        batch = ops.transpose(batch, (0, 2, 3, 1))
    rows, *_, channels = batch.shape
    height, width = known_sizes(name, batch, (1, 2))
    if numbers.shape[0] not in (1, rows):
        raise ShapeError(
            "RV103",
            f"ops.image.{name}: {numbers.shape[0]} maps for {rows} images",
            fix="one for all, or one for each",
        )
    y = ops.reshape(ops.arange(height, dtype="float32"), (1, height, 1))
    x = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, width))
    down, right = (ops.broadcast_to(p, (rows, height, width)) for p in at(y, x))
    around = [
        neighbours(down, height, interpolation, fill_mode),
        neighbours(right, width, interpolation, fill_mode),
    ]
    begin = ops.reshape(ops.arange(rows, dtype="int32") * (height * width), (-1, 1, 1))
    flat = ops.reshape(batch, (-1, channels))
    found = _gathered(flat, around, (height, width), begin, fill_value, batch)
    if not last:
        found = ops.transpose(found, (0, 3, 1, 2))
    return found if images.ndim == 4 else ops.squeeze(found, 0)
