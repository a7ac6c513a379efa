"""Dynamic loss scaling: an optimizer around another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ranvier import ops
from ranvier.errors import ShapeError
from ranvier.graph import Variable
from ranvier.optimizers.base import Optimizer

__all__ = ["LossScaleOptimizer"]

#: What older files of Keras write besides, without any meaning.
_MEANINGLESS: dict[str, Any] = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class LossScaleOptimizer(Optimizer):
    """Multiplies the loss by a scale that adapts, and skips steps that overflow.

    Gradients of `scale * loss` are divided by `scale` before `inner_optimizer` takes
    them. Where one of them is infinite or NaN the step changes no weight and the scale
    is halved; after `dynamic_growth_steps` steps in a row without that it is doubled.
    The arithmetic here is float32, whose range rarely needs it: it is here for models
    and files that have it.

    Args:
        inner_optimizer: the optimizer that updates; its own `loss_scale_factor` is
            taken away.
        initial_scale: the first scale.
        dynamic_growth_steps: so many good steps double the scale.
        name: a name.
        **kwargs: the common arguments at their defaults, as old files have them.

    Raises:
        ShapeError: RV100 for any other argument, and for `dynamic=False`.

    Example:
        >>> from ranvier.optimizers import SGD
        >>> optimizer = LossScaleOptimizer(SGD(0.5), initial_scale=8.0)
        >>> float(optimizer.scale_loss(2.0))
        16.0
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(inner_optimizer, Optimizer):
            raise ShapeError(
                "RV100",
                f"LossScaleOptimizer: inner_optimizer={inner_optimizer!r} is no "
                "optimizer",
                fix="LossScaleOptimizer(optimizers.Adam(1e-3))",
            )
        if not kwargs.pop("dynamic", True):
            raise ShapeError(
                "RV100",
                "LossScaleOptimizer: the scale is always dynamic",
                fix="loss_scale_factor=... of the inner optimizer for a fixed scale",
            )
        for given, value in kwargs.items():
            if given not in _MEANINGLESS or value != _MEANINGLESS[given]:
                raise ShapeError(
                    "RV100",
                    f"LossScaleOptimizer has no argument {given!r}",
                    fix=f"{given}= of the inner optimizer",
                )
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        # Otherwise gradients were divided twice.
        inner_optimizer.loss_scale_factor = None

    def build(self, variables: Sequence[Variable]) -> None:
        """Creates counter and scale, and the inner optimizer's state."""
        if self.built:
            return
        from ranvier.initializers import Constant

        variables = list(variables)
        self.step_counter = self.add_variable((), dtype="int32", name="step_counter")
        self.dynamic_scale = self.add_variable(
            (), Constant(self.initial_scale), name="dynamic_scale"
        )
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        """Its own iteration and learning rate (not in use), counter and scale, and
        then the inner optimizer's."""
        return self._variables + self.inner_optimizer.variables

    @property
    def iterations(self) -> Any:
        """Number of updates done; steps that were skipped do not count."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The inner optimizer's learning rate."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    def scale_loss(self, loss: Any) -> Any:
        """Multiplies the loss by the scale of this step."""
        scale = self.dynamic_scale.value if self.built else self.initial_scale
        return loss * scale

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """At the end of training, what the inner optimizer does then."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def _apply(self, grads: list[Any], variables: list[Variable]) -> None:
        finite = ops.all(ops.isfinite(grads[0]))
        for grad in grads[1:]:
            finite = ops.logical_and(finite, ops.all(ops.isfinite(grad)))
        scale, count = self.dynamic_scale.value, self.step_counter.value
        # Update always, then keep the result only where all is finite: a selection
        # traces into one graph, a Python condition would not.
        state = list(
            {id(v): v for v in [*self._trainable_variables, *variables]}.values()
        )
        state += self.inner_optimizer.variables
        before = [v.value for v in state]
        self.inner_optimizer.apply([g / scale for g in grads], variables)
        for variable, old in zip(state, before, strict=True):
            new = variable.value
            if new is not old:
                variable.assign(ops.where(finite, new, old))
        grown = ops.equal(count, self.dynamic_growth_steps - 1)
        good_scale = ops.where(grown, scale * 2.0, scale)
        good_count = ops.where(grown, ops.zeros_like(count), count + 1)
        self.dynamic_scale.assign(ops.where(finite, good_scale, scale * 0.5))
        self.step_counter.assign(ops.where(finite, good_count, ops.zeros_like(count)))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments as plain data, with Keras's keys."""
        from ranvier.optimizers import serialize

        return {
            "name": self.name,
            "inner_optimizer": serialize(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Optimizer:
        """Builds the optimizer that `get_config` described (without its state)."""
        from ranvier.optimizers import deserialize

        config = dict(config)
        inner = config.pop("inner_optimizer")
        if not isinstance(inner, Optimizer):  # files give the object
            inner = deserialize(inner, custom_objects)
        return cls(inner, **config)
