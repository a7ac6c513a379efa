"""Cases of the preprocessing layers; see layer_cases."""

from __future__ import annotations

from typing import Any

CASES: dict[str, list[tuple[dict[str, Any], Any]]] = {
    "CategoryEncoding": [
        ({"num_tokens": 4}, (3,)),
        ({"num_tokens": 3, "output_mode": "count"}, (5,)),
        ({"num_tokens": 4, "output_mode": "one_hot"}, (1,)),
        ({"num_tokens": 4, "output_mode": "one_hot"}, (3,)),
    ],
    "CenterCrop": [
        ({"height": 3, "width": 4}, (6, 7, 2)),
        ({"height": 5, "width": 3}, (4, 6, 1)),
        ({"height": 3, "width": 2, "data_format": "channels_first"}, (2, 4, 5)),
    ],
    "Discretization": [
        ({"bin_boundaries": [-0.5, 0.0, 0.75]}, (4,)),
        ({"bin_boundaries": [-0.5, 0.5], "output_mode": "one_hot"}, (1,)),
        ({"bin_boundaries": [-0.5, 0.5], "output_mode": "multi_hot"}, (3,)),
        ({"bin_boundaries": [0.0], "output_mode": "count", "epsilon": 0.1}, (3,)),
    ],
    "RandomBrightness": [
        ({"factor": 0.2, "value_range": [-1, 1], "seed": 3}, (4, 5, 3)),
    ],
    "RandomContrast": [
        ({"factor": [0.2, 0.4], "value_range": [-1, 1], "seed": 3}, (4, 5, 3)),
        ({"factor": 0.5, "seed": 1, "data_format": "channels_first"}, (2, 4, 5)),
    ],
    "RandomFlip": [
        ({"seed": 3}, (4, 5, 3)),
        ({"mode": "vertical", "seed": 1, "data_format": "channels_first"}, (2, 4, 5)),
    ],
    "RandomRotation": [
        ({"factor": 0.2, "seed": 3}, (4, 5, 3)),
        ({"factor": [0.1, 0.3], "fill_mode": "wrap", "seed": 3}, (4, 5, 1)),
    ],
    "RandomTranslation": [
        (
            {
                "height_factor": 0.2,
                "width_factor": [-0.1, 0.5],
                "fill_mode": "constant",
                "fill_value": 0.5,
                "seed": 3,
            },
            (4, 5, 3),
        ),
    ],
    "RandomZoom": [
        ({"height_factor": 0.2, "seed": 3, "fill_mode": "nearest"}, (4, 5, 3)),
        (
            {
                "height_factor": [-0.3, 0.1],
                "width_factor": 0.3,
                "data_format": "channels_first",
                "seed": 3,
            },
            (2, 4, 5),
        ),
    ],
    "Resizing": [
        ({"height": 3, "width": 9}, (6, 7, 2)),
        ({"height": 3, "width": 9, "interpolation": "nearest"}, (6, 7, 2)),
        ({"height": 2, "width": 3, "antialias": True}, (6, 7, 1)),
        ({"height": 7, "width": 3, "interpolation": "bicubic"}, (4, 5, 2)),
        (
            {
                "height": 4,
                "width": 4,
                "interpolation": "lanczos3",
                "antialias": True,
                "crop_to_aspect_ratio": True,
            },
            (6, 9, 1),
        ),
        (
            {
                "height": 4,
                "width": 4,
                "pad_to_aspect_ratio": True,
                "fill_value": 0.5,
                "data_format": "channels_first",
            },
            (2, 6, 9),
        ),
    ],
}
#: Layers whose inputs are whole numbers.
INDICES = {"CategoryEncoding"}
#: Layers that no argument keeps from acting by chance in training.
BY_CHANCE = {name for name in CASES if name.startswith("Random")}
#: Tried in test_images.py: its shape differs from Keras's in inference, for a reason.
OTHERS = {"RandomCrop"}
#: They run before the step: tried in test_lookup.py and test_host.py.
OTHERS |= {"Hashing", "IntegerLookup", "StringLookup", "TextVectorization"}
