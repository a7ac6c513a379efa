"""Attention by several heads, over any axes."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from ranvier._check import Interval, Optional, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.attention.parts import (
    Projecting,
    step_masks,
    unmasked,
)
from ranvier.layers.input_spec import show


class MultiHeadAttention(Projecting):
    """Several heads look at the same sequence, each through projections of its own.

    Each head computes ``softmax(q k^T / sqrt(key_dim)) v`` for ``q = query Wq``, ``k =
    key Wk``, ``v = value Wv``; the heads' results are projected together (Vaswani et
    al., 2017). Weights: kernel and bias of query, key, (gate,) value and output.

    Args:
        num_heads: how many heads.
        key_dim: width of a head's queries and keys.
        value_dim: width of a head's values; `key_dim` by default.
        dropout: share of weights dropped in training.
        use_bias: whether the projections have biases.
        output_shape: shape of an output vector; the query's width by default.
        attention_axes: the axes attended over; all but rows and features by default.
        sliding_window: if given, positions see only those less than so far away.
        flash_attention: kept for Keras's signature; must not be true.
        kernel_initializer: of the kernels.
        bias_initializer: of the biases.
        kernel_regularizer: penalty on the kernels.
        bias_regularizer: penalty on the biases.
        activity_regularizer: penalty on what each projection gives.
        kernel_constraint: applied to the kernels after each update.
        bias_constraint: applied to the biases after each update.
        use_gate: whether what the heads give is multiplied by a sigmoid of the query.
        seed: of the dropout.
        **kwargs: see `Layer`.

    Call arguments:
        query: ``(rows, queries, width)``, or with several axes of positions.
        value: ``(rows, keys, width)``.
        key: as `value`, which it is by default.
        query_mask, value_mask, key_mask: which steps count; by default the masks that
            the tensors carry.
        attention_mask: ``(rows, queries, keys)``, which pairs count.
        return_attention_scores: whether the weights ``(rows, heads, queries, keys)``
            are returned too.
        use_causal_mask: whether position i sees only positions 0 .. i.

    Where nothing counts for a query, all keys weigh alike; with dropout, or when the
    weights are returned, none does (so in Keras).

    Raises:
        ShapeError: RV100 for arguments below 1; RV103 when shapes do not fit.

    Example:
        >>> import numpy as np
        >>> layer = MultiHeadAttention(num_heads=2, key_dim=4)
        >>> layer(np.ones((3, 5, 8)), np.ones((3, 7, 8))).shape
        (3, 5, 8)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        super().__init__(**kwargs)
        self._configure({"num_heads": num_heads, "key_dim": key_dim}, given)
        check_parameters(
            "MultiHeadAttention",
            {"value_dim": Optional(Interval(int, 1))},
            {"value_dim": value_dim},
        )
        self._num_heads, self._key_dim = num_heads, key_dim
        self._value_dim = value_dim or key_dim
        self._output_shape = _sizes("output_shape", output_shape, 1)
        self._attention_axes = _sizes("attention_axes", attention_axes, None)

    @property
    def num_heads(self) -> int:
        """How many heads."""
        return self._num_heads

    @property
    def key_dim(self) -> int:
        """Width of a head's queries and keys."""
        return self._key_dim

    @property
    def value_dim(self) -> int:
        """Width of a head's values."""
        return self._value_dim

    @property
    def dropout(self) -> float:
        """Share of weights dropped in training."""
        return self._dropout

    @property
    def use_bias(self) -> bool:
        """Whether the projections have biases."""
        return self._use_bias

    @property
    def attention_axes(self) -> Any:
        """The axes attended over."""
        return self._attention_axes

    @property
    def query_dense(self) -> Any:
        """The projection of the query."""
        return self._query_dense

    @property
    def key_dense(self) -> Any:
        """The projection of the key."""
        return self._key_dense

    @property
    def value_dense(self) -> Any:
        """The projection of the value."""
        return self._value_dense

    @property
    def output_dense(self) -> Any:
        """The projection of what the heads give."""
        return self._output_dense

    def build(  # type: ignore[override]  # the shape of each argument, as in Keras
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        """Makes the projections."""
        key_shape = value_shape if key_shape is None else key_shape
        self._check_pair(value_shape, key_shape)
        rank = len(query_shape)
        if rank < 3 or len(value_shape) != rank:
            raise ShapeError(
                "RV103",
                f"MultiHeadAttention: query has shape {show(query_shape)}, value "
                f"{show(value_shape)}",
                details="both have axes (rows, positions, ..., features)",
                fix="x[:, None] makes a sequence of one step",
            )
        axes = self._attention_axes
        axes = tuple(range(1, rank - 1)) if axes is None else axes
        if any(not -rank < a < rank for a in axes):
            raise ShapeError(
                "RV100",
                f"MultiHeadAttention: attention_axes={axes} for a query of {rank} axes",
                fix="attention_axes=(1,)",
            )
        self._attention_axes = tuple(a % rank for a in axes)
        if {0, rank - 1} & set(self._attention_axes):
            raise ShapeError(
                "RV100",
                f"MultiHeadAttention: attention_axes={axes}: rows and features cannot "
                "be attended over",
                fix="attention_axes=(1,)",
            )
        heads = (self._num_heads, self._key_dim)
        values = (self._num_heads, self._value_dim)
        self._query_dense = self._projected(query_shape, 1, heads, "query")
        self._key_dense = self._projected(key_shape, 1, heads, "key")
        if self._use_gate:
            self._gate_dense = self._projected(
                query_shape, 1, values, "gate", activation="sigmoid"
            )
        self._value_dense = self._projected(value_shape, 1, values, "value")
        self._build_dropout()
        self._output_dense = self._projected(
            (*query_shape[:-1], *values),
            2,
            self._output_shape or (query_shape[-1],),
            "attention_output",
        )

    def _projected(
        self, shape: Any, bound: int, last: Sequence[int], name: str, **more: Any
    ) -> Any:
        """A projection of the last `bound` axes to new ones, built."""
        letters = iter(string.ascii_lowercase)
        free = "".join(next(letters) for _ in range(len(shape) - bound))
        summed = "".join(next(letters) for _ in range(bound))
        made = "".join(next(letters) for _ in last)
        layer = self._projection(
            f"{free}{summed},{summed}{made}->{free}{made}",
            (*(None for _ in free[1:]), *last),
            made,
            name,
            **more,
        )
        layer.build(tuple(shape))
        return layer

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: Any = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """The result of the heads, and their weights if they are asked for."""
        key = value if key is None else key
        query, value, key = unmasked(query, value, key)
        steps = step_masks(query_mask, value_mask, key_mask)
        mask = self._mask(query, value, steps, attention_mask, use_causal_mask)
        gate = self._gate_dense(query) if self._use_gate else None
        found, weights = self._compute_attention(
            self._query_dense(query),
            self._key_dense(key),
            self._value_dense(value),
            mask,
            training,
            return_attention_scores,
        )
        output = self._output_dense(found if gate is None else found * gate)
        return (output, weights) if return_attention_scores else output

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: Any = None,
        return_attention_scores: bool = False,
    ) -> tuple[Any, Any]:
        """What the heads give, and their weights; a subclass may do it otherwise."""
        return self._attend(
            *(query, key, value, attention_mask, self._key_dim),
            *(training, return_attention_scores),
            axes=self._attention_axes or (1,),
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "num_heads": self._num_heads,
            "key_dim": self._key_dim,
            "value_dim": self._value_dim,
            "output_shape": self._output_shape,
            "attention_axes": self._attention_axes,
            **self._shared_config(),
        }


def _sizes(name: str, value: Any, minimum: int | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    many = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    allowed = Interval(int, minimum)
    if not many or not all(allowed.accepts(item) for item in many):
        raise ShapeError(
            "RV100",
            f"MultiHeadAttention: {name} must be {allowed.describe()}, or several",
            details=f"received {name}={value!r}",
        )
    return tuple(int(item) for item in many)


__all__ = ["MultiHeadAttention"]
