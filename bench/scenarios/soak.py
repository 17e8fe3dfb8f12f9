"""Soak: 100 people for 5 minutes, then 200 for 10, who read, search, ask and take in.

They arrive 10 a second and think for two seconds on average between one request's last byte and the
next request. 60 of 100 things they do read (a content, a page, a list, concepts), 30 search with
details, 8 ask for a streamed answer (lines of JSON and server-sent events in turn), and 2 take in a
note, look at it and delete it, so that the library stays as large as it is and what is kept of
searches is invalidated all the time. What is read and searched follows Zipf's law. Each person has
an address of their own, and the rate limits hold for each.

What has a bound is filled before, and not measured: for 20 seconds 200 people search for all sorts
of words and take nothing in, by which the cache of answers has its 8 MB. SQLite has its usual
readers, whose room for pages is taken at the start. On PostgreSQL 20 of 30 connections are open
from the start, so that few are added.

Flat is what does not grow: a line is fitted through resident memory, and through open files, each
second of the last two thirds (from when all 200 are there); by its slope neither may grow by more
than 5% over that time.
"""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from corpus import COMMON
from harness import Bench, Row, Server, Table, at_most, number
from library import books
from load import allow_files
from scenarios.overload import processor_seconds
from postgres import own_database, running
from support.http import JsonClient
from users import PEOPLE, Crowd, Deed, Outcome, come, zipf

SECONDS = 900
ROUNDS = 1
BOOKS, FEW_BOOKS = 60, 6  # few in a run of less than a minute
USERS = (100, 200)
SHARES = (1 / 3, 2 / 3)  # of the time
ARRIVALS = 10
THINK_MS = 2000
READ, SEARCH, ASK, TAKE_IN = 60, 30, 8, 2
KINDS = 200  # of contents, pages and searches
FILL_SECONDS, FILL_ARRIVALS, FILL_THINK_MS = 20, 50, 1000
SETTINGS = {"CACHE_ENABLED": "on", "CACHE_MAX_MB": "8", "DB_POOL_MIN": "20", "DB_POOL_MAX": "30"}

ERRORS_PERCENT = 0.1
P95_MS = 100
GROWTH_PERCENT = 5.0
PROGRESS_SECONDS = 10

PAIRS = [f"{a}+{b}" for a in COMMON[90:] for b in COMMON[60:90]]


@dataclass
class Watch:
    """What is noted down every second, and told now and then."""

    bench: Bench
    server: Server
    every: int
    elapsed: int = 0
    memory: list[float] = field(default_factory=list)  # MB
    files: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)  # processor seconds, so far
    load: list[float] = field(default_factory=list)  # of the machine: above its cores, it waits

    def tick(self, told: dict[str, int]) -> None:
        self.elapsed += 1
        self.memory.append(self.server.rss_bytes() / 1e6)
        self.files.append(self.server.open_files())
        self.used.append(processor_seconds(self.server.pid))
        self.load.append(os.getloadavg()[0])
        if self.elapsed % self.every == 0:
            self.bench.say(
                f"{self.elapsed:4} s  {told['users']} users, {told['done']} done, "
                f"{told['failed']} failed, {self.memory[-1]:.1f} MB, {self.files[-1]:.0f} files"
            )


def run(bench: Bench) -> list[Row]:
    allow_files(4096)
    folder = bench.work / f"soak-{bench.database}"
    folder.mkdir(parents=True, exist_ok=True)
    with database(bench, folder) as url:
        fill(bench, url)
        server = bench.server(folder, **PEOPLE, **SETTINGS, DATABASE_URL=url)
        try:
            rows = soak(bench, server)
            server.finish()
            return rows
        finally:
            server.kill()


@contextmanager
def database(bench: Bench, folder: Path) -> Iterator[str]:
    """The address of a database of its own."""
    if bench.database == "sqlite":
        yield f"sqlite:{folder / 'library.db'}"
        return
    with running(bench) as postgres:
        yield own_database(postgres, "soak")


