"""Walks a graph under JAX's tracer: rows of the table, regions, and bad data.

XLA cannot raise. What a reference function would raise travels as three numbers with
the values: which check failed first (0: none), the value and its row. A loop carries
them too. The caller looks at them before it writes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import lax

from ranvier.engines.jax.gaps import no_row
from ranvier.engines.jax.table import ROWS
from ranvier.graph.dims import bind
from ranvier.graph.ir import Node, Region, walk
from ranvier.graph.op import Composite

#: Where an operation keeps its indices, among its operands.
INDEXED = ("take", "scatter_add", "take_along_axis", "add_along_axis")
#: Nodes that `Walker` knows by itself.
OWN = frozenset(("input", "variable", "param", "const", "get", "check_range"))
REGIONS = frozenset(("scan", "while", "cond"))


@dataclass(frozen=True)
class Site:
    """A check of data in the graph.

    Attributes:
        code: ``RV105`` or ``RV111``.
        input: Name of the only input that the checked values come from, if there is one.
        rowed: Whether the first axis of the values is the rows of that input.
        low: Smallest value allowed.
        high: One more than the largest.
    """

    code: str
    input: str
    rowed: bool
    low: int
    high: int


def refuse_unknown(nodes: Sequence[Node]) -> None:
    """Refuse a graph with an operation that has no row, also inside regions.

    Raises:
        Unsupported: RV502, naming the operation.
    """
    for node in nodes:
        for value in node.attrs.values():
            if isinstance(value, Region):
                refuse_unknown(walk(value.results))
        name = node.op.name
        if isinstance(node.op, Composite) or name in OWN or name in REGIONS:
            continue
        if name not in ROWS:
            raise no_row(node)


class Walker:
    """Evaluates nodes with the rows of the table.

    Args:
        sizes: The integer of each symbolic size.
        names: Name of each input node, to say where bad data came from.
        sites: Filled with the checks met; a fault's first number counts them from 1.
    """

    def __init__(
        self,
        sizes: Mapping[str, int] | None = None,
        names: Mapping[Node, str] | None = None,
        sites: list[Site] | None = None,
    ) -> None:
        self.sizes = dict(sizes or {})
        self.names = dict(names or {})
        self.sites = [] if sites is None else sites
        self.fault = (
            jnp.zeros((), "int32"),
            jnp.zeros((), "float64"),
            jnp.zeros((), "int64"),
        )

    def run(self, results: Sequence[Node], known: Mapping[Node, Any]) -> list[Any]:
        """Values of ``results``, given the values of leaves (or any other nodes)."""
        values: dict[Node, Any] = dict(known)
        for node in walk(results):
            if node not in values:
                values[node] = self._value(node, values)
        return [values[node] for node in results]

    def region(self, region: Region, args: Sequence[Any]) -> tuple[Any, ...]:
        """Results of a region applied to arrays."""
        known = dict(zip(region.params, args, strict=True))
        return tuple(self.run(region.results, known))

    def _value(self, node: Node, values: Mapping[Node, Any]) -> Any:
        name = node.op.name
        if name == "const":
            return jnp.asarray(node.attrs["value"])
        if name == "get":
            return values[node.inputs[0]][node.attrs["index"]]
        args = [values[child] for child in node.inputs]
        if isinstance(node.op, Composite):
            found = self.region(node.attrs["body"], args)
            return found if len(found) > 1 else found[0]
        attrs = bind(node.attrs, self.sizes)
        if name in REGIONS:
            return getattr(self, f"_{name}")(*args, **attrs)
        if name == "check_range":
            return self._check_range(node, args[0], **attrs)
        if name in INDEXED:
            args[1] = self._indices(node, args[1], args[0].shape[attrs["axis"]])
        return ROWS[name](*args, **attrs)

    # ------------------------------------------------------------------------ regions

    def _scan(
        self,
        *args: Any,
        body: Region,
        n_carry: int,
        n_xs: int,
        length: int,
        reverse: bool,
    ) -> tuple[Any, ...]:
        shared = args[n_carry + n_xs :]

        def step(state: Any, xs: Any) -> Any:
            self.fault, carry = state
            found = self.region(body, [*carry, *xs, *shared])
            return (self.fault, found[:n_carry]), found[n_carry:]

        (self.fault, carry), stacked = lax.scan(
            step,
            (self.fault, args[:n_carry]),
            args[n_carry : n_carry + n_xs],
            length=length,
            reverse=reverse,
        )
        return (*carry, *stacked)

    def _while(
        self, *args: Any, test: Region, body: Region, n_carry: int, n_test: int
    ) -> tuple[Any, ...]:
        """The test runs at the end of the body, where its faults can be kept."""
        shared_test = args[n_carry : n_carry + n_test]
        shared_body = args[n_carry + n_test :]

        def asked(carry: Any) -> Any:
            go = self.region(test, [*carry, *shared_test])[0]
            return go & (self.fault[0] == 0), self.fault, tuple(carry)

        def step(state: Any) -> Any:
            _, self.fault, carry = state
            return asked(self.region(body, [*carry, *shared_body]))

        first = asked(args[:n_carry])
        _, self.fault, carry = lax.while_loop(lambda state: state[0], step, first)
        return tuple(carry)

    def _cond(self, pick: Any, *args: Any, yes: Region, no: Region) -> tuple[Any, ...]:
        def branch(region: Region) -> Any:
            def run(fault: Any, *xs: Any) -> Any:
                self.fault = fault
                found = self.region(region, xs)
                return self.fault, found

            return run

        self.fault, found = lax.cond(pick, branch(yes), branch(no), self.fault, *args)
        return tuple(found)

    # ----------------------------------------------------------------------- bad data

    def _check_range(
        self, node: Node, x: Any, low: int, high: int, allow: int | None
    ) -> Any:
        bad = (x < low) | (x >= high)
        if allow is not None:
            bad &= x != allow
        self._note("RV105", node, x, bad, low, high)
        return x

    def _indices(self, node: Node, indices: Any, size: int) -> Any:
        """Indices from 0 on; negative ones count from the end."""
        wide = indices.astype("int64")
        bad = (wide < -size) | (wide >= size)
        self._note("RV111", node.inputs[1], indices, bad, -size, size)
        return jnp.where(wide < 0, wide + size, wide)

    def _note(
        self, code: str, node: Node, x: Any, bad: Any, low: int, high: int
    ) -> None:
        """Remember the first value that is bad, unless something was bad before."""
        if not x.size:
            return
        source, rowed = self._source(node)
        self.sites.append(Site(code, source, rowed, low, high))
        site = jnp.asarray(len(self.sites), "int32")
        at = jnp.argmax(bad.reshape(-1))
        value = lax.stop_gradient(x.reshape(-1)[at]).astype("float64")
        row = (at // (x.size // x.shape[0] if x.ndim else 1)).astype("int64")
        fresh = bad.any() & (self.fault[0] == 0)
        new = (site, value, row)
        old = self.fault
        self.fault = tuple(  # type: ignore[assignment]
            jnp.where(fresh, a, b) for a, b in zip(new, old, strict=True)
        )

    def _source(self, node: Node) -> tuple[str, bool]:
        """The input that a value comes from, and whether they have the same rows."""
        leaves = [leaf for leaf in walk([node]) if not leaf.inputs]
        inputs = [leaf for leaf in leaves if leaf.op.name == "input"]
        state = any(leaf.op.name in ("variable", "param") for leaf in leaves)
        if state or len(inputs) != 1 or inputs[0] not in self.names:
            return "", False
        shape = inputs[0].shape
        rowed = bool(shape) and bool(node.shape) and node.shape[0] == shape[0]
        return self.names[inputs[0]], rowed
