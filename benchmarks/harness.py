"""Times ranvier and its peers on the same work, in turns, in one sitting.

    python harness.py --peers-python /path/to/a/venv/with/peers/bin/python

Every side is a process of its own, started once. For each workload all sides are
prepared (import, tracing, compiling and a first whole run are not timed, but reported);
then they take turns: a round lets every side run once (short workloads several times,
for 0.4 s), beginning with another side each round, so that a slow window of the host
falls on all. Reported are the best run and the median of the rounds' medians, and the
ratio of the best peer to ranvier for both. Progress goes to stderr, tables to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import claims
import machine
import report
from process import HERE, VARIANTS, SideError, Worker, is_ours, run_program
from workloads import SUITES, Suite, Workload, find

#: Sides to compare with, of any suite.
PEERS = tuple(dict.fromkeys(peer for s in SUITES.values() for peer in s.peers))

#: A turn repeats its run until this much is spent, so that 20 ms runs are not cold.
TURN_SECONDS = 0.4
TURN_RUNS = 20


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


class Bench:
    """The sitting: its processes and what they measured."""

    def __init__(self, args: argparse.Namespace, log: IO[str]) -> None:
        self.args, self.log = args, log
        ours = [] if args.no_ranvier else ["ranvier"]
        ours += [f"ranvier@{name}" for name in args.variants]
        self.sides = ours + args.peers
        self.workers: dict[str, Worker] = {}
        self.facts: dict[str, dict[str, Any]] = {}

    def python_of(self, side: str) -> str:
        """The interpreter `side` runs in."""
        return sys.executable if is_ours(side) else self.args.peers_python

    def start(self) -> None:
        """Starts the workers; a side that cannot be imported is left out and told."""
        for side in self.sides:
            worker = None
            try:
                worker = Worker(
                    side,
                    self.python_of(side),
                    self.log,
                    self.args.timeout,
                    self.args.isa == "avx2",
                )
                self.facts[side] = worker.ask("hello")
                self.workers[side] = worker
            except (SideError, OSError) as error:
                self.facts[side] = {"error": str(error)}
                if worker:
                    worker.close()
            say(f"  {side}: {report.plain(self.facts[side])}")

    def close(self) -> None:
        """Ends the workers."""
        for worker in self.workers.values():
            worker.close()

    def rows_of(self, workload: Workload, side: str) -> int:
        """Rows that `side` really trains."""
        rows = min(workload.rows, workload.scaled.get(side, workload.rows))
        if not workload.trains or workload.epochs > 1 or self.args.fraction == 1:
            return rows
        return max(int(rows * self.args.fraction), min(rows, 4 * workload.batch))

    def one(self, workload: Workload, side: str) -> float:
        """Seconds of one run."""
        if workload.kind != "fresh":
            return self.workers[side].ask("run")["seconds"]
        return run_program(
            HERE / "fresh" / f"fit_{side.split('@')[0].split('-')[0]}.py",
            side,
            self.python_of(side),
            self.args.timeout,
            self.args.isa == "avx2",
        )

    def turn(self, workload: Workload, side: str) -> list[float]:
        """A side's turn in one round: runs for 0.4 s, at least one."""
        times: list[float] = []
        start = time.perf_counter()
        while not times or (
            workload.trains
            and len(times) < TURN_RUNS
            and time.perf_counter() - start < TURN_SECONDS
        ):
            times.append(self.one(workload, side))
        return times

    def prepare(self, workload: Workload, side: str) -> dict[str, Any]:
        """Gets `side` ready; what is known of it before the rounds."""
        rows = self.rows_of(workload, side)
        entry: dict[str, Any] = {"rows": rows, "turns": []}
        if "error" in self.facts.get(side, {}):
            return entry | {"error": self.facts[side]["error"]}
        try:
            if workload.kind == "fresh":
                # Unmeasured once: files come into the page cache, bytecode is written.
                entry["first_s"] = self.one(workload, side)
            else:
                ask = self.workers[side].ask
                entry |= ask("prepare", workload=workload.name, rows=rows)
        except (SideError, subprocess.TimeoutExpired) as error:
            entry["error"] = str(error)
        return entry

    def measure(self, workload: Workload) -> dict[str, Any]:
        """All rounds of one workload."""
        say(f"{workload.name}: {workload.title}")
        taking = [
            side
            for side in self.sides
            if not workload.only or side.partition("@")[0] in workload.only
        ]
        entries = {side: self.prepare(workload, side) for side in taking}
        elsewhere = [machine.busy_elsewhere()]
        for round_number in range(self.args.rounds):
            live = [side for side in taking if "error" not in entries[side]]
            first = round_number % len(live) if live else 0
            for side in live[first:] + live[:first]:
                try:
                    entries[side]["turns"].append(self.turn(workload, side))
                except (SideError, subprocess.TimeoutExpired) as error:
                    entries[side]["error"] = str(error)
        elsewhere.append(machine.busy_elsewhere())
        for side, entry in entries.items():
            self.finish(workload, side, entry)
            say(f"  {side:14} {report.side_line(entry)}")
        got = report.with_ratios(workload, entries)
        got["busy_elsewhere"] = max(
            (e for e in elsewhere if e is not None), default=None
        )
        if got["busy_elsewhere"]:
            say(f"  CPUs busy elsewhere: {got['busy_elsewhere']}")
        return got

    def finish(self, workload: Workload, side: str, entry: dict[str, Any]) -> None:
        """Statistics of one side, scaled up to all rows."""
        if "error" in entry:
            return
        factor = workload.rows / entry["rows"]
        entry["scaled"] = factor > 1
        entry["best"] = factor * min(min(turn) for turn in entry["turns"])
        medians = [statistics.median(turn) for turn in entry["turns"]]
        entry["median"] = factor * statistics.median(medians)
        if workload.trains:
            try:
                entry["loss"] = self.workers[side].ask("loss")["loss"]
            except SideError as error:
                entry["loss_error"] = str(error)


