"""The plain recurrent layer: the output is fed back."""

from __future__ import annotations

from typing import Any

from ranvier.layers.recurrent.cells import GatedCell, own_arguments
from ranvier.layers.recurrent.rnn import CellRNN


class SimpleRNNCell(GatedCell):
    """One step: ``h' = activation(x @ kernel + h @ recurrent_kernel + bias)``.

    Input ``(rows, inputs)``, state ``(rows, units)``. Weights ``kernel`` ``(inputs,
    units)``, ``recurrent_kernel`` ``(units, units)``, ``bias`` ``(units,)``.

    Args:
        units: number of outputs.
        activation: a name or a function.
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
        dropout: share of the inputs dropped in training.
        recurrent_dropout: share of the state dropped in training.
        seed: of the dropout.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for `units` below 1 or a rate outside 0 .. 1.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> layers.RNN(layers.SimpleRNNCell(4))(np.ones((2, 5, 3))).shape
        (2, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(own_arguments(locals()), **kwargs)
        self.implementation = 2  # one gate: one mask

    def _drops(self, rate: float) -> bool:
        return rate > 0  # as in Keras, where a rate of 1 counts here and in no other

    def call(self, inputs: Any, states: Any, training: Any = False) -> tuple[Any, Any]:
        """The new output, and it once more as the new state."""
        nested = isinstance(states, (list, tuple))
        states = states if nested else [states]
        x, h = self._dropped(inputs, states, training)
        z = self._product(x, self.kernel, self.bias)
        h = self.activation(z + self._product(h, self.recurrent_kernel))
        return h, [h] if nested else h


class SimpleRNN(CellRNN):
    """A recurrent layer whose output is fed back: `SimpleRNNCell` over time.

    Input ``(rows, time, inputs)``; output ``(rows, units)``, or ``(rows, time, units)``
    with `return_sequences`.

    Args:
        units: number of outputs.
        activation: a name or a function.
        use_bias: whether a bias is added.
        kernel_initializer: of the kernel.
        recurrent_initializer: of the recurrent kernel.
        bias_initializer: of the bias.
        kernel_regularizer: penalty on the kernel.
        recurrent_regularizer: penalty on the recurrent kernel.
        bias_regularizer: penalty on the bias.
        activity_regularizer: penalty on the output (Keras 3 takes it and forgets it).
        kernel_constraint: applied to the kernel after each update.
        recurrent_constraint: applied to the recurrent kernel after each update.
        bias_constraint: applied to the bias after each update.
        dropout: share of the inputs dropped in training, the same in all steps.
        recurrent_dropout: share of the state dropped in training.
        return_sequences: whether all outputs are returned, not only the last.
        return_state: whether the last state is returned too.
        go_backwards: start at the end; all outputs come in that order.
        stateful: a batch begins with the state that the last one ended with.
        unroll: kept for Keras's signature; the loop runs natively either way.
        seed: of the dropout.
        **kwargs: see `RNN`.

    Raises:
        ShapeError: RV100 for arguments out of range; RV103 for inputs that have not
            three axes.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> layers.SimpleRNN(4, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 4)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(SimpleRNNCell, own_arguments(locals()), kwargs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["seed"]  # Keras does not write it
        return config


__all__ = ["SimpleRNN", "SimpleRNNCell"]
