"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import show
from ranvier.layers.row_normalization import unit_length


class Merge(Layer):
    """Base of the layers that combine several inputs element by element.

    Inputs of fewer axes get axes of size 1 behind the rows. A subclass says in
    `_merge` what is done with them.

    Raises:
        ShapeError: RV100 when it is not called on a list; RV103 when the shapes do not
            fit together.
    """

    #: how many inputs it takes; any number for None
    _count: int | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def _merge(self, inputs: Sequence[Any], masks: Sequence[Any]) -> Any:
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        """Nothing to make; the shapes are checked."""
        self._check_count(input_shape)
        shapes = [tuple(shape)[1:] for shape in input_shape]
        rank = max(map(len, shapes))
        padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
        for sizes in zip(*padded, strict=True):
            if len({size for size in sizes if size not in (1, None)}) > 1:
                raise self._misfit(input_shape, "sizes must be equal, or 1")

    def _check_count(self, inputs: Any) -> None:
        several = isinstance(inputs, (list, tuple)) and not (
            inputs and (inputs[0] is None or isinstance(inputs[0], int))
        )
        count = len(inputs) if several else 1
        if not several or count == 0 or (self._count and count != self._count):
            name = type(self).__name__
            wanted = f"{self._count} inputs" if self._count else "inputs"
            got = f"{count} inputs in it" if several else "a single tensor"
            raise ShapeError(
                "RV100",
                f"{name} is called on a list of {wanted}, got {got}",
                fix=f"layers.{name}(...)([a, b])",
            )

    def _misfit(self, shapes: Sequence[Any], rule: str) -> ShapeError:
        return ShapeError(
            "RV103",
            f"{type(self).__name__}: inputs of shapes "
            + ", ".join(show(shape) for shape in shapes)
            + " do not fit together",
            details=rule,
            fix="layers.Reshape, or a Dense layer before, gives them one shape",
        )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The inputs combined."""
        self._check_count(inputs)
        rank = max(x.ndim for x in inputs)
        aligned = [
            ops.expand_dims(x, tuple(range(1, 1 + rank - x.ndim)))
            if x.ndim < rank
            else x
            for x in inputs
        ]
        return self._merge(aligned, _masks(aligned, mask))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Where any input counts; nothing is masked where an input has no mask."""
        if previous_mask is None or any(m is None for m in previous_mask):
            return None
        found = previous_mask[0]
        for mask in previous_mask[1:]:
            found = ops.logical_or(found, mask)
        return found


def _masks(inputs: Sequence[Any], masks: Any) -> list[Any]:
    """A mask of the input's own shape for each input that has one."""
    found: list[Any] = [None] * len(inputs)
    for i, mask in enumerate(masks or ()):
        if mask is not None:
            behind = tuple(range(mask.ndim, inputs[i].ndim))
            wide = ops.expand_dims(mask, behind) if behind else mask
            found[i] = ops.broadcast_to(wide, tuple(inputs[i].shape))
    return found


def _fold(function: Callable[[Any, Any], Any], inputs: Sequence[Any]) -> Any:
    found = inputs[0]
    for x in inputs[1:]:
        found = function(found, x)
    return found


def _fold_masked(
    function: Callable[[Any, Any], Any], inputs: Sequence[Any], masks: Sequence[Any]
) -> Any:
    """Where only one of two counts, it stands for both: there is no neutral element."""
    found, known = inputs[0], masks[0]
    for x, mask in zip(inputs[1:], masks[1:], strict=True):
        if mask is not None:
            x = ops.where(mask, x, found)
        if known is not None:
            found = ops.where(known, found, x)
        both = mask is not None and known is not None
        known = ops.logical_or(known, mask) if both else None
        found = function(found, x)
    return found


