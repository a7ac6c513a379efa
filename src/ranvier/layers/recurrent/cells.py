"""What the built-in cells share: weights, gates, dropout, configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ranvier import activations, constraints, initializers, ops, random, regularizers
from ranvier._check import Interval, OneOf, check_parameters
from ranvier.layers.base import Layer

#: Arguments that are objects of a kind, and the module that makes and writes them.
_OBJECTS: dict[str, Any] = {
    "activation": activations,
    "recurrent_activation": activations,
    "kernel_initializer": initializers,
    "recurrent_initializer": initializers,
    "bias_initializer": initializers,
    "kernel_regularizer": regularizers,
    "recurrent_regularizer": regularizers,
    "bias_regularizer": regularizers,
    "activity_regularizer": regularizers,
    "kernel_constraint": constraints,
    "recurrent_constraint": constraints,
    "bias_constraint": constraints,
}


def written(name: str, value: Any) -> Any:
    """An argument of a cell as plain data."""
    module = _OBJECTS.get(name)
    if module is None or (value is None and module is not activations):
        return value
    return module.serialize(value)


class GatedCell(Layer):
    """A cell of `units` numbers whose gates are one product of the input and the state.

    Args:
        arguments: the constructor's arguments by Keras's names.
        implementation: 1 draws a mask of its own for every gate (always so with
            recurrent dropout), 2 one for all.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for `units` below 1 or a rate outside 0 .. 1.
    """

    #: How many products of width `units` the cell needs.
    gates: ClassVar[int] = 1
    #: The argument that says how many numbers a state has.
    _width: ClassVar[str] = "units"

    units: int
    activation: Any
    recurrent_activation: Any
    use_bias: bool
    dropout: float
    recurrent_dropout: float
    seed: int | None

    _parameters: ClassVar[dict[str, Any]] = {
        "units": Interval(int, 1),
        "filters": Interval(int, 1),
        "dropout": Interval(float, 0, 1),
        "recurrent_dropout": Interval(float, 0, 1),
        "implementation": OneOf(1, 2),
    }

    def __init__(
        self, arguments: dict[str, Any], implementation: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        names = (self._width, "dropout", "recurrent_dropout")
        given = {name: arguments[name] for name in names}
        given["implementation"] = implementation
        check_parameters(type(self).__name__, self._parameters, given)
        self._names = tuple(arguments)
        for name, value in arguments.items():
            module = _OBJECTS.get(name)
            setattr(self, name, value if module is None else module.get(value))
        self.implementation = 1 if self.recurrent_dropout else implementation
        if self.dropout or self.recurrent_dropout:
            self.seed_generator = random.SeedGenerator(self.seed)
        self.units = getattr(self, self._width)
        self.state_size: Any = self.units
        self.output_size = self.units
        self._masks: tuple[Any, Any] | None = None

    # -- weights ----------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Makes kernel, recurrent kernel and bias."""
        width = self.gates * self.units
        self.kernel = self._weight("kernel", (input_shape[-1], width))
        self.recurrent_kernel = self._weight("recurrent_kernel", (self.units, width))
        self.bias = self._weight("bias", self._bias_shape()) if self.use_bias else None

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _weight(self, name: str, shape: tuple[int, ...]) -> Any:
        role = name.split("_")[0]
        return self.add_weight(
            shape,
            self._bias_start()
            if name == "bias"
            else getattr(self, f"{role}_initializer"),
            regularizer=getattr(self, f"{role}_regularizer"),
            constraint=getattr(self, f"{role}_constraint"),
            name=name,
        )

    def _bias_start(self) -> Any:
        return self.bias_initializer  # type: ignore[attr-defined]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for each part of the state."""
        sizes = self.state_size
        sizes = sizes if isinstance(sizes, (list, tuple)) else [sizes]
        return [ops.zeros((batch_size, n), dtype=self.compute_dtype) for n in sizes]

    # -- dropout ----------------------------------------------------------------------

    def draw_masks(self, batch: Any) -> None:
        """Draws what is dropped in all steps of a batch; `forget_masks` ends that."""
        self._masks = (
            self._mask(self.dropout, batch, self.kernel.shape[0]),
            self._mask(self.recurrent_dropout, batch, self.units),
        )

    def forget_masks(self) -> None:
        """Every call draws anew."""
        self._masks = None

    def _mask(self, rate: float, batch: Any, width: Any) -> Any:
        if not self._drops(rate):
            return None
        count = self.gates if self.implementation == 1 else 1
        sizes = width if isinstance(width, tuple) else (width,)
        ones = ops.ones((batch, *sizes), dtype=self.compute_dtype)
        return [
            random.dropout(ones, rate, seed=self.seed_generator) for _ in range(count)
        ]

    def _drops(self, rate: float) -> bool:
        return 0 < rate < 1

    def _dropped(self, x: Any, states: Sequence[Any], training: Any) -> tuple[Any, Any]:
        """Input and state for each gate, or one for all."""
        h = states[0]
        if not training:
            return [x], [h]
        before = self._masks
        if before is None:
            self.draw_masks(x.shape[0])
        assert self._masks is not None
        inputs, recurrent = self._masks
        self._masks = before
        return (
            [x] if inputs is None else [x * m for m in inputs],
            [h] if recurrent is None else [h * m for m in recurrent],
        )

    # -- products ---------------------------------------------------------------------

    def _product(self, inputs: Sequence[Any], kernel: Any, bias: Any = None) -> Any:
        """``inputs @ kernel + bias``; with an input for each gate, gate by gate."""
        if len(inputs) == 1:
            z = ops.matmul(inputs[0], kernel)
        else:
            parts = ops.split(kernel, len(inputs), axis=1)
            z = ops.concatenate(
                [ops.matmul(x, k) for x, k in zip(inputs, parts, strict=True)], axis=-1
            )
        return z if bias is None else z + bias

    # -- configuration ----------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {name: written(name, getattr(self, name)) for name in self._names}
        return {**super().get_config(), **own}


def own_arguments(scope: dict[str, Any], drop: Sequence[str] = ()) -> dict[str, Any]:
    """The arguments of a constructor out of its ``locals()``."""
    skip = {"self", "kwargs", "__class__", *drop}
    return {name: value for name, value in scope.items() if name not in skip}
