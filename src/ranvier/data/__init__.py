"""What users hand in (arrays, lists, frames, iterables) as arrays the engine gathers."""

from ranvier.data.arrays import Arrays, as_leaf, input_dtype, pack, unpack
from ranvier.data.split import class_weights, train_validation_split

__all__ = [
    "Arrays",
    "as_leaf",
    "class_weights",
    "input_dtype",
    "pack",
    "train_validation_split",
    "unpack",
]
