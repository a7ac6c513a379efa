"""Beam search over alignments, against Keras: it runs on arrays only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ranvier import ops


@pytest.mark.parametrize(
    ("width", "paths", "blank"), [(100, 3, 0), (4, 2, 0), (9, 4, None), (50, 2, 2)]
)
def test_beam_search(keras: Any, width: int, paths: int, blank: int | None) -> None:
    rng = np.random.default_rng(width)
    logits = 2 * rng.normal(size=(3, 6, 4)).astype("float32")
    lengths = np.array([6, 4, 2], "int32")
    given = logits, lengths, "beam_search", width, paths
    labels, scores = ops.ctc_decode(*given, mask_index=blank)
    wanted, likely = keras.ops.ctc_decode(*given, mask_index=blank)
    np.testing.assert_array_equal(labels.numpy(), np.asarray(wanted))
    np.testing.assert_allclose(scores.numpy(), np.asarray(likely), rtol=1e-5)


def test_fewer_labels_than_asked_for(keras: Any) -> None:
    logits = np.array([[[0.0, 1.0]]], "float32")
    given = logits, np.array([1], "int32"), "beam_search", 5, 3
    for found, wanted in zip(
        ops.ctc_decode(*given), keras.ops.ctc_decode(*given), strict=True
    ):
        np.testing.assert_allclose(np.asarray(found), np.asarray(wanted), rtol=1e-5)
