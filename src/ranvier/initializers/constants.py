"""Initializers without chance: constants, the identity, Fourier kernels, arrays."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ranvier._lookup import plain
from ranvier.errors import ShapeError
from ranvier.initializers.base import Array, Initializer, Shape, one_of

__all__ = ["STFT", "Constant", "FromArray", "Identity", "Ones", "Zeros"]


class Zeros(Initializer):
    """All 0.

    Example:
        >>> Zeros()((2,))
        array([0., 0.], dtype=float32)
    """

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Returns zeros."""
        return np.zeros(tuple(shape), dtype or "float32")


class Ones(Initializer):
    """All 1.

    Example:
        >>> Ones()((2,))
        array([1., 1.], dtype=float32)
    """

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Returns ones."""
        return np.ones(tuple(shape), dtype or "float32")


class Constant(Initializer):
    """All `value`, or an array broadcast to the shape.

    Example:
        >>> Constant(0.5)((2,))
        array([0.5, 0.5], dtype=float32)
    """

    config_names: ClassVar = ("value",)

    def __init__(self, value: Any = 0.0) -> None:
        self.value = np.asarray(plain(value)) if isinstance(value, dict) else value

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Returns the value in the wanted shape."""
        value = np.asarray(self.value).astype(dtype or "float32")
        return np.array(np.broadcast_to(value, tuple(shape)))


class Identity(Initializer):
    """`gain` on the diagonal, 0 elsewhere; for matrices.

    Raises:
        ShapeError: RV108 when called with a shape that has not two axes.

    Example:
        >>> Identity(2.0)((2, 2))
        array([[2., 0.],
               [0., 2.]], dtype=float32)
    """

    config_names: ClassVar = ("gain",)

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Returns the scaled identity."""
        if len(shape) != 2:
            raise ShapeError(
                "RV108",
                "Identity: the shape must have two axes",
                details=f"received {tuple(shape)}",
                fix="another initializer, for example 'glorot_uniform'",
            )
        return np.asarray(self.gain * np.eye(shape[0], shape[1]), dtype or "float32")


class STFT(Initializer):
    """The kernel of a short-time Fourier transform, shape (frame, 1, frequencies).

    Args:
        side: "real" (cosines) or "imag" (negative sines).
        window: "hann", "hamming", "blackman", "boxcar", an array, or `None`.
        scaling: "density" (by the root of the summed squares of the window),
            "spectrum" (by its sum), or `None`.
        periodic: whether the window is one period of a longer one.

    Raises:
        ShapeError: RV100 for an argument that is not one of these.

    Example:
        ```python
        kernel = STFT("real")((256, 1, 129))
        ```
    """

    config_names: ClassVar = ("side", "window", "periodic", "scaling")

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ) -> None:
        one_of("STFT", "side", side, ("real", "imag"))
        one_of("STFT", "scaling", scaling, ("density", "spectrum", None))
        if isinstance(window, str):
            one_of("STFT", "window", window, tuple(_COSINE_WINDOWS))
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        """Returns the kernel."""
        frame, _, frequencies = shape
        time = np.arange(frame).reshape(-1, 1, 1)
        frequency = np.arange(frequencies).reshape(1, 1, -1) / (2 * (frequencies - 1))
        angle = -2 * math.pi * time * frequency
        kernel = np.cos(angle) if self.side == "real" else np.sin(angle)
        if self.window is not None:
            window = np.asarray(_window(self.window, frame, self.periodic))
            if window.shape != (frame,):
                raise ShapeError(
                    "RV108",
                    f"STFT: the window must have shape ({frame},)",
                    details=f"received {window.shape}",
                )
            scale = 1.0
            if self.scaling == "density":
                scale = float(np.sqrt(np.sum(window**2)))
            elif self.scaling == "spectrum":
                scale = float(np.sum(np.abs(window)))
            kernel = kernel * window.reshape(-1, 1, 1) / scale
        return np.array(np.broadcast_to(kernel, tuple(shape)), dtype or "float32")


#: a window is a sum of cosines of multiples of the angle with these factors
_COSINE_WINDOWS = {
    "hann": (0.5, -0.5),
    "hamming": (0.54, -0.46),
    "blackman": (0.42, -0.5, 0.08),
    "boxcar": (1.0,),
}


def _window(window: Any, size: int, periodic: bool) -> Any:
    if not isinstance(window, str):
        return window
    if size == 1:
        return np.ones(1)
    angle = 2 * math.pi * np.arange(size) / (size if periodic else size - 1)
    factors = _COSINE_WINDOWS[window]
    return sum(a * np.cos(k * angle) for k, a in enumerate(factors))


class FromArray:
    """An array given in place of an initializer: the weight starts as a copy."""

    def __init__(self, value: Any) -> None:
        self.value = np.asarray(value.numpy() if hasattr(value, "numpy") else value)

    def __call__(self, shape: Shape, dtype: str | None = None) -> Array:
        if tuple(shape) != self.value.shape:
            raise ShapeError(
                "RV108",
                f"the array given as initializer has shape {self.value.shape}",
                details=f"the weight has shape {tuple(shape)}",
                fix="an array of the weight's shape",
            )
        return self.value.astype(dtype or self.value.dtype)
