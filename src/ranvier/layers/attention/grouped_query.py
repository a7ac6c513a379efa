"""Attention by many query heads that share few heads of keys and values."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.layers.attention.parts import Projecting, step_masks, unmasked
from ranvier.layers.input_spec import show


class GroupedQueryAttention(Projecting):
    """`MultiHeadAttention` whose query heads share keys and values in groups.

    `num_query_heads / num_key_value_heads` neighbouring heads of queries look at the
    same keys and values (Ainslie et al., 2023); one head of keys and values for all is
    multi-query attention. In Keras's modules it is called `GroupQueryAttention`.
    Weights: kernel and bias of query, key, (gate,) value and output.

    Args:
        head_dim: width of a head.
        num_query_heads: heads of queries.
        num_key_value_heads: heads of keys and values; divides the former.
        dropout: share of weights dropped in training.
        use_bias: whether the projections have biases.
        sliding_window: if given, positions see only those less than so far away.
        flash_attention: kept for Keras's signature; must not be true.
        kernel_initializer: of the kernels.
        bias_initializer: of the biases.
        kernel_regularizer: penalty on the kernels.
        bias_regularizer: penalty on the biases.
        activity_regularizer: penalty on what each projection gives, and on the output.
        kernel_constraint: applied to the kernels after each update.
        bias_constraint: applied to the biases after each update.
        use_gate: whether what the heads give is multiplied by a sigmoid of the query.
        seed: of the dropout.
        **kwargs: see `Layer`.

    Call arguments are those of `MultiHeadAttention`.

    Raises:
        ShapeError: RV100 for numbers below 1, or heads that cannot be divided; RV103
            when shapes do not fit.

    Example:
        >>> import numpy as np
        >>> layer = GroupedQueryAttention(4, num_query_heads=6, num_key_value_heads=2)
        >>> layer(np.ones((3, 5, 8)), np.ones((3, 7, 8))).shape
        (3, 5, 8)
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        own = ("head_dim", "num_query_heads", "num_key_value_heads")
        self._configure({name: given[name] for name in own}, given)
        if num_query_heads % num_key_value_heads:
            raise ShapeError(
                "RV100",
                f"GroupQueryAttention: {num_query_heads} heads of queries cannot share "
                f"{num_key_value_heads} heads of keys evenly",
                fix="num_key_value_heads that divides num_query_heads",
            )
        self.head_dim = head_dim
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads
        self.num_repeats = num_query_heads // num_key_value_heads

    def build(  # type: ignore[override]  # the shape of each argument, as in Keras
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        """Makes the projections."""
        key_shape = value_shape if key_shape is None else key_shape
        self._check_pair(value_shape, key_shape)
        if len(query_shape) != 3 or len(value_shape) != 3:
            raise ShapeError(
                "RV103",
                f"GroupQueryAttention: query has shape {show(query_shape)}, value "
                f"{show(value_shape)}",
                details="both are (rows, positions, features)",
            )
        width = query_shape[-1]
        wide = (None, self.num_query_heads, self.head_dim)
        few = (None, self.num_key_value_heads, self.head_dim)
        to_queries, to_keys = "bqm,muh->bquh", "bkm,mvh->bkvh"
        self._query_dense = self._projection(to_queries, wide, "uh", "query")
        self._query_dense.build(query_shape)
        self._key_dense = self._projection(to_keys, few, "vh", "key")
        self._key_dense.build(key_shape)
        if self._use_gate:
            self._gate_dense = self._projection(
                to_queries, wide, "uh", "gate", activation="sigmoid"
            )
            self._gate_dense.build(query_shape)
        self._value_dense = self._projection(to_keys, few, "vh", "value")
        self._value_dense.build(value_shape)
        self._build_dropout()
        self._output_dense = self._projection(
            "bquh,uhm->bqm", (None, width), "m", "attention_output"
        )
        self._output_dense.build((*query_shape[:2], *wide[1:]))

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
        q, k, v = (
            self._query_dense(query),
            self._key_dense(key),
            self._value_dense(value),
        )
        # Neighbouring heads of queries share one of keys.
        k, v = (ops.repeat(x, self.num_repeats, axis=2) for x in (k, v))
        found, weights = self._attend(
            q, k, v, mask, self.head_dim, training, return_attention_scores
        )
        output = self._output_dense(found if gate is None else found * gate)
        return (output, weights) if return_attention_scores else output

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "head_dim": self.head_dim,
            "num_query_heads": self.num_query_heads,
            "num_key_value_heads": self.num_key_value_heads,
            **self._shared_config(),
        }


__all__ = ["GroupedQueryAttention"]
