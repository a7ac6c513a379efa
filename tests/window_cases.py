"""Arguments and inputs with which convolution and pooling layers are tried."""

from __future__ import annotations

from typing import Any

Cases = list[tuple[dict[str, Any], tuple[int, ...]]]

_RULES = {
    "kernel_regularizer": "l2",
    "bias_regularizer": "l1",
    "activity_regularizer": "l2",
    "kernel_constraint": "unit_norm",
    "bias_constraint": "non_neg",
}
FIRST = {"data_format": "channels_first"}

CASES: dict[str, Cases] = {
    "Conv1D": [
        ({"filters": 4, "kernel_size": 3}, (9, 3)),
        (
            {
                "filters": 6,
                "kernel_size": 2,
                "padding": "causal",
                "dilation_rate": 2,
                "groups": 2,
                "activation": "relu",
            },
            (7, 4),
        ),
        ({"filters": 3, "kernel_size": 4, "strides": 2, **FIRST, **_RULES}, (2, 9)),
    ],
    "Conv2D": [
        ({"filters": 17, "kernel_size": 3, "activation": "relu"}, (7, 6, 1)),
        ({"filters": 5, "kernel_size": (1, 1), "use_bias": False}, (4, 5, 3)),
        (
            {"filters": 6, "kernel_size": (3, 2), "strides": (2, 1), "padding": "same"},
            (7, 6, 3),
        ),
        (
            {
                "filters": 4,
                "kernel_size": 3,
                "padding": "same",
                "dilation_rate": 2,
                "activation": "tanh",
                **FIRST,
            },
            (3, 8, 7),
        ),
        ({"filters": 6, "kernel_size": 2, "groups": 3, **_RULES}, (4, 4, 6)),
        ({"filters": 70, "kernel_size": 1, "strides": 2}, (5, 5, 33)),
    ],
    "Conv3D": [
        ({"filters": 3, "kernel_size": 2}, (4, 3, 5, 2)),
        (
            {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", **FIRST},
            (2, 4, 5, 3),
        ),
    ],
    "Conv1DTranspose": [
        ({"filters": 4, "kernel_size": 3}, (6, 3)),
        (
            {
                "filters": 3,
                "kernel_size": 2,
                "strides": 3,
                "padding": "same",
                "output_padding": 1,
                **FIRST,
                **_RULES,
            },
            (2, 5),
        ),
    ],
    "Conv2DTranspose": [
        ({"filters": 4, "kernel_size": 2, "strides": 2}, (3, 4, 3)),
        (
            {
                "filters": 3,
                "kernel_size": 3,
                "strides": (2, 1),
                "padding": "same",
                "activation": "relu",
            },
            (4, 3, 2),
        ),
        ({"filters": 3, "kernel_size": 3, "dilation_rate": 2, **FIRST}, (2, 4, 3)),
        ({"filters": 2, "kernel_size": 1, "strides": 2, "use_bias": False}, (3, 3, 2)),
    ],
    "Conv3DTranspose": [
        ({"filters": 2, "kernel_size": 2, "strides": 2}, (2, 3, 2, 2)),
        ({"filters": 2, "kernel_size": 3, "padding": "same", **FIRST}, (2, 3, 2, 3)),
    ],
    "DepthwiseConv1D": [
        ({"kernel_size": 3}, (8, 5)),
        ({"kernel_size": 2, "depth_multiplier": 3, "padding": "same"}, (6, 4)),
    ],
    "DepthwiseConv2D": [
        ({"kernel_size": 3, "padding": "same", "activation": "relu"}, (6, 7, 5)),
        ({"kernel_size": (2, 3), "strides": 2, "depth_multiplier": 2}, (7, 8, 3)),
        (
            {
                "kernel_size": 3,
                "dilation_rate": 2,
                "depthwise_regularizer": "l2",
                "depthwise_constraint": "unit_norm",
                **FIRST,
            },
            (4, 7, 6),
        ),
        ({"kernel_size": 2, "use_bias": False}, (3, 3, 70)),
    ],
    "SeparableConv1D": [
        ({"filters": 4, "kernel_size": 3}, (8, 3)),
        (
            {
                "filters": 3,
                "kernel_size": 2,
                "depth_multiplier": 2,
                "strides": 2,
                "padding": "same",
                **FIRST,
            },
            (3, 7),
        ),
    ],
    "SeparableConv2D": [
        ({"filters": 4, "kernel_size": 3, "padding": "same"}, (5, 6, 3)),
        (
            {
                "filters": 5,
                "kernel_size": 2,
                "depth_multiplier": 2,
                "activation": "relu",
                "depthwise_regularizer": "l2",
                "pointwise_regularizer": "l1",
                "pointwise_constraint": "max_norm",
                "use_bias": False,
            },
            (5, 4, 3),
        ),
    ],
}

_ROWS: dict[int, tuple[int, ...]] = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}


def _pooling() -> dict[str, Cases]:
    found: dict[str, Cases] = {}
    for rank, sizes in _ROWS.items():
        last, first = (*sizes, 3), (3, *sizes)
        uneven = {"pool_size": 3, "strides": 2, "padding": "same"}
        for kind in ("Max", "Average"):
            found[f"{kind}Pooling{rank}D"] = [
                ({"pool_size": 2}, last),
                (uneven, last),
                ({"pool_size": 2, "strides": 1, **FIRST}, first),
            ]
            found[f"Global{kind}Pooling{rank}D"] = [
                ({}, last),
                ({"keepdims": True, **FIRST}, first),
            ]
            found[f"Adaptive{kind}Pooling{rank}D"] = [
                ({"output_size": 2}, last),
                ({"output_size": (4, 3, 5)[:rank], **FIRST}, first),
            ]
    return found


CASES |= _pooling()

#: Second names of layers that are tried.
OTHERS = {
    *(f"Convolution{n}D{tail}" for n in (1, 2, 3) for tail in ("", "Transpose")),
    *(f"SeparableConvolution{n}D" for n in (1, 2)),
    *(
        f"{scope}{kind}Pool{n}D"
        for n in (1, 2, 3)
        for scope in ("", "Global")
        for kind in ("Max", "Avg")
    ),
}
