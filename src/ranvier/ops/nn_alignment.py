"""Labels without an alignment in time: their loss, and how to read them off."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph.trace import Tensor
from ranvier.operation import record_calls
from ranvier.ops._shared import eager, floating

__all__ = ["ctc_decode", "ctc_loss"]

#: The log-probability of what is impossible: finite, so that gradients stay finite.
_NEVER = -1e5


def ctc_loss(
    target: Any,
    output: Any,
    target_length: Any,
    output_length: Any,
    mask_index: int = 0,
) -> Tensor:
    """`-log` of the probability of all alignments of labels with time steps.

    Graves et al., 2006: an alignment repeats labels and puts blanks between them; two
    equal labels in a row need one. `losses.CTC` takes the lengths from the data.

    Args:
        target: labels ``(rows, longest)``; what is behind a row's length is not looked
            at.
        output: logits ``(rows, steps, classes)``.
        target_length: how many labels each row has.
        output_length: how many steps each row has.
        mask_index: the class that is the blank.

    Returns:
        A number for each row.

    Raises:
        ShapeError: RV103 for other shapes.

    Example:
        >>> ctc_loss([[1]], np.zeros((1, 1, 2), "float32"), [1], [1]).numpy().round(4)
        array([0.6931], dtype=float32)
    """
    labels, logits = ops.cast(target, "int32"), floating(output)
    if labels.ndim != 2 or logits.ndim != 3:
        raise ShapeError(
            "RV103",
            "ops.ctc_loss takes labels (rows, longest) and logits (rows, steps, classes)",
            details=f"target {tuple(labels.shape)}, output {tuple(logits.shape)}",
        )
    rows, count = labels.shape
    steps = logits.shape[1]
    length, last = (ops.cast(n, "int32") for n in (target_length, output_length))
    real = ops.arange(count, dtype="int32") < ops.expand_dims(length, 1)
    labels = ops.where(real, labels, 0)
    logp = ops.log_softmax(logits, axis=-1)
    index = ops.broadcast_to(ops.expand_dims(labels, 1), (rows, steps, count))
    emit = ops.transpose(ops.take_along_axis(logp, index, axis=-1), (1, 0, 2))
    rest = ops.transpose(logp[:, :, mask_index : mask_index + 1], (1, 0, 2))
    over = ops.arange(steps, dtype="int32") >= ops.expand_dims(last, 1)
    over = ops.expand_dims(ops.transpose(ops.cast(over, logp.dtype)), -1)
    same = ops.cast(ops.equal(labels[:, :-1], labels[:, 1:]), logp.dtype)
    same = ops.pad(same, ((0, 0), (0, 1)))

    # Between labels (so many are behind), and on a label.
    between = ops.full((rows, count), _NEVER, logp.dtype)
    between = ops.concatenate([ops.zeros((rows, 1), logp.dtype), between], axis=1)
    on = ops.full((rows, count), _NEVER, logp.dtype)

    def left(state: Any, coming: Any) -> Any:
        """The states between labels, where some come from the label before."""
        more = ops.logaddexp(state[:, 1:], coming)
        return ops.concatenate([state[:, :1], more], axis=1)

    def step(carry: Any, seen: Any) -> tuple[Any, Any]:
        between, on = carry
        at_label, at_blank, end = seen
        # Without a blank a label is followed by another one only if they differ.
        freely = left(between, on + _NEVER * same)
        new_on = ops.logaddexp(freely[:, :-1], on) + at_label
        new = left(freely + at_blank, on + at_blank + _NEVER * (1.0 - same))
        kept = [end * a + (1.0 - end) * b for a, b in ((between, new), (on, new_on))]
        return tuple(kept), None

    (between, on), _ = ops.scan(step, (between, on), (emit, rest, over))
    found = ops.take_along_axis(left(between, on), ops.expand_dims(length, 1), axis=1)
    return -ops.squeeze(found, axis=1)


def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int | None = 0,
) -> tuple[Tensor, Tensor]:
    """Labels read off the outputs of a model trained with CTC.

    Args:
        inputs: logits ``(rows, steps, classes)``.
        sequence_lengths: how many steps of each row count.
        strategy: ``"greedy"`` takes the best class of each step; ``"beam_search"`` sums
            over alignments and keeps the best labels so far. It runs on arrays only.
        beam_width: how many it keeps.
        top_paths: how many it returns.
        merge_repeated: whether greedy reads a class that is repeated once.
        mask_index: the class that is the blank; ``None`` for the last.

    Returns:
        The labels ``(paths, rows, steps)``, filled up with -1, and a score for each
        ``(rows, paths)``: of beam search the log-probability, of greedy the negated sum
        of the logits taken, as in Keras.

    Raises:
        ShapeError: RV100 for another strategy, RV103 for other shapes, RV112 for beam
            search inside a step.

    Example:
        >>> logits = np.array([[[0.0, 2.0], [0.0, 2.0], [3.0, 0.0], [0.0, 1.0]]], "float32")
        >>> ctc_decode(logits, [4])[0].numpy()[0, 0].tolist()
        [1, 1, -1, -1]
    """
    if strategy not in ("greedy", "beam_search"):
        raise ShapeError(
            "RV100",
            f"ops.ctc_decode: strategy must be 'greedy' or 'beam_search', got "
            f"{strategy!r}",
            fix="strategy='greedy'",
        )
    inputs = floating(inputs)
    if inputs.ndim != 3:
        raise ShapeError(
            "RV103",
            "ops.ctc_decode takes logits (rows, steps, classes), got shape "
            f"{tuple(inputs.shape)}",
        )
    blank = inputs.shape[-1] - 1 if mask_index is None else mask_index
    if strategy == "beam_search":
        logits, lengths = eager("ctc_decode", inputs, sequence_lengths)
        found = [
            _beam(row, int(length), blank, beam_width, top_paths)
            for row, length in zip(logits, lengths, strict=True)
        ]
        paths = np.stack([path for path, _ in found], 1)
        scores = np.stack([score for _, score in found]).astype(logits.dtype)
        return ops.convert_to_tensor(paths), ops.convert_to_tensor(scores)
    steps = inputs.shape[1]
    place = ops.arange(steps, dtype="int32")
    over = place >= ops.expand_dims(ops.cast(sequence_lengths, "int32"), 1)
    best = ops.where(over, blank, ops.argmax(inputs, axis=-1))
    scores = ops.where(over, 0.0, ops.max(inputs, axis=-1))
    if merge_repeated:
        again = ops.equal(best[:, 1:], best[:, :-1])
        again = ops.pad(ops.cast(again, "int32"), ((0, 0), (1, 0)))
        best = ops.where(again > 0, blank, best)
    empty = ops.equal(best, blank)
    order = ops.argsort(ops.where(empty, steps, place), axis=-1)
    labels = ops.take_along_axis(ops.where(empty, -1, best), order, axis=-1)
    return ops.expand_dims(labels, 0), -ops.sum(scores, axis=1, keepdims=True)


def _beam(
    logits: np.ndarray[Any, Any], length: int, blank: int, width: int, top: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The best labels of a row, and the logarithms of their probabilities.

    For each prefix two sums are kept: of alignments that end on its last label, and of
    those that end on a blank.
    """
    logits = np.asarray(logits, "float64")
    high = logits.max(-1, keepdims=True)
    logp = logits - high - np.log(np.exp(logits - high).sum(-1, keepdims=True))
    never = -np.inf
    first = np.argsort(logp[0], kind="stable")[::-1][:width]
    kept: dict[tuple[int, ...], tuple[float, float]] = {}
    for c in map(int, first):
        # On a label, on a blank.
        path: tuple[int, ...] = () if c == blank else (c,)
        kept[path] = (never, logp[0, c]) if c == blank else (logp[0, c], never)
    for step in logp[1:length]:
        new: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(path: tuple[int, ...], on: float, off: float) -> None:
            a, b = new.get(path, (never, never))  # noqa: B023
            new[path] = float(np.logaddexp(a, on)), float(np.logaddexp(b, off))  # noqa: B023

        for path, (on, off) in kept.items():
            both = np.logaddexp(on, off)
            add(path, never, both + step[blank])
            for c in range(len(step)):
                if c == blank:
                    continue
                if path and c == path[-1]:
                    add(path, on + step[c], never)
                    add((*path, c), off + step[c], never)
                else:
                    add((*path, c), both + step[c], never)
        ranked = sorted(new.items(), key=lambda item: -np.logaddexp(*item[1]))
        kept = dict(ranked[:width])
    best = sorted(
        ((float(np.logaddexp(*ends)), path) for path, ends in kept.items()),
        key=lambda item: -item[0],
    )[:top]
    paths = np.full((top, len(logp)), -1, "int32")
    scores = np.full(top, never)
    for i, (score, path) in enumerate(best):
        paths[i, : len(path)], scores[i] = path, score
    return paths, scores


record_calls(globals(), __all__)
