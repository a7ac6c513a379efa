"""The data that the rows of the tables train on."""

from __future__ import annotations

import gzip
import math
import os
import struct
from pathlib import Path

import numpy as np
from workloads import Workload

#: Where Debian's package `dataset-fashion-mnist` and the usual caches keep the files.
FASHION_FOLDERS = (
    "/usr/share/datasets/fashion-mnist",
    "~/.ranvier/datasets/fashion-mnist",
    "~/.keras/datasets/fashion-mnist",
)


def read_idx(path: Path) -> np.ndarray:
    """Reads one gzipped IDX file of unsigned bytes."""
    with gzip.open(path, "rb") as stream:
        zero, kind, rank = struct.unpack(">HBB", stream.read(4))
        if zero != 0 or kind != 8:
            raise ValueError(f"{path} is not an IDX file of unsigned bytes")
        shape = struct.unpack(f">{rank}I", stream.read(4 * rank))
        return np.frombuffer(stream.read(), np.uint8).reshape(shape)


def fashion_folder() -> Path | None:
    """The folder holding the training files of Fashion-MNIST, if there is one."""
    given = os.environ.get("RANVIER_BENCH_FASHION")
    for folder in (given,) if given else FASHION_FOLDERS:
        path = Path(folder).expanduser()
        if (path / "train-images-idx3-ubyte.gz").exists():
            return path
    return None


def make_data(workload: Workload, rows: int) -> tuple[np.ndarray, np.ndarray, str]:
    """The first `rows` rows of the workload's data, `x` in float32, and what they are.

    Labels are int32 `(n,)` for "sparse_ce" and float32 `(n, 1)` for "mse". Tokens are
    int32 and have the next token as label.
    """
    network = workload.network
    rng = np.random.default_rng(1)
    if network.tokens:
        return *_tokens(rng, rows, network.input[0], network.tokens), "random text"
    shape = (-1, *network.input)
    if workload.data == "fashion":
        folder = fashion_folder()
        if folder is not None:
            images = read_idx(folder / "train-images-idx3-ubyte.gz")[:rows]
            labels = read_idx(folder / "train-labels-idx1-ubyte.gz")[:rows]
            x = images.reshape(shape).astype(np.float32)
            x /= np.float32(255)
            return x, labels.astype(np.int32), "Fashion-MNIST"
    width, out = math.prod(network.input), network.output[-1]
    if workload.data == "fashion":
        x = rng.integers(0, 256, (rows, width), dtype=np.uint8).astype(np.float32)
        x /= np.float32(255)
        what = "random bytes in the shape of Fashion-MNIST (its files were not found)"
    else:
        x = rng.standard_normal((rows, width), dtype=np.float32)
        what = "random normal rows"
    # Something that can be learned: a random linear map of the row (of large images, of
    # their upper part).
    seen = min(width, 4096)
    guide = rng.standard_normal((seen, out), dtype=np.float32) / np.float32(seen**0.5)
    scores = (x[:, :seen] - x.mean()) @ guide
    x = x.reshape(shape)
    if workload.loss == "sparse_ce":
        return x, scores.argmax(1).astype(np.int32), what
    return x, np.tanh(scores).astype(np.float32), what


def _tokens(
    rng: np.random.Generator, rows: int, time: int, words: int
) -> tuple[np.ndarray, np.ndarray]:
    """Text in which every word has four words that may follow, and what follows."""
    followers = rng.integers(0, words, (words, 4), dtype=np.int32)
    text = rng.integers(0, words, (rows, time + 1), dtype=np.int32)
    for t in range(time):
        text[:, t + 1] = followers[text[:, t], rng.integers(0, 4, rows)]
    return np.ascontiguousarray(text[:, :-1]), np.ascontiguousarray(text[:, 1:])
