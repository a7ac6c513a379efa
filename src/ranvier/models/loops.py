"""The loops of `fit`, `evaluate` and `predict`, and the steps they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ranvier import _seed, config
from ranvier.callbacks import CallbackList
from ranvier.callbacks.messages import say
from ranvier.callbacks.terminate_on_nan import TerminateOnNaN
from ranvier.data.arrays import Arrays, structured, unpack
from ranvier.data.split import class_weights, train_validation_split
from ranvier.engines.api import Shuffle
from ranvier.errors import DataError, Finding, ShapeError, warn
from ranvier.graph import tree
from ranvier.graph.locks import building
from ranvier.layers import tracking
from ranvier.models.arguments import check_frequency, check_loop
from ranvier.models.by_run import NeedsNumbers
from ranvier.models.host import begun, prepared, section_of
from ranvier.models.host_source import lengths, source_of_raw
from ranvier.models.iterables import IterableSource, is_iterable_of_batches
from ranvier.models.labels import refuse_labels
from ranvier.models.sources import ArraySource, call_step
from ranvier.models.step import Step, reset_metric

Source = ArraySource | IterableSource
#: Steps kept for one model: kinds of step times kinds of data.
STEPS = 32


# ------------------------------------------------------------------------- steps


def step_of(model: Any, kind: str, data: Arrays, engine: str | None = None) -> Step:
    """The compiled step for data of this kind; traced once."""
    engine = engine or model.engine
    specs = model._input_specs(data)
    python_loss = model._python_loss and kind != "predict"
    by_run = model.run_eagerly or python_loss
    engine = "reference" if python_loss else engine
    key = (kind, engine, by_run, tuple(specs.items()), tracking.structure(model))
    step = model._steps.get(key)
    if step is not None:
        return step
    with building:  # another thread may be building the same model
        key = (*key[:-1], tracking.structure(model))
        step = model._steps.get(key)
        if step is not None:
            return step
        model._ensure_built(data)
        if kind == "train" and model.optimizer is not None:
            model.optimizer.build(model.trainable_variables)
        try:
            step = Step(model, kind, data, engine, by_run)
        except NeedsNumbers as fault:
            fault.tell()
            model.__dict__["_python_loss"] = True
            model._clear_losses()
            return step_of(model, kind, data, engine)
        # Building may have changed the structure: the key is that of the built model.
        key = (*key[:-1], tracking.structure(model))
        while len(model._steps) >= STEPS:
            model._steps.pop(next(iter(model._steps)))
        model._steps[key] = step
    return step


def _step_for(model: Any, kind: str, source: Source, engine: str | None) -> Step:
    """The step for a source's data, kept by it while nothing that matters changes."""
    if not isinstance(source, ArraySource):
        return step_of(model, kind, source.example(), engine)
    kept, state = source.ready, _state_of(model, engine)
    if kept is not None and kept[0] is model._steps and kept[1] == state:
        return kept[2]  # type: ignore[no-any-return]
    step = step_of(model, kind, source.data, engine)
    source.ready = model._steps, _state_of(model, engine), step
    return step


def _state_of(model: Any, engine: str | None) -> tuple[Any, ...]:
    """What, besides data and compiling, decides which step is run."""
    how = model.run_eagerly, model._python_loss
    return tracking.version(), engine or model.engine, *how


def reset_metrics(model: Any, source: Source | None = None) -> None:
    """Forget what the metrics have seen; a source of arrays keeps which there are."""
    if not isinstance(source, ArraySource):
        metrics = model.metrics
    else:
        # Tracing a step may make metrics.
        kept, state = source.metrics, (tracking.version(), len(model._steps))
        if kept is None or kept[0] is not model._steps or kept[1] != state:
            kept = source.metrics = model._steps, state, model.metrics
        metrics = kept[2]
    for metric in metrics:
        reset_metric(metric)


# ----------------------------------------------------------------------- sources


def source_of(*given: Any) -> Source:
    """Where batches come from, as far as a limit for dry runs lets it: `_source_of`."""
    source = _source_of(*given)
    limit = config.max_steps_per_epoch()
    if limit is not None and source.cut(limit):
        _tell_limit("steps_per_epoch", limit)
    return source


def _tell_limit(what: str, limit: int) -> None:
    warn(
        Finding(
            "RV406",
            f"{what} is limited to {limit:,} for a dry run",
            fix=f"keras.config.set_max_{what}(None), and no RANVIER_MAX_{what.upper()}",
        )
    )


