"""Attention without projections: by products (Luong) and by sums (Bahdanau)."""

from __future__ import annotations

from typing import Any, ClassVar

from ranvier import ops, random
from ranvier._check import Constraint, Interval, OneOf, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.attention.parts import attended, causal_mask
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import show


class Attention(Layer):
    """``softmax(query @ key^T) @ value``, called on ``[query, value]`` or with a key.

    Query ``(rows, queries, width)``, value ``(rows, keys, values)``, key ``(rows, keys,
    width)``, the value by default; the output is ``(rows, queries, values)`` (Luong et
    al., 2015). Masks ``[query_mask, value_mask]``: values that are masked get no
    weight, outputs of masked queries are 0.

    Args:
        use_scale: whether a trained number multiplies the scores.
        score_mode: ``"dot"``, or ``"concat"`` for ``weight * sum(tanh(query + key))``.
        dropout: share of weights dropped in training.
        seed: a number; by default drawn from the process's seed.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for unknown modes, or when it is not called on a list of two
            or three; RV103 when their shapes do not fit together.

    Example:
        >>> import numpy as np
        >>> query, value = np.ones((2, 4, 3)), np.ones((2, 5, 3))
        >>> Attention()([query, value]).shape
        (2, 4, 3)
    """

    _parameters: ClassVar[dict[str, Constraint]] = {
        "score_mode": OneOf("dot", "concat"),
        "dropout": Interval(float, 0, 1),
    }

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        values = {"score_mode": score_mode, "dropout": dropout}
        check_parameters(type(self).__name__, self._parameters, values)
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = seed
        if dropout > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def build(self, input_shape: Any) -> None:
        """Makes the scale and the weight of the scores, if any."""
        self._check(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                (), "ones", name="concat_score_weight"
            )

    def _check(self, shapes: Any) -> None:
        name = type(self).__name__
        several = isinstance(shapes, (list, tuple)) and not (
            shapes and (shapes[0] is None or isinstance(shapes[0], int))
        )
        if not several or len(shapes) not in (2, 3):
            raise ShapeError(
                "RV100",
                f"{name} is called on [query, value] or [query, value, key]",
                fix=f"layers.{name}()([query, value])",
            )
        query, value, key = (*shapes, shapes[1]) if len(shapes) == 2 else shapes
        fits = (
            min(map(len, (query, value, key))) >= 2
            and _alike(query[-1], key[-1])
            and _alike(value[-2], key[-2])
        )
        if not fits:
            raise ShapeError(
                "RV103",
                f"{name}: query, value and key of shapes {show(query)}, {show(value)}, "
                f"{show(key)} do not fit together",
                details="query (rows, queries, width), key (rows, keys, width), value "
                "(rows, keys, values)",
            )

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: Any = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """The weighted means of the values, and the weights if they are asked for."""
        if not isinstance(inputs, (list, tuple)):
            self._check(inputs)
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = (mask[0], mask[1]) if mask else (None, None)
        rate = self.dropout if training else 0.0
        if (
            self._is_dot
            and query.ndim == key.ndim == value.ndim == 3
            and query.shape[0] == key.shape[0] == value.shape[0]
            and value_mask is None
            and not (rate and return_attention_scores)
        ):
            output, kept = self._as_one_head(query, key, value, rate, use_causal_mask)
        else:
            output, kept = self._in_steps(
                query, key, value, value_mask, rate, use_causal_mask
            )
        if query_mask is not None:
            output = ops.where(ops.expand_dims(query_mask, -1), output, 0.0)
        return (output, kept) if return_attention_scores else output

    def _as_one_head(
        self, query: Any, key: Any, value: Any, rate: float, causal: bool
    ) -> tuple[Any, Any]:
        """By the operation of several heads; every query sees a key."""
        if self.scale is not None:
            query = query * self.scale
        mask = causal_mask(query.shape[1], key.shape[1]) if causal else None
        output, weights = attended(
            *(ops.expand_dims(x, 2) for x in (query, key, value)),
            mask,
            1.0,
            dropout=(rate, self.seed_generator if rate else None),
        )
        return ops.squeeze(output, 2), ops.squeeze(weights, 1)

    def _in_steps(
        self,
        query: Any,
        key: Any,
        value: Any,
        value_mask: Any,
        rate: float,
        use_causal_mask: bool,
    ) -> tuple[Any, Any]:
        scores = self._scores(query, key)
        if value_mask is not None:
            value_mask = ops.expand_dims(value_mask, -2)
        if use_causal_mask:
            causal = causal_mask(scores.shape[-2], scores.shape[-1])
            value_mask = (
                causal if value_mask is None else ops.logical_and(value_mask, causal)
            )
        if value_mask is not None:
            # Lowered, not replaced: where nothing counts, weights go by the scores.
            scores = ops.where(value_mask, scores, scores - 1e9)
        weights = ops.softmax(scores, axis=-1)
        kept = weights
        if rate:
            kept = random.dropout(weights, rate, seed=self.seed_generator)
        return ops.matmul(kept, value), kept

    @property
    def _is_dot(self) -> bool:
        return self.score_mode == "dot"

    def _scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else scores * self.scale
        sums = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        if self.scale is not None:
            sums = sums * self.scale
        return self.concat_score_weight * ops.sum(ops.tanh(sums), axis=-1)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The query's mask."""
        return previous_mask[0] if previous_mask else None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


def _alike(one: Any, other: Any) -> bool:
    return one is None or other is None or one == other


class AdditiveAttention(Attention):
    """``softmax(sum(scale * tanh(query + key))) @ value`` (Bahdanau et al., 2014).

    Called like `Attention`. Weight: ``scale``, one number for each feature.

    Args:
        use_scale: whether there is a scale.
        dropout: share of weights dropped in training.
        **kwargs: see `Layer`; also `seed`.

    Raises:
        ShapeError: as `Attention`.

    Example:
        >>> import numpy as np
        >>> query, value = np.ones((2, 4, 3)), np.ones((2, 5, 3))
        >>> AdditiveAttention()([query, value]).shape
        (2, 4, 3)
    """

    def __init__(
        self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    @property
    def _is_dot(self) -> bool:
        return False

    def build(self, input_shape: Any) -> None:
        """Makes the scale."""
        self._check(input_shape)
        if self.use_scale:
            width = input_shape[0][-1]
            self.scale = self.add_weight((width,), "glorot_uniform", name="scale")

    def _scores(self, query: Any, key: Any) -> Any:
        bent = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        if self.scale is not None:
            bent = bent * self.scale
        return ops.sum(bent, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        del config["score_mode"]
        return config


__all__ = ["AdditiveAttention", "Attention"]
