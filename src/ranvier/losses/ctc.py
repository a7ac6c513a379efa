"""Connectionist temporal classification: labels without an alignment in time."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.losses.alignment import as_float, differ, show
from ranvier.losses.base import LossFunctionWrapper

#: The label that means "nothing here"; it also pads short label rows.
BLANK = 0
#: The log-probability of what is impossible: finite, so that gradients stay finite.
_NEVER = -1e5


def ctc(y_true: Any, y_pred: Any) -> Any:
    """`-log` of the probability of all alignments of the labels with the time steps.

    Graves et al., 2006. An alignment repeats labels and puts blanks (label 0) between
    them; two equal labels in a row need a blank between. The sum over alignments is
    the forward recursion over the states `blank, l₁, blank, l₂, …, blank`.

    Args:
        y_true: whole-number labels `(n, longest)`, short rows filled up with 0.
        y_pred: logits `(n, time, classes)`.

    Raises:
        ShapeError: RV101 for other shapes.

    Example:
        >>> round(ctc([[1]], [[[0.0, 0.0]]]).item(), 4)
        0.6931
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), as_float(y_pred)
    true, pred = tuple(y_true.shape), tuple(y_pred.shape)
    if len(true) != 2 or len(pred) != 3 or differ(true[0], pred[0]):
        raise ShapeError(
            "RV101",
            f"labels {show(true)} and predictions {show(pred)} do not fit together"
            " in ctc",
            details="labels (rows, longest) and logits (rows, time, classes) are taken",
            fix="pad the labels with 0 to one length",
        )
    labels = ops.check_range(ops.cast(y_true, "int32"), 0, pred[2])
    rows, count = pred[0], int(true[1])
    states = 2 * count + 1

    blank = ops.zeros((rows, count), "int32") + BLANK
    pairs = ops.reshape(ops.stack([blank, labels], axis=-1), (rows, 2 * count))
    path = ops.concatenate([pairs, ops.zeros((rows, 1), "int32") + BLANK], axis=-1)
    # A label may follow the label before it directly, unless the two are equal.
    before = ops.pad(path[:, :-2], ((0, 0), (2, 0)), constant_values=BLANK)
    skip = ops.logical_and(ops.not_equal(path, BLANK), ops.not_equal(path, before))
    penalty = ops.where(skip, 0.0, _NEVER)

    logp = ops.log_softmax(y_pred, axis=-1)
    index = ops.broadcast_to(ops.expand_dims(path, 1), (rows, pred[1], states))
    emitted = ops.transpose(ops.take_along_axis(logp, index, axis=-1), (1, 0, 2))

    def step(alpha: Any, emit: Any) -> tuple[Any, Any]:
        one = ops.pad(alpha[:, :-1], ((0, 0), (1, 0)), constant_values=_NEVER)
        if count:
            two = ops.pad(alpha[:, :-2], ((0, 0), (2, 0)), constant_values=_NEVER)
            alpha = _log_add(alpha, one, two + penalty)
        return alpha + emit, None

    start = ops.cast(ops.arange(0, states), y_pred.dtype)
    start = ops.where(start > 0.0, _NEVER, 0.0) + ops.zeros((rows, 1), y_pred.dtype)
    alpha, _ = ops.scan(step, start, emitted)

    length = ops.sum(ops.cast(ops.not_equal(labels, BLANK), "int32"), axis=-1)
    end = ops.expand_dims(length * 2, -1)
    in_blank = ops.take_along_axis(alpha, end, axis=-1)
    in_label = ops.take_along_axis(alpha, ops.maximum(end - 1, 0), axis=-1)
    # A row without labels ends in its only state, which must not count twice.
    in_label = ops.where(end > 0, in_label, _NEVER)
    return -ops.squeeze(_log_add(in_blank, in_label), axis=-1)


def _log_add(*terms: Any) -> Any:
    """`log(exp(a) + exp(b) + …)`."""
    top = terms[0]
    for term in terms[1:]:
        top = ops.maximum(top, term)
    top = ops.stop_gradient(top)
    total = ops.exp(terms[0] - top)
    for term in terms[1:]:
        total = total + ops.exp(term - top)
    return top + ops.log(total)


ctc.integer_targets = True  # type: ignore[attr-defined]


class CTC(LossFunctionWrapper):
    """Labels without an alignment in time; see `ctc`, other arguments as in `Loss`.

    Example:
        >>> round(float(CTC()([[1]], [[[0.0, 0.0]]])), 4)
        0.6931
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "ctc",
        dtype: Any = None,
    ) -> None:
        super().__init__(ctc, reduction, name, dtype)
