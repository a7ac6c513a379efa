"""Where one weight's last change came from, told from the graph's provenance alone.

    python examples/explain_weight.py                  # the last weight of hidden/kernel
    python examples/explain_weight.py output/bias 0

Every node of a training step remembers the layer, the line of the user's program and the
part of the step it comes from. Evaluating the nodes between the loss and the new weight
tells the whole story of one update.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import ranvier as keras
from ranvier.graph import Dim, Graph, Node, Spec, Variable, trace
from ranvier.graph.evaluate import Interpreter
from ranvier.graph.ir import walk
from ranvier.graph.trace import tap


class Network(keras.Model):
    """Two layers; the loss is tapped, so that the graph of a step has it by name."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = keras.layers.Dense(3, activation="tanh", name="hidden")
        self.score = keras.layers.Dense(2, name="output")

    def call(self, x: Any) -> Any:
        h = self.hidden(x)
        return self.score(h)

    def compute_loss(self, **given: Any) -> Any:
        return tap("loss", super().compute_loss(**given))


def step_of(model: keras.Model) -> Graph:
    """The whole training step of a model as a graph."""
    rows = Dim.symbol("batch")
    specs = {"x": Spec((rows, 4), "float32"), "y": Spec((rows,), "int32")}

    def step(batch: Any) -> dict[str, Any]:
        model.train_step((batch["x"], batch["y"]))
        return {}

    return trace(step, specs)


def chain(graph: Graph, variable: Variable) -> list[Node]:
    """The longest path of gradient and update nodes that ends in the new value."""
    new = graph.updates[variable]
    best: dict[Node, list[Node]] = {}
    for node in walk([new]):
        before = max(
            (best.get(child, []) for child in node.inputs), key=len, default=[]
        )
        roles = {origin.role for origin in node.origins}
        starts = bool(before) or "gradient" in roles
        computed = node.op.name not in ("variable", "const", "input")
        if starts and computed and roles & {"gradient", "update"}:
            best[node] = [*before, node]
    return best[new]


def shown(value: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The element that belongs to the weight, or a summary of what is shared."""
    if isinstance(value, tuple):
        return ", ".join(shown(part, index, shape) for part in value)
    array = np.asarray(value)
    if array.shape == shape:
        return f"{array[index]:+.6g}"
    if array.size == 1:
        return f"{array.reshape(())[()]:+.6g}"
    if array.ndim and shape and array.shape[-1] == shape[-1]:
        column = array[..., index[-1]].ravel()
        rows = ", ".join(f"{v:+.3g}" for v in column[:3])
        return f"column {index[-1]}: {rows}{', …' if column.size > 3 else ''}"
    return f"{array.dtype}{list(array.shape)}, norm {np.linalg.norm(array):.3g}"


def explain(
    graph: Graph, variable: Variable, index: tuple[int, ...], batch: dict[str, Any]
) -> str:
    """The story of one weight in the step that this batch would make now."""
    rows = len(batch["x"])
    known = {node: batch[name] for name, node in graph.inputs.items()}
    for node in graph.nodes():
        if node.op.name == "variable":
            known[node] = node.attrs["variable"].numpy()
    path = chain(graph, variable)
    loss = graph.outputs["tap:loss"]
    values = Interpreter({"batch": rows}).run([loss, *path], known)
    old, new = variable.numpy()[index], values[-1][index]
    users = [
        node
        for node in graph.nodes()
        if any(c.attrs.get("variable") is variable for c in node.inputs)
    ]
    used = next(o for n in users for o in n.origins if o.role == "forward")
    lines = [
        f"weight {variable.path}{list(index)} = {old:.6g}",
        f"  layer {used.layer!r}, used at {used.line}",
        f"  loss of this batch of {rows} rows: {values[0]:.6g}",
    ]
    table = [
        (
            node.origins[0].line.split("/")[-1],
            f"{node.origins[0].role} of {node.origins[0].layer}",
            node.op.name,
            shown(value, index, variable.shape),
        )
        for node, value in zip(path, values[1:], strict=True)
    ]
    wide = [max(len(row[i]) for row in table) for i in range(4)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, wide, strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.append(f"  {old:.6g} becomes {new:.6g}: it changes by {new - old:+.3g}")
    return "\n".join(lines)


def main(path: str = "hidden/kernel", *index: str) -> None:
    """Train a little, then explain the next change of one weight and check it."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(1).normal(size=(64, 4)).astype("float32")
    y = (x[:, 0] > x[:, 1]).astype("int32")
    model = Network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, y, batch_size=16, epochs=20, verbose=0)
    variable = next(w for w in model.weights if w.path.endswith(path))
    at = tuple(map(int, index)) if index else tuple(n - 1 for n in variable.shape)
    told = explain(step_of(model), variable, at, {"x": x[:16], "y": y[:16]})
    print(told)
    model.train_on_batch(x[:16], y[:16])
    print(f"the step was made: the weight is {variable.numpy()[at]:.6g} now")


if __name__ == "__main__":
    main(*sys.argv[1:])
