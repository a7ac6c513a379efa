"""``ranvier datasets``: what there is, and where it is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ranvier.cli.output import Output
from ranvier.datasets import fashion_mnist, mnist
from ranvier.errors import EnvironmentFault, FileError

__all__ = ["main", "table"]


def table() -> list[dict[str, Any]]:
    """A row for each data set."""
    rows = [
        (
            "fashion-mnist",
            fashion_mnist.find(),
            "MIT",
            "28x28 grey, 10 kinds of clothing",
        ),
        ("mnist", mnist.find(), "CC BY-SA 3.0", "28x28 grey, 10 digits"),
    ]
    return [
        {
            "name": name,
            "train_rows": 60_000,
            "test_rows": 10_000,
            "what": what,
            "licence": licence,
            "where": str(where) if where else None,
        }
        for name, where, licence, what in rows
    ]


def main(*, export: Path | None, rows: int, as_json: bool) -> int:
    """Prints the table, or exports images; returns the exit code."""
    output = Output(as_json=as_json)
    output.catch_findings()
    if export is not None:
        return _export(export, rows, output)
    for row in table():
        if as_json:
            output.json(row)
            continue
        where = row["where"] or "not here; fetched when first used"
        output.line(
            f"{row['name']:<14} {row['train_rows']:,} + {row['test_rows']:,} images   "
            f"{row['what']:<34} {row['licence']:<13} {where}"
        )
    output.line(
        "fashion-mnist  5,000 + 1,000 of them are inside ranvier "
        "(ranvier train fashion-mnist --sample)"
    )
    return 0


def _export(folder: Path, rows: int, output: Output) -> int:
    try:
        from PIL import Image
    except ImportError:
        raise EnvironmentFault(
            "RV801",
            "writing PNG files needs Pillow",
            fix="pip install 'ranvier[images]'",
        ) from None
    _, (images, labels) = fashion_mnist.load_sample()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(rows):
            name = fashion_mnist.class_names[labels[index]]
            slug = name.lower().replace("/", "-").replace(" ", "-")
            path = folder / f"{index:04d}-{slug}.png"
            Image.fromarray(images[index]).save(path)
            if output.as_json:
                output.json({"image": str(path), "label": int(labels[index])})
            output.line(str(path))
    except OSError as fault:
        raise FileError(
            "RV603", f"{folder} cannot be written", details=str(fault)
        ) from fault
    return 0
