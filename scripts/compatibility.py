"""Which of Keras's public names ranvier has: the page, and the lists behind it.

    python scripts/compatibility.py            # write docs/reference/keras-compatibility.md
    python scripts/compatibility.py --names    # read the names of the Keras installed here

`docs/reference/keras-names.txt` holds the names of one version of Keras, so that the page
can be made without it. What is not here stands in `docs/reference/keras-absent.txt`, with
the reason; names that are here meanwhile are taken off it when the page is written.
`tests/oracle/test_compatibility.py` compares all of it with real Keras.
"""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NAMES = FOLDER / "keras-names.txt"
ABSENT = FOLDER / "keras-absent.txt"
PAGE = FOLDER / "keras-compatibility.md"

#: Modules whose names are listed; "keras" is the package itself.
MODULES = (
    "keras", "activations", "applications", "callbacks", "config", "constraints",
    "datasets", "dtype_policies", "initializers", "layers", "losses", "metrics",
    "models", "ops", "ops.image", "optimizers", "optimizers.schedules", "random",
    "regularizers", "saving", "tree", "utils",
)  # fmt: skip
#: Keras's own inside, which shows where modules are not packages of their own.
NOT_PUBLIC = {"src"}


@dataclass(frozen=True)
class Rule:
    """Why names are absent.

    Attributes:
        kind: "out" or "later".
        module: where.
        names: which names.
        reason: why, or what comes.
    """

    kind: str
    module: str
    names: tuple[str, ...]
    reason: str

    def covers(self, module: str, name: str) -> bool:
        """Whether it is about this name."""
        return module == self.module and name in self.names


@dataclass
class Standing:
    """Where the names of a module stand."""

    here: list[str] = field(default_factory=list)
    absent: list[tuple[str, Rule]] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)


def public_names(package: Any, module: str) -> list[str]:
    """The public names of a module of Keras."""
    found = package
    for part in () if module == "keras" else module.split("."):
        found = getattr(found, part)
    return sorted(n for n in dir(found) if n[0] != "_" and n not in NOT_PUBLIC)


def read_names() -> tuple[str, dict[str, list[str]]]:
    """The version of Keras, and its names by module."""
    version, *blocks = NAMES.read_text(encoding="utf-8").strip().split("\n\n")
    names = {}
    for block in blocks:
        module, _, rest = block.partition(":")
        names[module] = rest.split()
    return version.split()[1], names


def write_names(package: Any) -> None:
    """Writes down the names of the Keras that is installed."""
    blocks = [f"Keras {package.__version__}"]
    for module in MODULES:
        blocks.append(_block(f"{module}:", public_names(package, module)))
    NAMES.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def _block(head: str, names: Iterable[str]) -> str:
    lines = textwrap.wrap(" ".join(names), 86, break_on_hyphens=False)
    return "\n  ".join([head, *lines])


def read_rules() -> list[Rule]:
    """What `keras-absent.txt` says, as it stands."""
    rules = []
    for block in ABSENT.read_text(encoding="utf-8").strip().split("\n\n")[1:]:
        head, *rest = block.splitlines()
        place, _, reason = head.partition(": ")
        kind, module = place.split()
        rules.append(Rule(kind, module, tuple(" ".join(rest).split()), reason))
    return rules


def rules_text(rules: Iterable[Rule]) -> str:
    """`keras-absent.txt` for these rules, without what is here meanwhile."""
    head = ABSENT.read_text(encoding="utf-8").partition("\n\n")[0]
    blocks = [head]
    for rule in rules:
        names = [name for name in rule.names if not have(rule.module, name)]
        if names:
            blocks.append(_block(f"{rule.kind} {rule.module}: {rule.reason}", names))
    return "\n\n".join(blocks) + "\n"


def have(module: str, name: str) -> bool:
    """Whether ranvier has a name."""
    full = "ranvier" if module == "keras" else f"ranvier.{module}"
    try:
        return getattr(importlib.import_module(full), name, None) is not None
    except ImportError:
        return False


def standings() -> dict[str, Standing]:
    """Every module, every name."""
    _, names = read_names()
    rules = read_rules()
    found = {}
    for module, known in names.items():
        standing = found[module] = Standing()
        for name in known:
            rule = next((r for r in rules if r.covers(module, name)), None)
            if have(module, name):
                standing.here.append(name)
            elif rule is None:
                standing.unexplained.append(name)
            else:
                standing.absent.append((name, rule))
    return found


def _words(names: list[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def page() -> str:
    """The page in Markdown."""
    version, _ = read_names()
    found = standings()
    lines = [
        "# Keras's names, and which of them are here",
        "",
        "Made by `python scripts/compatibility.py`; a test compares it with the real",
        f"Keras {version} and fails for a public name that is neither here nor listed "
        "with a reason.",
        "A name that is here takes Keras's arguments, with its defaults and numbers;",
        "where it differs its docstring says so.",
        "",
        "| module | here | not yet | out of scope |",
        "|---|---|---|---|",
    ]
    for module, standing in found.items():
        kinds = [rule.kind for _, rule in standing.absent]
        lines.append(
            f"| [`{_title(module)}`](#{_anchor(module)}) | {len(standing.here)} | "
            f"{kinds.count('later')} | {kinds.count('out')} |"
        )
    for module, standing in found.items():
        lines += ["", f"## {_title(module)}", ""]
        lines.append(f"Here: {_words(standing.here) or 'none'}")
        for kind, title in (("later", "Not yet"), ("out", "Out of scope")):
            by_reason: dict[str, list[str]] = {}
            for name, rule in standing.absent:
                if rule.kind == kind:
                    by_reason.setdefault(rule.reason, []).append(name)
            if by_reason:
                lines += ["", f"| {title} | why |", "|---|---|"]
                lines += [f"| {_words(n)} | {why} |" for why, n in by_reason.items()]
    return "\n".join(lines) + "\n"


def _title(module: str) -> str:
    return "keras" if module == "keras" else f"keras.{module}"


def _anchor(module: str) -> str:
    return _title(module).replace(".", "")


def main() -> int:
    """Writes the names or the page; 1 when a name has no reason."""
    if sys.argv[1:] == ["--names"]:
        import keras

        write_names(keras)
        return 0
    ABSENT.write_text(rules_text(read_rules()), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    open_ends = [
        f"{module}.{name}"
        for module, standing in standings().items()
        for name in standing.unexplained
    ]
    if open_ends:
        print("neither here nor listed with a reason: " + ", ".join(open_ends))
    return 1 if open_ends else 0


if __name__ == "__main__":
    sys.exit(main())