class Add(Merge):
    """The sum of its inputs, element by element.

    Example:
        >>> import numpy as np
        >>> Add()([np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])]).numpy()
        array([[11., 22.]], dtype=float32)
    """

    def _merge(self, inputs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return _fold(ops.add, inputs)


class Subtract(Merge):
    """The first of two inputs less the second.

    Raises:
        ShapeError: RV100 for another number of inputs.

    Example:
        >>> import numpy as np
        >>> Subtract()([np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])]).numpy()
        array([[ -9., -18.]], dtype=float32)
    """

    _count = 2

    def _merge(self, inputs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return ops.subtract(*inputs)


class Multiply(Merge):
    """The product of its inputs; what is masked counts as 1.

    Where all inputs are masked the product is 0.

    Example:
        >>> import numpy as np
        >>> Multiply()([np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])]).numpy()
        array([[10., 40.]], dtype=float32)
    """

    def _merge(self, inputs: Sequence[Any], masks: Sequence[Any]) -> Any:
        factors = [
            x if mask is None else ops.where(mask, x, 1)
            for x, mask in zip(inputs, masks, strict=True)
        ]
        product = _fold(ops.multiply, factors)
        if any(mask is None for mask in masks):
            return product
        return ops.where(_fold(ops.logical_or, masks), product, 0)


class Average(Merge):
    """The mean of its inputs, element by element.

    Example:
        >>> import numpy as np
        >>> Average()([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])]).numpy()
        array([[2., 4.]], dtype=float32)
    """

    def _merge(self, inputs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return _fold(ops.add, inputs) / len(inputs)


class Maximum(Merge):
    """The largest of its inputs, element by element; a masked one does not count.

    Example:
        >>> import numpy as np
        >>> Maximum()([np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])]).numpy()
        array([[3., 5.]], dtype=float32)
    """

    def _merge(self, inputs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return _fold_masked(ops.maximum, inputs, masks)


class Minimum(Merge):
    """The smallest of its inputs, element by element; a masked one does not count.

    Example:
        >>> import numpy as np
        >>> Minimum()([np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])]).numpy()
        array([[1., 2.]], dtype=float32)
    """

    def _merge(self, inputs: Sequence[Any], masks: Sequence[Any]) -> Any:
        return _fold_masked(ops.minimum, inputs, masks)


class Concatenate(Merge):
    """Its inputs one behind the other along an axis.

    Args:
        axis: which one; not that of the rows.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an axis that is none; RV103 when the inputs differ along
            another axis.

    Example:
        >>> import numpy as np
        >>> Concatenate()([np.array([[1.0, 2.0]]), np.array([[3.0]])]).numpy()
        array([[1., 2., 3.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int) or axis == 0:
            raise ShapeError(
                "RV100",
                "Concatenate: axis must be a whole number other than 0",
                details=f"received axis={axis!r}; axis 0 counts the rows",
                fix="axis=-1",
            )
        self.axis = axis

    def build(self, input_shape: Any) -> None:
        """Nothing to make; the shapes are checked."""
        self._check_count(input_shape)
        ranks = {len(shape) for shape in input_shape}
        axis = self._place(min(ranks))
        rest = [shape[:axis] + shape[axis + 1 :] for shape in map(tuple, input_shape)]
        if len(ranks) > 1 or any(
            len(set(sizes) - {None}) > 1 for sizes in zip(*rest, strict=True)
        ):
            rule = f"all sizes but those of axis {self.axis} must be equal"
            raise self._misfit(input_shape, rule)

    def _place(self, rank: int) -> int:
        if not -rank < self.axis < rank:
            raise ShapeError(
                "RV100",
                f"Concatenate: axis={self.axis}, but the inputs have {rank} axes",
                details="axis 0 counts the rows",
                fix="axis=-1",
            )
        return self.axis % rank

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The inputs joined."""
        self._check_count(inputs)
        return ops.concatenate(inputs, axis=self._place(inputs[0].ndim))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The masks joined alike; an input without one counts everywhere."""
        if previous_mask is None or all(m is None for m in previous_mask):
            return None
        wide = [
            ops.ones_like(x, dtype="bool") if own is None else own
            for x, own in zip(inputs, _masks(inputs, previous_mask), strict=True)
        ]
        joined = ops.concatenate(wide, axis=self.axis)
        return ops.any(joined, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


class Dot(Merge):
    """Sums of products of two inputs along an axis of each, row by row.

    The result has the other axes of the first input, then those of the second.

    Args:
        axes: the axis of both, or one of each; not that of the rows.
        normalize: whether both are scaled to length 1 along it: the result is then the
            cosine of the angle between them.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for axes that are none; RV103 when their sizes differ.

    Example:
        >>> import numpy as np
        >>> Dot(axes=1)([np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])]).numpy()
        array([[50.]], dtype=float32)
    """

    _count = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = (axes, axes) if isinstance(axes, int) else axes
        if (
            not isinstance(pair, (list, tuple))
            or len(pair) != 2
            or any(isinstance(a, bool) or not isinstance(a, int) for a in pair)
            or 0 in pair
        ):
            raise ShapeError(
                "RV100",
                "Dot: axes must be a whole number other than 0, or two of them",
                details=f"received axes={axes!r}; axis 0 counts the rows",
                fix="axes=-1",
            )
        self.axes = axes
        self.normalize = normalize

    def _places(self, ranks: Sequence[int]) -> list[int]:
        pair = (self.axes,) * 2 if isinstance(self.axes, int) else self.axes
        for axis, rank in zip(pair, ranks, strict=True):
            if rank < 2 or not -rank < axis < rank:
                raise ShapeError(
                    "RV100",
                    f"Dot: axes={self.axes}, but an input has {rank} axes",
                    details="axis 0 counts the rows",
                    fix="axes=-1",
                )
        return [axis % rank for axis, rank in zip(pair, ranks, strict=True)]

    def build(self, input_shape: Any) -> None:
        """Nothing to make; the shapes are checked."""
        self._check_count(input_shape)
        places = self._places([len(shape) for shape in input_shape])
        one, other = (shape[at] for shape, at in zip(input_shape, places, strict=True))
        if None not in (one, other) and one != other:
            rule = f"the axes to multiply have sizes {one} and {other}"
            raise self._misfit(input_shape, rule)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The sums of products."""
        self._check_count(inputs)
        places = self._places([x.ndim for x in inputs])
        if self.normalize:
            inputs = [
                unit_length(x, at, 1e-7) for x, at in zip(inputs, places, strict=True)
            ]
        one, other = inputs
        found = ops.dot_general(one, other, ((places[0],), (places[1],)), ((0,), (0,)))
        return ops.expand_dims(found, -1) if found.ndim == 1 else found

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """None: sums of products stand for no single place."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Add` of a list of tensors; arguments are those of the layer.

    Example:
        >>> import numpy as np
        >>> add([np.array([[1.0]]), np.array([[2.0]])]).numpy()
        array([[3.]], dtype=float32)
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Subtract` of two tensors; arguments are those of the layer.

    Example:
        >>> import numpy as np
        >>> subtract([np.array([[5.0]]), np.array([[2.0]])]).numpy()
        array([[3.]], dtype=float32)
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Multiply` of a list of tensors; arguments are those of the layer.

    Example:
        >>> import numpy as np
        >>> multiply([np.array([[5.0]]), np.array([[2.0]])]).numpy()
        array([[10.]], dtype=float32)
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Average` of a list of tensors; arguments are those of the layer.

    Example:
        >>> import numpy as np
        >>> average([np.array([[5.0]]), np.array([[2.0]])]).numpy()
        array([[3.5]], dtype=float32)
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Maximum` of a list of tensors; arguments are those of the layer.

    Example:
        >>> import numpy as np
        >>> maximum([np.array([[5.0]]), np.array([[2.0]])]).numpy()
        array([[5.]], dtype=float32)
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Minimum` of a list of tensors; arguments are those of the layer.

    Example:
        >>> import numpy as np
        >>> minimum([np.array([[5.0]]), np.array([[2.0]])]).numpy()
        array([[2.]], dtype=float32)
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate` of a list of tensors; arguments are those of the layer.

    Example:
        >>> import numpy as np
        >>> concatenate([np.array([[5.0]]), np.array([[2.0]])]).numpy()
        array([[5., 2.]], dtype=float32)
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot` of two tensors; arguments are those of the layer.

    Example:
        >>> import numpy as np
        >>> dot([np.array([[5.0, 1.0]]), np.array([[2.0, 3.0]])]).numpy()
        array([[13.]], dtype=float32)
    """
    return Dot(axes=axes, **kwargs)(inputs)
