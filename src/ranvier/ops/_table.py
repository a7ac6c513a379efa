"""The table of functions: which run natively, which on arrays only, which are left out.

``python -m ranvier.ops._table docs/reference/functions.md`` writes it as a page.
"""

from __future__ import annotations

import inspect
import operator
import sys
from pathlib import Path

from ranvier import ops
from ranvier.ops._catalogue import LEFT_OUT, ON_ARRAYS

#: Functions that have nothing to run: they ask for a shape, or wrap another function.
_NOTHING = frozenset(
    (
        *("convert_to_numpy", "custom_gradient", "dtype", "is_tensor", "ndim", "shape"),
        *("size", "vectorize"),
    )
)
_HEAD = """# Functions of `ranvier.ops`

Made by `python -m ranvier.ops._table docs/reference/functions.md`; a test holds it to
the code. Every function works on arrays. **native** ones also run inside a model, loss or
metric, on the native and the reference engine, as compositions of the
[operations](ops.md); the tests run each that way and compare its numbers, and the
gradient where it has one. Matrix products run natively in float32 only. Those **on arrays
only** raise RV112 inside a traced step. What is **left out** raises RV806.

"""


def render() -> str:
    """The table as Markdown."""
    lines = [_HEAD + "| function | runs | what it does, or why not |", "|---|---|---|"]
    images = (f"image.{name}" for name in ops.image.__all__)
    names = {*ops.__all__, *ops.ACTIVATIONS, *images, *LEFT_OUT}
    for name in sorted(names):
        if name in LEFT_OUT:
            how, what = "left out", LEFT_OUT[name]
        else:
            how = "on arrays only" if name in ON_ARRAYS else "native"
            how = "—" if name in _NOTHING else how
            function = operator.attrgetter(name)(ops)
            text = inspect.getdoc(getattr(function, "func", function)) or ""
            what = text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            if name in ON_ARRAYS:
                what += f" ({ON_ARRAYS[name]})"
        lines.append(f"| `{name}` | {how} | {what} |")
    here = sorted(set(names) - set(LEFT_OUT))
    lines += ["", f"{len(here)} functions; {len(LEFT_OUT)} of Keras's left out."]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Write the page, or print it when no file is named."""
    if arguments:
        Path(arguments[0]).write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())


if __name__ == "__main__":
    main(sys.argv[1:])
