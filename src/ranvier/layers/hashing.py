"""Categories by their hash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ranvier._check import Constraint, Interval, OneOf, check_parameters
from ranvier.errors import DataError, ShapeError
from ranvier.graph import Tensor, Variable
from ranvier.layers.categories import encoded, no_sparse
from ranvier.layers.hashes import buckets, salt_of
from ranvier.layers.host import HostLayer
from ranvier.layers.lookup import texts_of
from ranvier.symbolic import KerasTensor

Array = np.ndarray[Any, Any]


class Hashing(HostLayer):
    """Words or whole numbers as one of `num_bins` places, which their hash decides.

    ``FarmHash64(text) % num_bins``, the same on every machine and in every run, and the
    same as Keras's with TensorFlow. Numbers are hashed by their digits. In a `Sequential`
    or functional model it runs before the compiled step.

    Args:
        num_bins: how many places there are.
        mask_value: the value whose place is 0; all others have the places behind it.
        salt: one or two whole numbers: the hash is SipHash-2-4 with this key.
        output_mode: `"int"`, or columns: `"one_hot"`, `"multi_hot"`, `"count"`.
        sparse: only False.
        **kwargs: see `Layer`; `dtype` is that of the result, `"int64"` or `"int32"` for
            places.

    Raises:
        ShapeError: RV100 for arguments that cannot be.

    Example:
        >>> Hashing(num_bins=3)([["A"], ["B"], ["C"]]).numpy().tolist()
        [[1], [0], [1]]
        >>> Hashing(num_bins=3, salt=[133, 137])([["A"], ["B"]]).numpy().tolist()
        [[1], [2]]
    """

    _parameters: ClassVar[dict[str, Constraint]] = {
        "num_bins": Interval(int, 1),
        "output_mode": OneOf("int", "one_hot", "multi_hot", "count"),
    }

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        dtype = kwargs.pop("dtype", None)
        super().__init__(**kwargs)
        given = {"num_bins": num_bins, "output_mode": output_mode}
        check_parameters("Hashing", self._parameters, given)
        no_sparse("Hashing", sparse)
        self._result_dtype = _dtype_of(dtype, output_mode)
        self.num_bins, self.mask_value = num_bins, mask_value
        self.salt = salt_of("Hashing", salt)
        self.output_mode, self.sparse = output_mode, False
        self.built = True

    @property
    def dtype(self) -> str:
        """Dtype of the result."""
        return self._result_dtype

    @property
    def compute_dtype(self) -> str:
        """Dtype of the result."""
        return self._result_dtype

    def compute_output_spec(self, inputs: KerasTensor) -> KerasTensor:
        """Shape and dtype of the result, for a symbolic input."""
        shape, mode = tuple(inputs.shape), self.output_mode
        if mode == "one_hot":
            rows = shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
            shape = (*rows, self.num_bins)
        elif mode != "int":
            if len(shape) < 2:
                raise ShapeError(
                    "RV103",
                    f"Hashing: output_mode={mode!r} in a model takes several values "
                    f"for each row, got inputs of shape {shape}",
                    fix="keras.Input((1,), dtype=...)",
                )
            shape = (shape[0], *shape[2:], self.num_bins)
        return KerasTensor(shape, self._result_dtype)

    def call(self, inputs: Any) -> Any:
        """The place of each value, or columns.

        Raises:
            DataError: RV203 for what is neither text nor numbers.
        """
        if isinstance(inputs, (Tensor, Variable)):
            inputs = inputs.numpy()
        values = np.asarray(inputs)
        if values.dtype.kind == "f":
            values = values.astype("int64")
        if values.dtype.kind == "b":
            raise DataError(
                "RV203",
                "Hashing takes texts or whole numbers; got bool",
                fix="x.astype('int64')",
            )
        if values.dtype.kind not in "iu":
            values = texts_of(inputs, "Hashing")
        # Categories come again and again: each is hashed once.
        flat = values.ravel().tolist()
        seen = {token: i for i, token in enumerate(dict.fromkeys(flat))}
        places = self._places(list(seen))
        at = np.fromiter((seen[token] for token in flat), np.intp, len(flat))
        found = places[at].reshape(values.shape)
        if self.output_mode == "int":
            return Tensor(value=found.astype(self._result_dtype))
        return encoded(
            Tensor(value=found), self.output_mode, self.num_bins, self._result_dtype
        )

    def _places(self, tokens: list[Any]) -> Array:
        texts = [str(token).encode("utf-8") for token in tokens]
        if self.mask_value is None or self.num_bins == 1:
            return buckets(texts, self.num_bins, self.salt)
        found = buckets(texts, self.num_bins - 1, self.salt) + 1
        found[[token == self.mask_value for token in tokens]] = 0
        return found

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "dtype": {
                "module": "keras",
                "class_name": "DTypePolicy",
                "config": {"name": self._result_dtype},
                "registered_name": None,
            },
            "num_bins": self.num_bins,
            "salt": self.salt,
            "mask_value": self.mask_value,
            "output_mode": self.output_mode,
            "sparse": False,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """The layer that `get_config` described."""
        config = dict(config)
        dtype = config.get("dtype")
        if isinstance(dtype, Mapping):
            config["dtype"] = dtype["config"]["name"]
        return cls(**config)


def _dtype_of(dtype: Any, mode: str) -> str:
    """The dtype of the result: given, or the mode's own.

    Raises:
        ShapeError: RV100 for places that are no whole numbers.
    """
    name = str(
        getattr(dtype, "name", dtype) or ("int64" if mode == "int" else "float32")
    )
    allowed = ("int32", "int64") if mode == "int" else ("float32", "int32", "int64")
    if name not in allowed:
        raise ShapeError(
            "RV100",
            f"Hashing: dtype={name!r} does not go with output_mode={mode!r}",
            fix=f"dtype={allowed[0]!r}",
        )
    return name


__all__ = ["Hashing"]
