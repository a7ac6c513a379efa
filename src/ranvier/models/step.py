"""A step of training, testing or predicting, traced once and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ranvier.data.arrays import Arrays, input_dtype, pack, unpack
from ranvier.engines.choice import compile_graph
from ranvier.errors import Finding, RanvierError, ShapeError, warn
from ranvier.graph import (
    Dim,
    Graph,
    Spec,
    Tensor,
    Variable,
    current_trace,
    trace,
    tree,
)
from ranvier.graph.storage import RowMajor
from ranvier.graph.trace import must_be_finite, outside
from ranvier.metrics.base import Metric
from ranvier.metrics.reduction import Mean
from ranvier.models.by_run import LOSSES, DefinedByRun
from ranvier.models.divergence import check_gradients
from ranvier.models.labels import Label, labels_of

BATCH = Dim.symbol("batch")
#: Stands for an array where only the structure of data is kept.
_ARRAY = np.empty(0)


class Pending:
    """A log that is a metric's result: read from its state when somebody looks."""

    __slots__ = ("metric",)

    def __init__(self, metric: Metric) -> None:
        self.metric = metric


class MetricLogs(dict[str, Any]):
    """Results of metrics by name; inside a trace each is computed only when used.

    Most steps return them untouched; then nothing of them enters the graph, and the
    values are read from the metrics' state after the epoch.
    """

    def _value(self, value: Any) -> Any:
        return value.metric.result() if isinstance(value, Pending) else value

    def __getitem__(self, key: str) -> Any:
        return self._value(super().__getitem__(key))

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a name."""
        return self[key] if key in self else default  # noqa: SIM401 (get is this)

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def items(self) -> Any:
        """Names and values."""
        return [(k, self[k]) for k in self]

    def values(self) -> Any:
        """Values."""
        return [self[k] for k in self]

    def raw(self) -> list[tuple[str, Any]]:
        """Names with what stands for their values."""
        return list(super().items())


def read_metric(metric: Metric) -> Any:
    """A metric's result as a number (an array where it has several)."""
    if isinstance(metric, Mean) and type(metric).result is Mean.result:
        # The common case, without a detour through half a dozen tensor operations.
        count = metric.count.storage.read().item()
        total = metric.total.storage.read().item()
        return float(np.float32(total / count)) if count else 0.0
    value = np.asarray(metric.result())
    return float(value) if value.ndim == 0 else value


def reset_metric(metric: Metric) -> None:
    """Back to before the first batch."""
    if type(metric).reset_state is Metric.reset_state:
        for variable in metric.variables:
            storage = variable.storage
            if isinstance(storage, RowMajor):
                storage.array.fill(0)
            else:
                storage.write(np.zeros(variable.shape, variable.dtype))  # type: ignore[arg-type]
            variable.version += 1
    else:
        metric.reset_state()


