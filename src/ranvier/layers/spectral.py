"""A layer whose weight is kept at spectral norm 1."""

from __future__ import annotations

from typing import Any

from ranvier import initializers, ops
from ranvier._check import Interval, check_parameters
from ranvier.errors import ShapeError
from ranvier.layers.base import Layer
from ranvier.layers.input_spec import InputSpec
from ranvier.layers.row_normalization import unit_length
from ranvier.layers.wrapping import Wrapper


class SpectralNormalization(Wrapper):
    """Divides a layer's weight by its largest singular value, in training.

    The singular value is followed from step to step by power iteration (Miyato et al.,
    2018): ``v = unit(u W^T)``, ``u = unit(v W)``, ``sigma = v W u^T``. In training the
    layer computes with ``W / sigma``, through which the gradient passes, and W itself
    is updated; otherwise it computes with W. So does Keras on JAX; on TensorFlow, where
    a weight that is assigned in a step stays, W is replaced by ``W / sigma``. Weight:
    ``vector_u``, not trained.

    Args:
        layer: a layer with a `kernel` or `embeddings`.
        power_iterations: rounds in a step.
        **kwargs: see `Layer`.

    Raises:
        ShapeError: RV100 for a layer without such a weight, or fewer rounds than one.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers
        >>> layer = SpectralNormalization(layers.Dense(3), power_iterations=50)
        >>> y = layer(np.eye(3), training=True).numpy()
        >>> float(np.linalg.norm(y, 2).round(3))
        1.0
    """

    _parameters = {"power_iterations": Interval(int, 1)}

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        values = {"power_iterations": power_iterations}
        check_parameters("SpectralNormalization", self._parameters, values)
        self.power_iterations = power_iterations

    def build(self, input_shape: Any = None) -> None:
        """Builds the layer inside, and makes the vector."""
        super().build(input_shape)
        # Also a weight of this layer, before the vector: the order of Keras's files.
        self.kernel = weight = self._weight()
        self.vector_u = self.add_weight(
            (1, weight.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            trainable=False,
            dtype=weight.dtype,
            name="vector_u",
        )
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})

    def _weight(self) -> Any:
        for name in ("kernel", "embeddings"):
            weight = getattr(self.layer, name, None)
            if weight is not None:
                return weight
        raise ShapeError(
            "RV100",
            f"SpectralNormalization: {type(self.layer).__name__} has neither a kernel "
            "nor embeddings",
            fix="SpectralNormalization(keras.layers.Dense(3))",
        )

    def call(self, inputs: Any, training: Any = False) -> Any:
        """The layer's output; in training, with the weight divided."""
        if not training:
            return self.layer(inputs)
        own = self.kernel.value
        self.kernel.assign(self._divided(own))
        output = self.layer(inputs)
        self.kernel.assign(own)
        return output

    def _divided(self, weight: Any) -> Any:
        matrix = ops.stop_gradient(ops.reshape(weight, (-1, weight.shape[-1])))

        def turn(u: Any) -> tuple[Any, Any]:
            v = unit_length(ops.matmul(u, ops.transpose(matrix)), None, 1e-7)
            return unit_length(ops.matmul(v, matrix), None, 1e-7), v

        u: Any = self.vector_u.value
        if self.power_iterations > 1:
            rounds = self.power_iterations - 1
            u, _ = ops.scan(lambda u, _: (turn(u)[0], None), u, length=rounds)
        u, v = turn(u)
        whole = ops.reshape(weight, matrix.shape)
        sigma = ops.matmul(ops.matmul(v, whole), ops.transpose(u))
        # A weight of zeros has no direction: it stays, and so does the vector.
        empty = ops.all(ops.equal(weight, 0))
        self.vector_u.assign(ops.where(empty, self.vector_u.value, u))
        return weight / ops.where(empty, 1.0, ops.reshape(sigma, ()))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "power_iterations": self.power_iterations}


__all__ = ["SpectralNormalization"]
