"""Ratios, and the tables in Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from process import is_ours
from workloads import Workload

#: A page has such a pair for every suite.
MARKER = "<!-- bench:{suite}:{what} -->"


def with_ratios(workload: Workload, entries: dict[str, Any]) -> dict[str, Any]:
    """The result of one workload: its sides, and for each of ours the ratios.

    A ratio is the peer's time over ours; above 1 we are faster. `best` sets the fastest
    peer's best run against our best run, `median` the peer with the lowest median
    against our median. Where the wanted figure is about one peer, that one is taken and
    the best of all is told as well.
    """
    ratios: dict[str, Any] = {}
    peers = {s: e for s, e in entries.items() if not is_ours(s) and "best" in e}
    named = {s: e for s, e in peers.items() if s == workload.against} or peers
    for side, entry in entries.items():
        if not is_ours(side) or "best" not in entry or not peers:
            continue
        ratios[side] = {}
        for what in ("best", "median"):
            for key, among in ((what, named), (f"{what}_of_all", peers)):
                peer = min(among, key=lambda s: among[s][what])
                ratios[side][key] = {
                    "ratio": among[peer][what] / entry[what],
                    "peer": peer,
                }
    return {
        "name": workload.name,
        "title": workload.title,
        "must": workload.must,
        "aim": workload.aim,
        "sides": entries,
        "ratios": ratios,
    }


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    units = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))
    unit, size = next((pair for pair in units if seconds >= pair[1]), units[-1])
    value = seconds / size
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}"


def number(value: Any) -> str:
    """A cell: floats with three significant digits, None as unknown."""
    if value is None:
        return "unknown"
    if isinstance(value, bool) or not isinstance(value, float):
        return f"{value:,}" if type(value) is int else str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def plain(facts: dict[str, Any]) -> str:
    """`key=value` of a side's facts."""
    return ", ".join(
        f"{key}={number(value) if isinstance(value, float) else value}"
        for key, value in facts.items()
    )


def side_line(entry: dict[str, Any]) -> str:
    """One side's figures on one line."""
    if "error" in entry:
        return f"not measured: {entry['error']}"
    text = f"best {duration(entry['best'])}, median {duration(entry['median'])}"
    text += f", first {duration(entry['first_s'])}"
    if "loss" in entry:
        text += f", loss {entry['loss']:.4g}"
    return text + (f" (scaled from {entry['rows']:,} rows)" if entry["scaled"] else "")


def cell(entry: dict[str, Any] | None) -> str:
    """`best (median)`, with a star where it is scaled up."""
    if entry is None or "best" not in entry:
        return "–"
    star = "\\*" if entry["scaled"] else ""
    return f"{duration(entry['best'])} ({duration(entry['median'])}){star}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def main_table(result: dict[str, Any]) -> list[str]:
    """Times of all sides, best (median), and the ratios."""
    sides = list(result["sides"])
    ours = [s for s in sides if is_ours(s)]
    head = ["workload", *sides]
    for side in ours:
        head += [f"{side}: ratio best", "median"]
    head += ["must", "aim"]
    rows = []
    for got in result["workloads"]:
        row = [got["title"], *(cell(got["sides"].get(side)) for side in sides)]
        for side in ours:
            ratios = got["ratios"].get(side)
            for what in ("best", "median"):
                if ratios:
                    found = ratios[what]
                    text = f"**{found['ratio']:.2f}** {found['peer']}"
                    of_all = ratios[f"{what}_of_all"]
                    if of_all["peer"] != found["peer"]:
                        text += f"; {of_all['ratio']:.2f} {of_all['peer']}"
                    row.append(text)
                else:
                    row.append("–")
        row += [number(got["must"]) if got["must"] else "–"]
        row += [number(got["aim"]) if got["aim"] else "–"]
        rows.append(row)
    return table(head, rows)


def start_table(result: dict[str, Any]) -> list[str]:
    """What is not in the times: the import, and the first run of each workload."""
    sides = list(result["sides"])
    rows = [["import (beyond NumPy)"], *([w["title"]] for w in result["workloads"])]
    for side in sides:
        facts = result["sides"][side]
        rows[0].append(duration(facts["import_s"]) if "import_s" in facts else "–")
        for row, got in zip(rows[1:], result["workloads"], strict=True):
            entry = got["sides"].get(side, {})
            row.append(duration(entry["first_s"]) if "first_s" in entry else "–")
    return table(["", *sides], rows)


