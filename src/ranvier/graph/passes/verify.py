"""Checks that a graph is well formed. Run between passes in tests (RANVIER_VERIFY=1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier.errors import InternalError
from ranvier.graph.ir import Graph, Node, Region, walk
from ranvier.graph.op import Composite
from ranvier.graph.trace import CONST, GET, INPUT, PARAM, VARIABLE

LEAVES = (INPUT, VARIABLE, CONST, PARAM)


def verify(graph: Graph, after: str) -> None:
    """Check a graph.

    Every node has the spec that its operation infers from its inputs; regions read
    nothing but their parameters; an update has the spec of its variable; every input
    that is read is an input of the graph.

    Args:
        graph: The graph.
        after: The pass that made it, for the message.

    Raises:
        InternalError: RV902, naming the node that is wrong.
    """
    inputs = set(graph.inputs.values())
    for node in graph.nodes():
        if node.op is PARAM:
            raise _wrong(after, node, "a parameter outside of a region")
        if node.op is INPUT and node not in inputs:
            raise _wrong(after, node, "an input that the graph does not declare")
        _check(after, node)
    for variable, node in graph.updates.items():
        if node.spec != variable.spec:
            raise _wrong(after, node, f"the update of {variable!r} has another spec")
    for name, node in graph.outputs.items():
        if isinstance(node.spec, tuple):
            raise _wrong(after, node, f"output {name!r} is several values")
    for name, node in graph.checks.items():
        if isinstance(node.spec, tuple) or node.shape != () or not node.spec.floating:
            raise _wrong(after, node, f"check {name!r} is no floating scalar")


def _check(after: str, node: Node) -> None:
    for value in node.attrs.values():
        if isinstance(value, Region):
            _check_region(after, node, value)
    if node.op in LEAVES:
        return
    if any(isinstance(child.spec, tuple) for child in node.inputs) and (
        node.op is not GET
    ):
        raise _wrong(after, node, "reads a node of several results without get")
    inferred = _infer(node)
    if inferred != node.spec:
        raise _wrong(after, node, f"its operation infers {inferred}")


def _infer(node: Node) -> Any:
    if node.op is GET:
        return node.inputs[0].spec[node.attrs["index"]]
    specs = [child.spec for child in node.inputs]
    if isinstance(node.op, Composite):
        body: Region = node.attrs["body"]
        if [param.spec for param in body.params] != specs:
            return [param.spec for param in body.params]
        found = tuple(result.spec for result in body.results)
        return found if len(found) > 1 else found[0]
    return node.op.infer(specs, node.attrs)


def _check_region(after: str, owner: Node, region: Region) -> None:
    own = set(region.params)
    for node in walk(region.results):
        if node.op in (INPUT, VARIABLE) or (node.op is PARAM and node not in own):
            raise _wrong(after, owner, f"its region reads {node!r} from outside")
        _check(after, node)


def _wrong(after: str, node: Node, problem: str) -> InternalError:
    specs: Sequence[Any] = [child.spec for child in node.inputs]
    return InternalError(
        "RV902",
        f"the graph is not well formed after {after}",
        details=f"{node!r} of {specs}: {problem}",
        fix="please report it, with the model that led here",
    )
