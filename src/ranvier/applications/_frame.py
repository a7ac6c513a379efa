"""What all architectures share: their arguments, where they begin and how they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol

from ranvier import activations, config, layers
from ranvier._check import (
    InstanceOf,
    Interval,
    OneOf,
    Optional,
    ShapeLike,
    check_parameters,
)
from ranvier.applications._weights import check_weights
from ranvier.errors import ShapeError
from ranvier.models import Model
from ranvier.symbolic import KerasTensor
from ranvier.utils import get_source_inputs

__all__ = [
    "Architecture",
    "Asked",
    "axis_of_channels",
    "member",
    "normalized",
    "pad_for_stride",
    "published_size",
    "rounded",
]

#: What the arguments that all architectures share may be.
SHARED = {
    "include_top": InstanceOf(bool),
    "input_shape": Optional(ShapeLike(minimum=1)),
    "pooling": Optional(OneOf("avg", "max")),
    "classes": Interval(int, 1),
    "name": Optional(InstanceOf(str)),
}
_SMALLEST = 32
_TOPS = ("softmax", None)


class Architecture(Protocol):
    """The signature of most architectures, which is Keras's."""

    __name__: str

    def __call__(
        self,
        include_top: bool = True,
        weights: Any = "imagenet",
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = 1000,
        classifier_activation: Any = "softmax",
        name: str = "",
    ) -> Model:
        """The model."""


