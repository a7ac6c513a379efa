"""Why the loss of a step is no number: RV301, told with layer, operation and line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ranvier.engines.api import Fault
from ranvier.engines.faults import error_of
from ranvier.errors import NumericsError, RanvierError
from ranvier.graph import Tensor, current_trace, functions, scope
from ranvier.graph.ir import walk
from ranvier.graph.nonfinite import Cause, find_cause
from ranvier.graph.steep import steep_gradients
from ranvier.graph.trace import must_be_finite, users_line

#: Beyond this, operands have grown by training (or were never scaled).
LARGE = 1e6


def divergence(
    step: Any,
    fault: Fault,
    inputs: Mapping[str, Any],
    where: str = "",
    rows: Any = None,
) -> RanvierError:
    """The exception for a loss that is not finite.

    The step wrote nothing, so its batch can be run again to see where it began.

    Args:
        step: the step (`ranvier.models.step.Step`).
        fault: what the engine reported.
        inputs: the batch, by input name.
        where: the epoch and batch, as far as known.
        rows: numbers of the batch's rows in the data.
    """
    plain = error_of(fault, inputs)
    node = step.graph.checks.get(fault.input)
    cause = None if node is None else find_cause(step.graph, node, inputs)
    details = ["nothing of that step was written; the weights are those before it"]
    fix = f"a smaller learning rate{_rate(step)}, clipnorm=1.0, scaled inputs"
    if cause is not None:
        story, mend = _story(cause)
        if rows is None:
            rows = np.arange(len(next(iter(inputs.values()))))
        details.insert(0, _place(cause, rows) + story)
        fix = mend or fix
    error = NumericsError(
        "RV301",
        plain.message + (f" in {where}" if where else ""),
        details="\n".join(details),
        fix=f"{fix}; callbacks.TerminateOnNaN() ends training without an error, and "
        "allow_nan=True goes on",
    )
    error.fault = fault
    return error


def check_gradients() -> None:
    """Inside a trace: gradients that a finite loss does not vouch for must be finite.

    Times 0 and summed they are 0 if, and only if, all are finite.
    """
    active = current_trace()
    if active is None:
        return
    for path, node in steep_gradients(active.assigned).items():
        with scope(layer=path.rpartition("/")[0], role="gradient"):
            value = functions.sum(Tensor(node=node) * 0.0)
            must_be_finite(f"the gradient of {path}", value)


def _rate(step: Any) -> str:
    rate = step.learning_rate()
    return "" if rate is None else f" (now {rate:g})"


def _place(cause: Cause, rows: Any) -> str:
    """Layer, line and row of the operation."""
    origin = cause.node.origins[0] if cause.node.origins else None
    parts = []
    if origin is not None and origin.layer:
        parts.append(f"in {origin.layer}")
    if origin is not None and origin.line and origin.line != users_line():
        parts.append(f"at {origin.line}")
    if _by_row(cause, len(rows)):
        parts.append(f"for row {int(rows[cause.index[0]]):,}")
    return f"it began {', '.join(parts)}: " if parts else "it began here: "


def _by_row(cause: Cause, count: int) -> bool:
    """Whether the first axis of the result counts the rows of the batch."""
    spec = cause.node.spec[0] if isinstance(cause.node.spec, tuple) else cause.node.spec
    if not spec.shape or not cause.index or cause.value.shape[0] != count:
        return False
    if not isinstance(spec.shape[0], int):
        return True
    # A step that is traced for each batch knows its size as a number.
    return any(node.op.name == "input" for node in walk([cause.node]))


def _story(cause: Cause) -> tuple[str, str]:
    """What the operation did, and how to mend it where that is known."""
    name, got = cause.node.op.name, float(cause.value[cause.index])
    if name == "variable":
        path = cause.node.attrs["variable"].path
        return (
            f"the values of {path} are not finite already ({got:g})",
            "weights from before (load_weights, model.reset()); a gradient that is "
            "infinite, as that of sqrt or of a norm at 0, needs a small constant inside",
        )
    if name == "input":
        return (
            f"{cause.node.attrs['name']} holds a number beyond the range of "
            f"{cause.node.dtype}",
            "scale it",
        )
    operands = [
        np.asarray(v) for v in cause.operands if getattr(v, "size", 0) and _real(v)
    ]
    at = [_element(v, cause) for v in operands]
    if name == "log" and at and at[0] is not None and at[0] <= 0:
        return (
            f"log({at[0]:g}) is {got:g}",
            "ops.log(ops.maximum(x, 1e-7)), or a loss with from_logits=True",
        )
    if name == "div" and len(at) == 2 and at[1] == 0:
        return (
            f"{_show(at[0])} / 0 is {got:g}",
            "a small constant in the denominator, or ops.where",
        )
    if name in ("exp", "expm1", "cosh", "sinh") and at and at[0] is not None:
        return (
            f"{name}({at[0]:g}) is {got:g}",
            "a loss with from_logits=True, ops.softmax or ops.logsumexp, which do "
            "not overflow; a smaller learning rate where outputs grew in training",
        )
    if name in ("sqrt", "rsqrt", "pow", "log1p", "acos", "asin", "acosh", "atanh"):
        shown = ", ".join(_show(v) for v in at)
        return f"{name}({shown}) is {got:g}", "keep its operand inside its domain"
    largest = max((float(np.abs(v).max()) for v in operands), default=0.0)
    story = f"{name} gives {got:g}; its operands reach {largest:.3g}"
    if largest < LARGE:
        return story, ""
    return story + ": they have grown step by step, or were never scaled", ""


def _real(value: Any) -> bool:
    return bool(value.dtype.kind in "fiu")


def _element(value: Any, cause: Cause) -> float | None:
    """The operand of the element that is not finite, for elementwise operations."""
    if value.shape == cause.value.shape:
        return float(value[cause.index])
    return float(value.reshape(-1)[0]) if value.size == 1 else None


def _show(value: float | None) -> str:
    return "…" if value is None else f"{value:g}"
