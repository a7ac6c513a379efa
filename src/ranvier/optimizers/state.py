"""What an optimizer holds: its arguments and its variables.

Everything that changes from step to step is a `Variable`: the number of the step, the
learning rate, moving averages, accumulated gradients and slots. Their order is that of
Keras's files.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from ranvier import ops
from ranvier._lookup import snake_case
from ranvier.errors import ShapeError
from ranvier.graph import Variable
from ranvier.optimizers.schedules import LearningRateSchedule

__all__ = ["BaseOptions", "OptimizerState"]


class BaseOptions(TypedDict, total=False):
    """The arguments that every optimizer takes; `Optimizer` explains them."""

    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None


class _FixedSchedule(ShapeError, TypeError):
    """The learning rate of an optimizer with a schedule was set (Keras: TypeError)."""


class OptimizerState:
    """Arguments and variables of an optimizer; `Optimizer` says what they mean."""

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Callable[[], Any],
        **base: Unpack[BaseOptions],
    ) -> None:
        options: dict[str, Any] = dict(base)
        self.name = options.pop("name", None) or snake_case(type(self).__name__)
        self.weight_decay = options.pop("weight_decay", None)
        self.clipnorm = options.pop("clipnorm", None)
        self.clipvalue = options.pop("clipvalue", None)
        self.global_clipnorm = options.pop("global_clipnorm", None)
        self.use_ema = options.pop("use_ema", False)
        self.ema_momentum = options.pop("ema_momentum", 0.99)
        self.ema_overwrite_frequency = options.pop("ema_overwrite_frequency", None)
        self.loss_scale_factor = options.pop("loss_scale_factor", None)
        self.gradient_accumulation_steps = options.pop(
            "gradient_accumulation_steps", None
        )
        # Keras still accepts the `decay` of its first versions, and ignores it.
        if options.pop("decay", None) is not None:
            warnings.warn(
                "argument decay is no longer supported and is ignored; use a schedule",
                stacklevel=3,
            )
        if options:
            raise self._bad(
                f"unknown argument {', '.join(map(repr, options))}",
                f"every optimizer takes {', '.join(BaseOptions.__annotations__)}",
            )
        self._check_options()
        self.built = False
        self._trainable_variables: list[Variable] = []
        self._index: dict[Variable, int] = {}
        self._slots: list[dict[str, Variable]] = []
        self._variables: list[Variable] = []
        self._averages: list[Variable] = []
        self._accumulators: list[Variable] = []
        self._excluded: set[Variable] = set()
        self._excluded_pattern: re.Pattern[str] | None = None
        self._iterations = self._track(
            Variable(
                0,
                dtype="int64",
                name="iteration",
                kind="counter",
                trainable=False,
            )
        )
        self._learning_rate: Any = learning_rate
        if not callable(learning_rate):
            self._learning_rate = self._track(
                Variable(
                    self._check_number(learning_rate),
                    dtype="float32",
                    name="learning_rate",
                    kind="hyper",
                    trainable=False,
                )
            )

    # -- arguments

    def _bad(self, problem: str, fix: str) -> ShapeError:
        return ShapeError("RV100", f"{type(self).__name__}: {problem}", fix=fix)

    def _check_number(self, value: Any) -> float:
        if isinstance(value, (bool, str)) or np.ndim(value) != 0:
            raise self._bad(
                f"learning_rate={value!r} is not a number",
                "a float, a LearningRateSchedule, or a callable",
            )
        return float(value)

    def _check_options(self) -> None:
        clips = {
            name: getattr(self, name)
            for name in ("clipnorm", "clipvalue", "global_clipnorm")
            if getattr(self, name) is not None
        }
        if len(clips) > 1:
            received = ", ".join(f"{k}={v}" for k, v in clips.items())
            raise self._bad(
                f"more than one kind of clipping was asked for: {received}",
                f"keep one, for example clipnorm={next(iter(clips.values()))}",
            )
        steps = self.gradient_accumulation_steps
        if steps and not steps >= 2:
            raise self._bad(
                f"gradient_accumulation_steps={steps}", "an integer >= 2, or None"
            )
        if self.use_ema:
            if not 0 <= self.ema_momentum <= 1:
                raise self._bad(
                    f"ema_momentum={self.ema_momentum}", "a number from 0 to 1"
                )
            every = self.ema_overwrite_frequency
            if every and (not isinstance(every, int) or every < 1):
                raise self._bad(
                    f"ema_overwrite_frequency={every!r}", "an integer >= 1, or None"
                )

    def _misfit(self, problem: str) -> ShapeError:
        return ShapeError(
            "RV108",
            f"{type(self).__name__}: gradients and variables do not fit together",
            details=problem,
            fix="apply(gradients, variables) with one gradient per variable; "
            "a new optimizer for a new set of variables",
        )

    # -- what a subclass gives

    def slot_groups(self) -> tuple[tuple[str, ...], ...]:
        """Names of the slots. Within a group they alternate variable by variable,
        which is the order of Keras's files."""
        return ()

    def slot_initial(self, name: str) -> float:
        """The number that slot `name` starts from."""
        return 0.0

    # -- variables

    def _track(self, variable: Variable) -> Variable:
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_variable(
        self,
        shape: Sequence[Any],
        initializer: Any = "zeros",
        dtype: str | None = None,
        name: str | None = None,
        **_: Any,
    ) -> Variable:
        """Adds a state variable of the given shape to the optimizer."""
        from ranvier import initializers

        fill = initializers.get(initializer)
        dtype = dtype or "float32"
        return self._track(
            Variable(
                np.asarray(fill(tuple(shape), dtype=dtype)),
                dtype=dtype,
                name=name or "variable",
                kind="slot",
                trainable=False,
            )
        )

    def add_variable_from_reference(
        self,
        reference_variable: Variable,
        name: str | None = None,
        initializer: Any = "zeros",
    ) -> Variable:
        """Adds a state variable of the shape and dtype of a model's variable."""
        path = getattr(reference_variable, "path", reference_variable.name)
        return self.add_variable(
            reference_variable.shape,
            initializer,
            reference_variable.dtype,
            f"{path.replace('/', '_')}_{name or 'var'}",
        )

    def add_optimizer_variables(
        self,
        trainable_variables: Sequence[Variable],
        name: str | Sequence[str],
        initializer: Any = "zeros",
    ) -> Any:
        """Adds one state variable (or one per name) for each model variable."""
        names = [name] if isinstance(name, str) else list(name)
        fills = (
            list(initializer)
            if isinstance(initializer, (list, tuple))
            else [initializer] * len(names)
        )
        added: tuple[list[Variable], ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for column, slot, fill in zip(added, names, fills, strict=True):
                column.append(self.add_variable_from_reference(variable, slot, fill))
        return added[0] if isinstance(name, str) else added

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates the state for these variables, in the order of Keras's files."""
        if self.built:
            return
        variables = list(variables)
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        self._index = {v: i for i, v in enumerate(variables)}
        if self.gradient_accumulation_steps:
            self._accumulators = self.add_optimizer_variables(
                variables, "gradient_accumulator"
            )
        self._trainable_variables = variables
        self._slots = [{} for _ in variables]
        self.built = True
        self._build_slots(variables)

    def _build_slots(self, variables: Sequence[Variable]) -> None:
        from ranvier.initializers import Constant

        for group in self.slot_groups():
            fills = [Constant(self.slot_initial(name)) for name in group]
            columns = self.add_optimizer_variables(variables, group, fills)
            for name, column in zip(group, columns, strict=True):
                for slots, slot in zip(self._slots, column, strict=True):
                    slots[name] = slot

    @property
    def variables(self) -> list[Variable]:
        """Iteration, learning rate, then averages, accumulators and slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """Number of updates done (with accumulation: of whole groups of steps)."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(
                self._iterations.value, self.gradient_accumulation_steps
            )
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the next step: a variable, or what a schedule says."""
        if isinstance(self._learning_rate, Variable):
            return self._learning_rate
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(self._iterations)
        return self._learning_rate()

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        previous = self._learning_rate
        if callable(value):
            self._learning_rate = value
            self._variables = [v for v in self._variables if v is not previous]
        elif isinstance(previous, Variable):
            previous.assign(self._check_number(value))
        else:
            raise _FixedSchedule(
                "RV100",
                f"{type(self).__name__}: the learning rate comes from "
                f"{type(previous).__name__} and cannot be set to a number",
                fix=f"{type(self).__name__}(learning_rate={value!r}), "
                "or assign another schedule",
            )

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all of `variables`; shapes must agree."""
        if not self.built:
            raise self._bad("set_weights() before build()", "call build(variables)")
        variables = self.variables
        if len(weights) != len(variables):
            raise self._bad(
                f"set_weights() got {len(weights)} arrays for "
                f"{len(variables)} variables",
                "pass one array per entry of optimizer.variables",
            )
        for variable, weight in zip(variables, weights, strict=True):
            if tuple(np.shape(weight)) != tuple(variable.shape):
                raise self._bad(
                    f"{variable.name} has shape {tuple(variable.shape)}, "
                    f"the array has {tuple(np.shape(weight))}",
                    "pass the weights of an optimizer built on the same model",
                )
            variable.assign(weight)

    def save_own_variables(self, store: Any) -> None:
        """Writes `variables` under "0", "1", …; iteration is int32, as Keras has it."""
        for i, variable in enumerate(self.variables):
            value = np.asarray(variable.numpy())
            if variable.kind == "counter":
                value = value.astype("int32")
            store[str(i)] = value

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` (or Keras) wrote.

        Raises:
            ShapeError: RV108 if the number of variables differs.
        """
        keys, variables = list(store.keys()), self.variables
        if len(keys) != len(variables):
            raise self._misfit(
                f"the file has {len(keys)} optimizer variables, this optimizer has "
                f"{len(variables)}"
            )
        for i, variable in enumerate(variables):
            variable.assign(np.asarray(store[str(i)]).astype(variable.dtype))
