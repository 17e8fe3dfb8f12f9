"""The cache: what its policy keeps, beside LRU and the clairvoyant limit.

Hit rates in percent on made-up traces of 400,000 look-ups of entries of one size, 2,000 of which
have room (bench/cache_policy.c; public traces cannot be had where this is measured). Cost:
processor time of a look-up that hits, and of one that misses with the insertion that follows.
"""

from __future__ import annotations

import statistics
import subprocess

from harness import Bench, Row, Table, at_most, number

BOUND_TO_LRU = ("zipf", "scan", "loop", "mixed")
HIT_NS_MAXIMUM = 200


def run(bench: Bench) -> list[Row]:
    program = str(bench.limit("cache_policy"))
    lines = [line.split() for line in output(program, "rates")]
    rows = []
    for name, *figures in lines:
        ours, _, lru, _ = map(float, figures)
        if name in BOUND_TO_LRU:
            rows.append(Row(f"hit rate, {name}", ours - lru, "points", 0, True, ours, lru))
    head = ["hit rate, %", "ours", "window of 1%", "LRU", "clairvoyant"]
    bench.tables.append(Table("Policies", head, lines))
    rows.append(at_most("a hit", costs(bench, program), "ns", HIT_NS_MAXIMUM))
    return rows


def costs(bench: Bench, program: str) -> float:
    """Adds the table; the median of a hit, one thread."""
    figures: dict[int, list[list[float]]] = {1: [], 2: []}
    for _ in range(bench.rounds):
        for threads, found in figures.items():
            found += [[float(x) for x in line.split()] for line in output(program, "cost", threads)]
    medians = {
        threads: [statistics.median(column) for column in zip(*found)]
        for threads, found in figures.items()
    }
    lines = [[str(threads), *map(number, values)] for threads, values in medians.items()]
    bench.tables.append(Table("Cost, ns", ["threads", "hit", "miss and insertion"], lines))
    return float(medians[1][0])


def output(*command: object) -> list[str]:
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True, timeout=300
    )
    return result.stdout.splitlines()
