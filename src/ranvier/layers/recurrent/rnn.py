"""The loop over time around a cell."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from ranvier import ops, regularizers
from ranvier._check import OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.graph import Dim, Tensor, Variable, tree
from ranvier.layers import tracking
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.recurrent.cells import GatedCell, written


class RNN(Layer):
    """Runs a cell over time: ``output, states = cell(x[:, t], states)`` for each ``t``.

    A cell is a layer with `state_size` (a number or a list of them), perhaps
    `output_size` and `get_initial_state(batch_size)`, and ``call(inputs, states)`` that
    returns the output and the new states. What it computes from inputs and weights
    alone, such as ``x @ kernel``, runs for all steps at once before the loop.

    Input ``(rows, time, ...)``; output ``(rows, ...)``, or ``(rows, time, ...)`` with
    `return_sequences`. The time axis may differ from batch to batch. Steps that a mask
    leaves out keep the states, and repeat the output before them.

    Args:
        cell: a cell, or a list of cells, one on top of the other.
        return_sequences: whether all outputs are returned, not only the last.
        return_state: whether the last states are returned too.
        go_backwards: start at the end; all outputs come in that order.
        stateful: a batch begins with the states that the last one ended with; needs a
            fixed number of rows (`reset_state` sets them to zero).
        unroll: kept for Keras's signature; the loop runs natively either way.
        zero_output_for_mask: steps that a mask leaves out give zeros.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a cell without `call` or `state_size`; RV106 for a
            stateful layer whose number of rows is not fixed.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> cells = [layers.GRUCell(4), layers.LSTMCell(3)]
        >>> layers.RNN(cells, return_sequences=True)(np.ones((2, 5, 3))).shape
        (2, 5, 3)
    """

    cell: Any

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(cell, (list, tuple)):
            from ranvier.layers.recurrent.stacked import StackedRNNCells

            cell = StackedRNNCells(cell)
        check_cell("RNN", cell)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        size = cell.state_size
        self.single_state = not isinstance(size, (list, tuple))
        self.state_size = [size] if self.single_state else list(size)
        self.states: Any = None

    # -- state ------------------------------------------------------------------------

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Makes the cell's weights, and the states that a stateful layer keeps."""
        if isinstance(self.cell, Layer) and not self.cell.built:
            with tracking.calling(self.cell, None):
                self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful and self.states is None:
            rows = sequences_shape[0]
            if rows is None:
                raise ShapeError(
                    "RV106",
                    f"layer {self.name!r} is stateful: it needs a fixed number of rows",
                    details=f"its input has shape {tuple(sequences_shape)}",
                    fix="keras.Input(batch_shape=(32, ...)) as the model's input, and "
                    "batch_size=32",
                )
            self.states = tree.map_leaves(self._carry, self.get_initial_state(rows))
        elif self.stateful:
            self.reset_state()

    def _carry(self, value: Any) -> Variable:
        carry = Variable(value.numpy(), name="rnn_state", kind="carry", trainable=False)
        carry.path = f"{self.path}/rnn_state"
        return carry

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The states before the first step: zeros, unless the cell says otherwise."""
        own = getattr(self.cell, "get_initial_state", None)
        if own is None:
            dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
            return [ops.zeros((batch_size, n), dtype=dtype) for n in self.state_size]
        return as_list(own(batch_size=batch_size))

    def reset_state(self) -> None:
        """Sets the states that a stateful layer keeps to zero."""
        for state in tree.flatten(self.states):
            state.assign(ops.zeros(state.shape, dtype=state.dtype))

    reset_states = reset_state

    # -- calling ----------------------------------------------------------------------

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = False,
    ) -> Any:
        """Output of the last step or of all, with the last states if asked for."""
        rows = sequences.shape[0]
        if initial_state is not None:
            start = as_list(initial_state)
        elif self.stateful:
            start = self.states
        else:
            start = self.get_initial_state(rows)
        if self.stateful:
            self._check_rows(rows)
        dtype = self.compute_dtype
        start = tree.map_leaves(
            lambda s: ops.cast(ops.convert_to_tensor(s), dtype), start
        )
        cells = self._gated_cells() if training else []
        for cell in cells:
            cell.draw_masks(rows)
        try:
            output, outputs, states = self._loop(sequences, start, mask, training)
        finally:
            for cell in cells:
                cell.forget_masks()
        if self.stateful:
            for kept, state in zip(
                tree.flatten(self.states), tree.flatten(states), strict=True
            ):
                kept.assign(state)
        found = outputs if self.return_sequences else output
        return (found, *states) if self.return_state else found

    def _gated_cells(self) -> list[GatedCell]:
        """Cells inside whose dropout is the same in all steps."""
        if not isinstance(self.cell, Layer):
            return []
        inner = self.cell._flatten_layers()
        return [c for c in inner if isinstance(c, GatedCell) and c.built]

    def _check_rows(self, rows: Any) -> None:
        want = tree.flatten(self.states)[0].shape[0]
        if rows != want:
            got = "any number" if isinstance(rows, Dim) else rows
            raise ShapeError(
                "RV103",
                f"layer {self.name!r} is stateful and keeps the states of {want} rows, "
                f"the batch has {got}",
                fix=f"keras.Input(batch_shape=({want}, ...)), batch_size={want} and a "
                f"multiple of {want} rows",
            )

    def _loop(
        self, sequences: Any, start: list[Any], mask: Any, training: Any
    ) -> tuple[Any, Any, list[Any]]:
        """The last output, all outputs in the order in which they came, the states."""
        further = self._cell_arguments(training)
        rows: list[Any] = [_swapped(self._ahead(sequences, training))]
        if mask is not None:
            rows.append(_mask_rows(mask))
        last = [0]  # which carried value is the last output, where one is
        found: list[Any] = []

        def step(states: Any, row: list[Any]) -> tuple[Any, Any]:
            output, new = self._cell_step(row[0], states, further)
            new = as_list(new)
            same = _position(output, new)
            if mask is not None:
                live = row[1]
                new = tree.map_leaves(lambda n, o: _where(live, n, o), new, states)
                if self.zero_output_for_mask:
                    same = None
                    output = _where(live, output, ops.zeros_like(output))
                elif same is not None:
                    output = tree.flatten(new)[same]
                else:
                    before = states[0]
                    if isinstance(before, (list, tuple)):
                        before = states[-1][0]
                    output = _where(live, output, before)
            last[:] = [] if same is None else [same]
            found[:] = [output]
            # All outputs are kept only if somebody wants them.
            wanted = self.return_sequences or same is None
            return tree.rebuild(start, tree.flatten(new)), output if wanted else None

        states, outputs = ops.scan(step, start, rows, reverse=self.go_backwards)
        if last:
            output = tree.flatten(states)[last[0]]
        else:
            output = outputs[0] if self.go_backwards else outputs[-1]
        if outputs is not None:
            outputs = _swapped(outputs)
            if self.go_backwards:
                outputs = ops.flip(outputs, axis=1)
        return output, outputs, states

    def _ahead(self, sequences: Any, training: Any) -> Any:
        """What the loop goes over; a subclass computes for all steps what it can."""
        return sequences

    def _cell_step(self, row: Any, states: Any, further: dict[str, Any]) -> Any:
        """Output and new states of a step."""
        return self.cell(row, states, **further)

    def _cell_arguments(self, training: Any) -> dict[str, Any]:
        call = self.cell.call if isinstance(self.cell, Layer) else self.cell
        try:
            names = inspect.signature(call).parameters
        except (TypeError, ValueError):
            return {}
        return {"training": training} if "training" in names else {}

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the inputs goes on with all outputs, and ends here otherwise."""
        masks = tree.flatten(previous_mask)
        found = masks[0] if masks and self.return_sequences else None
        if self.return_state:
            return [found, *(None for _ in self.state_size)]
        return found

    # -- configuration ----------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from ranvier.layers import serialize

        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "cell": serialize(self.cell),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described, without its weights."""
        from ranvier.layers import deserialize

        config = dict(config)
        cell = deserialize(config.pop("cell"), custom_objects)
        return super().from_config({"cell": cell, **config})


class CellRNN(RNN):
    """A recurrent layer around a built-in cell, whose arguments it takes.

    Args:
        cell: the cell's class.
        arguments: the constructor's arguments by Keras's names.
        further: those of `RNN` and `Layer`.
    """

    _own = frozenset(
        ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")
    )

    def __init__(
        self, cell: type[GatedCell], arguments: dict[str, Any], further: dict[str, Any]
    ) -> None:
        own = {n: v for n, v in arguments.items() if n in self._own}
        cudnn = arguments.get("use_cudnn", "auto")
        check_parameters(
            type(self).__name__,
            {"use_cudnn": OneOf("auto", True, False)},
            {"use_cudnn": cudnn},
        )
        skip = {*own, "use_cudnn", "activity_regularizer"}
        inner = {n: v for n, v in arguments.items() if n not in skip}
        shared: dict[str, Any] = {
            n: further[n] for n in ("dtype", "trainable") if n in further
        }
        if "implementation" in further:
            shared["implementation"] = further.pop("implementation")
        super().__init__(
            cell(**inner, **shared, name=_cell_name(cell)),
            **own,
            activity_regularizer=arguments["activity_regularizer"],
            **further,
        )
        self.use_cudnn = cudnn
        self.input_spec = InputSpec(ndim=3)

    def __getattr__(self, name: str) -> Any:
        # Keras's layers show the arguments of their cell.
        cell = self.__dict__.get("cell")
        if cell is not None and name in cell._names:
            return getattr(cell, name)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}"
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["cell"]
        cell = self.cell
        regularizer = self.activity_regularizer
        return {
            **config,
            **{n: written(n, getattr(cell, n)) for n in cell._names},
            "activity_regularizer": None
            if regularizer is None
            else regularizers.serialize(regularizer),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described, without its weights."""
        return Layer.from_config.__func__(cls, config)  # type: ignore[attr-defined]


