"""What `compile` was given, fitted to the model's outputs: losses and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ranvier import losses, metrics, ops
from ranvier.errors import Finding, RanvierError, ShapeError, warn
from ranvier.graph import current_trace, tree
from ranvier.graph.trace import outside
from ranvier.layers.input_spec import show
from ranvier.metrics.base import Metric
from ranvier.models.by_run import may_need_numbers, must_depend, untraceable
from ranvier.models.outputs import Outputs, is_nested


class CompileLoss:
    """The losses of `compile`, weighted and summed over outputs.

    Args:
        loss: a loss, or a list or dict of them following the outputs.
        loss_weights: a number for each output.
        names: names of the outputs of a functional model.
    """

    def __init__(
        self, loss: Any, loss_weights: Any = None, names: Sequence[str] | None = None
    ) -> None:
        self.loss, self.loss_weights, self.names = loss, loss_weights, names
        #: Number of an output, its loss, factor, and name in logs.
        self.entries: list[tuple[int, Any, Any, str]] | None = None
        self.metrics: list[Metric] = []

    def build(self, y_true: Any, y_pred: Any) -> None:
        """Finds the loss object of each output."""
        outputs = Outputs(y_pred, self.names)
        predictions = outputs.leaves(y_pred)
        if outputs.count == 1:
            # A list holds several losses of the one output.
            given = [(0, one, f) for one, f in self._of_one_output()]
        else:
            factors = outputs.spread(self.loss_weights, "loss_weights")
            losses_ = outputs.spread(self.loss, "loss")
            given = [
                (i, one, f)
                for i, (one, f) in enumerate(zip(losses_, factors, strict=True))
            ]
        targets = outputs.targets(y_true, self._wanted(outputs))
        entries: list[tuple[int, Any, Any, str]] = []
        for i, one, factor in given:
            if one is None:
                continue
            found = losses.resolve(
                one, tuple(targets[i].shape), tuple(predictions[i].shape)
            )
            assert found is not None
            entries.append((i, found, factor, outputs.names[i] or found.name))
        if isinstance(self.loss, Mapping) and outputs.keyed:
            order = list(self.loss)  # as the user wrote them (Keras)
            entries.sort(key=lambda e: order.index(outputs.names[e[0]]))
        self.entries = entries
        if len(entries) > 1:
            taken: dict[str, int] = {}
            for *_, name in entries:
                index = taken.get(name, 0)
                taken[name] = index + 1
                label = f"{name}_loss" if not index else f"{name}_loss_{index}"
                self.metrics.append(metrics.Mean(name=label))

    def _of_one_output(self) -> list[tuple[Any, Any]]:
        given, weights = (
            list(v.values()) if isinstance(v, Mapping) else v
            for v in (self.loss, self.loss_weights)
        )
        many = list(given) if isinstance(given, (list, tuple)) else [given]
        factors = (
            list(weights)
            if isinstance(weights, (list, tuple))
            else [weights] * len(many)
        )
        return list(zip(many, factors, strict=False))

    def _wanted(self, outputs: Outputs) -> list[bool]:
        if outputs.count == 1:
            return [True]
        return [one is not None for one in outputs.spread(self.loss, "loss")]

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
        outputs = Outputs(y_pred, self.names)
        targets = outputs.targets(y_true, self._wanted(outputs))
        predictions, weights = outputs.leaves(y_pred), outputs.weights(sample_weight)
        total = None
        trackers = self.metrics or [None] * len(self.entries)  # type: ignore[list-item]
        for (i, loss, factor, _), tracker in zip(self.entries, trackers, strict=True):
            trace = current_trace()
            taken = 0 if trace is None else len(trace.taken)
            with may_need_numbers(loss.name):
                value = _compared(loss, targets[i], predictions[i], weights[i])
            if training:
                must_depend(loss.name, value, predictions[i], taken)
            if tracker is not None:
                tracker.update_state(value, sample_weight=predictions[0].shape[0])
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


class CompileMetrics(Metric):
    """The metrics of `compile`; its result is a dict of all of them.

    Args:
        given: `metrics`.
        weighted: `weighted_metrics`.
        loss: the loss, for the meaning of `"crossentropy"`.
        names: names of the outputs of a functional model.
    """

    given: Any
    weighted: Any
    loss: Any
    names: Sequence[str] | None
    #: Number of an output, its metric, name in logs, and whether weights count.
    entries: list[tuple[int, Metric, str, bool]] | None
    #: Entries that cannot be traced.
    python: list[tuple[int, Metric, str, bool]]

    def __init__(
        self,
        given: Any,
        weighted: Any,
        loss: Any = None,
        names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(name="compile_metrics")
        self.__dict__.update(
            given=given, weighted=weighted, loss=loss, entries=None, python=[],
            names=names,
        )  # fmt: skip

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
        entries: list[tuple[int, Metric, str, bool]] = []
        taken: dict[str, int] = {}
        outputs = Outputs(y_pred, self.names)
        predictions = outputs.leaves(y_pred)
        targets = outputs.targets(y_true, self._wanted(outputs))
        losses_ = (
            [self.loss] if outputs.count == 1 else outputs.spread(self.loss, "loss")
        )

        def add(i: int, given: Any, use_weights: bool) -> None:
            for one in given if isinstance(given, (list, tuple)) else [given]:
                if one is None:
                    continue
                metric = metrics.resolve(
                    one,
                    tuple(targets[i].shape),
                    tuple(predictions[i].shape),
                    losses_[i],
                )
                own = outputs.names[i] if outputs.count > 1 else None
                prefix = f"{own}_" if own is not None else ""
                name = prefix + metric.name
                if name in taken and use_weights:
                    name = f"{prefix}weighted_{metric.name}"
                if name in taken:
                    taken[name] += 1
                    name = f"{name}_{taken[name] - 1}"
                else:
                    taken[name] = 1
                entries.append((i, metric, name, use_weights))

        for given, use_weights in ((self.given, False), (self.weighted, True)):
            for i, one in enumerate(self._spread(outputs, given)):
                add(i, one, use_weights)
        self.__dict__["entries"] = entries

    def _spread(self, outputs: Outputs, given: Any) -> list[Any]:
        """The metrics of each output."""
        if not given:
            return [None] * outputs.count
        if outputs.count > 1:
            return outputs.spread(given, "metrics")
        many = list(given.values()) if isinstance(given, Mapping) else given
        return [tree.flatten(many) if is_nested(many) else many]

    def _wanted(self, outputs: Outputs) -> list[bool]:
        wanted = [False] * outputs.count
        for given in (self.given, self.weighted):
            for i, one in enumerate(self._spread(outputs, given)):
                wanted[i] = wanted[i] or one is not None
        if outputs.count > 1 and self.loss is not None:
            for i, one in enumerate(outputs.spread(self.loss, "loss")):
                wanted[i] = wanted[i] or one is not None
        return wanted

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

    def _update(self, entry: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> None:
        i, metric, _, use_weights = entry
        outputs = Outputs(y_pred, self.names)
        target = outputs.targets(y_true, self._wanted(outputs))[i]
        output = outputs.leaves(y_pred)[i]
        if use_weights:
            weight = outputs.weights(sample_weight)[i]
            metric.update_state(target, output, sample_weight=weight)
        else:
            metric.update_state(target, output)

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
