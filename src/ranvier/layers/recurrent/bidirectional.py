"""A recurrent layer in both directions of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ranvier import ops
from ranvier._check import OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.graph import tree
from ranvier.layers import tracking
from ranvier.layers.base import Layer


class Bidirectional(Layer):
    """Two recurrent layers, one reading time forwards, one backwards.

    With `return_sequences` step ``t`` of both belongs to the input's step ``t``. Steps
    that a mask leaves out give zeros then.

    Args:
        layer: a recurrent layer (or another layer with `go_backwards`,
            `return_sequences`, `return_state`, `stateful`); it is copied.
        merge_mode: how the two outputs become one: ``"concat"``, ``"sum"``, ``"mul"``,
            ``"ave"``, or ``None`` for both.
        weights: values for the weights of both, in the order of `get_weights`.
        backward_layer: the layer that reads backwards; by default a copy of `layer`
            that does.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for what is no recurrent layer, two layers that read in the
            same direction or return different things, or another `merge_mode`.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> layers.Bidirectional(layers.GRU(4))(np.ones((2, 5, 3))).shape
        (2, 8)
    """

    forward_layer: Any
    backward_layer: Any

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Sequence[Any] | None = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        _check_layer(layer)
        if backward_layer is not None:
            _check_layer(backward_layer)
        super().__init__(**kwargs)
        check_parameters(
            "Bidirectional",
            {"merge_mode": OneOf("concat", "sum", "mul", "ave", None)},
            {"merge_mode": merge_mode},
        )
        name = layer.name.removeprefix("forward_")
        self.forward_layer = _copy(layer, name=f"forward_{name}")
        if backward_layer is None:
            name = layer.name.removeprefix("backward_")
            backward_layer = _copy(layer, name=f"backward_{name}", go_backwards=True)
        self.backward_layer = backward_layer
        if hasattr(layer, "use_cudnn"):
            for one in self._both():
                one.use_cudnn = layer.use_cudnn
        self._check_pair()
        for one in self._both():
            if getattr(one, "zero_output_for_mask", None) is not None:
                one.zero_output_for_mask = one.return_sequences
        self.merge_mode = merge_mode
        self._given = None if weights is None else list(weights)
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _both(self) -> tuple[Any, Any]:
        return self.forward_layer, self.backward_layer

    def _check_pair(self) -> None:
        first, second = self._both()
        if first.go_backwards == second.go_backwards:
            raise ShapeError(
                "RV100",
                "Bidirectional: both layers read time in the same direction",
                details=f"go_backwards={first.go_backwards} in both",
                fix=f"backward_layer=layers.LSTM(..., go_backwards="
                f"{not first.go_backwards})",
            )
        for name in ("stateful", "return_sequences", "return_state"):
            mine, other = getattr(first, name), getattr(second, name)
            if mine != other:
                raise ShapeError(
                    "RV100",
                    f"Bidirectional: the two layers differ in {name}",
                    details=f"{mine} forwards, {other} backwards",
                )

    @property
    def states(self) -> Any:
        """The states that both layers keep, when they are stateful."""
        first, second = self._both()
        if first.states and second.states:
            return (*first.states, *second.states)
        return None

    def reset_state(self) -> None:
        """Sets the states that both layers keep to zero.

        Raises:
            ShapeError: RV100, when they keep none.
        """
        if not self.stateful:
            raise ShapeError(
                "RV100",
                f"layer {self.name!r} keeps no states",
                fix="Bidirectional(layers.LSTM(units, stateful=True))",
            )
        for layer in self._both():
            layer.reset_state()

    reset_states = reset_state

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Makes the weights of both."""
        for layer in self._both():
            if not layer.built:
                with tracking.calling(layer, None):
                    layer.build(sequences_shape)
        if self._given is not None:
            self.set_weights(self._given)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = None,
    ) -> Any:
        """The merged output, with the last states of both if asked for."""
        states: list[Any] = [None, None]
        if initial_state is not None:
            half = len(initial_state) // 2
            states = [initial_state[:half], initial_state[half:]]
        found = []
        for layer, state in zip(self._both(), states, strict=True):
            further: dict[str, Any] = {} if state is None else {"initial_state": state}
            names = getattr(layer, "_call_parameters", ())
            if mask is not None and "mask" in names:
                further["mask"] = mask
            if "training" in names:
                further["training"] = training
            found.append(layer(sequences, **further))
        ends: tuple[Any, ...] = ()
        if self.return_state:
            ends = (*found[0][1:], *found[1][1:])
            found = [f[0] for f in found]
        y, back = found
        if self.return_sequences:
            back = ops.flip(back, axis=1)
        merged = self._merge(y, back)
        if not self.return_state:
            return merged
        return (*merged, *ends) if self.merge_mode is None else (merged, *ends)

    def _merge(self, y: Any, back: Any) -> Any:
        match self.merge_mode:
            case "concat":
                return ops.concatenate([y, back], axis=-1)
            case "sum":
                return y + back
            case "ave":
                return (y + back) / 2
            case "mul":
                return y * back
            case _:
                return y, back

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the inputs goes on with all outputs, and ends here otherwise."""
        masks = tree.flatten(previous_mask)
        found: Any = masks[0] if masks and self.return_sequences else None
        several = self.merge_mode is None
        if not several and not self.return_state:
            return found
        ends: list[Any] = []
        if self.return_state:
            sizes = [len(one.state_size) for one in self._both()]
            ends = [None] * sum(sizes)
        return (*((found, found) if several else (found,)), *ends)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        from ranvier.layers import serialize

        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize(self.forward_layer),
            "backward_layer": serialize(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described, without its weights."""
        from ranvier.layers import deserialize

        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize(config[name], custom_objects)
        return super().from_config(config)


def _copy(layer: Layer, **changed: Any) -> Any:
    """A layer of the same configuration, but for some arguments, without weights."""
    from ranvier.layers import deserialize, serialize

    described = serialize(layer)
    described.pop("build_config", None)
    described["config"] = {**described["config"], **changed}
    known = {type(layer).__name__: type(layer)}
    return deserialize(described, known)


def _check_layer(layer: Any) -> None:
    needed = ("go_backwards", "return_sequences", "return_state", "stateful")
    lacking = [n for n in needed if not hasattr(layer, n)]
    if not isinstance(layer, Layer) or lacking:
        what = f"without {lacking[0]!r}" if isinstance(layer, Layer) else "no layer"
        raise ShapeError(
            "RV100",
            f"Bidirectional takes a recurrent layer, got {type(layer).__name__}: {what}",
            fix="Bidirectional(layers.LSTM(units))",
        )


__all__ = ["Bidirectional"]
