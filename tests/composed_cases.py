"""Cases of layers that are compositions: merging, reshaping, wrapping and others."""

from __future__ import annotations

from typing import Any

from layer_parts import Part

_CASE = tuple[dict[str, Any], Any]

MERGING: dict[str, list[_CASE]] = {
    "Add": [({}, [(3,), (3,)]), ({}, [(2, 3), (3,), (1, 3)]), ({}, [(4,)])],
    "Average": [({}, [(3,), (3,), (3,)]), ({}, [(2, 3), (2, 1)])],
    "Concatenate": [
        ({}, [(2,), (3,)]),
        ({"axis": 1}, [(2, 3), (4, 3), (1, 3)]),
        ({"axis": -2}, [(2, 3), (4, 3)]),
    ],
    "Dot": [
        ({"axes": 1}, [(3,), (3,)]),
        ({"axes": -1}, [(2, 3), (4, 3)]),
        ({"axes": (2, 1), "normalize": True}, [(2, 3), (3, 4)]),
        ({"axes": (1, 2)}, [(3, 2), (2, 3, 4)]),
        ({"axes": (1, 1)}, [(3,), (3, 4)]),
        ({"axes": (2, 1)}, [(4, 3), (3,)]),
    ],
    "Maximum": [({}, [(3,), (3,)]), ({}, [(2, 3), (1, 3), (2, 1)])],
    "Minimum": [({}, [(3,), (3,)]), ({}, [(2, 3), (3,)])],
    "Multiply": [({}, [(3,), (3,), (3,)]), ({}, [(2, 3), (2, 1)])],
    "Subtract": [({}, [(3,), (3,)]), ({}, [(2, 3), (1, 3)])],
}

RESHAPING: dict[str, list[_CASE]] = {
    "Cropping1D": [({}, (5, 2)), ({"cropping": (0, 2)}, (5, 2))],
    "Cropping2D": [
        ({"cropping": 1}, (4, 5, 2)),
        ({"cropping": ((0, 2), (1, 0))}, (4, 5, 2)),
        ({"cropping": (1, 2), "data_format": "channels_first"}, (2, 4, 5)),
        ({}, (4, 5, 2)),
    ],
    "Cropping3D": [
        ({}, (3, 4, 5, 2)),
        (
            {"cropping": ((0, 2), (1, 0), (0, 0)), "data_format": "channels_first"},
            (2, 4, 5, 3),
        ),
    ],
    "Permute": [({"dims": (2, 1)}, (3, 4)), ({"dims": (2, 3, 1)}, (2, 3, 4))],
    "RepeatVector": [({"n": 3}, (4,)), ({"n": 1}, (4,))],
    "UpSampling1D": [({}, (3, 2)), ({"size": 3}, (3, 2))],
    "UpSampling2D": [
        ({}, (2, 3, 2)),
        ({"size": (3, 1), "data_format": "channels_first"}, (2, 3, 2)),
        ({"size": 2, "interpolation": "bilinear"}, (3, 4, 2)),
        (
            {
                "size": (3, 4),
                "interpolation": "bilinear",
                "data_format": "channels_first",
            },
            (2, 3, 2),
        ),
        ({"size": (2, 3), "interpolation": "bicubic"}, (5, 3, 1)),
        ({"size": (2, 3), "interpolation": "lanczos3"}, (5, 3, 1)),
        ({"size": 2, "interpolation": "lanczos5"}, (3, 7, 1)),
    ],
    "UpSampling3D": [
        ({}, (2, 1, 3, 2)),
        ({"size": (1, 2, 3), "data_format": "channels_first"}, (2, 2, 1, 2)),
    ],
    "ZeroPadding1D": [
        ({}, (3, 2)),
        ({"padding": (0, 2), "data_format": "channels_first"}, (3, 2)),
    ],
    "ZeroPadding2D": [
        ({}, (2, 3, 2)),
        ({"padding": ((0, 1), (2, 0)), "data_format": "channels_first"}, (2, 3, 2)),
        ({"padding": (1, 2)}, (2, 3, 2)),
    ],
    "ZeroPadding3D": [
        ({}, (2, 1, 3, 2)),
        ({"padding": ((0, 1), (2, 0), (1, 1))}, (2, 1, 3, 2)),
        ({"padding": (1, 0, 2), "data_format": "channels_first"}, (2, 1, 3, 2)),
    ],
}

