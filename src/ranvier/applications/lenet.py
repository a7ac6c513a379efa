"""LeNet-5, the convolutional network that read cheques.

Example:
    >>> from ranvier import applications
    >>> [layer.name for layer in applications.LeNet5().layers[1:4]]
    ['conv1', 'pool1', 'conv2']
"""

from __future__ import annotations

from ranvier import layers
from ranvier.applications._frame import Asked, member
from ranvier.models import Model

__all__ = ["LeNet5"]


def _lenet5(asked: Asked) -> Model:
    start = asked.begin(28, channels=1, smallest=12)
    x = layers.Conv2D(6, 5, activation="tanh", padding="same", name="conv1")(start)
    x = layers.AveragePooling2D(2, name="pool1")(x)
    x = layers.Conv2D(16, 5, activation="tanh", name="conv2")(x)
    x = layers.AveragePooling2D(2, name="pool2")(x)
    if not asked.include_top:
        return asked.model(start, asked.pooled(x))
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation="tanh", name="fc1")(x)
    x = layers.Dense(84, activation="tanh", name="fc2")(x)
    return asked.model(start, asked.classified(x))


LeNet5 = member(
    "LeNet5",
    _lenet5,
    "LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document "
    "Recognition\n(Proc. IEEE 1998), as it is used today: the second convolution reads "
    "all maps, pooling\nhas no weights, and the output is a softmax. Images of 28 x 28 "
    "are padded to 32 x 32.",
    settings={},
    size="(28, 28, 1)",
    weights=None,
    classes=10,
)
