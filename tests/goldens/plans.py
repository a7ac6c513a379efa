"""Texts of the native plans of a few reference models, kept to be read in reviews.

    python tests/goldens/plans.py        write them again after a change of lowering

`tests/native/test_plan_goldens.py` compares. A text depends on the model, the batch and
the number of workers, which are given here; not on the machine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from plan_models import trained  # noqa: E402
from plan_proofs import Made, recorded  # noqa: E402

from ranvier.graph.variable import Variable  # noqa: E402

#: File → model, rows of a batch, workers.
PLANS: dict[str, tuple[str, int, int]] = {
    "images-1": ("images", 1, 2),
    "images-32": ("images", 32, 2),
    "images-512": ("images", 512, 2),
    "wide-64": ("wide", 64, 3),
    "tiny-32": ("tiny", 32, 1),
    "rich-48": ("rich", 48, 2),
    "words-16": ("words", 16, 2),
}


def _slot(number: int, key: Any) -> str:
    if isinstance(key, Variable):
        kind = type(key.storage).__name__.lower()
        return f"x{number} {key.dtype}{list(key.shape)} {kind}"
    return f"x{number} {key if isinstance(key, str) else key[1]}"


def _text(title: str, made: Made) -> str:
    slots = [_slot(b.slot, b.key) for b in made.slots]
    return "\n".join(
        [
            f"== {title}, {made.workers} workers, arena {made.builder.arena_bytes}",
            *slots,
            str(made.builder.build()).rstrip(),
        ]
    )


def text(name: str) -> str:
    """The plans of one file: a step of training, and predicting."""
    model, batch, workers = PLANS[name]
    with recorded(workers) as made:
        trained(model, batch, rows=batch)
    titles = (f"{model}, training, {batch} rows", f"{model}, predicting, {batch} rows")
    return "\n".join(map(_text, titles, made)) + "\n"


def main() -> None:
    """Write every file."""
    for name in PLANS:
        (FOLDER / f"{name}.txt").write_text(text(name))


if __name__ == "__main__":
    main()
