"""Arguments, inputs and targets with which every layer is tried."""

from __future__ import annotations

import math
from typing import Any

import composed_cases
import numpy as np
import preprocessing_cases
import window_cases
from layer_parts import Part

#: layer -> [(arguments, shape of a row)]; a layer that is missing here fails the suites.
CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "Activation": [
        ({"activation": "tanh"}, (5,)),
        ({"activation": "softplus"}, (2, 3)),
    ],
    "BatchNormalization": [
        ({}, (5,)),
        ({"axis": 1, "momentum": 0.7, "epsilon": 0.01}, (3, 4)),
        ({"center": False, "gamma_regularizer": "l2"}, (2, 3, 4)),
        ({"scale": False, "trainable": False}, (4,)),
        ({"renorm": True, "momentum": 0.8, "renorm_momentum": 0.6}, (5,)),
        (
            {
                "renorm": True,
                "renorm_clipping": {"rmin": 0.7, "rmax": 1.2, "dmax": 0.3},
                "scale": False,
            },
            (3, 4),
        ),
    ],
    "Bidirectional": [
        (
            {"layer": Part("LSTM", {"units": 3, "name": "l"})},
            (4, 2),
        ),
        (
            {
                "layer": Part(
                    "GRU", {"units": 3, "return_sequences": True, "name": "g"}
                ),
                "merge_mode": "ave",
            },
            (4, 2),
        ),
        (
            {
                "layer": Part("SimpleRNN", {"units": 3, "name": "f"}),
                "backward_layer": Part(
                    "LSTM", {"units": 3, "go_backwards": True, "name": "b"}
                ),
                "merge_mode": "mul",
            },
            (5, 2),
        ),
    ],
    "ConvLSTM1D": [
        ({"filters": 2, "kernel_size": 3}, (4, 6, 2)),
        (
            {
                "filters": 3,
                "kernel_size": 2,
                "dilation_rate": 2,
                "data_format": "channels_first",
                "return_sequences": True,
                "go_backwards": True,
                "use_bias": False,
            },
            (3, 2, 7),
        ),
    ],
    "ConvLSTM2D": [
        (
            {
                "filters": 2,
                "kernel_size": (2, 3),
                "strides": 2,
                "padding": "same",
                "return_sequences": True,
                "kernel_regularizer": "l2",
                "recurrent_regularizer": "l1",
                "bias_constraint": "max_norm",
                "activity_regularizer": "l2",
            },
            (3, 4, 5, 2),
        ),
        (
            {
                "filters": 2,
                "kernel_size": 2,
                "data_format": "channels_first",
                "activation": "relu",
                "recurrent_activation": "hard_sigmoid",
                "unit_forget_bias": False,
            },
            (2, 3, 4, 4),
        ),
    ],
    "ConvLSTM3D": [
        ({"filters": 1, "kernel_size": 2, "padding": "same"}, (2, 2, 3, 2, 2)),
        ({"filters": 2, "kernel_size": (1, 2, 2), "strides": 2}, (2, 3, 4, 4, 1)),
    ],
    "Dense": [
        ({"units": 3}, (5,)),
        ({"units": 70, "activation": "relu"}, (33,)),
        ({"units": 2, "use_bias": False, "activation": "sigmoid"}, (3, 4)),
        (
            {
                "units": 4,
                "kernel_regularizer": "l2",
                "bias_regularizer": "l1",
                "activity_regularizer": "l2",
                "kernel_constraint": "unit_norm",
                "bias_constraint": "non_neg",
            },
            (6,),
        ),
    ],
    "Dropout": [({"rate": 0.4, "seed": 3}, (50,)), ({"rate": 0.0}, (4,))],
    "ELU": [({"alpha": 0.7}, (6,))],
    "Embedding": [
        ({"input_dim": 7, "output_dim": 3}, (4,)),
        (
            {
                "input_dim": 7,
                "output_dim": 2,
                "embeddings_regularizer": "l2",
                "embeddings_constraint": "max_norm",
            },
            (2, 3),
        ),
    ],
    "Flatten": [({}, (2, 3, 4)), ({"data_format": "channels_first"}, (2, 3, 4))],
    "GRU": [
        ({"units": 4}, (5, 3)),
        (
            {
                "units": 3,
                "reset_after": False,
                "return_sequences": True,
                "go_backwards": True,
                "recurrent_activation": "hard_sigmoid",
                "recurrent_regularizer": "l2",
            },
            (4, 2),
        ),
        ({"units": 17, "use_bias": False, "activation": "relu"}, (3, 5)),
    ],
    "Identity": [({}, (3, 2))],
    "LSTM": [
        ({"units": 4}, (5, 3)),
        (
            {
                "units": 3,
                "return_sequences": True,
                "go_backwards": True,
                "unit_forget_bias": False,
                "activity_regularizer": "l2",
                "kernel_regularizer": "l1",
                "bias_regularizer": "l2",
                "kernel_constraint": "max_norm",
            },
            (4, 2),
        ),
        ({"units": 33, "use_bias": False, "recurrent_activation": "tanh"}, (3, 70)),
        ({"units": 3, "unroll": True, "return_sequences": True}, (3, 2)),
    ],
    "LayerNormalization": [
        ({}, (6,)),
        ({"axis": [1, 2], "epsilon": 0.1, "center": False}, (3, 4)),
        ({"axis": 1, "scale": False}, (3, 4)),
    ],
    "LeakyReLU": [({}, (6,)), ({"negative_slope": 0.1}, (6,))],
    "Normalization": [
        ({"mean": [0.5, -1.0, 2.0], "variance": [2.0, 0.3, 1.0]}, (3,)),
        ({"mean": 0.5, "variance": 2.0, "invert": True}, (3, 2)),
        ({"axis": None, "mean": 0.5, "variance": 2.0}, (3, 2)),
    ],
    "PReLU": [
        ({"alpha_initializer": "ones"}, (5,)),
        ({"shared_axes": [1], "alpha_regularizer": "l2"}, (3, 4)),
    ],
    "RNN": [
        ({"cell": Part("LSTMCell", {"units": 3, "name": "c"})}, (4, 2)),
        (
            {
                "cell": [
                    Part("GRUCell", {"units": 3, "name": "a"}),
                    Part("LSTMCell", {"units": 2, "name": "b"}),
                    Part("SimpleRNNCell", {"units": 4, "name": "c"}),
                ],
                "return_sequences": True,
                "go_backwards": True,
            },
            (4, 2),
        ),
    ],
    "ReLU": [
        ({}, (6,)),
        ({"max_value": 0.8, "negative_slope": 0.1, "threshold": 0.2}, (6,)),
    ],
    "Rescaling": [
        ({"scale": 0.5, "offset": -1.0}, (4,)),
        ({"scale": [0.5, 2.0, 3.0], "offset": [1.0, 0.0, 2.0]}, (2, 3)),
    ],
    "Reshape": [({"target_shape": (3, 4)}, (12,)), ({"target_shape": (-1, 2)}, (3, 4))],
    "SimpleRNN": [
        ({"units": 4}, (5, 3)),
        (
            {
                "units": 3,
                "activation": "relu",
                "use_bias": False,
                "return_sequences": True,
                "recurrent_constraint": "unit_norm",
                "bias_constraint": "non_neg",
            },
            (4, 2),
        ),
    ],
    "Softmax": [({}, (5,)), ({"axis": 1}, (3, 4)), ({"axis": [1, 2]}, (3, 4))],
}
#: Exported by the module, but no layers that are stacked; cells are tried inside RNN.
OTHERS = {"deserialize", "serialize", "Input", "InputLayer", "InputSpec", "Layer"}
OTHERS |= {"GRUCell", "LSTMCell", "SimpleRNNCell", "StackedRNNCells"}
CASES |= composed_cases.COMPOSED
OTHERS |= composed_cases.OTHERS
CASES |= window_cases.CASES
CASES |= preprocessing_cases.CASES
OTHERS |= window_cases.OTHERS
OTHERS |= preprocessing_cases.OTHERS
FLAT = [(name, args, shape) for name, many in CASES.items() for args, shape in many]
IDS = [f"{name}-{i}" for name, many in CASES.items() for i in range(len(many))]


def inputs(name: str, shape: Any, rows: int, seed: int = 0) -> np.ndarray:
    """Random rows such as the layer takes; those of several inputs side by side."""
    rng = np.random.default_rng(seed)
    if isinstance(shape, list):
        shape = (sum(math.prod(s) for s in shape),)
    if name in preprocessing_cases.INDICES:
        return rng.integers(0, 4, (rows, *shape)).astype("int32")
    if name == "Embedding":
        return rng.integers(0, 7, (rows, *shape)).astype("int32")
    return rng.normal(size=(rows, *shape)).astype("float32")