@dataclass(frozen=True)
class Asked:
    """The arguments that all architectures share, checked.

    Args:
        what: how messages call the architecture.
        include_top: whether it ends in a classifier.
        weights: ``None``, or the path of a file.
        input_tensor: a symbolic tensor to begin with, instead of an input of its own.
        input_shape: shape of the images.
        pooling: ``"avg"`` or ``"max"`` over the image where there is no classifier.
        classes: units of the classifier.
        classifier_activation: its activation.
        name: the model's name.
        url: where Keras publishes the weights; empty where it does not.

    Raises:
        ShapeError: RV100 for an argument that is not allowed.
        FileError: RV605 or RV606, see `check_weights`.
    """

    what: str
    _: KW_ONLY
    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str | None
    url: str = ""

    def __post_init__(self) -> None:
        shared = {name: getattr(self, name) for name in SHARED}
        check_parameters(self.what, SHARED, shared)
        check_weights(self.what, self.weights, self.url)
        tensor = self.input_tensor
        if tensor is not None and not (
            isinstance(tensor, KerasTensor) and len(tensor.shape) == 4
        ):
            raise ShapeError(
                "RV100",
                f"{self.what}: input_tensor must be a symbolic tensor of images",
                details=f"received {tensor!r:.80}",
                fix="keras.Input((224, 224, 3)), or what layers made of it",
            )
        self._check_sizes()
        top = self.classifier_activation
        known = [activations.get(each) for each in _TOPS]
        if self.weights is not None and self.include_top:
            if activations.get(top) in known:
                return
            raise ShapeError(
                "RV100",
                f"{self.what}: a classifier with weights of a file ends in softmax or "
                "nothing",
                details=f"received classifier_activation={top!r}",
                fix="classifier_activation='softmax', or None for logits",
            )

    def _check_sizes(self) -> None:
        if self.input_tensor is None or self.input_shape is None:
            return
        found, asked = self.input_tensor.shape[1:], tuple(self.input_shape)
        known = [pair for pair in zip(found, asked, strict=False) if None not in pair]
        if len(asked) != 3 or any(a != b for a, b in known):
            raise ShapeError(
                "RV100",
                f"{self.what}: input_shape is not the shape of input_tensor",
                details=f"received input_shape={asked}, a tensor of {found}",
                fix="leave input_shape out",
            )

    def begin(
        self, size: int | None, channels: int = 3, smallest: int = _SMALLEST
    ) -> Any:
        """The symbolic tensor the architecture begins with.

        Args:
            size: height and width under a classifier, where nothing was asked; ``None``
                where a classifier takes images of any size.
            channels: channels where nothing was asked.
            smallest: the least height and width.

        Raises:
            ShapeError: RV100 for a shape that is none of an image, is too small, or
                leaves sizes free under a classifier.
        """
        shape = self.shape(size if self.include_top else None, channels, smallest)
        if self.input_tensor is not None:
            return self.input_tensor
        if self.include_top and size is not None and None in shape:
            raise ShapeError(
                "RV100",
                f"{self.what}: a classifier needs images of one size",
                details=f"received input_shape={self.input_shape}",
                fix="sizes in input_shape, or include_top=False",
            )
        return layers.Input(shape=shape)

    def shape(
        self, size: int | None, channels: int = 3, smallest: int = _SMALLEST
    ) -> tuple[int | None, ...]:
        """The shape asked for, else one of this size.

        Raises:
            ShapeError: RV100 for a shape that is none of an image or is too small.
        """
        first = _channels_first()
        if self.input_shape is None:
            return (channels, size, size) if first else (size, size, channels)
        shape = tuple(self.input_shape)
        sizes = shape[1:] if first else shape[:2]
        if len(shape) != 3 or (shape[0] if first else shape[2]) is None:
            wanted = (
                "(channels, height, width)" if first else "(height, width, channels)"
            )
            raise ShapeError(
                "RV100",
                f"{self.what}: input_shape must be {wanted}, the batch left out",
                details=f"received input_shape={shape}",
            )
        if any(each is not None and each < smallest for each in sizes):
            raise ShapeError(
                "RV100",
                f"{self.what}: images must have at least {smallest} x {smallest} pixels",
                details=f"received input_shape={shape}",
            )
        return shape

    def rows(self, size: int) -> int | None:
        """The height of the images, for the model's name."""
        shape = self.shape(size if self.include_top else None)
        return shape[1 if _channels_first() else 0]

    def pooled(self, x: Any, names: Mapping[str, str] | None = None) -> Any:
        """The features as they leave a model without a classifier.

        Args:
            x: the features.
            names: of the layers for ``"avg"`` and ``"max"``; made by themselves if left.
        """
        if self.pooling is None:
            return x
        kinds = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}
        name = None if names is None else names[self.pooling]
        return kinds[self.pooling](name=name)(x)

    def classified(self, x: Any, **kwargs: Any) -> Any:
        """Dense, one unit for each class."""
        return layers.Dense(
            self.classes,
            activation=self.classifier_activation,
            name="predictions",
            **kwargs,
        )(x)

    def usual_top(self, x: Any) -> Any:
        """The mean over the image and a classifier; without one, what was asked."""
        if not self.include_top:
            return self.pooled(x, POOLS)
        x = layers.GlobalAveragePooling2D(name=POOLS["avg"])(x)
        return self.classified(x)

    def model(self, start: Any, end: Any, name: str | None = None) -> Model:
        """The model between two tensors, its weights loaded."""
        inputs = start if self.input_tensor is None else _declared(self.input_tensor)
        made = Model(inputs, end, name=self.name or name)
        if self.weights is not None:
            made.load_weights(self.weights)
        return made


#: Names of the pooling behind the features, where they have any.
POOLS = {"avg": "avg_pool", "max": "max_pool"}


def _declared(tensor: KerasTensor) -> Any:
    """The inputs a symbolic tensor was made from; one alone is no list."""
    found = get_source_inputs(tensor)
    return found[0] if len(found) == 1 else found


def _channels_first() -> bool:
    return config.image_data_format() == "channels_first"


def axis_of_channels() -> int:
    """The axis of the channels in a batch of images."""
    return 1 if _channels_first() else -1


def normalized(x: Any, name: str, activation: Any = None, **kwargs: Any) -> Any:
    """Batch normalization, and perhaps an activation behind it."""
    norm = layers.BatchNormalization(axis=axis_of_channels(), name=name, **kwargs)
    return norm(x) if activation is None else activation(norm(x))