def loss_table(result: dict[str, Any]) -> list[str]:
    """The loss each side has reached, to see that all of them train."""
    sides = list(result["sides"])
    rows = []
    for got in result["workloads"]:
        losses = [got["sides"].get(side, {}).get("loss") for side in sides]
        if any(loss is not None for loss in losses):
            shown = [f"{loss:.3g}" if loss is not None else "–" for loss in losses]
            rows.append([got["title"], *shown])
    return table(["", *sides], rows) if rows else []


def machine_lines(result: dict[str, Any]) -> list[str]:
    """The machine and the versions, a line each."""
    m = result["machine"]
    lines = [
        f"- {m['date']}, {m['cpu']}{', virtual machine' if m['virtual'] else ''}",
        f"- {m['usable_cpus']} of {m['cpus']} CPUs usable, quota "
        f"{m['cpu_quota'] or 'none'}, caches {plain(m['caches'])}, "
        f"{m['memory_gib']} GiB, load before {m['load_average'][0]}",
        f"- instruction sets: {' '.join(m['isa'])}; this run: "
        + ("all" if result["settings"]["isa"] == "native" else "capped at AVX2"),
        f"- {m['system']}, {m['libc']}, Python {m['python']}",
    ]
    lines += [f"- {s}: {plain(facts)}" for s, facts in result["sides"].items()]
    return lines


def notes(result: dict[str, Any]) -> list[str]:
    """What was scaled, left out, or not the real data; a line each side or workload."""
    scaled: dict[str, list[str]] = {}
    missing: dict[tuple[str, str], list[str]] = {}
    lines = []
    for got in result["workloads"]:
        for side, entry in got["sides"].items():
            if "error" in entry:
                missing.setdefault((side, entry["error"]), []).append(got["name"])
            elif entry["scaled"]:
                text = f"{got['name']} {entry['rows']:,}"
                scaled.setdefault(side, []).append(text)
        kinds = sorted({e["data"] for e in got["sides"].values() if "data" in e})
        if kinds:
            lines.append(f"- {got['name']}: {', '.join(kinds)}")
    for got in result["workloads"]:
        if (got["busy_elsewhere"] or 0) > 0.1:
            lines.append(
                f"- {got['name']}: {got['busy_elsewhere']} CPUs were busy with other "
                "work; not to be trusted"
            )
    for side, names in scaled.items():
        lines.append(
            f"- \\* {side} is scaled up from this many rows: {'; '.join(names)}"
        )
    for (side, error), names in missing.items():
        lines.append(f"- {side}, {', '.join(names)}: not measured ({error})")
    return lines


def claim_lines(result: dict[str, Any]) -> list[str]:
    """A table for each of ranvier's own figures."""
    from claims import CLAIMS

    lines: list[str] = []
    for name, got in result["claims"].items():
        lines += ["", f"**{CLAIMS[name]}**", ""]
        if "error" in got:
            lines.append(f"Not measured: {got['error']}")
            continue
        verdict = {True: "holds", False: "does not hold", None: "cannot be judged here"}
        head = list(got["rows"][0])
        lines += table(head, [[number(row[k]) for k in head] for row in got["rows"]])
        lines += ["", f"The bound {verdict[got['within']]}."]
    return lines


def markdown(result: dict[str, Any]) -> str:
    """The whole report."""
    lines = [f"Command: `{result['command']}`", "", *machine_lines(result)]
    if result["workloads"]:
        lines += [
            "",
            f"Best (median) of {result['settings']['rounds']} rounds in turns; ratio = "
            "best peer's time / ours, best against best and median against median.",
            "",
            *main_table(result),
            "",
            *notes(result),
            "",
            "Not in the times: import, and the first run (build, compile, warm up).",
            "",
            *start_table(result),
        ]
        losses = loss_table(result)
        if losses:
            lines += [
                "",
                "Loss on the first 2,048 rows after the last round. Sides with short "
                "runs train more epochs, so these differ; they show that all learn.",
                "",
                *losses,
            ]
    if result["claims"]:
        lines += ["", "### ranvier's own figures", *claim_lines(result)]
    return "\n".join(lines)


def into_page(path: Path, suite: str, text: str) -> None:
    """Replaces what stands between the suite's markers of the page at `path`."""
    first, last = (MARKER.format(suite=suite, what=what) for what in ("begin", "end"))
    page = path.read_text()
    head, begin, rest = page.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{path} lacks the markers {first} and {last}")
    path.write_text(f"{head}{first}\n\n{text}\n\n{last}{tail}")