def soak(bench: Bench, server: Server) -> list[Row]:
    deeds = chosen(server)
    fill_caches(bench, server)
    watch = Watch(bench, server, min(PROGRESS_SECONDS, max(1, bench.seconds // 5)))
    outcomes = []
    for users, share in zip(USERS, SHARES):
        seconds = max(1, round(share * bench.seconds))
        arrivals = max(ARRIVALS, 4 * users / seconds)  # faster in a run that is short
        crowd = Crowd(users, arrivals, 0, seconds, THINK_MS)
        first = len(watch.memory) + round(users / arrivals)
        outcomes.append(come(bench, server, deeds, crowd, watch.tick))
    bench.tables.extend([latencies(outcomes), failures(outcomes)])
    bench.tables.append(course(watch))
    return [*service(outcomes), *flat(watch, first)]


# ---- What they do ----


def fill(bench: Bench, url: str) -> None:
    """The library; books that are there already are recognised."""
    process = subprocess.run(
        [
            str(bench.tomehub),
            "ingest",
            *map(str, books(bench, 1, BOOKS if bench.seconds >= 60 else FEW_BOOKS)),
        ],
        cwd=bench.work,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url, "LOG_LEVEL": "warning"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr


def fill_caches(bench: Bench, server: Server) -> None:
    """What may be kept is kept afterwards; shorter if the run is."""
    seconds = min(FILL_SECONDS, max(1, bench.seconds // 5))
    bench.say(f"{seconds} s of searches, which fill the caches")
    deeds = [Deed(1, "search", (found_by(pair),)) for pair in PAIRS]
    come(bench, server, deeds, Crowd(USERS[-1], FILL_ARRIVALS, 0, seconds, FILL_THINK_MS))


def found_by(query: str) -> str:
    return f"GET /api/search?q={query}&include=details&page_size=10"


def chosen(server: Server) -> list[Deed]:
    """A fixed set, most wanted first; what is read is what the searches find."""
    queries = [PAIRS[rank * 7 % len(PAIRS)] for rank in range(KINDS)]
    with JsonClient(server.port) as client:
        listed = client.get("/api/books", page_size=BOOKS).json["books"]
        found = [
            client.get(f"/api/search?q={query}&include=details&page_size=10").json["results"]
            for query in queries[: KINDS // 4]
        ]
    hits = [hit for results in found for hit in results][:KINDS]
    assert hits and listed, "the library is empty"
    deeds = [
        *ranked(READ / 2, "read", [f"GET /api/content/{hit['id']}" for hit in hits]),
        *ranked(
            READ / 4,
            "read",
            [f"GET /api/books/{hit['book_id']}/pages/{hit['page_number']}" for hit in hits],
        ),
        *ranked(READ / 8, "read", [f"GET /api/books/{book['id']}" for book in listed]),
        *ranked(READ / 8, "read", ["GET /api/books?page_size=20", "GET /api/concepts?q=s"]),
        *ranked(SEARCH, "search", [found_by(query) for query in queries]),
        *ranked(ASK / 2, "stream", [f"GET /api/search/stream?q={query}" for query in queries]),
        *ranked(ASK / 2, "stream", [f"EVENTS /api/search/stream?q={query}" for query in queries]),
        Deed(TAKE_IN, "ingest", note()),
    ]
    return deeds


def ranked(weight: float, kind: str, steps: Sequence[str]) -> list[Deed]:
    whole = sum(map(zipf, range(len(steps))))
    return [Deed(weight * zipf(rank) / whole, kind, (step,)) for rank, step in enumerate(steps)]


def note() -> tuple[str, ...]:
    text = "Note {n}. " + " ".join(f"The {word} of the day stands here." for word in COMMON[100:])
    return (
        f'POST /api/ingest?wait=true {{"title":"Note {{n}}","text":"{text}"}}',
        "GET /api/books/{book}",
        "DELETE /api/books/{book}",
    )


# ---- What came of it ----


def service(outcomes: list[Outcome]) -> list[Row]:
    done, failed = (sum(getattr(o, name) for o in outcomes) for name in ("done", "failed"))
    rows = [at_most("errors", 100 * failed / max(done, 1), "%", ERRORS_PERCENT)]
    for users, outcome in zip(USERS, outcomes):
        for kind in ("read", "search"):
            p95 = outcome.kinds[kind].p95
            rows.append(at_most(f"{users} users, {kind}, p95", p95, "ms", P95_MS))
    return rows


def flat(watch: Watch, first: int) -> list[Row]:
    return [
        at_most(f"{name}, growth while {USERS[-1]} are there", growth(values), "%", GROWTH_PERCENT)
        for name, values in (
            ("resident memory", watch.memory[first:]),
            ("open files", watch.files[first:]),
        )
    ]


def growth(values: Sequence[float]) -> float:
    """From the first to the last by a fitted line, in percent of the mean."""
    if len(values) < 3:
        return 0.0
    slope = statistics.linear_regression(range(len(values)), values).slope
    return 100 * slope * (len(values) - 1) / statistics.mean(values)


def latencies(outcomes: list[Outcome]) -> Table:
    lines = [
        [str(users), kind, str(found.done), str(found.failed)]
        + [f"{value:.1f}" for value in (found.p50, found.p95, found.p99)]
        for users, outcome in zip(USERS, outcomes)
        for kind, found in sorted(outcome.kinds.items())
    ]
    head = ["users", "", "done", "failed", "p50 ms", "p95 ms", "p99 ms"]
    return Table("What was done", head, lines)


def failures(outcomes: list[Outcome]) -> Table:
    head = ["users", "503, 429", "without Retry-After", "other status", "broken off"]
    lines = [
        [str(users), str(o.refused), str(o.refused_without_retry), str(o.other), str(o.broken)]
        for users, o in zip(USERS, outcomes)
    ]
    return Table("What failed", head, lines)


def course(watch: Watch) -> Table:
    """Ten points of it."""
    count = len(watch.memory)
    places = sorted({max(0, count * part // 10 - 1) for part in range(1, 11)})
    lines = []
    for before, at in zip([0, *places], places):
        cores = (watch.used[at] - watch.used[before]) / max(at - before, 1)
        figures = (watch.memory[at], watch.files[at], cores, watch.load[at])
        lines.append([str(at + 1), *map(number, figures)])
    head = ["second", "resident MB", "open files", "processors used", "load average"]
    return Table("Resources", head, lines)