def _source_of(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    batch_size: int | None,
    steps: int | None,
    check: bool,
    class_weight: Any = None,
) -> Source:
    """Where batches come from.

    Raises:
        ShapeError: RV100 when targets come beside an iterable.
    """
    if x is None:
        raise DataError(
            "RV207", "no data were given: x is None", fix="pass x, an array"
        )
    if is_iterable_of_batches(x):
        if y is not None or sample_weight is not None:
            raise ShapeError(
                "RV100",
                "y and sample_weight cannot be given beside an iterable of batches",
                fix="let it yield (x, y) or (x, y, sample_weight)",
            )
        return IterableSource(
            x, steps, check, class_weight, lambda given: prepared(model, given)
        )
    if class_weight is not None:
        weights = class_weights(structured(y, "y"), class_weight)
        if sample_weight is not None:
            weights = weights * np.asarray(sample_weight, np.float32)
        sample_weight = weights
    section = begun(model, x)
    if section is not None:
        raw = section.raw(x, model.name)
        return source_of_raw(section, raw, y, sample_weight, batch_size, steps, check)
    data = Arrays(x, y, sample_weight)
    return ArraySource(data, batch_size, steps, check)


def shuffle_seed(model: Any) -> int:
    """The seed of the model's shuffles: that of the process at its first `fit`.

    With the number of the epoch it decides the order, so that a run that is resumed
    goes on in the order it would have had.
    """
    if model._shuffle_seed is None:
        model.__dict__["_shuffle_seed"] = _seed.global_seed()
    return model._shuffle_seed


def _go(
    model: Any,
    kind: str,
    source: Source,
    engine: str | None,
    hooks: CallbackList,
    batched: bool,
    told: bool = True,
) -> tuple[Step, list[Mapping[str, Any]]]:
    """All batches of an epoch; ``told``: the printer shows how far it is."""
    step = _step_for(model, kind, source, engine)
    rows = source.size if isinstance(source, ArraySource) else 0
    progress = hooks.progress if told else None

    def tick(done: int) -> bool:
        assert progress is not None
        progress.update(done, min(done * rows, source.rows or 0) or None)
        return False

    begin = end = None
    if batched:
        on_begin = getattr(hooks, f"on_{kind}_batch_begin")
        on_end = getattr(hooks, f"on_{kind}_batch_end")

        def begin(batch: int) -> None:
            on_begin(batch)

        def end(batch: int) -> bool:
            on_end(batch, logs=step.logs() if kind != "predict" else {})
            return bool(kind == "train" and model.stop_training)

    ticks = tick if progress is not None and progress.verbose == 1 else None
    if isinstance(source, ArraySource):
        done, found = source.run(step, ticks, begin, end)
    else:
        done, found = source.run(
            lambda data: step_of(model, kind, data, engine), ticks, begin, end
        )
    if progress is not None:
        progress.update(done, min(done * rows, source.rows or 0) or None)
    if source.ran_out:
        _tell_ran_out(f"{done} of {source.steps} batches")
    return step, found


def _tell_ran_out(what: str) -> None:
    warn(
        Finding(
            "RV404",
            f"the data ran out after {what}",
            fix="a smaller steps_per_epoch, or an iterable that repeats",
        )
    )


# --------------------------------------------------------------------------- fit