def pad_for_stride(x: Any, kernel: int) -> tuple[tuple[int, int], ...]:
    """Padding in front of a convolution of stride 2, for the sizes TensorFlow has.

    Along an even size there is one row less in front than behind.
    """
    shape = x.shape[2:] if _channels_first() else x.shape[1:3]
    # Keras takes a free height for an even image.
    even = [size is None or size % 2 == 0 for size in shape]
    if shape[0] is None:
        even = [True, True]
    half = kernel // 2
    return tuple((half - each, half) for each in even)


def published_size(shape: Any, sizes: Sequence[int]) -> int:
    """The size of images whose weights are published: that of a shape, or the last."""
    if shape is not None and len(shape) == 3:
        height, width = shape[1:] if _channels_first() else shape[:2]
        if height == width and height in sizes:
            return int(height)
    return sizes[-1]


def rounded(channels: float, unit: int = 8) -> int:
    """The nearest multiple of a unit, but no less than nine tenths of the number."""
    found = max(unit, int(channels + unit / 2) // unit * unit)
    return found if found >= 0.9 * channels else found + unit


_DOC = """{title}

{paper}

Args:
    include_top: whether it ends in a classifier.
    weights: ``None`` for random ones, or the path of a file: one that Keras publishes
        (``.h5``), or a ``.weights.h5`` or ``.keras`` file of this architecture.
        ``"imagenet"`` is refused, since no weights come with ranvier.
    input_tensor: a symbolic tensor to begin with, instead of an input of its own.
    input_shape: shape of the images, {size} by default; free sizes (``None``) are
        allowed where there is no classifier.
    pooling: ``"avg"`` or ``"max"`` over the image where there is no classifier.
    classes: number of classes.
    classifier_activation: activation of the classifier; ``None`` gives logits.
    name: the model's name.

Returns:
    A functional model; rows of the output hold a probability for each class, or the
    features ``(height, width, channels)``, or one number a channel with `pooling`.

Raises:
    ShapeError: RV100 for an argument that is not allowed.
    FileError: RV606 for ``"imagenet"``, RV605 when there is no such file, RV601 when it
        does not fit.

Example:
    >>> from ranvier import applications
    >>> applications.{what}({example}).output_shape
    (None, {classes})
"""


def member(
    what: str,
    family: Callable[..., Model],
    paper: str,
    *,
    settings: Mapping[str, Any],
    size: str = "(224, 224, 3)",
    weights: str | None = "imagenet",
    classes: int = 1000,
    url: Callable[[bool], str] | None = None,
) -> Architecture:
    """An architecture of a family, with Keras's signature and a docstring.

    Args:
        what: its name.
        family: makes the model, of what was asked and of settings.
        paper: where it is described, for the docstring.
        settings: what makes this member of the family.
        size: the default input shape, for the docstring.
        weights: the default of that argument.
        classes: the default of that argument.
        url: where Keras publishes its weights, with and without the classifier.
    """

    def make(
        include_top: bool = True,
        weights: Any = weights,
        input_tensor: Any = None,
        input_shape: Any = None,
        pooling: str | None = None,
        classes: int = classes,
        classifier_activation: Any = "softmax",
        name: str = what.lower(),
    ) -> Model:
        return family(
            Asked(
                what,
                include_top=include_top,
                weights=weights,
                input_tensor=input_tensor,
                input_shape=input_shape,
                pooling=pooling,
                classes=classes,
                classifier_activation=classifier_activation,
                name=name,
                url=url(bool(include_top)) if url else "",
            ),
            **settings,
        )

    make.__name__ = make.__qualname__ = what
    make.__module__ = family.__module__
    make.__doc__ = _DOC.format(
        title=f"The {what} architecture.",
        paper=paper,
        size=f"``{size}``",
        what=what,
        example="" if weights is None else "weights=None",
        classes=classes,
    )
    return make