def suite_of(words: list[str]) -> str:
    """The first suite that knows the first of `words`, else the first of all."""
    names = [n for n, suite in SUITES.items() if words and suite.named(words[0])]
    return (names or list(SUITES))[0]


def describe(name: str, suite: Suite) -> str:
    """A paragraph of the help."""
    lists = {
        "workloads": [w.name for w in suite.table],
        "others": [w.name for w in suite.others],
        "peers": suite.peers,
        "claims": suite.claims,
    }
    lines = [f"  {what}: {', '.join(names)}" for what, names in lists.items()]
    return "\n".join([f"suite {name} ({suite.title}):", *lines])


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Time ranvier and its peers in turns, in one sitting.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n\n".join(describe(name, suite) for name, suite in SUITES.items()),
    )

    def words(text: str) -> list[str]:
        return [] if text in ("", "none") else text.split(",")

    add = parser.add_argument
    add(
        "--suite",
        choices=list(SUITES),
        help="the table to measure (default: that of the chosen workloads, or dense)",
    )
    add(
        "--workloads",
        "--only",
        type=words,
        default=["table"],
        metavar="A,B",
        help="rows of the suite, by name or the beginning of one; 'table', 'others', "
        "'none' (default: table)",
    )
    add(
        "--peers",
        type=words,
        metavar="A,B",
        help="sides to compare with, or 'none' (default: the suite's)",
    )
    add(
        "--peers-python",
        default=os.environ.get("RANVIER_BENCH_PEERS", sys.executable),
        metavar="PATH",
        help="interpreter that has the peers (or RANVIER_BENCH_PEERS)",
    )
    add(
        "--variants",
        type=words,
        default=[],
        metavar="A,B",
        help=f"more ranvier sides: {', '.join(VARIANTS)}",
    )
    add(
        "--isa",
        choices=["native", "avx2"],
        default="native",
        help="avx2: cap every side at AVX2 (default: native)",
    )
    add(
        "--claims",
        type=words,
        metavar="A,B",
        help="ranvier's own figures to measure as well, or 'none' (default: the suite's)",
    )
    add("--rounds", type=int, default=4, metavar="N", help="rounds (default: 4)")
    add(
        "--fraction",
        type=float,
        default=1.0,
        metavar="F",
        help="train this part of the rows and scale the times up (default: 1)",
    )
    add(
        "--quick",
        action="store_true",
        help="a look, not a measurement: 2 rounds, a tenth of the rows, no claims",
    )
    add("--no-ranvier", action="store_true", help="peers only")
    add(
        "--timeout",
        type=float,
        default=600,
        metavar="S",
        help="seconds after which a silent side is given up (default: 600)",
    )
    add("--json", type=Path, metavar="FILE", help="write everything measured")
    add("--markdown", type=Path, metavar="FILE", help="write the tables")
    add("--docs", type=Path, metavar="FILE",
        help="replace the suite's part, between markers, of this page")  # fmt: skip
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds, args.fraction = min(args.rounds, 2), 0.1
        args.claims = args.claims or []
    if "/" in args.peers_python:  # absolute, but a link of a venv stays a link
        args.peers_python = str(Path(args.peers_python).expanduser().absolute())
    args.suite = args.suite or suite_of(args.workloads)
    suite = SUITES[args.suite]
    args.workloads = [n for w in args.workloads for n in suite.named(w) or [w]]
    args.peers = list(suite.peers) if args.peers is None else args.peers
    args.claims = list(suite.claims) if args.claims is None else args.claims
    for given, known in (
        (args.workloads, [w.name for w in suite.table + suite.others]),
        (args.peers, PEERS),
        (args.variants, VARIANTS),
        (args.claims, claims.CLAIMS),
    ):
        for name in given:
            if name not in known:
                parser.error(f"unknown name {name!r}; known: {', '.join(known)}")
    if args.rounds < 1 or not 0 < args.fraction <= 1:
        parser.error("--rounds must be at least 1 and --fraction in (0, 1]")
    return args


