"""What `compile` was given, fitted to the model's outputs: losses and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ranvier import losses, metrics, ops
from ranvier.errors import Finding, RanvierError, ShapeError, nearest, warn
from ranvier.graph import current_trace, tree
from ranvier.graph.trace import outside
from ranvier.layers.input_spec import show
from ranvier.metrics.base import Metric
from ranvier.models.by_run import may_need_numbers, must_depend, untraceable


def is_nested(value: Any) -> bool:
    """Whether outputs or targets are a structure rather than one tensor."""
    return isinstance(value, (list, tuple, Mapping))


def by_output(value: Any, y_pred: Any, what: str) -> list[tuple[Any, Any]]:
    """Pairs of key and entry of `value`, one for each output.

    Raises:
        ShapeError: RV100 when keys or numbers do not match the outputs.
    """
    if isinstance(y_pred, Mapping):
        keys: list[Any] = sorted(y_pred)
        if not isinstance(value, Mapping):
            return [(k, value) for k in keys]
        unknown = [k for k in value if k not in y_pred]
        if unknown:
            raise ShapeError(
                "RV100",
                f"{what} names {unknown[0]!r}, which is no output of the model",
                details=f"outputs: {', '.join(map(str, keys))}",
                fix=nearest(unknown[0], keys),
            )
        return [(k, value.get(k)) for k in keys]
    count = len(y_pred)
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise ShapeError(
                "RV100",
                f"{what} has {len(value)} entries, the model {count} outputs",
                fix="give one for each output",
            )
        return list(enumerate(value))
    return [(i, value) for i in range(count)]


class CompileLoss:
    """The losses of `compile`, weighted and summed over outputs.

    Args:
        loss: a loss, or a list or dict of them following the outputs.
        loss_weights: a number for each output.
    """

    def __init__(self, loss: Any, loss_weights: Any = None) -> None:
        self.loss, self.loss_weights = loss, loss_weights
        self.entries: list[tuple[Any, Any, Any, str]] | None = None
        self.metrics: list[Metric] = []

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Finds the loss object of each output."""
        entries: list[tuple[Any, Any, Any, str]] = []
        if not is_nested(y_pred):
            given = self.loss
            if isinstance(given, Mapping):
                given = list(given.values())
            weights = self.loss_weights
            if isinstance(weights, Mapping):
                weights = list(weights.values())
            many = list(given) if isinstance(given, (list, tuple)) else [given]
            factors = (
                list(weights)
                if isinstance(weights, (list, tuple))
                else [weights] * len(many)
            )
            target = _only(y_true)
            for one, factor in zip(many, factors, strict=False):
                found = losses.resolve(one, tuple(target.shape), tuple(y_pred.shape))
                if found is not None:
                    entries.append((None, found, factor, found.name))
        else:
            weights = dict(
                by_output(self.loss_weights, y_pred, "loss_weights")
                if self.loss_weights is not None
                else []
            )
            for key, one in by_output(self.loss, y_pred, "loss"):
                if one is None:
                    continue
                target = _at(y_true, key)
                found = losses.resolve(
                    one, tuple(target.shape), tuple(y_pred[key].shape)
                )
                assert found is not None
                name = str(key) if isinstance(y_pred, Mapping) else found.name
                entries.append((key, found, weights.get(key), name))
        self.entries = entries
        if len(entries) > 1:
            taken: dict[str, int] = {}
            for *_, name in entries:
                index = taken.get(name, 0)
                taken[name] = index + 1
                label = f"{name}_loss" if not index else f"{name}_loss_{index}"
                self.metrics.append(metrics.Mean(name=label))

    def __call__(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        training: bool = False,
    ) -> Any:
        """The total loss; `None` where no output has a loss."""
        if y_true is None:
            raise ShapeError(
                "RV106",
                "there are no targets: the loss of compile() compares outputs with y",
                fix="fit(x, y); without a loss in compile() y is not needed",
            )
        if self.entries is None:
            with outside():
                self.build(y_true, y_pred)
        assert self.entries is not None
        total = None
        trackers = self.metrics or [None] * len(self.entries)  # type: ignore[list-item]
        for (key, loss, factor, _), tracker in zip(self.entries, trackers, strict=True):
            target = _only(y_true) if key is None else _at(y_true, key)
            output = y_pred if key is None else y_pred[key]
            weight = sample_weight
            if is_nested(weight):
                weight = _only(weight) if key is None else _at(weight, key)
            trace = current_trace()
            taken = 0 if trace is None else len(trace.taken)
            with may_need_numbers(loss.name):
                value = _compared(loss, target, output, weight)
            if training:
                must_depend(loss.name, value, output, taken)
            if tracker is not None:
                tracker.update_state(
                    value, sample_weight=tree.flatten(y_pred)[0].shape[0]
                )
            if factor is not None:
                value = value * factor
            total = value if total is None else total + value
        return total


def _compared(loss: Any, target: Any, output: Any, weight: Any) -> Any:
    """The loss; where shapes of targets and outputs clash, the error says just that."""
    try:
        return loss(target, output, sample_weight=weight)
    except ShapeError as fault:
        if fault.code != "RV108" or tuple(target.shape) == tuple(output.shape):
            raise
        raise ShapeError(
            "RV101",
            f"loss {loss.name!r}: targets of shape {show(target.shape)} do not fit "
            f"outputs of shape {show(output.shape)}",
            details=fault.message + (f": {fault.details}" if fault.details else ""),
            fix="targets of the outputs' shape: they are never broadcast",
            place=fault.place,
        ) from fault


def _only(value: Any) -> Any:
    leaves = tree.flatten(value)
    return leaves[0] if leaves else value


