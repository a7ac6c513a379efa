"""Known architectures for images, under Keras's names and with Keras's layers.

No weights come with ranvier and none are downloaded: ``weights=None`` starts from random
ones, ``weights=path`` loads a file that Keras publishes or that anybody saved. Besides
Keras's families there are `LeNet5`, `ResNet18` and `ResNet34`.

Example:
    >>> from ranvier import applications
    >>> model = applications.LeNet5()
    >>> model.output_shape, model.count_params()
    ((None, 10), 61706)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranvier.applications import densenet as densenet
    from ranvier.applications import efficientnet as efficientnet
    from ranvier.applications import imagenet_utils as imagenet_utils
    from ranvier.applications import lenet as lenet
    from ranvier.applications import mobilenet as mobilenet
    from ranvier.applications import mobilenet_v2 as mobilenet_v2
    from ranvier.applications import mobilenet_v3 as mobilenet_v3
    from ranvier.applications import resnet as resnet
    from ranvier.applications import resnet50 as resnet50
    from ranvier.applications import resnet_v2 as resnet_v2
    from ranvier.applications import vgg16 as vgg16
    from ranvier.applications import vgg19 as vgg19
    from ranvier.applications.densenet import DenseNet121 as DenseNet121
    from ranvier.applications.densenet import DenseNet169 as DenseNet169
    from ranvier.applications.densenet import DenseNet201 as DenseNet201
    from ranvier.applications.efficientnet import EfficientNetB0 as EfficientNetB0
    from ranvier.applications.efficientnet import EfficientNetB1 as EfficientNetB1
    from ranvier.applications.efficientnet import EfficientNetB2 as EfficientNetB2
    from ranvier.applications.efficientnet import EfficientNetB3 as EfficientNetB3
    from ranvier.applications.efficientnet import EfficientNetB4 as EfficientNetB4
    from ranvier.applications.efficientnet import EfficientNetB5 as EfficientNetB5
    from ranvier.applications.efficientnet import EfficientNetB6 as EfficientNetB6
    from ranvier.applications.efficientnet import EfficientNetB7 as EfficientNetB7
    from ranvier.applications.lenet import LeNet5 as LeNet5
    from ranvier.applications.mobilenet import MobileNet as MobileNet
    from ranvier.applications.mobilenet_v2 import MobileNetV2 as MobileNetV2
    from ranvier.applications.mobilenet_v3 import MobileNetV3Large as MobileNetV3Large
    from ranvier.applications.mobilenet_v3 import MobileNetV3Small as MobileNetV3Small
    from ranvier.applications.resnet import ResNet18 as ResNet18
    from ranvier.applications.resnet import ResNet34 as ResNet34
    from ranvier.applications.resnet import ResNet50 as ResNet50
    from ranvier.applications.resnet import ResNet101 as ResNet101
    from ranvier.applications.resnet import ResNet152 as ResNet152
    from ranvier.applications.resnet_v2 import ResNet50V2 as ResNet50V2
    from ranvier.applications.resnet_v2 import ResNet101V2 as ResNet101V2
    from ranvier.applications.resnet_v2 import ResNet152V2 as ResNet152V2
    from ranvier.applications.vgg16 import VGG16 as VGG16
    from ranvier.applications.vgg19 import VGG19 as VGG19

#: The architectures, and the module that has each.
_MEMBERS = {
    name: module
    for module, names in {
        "densenet": "DenseNet121 DenseNet169 DenseNet201",
        "efficientnet": "EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 "
        "EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7",
        "lenet": "LeNet5",
        "mobilenet": "MobileNet",
        "mobilenet_v2": "MobileNetV2",
        "mobilenet_v3": "MobileNetV3Large MobileNetV3Small",
        "resnet": "ResNet18 ResNet34 ResNet50 ResNet101 ResNet152",
        "resnet_v2": "ResNet50V2 ResNet101V2 ResNet152V2",
        "vgg16": "VGG16",
        "vgg19": "VGG19",
    }.items()
    for name in names.split()
}
_MODULES = frozenset({*_MEMBERS.values(), "imagenet_utils", "resnet50"})

__all__ = sorted([*_MEMBERS, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"ranvier.applications.{name}")
    if name in _MEMBERS:
        module = importlib.import_module(f"ranvier.applications.{_MEMBERS[name]}")
        value = globals()[name] = getattr(module, name)
        return value
    if name.startswith("_"):
        raise AttributeError(f"module 'ranvier.applications' has no attribute {name!r}")
    from ranvier._missing import missing

    return missing("ranvier.applications", lambda: __all__)(name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