def fit(
    model: Any,
    *,
    x: Any,
    y: Any,
    batch_size: int | None,
    epochs: int,
    verbose: Any,
    callbacks: Any,
    validation_split: float,
    validation_data: Any,
    shuffle: bool,
    class_weight: Any,
    sample_weight: Any,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_batch_size: int | None,
    validation_freq: Any,
    engine: str | None,
    allow_nan: bool,
) -> Any:
    """See `Model.fit`."""
    check_loop(
        "fit",
        {
            "batch_size": batch_size,
            "epochs": epochs,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps_per_epoch,
            "validation_batch_size": validation_batch_size,
            "validation_steps": validation_steps,
            "verbose": verbose,
        },
    )
    check_frequency(validation_freq)
    verbose = 1 if verbose == "auto" else verbose
    limit = config.max_epochs()
    if limit is not None and limit < epochs:
        _tell_limit("epochs", limit)
        epochs = limit
    model.stop_training = False
    check = not allow_nan and not _terminates_on_nan(callbacks)
    cut = bool(validation_split) and validation_data is None
    if cut:
        if is_iterable_of_batches(x):
            raise ShapeError(
                "RV100",
                "validation_split needs arrays",
                fix="validation_data=another iterable",
            )
        section = begun(model, x)
        texts = None if section is None else section.raw(x, model.name)
        parts = (
            structured(x, "x") if texts is None else texts,
            structured(y, "y"),
            structured(sample_weight, "sample_weight"),
        )
        # Lengths are told in the user's numbers, before the split.
        Arrays(parts[0] if texts is None else lengths(texts), *parts[1:])
        (x, y, sample_weight), validation_data = train_validation_split(
            parts, validation_split
        )
    source = source_of(
        model, x, y, sample_weight, batch_size, steps_per_epoch, check, class_weight
    )
    validation = None
    if validation_data is not None:
        if is_iterable_of_batches(validation_data):
            vx, vy, vw = validation_data, None, None
        elif isinstance(validation_data, (list, tuple)):
            vx, vy, vw = unpack(tuple(validation_data))
        else:
            raise ShapeError(
                "RV100",
                f"validation_data is of type {type(validation_data).__name__}",
                fix="validation_data=(x, y), (x, y, sample_weight), or an iterable of "
                "batches",
            )
        validation = source_of(
            model, vx, vy, vw, validation_batch_size or batch_size,
            validation_steps, check,
        )  # fmt: skip
    if isinstance(source, ArraySource) and isinstance(validation, ArraySource):
        # What does not fit is told now, not after the first epoch.
        if not model.built:
            step_of(model, "train", source.data, engine)
        step = step_of(model, "test", validation.data, engine)
        refuse_labels(
            step.labels,
            validation.data,
            validation.rows or 0,
            "" if cut else " of validation_data",
            source.data.rows if cut else 0,
        )
    hooks = CallbackList(
        callbacks,
        add_history=True,
        add_progbar=bool(verbose),
        model=model,
        verbose=verbose,
        epochs=epochs,
        steps=source.steps,
        rows=source.rows,
    )
    batched = hooks.needs_batch_hooks
    if batched:
        _tell_batch_hooks(hooks)
    if model._epochs_done and verbose:
        say(
            f"RV401 continuing after {model._epochs_done} epochs: weights and optimizer "
            "state are kept; model.reset() starts afresh"
        )
    hooks.on_train_begin()
    # Set by BackupAndRestore, which has taken up an interrupted run.
    initial_epoch = model.__dict__.pop("_initial_epoch", 0) or initial_epoch
    model.__dict__["_epochs_done"] = max(model._epochs_done, initial_epoch)
    logs: dict[str, Any] = {}
    seed = shuffle_seed(model)
    for epoch in range(initial_epoch, epochs):
        if epoch > initial_epoch and source.spent():
            if not source.ran_out:
                _tell_ran_out(f"{epoch - initial_epoch} epochs")
            break
        reset_metrics(model, source)
        source.epoch = epoch
        hooks.on_epoch_begin(epoch)
        source.begin(Shuffle(seed, model._epochs_done) if shuffle else None)
        step, _ = _go(model, "train", source, engine, hooks, batched)
        logs = step.logs()
        if validation is not None and _due(epoch + 1, validation_freq):
            found = _evaluate(model, validation, engine, hooks, told=False)
            logs |= {f"val_{name}": value for name, value in found.items()}
        model.__dict__["_epochs_done"] += 1
        hooks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    if model.optimizer is not None and getattr(model.optimizer, "use_ema", False):
        model.optimizer.finalize_variable_values(model.trainable_variables)
    hooks.on_train_end(logs)
    return model.history


def _due(epoch: int, freq: Any) -> bool:
    whole = isinstance(freq, (int, np.integer))
    return bool(epoch % freq == 0) if whole else epoch in freq


def _terminates_on_nan(callbacks: Any) -> bool:
    if isinstance(callbacks, CallbackList):
        callbacks = callbacks.callbacks
    if isinstance(callbacks, (list, tuple)):
        return any(_terminates_on_nan(c) for c in callbacks)
    return isinstance(callbacks, TerminateOnNaN)


_told: set[str] = set()


def _tell_batch_hooks(hooks: CallbackList) -> None:
    names = sorted({type(c).__name__ for c in hooks.with_batch_hooks()})
    names = [n for n in names if n not in _told and n != "TerminateOnNaN"]
    if names:
        _told.update(names)
        warn(
            Finding(
                "RV501",
                f"{', '.join(names)} acts on every batch: the engine returns to Python "
                "after each",
                fix="on_epoch_end costs nothing",
            )
        )


# ---------------------------------------------------------------------- evaluate


