"""The symbolic core: specs, operations, tracing, gradients. Needs NumPy only."""

from ranvier.graph.dims import Dim, bind, product
from ranvier.graph.ir import Graph, Node, Origin, Region, Spec
from ranvier.graph.op import COMPOSITES, REGISTRY, Composite, Op, composite
from ranvier.graph.trace import Tensor, current_trace, scope, trace
from ranvier.graph.variable import Variable

__all__ = [
    "COMPOSITES",
    "REGISTRY",
    "Composite",
    "Dim",
    "Graph",
    "Node",
    "Op",
    "Origin",
    "Region",
    "Spec",
    "Tensor",
    "Variable",
    "bind",
    "composite",
    "current_trace",
    "product",
    "scope",
    "trace",
]
