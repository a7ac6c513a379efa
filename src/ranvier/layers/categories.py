"""Layers that turn numbers into categories, and categories into columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ranvier import ops
from ranvier._check import Constraint, Interval, OneOf, check_parameters
from ranvier.data.arrays import as_leaf, is_array
from ranvier.errors import DataError, ShapeError
from ranvier.layers.base import Layer


def encoded(
    indices: Any, mode: str, depth: int, dtype: str, weights: Any = None
) -> Any:
    """Indices in one of the output modes that layers of categories have.

    Args:
        indices: whole numbers.
        mode: `"int"`: as they are; `"one_hot"`: a column for each index, where a last
            axis of one element gives way; `"multi_hot"` and `"count"`: which indices a
            row has, and how often.
        depth: how many columns.
        dtype: of the result.
        weights: in `"count"`, how much each index counts.
    """
    if mode == "int":
        return ops.cast(indices, dtype)
    if indices.ndim == 0:
        indices = ops.expand_dims(indices, -1)
    if mode == "multi_hot":
        return ops.multi_hot(indices, depth, dtype=dtype)
    if mode == "one_hot":
        if indices.ndim > 1 and indices.shape[-1] == 1:
            indices = ops.squeeze(indices, -1)
        return ops.one_hot(indices, depth, dtype=dtype)
    columns = ops.one_hot(indices, depth, dtype=dtype)
    if weights is not None:
        columns = columns * ops.expand_dims(weights, -1)
    return ops.sum(columns, axis=1 if indices.ndim > 1 else 0)


def no_sparse(owner: str, sparse: Any) -> None:
    """Refuses sparse outputs.

    Raises:
        ShapeError: RV100.
    """
    if sparse:
        raise ShapeError(
            "RV100", f"{owner}: there are no sparse tensors", fix="sparse=False"
        )


class CategoryEncoding(Layer):
    """Whole numbers from 0 to `num_tokens` - 1 as columns of zeros and ones, or counts.

    Args:
        num_tokens: how many columns.
        output_mode: `"multi_hot"`: 1 for every number in a row; `"count"`: how often
            it has it; `"one_hot"`: a row of columns for each number.
        sparse: only False.
        **kwargs: see `Layer`.

    Numbers outside the range have no column.

    Raises:
        ShapeError: RV100 for another mode or number of tokens, or for `count_weights`
            in another mode than `"count"`.

    Example:
        >>> import numpy as np
        >>> CategoryEncoding(3)(np.array([[0, 2], [1, 1]])).numpy().tolist()
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """

    _parameters: ClassVar[dict[str, Constraint]] = {
        "num_tokens": Interval(int, 1),
        "output_mode": OneOf("multi_hot", "one_hot", "count"),
    }

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if output_mode == "binary":  # its name in Keras 2
            output_mode = "multi_hot"
        given = {"num_tokens": num_tokens, "output_mode": output_mode}
        check_parameters("CategoryEncoding", self._parameters, given)
        no_sparse("CategoryEncoding", sparse)
        self.num_tokens, self.output_mode = num_tokens, output_mode
        self.sparse = False
        self.built = True

    def call(self, inputs: Any, count_weights: Any = None) -> Any:
        """The columns."""
        if count_weights is not None:
            if self.output_mode != "count":
                raise ShapeError(
                    "RV100",
                    "CategoryEncoding: count_weights have no use when output_mode is "
                    f"{self.output_mode!r}",
                    fix="output_mode='count'",
                )
            count_weights = ops.cast(count_weights, self.compute_dtype)
        assert self.num_tokens is not None
        return encoded(
            inputs, self.output_mode, self.num_tokens, self.compute_dtype, count_weights
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, those that Keras writes."""
        return {
            **super().get_config(),
            "num_tokens": self.num_tokens,
            "output_mode": self.output_mode,
        }