def _at(value: Any, key: Any) -> Any:
    """The part of targets or weights that belongs to an output."""
    if isinstance(value, Mapping):
        if key in value:
            return value[key]
        if isinstance(key, int) and key < len(value):
            return value[list(value)[key]]
    elif isinstance(value, (list, tuple)):
        if isinstance(key, int) and key < len(value):
            return value[key]
    elif value is not None:
        return value
    raise ShapeError(
        "RV101",
        f"there are no targets for output {key!r}",
        details=f"got {type(value).__name__}"
        + (
            f" with keys {', '.join(map(str, value))}"
            if isinstance(value, Mapping)
            else ""
        ),
        fix="y with one entry for each output, under the outputs' names",
    )


class CompileMetrics(Metric):
    """The metrics of `compile`; its result is a dict of all of them.

    Args:
        given: `metrics`.
        weighted: `weighted_metrics`.
        loss: the loss, for the meaning of `"crossentropy"`.
    """

    given: Any
    weighted: Any
    loss: Any
    entries: list[tuple[Any, Metric, str, bool]] | None
    #: Entries that cannot be traced.
    python: list[tuple[Any, Metric, str, bool]]

    def __init__(self, given: Any, weighted: Any, loss: Any = None) -> None:
        super().__init__(name="compile_metrics")
        self.__dict__.update(
            given=given, weighted=weighted, loss=loss, entries=None, python=[]
        )

    @property
    def metrics(self) -> list[Metric]:
        """The metric objects."""
        return [entry[1] for entry in self.entries or ()]

    @property
    def variables(self) -> list[Any]:
        """The state of all of them."""
        return [v for metric in self.metrics for v in metric.variables]

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Makes the metric objects for these outputs."""
        entries: list[tuple[Any, Metric, str, bool]] = []
        taken: dict[str, int] = {}

        def add(key: Any, given: Any, use_weights: bool) -> None:
            target = _only(y_true) if key is None else _at(y_true, key)
            output = y_pred if key is None else y_pred[key]
            loss = self.loss
            if isinstance(loss, Mapping):
                loss = loss.get(key)
            elif isinstance(loss, (list, tuple)) and isinstance(key, int):
                loss = loss[key] if key < len(loss) else None
            for one in given if isinstance(given, (list, tuple)) else [given]:
                if one is None:
                    continue
                metric = metrics.resolve(
                    one, tuple(target.shape), tuple(output.shape), loss
                )
                prefix = f"{key}_" if isinstance(key, str) else ""
                name = prefix + metric.name
                if name in taken and use_weights:
                    name = f"{prefix}weighted_{metric.name}"
                if name in taken:
                    taken[name] += 1
                    name = f"{name}_{taken[name] - 1}"
                else:
                    taken[name] = 1
                entries.append((key, metric, name, use_weights))

        for given, use_weights in ((self.given, False), (self.weighted, True)):
            if not given:
                continue
            if not is_nested(y_pred):
                many = list(given.values()) if isinstance(given, Mapping) else given
                for one in many if isinstance(many, (list, tuple)) else [many]:
                    add(None, one, use_weights)
            else:
                for key, one in by_output(given, y_pred, "metrics"):
                    add(key, one, use_weights)
        self.__dict__["entries"] = entries

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes in a batch. What cannot be traced is left for `update_python`."""
        if self.entries is None:
            with outside():
                self.build(y_true, y_pred)
        for entry in self.entries or ():
            if entry in self.python:
                continue
            self._traced(entry, y_true, y_pred, sample_weight)

    def _traced(self, entry: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        trace = current_trace()
        saved = None if trace is None else (dict(trace.bindings), dict(trace.assigned))
        try:
            self._update(entry, y_true, y_pred, sample_weight)
        except (RanvierError, TypeError) as fault:
            if trace is None or saved is None or not untraceable(fault):
                raise
            trace.bindings, trace.assigned = saved
            self.python.append(entry)
            warn(
                Finding(
                    "RV503",
                    f"metric {entry[2]!r} runs in Python, on every batch: it asks for "
                    "numbers where a step is traced",
                    fix="write it with ranvier.ops to run it inside the compiled step",
                    details=getattr(fault, "details", str(fault)),
                )
            )

    @staticmethod
    def _update(entry: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        key, metric, _, use_weights = entry
        target = _only(y_true) if key is None else _at(y_true, key)
        output = y_pred if key is None else y_pred[key]
        if not use_weights:
            metric.update_state(target, output)
            return
        weight = sample_weight
        if is_nested(weight):
            weight = _only(weight) if key is None else _at(weight, key)
        metric.update_state(target, output, sample_weight=weight)

    def update_python(self, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        """Takes a batch of arrays into the metrics that cannot be traced."""
        for entry in self.python:
            self._update(entry, y_true, y_pred, sample_weight)

    def reset_state(self) -> None:
        """Forgets all batches."""
        for metric in self.metrics:
            metric.reset_state()

    def result(self) -> dict[str, Any]:
        """All results by name."""
        return {name: metric.result() for _, metric, name, _ in self.entries or ()}

    def readers(self) -> list[tuple[str, Metric]]:
        """Names in logs, and the metric each reads."""
        return [(name, metric) for _, metric, name, _ in self.entries or ()]


Reader = Callable[[], Any]


def sum_of(values: list[Any]) -> Any:
    """The sum of scalars; 0 for none."""
    total = None
    for value in values:
        value = ops.sum(value) if getattr(value, "shape", ()) != () else value
        total = value if total is None else total + value
    return ops.convert_to_tensor(0.0) if total is None else total
