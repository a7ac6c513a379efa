"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ranvier import ops
from ranvier.layers.recurrent.cells import GatedCell, own_arguments
from ranvier.layers.recurrent.rnn import CellRNN


class LSTMCell(GatedCell):
    """One step of long short-term memory.

    ``i, f, g, o`` are the four parts of ``x @ kernel + h @ recurrent_kernel + bias``;
    ``c' = s(f) * c + s(i) * a(g)`` and ``h' = s(o) * a(c')``, where ``s`` is the
    recurrent activation and ``a`` the activation. Input ``(rows, inputs)``, two states
    ``(rows, units)``. Weights ``kernel`` ``(inputs, 4 units)``, ``recurrent_kernel``
    ``(units, 4 units)``, ``bias`` ``(4 units,)``.

    Args:
        units: number of outputs.
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
        kernel_constraint: applied to the kernel after each update.
        recurrent_constraint: applied to the recurrent kernel after each update.
        bias_constraint: applied to the bias after each update.
        dropout: share of the inputs dropped in training (as in Keras, 1 drops none).
        recurrent_dropout: share of the state dropped in training.
        seed: of the dropout.
        **kwargs: see `Layer`; `implementation=1` draws a mask for each gate.

    Raises:
        ShapeError: RV100 for `units` below 1 or a rate outside 0 .. 1.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> layers.RNN(layers.LSTMCell(4))(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    gates: ClassVar[int] = 4

    def __init__(
        self,
        units: int,
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
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(own_arguments(locals()), **kwargs)
        self.state_size = [self.units, self.units]

    def _bias_start(self) -> Any:
        start = super()._bias_start()
        if not self.unit_forget_bias:  # type: ignore[attr-defined]
            return start
        n = self.units

        def bias(_: Any, dtype: Any = None) -> Any:
            return np.concatenate(
                [
                    np.asarray(start((n,), dtype=dtype)),
                    np.ones(n),
                    np.asarray(start((2 * n,), dtype=dtype)),
                ]
            )

        return bias

    def call(
        self, inputs: Any, states: Sequence[Any], training: Any = False
    ) -> tuple[Any, Any]:
        """The new output, and the new states ``[h, c]``."""
        x, h = self._dropped(inputs, states, training)
        z = self._product(x, self.kernel, self.bias)
        z = z + self._product(h, self.recurrent_kernel)
        i, f, g, o = ops.split(z, 4, axis=-1)
        gate, squash = self.recurrent_activation, self.activation
        c = gate(f) * states[1] + gate(i) * squash(g)
        h = gate(o) * squash(c)
        return h, [h, c]


class LSTM(CellRNN):
    """Long short-term memory over time: `LSTMCell` in a native loop.

    Input ``(rows, time, inputs)``; output ``(rows, units)``, or ``(rows, time, units)``
    with `return_sequences`. Two states ``(rows, units)``.

    Args:
        units: number of outputs.
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
        unroll: kept for Keras's signature; the loop runs natively either way.
        use_cudnn: kept for Keras's signature.
        **kwargs: see `RNN`.

    Raises:
        ShapeError: RV100 for arguments out of range; RV103 for inputs that have not
            three axes.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> y, h, c = layers.LSTM(4, return_sequences=True, return_state=True)(
        ...     np.ones((2, 5, 3)))
        >>> y.shape, h.shape, c.shape
        ((2, 5, 4), (2, 4), (2, 4))
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
        unroll: bool = False,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(LSTMCell, own_arguments(locals()), kwargs)


__all__ = ["LSTM", "LSTMCell"]
