"""Gated recurrent units."""

from __future__ import annotations

from typing import Any, ClassVar

from ranvier import ops
from ranvier.layers.recurrent.cells import GatedCell, own_arguments
from ranvier.layers.recurrent.rnn import CellRNN


class GRUCell(GatedCell):
    """One step of gated recurrent units.

    With ``s`` the recurrent activation, ``a`` the activation and the kernels' parts
    ``z, r, h``: ``z = s(x Wz + h Uz)``, ``r = s(x Wr + h Ur)``; the candidate is
    ``a(x Wh + r * (h Uh))``, or ``a(x Wh + (r * h) Uh)`` without `reset_after`; the new
    state is ``z * h + (1 - z) * candidate``. Input ``(rows, inputs)``, state ``(rows,
    units)``. Weights ``kernel`` ``(inputs, 3 units)``, ``recurrent_kernel`` ``(units,
    3 units)``, ``bias`` ``(3 units,)``, with `reset_after` ``(2, 3 units)``.

    Args:
        units: number of outputs.
        activation: of the candidate.
        recurrent_activation: of the gates.
        use_bias: whether a bias is added.
        kernel_initializer: of the kernel.
        recurrent_initializer: of the recurrent kernel.
        bias_initializer: of the bias.
        kernel_regularizer: penalty on the kernel.
        recurrent_regularizer: penalty on the recurrent kernel.
        bias_regularizer: penalty on the bias.
        kernel_constraint: applied to the kernel after each update.
        recurrent_constraint: applied to the recurrent kernel after each update.
        bias_constraint: applied to the bias after each update.
        dropout: share of the inputs dropped in training (as in Keras, 1 drops none).
        recurrent_dropout: share of the state dropped in training.
        reset_after: whether the reset gate acts after the product with the state.
        seed: of the dropout.
        **kwargs: see `Layer`; `implementation=1` draws a mask for each gate.

    Raises:
        ShapeError: RV100 for `units` below 1 or a rate outside 0 .. 1.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> layers.RNN(layers.GRUCell(4))(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    gates: ClassVar[int] = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(own_arguments(locals()), **kwargs)

    def _bias_shape(self) -> tuple[int, ...]:
        width = self.gates * self.units
        return (2, width) if self.reset_after else (width,)  # type: ignore[attr-defined]

    def call(self, inputs: Any, states: Any, training: Any = False) -> tuple[Any, Any]:
        """The new output, and it once more as the new state."""
        nested = isinstance(states, (list, tuple))
        states = states if nested else [states]
        after: bool = self.reset_after  # type: ignore[attr-defined]
        n, h = self.units, states[0]
        xs, hs = self._dropped(inputs, states, training)
        mine = own = None
        if self.bias is not None:
            mine, own = (self.bias[0], self.bias[1]) if after else (self.bias, None)
        x_z, x_r, x_h = ops.split(self._product(xs, self.kernel, mine), 3, axis=-1)
        gate, squash = self.recurrent_activation, self.activation
        if after:
            inner = self._product(hs, self.recurrent_kernel, own)
            h_z, h_r, h_h = ops.split(inner, 3, axis=-1)
            z, r = gate(x_z + h_z), gate(x_r + h_r)
            candidate = squash(x_h + r * h_h)
        else:
            gates, last = (
                self.recurrent_kernel[:, : 2 * n],
                self.recurrent_kernel[:, 2 * n :],
            )
            h_z, h_r = ops.split(self._product(hs[:2], gates), 2, axis=-1)
            z, r = gate(x_z + h_z), gate(x_r + h_r)
            candidate = squash(x_h + ops.matmul(r * hs[-1], last))
        h = z * h + (1 - z) * candidate
        return h, [h] if nested else h


class GRU(CellRNN):
    """Gated recurrent units over time: `GRUCell` in a native loop.

    Input ``(rows, time, inputs)``; output ``(rows, units)``, or ``(rows, time, units)``
    with `return_sequences`.

    Args:
        units: number of outputs.
        activation: of the candidate.
        recurrent_activation: of the gates.
        use_bias: whether a bias is added.
        kernel_initializer: of the kernel.
        recurrent_initializer: of the recurrent kernel.
        bias_initializer: of the bias.
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
        return_state: whether the last state is returned too.
        go_backwards: start at the end; all outputs come in that order.
        stateful: a batch begins with the state that the last one ended with.
        unroll: kept for Keras's signature; the loop runs natively either way.
        reset_after: whether the reset gate acts after the product with the state.
        use_cudnn: kept for Keras's signature.
        **kwargs: see `RNN`.

    Raises:
        ShapeError: RV100 for arguments out of range; RV103 for inputs that have not
            three axes.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> layers.GRU(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
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
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(GRUCell, own_arguments(locals()), kwargs)


__all__ = ["GRU", "GRUCell"]
