"""Long short-term memory of sequences of images: its products are convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ranvier import ops
from ranvier._check import OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.input_spec import InputSpec, show
from ranvier.layers.recurrent.cells import GatedCell, own_arguments
from ranvier.layers.recurrent.lstm import LSTMCell
from ranvier.layers.recurrent.rnn import CellRNN
from ranvier.layers.sizes import data_format_of, whole_numbers


class ConvLSTMCell(LSTMCell):
    """One step of `ConvLSTM2D`; with one or three axes of positions too.

    Args:
        arguments: the constructor's arguments by Keras's names.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for arguments out of range.
    """

    #: Axes of positions.
    rank: ClassVar[int] = 2
    _width: ClassVar[str] = "filters"

    filters: int
    kernel_size: Any
    strides: Any
    padding: Any
    data_format: Any
    dilation_rate: Any

    def __init__(self, **kwargs: Any) -> None:
        own = {name: kwargs.pop(name) for name in _NAMES if name in kwargs}
        kwargs.pop("implementation", None)
        # Every gate has a mask of its own, as in Keras.
        GatedCell.__init__(self, own, implementation=1, **kwargs)
        owner, rank = f"ConvLSTM{self.rank}D", self.rank
        for name in ("kernel_size", "strides", "dilation_rate"):
            sizes = whole_numbers(owner, name, getattr(self, name), rank)
            setattr(self, name, sizes)
        if isinstance(self.padding, str):
            self.padding = self.padding.lower()
        check_parameters(
            owner, {"padding": OneOf("valid", "same")}, {"padding": self.padding}
        )
        self.data_format = data_format_of(owner, self.data_format)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ShapeError(
                "RV100",
                f"{owner}: strides above 1 do not go with a dilation_rate above 1",
                details=f"received strides={self.strides}, "
                f"dilation_rate={self.dilation_rate}",
                fix="dilation_rate=1",
            )
        self.state_size = [self.filters, self.filters]

    # -- weights ----------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Makes kernel, recurrent kernel and bias.

        Raises:
            ShapeError: RV108 when a size of the images is not known.
        """
        sizes = tuple(input_shape[1:])
        if any(not isinstance(size, int) for size in sizes):
            raise ShapeError(
                "RV108",
                f"layer {self.name!r}: the sizes of the images must be known",
                details=f"a step has the shape {show(input_shape)}",
                fix="keras.Input((time, height, width, channels)); time may be None",
            )
        last = self.data_format == "channels_last"
        positions, channels = (sizes[:-1], sizes[-1]) if last else (sizes[1:], sizes[0])
        self._input_row = (*positions, channels)
        self._state_row = (
            *map(self._windows, range(self.rank), positions),
            self.filters,
        )
        width = self.gates * self.filters
        self.kernel = self._weight("kernel", (*self.kernel_size, channels, width))
        self.recurrent_kernel = self._weight(
            "recurrent_kernel", (*self.kernel_size, self.filters, width)
        )
        self.bias = self._weight("bias", (width,)) if self.use_bias else None

    def _windows(self, axis: int, size: int) -> int:
        """How many windows there are along an axis.

        Raises:
            ShapeError: RV108 when there is none.
        """
        if self.padding == "same":
            return -(-size // self.strides[axis])
        wide = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        if size < wide:
            raise ShapeError(
                "RV108",
                f"layer {self.name!r}: a window of {wide} does not fit into {size} "
                "positions",
                fix="padding='same', a smaller kernel_size, or larger inputs",
            )
        return (size - wide) // self.strides[axis] + 1

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for each part of the state."""
        shape = (batch_size, *self._state_row)
        if self.data_format == "channels_first":
            shape = (batch_size, self.filters, *self._state_row[:-1])
        return [ops.zeros(shape, dtype=self.compute_dtype) for _ in range(2)]

    # -- computing --------------------------------------------------------------------

    def draw_masks(self, batch: Any) -> None:
        """Draws what is dropped in all steps of a batch; `forget_masks` ends that."""
        self._masks = (
            self._mask(self.dropout, batch, self._input_row),
            self._mask(self.recurrent_dropout, batch, self._state_row),
        )

    def _inside(self, x: Any) -> Any:
        """Images with their channels behind."""
        if self.data_format == "channels_last":
            return x
        return ops.transpose(x, (0, *range(2, self.rank + 2), 1))

    def _outside(self, x: Any) -> Any:
        """Images with their channels where the layer's inputs have them."""
        if self.data_format == "channels_last":
            return x
        return ops.transpose(x, (0, self.rank + 1, *range(1, self.rank + 1)))

    def _convolved(self, parts: Sequence[Any], kernel: Any, **how: Any) -> Any:
        """Convolution for all gates; with an input for each gate, gate by gate."""
        kernels = (
            [kernel] if len(parts) == 1 else ops.split(kernel, len(parts), axis=-1)
        )
        found = [
            ops.conv(x, k, data_format="channels_last", **how)
            for x, k in zip(parts, kernels, strict=True)
        ]
        return found[0] if len(found) == 1 else ops.concatenate(found, axis=-1)

    def of_inputs(self, x: Any, masks: Sequence[Any] | None) -> Any:
        """What the gates get from images with their channels behind."""
        z = self._convolved(
            [x] if masks is None else [x * mask for mask in masks],
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )
        return z if self.bias is None else z + self.bias

    def step(self, z: Any, states: Sequence[Any], masks: Any) -> tuple[Any, Any]:
        """The new output and states, from what the gates get from the images."""
        h, carry = self._inside(states[0]), self._inside(states[1])
        parts = [h] if masks is None else [h * mask for mask in masks]
        z = z + self._convolved(parts, self.recurrent_kernel, padding="same")
        i, f, g, o = ops.split(z, 4, axis=-1)
        gate, squash = self.recurrent_activation, self.activation
        c = gate(f) * carry + gate(i) * squash(g)
        h = self._outside(gate(o) * squash(c))
        return h, [h, self._outside(c)]

    def call(
        self, inputs: Any, states: Sequence[Any], training: Any = False
    ) -> tuple[Any, Any]:
        """The new output, and the new states ``[h, c]``."""
        before = self._masks
        if training and before is None:
            self.draw_masks(inputs.shape[0])
        masks = (self._masks if training else None) or (None, None)
        self._masks = before
        return self.step(
            self.of_inputs(self._inside(inputs), masks[0]), states, masks[1]
        )


class _Cell1D(ConvLSTMCell):
    rank: ClassVar[int] = 1


class _Cell3D(ConvLSTMCell):
    rank: ClassVar[int] = 3


class ConvLSTM2D(CellRNN):
    """Long short-term memory of sequences of images: `LSTM` with convolutions.

    ``i, f, g, o`` are the four parts of ``conv(x, kernel) + conv(h, recurrent_kernel) +
    bias``; ``c' = s(f) * c + s(i) * a(g)`` and ``h' = s(o) * a(c')``, where ``s`` is the
    recurrent activation and ``a`` the activation. The convolutions of the inputs of all
    steps are one, before the loop; those of the state keep its size.

    Input ``(rows, time, height, width, channels)``; output ``(rows, height', width',
    filters)``, or with a time axis when `return_sequences`; two states of the output's
    shape. Weights ``kernel`` ``(*kernel_size, channels, 4 filters)``,
    ``recurrent_kernel`` ``(*kernel_size, filters, 4 filters)``, ``bias`` ``(4 filters,)``.

    Args:
        filters: number of outputs at each position.
        kernel_size: positions of a window.
        strides: positions from one window of the input to the next.
        padding: `"valid"`, or `"same"`: zeros around the input.
        data_format: `"channels_last"` or `"channels_first"`.
        dilation_rate: positions from one tap of a window of the input to the next.
        activation: of candidate and output.
        recurrent_activation: of the gates.
        use_bias: whether a bias is added.
        kernel_initializer: of the kernel.
        recurrent_initializer: of the recurrent kernel.
        bias_initializer: of the bias.
        unit_forget_bias: the forget gate's bias starts at 1.
        kernel_regularizer: penalty on the kernel.
        recurrent_regularizer: penalty on the recurrent kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the output.
        kernel_constraint: applied to the kernel after each update.
        recurrent_constraint: applied to the recurrent kernel after each update.
        bias_constraint: applied to the bias after each update.
        dropout: share of the inputs dropped in training, the same in all steps.
        recurrent_dropout: share of the state dropped in training.
        seed: of the dropout.
        return_sequences: whether all outputs are returned, not only the last.
        return_state: whether the last states are returned too.
        go_backwards: start at the end; all outputs come in that order.
        stateful: a batch begins with the states that the last one ended with.
        **kwargs: see `RNN`.

    Raises:
        ShapeError: RV100 for arguments out of range; RV103 for inputs with another
            number of axes; RV108 for images whose size is not known or too small.

    Example:
        >>> import numpy as np
        >>> ConvLSTM2D(4, 3, padding="same")(np.ones((2, 5, 6, 7, 1))).shape
        (2, 6, 7, 4)
    """

    _cell: ClassVar[type[ConvLSTMCell]] = ConvLSTMCell

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        unroll = kwargs.pop("unroll", False)
        super().__init__(self._cell, own_arguments(locals()), kwargs)
        self.input_spec = InputSpec(ndim=self._cell.rank + 3)

    def _ahead(self, sequences: Any, training: Any) -> Any:
        cell, (rows, time) = self.cell, sequences.shape[:2]
        x = ops.reshape(sequences, (rows * time, *sequences.shape[2:]))
        masks = cell._masks[0] if training and cell._masks is not None else None
        if masks is not None:
            masks = [_for_all(mask, rows, time) for mask in masks]
        z = cell.of_inputs(cell._inside(x), masks)
        return ops.reshape(z, (rows, time, *z.shape[1:]))

    def _cell_step(self, row: Any, states: Any, further: dict[str, Any]) -> Any:
        masks = self.cell._masks if further.get("training") else None
        return self.cell.step(row, states, None if masks is None else masks[1])


def _for_all(mask: Any, rows: Any, time: Any) -> Any:
    """A mask of rows for all their steps."""
    sizes = tuple(mask.shape[1:])
    wide = ops.broadcast_to(ops.expand_dims(mask, 1), (rows, time, *sizes))
    return ops.reshape(wide, (rows * time, *sizes))


class ConvLSTM1D(ConvLSTM2D):
    """`ConvLSTM2D` with one axis of positions: ``(rows, time, positions, channels)``.

    Example:
        >>> import numpy as np
        >>> ConvLSTM1D(4, 3, return_sequences=True)(np.ones((2, 5, 8, 3))).shape
        (2, 5, 6, 4)
    """

    _cell: ClassVar[type[ConvLSTMCell]] = _Cell1D


class ConvLSTM3D(ConvLSTM2D):
    """`ConvLSTM2D` with three: ``(rows, time, depth, height, width, channels)``.

    Example:
        >>> import numpy as np
        >>> ConvLSTM3D(2, 2, strides=2)(np.ones((2, 3, 4, 4, 6, 1))).shape
        (2, 2, 2, 3, 2)
    """

    _cell: ClassVar[type[ConvLSTMCell]] = _Cell3D


_NAMES = (
    "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate",
    "activation", "recurrent_activation", "use_bias", "kernel_initializer",
    "recurrent_initializer", "bias_initializer", "unit_forget_bias",
    "kernel_regularizer", "recurrent_regularizer", "bias_regularizer",
    "kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout",
    "recurrent_dropout", "seed",
)  # fmt: skip

__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "ConvLSTMCell"]
