"""Starting a model afresh."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import _seed, optimizers
from ranvier.layers import tracking
from ranvier.random import SeedGenerator


def reinitialize(model: Any, seed: int | None) -> None:
    """New weights from the initializers, a fresh optimizer, no history.

    Args:
        model: the model.
        seed: start the stream of seeds here first.
    """
    if seed is not None:
        _seed.set_seed(seed)
    for variable in model.weights:
        initializer = getattr(variable, "initializer", None)
        if initializer is None:
            continue
        fresh = initializer.clone() if hasattr(initializer, "clone") else initializer
        variable.assign(np.asarray(fresh(variable.shape, dtype=variable.dtype)))
    for layer in model._flatten_layers():
        for generator in tracking.attributes(layer, SeedGenerator, frozenset()):
            if generator._initial_seed is None:
                generator.state.assign(SeedGenerator().state.numpy())
            else:
                generator.state.assign(
                    SeedGenerator(generator._initial_seed).state.numpy()
                )
    if model.compiled and model.optimizer is not None:
        config = optimizers.serialize(model.optimizer)
        arguments = dict(model._compile_arguments)
        arguments["optimizer"] = optimizers.deserialize(config)
        model.compile(**arguments)
    model.__dict__["_epochs_done"] = 0
    model.__dict__["_shuffle_seed"] = None
    model.history = None
