"""The base of all optimizers: clipping, weight decay, accumulation, averages.

An optimizer is a list of slot names and a pure `update` written in `ranvier.ops`; one
traced step serves the whole training, for all that changes is a `Variable`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from ranvier import ops
from ranvier.graph import Variable, scope
from ranvier.optimizers.clipping import clip_by_global_norm, clip_by_norm
from ranvier.optimizers.schedules import deserialize as deserialize_schedule
from ranvier.optimizers.schedules import serialize as serialize_schedule
from ranvier.optimizers.state import BaseOptions, OptimizerState

__all__ = ["BaseOptions", "Optimizer"]

Slots = dict[str, Any]
Hyper = dict[str, Any]


class Optimizer(OptimizerState):
    """Base class: turns gradients into changed weights.

    To write an optimizer, name its slots and give `update`; `hyper` may compute
    scalars that all variables share, once a step:

    ```python
    class SignSGD(Optimizer):
        config_names = ("beta",)

        def __init__(self, learning_rate=0.001, beta=0.9, **base):
            super().__init__(learning_rate, **base)
            self.beta = beta

        def slot_groups(self):
            return (("momentum",),)

        def update(self, param, grad, slots, hyper):
            m = slots["momentum"] * self.beta + grad * (1 - self.beta)
            step = hyper["learning_rate"] * ops.sign(m)
            return param - step, {"momentum": m}
    ```

    Keras's way (override `build` and `update_step`, call `assign`) works as well.

    Args:
        learning_rate: a number, a `LearningRateSchedule`, or a callable without
            arguments. A number may be changed during training.
        weight_decay: each step first takes `weight_decay * learning_rate * w` off `w`.
        clipnorm: each gradient is scaled down to at most this L2 norm.
        clipvalue: each gradient element is clipped to `[-clipvalue, clipvalue]`.
        global_clipnorm: all gradients together are scaled to at most this L2 norm.
        use_ema: keep a moving average of the weights.
        ema_momentum: `average = ema_momentum * average + (1 - ema_momentum) * w`.
        ema_overwrite_frequency: every so many steps the weights become the average;
            `None` leaves that to the end of `fit`.
        loss_scale_factor: the loss is multiplied by it, gradients are divided by it.
        gradient_accumulation_steps: update once in so many steps, with the mean
            gradient.
        name: a name; the default is the class name in snake case.

    Raises:
        ShapeError: RV100 for an argument that cannot be.
    """

    #: names of the attributes that `get_config` writes beside the common ones
    config_names: ClassVar[tuple[str, ...]] = ()

    # -- what a subclass gives

    def hyper(self) -> Hyper:
        """Computes the scalars that all variables share, once a step."""
        return {"learning_rate": ops.cast(self.learning_rate, "float32")}

    def update(
        self, param: Any, grad: Any, slots: Slots, hyper: Hyper
    ) -> tuple[Any, Slots]:
        """Returns the new value of one variable and of its slots; changes nothing."""
        raise NotImplementedError(
            f"{type(self).__name__} must define update(param, grad, slots, hyper)"
        )

    def update_step(
        self, gradient: Any, variable: Variable, learning_rate: Any
    ) -> None:
        """Changes one variable in place. Override this or, better, `update`."""
        self._update_variable(gradient, variable, self.hyper())

    # -- a step

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> Any:
        """Updates the variables from `(gradient, variable)` pairs."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self._iterations

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[Variable] | None = None,
    ) -> None:
        """Does one step: clipping, weight decay, update, averages, constraints.

        Args:
            grads: one gradient per variable; `None` leaves that variable alone.
            trainable_variables: the variables; those given to `build` by default.

        Raises:
            ShapeError: RV108 if gradients and variables do not fit together.
        """
        grads = list(grads)
        if not grads:
            return
        grads, variables = self._match(grads, trainable_variables)
        with scope(layer=self.name, role="update"):
            self._apply(grads, variables)

    def _apply(self, grads: list[Any], variables: list[Variable]) -> None:
        if self.loss_scale_factor is not None:
            grads = [g / self.loss_scale_factor for g in grads]
        grads = [ops.cast(g, v.dtype) for g, v in zip(grads, variables, strict=True)]
        if self.gradient_accumulation_steps:
            self._accumulated_step(grads, variables)
        else:
            self._step(grads, variables)
        if self.use_ema:
            self._update_averages()
        for variable in variables:
            constraint = getattr(variable, "constraint", None)
            if constraint is not None:
                variable.assign(constraint(variable.value))
        self._iterations.assign_add(1)

    def _match(
        self, grads: list[Any], variables: Sequence[Variable] | None
    ) -> tuple[list[Any], list[Variable]]:
        if variables is None:
            if not self.built:
                raise self._misfit("no variables were given and build() was not called")
            variables = self._trainable_variables
        else:
            variables = list(variables)
            if not self.built:
                self.build(variables)
        if len(grads) != len(variables):
            raise self._misfit(f"{len(grads)} gradients, {len(variables)} variables")
        unknown = [v.name for v in variables if v not in self._index]
        if unknown:
            raise self._misfit(
                f"variable {unknown[0]!r} is not one the optimizer was built for"
            )
        without = [
            getattr(v, "path", v.name)
            for g, v in zip(grads, variables, strict=True)
            if g is None
        ]
        if len(without) == len(grads):
            raise self._misfit("no gradient for any variable: the loss depends on none")
        if without:
            warnings.warn(
                f"no gradient for {', '.join(without)}: the loss does not depend on "
                "them, and they stay as they are",
                stacklevel=4,
            )
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        return [g for g, _ in pairs], [v for _, v in pairs]

    def _step(self, grads: list[Any], variables: list[Variable]) -> None:
        grads = self._clip(grads)
        if type(self).update_step is not Optimizer.update_step:
            # An optimizer written Keras's way: it assigns by itself.
            rate = self.learning_rate
            for variable in variables:
                decay = self._decay(variable)
                if decay is not None:
                    factor = ops.cast(rate, variable.dtype) * decay
                    variable.assign(variable.value - variable.value * factor)
            for grad, variable in zip(grads, variables, strict=True):
                self.update_step(grad, variable, rate)
            return
        hyper = self.hyper()
        for grad, variable in zip(grads, variables, strict=True):
            self._update_variable(grad, variable, hyper)

    def _update_variable(self, grad: Any, variable: Variable, hyper: Hyper) -> None:
        with scope(layer=variable.path.rpartition("/")[0] or variable.path):
            self._update_in_scope(grad, variable, hyper)

    def _update_in_scope(self, grad: Any, variable: Variable, hyper: Hyper) -> None:
        dtype = variable.dtype
        if dtype != "float32":
            hyper = {name: ops.cast(value, dtype) for name, value in hyper.items()}
        param = variable.value
        decay = self._decay(variable)
        if decay is not None:
            param = param - param * (hyper["learning_rate"] * decay)
        slots = self._slots[self._index[variable]]
        values = {name: slot.value for name, slot in slots.items()}
        new_param, new_values = self.update(param, grad, values, hyper)
        variable.assign(new_param)
        for name, value in new_values.items():
            slots[name].assign(value)

    def _accumulated_step(self, grads: list[Any], variables: list[Variable]) -> None:
        steps = self.gradient_accumulation_steps
        due = ops.equal(ops.mod(self._iterations.value + 1, steps), 0)
        sums = [self._accumulators[self._index[v]] for v in variables]
        totals = [g + a.value for g, a in zip(grads, sums, strict=True)]
        # Update always, then keep the result only when the group is complete: a
        # selection traces into one graph, a Python condition would not.
        fixed = [self._iterations, self._learning_rate, *self._averages]
        fixed_ids = {id(v) for v in fixed + self._accumulators}
        state = variables + [v for v in self._variables if id(v) not in fixed_ids]
        before = [v.value for v in state]
        self._step([t / steps for t in totals], variables)
        for variable, old in zip(state, before, strict=True):
            variable.assign(ops.where(due, variable.value, old))
        for total, accumulator in zip(totals, sums, strict=True):
            accumulator.assign(ops.where(due, ops.zeros_like(total), total))

    def _clip(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm and self.clipnorm > 0:
            return [clip_by_norm(g, self.clipnorm) for g in grads]
        if self.global_clipnorm and self.global_clipnorm > 0:
            return clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in grads]
        return grads

    # -- weight decay and averages

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Exempts variables from weight decay: these, or those whose name contains
        (as a regular expression) one of `var_names`. Call it before training."""
        self._excluded = set(var_list or ())
        names = sorted(set(var_names or ()))
        self._excluded_pattern = re.compile("|".join(names)) if names else None

    def _decay(self, variable: Variable) -> float | None:
        """The weight decay of a variable; ``None`` for none."""
        return None if self._excludes(variable) else self.weight_decay

    def _excludes(self, variable: Variable) -> bool:
        pattern = self._excluded_pattern
        return variable in self._excluded or (
            pattern is not None and pattern.search(variable.name) is not None
        )

    def _update_averages(self) -> None:
        iterations = self.iterations
        started = ops.not_equal(iterations, 0)
        every = self.ema_overwrite_frequency
        due = ops.equal(ops.mod(iterations + 1, every), 0) if every else None
        for variable, average in zip(
            self._trainable_variables, self._averages, strict=True
        ):
            # The first average is the first value: the momentum counts from step 2.
            momentum = ops.cast(started, variable.dtype) * self.ema_momentum
            average.assign(momentum * average.value + (1 - momentum) * variable.value)
            if due is not None:
                variable.assign(ops.where(due, average.value, variable.value))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """At the end of training: with `use_ema`, weights become their averages."""
        if not self.use_ema:
            return
        if len(var_list) != len(self._averages):
            raise self._misfit(f"{len(var_list)} variables, {len(self._averages)} kept")
        for variable, average in zip(var_list, self._averages, strict=True):
            variable.assign(average.value)

    def scale_loss(self, loss: Any) -> Any:
        """Multiplies the loss by `loss_scale_factor`, if there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # -- in-place helpers that Keras's own optimizers use

    def assign(self, variable: Variable, value: Any) -> None:
        """Sets a variable; for optimizers written with `update_step`."""
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Adds to a variable; for optimizers written with `update_step`."""
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtracts from a variable; for optimizers written with `update_step`."""
        variable.assign_sub(value)

    def _get_variable_index(self, variable: Variable) -> int:
        return self._index[variable]

    # -- files

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments as plain data, with Keras's keys."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            rate = float(np.asarray(rate.numpy()))
        else:
            rate = serialize_schedule(rate)
        config = {
            "name": self.name,
            "learning_rate": rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }
        return config | {name: getattr(self, name) for name in self.config_names}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Optimizer:
        """Builds the optimizer that `get_config` described (without its state)."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize_schedule(
                config["learning_rate"], custom_objects
            )
        return cls(**config)
