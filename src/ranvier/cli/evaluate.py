"""``ranvier evaluate``: a model on the test images."""

from __future__ import annotations

from pathlib import Path

import ranvier as keras
from ranvier.cli.images_data import load
from ranvier.cli.output import Output
from ranvier.cli.runs import find_model

__all__ = ["main"]


def main(*, model: Path, batch_size: int, sample: bool, as_json: bool) -> int:
    """Prints loss and metrics; returns the exit code."""
    output = Output(as_json=as_json)
    output.catch_findings()
    path = find_model(model)
    network = keras.models.load_model(path)
    data = load(output, sample=sample)
    results = network.evaluate(
        data.x_test, data.y_test, batch_size=batch_size, verbose=0, return_dict=True
    )
    results = {name: float(value) for name, value in results.items()}
    if as_json:
        rows = len(data.x_test)
        output.json(
            {"model": str(path), "rows": rows, "sample": data.sample, **results}
        )
    else:
        order = sorted(results, key=lambda name: name == "loss")
        shown = "   ".join(f"{name} {results[name]:.4f}" for name in order)
        output.line(f"test    {shown}   on {len(data.x_test):,} images")
    return 0
