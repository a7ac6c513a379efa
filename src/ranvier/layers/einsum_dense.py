"""Dense layers over any axes, written as an einsum."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ranvier import activations, constraints, initializers, ops, regularizers
from ranvier.errors import ShapeError
from ranvier.initializers import VarianceScaling
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec, show

_FORM = re.compile(
    r"(?P<before>\.\.\.)?(?P<x>[a-zA-Z]+)(?P<behind>\.\.\.)?,(?P<w>[a-zA-Z]+)->"
    r"(?P<out_before>\.\.\.)?(?P<y>[a-zA-Z]+)(?P<out_behind>\.\.\.)?"
)

#: Written by Keras for quantized and low-rank layers; only None means this layer.
_UNSUPPORTED = (
    "lora_rank",
    "lora_alpha",
    "gptq_unpacked_column_size",
    "quantization_config",
)


@dataclass(frozen=True)
class _Plan:
    """What an equation says about the weights, for one input shape."""

    kernel: tuple[int, ...]
    bias: tuple[int, ...] | None
    output: tuple[int | None, ...]
    #: axes of the kernel that are summed over, and those that are not
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def _refused(problem: str, fix: str = "") -> ShapeError:
    return ShapeError("RV100", f"EinsumDense: {problem}", fix=fix)


def _parse(equation: Any) -> dict[str, str]:
    found = _FORM.fullmatch(re.sub(r"\s", "", equation)) if _is_text(equation) else None
    if found is None:
        raise _refused(
            f"equation={equation!r} is none of x,w->y, ...x,w->...y, x...,w->y...",
            "equation='abc,cd->abd'",
        )
    parts = {k: v or "" for k, v in found.groupdict().items()}
    one_side = not (parts["before"] and parts["behind"])
    alike = (parts["before"], parts["behind"]) == (
        parts["out_before"],
        parts["out_behind"],
    )
    if not one_side or not alike:
        raise _refused(
            f"equation={equation!r}: dots stand on one side, of input and output alike",
            "equation='...c,cd->...d'",
        )
    for which in ("x", "w", "y"):
        if len(set(parts[which])) != len(parts[which]):
            raise _refused(
                f"equation={equation!r}: a letter stands twice in {parts[which]!r}",
                "a letter of its own for each axis",
            )
    for letter in parts["y"]:
        if letter not in parts["x"] + parts["w"]:
            raise _refused(
                f"equation={equation!r}: axis {letter!r} of the output is neither in "
                f"the input {parts['x']!r} nor in the weight {parts['w']!r}"
            )
    for letter in parts["w"]:
        if letter not in parts["x"] + parts["y"]:
            raise _refused(
                f"equation={equation!r}: axis {letter!r} of the weight is neither in "
                f"the input {parts['x']!r} nor in the output {parts['y']!r}"
            )
    return parts


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _plan(
    equation: str, bias_axes: str | None, shape: Sequence[Any], partial: Sequence[Any]
) -> _Plan:
    """Shapes of weights and output.

    Args:
        equation: the einsum.
        bias_axes: letters of the output that the bias has.
        shape: the input's.
        partial: the output's, without the rows and without what dots stand for.
    """
    parts = _parse(equation)
    x, w, y = parts["x"], parts["w"], parts["y"]
    dots = parts["before"] or parts["behind"]
    elided = len(shape) - len(x)
    if elided < 0 or (elided and not dots):
        raise ShapeError(
            "RV103",
            f"EinsumDense: {equation!r} takes {'at least ' if dots else ''}{len(x)} "
            f"axes, the input has shape {show(shape)}",
        )
    if parts["before"]:
        # The rows are among the axes that the dots stand for, or the first letter.
        full = [*shape[: max(elided, 1)], *partial]
        x_at = {letter: i + elided for i, letter in enumerate(x)}
        y_at = {letter: i + elided for i, letter in enumerate(y)}
    else:
        full = [shape[0], *partial, *shape[len(shape) - elided :]]
        x_at = {letter: i for i, letter in enumerate(x)}
        y_at = {letter: i for i, letter in enumerate(y)}
    if len(full) != len(y) + elided:
        missing = len(y) - (0 if parts["before"] and elided else 1)
        raise _refused(
            f"output_shape={tuple(partial)} has {len(partial)} sizes, {equation!r} "
            f"needs {missing}",
            "the sizes of the output without the rows, and without what dots stand for",
        )
    for letter, at in y_at.items():
        if letter not in x_at:
            continue
        own, given = shape[x_at[letter]], full[at]
        if given is None:
            full[at] = own
        elif own != given:
            raise ShapeError(
                "RV103",
                f"EinsumDense: axis {letter!r} of {equation!r} has size {own} in the "
                f"input and {given} in output_shape",
                details=f"input shape {show(shape)}",
                fix="the same size, or None in output_shape",
            )
    kernel: list[int] = []
    inputs: list[int] = []
    outputs: list[int] = []
    for i, letter in enumerate(w):
        size = full[y_at[letter]] if letter in y_at else shape[x_at[letter]]
        if size is None:
            raise _refused(
                f"the size of the weight's axis {letter!r} is not known",
                "a number for it in output_shape, or a fixed input size",
            )
        kernel.append(int(size))
        (outputs if letter in y_at else inputs).append(i)
    bias = None
    if bias_axes is not None:
        bias = _bias_shape(equation, bias_axes, y, [full[y_at[c]] for c in y])
        if not parts["before"]:
            bias += (1,) * elided
    return _Plan(tuple(kernel), bias, tuple(full), tuple(inputs), tuple(outputs))


def _bias_shape(
    equation: str, letters: str, y: str, sizes: Sequence[Any]
) -> tuple[int, ...]:
    for letter in letters:
        if letter not in y:
            raise _refused(
                f"bias_axes={letters!r}: {letter!r} is no axis of the output {y!r}",
                f"letters of {y!r}",
            )
    first = min(y.index(letter) for letter in letters)
    shape = tuple(
        size if c in letters else 1
        for c, size in zip(y[first:], sizes[first:], strict=True)
    )
    if None in shape:
        raise _refused(
            f"bias_axes={letters!r} of {equation!r}: a size is not known",
            "a number for it in output_shape",
        )
    return shape


def _is_dense(equation: str, bias_axes: str | None) -> bool:
    """Whether the last axes of the input become new last axes, with a bias for each."""
    parts = _parse(equation)
    x, w, y = parts["x"], parts["w"], parts["y"]
    summed = "".join(c for c in w if c not in y)
    made = "".join(c for c in w if c in y)
    return (
        not parts["behind"]
        and bool(summed)
        and w == summed + made
        and x.endswith(summed)
        and y == x[: len(x) - len(summed)] + made
        and bias_axes in (None, made)
    )


class EinsumDense(Layer):
    """``activation(einsum(equation, inputs, kernel) + bias)``.

    Weights: ``kernel``, with the axes that the equation gives it, and ``bias``.

    Args:
        equation: `"x,w->y"` with a letter for each axis; dots stand for further axes
            on one side: `"...x,w->...y"` or `"x...,w->y..."`.
        output_shape: sizes of the output without the rows and without what dots stand
            for; `None` where the size is that of the input.
        activation: a name or a function; none by default.
        bias_axes: letters of the output that the bias has; no bias by default.
        kernel_initializer: of the kernel.
        bias_initializer: of the bias.
        kernel_regularizer: penalty on the kernel.
        bias_regularizer: penalty on the bias.
        kernel_constraint: applied to the kernel after each update.
        bias_constraint: applied to the bias after each update.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for an equation that cannot be used, RV103 when input and
            equation do not fit together.

    Example:
        >>> import numpy as np
        >>> layer = EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de")
        >>> layer(np.zeros((4, 5, 6))).shape, layer.count_params()
        ((4, 5, 2, 3), 42)
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        for name in _UNSUPPORTED:
            if kwargs.pop(name, None) is not None:
                raise _refused(
                    f"{name} is not supported: no quantized weights, no LoRA"
                )
        super().__init__(**kwargs)
        _parse(equation)
        sizes = (output_shape,) if isinstance(output_shape, int) else output_shape
        if not isinstance(sizes, (list, tuple)) or not all(
            s is None or (isinstance(s, int) and not isinstance(s, bool) and s > 0)
            for s in sizes
        ):
            raise _refused(
                f"output_shape={output_shape!r} must be sizes >= 1, None where free",
                "output_shape=(None, 64)",
            )
        self.equation = equation
        self.partial_output_shape = tuple(sizes)
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Any) -> None:
        """Makes kernel and bias."""
        plan = _plan(
            self.equation, self.bias_axes, input_shape, self.partial_output_shape
        )
        self.kernel = self.add_weight(
            plan.kernel,
            self._initializer(plan),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if plan.bias is not None:
            self.bias = self.add_weight(
                plan.bias,
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )
        self.input_spec = InputSpec(ndim=len(input_shape))

    def _initializer(self, plan: _Plan) -> Any:
        """The kernel's; one that counts connections is told which axes are inputs."""
        own = self.kernel_initializer
        if not isinstance(own, VarianceScaling) or not (
            own.input_axes is None or own.output_axes is None
        ):
            return own
        arguments = {
            **own.get_config(),
            "seed": own.seed,
            "input_axes": plan.inputs,
            "output_axes": plan.outputs,
        }
        return type(own)(**arguments)

    def call(self, inputs: Any, training: Any = None) -> Any:
        """``activation(einsum(equation, inputs, kernel) + bias)``."""
        if _is_dense(self.equation, self.bias_axes):
            return self._as_matrix(inputs)
        x = ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return self.activation(x)

    def _as_matrix(self, inputs: Any) -> Any:
        """The same with one matrix, to whose product an engine can add the bias."""
        parts = _parse(self.equation)
        bound = sum(letter not in parts["y"] for letter in parts["w"])
        summed, made = self.kernel.shape[:bound], self.kernel.shape[bound:]
        free = tuple(inputs.shape[: inputs.ndim - bound])
        matrix = ops.reshape(self.kernel, (math.prod(summed), math.prod(made)))
        x = ops.matmul(ops.reshape(inputs, (*free, math.prod(summed))), matrix)
        if self.bias is not None:
            x = ops.add(x, ops.reshape(self.bias, (math.prod(made),)))
        return self.activation(ops.reshape(x, (*free, *made)))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        optional = {
            "activity_regularizer": (regularizers, self.activity_regularizer),
            "kernel_regularizer": (regularizers, self.kernel_regularizer),
            "bias_regularizer": (regularizers, self.bias_regularizer),
            "kernel_constraint": (constraints, self.kernel_constraint),
            "bias_constraint": (constraints, self.bias_constraint),
        }
        return {
            **super().get_config(),
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            **{
                name: None if value is None else module.serialize(value)
                for name, (module, value) in optional.items()
            },
            "quantization_config": None,
        }


__all__ = ["EinsumDense"]