def _cell_name(cell: type) -> str:
    names = {"SimpleRNNCell": "simple_rnn_cell", "LSTMCell": "lstm_cell"}
    names["GRUCell"] = "gru_cell"
    return names.get(cell.__name__, "conv_lstm_cell")


def check_cell(who: str, cell: Any) -> None:
    """Refuses what is no cell.

    Raises:
        ShapeError: RV100, saying what is missing.
    """
    for need in ("call", "state_size"):
        if not hasattr(cell, need):
            raise ShapeError(
                "RV100",
                f"{who}: a cell needs {need!r}, {type(cell).__name__} has none",
                fix="layers.LSTMCell(units), or a Layer with state_size and "
                "call(inputs, states)",
            )
    sizes = tree.flatten(cell.state_size)
    if not sizes or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ShapeError(
            "RV100",
            f"{who}: state_size must be a whole number or a list of them",
            details=f"{type(cell).__name__}.state_size is {cell.state_size!r}",
        )


def as_list(states: Any) -> list[Any]:
    """States as a list, also where there is one."""
    return list(states) if isinstance(states, (list, tuple)) else [states]


def _swapped(x: Any) -> Any:
    """Rows and time change places."""
    return ops.transpose(x, (1, 0, *range(2, len(x.shape))))


def _mask_rows(mask: Any) -> Any:
    """A mask ``(rows, time)`` as ``(time, rows, 1)``."""
    mask = ops.cast(ops.convert_to_tensor(tree.flatten(mask)[0]), "bool")
    if mask.ndim == 2:
        return ops.expand_dims(ops.transpose(mask, (1, 0)), -1)
    return _swapped(ops.any(mask, axis=-1, keepdims=True))


def _where(live: Any, new: Any, old: Any) -> Any:
    for _ in range(len(new.shape) - len(live.shape)):
        live = ops.expand_dims(live, -1)
    return ops.where(live, new, old)


def _position(output: Tensor, states: Sequence[Any]) -> int | None:
    """Which state the output is, if it is one."""
    for i, state in enumerate(tree.flatten(states)):
        if state is output or (output.node is not None and state.node is output.node):
            return i
    return None


__all__ = ["RNN", "CellRNN", "as_list", "check_cell"]
