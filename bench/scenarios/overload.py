"""Open-loop load: searches and contents at 1, 2 and 10 times what the server can do.

The peak is what a closed loop gets (wrk, 16 connections). Then `open_load` sends at a constant
rate, whether or not answers come; beside it, at 50 requests a second, another one asks for
`/api/health/live`. Goodput is 200s within five seconds; the caches are off. Load and server share
the machine's cores, and somebody else may want them too: beside goodput stands how many answers a
second of the server's processor time gave.

Who is refused is not read from until there is room (docs/decisions/019-back-pressure.md), so that
refusals take no time from answers. Ten times the contents is more than this machine can send beside
a server that answers them: there look at the answers a second of its processor time too, and at how
much processor time the load took. `--database postgres`: on a server of the bench's own, which
shares the cores as well.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from corpus import COMMON
from harness import Bench, Row, Table, at_least, at_most, processes_of_session
from library import books, ingest
from load import allow_files, wrk_requests
from postgres import own_database, running
from support.server import Server

BOOKS = 60
GOODPUT_MINIMUM = 0.8
HEALTH_P99_MS = 50
HEALTH_RATE = 50
DEADLINE_MS = 5000
CONNECTIONS = 8000
SWITCHES = ("CACHE_ENABLED", "RATE_LIMIT_ENABLED")
SECONDS = 6
ROUNDS = 1


@dataclass(frozen=True)
class Load:
    """What open_load printed; latencies of 200s in ms."""

    goodput: float
    sent: int
    refused: int
    refused_without_retry: int
    late: int
    other: int
    broken: int
    unsent: int
    p50: float
    p95: float
    p99: float
    processor_s: float  # that open_load took itself


def run(bench: Bench) -> list[Row]:
    allow_files(2 * CONNECTIONS)
    pairs = [f"/api/search?q={a}+{b}" for a in COMMON[:12] for b in COMMON[12:24]]
    rows = []
    with library_at(bench) as (url, chunks):
        contents = [f"/api/content/{number}" for number in chunks[::97][:200]]
        for name, paths in (("search", pairs), ("content", contents)):
            settings = switched_off(bench) | {"DATABASE_URL": url}
            server = bench.server(bench.work / "overload", **settings)
            try:
                rows += overload(bench, server, name, paths, (1, 2, 10))
                server.finish()
            finally:
                server.kill()
    return rows


@contextmanager
def library_at(bench: Bench) -> Iterator[tuple[str, list[int]]]:
    """The address of the database, and its chunks."""
    if bench.database == "sqlite":
        database = small_library(bench)
        yield f"sqlite:{database}", all_chunk_ids(database)
        return
    with running(bench) as postgres:
        url = own_database(postgres, "overload")
        command = [str(bench.tomehub), "ingest", *map(str, books(bench, 1, BOOKS))]
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "LOG_LEVEL": "warning"}
        subprocess.run(
            command, cwd=bench.work, env=environment, stdout=subprocess.DEVNULL, check=True
        )
        chunks = postgres.psql("-c", "SELECT id FROM chunks ORDER BY id", database="overload")
        yield url, list(map(int, chunks))


def switched_off(bench: Bench) -> dict[str, str]:
    """What would answer, or refuse, before the work that is measured."""
    known = subprocess.run(
        [str(bench.tomehub), "config", "--example"], capture_output=True, text=True, check=True
    ).stdout
    return {name: "off" for name in SWITCHES if f"{name}=" in known}


def small_library(bench: Bench) -> Path:
    folder = bench.work / "overload"
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "library.db"
    if not database.exists():
        ingest(bench, database, books(bench, 1, BOOKS))
    return database


def all_chunk_ids(database: Path) -> list[int]:
    with sqlite3.connect(database) as connection:
        return [int(row[0]) for row in connection.execute("SELECT id FROM chunks ORDER BY id")]


def open_load(
    bench: Bench, port: int, rate: float, paths: Path, connections: int = CONNECTIONS
) -> subprocess.Popen[str]:
    command = [str(bench.limit("open_load")), str(port), f"{max(rate, 1):.0f}", str(bench.seconds)]
    command += [str(DEADLINE_MS), str(connections), str(paths)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> Load:
    assert process.stdout
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return Load(**json.loads(output), processor_s=usage.ru_utime + usage.ru_stime)


def processor_seconds(pid: int) -> float:
    """What the processes of the server's session have used so far."""
    ticks = 0
    for process in processes_of_session(pid):
        stat = Path("/proc") / process.split()[0] / "stat"
        fields = stat.read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def overload(
    bench: Bench, server: Server, name: str, paths: list[str], factors: tuple[int, ...]
) -> list[Row]:
    file, health = bench.work / f"overload-{name}", bench.work / "overload-health"
    file.write_text("\n".join(paths) + "\n")
    health.write_text("/api/health/live\n")
    requests = bench.work / f"overload-{name}.requests"
    requests.write_text("".join(f"GET {path}\n" for path in paths))
    peak = wrk_requests(server.port, requests, 16, bench.seconds).rate
    bench.say(f"{name}: {peak:.0f} a second at most")
    found: dict[int, tuple[Load, Load]] = {}
    lines = []
    for factor in factors:
        used = processor_seconds(server.pid)
        probing = open_load(bench, server.port, HEALTH_RATE, health, 200)
        load = result(open_load(bench, server.port, factor * peak, file))
        probe = result(probing)
        used = processor_seconds(server.pid) - used
        found[factor] = load, probe
        failed = load.late + load.other + load.broken
        per_second = (load.sent - load.refused - failed) / used
        failed += load.unsent
        figures = [load.goodput, per_second, load.sent, load.refused, failed, load.p50, load.p99]
        line = [
            *(f"{figure:.0f}" for figure in figures),
            f"{load.processor_s:.1f}",
            f"{probe.p99:.1f}",
        ]
        lines.append([f"{factor} ×", *line])
        bench.say(f"{factor} times: {load}; health {probe}")
    head = ["load", "goodput/s", "answers a processor second", "sent", "503", "failed otherwise"]
    head += ["p50 ms", "p99 ms", "processor s of the load", "health p99 ms"]
    bench.tables.append(Table(f"{name}: {peak:.0f} a second in a closed loop", head, lines))
    silent = sum(load.refused_without_retry for load, _ in found.values())
    probes = [probe for _, probe in found.values()]
    unanswered = sum(p.refused + p.late + p.other + p.broken + p.unsent for p in probes)
    rows = [
        at_most(f"{name}, health p99 throughout", max(p.p99 for p in probes), "ms", HEALTH_P99_MS),
        at_most(f"{name}, health not answered", unanswered, "", 0),
        at_most(f"{name}, refusals without Retry-After", silent, "", 0),
    ]
    if 10 in found:
        best = max(load.goodput for load, _ in found.values())
        share = found[10][0].goodput / best
        rows.insert(0, at_least(f"{name}, goodput at 10 × / best", share, "", GOODPUT_MINIMUM))
    return rows