def _evaluate(
    model: Any,
    source: Source,
    engine: str | None,
    hooks: CallbackList,
    told: bool = True,
) -> dict[str, Any]:
    reset_metrics(model, source)
    hooks.on_test_begin()
    source.begin(None, afresh=True)
    batched = hooks.needs_test_batch_hooks
    step, _ = _go(model, "test", source, engine, hooks, batched, told)
    logs = step.logs()
    hooks.on_test_end(logs)
    return logs


def evaluate(
    model: Any,
    x: Any,
    y: Any,
    batch_size: int | None,
    verbose: Any,
    sample_weight: Any,
    steps: int | None,
    callbacks: Any,
    return_dict: bool,
    engine: str | None = None,
    allow_nan: bool = False,
) -> Any:
    """See `Model.evaluate`."""
    check_loop(
        "evaluate", {"batch_size": batch_size, "steps": steps, "verbose": verbose}
    )
    verbose = 1 if verbose == "auto" else verbose
    source = source_of(model, x, y, sample_weight, batch_size, steps, not allow_nan)
    hooks = CallbackList(
        callbacks,
        add_progbar=bool(verbose),
        model=model,
        verbose=verbose,
        epochs=1,
        steps=source.steps,
        rows=source.rows,
    )
    logs = _evaluate(model, source, engine, hooks)
    return logs if return_dict else _as_list(model, logs)


def _as_list(model: Any, logs: Mapping[str, Any]) -> Any:
    """Loss first, then metrics in their order; alone, the loss is no list.

    As in Keras, a name that the logs made longer (``"size_mae"``) comes last, by letter.
    """
    names = [m.name for m in model.metrics if m.name in logs]
    names = list(dict.fromkeys([*names, *sorted(logs)]))
    values = [logs[n] for n in names]
    return values[0] if len(values) == 1 else values


# ----------------------------------------------------------------------- predict


def predict(
    model: Any,
    x: Any,
    batch_size: int | None,
    verbose: Any,
    steps: int | None,
    callbacks: Any,
) -> Any:
    """See `Model.predict`."""
    if type(x) is np.ndarray and not verbose and callbacks is None and steps is None:
        ready = model.__dict__.get("_ready")
        if (
            ready is not None
            and ready[0] == tracking.version()
            and ready[1] == x.shape[1:]
            and x.dtype.kind in "fiu"
            and x.dtype.isnative
            and 0 < len(x) <= (batch_size or 32)
        ):
            return ready[2]({"x": x})["y_pred"]
    check_loop(
        "predict", {"batch_size": batch_size, "steps": steps, "verbose": verbose}
    )
    verbose = 1 if verbose == "auto" else verbose
    source = source_of(model, x, None, None, batch_size, steps, False)
    hooks = CallbackList(
        callbacks,
        add_progbar=bool(verbose),
        model=model,
        verbose=verbose,
        epochs=1,
        steps=source.steps,
        rows=source.rows,
    )
    hooks.on_predict_begin()
    source.begin(None)
    step, found = _go(
        model, "predict", source, None, hooks, hooks.needs_predict_batch_hooks
    )
    joined = {
        name: found[0][name]
        if len(found) == 1
        else np.concatenate([f[name] for f in found])
        for name in step.collect
    }
    outputs = tree.map_leaves(lambda name: joined[name], step.outputs)
    hooks.on_predict_end({"outputs": outputs})
    plain = type(x) is np.ndarray and x.dtype.isnative and not model.run_eagerly
    plain = plain and section_of(model) is None
    if plain and step.outputs == "y_pred":
        ready = (tracking.version(), x.shape[1:], step.executable.call)
        model.__dict__["_ready"] = ready
    return outputs


def predict_on_batch(model: Any, x: Any) -> Any:
    """See `Model.predict_on_batch`."""
    data = Arrays(prepared(model, x))
    step = step_of(model, "predict", data)
    found = call_step(step, data, False)
    return tree.map_leaves(lambda name: found[name], step.outputs)


# ---------------------------------------------------------------------- one batch


def on_batch(
    model: Any,
    kind: str,
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any,
    return_dict: bool,
) -> Any:
    """See `Model.train_on_batch` and `Model.test_on_batch`."""
    if class_weight is not None:
        if sample_weight is not None:
            raise ShapeError(
                "RV100", "sample_weight and class_weight exclude each other here"
            )
        sample_weight = class_weights(structured(y, "y"), class_weight)
    data = Arrays(prepared(model, x), y, sample_weight)
    step = step_of(model, kind, data)
    reset_metrics(model)
    found = call_step(step, data, True)
    if step.collect:
        step.take_python(found)
    logs = step.logs()
    return logs if return_dict else _as_list(model, logs)