def command_line() -> str:
    """The command as given, without this machine's paths."""
    shown = []
    for word in sys.argv[1:]:
        head, equals, tail = word.rpartition("=")
        shown.append(head + equals + (Path(tail).name if "/" in tail else tail))
    return " ".join(["scripts/bench", *shown])


def main(argv: list[str] | None = None) -> int:
    """Runs the sitting; 0 when every chosen ranvier figure could be measured."""
    args = parse(argv)
    result: dict[str, Any] = {"command": command_line(), "machine": machine.facts()}
    result["suite"] = args.suite
    result["settings"] = {
        "rounds": args.rounds,
        "fraction": args.fraction,
        "isa": args.isa,
    }
    with tempfile.NamedTemporaryFile(
        "w", prefix="bench-", suffix=".log", delete=False
    ) as log:
        say(f"what the sides print goes to {log.name}")
        bench = Bench(args, log)
        try:
            if args.workloads:
                bench.start()
            result["sides"] = bench.facts
            result["workloads"] = [bench.measure(find(n)) for n in args.workloads]
        finally:
            bench.close()
    os.environ["RANVIER_BENCH_PEERS"] = args.peers_python  # for claims about a peer
    result["claims"] = claims.measure(args.claims, args.isa, args.timeout, say)
    result["shapes"] = {name: asdict(find(name)) for name in args.workloads}
    text = report.markdown(result)
    print(text)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    if args.markdown:
        args.markdown.write_text(text + "\n")
    if args.docs:
        report.into_page(args.docs, args.suite, text)
    failed = [s for s, facts in bench.facts.items() if is_ours(s) and "error" in facts]
    failed += [name for name, got in result["claims"].items() if "error" in got]
    if failed:
        say(f"not measured: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
