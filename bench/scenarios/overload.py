"""Open-loop load: searches and contents at 1, 2 and 10 times what the server can do.

The load has a core of its own, the last; server and database share the others. So a sender, however
busy, takes nothing from those who answer: as much time answers the closed loop as ten times the
load. First comes the closed loop (wrk, 16 connections, without pauses): its rate is "the
load". Then `open_load` sends 1, 2 and 10 times that, whether or not answers come; beside it, at 50
requests a second, another one asks for `/api/health/live`. Goodput is 200s within five seconds; who
has had none by then leaves. The caches are off. The bar holds goodput at 10 times the load to the
best of the three open lines, and that load must really have been sent. Beside the closed loop,
whose 16 connections fit into a processor's cache where 4,000 do not, it is told without a bar.

Requests that find none of 4,000 connections free go out behind those that wait on them (pipelined,
1,024 at most); `unsent` found no room there, or came too late for the sender. Who leaves takes all
that waits on the connection along. Who is refused, or has had a turn, is not read from until there
is room (docs/decisions/019-back-pressure.md), so that refusals take no time from answers.

`answers a processor second` is of server and database together, late answers counted; what the load
took itself (wrk, open_load and the probes) stands beside theirs. `--database postgres`: on a server
of the bench's own.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from corpus import COMMON
from harness import Bench, Row, Table, at_least, at_most, processes_of_session
from library import books, ingest
from load import allow_files, wrk_requests
from postgres import Postgres, own_database, running
from support.server import Server

BOOKS = 60
GOODPUT_MINIMUM = 0.8
HEALTH_P99_MS = 50
HEALTH_RATE = 50
DEADLINE_MS = 5000
CONNECTIONS = 4000
DEPTH = 1024  # requests waiting on one of them
OFFERED_MINIMUM = 9.5  # times the closed loop's rate, of 10
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
    late: int  # 200 after the deadline
    left: int  # had no answer by the deadline and left, or were behind one who did
    other: int
    broken: int
    unsent: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Cores:
    """Whose is which; on a machine with one, both have it."""

    server: set[int]
    load: set[int]


def cores() -> Cores:
    every = sorted(os.sched_getaffinity(0))
    return Cores(set(every[:-1] or every), {every[-1]})


@contextmanager
def on(mine: set[int]) -> Iterator[None]:
    """What is started within runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, mine)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run(bench: Bench) -> list[Row]:
    allow_files(2 * CONNECTIONS)
    pairs = [f"/api/search?q={a}+{b}" for a in COMMON[:12] for b in COMMON[12:24]]
    rows = []
    split = cores()
    with on(split.server), library_at(bench) as library:
        contents = [f"/api/content/{number}" for number in library.chunks[::97][:200]]
        for name, paths in (("search", pairs), ("content", contents)):
            settings = switched_off(bench) | {"DATABASE_URL": library.url}
            server = bench.server(bench.work / "overload", **settings)
            try:
                sides = Sides(bench, server, library.postgres, split.load)
                rows += overload(sides, name, paths, (1, 2, 10))
                server.finish()
            finally:
                server.kill()
    return rows


@dataclass(frozen=True)
class Library:
    """Where the database is, and its chunks."""

    url: str
    chunks: list[int]
    postgres: Postgres | None = None


@contextmanager
def library_at(bench: Bench) -> Iterator[Library]:
    if bench.database == "sqlite":
        database = small_library(bench)
        yield Library(f"sqlite:{database}", all_chunk_ids(database))
        return
    with running(bench) as postgres:
        url = own_database(postgres, "overload")
        command = [str(bench.tomehub), "ingest", *map(str, books(bench, 1, BOOKS))]
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "LOG_LEVEL": "warning"}
        subprocess.run(
            command, cwd=bench.work, env=environment, stdout=subprocess.DEVNULL, check=True
        )
        chunks = postgres.psql("-c", "SELECT id FROM chunks ORDER BY id", database="overload")
        yield Library(url, list(map(int, chunks)), postgres)


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


@dataclass(frozen=True)
class Sides:
    """Who takes part in a measurement."""

    bench: Bench
    server: Server
    postgres: Postgres | None
    load_cores: set[int]

    def used(self) -> Used:
        """So far."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Used(
            children.ru_utime + children.ru_stime,
            processor_seconds(self.server.pid),
            seconds_of(self.postgres.pids()) if self.postgres else 0,
        )

    def open_load(
        self, rate: float, paths: Path, connections: int = CONNECTIONS
    ) -> subprocess.Popen[str]:
        numbers = [self.server.port, round(max(rate, 1)), self.bench.seconds, DEADLINE_MS]
        command = [str(self.bench.limit("open_load")), *map(str, numbers)]
        command += [str(connections), str(DEPTH), str(paths)]
        with on(self.load_cores):
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def closed_loop(self, requests: Path) -> float:
        """Answers a second."""
        with on(self.load_cores):
            return wrk_requests(self.server.port, requests, 16, self.bench.seconds).rate


@dataclass(frozen=True)
class Used:
    """Processor seconds."""

    load: float
    server: float
    database: float

    def __sub__(self, before: Used) -> Used:
        return Used(
            self.load - before.load,
            self.server - before.server,
            self.database - before.database,
        )

    @property
    def serving(self) -> float:
        return self.server + self.database


def processor_seconds(pid: int) -> float:
    """What the processes of the server's session have used so far."""
    return seconds_of(int(process.split()[0]) for process in processes_of_session(pid))


