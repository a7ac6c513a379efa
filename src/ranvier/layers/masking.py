"""The layer that marks padded steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec


class Masking(Layer):
    """Marks the steps of which every value is `mask_value`, and sets them to 0.

    Layers behind it that know masks (recurrent ones, attention, losses) leave these
    steps out. Input ``(rows, steps, ..., values)``; the mask has all axes but the last.

    Args:
        mask_value: a number, or one for each place of the last axis.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 when `mask_value` is no number; RV103 for inputs of fewer than
            two axes.

    Example:
        >>> Masking(-1.0)([[[-1.0, -1.0], [-1.0, 5.0]]]).numpy()
        array([[[ 0.,  0.],
                [-1.,  5.]]], dtype=float32)
    """

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(mask_value, dict):  # Keras's form of an array
            mask_value = mask_value.get("config", {}).get("value")
        try:
            numbers = np.asarray(mask_value, "float64")
        except (TypeError, ValueError):
            numbers = np.asarray(np.nan)
        if not np.isfinite(numbers).all():
            raise ShapeError(
                "RV100",
                f"Masking: mask_value={mask_value!r} must be a number",
                fix="mask_value=0.0",
            )
        self.mask_value = mask_value
        self.supports_masking = True
        self.input_spec = InputSpec(min_ndim=2)
        self.built = True

    def _counts(self, inputs: Any, keepdims: bool) -> Any:
        different = ops.not_equal(inputs, ops.cast(self.mask_value, inputs.dtype))
        return ops.any(different, axis=-1, keepdims=keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Which steps have a value other than `mask_value`; a mask before is dropped."""
        return self._counts(inputs, keepdims=False)

    def call(self, inputs: Any) -> Any:
        """The inputs, with zeros in the steps that are left out."""
        return ops.where(self._counts(inputs, keepdims=True), inputs, 0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "mask_value": self.mask_value}


__all__ = ["Masking"]
