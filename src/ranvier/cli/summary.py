"""``ranvier summary``: layers, shapes and parameters of a model file."""

from __future__ import annotations

from pathlib import Path

import ranvier as keras
from ranvier.cli.output import Output
from ranvier.cli.runs import find_model

__all__ = ["main"]


def main(*, model: Path, as_json: bool) -> int:
    """Prints the summary; returns the exit code."""
    output = Output(as_json=as_json)
    output.catch_findings()
    path = find_model(model)
    network = keras.models.load_model(path)
    if not as_json:
        network.summary()
        return 0
    output.json(
        {
            "model": str(path),
            "name": network.name,
            "parameters": int(network.count_params()),
            "layers": [
                {
                    "name": layer.name,
                    "class": type(layer).__name__,
                    "parameters": int(layer.count_params()),
                    "weights": [list(weight.shape) for weight in layer.weights],
                }
                for layer in network.layers
            ],
        }
    )
    return 0