class Step:
    """A compiled step and how to read what it leaves behind.

    Attributes:
        executable: what the engine made of the graph.
        readers: names in the logs, and what gives each its value.
        outputs: structure of the predictions, with the names of the graph's outputs.
        collect: outputs that Python metrics need.
        units: classes of the output, for messages.
        checks: losses that must be finite before anything is written.
        labels: where a test refuses labels, see `labels_of`.
        by_run: whether it is traced anew for every batch.
    """

    def __init__(
        self,
        model: Any,
        kind: str,
        data: Arrays,
        engine: str | None,
        by_run: bool = False,
    ) -> None:
        self.kind = kind
        self.by_run = by_run
        self.readers: list[tuple[str, Callable[[], Any]]] = []
        self.outputs: Any = None
        self.collect: tuple[str, ...] = ()
        self.units: int | None = None
        # Only the structure: a step outlives the data it was made for.
        self.structure = tuple(
            tree.map_leaves(lambda _: _ARRAY, part)
            for part in (data.x, data.y, data.sample_weight)
        )
        self._taps: dict[str, Any] = {}
        self._metrics: Any = None
        specs = model._input_specs(data)
        self.dtypes = {name: spec.dtype for name, spec in specs.items()}
        run = self._predict if kind == "predict" else self._learn
        self._optimizer = model.optimizer
        self.checks: tuple[str, ...] = ()
        self.labels: list[Label] = []
        self.executable: Any
        if by_run:
            if kind == "train":
                self.checks = (LOSSES,)

            def graph_of(inputs: Mapping[str, Any]) -> Graph:
                shapes = {n: Spec(a.shape, self.dtypes[n]) for n, a in inputs.items()}
                self.graph = trace(lambda given: run(model, given), shapes, inputs)
                model._clear_losses()
                return self.graph

            self.executable = DefinedByRun(
                graph_of, lambda: self.collect, self.dtypes, engine
            )
            return
        self.graph = trace(lambda inputs: run(model, inputs), specs)
        model._clear_losses()
        if kind == "train":
            self.checks = tuple(self.graph.checks)
        elif kind == "test":
            self.labels = labels_of(self.graph)
        self.executable = compile_graph(self.graph, engine)

    def _data(self, inputs: Mapping[str, Tensor]) -> tuple[Any, Any, Any]:
        parts: list[Any] = []
        for prefix, part in zip("xyw", self.structure, strict=True):
            if part is None:
                parts.append(None)
            elif isinstance(part, np.ndarray):
                parts.append(inputs[prefix])
            else:
                names = [f"{prefix}{i}" for i in range(len(tree.flatten(part)))]
                parts.append(tree.rebuild(part, [inputs[n] for n in names]))
        return tuple(parts)  # type: ignore[return-value]

    def _predict(self, model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        found = model.predict_step(pack(*self._data(inputs)))
        leaves = tree.flatten(found)
        single = not isinstance(found, (list, tuple, Mapping))
        names = ["y_pred"] if single else [f"y_pred{i}" for i in range(len(leaves))]
        self.outputs = tree.rebuild(found, names)
        self.collect = tuple(names)
        return dict(zip(names, leaves, strict=True))

    def _learn(self, model: Any, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        data = self._data(inputs)
        model._traced_batch = None
        model._clear_losses()  # those of a call on arrays
        step = model.train_step if self.kind == "train" else model.test_step
        logs = step(pack(*data))
        outputs: dict[str, Any] = {}
        self._read_logs(logs)
        if self.kind == "train":
            check_gradients()
        batch, model._traced_batch = model._traced_batch, None
        if batch is not None:
            self._notice(batch[1])
            compiled = model._compile_metrics
            if compiled is not None and compiled.python:
                self._metrics = compiled
                outputs |= self._tap(batch)
        return outputs

    def learning_rate(self) -> float | None:
        """The learning rate now, where there is one."""
        rate = getattr(self._optimizer, "learning_rate", None)
        try:
            return float(rate)  # type: ignore[arg-type]
        except (TypeError, ValueError, RanvierError):
            return None

    def _read_logs(self, logs: Any) -> None:
        if logs is None:
            return
        if not isinstance(logs, Mapping):
            logs = {"loss": logs}
        raw = logs.raw() if isinstance(logs, MetricLogs) else list(logs.items())
        if self.kind == "train":
            _check_losses(raw)
        readers: list[tuple[str, Callable[[], Any]]] = []
        for name, value in raw:
            if isinstance(value, Pending):
                metric = value.metric
                readers.append((name, lambda m=metric: read_metric(m)))  # type: ignore[misc]
                continue
            for label, leaf in _flat_logs(name, value):
                readers.append((label, self._keep(label, leaf)))
        self.readers = readers  # at once: another thread may read the logs

    def _keep(self, name: str, value: Any) -> Callable[[], Any]:
        """A log of the user's own: its last value stays in a variable of the step."""
        from ranvier import ops

        tensor = ops.convert_to_tensor(value)
        if any(isinstance(size, Dim) for size in tensor.shape):
            raise ShapeError(
                "RV108",
                f"log {name!r} has one value for each row",
                fix="ops.mean(value)",
            )
        with outside():
            kept = Variable(
                np.zeros(tensor.shape, tensor.dtype),
                name=f"log_{name}",
                kind="metric",
                trainable=False,
                dtype=tensor.dtype,
            )
        kept.assign(tensor)

        def read() -> Any:
            array = kept.numpy()
            return float(array) if array.ndim == 0 else array

        return read

    def _tap(self, batch: tuple[Any, Any, Any]) -> dict[str, Any]:
        """Targets, predictions and weights as outputs, for Python metrics."""
        found: dict[str, Any] = {}
        for prefix, part in zip(("y", "p", "w"), batch, strict=True):
            if part is None:
                self._taps[prefix] = None
                continue
            names = [f"python_{prefix}{i}" for i in range(len(tree.flatten(part)))]
            self._taps[prefix] = tree.rebuild(part, names)
            found |= dict(zip(names, tree.flatten(part), strict=True))
        self.collect = tuple(found)
        return found

    def take_python(self, collected: Mapping[str, Any]) -> None:
        """Gives a batch to the metrics that run in Python."""
        self._metrics.update_python(*self.python_batch(collected))

    def python_batch(self, collected: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """Targets, predictions and weights out of what was collected."""
        return tuple(
            None if part is None else tree.map_leaves(lambda n: collected[n], part)
            for part in (self._taps["y"], self._taps["p"], self._taps["w"])
        )  # type: ignore[return-value]

    def _notice(self, y_pred: Any) -> None:
        leaves = tree.flatten(y_pred)
        if len(leaves) == 1 and leaves[0].ndim:
            last = leaves[0].shape[-1]
            self.units = last if isinstance(last, int) else None
            node = leaves[0].node
            if last == 1 and node is not None and node.op.name == "softmax":
                warn(
                    Finding(
                        "RV102",
                        "softmax over one unit is always 1.0: nothing can be learned",
                        fix="Dense(1, activation='sigmoid') with "
                        "loss='binary_crossentropy'",
                    )
                )

    def logs(self) -> dict[str, Any]:
        """The logs now, sorted by name as in Keras."""
        found: dict[str, Any] = {}
        for name, read in self.readers:
            found[name] = read()
        return dict(sorted(found.items()))


def _check_losses(logs: list[tuple[str, Any]]) -> None:
    """Where a `train_step` of one's own hands out losses, they must be finite."""
    active = current_trace()
    if active is None or active.checks:
        return
    for name, value in logs:
        if name != "loss" and not name.endswith("_loss"):
            continue
        if isinstance(value, Pending):
            if not isinstance(value.metric, Mean):
                continue
            value = value.metric.total.value
        if isinstance(value, Tensor) and value.shape == () and value.spec.floating:
            must_be_finite(name, value)


def _flat_logs(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [pair for k, v in value.items() for pair in _flat_logs(str(k), v)]
    return [(name, value)]


def spec_of(
    array: np.ndarray[Any, Any], dtype: str, free: Any = None, rows: Any = BATCH
) -> Spec:
    """The graph input for an array: its rows, with the batch left open.

    Args:
        array: the array.
        dtype: dtype inside the graph.
        free: declared shape, whose ``None`` axes stay open too.
        rows: number of rows, where it is fixed.
    """
    sizes: list[Any] = [rows, *array.shape[1:]]
    if free is not None and len(free) == array.ndim:
        for axis, size in enumerate(free):
            if axis and size is None:
                sizes[axis] = Dim.symbol("time" if axis == 1 else f"free{axis}")
    return Spec(tuple(sizes), dtype)


__all__ = ["MetricLogs", "Pending", "Step", "input_dtype", "spec_of", "unpack"]
