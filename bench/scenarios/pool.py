"""The connection pool over a stub driver, beside HikariCP, psycopg_pool and SQLAlchemy's QueuePool.

Cycle: one lease taken and returned, nobody waiting, one connection; processor time of one thread
(HikariCP: elapsed, after warming up). Spike: 50 requests at once, each with 2 ms of work for a
connection, where a connect takes 150 ms; 5 connections open or being opened, 50 allowed. Ours are
fibers on one loop, the others threads. Sides take turns; medians.
"""

from __future__ import annotations

import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import ROOT, Bench, Row, Table, at_most, number

PEERS = ROOT / "bench" / "peers" / "pool"
JAVA = Path("/usr/share/java")
JARS = [JAVA / f"{name}.jar" for name in ("HikariCP", "slf4j-api", "slf4j-nop")]

CYCLE_NS_MAXIMUM = 60
SPIKE = ["50", "150", "2", "5", "50"]  # requests, ms of a connect, of work; minimum, maximum
SPIKE_CONNECTIONS_MAXIMUM = 6
STARTS = ("warm", "cold")


@dataclass(frozen=True)
class Side:
    name: str
    command: list[str]
    cycles: int


def run(bench: Bench) -> list[Row]:
    sides = [
        Side("ours", [str(bench.limit("pool_cycle"))], 2_000_000),
        Side("HikariCP", hikari(bench.work / "pool"), 2_000_000),
        Side("psycopg_pool", python("psycopg"), 50_000),
        Side("SQLAlchemy QueuePool", python("sqlalchemy"), 50_000),
    ]
    cycles = cycle_figures(bench, sides)
    rows = [
        at_most("cycle, exclusive", cycles["ours"]["exclusive"], "ns", CYCLE_NS_MAXIMUM),
        at_most("cycle, a fiber's waiting call", cycles["ours"]["fiber"], "ns", CYCLE_NS_MAXIMUM),
    ]
    lines = [
        [side.name, *(number(cycles[side.name].get(kind)) for kind in cycles["ours"])]
        for side in sides
    ]
    head = ["ns", *(f"{kind}" for kind in cycles["ours"])]
    bench.tables.append(Table("Cycle (contended: 64 wait for one connection)", head, lines))

    spikes = spike_figures(bench, sides)
    rows += [
        at_most(f"spike, {start}: connections made", spikes["ours", start][0], "", bound)
        for start, bound in zip(STARTS, [SPIKE_CONNECTIONS_MAXIMUM] * 2)
    ]
    lines = [
        [side.name, start, *(number(value) for value in spikes[side.name, start])]
        for side in sides
        for start in STARTS
    ]
    head = ["", "start", "connections", "p50 ms", "p99 ms"]
    bench.tables.append(Table("Spike: 50 requests, 5 connections", head, lines))
    return rows


def hikari(folder: Path) -> list[str]:
    """Compiled, and how to call it."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [str(path) for path in sorted(PEERS.glob("*.java"))]
    classpath = ":".join([str(folder), *map(str, JARS)])
    subprocess.run(["javac", "-cp", classpath, "-d", str(folder), *sources], check=True)
    return ["java", "-cp", classpath, "HikariCycle"]


def python(pool: str) -> list[str]:
    return ["/usr/bin/python3", str(PEERS / "python_pools.py"), pool]


def output(command: list[str]) -> list[list[str]]:
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return [line.split() for line in result.stdout.splitlines()]


def cycle_figures(bench: Bench, sides: list[Side]) -> dict[str, dict[str, float]]:
    """Nanoseconds by side and kind of cycle."""
    found: dict[str, dict[str, list[float]]] = {side.name: {} for side in sides}
    for _ in range(bench.rounds):
        for side in sides:
            for kind, value in output([*side.command, "cycle", str(side.cycles)]):
                found[side.name].setdefault(kind, []).append(float(value))
    bench.say("cycles measured")
    return {
        name: {kind: statistics.median(values) for kind, values in kinds.items()}
        for name, kinds in found.items()
    }


def spike_figures(bench: Bench, sides: list[Side]) -> dict[tuple[str, str], list[float]]:
    """Connections made, median and 99th percentile in ms, by side and start."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    for _ in range(bench.rounds):
        for side in sides:
            for start in STARTS:
                (figures,) = output([*side.command, "spike", *SPIKE, start])
                found.setdefault((side.name, start), []).append([float(x) for x in figures])
    return {
        key: [statistics.median(column) for column in zip(*runs)] for key, runs in found.items()
    }
