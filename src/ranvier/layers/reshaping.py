"""Layers that only change the shape, and the input layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ranvier import ops
from ranvier._check import Interval, OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec, KerasTensor
from ranvier.symbolic import Node


class InputLayer(Layer):
    """Declares the input of a `Sequential`; passes it on unchanged.

    Args:
        shape: shape of one row.
        batch_size: rows of a batch, when fixed.
        dtype: dtype; float32 by default.
        batch_shape: shape with the batch first, instead of `shape`.
        name: a name.

    Example:
        >>> InputLayer((28, 28)).batch_shape
        (None, 28, 28)
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        if isinstance(input_tensor, KerasTensor):
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        old = kwargs.pop("input_shape", None)
        shape = old if shape is None else shape
        if kwargs:
            raise ShapeError(
                "RV100", f"InputLayer has no argument {next(iter(kwargs))!r}"
            )
        if sparse or ragged:
            raise ShapeError("RV100", "sparse and ragged inputs are not supported")
        if batch_shape is None:
            if shape is None:
                raise ShapeError(
                    "RV100",
                    "an input needs its shape",
                    fix="keras.Input(shape=(28, 28))",
                )
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            batch_shape = (batch_size, *shape)
        self.batch_shape = tuple(batch_shape)
        for size in self.batch_shape:
            if size is not None and (not isinstance(size, int) or size < 0):
                raise ShapeError(
                    "RV100",
                    f"shape {tuple(self.batch_shape[1:])} is no shape of a row",
                    fix="keras.Input(shape=(28, 28)); None where a size is free",
                )
        self._dtype = str(dtype or self.compute_dtype)
        self._input_dtype = self._dtype
        self.optional = optional
        self.built = True
        self._declare()

    def _declare(self) -> None:
        """Makes the symbolic tensor that stands for the input."""
        made = KerasTensor(self.batch_shape, self._dtype, name=self.name)
        Node(self, (), {}, made)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._declare()

    @property
    def dtype(self) -> str:
        """Dtype of the input."""
        return self._dtype

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "batch_shape": self.batch_shape,
            "dtype": self._dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": self.optional,
        }


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    sparse: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
    ragged: bool | None = None,
) -> KerasTensor:
    """Declares the shape of one row, as the first entry of a `Sequential`.

    Example:
        >>> from ranvier import Sequential, layers
        >>> Sequential([Input((4,)), layers.Dense(3)]).count_params()
        15
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    )
    made: KerasTensor = layer.output
    return made


class Identity(Layer):
    """Gives back its input.

    Example:
        >>> Identity()([[1.0]]).numpy()
        array([[1.]], dtype=float32)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return super().get_config()


class Flatten(Layer):
    """``(rows, a, b, ...)`` becomes ``(rows, a * b * ...)``.

    Args:
        data_format: ``"channels_first"`` moves axis 1 to the end before, as Keras does.
        **kwargs: see `Layer`.

    Example:
        >>> import numpy as np
        >>> Flatten()(np.zeros((2, 28, 28))).shape
        (2, 784)
    """

    _parameters = {"data_format": OneOf("channels_last", "channels_first")}

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        from ranvier import config

        super().__init__(**kwargs)
        self.data_format = data_format or config.image_data_format()
        check_parameters("Flatten", self._parameters, {"data_format": self.data_format})
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        """The rows as vectors."""
        shape = tuple(inputs.shape)
        if len(shape) > 1 and self.data_format == "channels_first":
            inputs = ops.transpose(inputs, (0, *range(2, len(shape)), 1))
        width: Any = 1
        for size in shape[1:]:
            width = width * size
        return ops.reshape(inputs, (shape[0], width))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """Gives each row another shape; one size may be -1 and follows from the others.

    Args:
        target_shape: shape of a row.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV103 when the sizes do not multiply to the same number.

    Example:
        >>> import numpy as np
        >>> Reshape((7, -1))(np.zeros((2, 28))).shape
        (2, 7, 4)
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        target = (target_shape,) if isinstance(target_shape, int) else target_shape
        sizes = tuple(int(s) for s in target)
        if sizes.count(-1) > 1 or any(s < -1 or s == 0 for s in sizes):
            raise ShapeError(
                "RV100",
                f"Reshape: target_shape={sizes} is no shape",
                details="sizes are at least 1; at most one is -1",
                fix="Reshape((28, 28))",
            )
        self.target_shape = sizes

    def build(self, input_shape: Any) -> None:
        """Nothing to make; the shape is checked when the layer runs."""

    def call(self, inputs: Any) -> Any:
        """The rows in their new shape."""
        shape = tuple(inputs.shape)
        sizes: list[Any] = list(self.target_shape)
        if all(isinstance(s, int) for s in shape[1:]):
            have = math.prod(shape[1:])
            need = math.prod(s for s in sizes if s != -1)
            if (have != need) if -1 not in sizes else (have % need):
                raise ShapeError(
                    "RV103",
                    f"Reshape: rows of shape {shape[1:]} do not fit into "
                    f"{self.target_shape}",
                    details=f"{have:,} values against {need:,}",
                )
            sizes = [have // need if s == -1 else s for s in sizes]
        return ops.reshape(inputs, (shape[0], *sizes))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """Axes of each row in another order; the rows stay where they are.

    Args:
        dims: the old place of each axis, counted from 1.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 when `dims` is no order of 1, 2, ...; RV103 for inputs with
            another number of axes.

    Example:
        >>> import numpy as np
        >>> Permute((2, 1))(np.zeros((4, 10, 3))).shape
        (4, 3, 10)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = tuple(dims) if isinstance(dims, Sequence) else (dims,)
        if isinstance(dims, str) or set(given) != set(range(1, len(given) + 1)):
            raise ShapeError(
                "RV100",
                "Permute: dims must be an order of the axes 1, 2, ... of a row",
                details=f"received dims={dims!r}; axis 0 counts the rows",
                fix="Permute((2, 1)) exchanges two axes",
            )
        self.dims = tuple(int(d) for d in given)
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        """The rows with their axes in the new order."""
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """``(rows, values)`` becomes ``(rows, n, values)``: each row `n` times.

    Args:
        n: how often.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for `n` below 1; RV103 for inputs with other than two axes.

    Example:
        >>> RepeatVector(3)([[1.0, 2.0]]).shape
        (1, 3, 2)
    """

    _parameters = {"n": Interval(int, 1)}

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_parameters("RepeatVector", self._parameters, {"n": n})
        self.n = int(n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        """The rows, repeated."""
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "n": self.n}
