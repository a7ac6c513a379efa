"""Models: layers that can be compiled, trained, evaluated, asked and saved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ranvier import ops, optimizers
from ranvier.data.arrays import Arrays, unpack
from ranvier.errors import ShapeError, unknown_name
from ranvier.graph import Dim, Spec, Tensor, trace, tree
from ranvier.graph.passes.grad import gradients
from ranvier.graph.trace import must_be_finite, outside, scope
from ranvier.layers import tracking
from ranvier.layers.base import Layer, NeverCalled, _alone, _plain_arguments
from ranvier.metrics.base import Metric
from ranvier.metrics.reduction import Mean
from ranvier.models import loops
from ranvier.models.by_run import may_need_numbers
from ranvier.models.compiled import CompileLoss, CompileMetrics, sum_of
from ranvier.models.function import Function, run_function
from ranvier.models.host import begun, called
from ranvier.models.input_specs import input_specs
from ranvier.models.step import BATCH, MetricLogs, Pending
from ranvier.symbolic import KerasTensor


def _is_functional(args: Any, kwargs: Any) -> bool:
    """Whether a model's arguments are symbolic inputs and outputs."""
    return len(args) + ("inputs" in kwargs) + ("outputs" in kwargs) >= 2


class Model(Layer):
    """A network: layers between `keras.Input` and outputs, or a subclass with a `call`.

    ``Model(inputs, outputs)`` is a functional model: what leads from the symbolic inputs
    to the symbolic outputs, each a tensor or a list or dict of them.

    A subclass makes its layers in ``__init__`` and applies them in ``call``; it may
    override ``train_step``, ``test_step``, ``predict_step``, ``compute_loss`` and
    ``compute_metrics``, which are traced into the compiled step.

    Args:
        inputs: symbolic tensors in a structure.
        outputs: symbolic tensors in a structure.
        trainable: whether the weights are trained.
        name: a name.

    Raises:
        ShapeError: RV100 for what is no symbolic tensor; RV112 when the inputs do not
            lead to the outputs; RV108 for two layers of one name.

    Example:
        >>> import numpy as np
        >>> import ranvier as keras
        >>> x = keras.Input((4,))
        >>> y = keras.layers.Dense(3)(x)
        >>> keras.Model(x, y).output_shape
        (None, 3)
        >>> class Line(keras.Model):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.dense = keras.layers.Dense(1)
        ...     def call(self, x):
        ...         return self.dense(x)
        >>> model = Line()
        >>> model.compile(keras.optimizers.SGD(0.1), loss="mse")
        >>> x = np.linspace(-1, 1, 64).reshape(-1, 1)
        >>> history = model.fit(x, 3 * x + 1, epochs=60, verbose=0)
        >>> round(float(model.predict([[2.0]], verbose=0)[0, 0]))
        7
    """

    _function: Function | None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional(args, kwargs):
            from ranvier.models.functional import Functional

            cls = Functional
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = dict(zip(("inputs", "outputs", "name"), args, strict=False)) | kwargs
        functional = _is_functional(args, kwargs)
        inputs, outputs = given.pop("inputs", None), given.pop("outputs", None)
        if not functional and (inputs is not None or outputs is not None or args):
            raise ShapeError(
                "RV100",
                f"{type(self).__name__} takes inputs and outputs, or neither",
                fix="keras.Model(inputs, outputs)",
            )
        trainable = given.pop("trainable", None)
        super().__init__(**given)
        self.optimizer: Any = None
        self.history: Any = None
        self.stop_training = False
        self.compiled = False
        self._compile_loss: CompileLoss | None = None
        self._compile_metrics: CompileMetrics | None = None
        self._compile_arguments: dict[str, Any] = {}
        self._loss_tracker: Mean | None = None
        self.__dict__.update(
            _steps={}, _traced_batch=None, _built_shape=None, _epochs_done=0,
            _shuffle_seed=None, engine=None, run_eagerly=False, _python_loss=False,
            _function=None,
        )  # fmt: skip
        if functional:
            function = Function(inputs, outputs)
            self.__dict__["_function"] = function
            self._layers: list[Layer] = function.layers
            self.built = True
        if trainable is not None and not (functional and trainable):
            self.trainable = bool(trainable)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Applies the model to symbols (inside a step) or to arrays (at once)."""
        first = args[0] if args else kwargs.get("inputs")
        section = begun(self, first)
        if section is not None:
            return called(self, section, args, kwargs)
        return super().__call__(*args, **kwargs)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The computation: of a functional model its graph, else a subclass's own.

        Raises:
            ShapeError: RV106 when a subclass has none; RV103 for inputs that do not fit.
        """
        if self._function is None:
            raise ShapeError("RV106", f"{type(self).__name__} must define call()")
        return run_function(self._function, self.name, inputs, training, mask)

    def build(self, input_shape: Any) -> None:
        """Makes the weights of all layers by tracing `call` on inputs of this shape.

        Args:
            input_shape: with ``None`` for the rows, or a list or dict of such shapes.

        Example:
            >>> import ranvier as keras
            >>> class Line(keras.Model):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.dense = keras.layers.Dense(1)
            ...     def call(self, x):
            ...         return self.dense(x)
            >>> model = Line()
            >>> model.build((None, 3))
            >>> model.count_params()
            4
        """
        from ranvier.layers.eager import output_shape

        self.built = True
        if self._function is None:
            output_shape(self, input_shape)

    def _build_for(self, args: Any, kwargs: Any) -> None:
        if type(self).build is Model.build:
            self.built = True  # the call that is about to happen makes the weights
        else:
            super()._build_for(args, kwargs)

    # ------------------------------------------------------------------- compiling

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        engine: str | None = None,
    ) -> None:
        """Chooses optimizer, loss and metrics.

        Args:
            optimizer: a name or object.
            loss: a name, object or function; a list or dict for several outputs.
            loss_weights: a factor for each output's loss.
            metrics: names, objects or functions; ``"accuracy"`` is the accuracy that
                fits loss and output.
            weighted_metrics: metrics that take sample weights.
            run_eagerly: run each batch on the reference engine, traced anew, so that
                Python in the step runs every time and tensors have numbers: ``if t > 0``,
                ``float(t)``, ``print(t)`` work. Slow; for debugging. A loss that needs
                this gets it without being asked for, and a finding (RV503) says so.
            steps_per_execution: kept for Keras; a whole epoch is one execution.
            jit_compile: kept for Keras; every step is compiled.
            auto_scale_loss: kept for Keras.
            engine: ``"native"`` (default), ``"reference"`` or ``"jax"``.
        """
        given = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        self.optimizer = optimizers.get(optimizer)
        names = None if self._function is None else self._function.output_names
        self._compile_loss = (
            None if loss is None else CompileLoss(loss, loss_weights, names)
        )
        self._compile_metrics = (
            CompileMetrics(metrics, weighted_metrics, loss, names)
            if metrics or weighted_metrics
            else None
        )
        self._loss_tracker = Mean(name="loss")
        self.run_eagerly = bool(run_eagerly)
        self.__dict__["_python_loss"] = False
        self.engine = "reference" if run_eagerly and engine is None else engine
        self.stop_training = False
        self.compiled = True
        self._compile_arguments = given
        self._forget_steps()

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, as plain data."""
        if not self.compiled:
            return None
        from ranvier.models.registry import serialize_compile

        return serialize_compile(self._compile_arguments, self.optimizer)

    def compile_from_config(
        self, config: Mapping[str, Any], custom_objects: Any = None
    ) -> None:
        """Compiles as `get_compile_config` told."""
        from ranvier.models.registry import deserialize_compile

        self.compile(**deserialize_compile(config, custom_objects))
        if self.built and self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: everything but compiled steps and the history."""
        state = super().__getstate__()
        state.pop("_ready", None)
        return {**state, "_steps": {}, "_traced_batch": None, "history": None}

    def _forget_steps(self) -> None:
        self.__dict__.update(_steps={}, _eager={}, _ready=None)

    def _require_compiled(self, what: str) -> None:
        if not self.compiled:
            raise ShapeError(
                "RV106",
                f"{what} needs model.compile(...) first",
                fix="model.compile(optimizer='adam', loss='mse')",
            )

    def reset(self, seed: int | None = None) -> None:
        """Starts afresh: new weights, a new optimizer state, no history.

        Args:
            seed: seed of the new weights; the running one by default.
        """
        from ranvier.models.reset import reinitialize

        reinitialize(self, seed)

    # ---------------------------------------------------------------------- the step

    def train_step(self, data: Any) -> Any:
        """One update: forward, loss, gradients, optimizer, metrics. May be overridden.

        Args:
            data: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``, as symbols.

        Returns:
            Logs: a dict of scalars, or of metrics' results.
        """
        x, y, sample_weight = unpack(data)
        y_pred = self(x, training=True)
        with scope(layer="loss", role="loss"), may_need_numbers("compute_loss"):
            loss = self.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True
            )
        self._track_loss(loss, x)
        variables = self.trainable_variables
        if variables:
            if self.optimizer is None:
                raise ShapeError(
                    "RV106",
                    "the model was compiled without an optimizer: nothing can be trained",
                    fix="model.compile(optimizer='adam', ...)",
                )
            scaled = self.optimizer.scale_loss(loss)
            self.optimizer.apply(gradients(scaled, variables), variables)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> Any:
        """One batch of evaluation. May be overridden."""
        x, y, sample_weight = unpack(data)
        y_pred = self(x, training=False)
        with scope(layer="loss", role="loss"), may_need_numbers("compute_loss"):
            loss = self.compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False
            )
        self._track_loss(loss, x)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """One batch of prediction. May be overridden."""
        x, _, _ = unpack(data)
        return self(x, training=False)

    def _track_loss(self, loss: Any, x: Any) -> None:
        assert self._loss_tracker is not None
        must_be_finite("loss", loss)
        with scope(layer="loss", role="metric"):
            rows = ops.shape(tree.flatten(x)[0])[0]
            self._loss_tracker.update_state(loss, sample_weight=rows)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss to minimize: that of `compile` plus `losses`. May be overridden."""
        terms = []
        if self._compile_loss is not None:
            found = self._compile_loss(y, y_pred, sample_weight, training)
            if found is not None:
                terms.append(found)
        terms += self.losses
        if not terms and training:
            raise ShapeError(
                "RV106",
                "there is no loss to minimize",
                fix="model.compile(loss=...), add_loss(...) in a layer, or override "
                "compute_loss",
            )
        return sum_of(terms)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> Any:
        """Updates the metrics of `compile`; returns all results. May be overridden."""
        self.__dict__["_traced_batch"] = (y, y_pred, sample_weight)
        if self._compile_metrics is not None and y is not None:
            with scope(layer="metrics", role="metric"):
                self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Results of all metrics by name."""
        logs = MetricLogs()
        for name, metric in self._named_metrics():
            dict.__setitem__(logs, name, Pending(metric))
        return logs

    def _named_metrics(self) -> list[tuple[str, Metric]]:
        named: list[tuple[str, Metric]] = []
        if self._loss_tracker is not None:
            named.append(("loss", self._loss_tracker))
        if self._compile_metrics is not None:
            named += self._compile_metrics.readers()
        if self._compile_loss is not None:
            named += [(m.name, m) for m in self._compile_loss.metrics]
        known = {id(m) for _, m in named}
        named += [(m.name, m) for m in self._known_metrics() if id(m) not in known]
        return named

    @property
    def metrics(self) -> list[Metric]:
        """The loss tracker and all metrics."""
        return [metric for _, metric in self._named_metrics()]

    @property
    def metrics_names(self) -> list[str]:
        """Names of the metrics."""
        return [name for name, _ in self._named_metrics()]

    def reset_metrics(self) -> None:
        """Forgets what the metrics have seen."""
        loops.reset_metrics(self)

    # ------------------------------------------------------------- what a step needs

    def _dtype_of_input(self) -> str | None:
        return None

    def _input_specs(self, data: Arrays) -> dict[str, Spec]:
        """Specs of the graph's inputs for this data."""
        return input_specs(self, data)

    def _rows(self, input_shape: Any) -> Any:
        """Rows of a batch: any number, unless a layer keeps a state for each of them."""
        declared = input_shape[0] if isinstance(input_shape, tuple) else None
        return declared if declared is not None and tracking.stateful(self) else BATCH

    def _ensure_built(self, data: Arrays) -> None:
        """Make all weights, by tracing the model on the shapes of the data.

        Where Python runs on every batch it sees the first rows here.
        """
        if self.built and all(layer.built for layer in self._flatten_layers()):
            return
        specs = {n: s for n, s in self._input_specs(data).items() if n[0] == "x"}
        names = list(specs)

        def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            x = (
                inputs["x"]
                if names == ["x"]
                else tree.rebuild(data.x, [inputs[n] for n in names])
            )
            self(x, training=False)
            return {}

        first: Any = None
        if self.run_eagerly:
            first = {n: data.named[n][:2].astype(specs[n].dtype) for n in names}
        trace(run, specs, first)
        self._clear_losses()

    def _build_by_tracing(self, input_shape: Any, dtype: str) -> None:
        sizes: list[Any] = [self._rows(tuple(input_shape))]
        for axis, size in enumerate(input_shape[1:], 1):
            sizes.append(Dim.symbol(f"free{axis}") if size is None else int(size))

        def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            self.built = True
            self.call(inputs["x"], training=False)
            return {}

        zeros: Any = None
        if self.run_eagerly:  # for layers that ask for numbers: two rows of zeros
            real = [size if isinstance(size, int) else 2 for size in sizes]
            zeros = {"x": np.zeros(real, dtype)}
        with outside(), scope(layer=self.name), tracking.calling(self, False):
            trace(run, {"x": Spec(tuple(sizes), dtype)}, zeros)
        self._clear_losses()

    # ----------------------------------------------------------------------- looping

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        engine: str | None = None,
        allow_nan: bool = False,
    ) -> Any:
        """Trains.

        A second call goes on where the first stopped, optimizer state included;
        `reset` starts afresh.

        Args:
            x: inputs: an array (any dtype, never copied), a structure of arrays, or an
                iterable of batches.
            y: targets.
            batch_size: rows of an update; 32 by default.
            epochs: number of the last epoch (not counting from `initial_epoch`).
            verbose: 0 nothing, 1 or ``"auto"`` a bar in a terminal, 2 a line an epoch.
            callbacks: callbacks.
            validation_split: share of the rows, the last ones, to validate on.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)``.
            shuffle: a new order every epoch, a function of seed and epoch.
            class_weight: weight of each class in the loss.
            sample_weight: weight of each row in the loss; together with `class_weight`
                the two are multiplied, as in Keras 2 (Keras 3 refuses the pair).
            initial_epoch: epoch to start at.
            steps_per_epoch: batches of an epoch.
            validation_steps: batches of a validation.
            validation_batch_size: `batch_size` by default.
            validation_freq: validate every so many epochs, or at these.
            engine: ``"native"``, ``"reference"`` or ``"jax"``, for this call.
            allow_nan: train on values, and go on from losses, that are not finite
                instead of refusing them.

        Returns:
            A `History`.

        Raises:
            DataError: RV105, RV203, RV204, RV207: what is wrong with the data, and where.
            NumericsError: RV301, when the loss is NaN or infinite, or a gradient because
                something is divided by zero: before anything of that step is written,
                naming where it began.
            ShapeError: RV101, RV103, RV106, RV109: what does not fit.
        """
        self._require_compiled("fit")
        arguments = dict(locals())
        del arguments["self"]
        return loops.fit(self, **arguments)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on data.

        Args:
            x: inputs, as for `fit`.
            y: targets.
            batch_size: rows of a batch; 32 by default.
            verbose: as for `fit`.
            sample_weight: weight of each row.
            steps: number of batches.
            callbacks: callbacks.
            return_dict: a dict by name instead of a list.

        Returns:
            The loss, or a list of loss and metrics, or a dict.
        """
        self._require_compiled("evaluate")
        return loops.evaluate(
            self, x, y, batch_size, verbose, sample_weight, steps, callbacks,
            return_dict, **kwargs,
        )  # fmt: skip

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Outputs for inputs, as NumPy arrays.

        Args:
            x: inputs, as for `fit`.
            batch_size: rows of a batch; 32 by default.
            verbose: as for `fit`.
            steps: number of batches.
            callbacks: callbacks.
        """
        return loops.predict(self, x, batch_size, verbose, steps, callbacks)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One update on these rows."""
        self._require_compiled("train_on_batch")
        return loops.on_batch(
            self, "train", x, y, sample_weight, class_weight, return_dict
        )

    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics on these rows."""
        self._require_compiled("test_on_batch")
        return loops.on_batch(self, "test", x, y, sample_weight, None, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for these rows."""
        return loops.predict_on_batch(self, x)

    # -------------------------------------------------------------- looking, saving

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside."""
        return self._sublayers() if self._function is None else list(self._layers)

    def _graph(self, what: str) -> Function:
        if self._function is None:
            raise NeverCalled(
                "RV106",
                f"{self.name} has no {what}: it is not made of symbolic tensors",
                fix="keras.Model(inputs, outputs), or keras.Input(shape) first in a "
                "Sequential",
            )
        return self._function

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        return list(self._graph("inputs").inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        return list(self._graph("outputs").outputs)

    @property
    def input(self) -> Any:
        """The symbolic inputs in their structure."""
        return self._graph("input").inputs_struct

    @property
    def output(self) -> Any:
        """The symbolic outputs in their structure."""
        return self._graph("output").outputs_struct

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs."""
        return self._graph("input_names").input_names

    @property
    def output_names(self) -> list[str]:
        """Names of the layers that give the outputs."""
        return self._graph("output_names").output_names

    @property
    def input_shape(self) -> Any:
        """Shape of the input with ``None`` where free; a list for several."""
        return _alone([t.shape for t in self._graph("input_shape").inputs])

    @property
    def output_shape(self) -> Any:
        """Shape of the output with ``None`` where free; a list for several."""
        return _alone([t.shape for t in self._graph("output_shape").outputs])

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or index.

        Raises:
            ShapeError: RV107 for an unknown name, RV100 for an index out of range.
        """
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ShapeError(
                    "RV100", f"layer {index} of {self.name}, which has {len(layers)}"
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise unknown_name("layer", name, [layer.name for layer in layers])

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
        explain: bool = False,
    ) -> None:
        """Prints the layers, their output shapes and numbers of parameters.

        Args:
            line_length: width of the table.
            positions: kept for Keras.
            print_fn: called with the text instead of `print`.
            expand_nested: show the layers inside models.
            show_trainable: add a column.
            layer_range: kept for Keras.
            explain: show where each number comes from: ``128*(784+1) = 100,480``.
        """
        from ranvier.models.summary import summary_text

        text = summary_text(self, line_length, expand_nested, show_trainable, explain)
        (print_fn or print)(text)

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary as a table."""
        from ranvier.models.notebook import model_html

        return model_html(self)

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        zipped: Any = None,
        **kwargs: Any,
    ) -> None:
        """Writes architecture, weights and training state to a ``.keras`` file.

        The file is written under another name and then renamed, so that an
        interruption leaves the old file or the new one, never half of it.
        """
        from ranvier.models.saving import save_model

        save_model(self, filepath, overwrite=overwrite)

    def save_weights(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any
    ) -> None:
        """Writes the weights to a ``.weights.h5`` file."""
        from ranvier.models.saving import save_weights

        save_weights(self, filepath, overwrite=overwrite)

    def load_weights(
        self,
        filepath: str | os.PathLike[str],
        skip_mismatch: bool = False,
        **kwargs: Any,
    ) -> None:
        """Reads weights from a ``.weights.h5``, ``.keras`` or old ``.h5`` file.

        Args:
            filepath: the file.
            skip_mismatch: leave layers as they are whose variables have other shapes.
            **kwargs: ``by_name=True``, of an old ``.h5`` file: the layers whose names the
                model has.
        """
        from ranvier.models.saving import load_weights

        load_weights(self, filepath, skip_mismatch, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """What rebuilds the model: of a functional one the calls between its layers."""
        from ranvier.models.functional import config_of, made_by_graph

        if self._function is not None and made_by_graph(type(self)):
            return config_of(self)
        config = super().get_config()
        if type(self).get_config is Model.get_config:
            config |= _plain_arguments(self)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """The model that `get_config` described, without its weights."""
        from ranvier.models.functional import from_config, made_by_graph

        if {"layers", "input_layers", "output_layers"} <= set(config) and made_by_graph(
            cls
        ):
            return from_config(cls, config, custom_objects)
        return super().from_config(config)

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON."""
        import json

        from ranvier.models.registry import serialize_layer

        return json.dumps(serialize_layer(self), **kwargs)