class Discretization(Layer):
    """Numbers as the index of the interval they fall into.

    With boundaries `b` the index of `x` is the count of boundaries not above it. They
    are given, or taken from data by `adapt` so that about equally many values fall into
    each of `num_bins` intervals.

    Args:
        bin_boundaries: the boundaries, in ascending order.
        num_bins: how many intervals `adapt` makes.
        epsilon: how far quantiles of large data may be off; data are summarized by
            `1 / epsilon` values.
        output_mode: `"int"`, or columns: `"one_hot"`, `"multi_hot"`, `"count"`.
        sparse: only False.
        dtype: of the columns.
        name: a name.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 unless one of `bin_boundaries` and `num_bins` is given, for
            another mode, or RV106 when it is called before it has boundaries.

    Example:
        >>> import numpy as np
        >>> Discretization([0.0, 1.0])(np.array([-0.5, 0.0, 9.0])).numpy()
        array([0, 1, 2], dtype=int32)
    """

    _parameters: ClassVar[dict[str, Constraint]] = {
        "output_mode": OneOf("int", "one_hot", "multi_hot", "count")
    }

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, name=name, **kwargs)
        check_parameters(
            "Discretization", self._parameters, {"output_mode": output_mode}
        )
        no_sparse("Discretization", sparse)
        if (bin_boundaries is None) == (num_bins is None):
            raise ShapeError(
                "RV100",
                "Discretization: either bin_boundaries or num_bins is given",
                details=f"received bin_boundaries={bin_boundaries}, num_bins={num_bins}",
                fix="num_bins=10 and adapt(data), or bin_boundaries=[0.0, 1.0]",
            )
        if num_bins is not None:
            bins = {"num_bins": Interval(int, 0)}
            check_parameters("Discretization", bins, {"num_bins": num_bins})
        self.bin_boundaries = None if bin_boundaries is None else list(bin_boundaries)
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.sparse = False

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Takes the boundaries from data.

        Args:
            data: an array, or an iterable of batches.
            steps: at most so many batches of an iterable.

        Raises:
            ShapeError: RV100 when boundaries were given.
            DataError: RV203 for what are no numbers, RV207 for no values.
        """
        if self.num_bins is None:
            raise ShapeError(
                "RV100",
                "Discretization: adapt() has no use when bin_boundaries are given",
                fix="Discretization(num_bins=10)",
            )
        one = is_array(data) and not isinstance(data, (list, tuple))
        summary = np.zeros((2, 0), "float32")
        for step, batch in enumerate([data] if one else data):
            if not one and steps is not None and step >= steps:
                break
            values = as_leaf(np.atleast_1d(np.asarray(batch)), "data")
            summary = _merged(_summary(values, self.epsilon), summary, self.epsilon)
        if not summary.shape[1]:
            raise DataError(
                "RV207", "Discretization: the data to adapt to have no values"
            )
        found = _compressed(summary, 1.0 / self.num_bins)[0, :-1]
        self.bin_boundaries = found.tolist()
        self._eager.clear()

    def call(self, inputs: Any) -> Any:
        """The index of each number's interval, or the columns."""
        bounds = self.bin_boundaries
        if bounds is None:
            raise ShapeError(
                "RV106",
                f"layer {self.name!r} has no boundaries yet",
                fix="layer.adapt(data), or bin_boundaries=[...]",
            )
        row = np.asarray(bounds, "float32")
        indices = ops.digitize(ops.cast(inputs, "float32"), row)
        mode = self.output_mode
        dtype = "int32" if mode == "int" else self.compute_dtype
        return encoded(indices, mode, len(bounds) + 1, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, and the boundaries that `adapt` found."""
        return {
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name,
            "dtype": self.dtype,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """The layer that `get_config` described, adapted if it was."""
        config = dict(config)
        bounds = config.get("bin_boundaries")
        if config.get("num_bins") is not None:
            config["bin_boundaries"] = None
        layer = super().from_config(config)
        layer.bin_boundaries = bounds
        return layer


def _summary(values: np.ndarray[Any, Any], epsilon: float) -> np.ndarray[Any, Any]:
    """At most about `1 / epsilon` of the values, evenly by rank, and their weights."""
    values = np.sort(values.astype("float32").ravel())
    step = max(values.size * epsilon, 1)
    kept = values[int(step - 1) :: int(step)]
    return np.stack([kept, np.full_like(kept, step)])


def _merged(
    first: np.ndarray[Any, Any], second: np.ndarray[Any, Any], epsilon: float
) -> np.ndarray[Any, Any]:
    """One summary of two sets of data."""
    both = np.concatenate((first, second), axis=1)
    return _compressed(both[:, np.argsort(both[0])], epsilon)


def _compressed(summary: np.ndarray[Any, Any], epsilon: float) -> np.ndarray[Any, Any]:
    """A summary by `1 / epsilon` interpolated quantiles, if it has more values."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    ranks = summary[1].cumsum()
    of_all = ranks / ranks[-1]
    values = np.interp(shares, of_all, summary[0])
    ranks = np.interp(shares, of_all, ranks)
    weights = np.diff(ranks, prepend=0)
    return np.stack((values, weights)).astype("float32")


__all__ = ["CategoryEncoding", "Discretization"]
