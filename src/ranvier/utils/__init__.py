"""Small helpers under Keras's names: seeds, one-hot columns, downloads."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranvier._lookup import clear_session as clear_session
    from ranvier._registered import CustomObjectScope as CustomObjectScope
    from ranvier._registered import custom_object_scope as custom_object_scope
    from ranvier._registered import get_custom_objects as get_custom_objects
    from ranvier._registered import get_registered_name as get_registered_name
    from ranvier._registered import get_registered_object as get_registered_object
    from ranvier._registered import (
        register_keras_serializable as register_keras_serializable,
    )
    from ranvier.config import (
        disable_interactive_logging as disable_interactive_logging,
    )
    from ranvier.config import enable_interactive_logging as enable_interactive_logging
    from ranvier.config import (
        is_interactive_logging_enabled as is_interactive_logging_enabled,
    )
    from ranvier.data.batches import PyDataset as PyDataset
    from ranvier.data.batches import Sequence as Sequence
    from ranvier.models.registry import (
        deserialize_keras_object as deserialize_keras_object,
    )
    from ranvier.models.registry import serialize_keras_object as serialize_keras_object
    from ranvier.utils.archives import extract_archive as extract_archive
    from ranvier.utils.directories import (
        image_dataset_from_directory as image_dataset_from_directory,
    )
    from ranvier.utils.directories import (
        text_dataset_from_directory as text_dataset_from_directory,
    )
    from ranvier.utils.files import atomic_write as atomic_write
    from ranvier.utils.files import get_file as get_file
    from ranvier.utils.files import hash_file as hash_file
    from ranvier.utils.images import array_to_img as array_to_img
    from ranvier.utils.images import img_to_array as img_to_array
    from ranvier.utils.images import load_img as load_img
    from ranvier.utils.images import save_img as save_img
    from ranvier.utils.numerical import normalize as normalize
    from ranvier.utils.numerical import pad_sequences as pad_sequences
    from ranvier.utils.numerical import to_categorical as to_categorical
    from ranvier.utils.plotting import plot_model as plot_model
    from ranvier.utils.progbar import Progbar as Progbar
    from ranvier.utils.seeds import set_random_seed as set_random_seed
    from ranvier.utils.splitting import split_dataset as split_dataset
    from ranvier.utils.splitting import (
        timeseries_dataset_from_array as timeseries_dataset_from_array,
    )
    from ranvier.utils.steps import is_keras_tensor as is_keras_tensor
    from ranvier.utils.steps import pack_x_y_sample_weight as pack_x_y_sample_weight
    from ranvier.utils.steps import unpack_x_y_sample_weight as unpack_x_y_sample_weight
    from ranvier.utils.tensors import get_source_inputs as get_source_inputs
    from ranvier.utils.tensors import standardize_dtype as standardize_dtype

_HOMES = {
    "CustomObjectScope": "ranvier._registered",
    "Progbar": "ranvier.utils.progbar",
    "PyDataset": "ranvier.data.batches",
    "Sequence": "ranvier.data.batches",
    "array_to_img": "ranvier.utils.images",
    "atomic_write": "ranvier.utils.files",
    "clear_session": "ranvier._lookup",
    "custom_object_scope": "ranvier._registered",
    "deserialize_keras_object": "ranvier.models.registry",
    "disable_interactive_logging": "ranvier.config",
    "enable_interactive_logging": "ranvier.config",
    "extract_archive": "ranvier.utils.archives",
    "get_custom_objects": "ranvier._registered",
    "get_file": "ranvier.utils.files",
    "get_registered_name": "ranvier._registered",
    "get_registered_object": "ranvier._registered",
    "get_source_inputs": "ranvier.utils.tensors",
    "hash_file": "ranvier.utils.files",
    "image_dataset_from_directory": "ranvier.utils.directories",
    "img_to_array": "ranvier.utils.images",
    "is_interactive_logging_enabled": "ranvier.config",
    "is_keras_tensor": "ranvier.utils.steps",
    "load_img": "ranvier.utils.images",
    "normalize": "ranvier.utils.numerical",
    "pack_x_y_sample_weight": "ranvier.utils.steps",
    "pad_sequences": "ranvier.utils.numerical",
    "plot_model": "ranvier.utils.plotting",
    "register_keras_serializable": "ranvier._registered",
    "save_img": "ranvier.utils.images",
    "serialize_keras_object": "ranvier.models.registry",
    "set_random_seed": "ranvier.utils.seeds",
    "split_dataset": "ranvier.utils.splitting",
    "standardize_dtype": "ranvier.utils.tensors",
    "text_dataset_from_directory": "ranvier.utils.directories",
    "timeseries_dataset_from_array": "ranvier.utils.splitting",
    "to_categorical": "ranvier.utils.numerical",
    "unpack_x_y_sample_weight": "ranvier.utils.steps",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    # Lazy, because `files` needs urllib and that costs more than the rest of an import.
    if name not in _HOMES:
        from ranvier._missing import missing

        missing("ranvier.utils", lambda: __all__)(name)
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
