"""What layers of attention share: masks, weights from scores, projections."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import constraints, initializers, ops, regularizers
from ranvier._check import Constraint, Interval, Optional, check_parameters
from ranvier.errors import ShapeError
from ranvier.graph import Tensor
from ranvier.graph.attention import MASKED, attention
from ranvier.layers.base import Layer
from ranvier.layers.dropout import Dropout
from ranvier.layers.input_spec import show
from ranvier.layers.masks import mask_of, masked


def causal_mask(queries: Any, keys: Any) -> Any:
    """``(1, queries, keys)``: position i sees positions 0 .. i."""
    return _by_position(queries, keys, lambda i, j: i >= j)


def window_mask(queries: Any, keys: Any, width: int) -> Any:
    """``(1, queries, keys)``: position i sees those less than `width` away."""
    return _by_position(queries, keys, lambda i, j: abs(i - j) < width)


def _by_position(queries: Any, keys: Any, rule: Any) -> Any:
    if isinstance(queries, int) and isinstance(keys, int):
        # A constant: made once, not in every step.
        table = rule(np.arange(queries)[:, None], np.arange(keys)[None, :])
        return Tensor(value=table[None])
    rows = ops.reshape(ops.iota(queries), (1, queries, 1))
    columns = ops.reshape(ops.iota(keys), (1, 1, keys))
    return rule(rows, columns)


def joined(masks: Sequence[Any]) -> Any:
    """Where all masks hold; ``None`` if there are none."""
    found = None
    for mask in masks:
        if mask is not None:
            mask = ops.cast(mask, "bool")
            found = mask if found is None else ops.logical_and(found, mask)
    return found


def unmasked(*tensors: Any) -> list[Any]:
    """The same tensors without the masks they carry, which are dealt with."""
    return [x if mask_of(x) is None else masked(x, None) for x in tensors]


def step_masks(query_mask: Any, value_mask: Any, key_mask: Any) -> list[Any]:
    """Masks of steps as masks of scores, ``(rows, queries, keys)``."""
    found = [] if query_mask is None else [ops.expand_dims(query_mask, -1)]
    for mask in (value_mask, key_mask):
        if mask is not None:
            found.append(ops.expand_dims(mask, -2))
    return found


def spread_mask(mask: Any, shape: Any, axes: int) -> Any:
    """A mask with the axes that it lacks of scores, put in before the positions.

    Raises:
        ShapeError: RV103 where it has too many.
    """
    lacking = len(shape) - mask.ndim
    if lacking < 0:
        raise ShapeError(
            "RV103",
            f"a mask of shape {show(mask.shape)} for scores of shape {show(shape)}",
            details="scores are (rows, heads, queries, keys)",
            fix="an attention_mask (rows, queries, keys)",
        )
    place = max(mask.ndim - 2 * axes, 0)
    return ops.expand_dims(mask, tuple(range(place, place + lacking)))


def weights_of(scores: Any, mask: Any, axes: int, empty_is_zero: bool) -> Any:
    """Scores as weights that sum to 1 over the last `axes` axes.

    Args:
        scores: ``(rows, ..., heads, queries, keys)``.
        mask: which pairs count; axes that it lacks are put in before the positions.
        axes: how many axes queries have, and keys.
        empty_is_zero: where nothing counts, weights are 0; otherwise all alike.
    """
    if mask is not None:
        mask = spread_mask(mask, scores.shape, axes)
        scores = ops.where(mask, scores, MASKED)
    last = -1 if axes == 1 else tuple(range(-axes, 0))
    weights = ops.softmax(scores, axis=last)
    return (
        ops.where(mask, weights, 0.0) if empty_is_zero and mask is not None else weights
    )


def attended(
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    scale: float,
    dropout: tuple[float, Any] = (0.0, None),
    empty_is_zero: bool = False,
) -> Any:
    """What several heads give, and their weights, as one operation.

    Args:
        query: ``(rows, queries, heads, width)``.
        key: ``(rows, keys, heads, width)``.
        value: ``(rows, keys, heads, ...)``.
        mask: which pairs count; axes that it lacks are put in before the positions.
        scale: scores are multiplied by it.
        dropout: share of weights dropped, and the generator that says which; the
            weights that come back are then of no use.
        empty_is_zero: where nothing counts, weights are 0; otherwise all alike.
    """
    rate, seeds = dropout
    shape = (query.shape[0], query.shape[2], query.shape[1], key.shape[1])
    rest = [seeds.next()] if rate else []
    rest += [] if mask is None else [spread_mask(mask, shape, 1)]
    return attention(
        *(query, key, value, *rest),
        scale=scale,
        rate=rate,
        empty_is_zero=empty_is_zero,
    )


def _equations(rank: int, axes: Sequence[int]) -> tuple[str, str]:
    """How queries meet keys, and weights values: (rows, positions, heads, features)."""
    query = string.ascii_lowercase[:rank]
    key = "".join(c.upper() if i in axes else c for i, c in enumerate(query))
    rest = "".join(query[i] for i in range(rank - 1) if i not in axes)
    scores = rest + "".join(query[i] for i in axes) + "".join(key[i] for i in axes)
    return f"{query},{key}->{scores}", f"{scores},{key}->{query}"


class Projecting(Layer):
    """Base of attention with projections of query, key, value and result.

    Subclasses set the shape-independent attributes and make the projections in `build`
    by `_projection`.
    """

    _dropout: float
    _sliding_window: int | None

    def _configure(self, own: dict[str, Any], given: dict[str, Any]) -> None:
        """Checks what all kinds take, and keeps it.

        Args:
            own: whole numbers that must be at least 1.
            given: the shared arguments.
        """
        name = type(self).__name__
        check_parameters(name, {key: Interval(int, 1) for key in own}, own)
        shared: dict[str, Constraint] = {
            "dropout": Interval(float, 0, 1),
            "sliding_window": Optional(Interval(int, 1)),
        }
        check_parameters(name, shared, {key: given[key] for key in shared})
        if given["flash_attention"]:
            raise ShapeError(
                "RV100",
                f"{name}: flash_attention=True is not supported: there is one kernel",
                fix="leave it out",
            )
        self.supports_masking = True
        self._dropout = given["dropout"]
        self._use_bias, self._use_gate = given["use_bias"], given["use_gate"]
        self._sliding_window = given["sliding_window"]
        self._kernel_initializer = initializers.get(given["kernel_initializer"])
        self._bias_initializer = initializers.get(given["bias_initializer"])
        self._kernel_regularizer = regularizers.get(given["kernel_regularizer"])
        self._bias_regularizer = regularizers.get(given["bias_regularizer"])
        self._activity_regularizer = regularizers.get(given["activity_regularizer"])
        self._kernel_constraint = constraints.get(given["kernel_constraint"])
        self._bias_constraint = constraints.get(given["bias_constraint"])
        self.seed = given["seed"]

    def _projection(
        self, equation: str, shape: Sequence[Any], bias: str, name: str, **more: Any
    ) -> Any:
        """An `EinsumDense` with the layer's initializers, penalties and dtype."""
        from ranvier.layers.einsum_dense import EinsumDense

        def anew(initializer: Any) -> Any:
            # One object gives the same values each time; each projection has its own.
            make = getattr(type(initializer), "from_config", None)
            return initializer if make is None else make(initializer.get_config())

        return EinsumDense(
            equation,
            tuple(shape),
            bias_axes=bias if self._use_bias else None,
            kernel_initializer=anew(self._kernel_initializer),
            bias_initializer=anew(self._bias_initializer),
            kernel_regularizer=self._kernel_regularizer,
            bias_regularizer=self._bias_regularizer,
            activity_regularizer=self._activity_regularizer,
            kernel_constraint=self._kernel_constraint,
            bias_constraint=self._bias_constraint,
            dtype=self.dtype_policy,
            name=name,
            **more,
        )

    def _build_dropout(self) -> None:
        self._dropout_layer = Dropout(
            self._dropout, seed=self.seed, dtype=self.dtype_policy
        )

    def _mask(
        self, query: Any, value: Any, steps: Sequence[Any], given: Any, causal: bool
    ) -> Any:
        """All masks of scores together; ``None`` if every pair counts."""
        queries, keys = query.shape[1], value.shape[1]
        masks = [*steps, given]
        if causal:
            masks.append(causal_mask(queries, keys))
        if self._sliding_window is not None:
            masks.append(window_mask(queries, keys, self._sliding_window))
        return joined(masks)

    def _attend(
        self,
        query: Any,
        key: Any,
        value: Any,
        mask: Any,
        width: int,
        training: Any,
        weights_wanted: bool,
        axes: Sequence[int] = (1,),
    ) -> tuple[Any, Any]:
        """What the heads give, and their weights (no use unless they are wanted)."""
        # As in Keras: with dropout, or when weights are asked for, queries that see
        # nothing give 0.
        empty_is_zero = self._dropout > 0 or weights_wanted
        rate, scale = self._dropout if training else 0.0, 1.0 / math.sqrt(width)
        if query.ndim == 4 and not (rate and weights_wanted):
            seeds = self._dropout_layer.seed_generator if rate else None
            return attended(
                *(query, key, value, mask, scale),
                dropout=(rate, seeds),
                empty_is_zero=empty_is_zero,
            )
        score, combine = _equations(query.ndim, axes)
        scores = ops.einsum(score, query * scale, key)
        weights = weights_of(scores, mask, len(axes), empty_is_zero)
        kept = self._dropout_layer(weights, training=training) if rate else weights
        return ops.einsum(combine, kept, value), weights

    def _check_pair(self, value_shape: Any, key_shape: Any) -> None:
        alike = all(
            v is None or k is None or v == k
            for v, k in zip(value_shape[1:-1], key_shape[1:-1], strict=False)
        )
        if len(value_shape) != len(key_shape) or not alike:
            raise ShapeError(
                "RV103",
                f"{type(self).__name__}: value has shape {show(value_shape)}, key "
                f"{show(key_shape)}",
                details="all axes but the last must be equal",
            )

    def _shared_config(self) -> dict[str, Any]:
        return {
            "dropout": self._dropout,
            "use_bias": self._use_bias,
            "use_gate": self._use_gate,
            "sliding_window": self._sliding_window,
            "kernel_initializer": initializers.serialize(self._kernel_initializer),
            "bias_initializer": initializers.serialize(self._bias_initializer),
            "kernel_regularizer": regularizers.serialize(self._kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self._bias_regularizer),
            "activity_regularizer": regularizers.serialize(self._activity_regularizer),
            "kernel_constraint": constraints.serialize(self._kernel_constraint),
            "bias_constraint": constraints.serialize(self._bias_constraint),
            "seed": self.seed,
        }