def seconds_of(processes: Iterable[int]) -> float:
    """What they have used so far, with their children that have ended."""
    ticks = 0
    for process in processes:
        stat = Path("/proc") / str(process) / "stat"
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue  # a connection's, closed meanwhile
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def result(process: subprocess.Popen[str]) -> Load:
    output, _ = process.communicate()
    assert process.returncode == 0, process.returncode
    return Load(**json.loads(output))


@dataclass(frozen=True)
class Found:
    """One line of the table."""

    load: Load
    probe: Load
    used: Used

    @property
    def answers(self) -> int:
        """200s of the whole run, late ones too."""
        load = self.load
        failed = load.refused_without_retry + load.left + load.other + load.broken
        return load.sent - load.refused - failed


HEAD = ["load", "sent/s", "goodput/s", "÷ closed loop", "answers a processor second"]
HEAD += ["sent", "unsent", "503"]
HEAD += ["late", "left", "failed", "p50 ms", "p99 ms"]
HEAD += ["processor s of the load", "of the server", "of the database", "health p99 ms"]


def line(found: Found, seconds: float, closed: float) -> list[str]:
    load, used = found.load, found.used
    failed = load.refused_without_retry + load.other + load.broken
    rates = [f"{load.sent / seconds:.0f}", f"{load.goodput:.0f}", f"{load.goodput / closed:.2f}"]
    figures = [found.answers / used.serving, load.sent, load.unsent, load.refused]
    figures += [load.late, load.left, failed, load.p50, load.p99]
    times = [used.load, used.server, used.database, found.probe.p99]
    return [*rates, *(f"{figure:.0f}" for figure in figures), *(f"{time:.1f}" for time in times)]


def overload(sides: Sides, name: str, paths: list[str], factors: tuple[int, ...]) -> list[Row]:
    bench = sides.bench
    file, health = bench.work / f"overload-{name}", bench.work / "overload-health"
    file.write_text("\n".join(paths) + "\n")
    health.write_text("/api/health/live\n")
    requests = bench.work / f"overload-{name}.requests"
    requests.write_text("".join(f"GET {path}\n" for path in paths))
    sides.closed_loop(requests)  # so that what is loaded on first use is there
    used = sides.used()
    closed = sides.closed_loop(requests)
    used = sides.used() - used
    bench.say(f"{name}: {closed:.0f} a second in a closed loop")
    answers = closed * bench.seconds
    row = ["closed loop", "", f"{closed:.0f}", "1.00"]
    row += [f"{answers / used.serving:.0f}", f"{answers:.0f}"]
    row += [""] * 7 + [f"{used.load:.1f}", f"{used.server:.1f}", f"{used.database:.1f}", ""]
    lines = [row]
    found: dict[int, Found] = {}
    seconds = bench.seconds * 4 / 3  # open_load begins to count after a third more
    for factor in factors:
        used = sides.used()
        probing = sides.open_load(HEALTH_RATE, health, 200)
        load = result(sides.open_load(factor * closed, file))
        probe = result(probing)
        found[factor] = Found(load, probe, sides.used() - used)
        lines.append([f"{factor} ×", *line(found[factor], seconds, closed)])
        bench.say(f"{factor} times: {load}; health {probe}")
    bench.tables.append(Table(name, HEAD, lines))
    return judge(name, closed, found, seconds)


def judge(name: str, closed: float, found: dict[int, Found], seconds: float) -> list[Row]:
    silent = sum(one.load.refused_without_retry for one in found.values())
    probes = [one.probe for one in found.values()]
    unanswered = sum(p.refused + p.late + p.left + p.other + p.broken + p.unsent for p in probes)
    most = found[max(found)].load
    share = most.goodput / max(one.load.goodput for one in found.values())
    offered = most.sent / seconds / closed
    return [
        at_least(f"{name}, sent at 10 × / closed loop", offered, "", OFFERED_MINIMUM),
        at_least(f"{name}, goodput at 10 × / best of the three", share, "", GOODPUT_MINIMUM),
        at_most(f"{name}, health p99 throughout", max(p.p99 for p in probes), "ms", HEALTH_P99_MS),
        at_most(f"{name}, health not answered", unanswered, "", 0),
        at_most(f"{name}, refusals without Retry-After", silent, "", 0),
    ]