WRAPPING: dict[str, list[_CASE]] = {
    "EinsumDense": [
        ({"equation": "ab,bc->ac", "output_shape": 4, "bias_axes": "c"}, (3,)),
        (
            {
                "equation": "abc,cde->abde",
                "output_shape": (4, 2, 3),
                "bias_axes": "de",
                "activation": "relu",
            },
            (4, 5),
        ),
        (
            {
                "equation": "...x,xy->...y",
                "output_shape": 4,
                "bias_axes": "y",
                "kernel_regularizer": "l2",
                "bias_constraint": "non_neg",
                "activity_regularizer": "l2",
            },
            (5, 3),
        ),
        (
            {"equation": "ab...,bc->ac...", "output_shape": 4, "bias_axes": "c"},
            (3, 2, 2),
        ),
        ({"equation": "abcd,cde->abe", "output_shape": (2, 3)}, (2, 4, 5)),
        (
            {
                "equation": "abc,dbc->adb",
                "output_shape": (70, 3),
                "bias_axes": "d",
                "kernel_initializer": "he_normal",
            },
            (3, 4),
        ),
    ],
    "TimeDistributed": [
        ({"layer": Part("Dense", {"units": 3, "name": "d"})}, (4, 2)),
        ({"layer": Part("Reshape", {"target_shape": (4,), "name": "f"})}, (3, 2, 2)),
        ({"layer": Part("BatchNormalization", {"name": "b"})}, (3, 2)),
    ],
}

MASKING: dict[str, list[_CASE]] = {
    "Masking": [({}, (3, 2)), ({"mask_value": 0.5}, (3, 2))],
}

NORMALIZATION: dict[str, list[_CASE]] = {
    "GroupNormalization": [
        ({"groups": 2}, (6,)),
        ({"groups": 2, "axis": 1, "epsilon": 0.1, "center": False}, (4, 3, 2)),
        ({"groups": -1, "scale": False, "beta_regularizer": "l2"}, (3, 2, 4)),
        ({"groups": 3, "axis": -2, "gamma_constraint": "non_neg"}, (2, 6, 3)),
    ],
    "RMSNormalization": [
        ({}, (5,)),
        ({"axis": [1, 2], "epsilon": 0.1}, (3, 4)),
    ],
    "UnitNormalization": [
        ({}, (5,)),
        ({"axis": [1, 2]}, (3, 4)),
        ({"axis": 1}, (3, 4)),
    ],
}

REGULARIZATION: dict[str, list[_CASE]] = {
    "ActivityRegularization": [({"l1": 0.1, "l2": 0.02}, (3, 2)), ({}, (4,))],
    "AlphaDropout": [
        ({"rate": 0.4, "seed": 3}, (50,)),
        ({"rate": 0.4, "seed": 3, "noise_shape": (None, 1, 5)}, (4, 5)),
    ],
    "GaussianDropout": [({"rate": 0.4, "seed": 3}, (50,)), ({"rate": 0.0}, (4,))],
    "GaussianNoise": [({"stddev": 0.4, "seed": 3}, (50,))],
    "SpatialDropout1D": [({"rate": 0.4, "seed": 3}, (4, 20))],
    "SpatialDropout2D": [
        ({"rate": 0.4, "seed": 3}, (2, 3, 20)),
        ({"rate": 0.4, "seed": 3, "data_format": "channels_first"}, (20, 2, 3)),
    ],
    "SpatialDropout3D": [
        ({"rate": 0.4, "seed": 3}, (2, 1, 3, 20)),
        ({"rate": 0.4, "seed": 3, "data_format": "channels_first"}, (20, 2, 1, 3)),
    ],
}

