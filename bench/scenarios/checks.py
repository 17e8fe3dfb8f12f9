"""What a check costs: a rate limit's, a breaker's, admission's, a retry budget's.

Nanoseconds of one, the median of nine times a million (bench/limiter_check.c, overload_check.c) and
of the rounds. A rate limit's is processor time, the key's hash included; the others are wall time,
so on a machine that does something else besides they are too long. All threads that ask at once and
for the same line of memory wait for each other: told, without a bound.
"""

from __future__ import annotations

import re
import statistics
import subprocess

from harness import Bench, Row, Table, at_most

PROGRAMS = {"limiter_check": "rate limit", "overload_check": ""}
BOUND = {
    "rate limit, one key",
    "rate limit, 10,000 keys",
    "rate limit, new keys only",
    "rate limit, refused",
    "breaker closed",
    "breaker open",
}
MAXIMUM_NS = 100
ROUNDS = 3
LINE = re.compile(r"^\s*(\S.*?)\s+([\d.]+) ns", re.MULTILINE)


def run(bench: Bench) -> list[Row]:
    found: dict[str, list[float]] = {}
    for _ in range(bench.rounds):
        for program, prefix in PROGRAMS.items():
            for name, nanoseconds in figures(bench, program):
                told = f"{prefix}, {name}" if prefix else name
                found.setdefault(told, []).append(float(nanoseconds))
    medians = {name: statistics.median(values) for name, values in found.items()}
    lines = [[name, f"{value:.1f}"] for name, value in medians.items() if name not in BOUND]
    bench.tables.append(Table("Beside them", ["", "ns"], lines))
    return [
        at_most(name, value, "ns", MAXIMUM_NS) for name, value in medians.items() if name in BOUND
    ]


def figures(bench: Bench, program: str) -> list[tuple[str, str]]:
    """Name and nanoseconds of each line."""
    command = [str(bench.limit(program))]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    return LINE.findall(output)
