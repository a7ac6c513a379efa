"""The record of an operation: what it means, in one place.

An engine says how to run it in its own table; tests join the registry with every
engine's table, so that nothing is missing silently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ranvier.graph.ir import Region, Spec

Infer = Callable[..., Any]


@dataclass(frozen=True)
class NoGradient:
    """Why an operation passes no gradient.

    Attributes:
        reason: Shown in the table of operations and in messages.
        zero: Whether the gradient is zero (piecewise constant) or unknown, in which
            case asking for it is an error.
    """

    reason: str
    zero: bool


def stops(reason: str) -> NoGradient:
    """The gradient is zero almost everywhere, for this reason."""
    return NoGradient(reason, zero=True)


def unsupported(reason: str) -> NoGradient:
    """No gradient is defined, for this reason; asking for it raises."""
    return NoGradient(reason, zero=False)


@dataclass(frozen=True)
class Case:
    """One test case: how to draw the inputs, and the static arguments.

    Attributes:
        inputs: For each input ``(shape, low, high)`` or ``(shape, low, high, dtype)``.
        attrs: Static arguments.
    """

    inputs: tuple[tuple[Any, ...], ...]
    attrs: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Op:
    """A primitive operation.

    Attributes:
        name: Unique name.
        family: Which file of ``graph/ops`` it is in; chooses its generic rules.
        infer: ``infer(specs, attrs)`` gives the spec of the result (a tuple of specs
            for several results) or raises `ShapeError`.
        ref: The NumPy definition: ``ref(*arrays, **attrs)``.
        grad: ``grad(g, y, *inputs, **attrs)`` gives one gradient (or ``None``) for
            each input, written in symbols so that it differentiates again.
        cases: Test cases.
        tol: Largest error of an engine relative to ``ref``, in units of 2**-23.
    """

    name: str
    family: str
    infer: Infer
    ref: Callable[..., Any]
    grad: Callable[..., Sequence[Any]] | NoGradient
    cases: tuple[Case, ...] = ()
    tol: float = 4.0

    def __repr__(self) -> str:
        return f"<op {self.name}>"


@dataclass(frozen=True, eq=False)
class Composite:
    """A named subgraph: a fused operation that carries its unfused body.

    An engine that has a kernel of this name may use it, any other inlines the body;
    both give the same numbers. Built by `composite`.

    Attributes:
        name: Unique name; the name of the kernel.
        body: The definition, in ops; pure.
        grad: Optional shorter or stabler gradient rule, as of `Op`; without it the
            body is differentiated.
        cases: Test cases.
        tol: As of `Op`.
    """

    name: str
    body: Callable[..., Any]
    grad: Callable[..., Sequence[Any]] | None = None
    cases: tuple[Case, ...] = ()
    tol: float = 8.0
    family: str = "composite"

    def __repr__(self) -> str:
        return f"<composite {self.name}>"

    def infer(self, specs: Sequence[Spec], attrs: dict[str, Any]) -> Any:
        """Spec of the result, from tracing the body."""
        region = self.region(specs, attrs)
        found = tuple(node.spec for node in region.results)
        return found if len(found) > 1 else found[0]

    def region(self, specs: Sequence[Spec], attrs: dict[str, Any]) -> Region:
        """The body for these specs and static arguments."""
        from ranvier.graph.trace import trace_region

        return trace_region(lambda *xs: self.body(*xs, **attrs), specs)

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        from ranvier.graph.trace import apply

        return apply(self, *args, **attrs)


REGISTRY: dict[str, Op] = {}
COMPOSITES: dict[str, Composite] = {}


def op(
    name: str,
    family: str,
    infer: Infer,
    ref: Callable[..., Any],
    grad: Callable[..., Sequence[Any]] | NoGradient,
    cases: Sequence[Case] = (),
    tol: float = 4.0,
) -> Op:
    """Register a primitive operation."""
    if name in REGISTRY:
        raise ValueError(f"operation {name!r} is defined twice")
    record = Op(name, family, infer, ref, grad, tuple(cases), tol)
    REGISTRY[name] = record
    return record


def composite(
    name: str,
    *,
    grad: Callable[..., Sequence[Any]] | None = None,
    cases: Sequence[Case] = (),
    tol: float = 8.0,
) -> Callable[[Callable[..., Any]], Composite]:
    """Register the decorated function as a composite."""

    def register(body: Callable[..., Any]) -> Composite:
        if name in COMPOSITES:
            raise ValueError(f"composite {name!r} is defined twice")
        COMPOSITES[name] = Composite(name, body, grad, tuple(cases), tol)
        return COMPOSITES[name]

    return register


def case(*inputs: tuple[Any, ...], **attrs: Any) -> Case:
    """A test case, see `Case`."""
    return Case(inputs, tuple(attrs.items()))