ATTENTION: dict[str, list[_CASE]] = {
    "AdditiveAttention": [
        ({}, [(4, 3), (5, 3)]),
        ({"use_scale": False}, [(4, 3), (5, 2), (5, 3)]),
        ({"dropout": 0.3, "seed": 3}, [(4, 3), (5, 3)]),
    ],
    "Attention": [
        ({}, [(4, 3), (5, 3)]),
        ({"use_scale": True}, [(4, 3), (5, 2), (5, 3)]),
        ({"use_scale": True, "score_mode": "concat"}, [(4, 3), (5, 2), (5, 3)]),
        ({"score_mode": "concat", "dropout": 0.3, "seed": 3}, [(4, 3), (5, 3)]),
    ],
    "GroupQueryAttention": [
        (
            {"head_dim": 1, "num_query_heads": 4, "num_key_value_heads": 2},
            [(4, 2), (5, 2)],
        ),
        (
            {
                "head_dim": 2,
                "num_query_heads": 4,
                "num_key_value_heads": 1,
                "use_bias": False,
                "use_gate": True,
                "sliding_window": 2,
                "kernel_regularizer": "l2",
                "activity_regularizer": "l2",
            },
            [(4, 6), (4, 6), (4, 6)],
        ),
        (
            {
                "head_dim": 2,
                "num_query_heads": 2,
                "num_key_value_heads": 2,
                "dropout": 0.3,
                "seed": 3,
            },
            [(4, 2), (4, 2)],
        ),
    ],
    "MultiHeadAttention": [
        ({"num_heads": 2, "key_dim": 2}, [(4, 2), (6, 2)]),
        (
            {
                "num_heads": 3,
                "key_dim": 4,
                "use_bias": False,
                "output_shape": 7,
                "sliding_window": 2,
                "kernel_regularizer": "l2",
                "kernel_constraint": "max_norm",
            },
            [(4, 5), (6, 3), (6, 2)],
        ),
        (
            {
                "num_heads": 2,
                "key_dim": 3,
                "value_dim": 2,
                "attention_axes": (2,),
                "use_gate": True,
                "activity_regularizer": "l2",
                "bias_regularizer": "l2",
            },
            [(2, 3, 4), (2, 5, 4)],
        ),
        (
            {"num_heads": 2, "key_dim": 3, "output_shape": (2, 3)},
            [(2, 3, 4), (1, 5, 4)],
        ),
        ({"num_heads": 1, "key_dim": 3, "dropout": 0.3, "seed": 3}, [(4, 5), (4, 5)]),
    ],
}

COMPOSED = (
    MERGING
    | RESHAPING
    | WRAPPING
    | MASKING
    | NORMALIZATION
    | REGULARIZATION
    | ATTENTION
)

#: Layers that act by chance -> the arguments with which they do not.
CHANCE: dict[str, dict[str, Any]] = {
    "AdditiveAttention": {"dropout": 0.0},
    "AlphaDropout": {"rate": 0.0},
    "Attention": {"dropout": 0.0},
    "Dropout": {"rate": 0.0},
    "GaussianDropout": {"rate": 0.0},
    "GaussianNoise": {"stddev": 0.0},
    "GroupQueryAttention": {"dropout": 0.0},
    "MultiHeadAttention": {"dropout": 0.0},
    "SpatialDropout1D": {"rate": 0.0},
    "SpatialDropout2D": {"rate": 0.0},
    "SpatialDropout3D": {"rate": 0.0},
}

#: Exported functions, and bases that have no call of their own or are tried elsewhere.
OTHERS = {"Lambda", "SpectralNormalization", "Wrapper"} | {
    *("add", "average", "concatenate", "dot"),
    *("maximum", "minimum", "multiply", "subtract"),
}
