"""The base of all layers: weights, sublayers, building, calling, configuration."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ranvier import ops, regularizers, symbolic
from ranvier._lookup import auto_name
from ranvier.errors import EnvironmentFault, ShapeError
from ranvier.graph import Dim, Tensor, Variable, current_trace, scope, tree
from ranvier.graph.trace import outside
from ranvier.layers import masks, tracking
from ranvier.layers.input_spec import InputSpec, KerasTensor, check_inputs, dims_of
from ranvier.layers.policy import DTypePolicy, policy_of, serialized_policy
from ranvier.metrics.base import Metric
from ranvier.random import SeedGenerator

#: Attributes that are bookkeeping, in which nothing is looked for.
_OWN = frozenset(
    {
        "_variables",
        "_call_losses",
        "_auto_arguments",
        "_build_shapes",
        "_eager",
        "_input_spec",
        "_inbound_nodes",
        "_function",
        "_symbols",
        "optimizer",
        "history",
        "_compile_loss",
        "_compile_metrics",
        "_loss_tracker",
        "_steps",
        "_compile_arguments",
        "_layer_metrics",
        "_structure",
        "_ready",
        "_traced_batch",
    }
)


class Layer:
    """Base class of layers: a function of tensors with weights.

    A subclass makes its weights in `build` with `add_weight` and computes in `call`
    with `ranvier.ops`; it then runs in the compiled step like any built-in layer.

    Args:
        activity_regularizer: penalty on the output, added to the loss.
        trainable: whether its weights are trained.
        dtype: `"float32"` or a policy.
        autocast: whether floating inputs are cast to the compute dtype.
        name: a name, made from the class's by default.

    Raises:
        ShapeError: RV100 for an unknown argument.

    Example:
        >>> import numpy as np
        >>> from ranvier import layers, ops
        >>> class Linear(layers.Layer):
        ...     def __init__(self, units, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.units = units
        ...     def build(self, input_shape):
        ...         self.w = self.add_weight((input_shape[-1], self.units), "ones")
        ...     def call(self, x):
        ...         return ops.matmul(x, self.w)
        >>> Linear(2)(np.ones((1, 3))).numpy()
        array([[3., 3.]], dtype=float32)
    """

    name: str
    built: bool
    _variables: list[Variable]
    _call_losses: list[Any]
    _auto_arguments: tuple[tuple[Any, ...], dict[str, Any]]
    _build_shapes: dict[str, Any] | None
    _eager: dict[Any, Any]
    _input_spec: Any
    _inbound_nodes: list[symbolic.Node]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        # Made before __init__, so that a subclass may set attributes first.
        self.__dict__.update(
            _variables=[],
            _call_losses=[],
            _auto_arguments=(args, kwargs),
            _build_shapes=None,
            _eager={},
            _input_spec=None,
            _inbound_nodes=[],
            built=False,
            _trainable=True,
        )
        return self

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _noticing_build(cls.__dict__["build"])  # type: ignore[method-assign]
        if "call" in cls.__dict__:
            cls._call_parameters = tuple(inspect.signature(cls.call).parameters)
        if "compute_mask" in cls.__dict__:
            cls._passes_masks = False

    _call_parameters: tuple[str, ...] = ("self", "inputs")
    #: Whether `compute_mask` is that of this class, which changes nothing.
    _passes_masks: bool = True

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ShapeError(
                "RV100",
                f"{type(self).__name__}: name={name!r} must be a text without '/'",
                fix="name='hidden'",
            )
        self.name = name or auto_name(type(self).__name__)
        self.dtype_policy = policy_of(dtype)
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.supports_masking = not self._passes_masks
        shape = kwargs.pop("input_shape", None)
        width = kwargs.pop("input_dim", None)
        batch_shape = kwargs.pop("batch_input_shape", None)
        if batch_shape is not None:
            shape = tuple(batch_shape)[1:]
        if width is not None:
            shape = (width,)
        if shape is not None:
            self._input_shape_arg = (shape,) if isinstance(shape, int) else tuple(shape)
        if kwargs:
            from ranvier.errors import nearest

            given = next(iter(kwargs))
            known = [
                p
                for p in inspect.signature(type(self).__init__).parameters
                if p not in ("self", "kwargs")
            ] + ["name", "trainable", "dtype", "input_shape"]
            close = nearest(given, known)
            raise ShapeError(
                "RV100",
                f"{type(self).__name__} has no argument {given!r}",
                details="arguments: " + ", ".join(known),
                fix=close,
            )
        self._trainable = bool(trainable)

    # -- attributes -------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable):
            self._track(value)
        elif isinstance(value, (Layer, Metric, list, tuple, dict)):
            tracking.changed()
        object.__setattr__(self, name, value)

    def _track(self, variable: Variable) -> None:
        if all(v is not variable for v in self._variables):
            self._variables.append(variable)
            tracking.changed()

    def _sublayers(self) -> list[Layer]:
        return tracking.attributes(self, Layer, _OWN)

    def _flatten_layers(self, include_self: bool = True) -> list[Layer]:
        """This layer and all inside it, each once."""
        found: dict[int, Layer] = {}

        def visit(layer: Layer) -> None:
            if id(layer) not in found:
                found[id(layer)] = layer
                for inner in layer._sublayers():
                    visit(inner)

        visit(self)
        return [layer for layer in found.values() if include_self or layer is not self]

    def _own_metrics(self) -> list[Metric]:
        return tracking.attributes(self, Metric, _OWN)

    def _known_metrics(self) -> list[Metric]:
        """Metrics of the layers inside; kept until the structure changes."""
        kept = self.__dict__.get("_layer_metrics")
        if kept is None or kept[0] != tracking.version():
            # Looking through all attributes takes longer than a small network's epoch.
            found = {
                id(m): m
                for layer in self._flatten_layers()
                for m in layer._own_metrics()
            }
            kept = tracking.version(), list(found.values())
            self.__dict__["_layer_metrics"] = kept
        return kept[1]

    @property
    def metrics(self) -> list[Metric]:
        """Metrics held as attributes, here and in the layers inside."""
        return list(self._known_metrics())

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: everything but what was compiled."""
        state = {
            **self.__dict__,
            "_eager": {},
            "_call_losses": [],
            "_inbound_nodes": [],
        }
        state.pop("_structure", None), state.pop("_layer_metrics", None)
        return state

    # -- weights ----------------------------------------------------------------------

    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: Any = None,
        dtype: str | None = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Makes a weight.

        Args:
            shape: its shape; a scalar by default.
            initializer: a name or object; Glorot uniform by default for floats, zeros
                for others (Keras's defaults).
            dtype: its dtype; the layer's variable dtype by default.
            trainable: whether the optimizer changes it.
            autocast: kept for Keras's signature.
            regularizer: a penalty added to the loss.
            constraint: applied after each update.
            aggregation: kept for Keras's signature.
            overwrite_with_gradient: kept for Keras's signature.
            name: a name.
        """
        from ranvier import constraints, initializers

        dtype = dtype or self.variable_dtype
        sizes = tuple(int(size) for size in shape or ())
        if initializer is None:
            initializer = "glorot_uniform" if "float" in dtype else "zeros"
        initializer = initializers.get(initializer)
        try:
            with outside():
                value = np.asarray(initializer(sizes, dtype=dtype), dtype)
        except MemoryError as fault:
            raise EnvironmentFault(
                "RV805",
                f"no memory for weight {name or 'variable'!r} of layer {self.name!r}",
                details=f"shape {sizes}: {math.prod(sizes):,} numbers",
                fix="fewer units, or smaller inputs",
            ) from fault
        variable = Variable(
            np.asarray(value, order="C"),
            shape=sizes,
            dtype=dtype,
            trainable=trainable,
            name=name or "variable",
            kind="trainable" if trainable else "non_trainable",
            regularizer=regularizers.get(regularizer),
            constraint=constraints.get(constraint),
        )
        variable.path = "/".join([*self._location(), variable.name])
        variable.initializer = initializer  # type: ignore[attr-defined]  # for Model.reset
        if not self._trainable:
            variable.trainable = False
        self._track(variable)
        return variable

    add_variable = add_weight

    def _location(self) -> tuple[str, ...]:
        path = tracking.context.path
        return path if path and path[-1] == self.name else (*path, self.name)

    @property
    def path(self) -> str:
        """Names of the layers around this one and its own, joined by ``/``."""
        return getattr(self, "_path", self.name)

    @property
    def variables(self) -> list[Variable]:
        """All state: weights and seeds (metrics and optimizers apart)."""

        def walk() -> Any:
            for layer in self._flatten_layers():
                yield from layer._ordered()
                for seed in tracking.attributes(layer, SeedGenerator, _OWN):
                    yield seed.state

        return tracking.unique(walk())

    def _ordered(self) -> list[Variable]:
        """Own weights as Keras's files have them: trained ones first."""
        own = self._variables
        return [v for v in own if v.kind == "trainable"] + [
            v for v in own if v.kind != "trainable"
        ]

    @property
    def weights(self) -> list[Variable]:
        """Weights in Keras's order: own trained, own others, then those inside."""
        return tracking.unique(
            v for lay in self._flatten_layers() for v in lay._ordered()
        )

    @property
    def trainable_variables(self) -> list[Variable]:
        """Variables that the optimizer changes."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The other variables."""
        if not self.trainable:
            return self.variables
        return [v for v in self.variables if not v.trainable]

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights that the optimizer changes."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights."""
        if not self.trainable:
            return self.weights
        return [v for v in self.weights if not v.trainable]

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained; setting it reaches the layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self.__dict__["_trainable"] = bool(value)
        for variable in self._variables:
            if variable.kind == "trainable":
                variable.trainable = bool(value)
        for layer in self._sublayers():
            layer.trainable = value
        tracking.changed()

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of the weights as arrays."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets the weights from arrays in the order of `weights`.

        Raises:
            ShapeError: RV108 when number or shapes differ; nothing is set then.
        """
        own = self.weights
        arrays = [np.asarray(w) for w in weights]
        if len(arrays) != len(own):
            raise ShapeError(
                "RV108",
                f"{self.name} has {len(own)} weights, {len(arrays)} arrays were given",
                fix="pass what get_weights() of the same architecture returned",
            )
        for variable, array in zip(own, arrays, strict=True):
            if variable.shape != array.shape:
                raise ShapeError(
                    "RV108",
                    f"weight {variable.path} has shape {variable.shape}, "
                    f"the array has {array.shape}",
                    fix="pass what get_weights() of the same architecture returned",
                )
        for variable, array in zip(own, arrays, strict=True):
            variable.assign(array)

    def count_params(self) -> int:
        """Number of weights.

        Raises:
            ShapeError: RV106, when there are none yet because it was not built.
        """
        if not self.built:
            raise ShapeError(
                "RV106",
                f"{self.name} has no weights yet: its input shape is not known",
                fix="start the model with keras.Input(shape=...), or call build(shape)",
            )
        sizes: list[Any] = [v.shape for v in self.weights]
        return sum(math.prod(shape) for shape in sizes)

    # -- losses -----------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Adds to the training loss; called inside `call`.

        Raises:
            ShapeError: RV100 for a symbolic tensor, which is of no step.
        """
        for value in tree.flatten(loss):
            if isinstance(value, KerasTensor):
                raise ShapeError(
                    "RV100",
                    f"add_loss of {self.name!r} was given a symbolic tensor",
                    fix="a layer whose call() does self.add_loss(...) and returns its "
                    "input, or a Model with a compute_loss of its own",
                )
            self._call_losses.append(value)

    @property
    def losses(self) -> list[Any]:
        """What `add_loss` and the regularizers of trained weights give."""
        layers = self._flatten_layers()
        found = [loss for layer in layers for loss in layer._call_losses]
        found += [
            v.regularizer(v)
            for v in self.trainable_weights
            if v.regularizer is not None
        ]
        return found

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._call_losses.clear()

    # -- dtype and inputs -------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """Dtype of the weights."""
        return self.dtype_policy.variable_dtype

    @property
    def variable_dtype(self) -> str:
        """Dtype of the weights."""
        return self.dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """Dtype of the computation."""
        return self.dtype_policy.compute_dtype

    @property
    def input_spec(self) -> Any:
        """What inputs are accepted, if it was declared."""
        return self._input_spec

    @input_spec.setter
    def input_spec(self, value: InputSpec | None) -> None:
        self.__dict__["_input_spec"] = value

    # -- building and calling ---------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Makes the weights; to be overridden where they depend on the input's shape."""
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation, in `ranvier.ops`; to be written by a subclass."""
        raise NotImplementedError(f"{type(self).__name__} must define call()")

    def _build_for(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        shapes = tree.map_leaves(
            dims_of, args[0] if args else next(iter(kwargs.values()))
        )
        parameters = list(inspect.signature(type(self).build).parameters)[1:]
        with outside(), scope(layer="/".join(self._location())):
            if len(parameters) > 1 and all(p.endswith("_shape") for p in parameters):
                # build(self, query_shape, value_shape): one shape for each argument.
                names = [
                    p for p in self._call_parameters[1:] if f"{p}_shape" in parameters
                ]
                given = dict(zip(self._call_parameters[1:], args, strict=False)) | dict(
                    kwargs
                )
                self.build(
                    **{
                        f"{n}_shape": tree.map_leaves(dims_of, given[n])
                        for n in names
                        if n in given
                    }
                )
            else:
                self.build(shapes)
        self.built = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Applies the layer to symbols (inside a step) or to arrays (at once).

        On symbolic tensors (`keras.Input`) the call becomes part of functional models.
        """
        if symbolic.any_symbols(args, kwargs):
            outputs = symbolic.record(self, self, args, kwargs)
            self._clear_losses()
            return outputs
        if current_trace() is None:
            from ranvier.layers.eager import call_eagerly

            return call_eagerly(self, args, kwargs)
        args = tuple(self._converted(a) for a in args)
        kwargs = {k: self._converted(v) for k, v in kwargs.items()}
        if self._input_spec is not None and args:
            check_inputs(self, self._input_spec, args[0])
        context = tracking.context
        if context.depth == 0:
            self._clear_losses()
        takes_training = "training" in self._call_parameters
        training = kwargs.get("training")
        if training is None:
            training = context.training
        if takes_training and training is not None:
            kwargs["training"] = training
        elif not takes_training:
            kwargs.pop("training", None)
        with tracking.calling(self, training), scope(layer="/".join(context.path)):
            if not self.built:
                self._build_for(args, kwargs)
                if self._input_spec is not None and args:
                    check_inputs(self, self._input_spec, args[0])
            self.__dict__["_path"] = "/".join(context.path)
            previous = masks.hand_in(self._call_parameters[1:], args, kwargs)
            outputs = self.call(*args, **kwargs)
            if self.activity_regularizer is not None:
                for output in tree.flatten(outputs):
                    penalty = self.activity_regularizer(output)
                    if output.ndim:
                        # The mean over the rows, whatever the batch size (Keras).
                        rows = ops.cast(ops.shape(output)[0], penalty.dtype)
                        penalty = penalty / rows
                    self.add_loss(penalty)
            first = args[0] if args else kwargs.get(self._call_parameters[1])
            return masks.hand_out(self, first, outputs, previous)

    def _converted(self, value: Any) -> Any:
        """Arrays become tensors, floating tensors the compute dtype."""
        if isinstance(value, (bool, int, float, str)) or value is None:
            return value
        if isinstance(value, (Tensor, Variable, np.ndarray, np.generic)):
            tensor = ops.convert_to_tensor(value)
            wanted = self.compute_dtype
            floating = tensor.dtype.startswith(("float", "bfloat"))
            if not (self.autocast and floating and tensor.dtype != wanted):
                return tensor
            mask = masks.mask_of(tensor)
            tensor = ops.cast(tensor, wanted)
            if mask is not None:
                masks.set_mask(tensor, mask)
            return tensor
        if isinstance(value, (list, tuple, dict)):
            return tree.map_leaves(self._converted, value)
        return value

    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """The outputs for given values of the variables, which stay as they are.

        Args:
            trainable_variables: a value for each of `trainable_variables`.
            non_trainable_variables: a value for each of `non_trainable_variables`.
            *args: what the layer is called on.
            return_losses: whether the losses are returned too.
            **kwargs: further arguments of the call.

        Returns:
            The outputs, the new values of the non-trainable variables, and the losses.

        Raises:
            ShapeError: RV106 before the layer is built; RV108 when values do not fit.

        Example:
            >>> import numpy as np
            >>> from ranvier import layers
            >>> dense = layers.Dense(1)
            >>> dense.build((None, 2))
            >>> y, _ = dense.stateless_call([np.ones((2, 1)), np.ones(1)], [], [[1., 2.]])
            >>> y.numpy()
            array([[4.]], dtype=float32)
        """
        from ranvier.layers.stateless import stateless_call

        return stateless_call(
            self, trainable_variables, non_trainable_variables, args, kwargs,
            return_losses,
        )  # fmt: skip

    @property
    def input(self) -> Any:
        """The symbolic tensor, or tensors, of its first call in a functional model."""
        return _alone(self._first_call("input").input_tensors)

    @property
    def output(self) -> Any:
        """What its first call in a functional model gave.

        Raises:
            ShapeError: RV106 when it was not called on symbolic tensors.
        """
        return _alone(self._first_call("output").outputs)

    def _first_call(self, what: str) -> symbolic.Node:
        if not self._inbound_nodes:
            raise NeverCalled(
                "RV106",
                f"layer {self.name!r} has no {what}: it was not called on keras.Input",
                fix="x = keras.Input(shape); y = layer(x)",
            )
        return self._inbound_nodes[0]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output; masks pass through unless overridden."""
        return previous_mask

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The output's shape for an input shape (``None`` where free), by tracing.

        Example:
            >>> from ranvier import layers
            >>> layers.Dense(3).compute_output_shape((None, 4))
            (None, 3)
        """
        from ranvier.layers.eager import output_shape

        return output_shape(self, args[0] if args else next(iter(kwargs.values())))

    # -- configuration ----------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild the layer, with Keras's keys.

        A subclass with arguments of its own that are plain data needs not override it.
        """
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialized_policy(self.dtype_policy),
        }
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(
                self.activity_regularizer
            )
        if type(self).get_config is Layer.get_config:
            config.update(_plain_arguments(self))
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """The layer that `get_config` described, without its weights."""
        config = dict(config)
        if isinstance(config.get("dtype"), Mapping):
            config["dtype"] = policy_of(config["dtype"])
        return cls(**config)

    def get_build_config(self) -> dict[str, Any] | None:
        """The shape it was built for."""
        shapes = self._build_shapes
        if shapes is None:
            return None
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": shapes}

    def build_from_config(self, config: Mapping[str, Any] | None) -> None:
        """Builds it for the shape that `get_build_config` told."""
        if config and "input_shape" in config:
            self.build(_tuples(config["input_shape"]))
        elif config and "shapes_dict" in config:
            self.build(**{k: _tuples(v) for k, v in config["shapes_dict"].items()})

    def save_own_variables(self, store: Any) -> None:
        """Writes own weights under "0", "1", …"""
        for i, variable in enumerate(self._ordered()):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads what `save_own_variables` (or Keras) wrote.

        Raises:
            ShapeError: RV108 when number or shapes differ.
        """
        own = self._ordered()
        if len(store) != len(own):
            raise ShapeError(
                "RV108",
                f"layer {self.name!r} has {len(own)} weights, the file {len(store)}",
                fix="load into the architecture that was saved",
            )
        for i, variable in enumerate(own):
            variable.assign(np.asarray(store[str(i)]))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _noticing_build(build: Callable[..., None]) -> Callable[..., None]:
    """`build` that remembers its shapes and marks the layer as built."""

    @functools.wraps(build)
    def noticing(self: Layer, *args: Any, **kwargs: Any) -> None:
        with outside():
            build(self, *args, **kwargs)
        # After the build of a base class, which may be told other shapes.
        if args or kwargs:
            bound = inspect.signature(build).bind(self, *args, **kwargs).arguments
            shapes = {k: _tuples(v) for k, v in list(bound.items())[1:]}
            self.__dict__["_build_shapes"] = shapes
        self.__dict__["built"] = True

    return noticing


def _alone(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else list(values)


def _tuples(shape: Any) -> Any:
    """Shapes with tuples for lists and ``None`` for symbols."""
    if isinstance(shape, Mapping):
        return {k: _tuples(v) for k, v in shape.items()}
    if isinstance(shape, (list, tuple)):
        return tuple(_tuples(s) for s in shape)
    return None if isinstance(shape, Dim) else shape


def _plain_arguments(layer: Layer) -> dict[str, Any]:
    """The constructor's arguments, for a class that does not override get_config."""
    args, kwargs = layer._auto_arguments
    names = [
        p for p in inspect.signature(type(layer).__init__).parameters if p != "self"
    ]
    given = dict(zip(names, args, strict=False)) | kwargs
    plain = (bool, int, float, str, type(None), list, tuple, dict)
    return {
        k: v
        for k, v in given.items()
        if isinstance(v, plain)
        and k not in ("dtype", "trainable", "name", "input_shape")
    }


class NeverCalled(ShapeError, AttributeError):
    """RV106: a layer has no input or output before it is called on symbolic tensors."""


__all__ = ["DTypePolicy", "InputSpec", "KerasTensor", "Layer"]
