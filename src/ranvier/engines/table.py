"""The table of operations: what each one means, joined with how each engine runs it.

``python -m ranvier.engines.table docs/reference/ops.md`` writes it as a page.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ranvier.graph import COMPOSITES, REGISTRY
from ranvier.graph import composites as _composites  # noqa: F401  (fills the registry)
from ranvier.graph.op import Composite, NoGradient, Op

#: Made by the trace or bound by an engine; nobody applies them.
LEAVES = frozenset(("input", "variable", "param", "const", "get"))


@dataclass(frozen=True)
class Row:
    """One operation in the table.

    Attributes:
        name: Of the operation.
        family: Which file of ``graph/ops`` it is in.
        gradient: How it is differentiated.
        tolerance: Largest error of an engine, in units of 2**-23.
        native: How the native engine runs it; empty when nothing says so.
        gap: Why it does not, where that is declared.
    """

    name: str
    family: str
    gradient: str
    tolerance: float
    native: str
    gap: str


def rows() -> list[Row]:
    """All operations and composites, by family and name.

    Raises:
        ImportError: when the native core is not built.
    """
    return [
        _row(record) for record in sorted(_records(), key=lambda r: (r.family, r.name))
    ]


def _records() -> list[Op | Composite]:
    primitive = [op for op in REGISTRY.values() if op.name not in LEAVES]
    return [*primitive, *COMPOSITES.values()]


def _row(record: Op | Composite) -> Row:
    from ranvier.engines.native.gaps import GAPS

    return Row(
        record.name,
        record.family,
        _gradient(record),
        record.tol,
        _native(record),
        GAPS.get(record.name, ""),
    )


def _gradient(record: Op | Composite) -> str:
    if isinstance(record.grad, NoGradient):
        kind = "zero" if record.grad.zero else "none"
        return f"{kind}: {record.grad.reason}"
    return "of its body" if record.grad is None else "yes"


def _native(record: Op | Composite) -> str:
    from ranvier.engines.native import rows as _rows  # noqa: F401  (fills the table)
    from ranvier.engines.native.engine import KERNELS
    from ranvier.engines.native.nodes import ALIASES
    from ranvier.engines.native.programs import ELEMENTWISE
    from ranvier.engines.native.table import ROWS

    name = record.name
    if isinstance(record, Composite):
        return "kernel" if name in KERNELS else "its body"
    if name in ELEMENTWISE or name == "stop_gradient":
        return "fused"
    if name in ROWS and record.family == "region":
        return "steps"
    if name in ROWS:
        return "view" if name in ALIASES else "kernel"
    return ""


def render(found: list[Row]) -> str:
    """The table as Markdown."""
    lines = [
        "# Operations",
        "",
        "Made by `python -m ranvier.engines.table docs/reference/ops.md`; a test holds it",
        "to the registry. The reference engine runs every operation: its NumPy function is",
        "the definition. *Native* says how the native engine runs it: **fused** with its",
        "neighbours into one pass, as a **view** that moves nothing, by a **kernel** of its",
        "own, as **its body** of simpler operations, or as **steps** that run again, or not",
        "at all. *Tolerance* is the largest error",
        "relative to the definition, in units of 2⁻²³ of max(1, |value|).",
        "",
        "| operation | family | gradient | tolerance | native |",
        "|---|---|---|---|---|",
    ]
    for row in found:
        native = row.native or f"— {row.gap}"
        lines.append(
            f"| `{row.name}` | {row.family} | {row.gradient} | {row.tolerance:g} "
            f"| {native} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Write the page, or print it when no file is named."""
    page = render(rows())
    if arguments:
        Path(arguments[0]).write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)


if __name__ == "__main__":
    main(sys.argv[1:])
