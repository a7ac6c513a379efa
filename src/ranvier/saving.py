"""Keras's ``saving``: whole models, and objects as plain data."""

from ranvier.models import load_model, save_model
from ranvier.models.allowed import (
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from ranvier.models.registry import (
    deserialize_keras_object,
    serialize_keras_object,
)
from ranvier.models.saving import load_weights, save_weights

CustomObjectScope = custom_object_scope

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
    "serialize_keras_object",
]
