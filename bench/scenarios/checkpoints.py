"""The load checkpoints: what crowds of users get from a slow database, feature by feature.

A user's request is a search with details, the concepts beside it (asked for at the same time, as
our page does), and then the page of the first hit: four statements on the database (five, before a
page was read by one), each of which takes 200 to 300 ms there (slow_database.py) and holds a
connection meanwhile; three requests over HTTP, timed as one. One in fifty asks for a streamed
answer in place of the search. What is asked is drawn by Zipf's law (exponent 1) from 200 searches.
Between requests a user thinks for six seconds on average. Each has an address of their own, and the
default rate limits.

    old   20 connections, for which nobody waits (but one, for half a second); nothing else
    A     60 connections (10 of them write), calls wait in order for 30 s; rate limits
    B     and answers are kept
    C     and the stream gate
    D     and circuit breakers, and admission: all there is, as it is by default

One server for each of them; where answers are kept, a crowd has been there for a while before. The
library's state, one row that tells whether what is kept still holds, is not slowed; with it, and
with nothing kept yet, there are rows of their own. All rows from B on are held to the bar of their
number of users; 2,000 and 10,000, which it does not name, to the errors and the p95 of 500.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace

from corpus import vocabulary
from harness import Bench, Row, Server, Table, at_least, at_most
from load import ab_failures, allow_files
from slow_database import STATE, SlowDatabase, Statements, slow_database
from support.http import JsonClient
from users import PEOPLE, Crowd, Deed, Kind, Outcome, come, zipf

SECONDS = 12
BEFORE_SECONDS = 10  # in which all come
ROUNDS = 1
KINDS = 200
THINK_MS = 6000
STREAMS = 0.02  # of all requests
REQUEST = "request"  # of either kind
WARM_SECONDS, WARM_USERS, WARM_THINK_MS = 12, 60, 100
SEED = 5

OFF = {"CACHE_ENABLED": "off", "BREAKERS_ENABLED": "off", "ADMISSION_ENABLED": "off"}
OFF |= {"RATE_LIMIT_ENABLED": "off", "MAX_CONCURRENT_STREAMS": "100000"}
OLD_POOL = {"DB_POOL_MIN": "20", "DB_POOL_MAX": "22", "DB_POOL_WRITE_SIZE": "2"}
OLD_POOL |= {"DB_POOL_TIMEOUT": "500ms", "DB_POOL_MAX_WAITERS": "1", "LOOPS": "1"}
NOW: dict[str, tuple[str, ...]] = {  # what a stage no longer switches off
    "A": ("RATE_LIMIT_ENABLED",),
    "B": ("CACHE_ENABLED",),
    "C": ("MAX_CONCURRENT_STREAMS",),
    "D": ("BREAKERS_ENABLED", "ADMISSION_ENABLED"),
}
DEFAULTS = {"CACHE_ENABLED": "on", "RATE_LIMIT_ENABLED": "on"}  # the bench's own are others

USERS = {
    "old": (50, 100),
    "A": (50, 100, 150, 200),
    "B": (150, 200),
    "C": (200, 300, 500),
    "D": (50, 100, 150, 200, 300, 500, 2000, 10000),
}
SPECIAL_USERS = 100  # of the rows of their own
FORMER = {  # errors and p95 in the systems this one was made for
    ("old", 100): "20–30%, 8–12 s",
    ("A", 100): "5–10%, 5–7 s",
    ("A", 150): "< 10%, < 8 s",
    ("B", 150): "5%, 4–6 s",
    ("B", 200): "queries −60%, hits > 70%",
    ("C", 200): "2–3%, 5–7 s",
    ("C", 300): "memory stable",
    ("C", 500): "memory stable",
}
P95_MS = {50: 1000, 100: 1000, 150: 1500, 200: 2000, 300: 3000}
P95_MS |= {500: 3000, 2000: 3000, 10000: 3000}
BOUND = ("B", "C", "D")
FLAT_USERS = (300, 500)
FLAT_PERCENT = 5
HIT_PERCENT = 70
SAVED_PERCENT = 60
SAVED_USERS = 200
AB_REQUESTS, AB_CONNECTIONS = 1000, 100


@dataclass(frozen=True)
class Cell:
    """What a crowd got at one stage."""

    stage: str
    users: int
    outcome: Outcome
    megabytes: float
    growth_percent: float  # of resident memory, while it was counted
    statements: float  # that read texts or the index, for each user's request
    state_reads: float  # of the library's state, for each
    all_statements: float  # all the server has run, for each
    load: float  # of the machine, by then: more than its cores, and it waited for them
    name: str = ""


def run(bench: Bench) -> list[Row]:
    allow_files(12_000)
    with slow_database(bench) as database:
        deeds = prepared(bench, database)
        cells: list[Cell] = []
        for stage in USERS:
            users = [n for n in USERS[stage] if not bench.users or n in bench.users]
            if users:
                cells += measured(bench, database, deeds, stage, users)
        if not bench.users or SPECIAL_USERS in bench.users:
            cells += special(bench, database, deeds)
        failures = ab(bench, database)
    bench.tables.append(table(cells))
    return [*bounds(cells), at_most("ab -n 1000 -c 100 /api/health, failures", failures, "", 0)]


# ---- What they ask ----


def prepared(bench: Bench, database: SlowDatabase) -> list[Deed]:
    """The searches, with what the page shows beside them; asked while the database is fast."""
    server = bench.server(bench.work / "checkpoints", DATABASE_URL=database.fast_url)
    try:
        with JsonClient(server.port) as client:
            deeds = searches(client)
        server.finish()
        return deeds
    finally:
        server.kill()


def searches(client: JsonClient) -> list[Deed]:
    dice = random.Random(SEED)
    words = vocabulary()[120:1500]
    deeds: list[Deed] = []
    while len(deeds) < 2 * KINDS:
        word = dice.choice(words)
        query = f"{word}+{dice.choice(words)}" if dice.random() < 0.5 else word
        found = client.get(f"/api/search?q={query}&page_size=1&include=details").json["results"]
        if not found:
            continue
        weight = zipf(len(deeds) // 2)
        beside = (
            f"+GET /api/concepts?q={word}",
            f"GET /api/books/{found[0]['book_id']}/pages/{found[0]['page_number']}",
        )
        search = f"GET /api/search?q={query}&include=details&page_size=10"
        stream = f"GET /api/search/stream?q={query}"
        deeds.append(Deed((1 - STREAMS) * weight, REQUEST, (search, *beside)))
        deeds.append(Deed(STREAMS * weight, REQUEST, (stream, *beside)))
    return deeds


# ---- Measuring ----


def settings(stage: str) -> dict[str, str]:
    off = dict(OFF)
    if stage == "old":
        return off | OLD_POOL
    stages = list(NOW)
    for name in [name for one in stages[: stages.index(stage) + 1] for name in NOW[one]]:
        del off[name]
    return PEOPLE | DEFAULTS | off


def measured(
    bench: Bench,
    database: SlowDatabase,
    deeds: list[Deed],
    stage: str,
    users: list[int],
    is_warm: bool = True,
    name: str = "",
) -> list[Cell]:
    """A server of the stage, and these crowds, one after another."""
    chosen = settings(stage) | {"DATABASE_URL": database.slow_url}
    server = bench.server(bench.work / "checkpoints", **chosen)
    try:
        if is_warm and chosen["CACHE_ENABLED"] == "on":
            seconds = min(WARM_SECONDS, bench.seconds)
            come(bench, server, deeds, Crowd(WARM_USERS, 100, 0, seconds, WARM_THINK_MS))
        cells = []
        for count in users:
            found = replace(cell(bench, database, server, deeds, stage, count), name=name)
            bench.say(" ".join(f"{text:>9}" for text in line(found)[:-2]))
            cells.append(found)
        server.finish()
        return cells
    finally:
        server.kill()


@dataclass
class Watch:
    """What there is when the counting begins."""

    database: SlowDatabase
    server: Server
    warm: int
    elapsed: int = 0
    megabytes: float = 0
    statements: Statements = Statements(0, 0, 0)

    def tick(self, _: dict[str, int]) -> None:
        self.elapsed += 1
        if self.elapsed == self.warm:
            self.statements = self.database.statements()
            self.megabytes = self.server.rss_bytes() / 1e6


def cell(
    bench: Bench, database: SlowDatabase, server: Server, deeds: list[Deed], stage: str, users: int
) -> Cell:
    """All are there after half of the time before the counting."""
    think_ms = THINK_MS * min(SECONDS, bench.seconds) // SECONDS  # less in a run that is short
    warm = min(BEFORE_SECONDS, bench.seconds)
    crowd = Crowd(users, max(1, 2 * users / warm), warm, bench.seconds, think_ms)
    watch = Watch(database, server, warm)
    outcome = come(bench, server, deeds, crowd, watch.tick)
    megabytes = server.rss_bytes() / 1e6
    statements = database.statements()
    done = max(outcome.done, 1)
    return Cell(
        stage,
        users,
        outcome,
        megabytes,
        100 * (megabytes / watch.megabytes - 1),
        (statements.slow - watch.statements.slow) / done,
        (statements.state - watch.statements.state) / done,
        (statements.all - watch.statements.all) / done,
        os.getloadavg()[0],
    )


def special(bench: Bench, database: SlowDatabase, deeds: list[Deed]) -> list[Cell]:
    """All there is, in hard times."""
    users = [SPECIAL_USERS]
    cells = measured(bench, database, deeds, "D", users, False, "D, nothing kept yet")
    database.slow_down(STATE)
    try:
        return cells + measured(bench, database, deeds, "D", users, name="D, state slow too")
    finally:
        database.speed_up(STATE)


def ab(bench: Bench, database: SlowDatabase) -> int:
    server = bench.server(bench.work / "checkpoints", DATABASE_URL=database.slow_url, **DEFAULTS)
    try:
        failures = ab_failures(f"{server.url}/api/health", AB_REQUESTS, AB_CONNECTIONS)
        server.finish()
        return failures
    finally:
        server.kill()


# ---- What came of it ----

HEAD = ["users", "stage", "requests", "errors", "503", "p50 s", "p95 s", "p99 s", "MB", "growth"]
HEAD += ["hits", "queries", "state reads", "all", "load", "before us", "our bar"]


def line(cell: Cell) -> list[str]:
    outcome = cell.outcome
    hits = outcome.hit_percent
    bar = f"0%, p95 < {P95_MS[cell.users] / 1000:g} s" if is_bound(cell) else ""
    return [
        f"{cell.users:,}",
        cell.name or cell.stage,
        f"{outcome.done:,}",
        f"{outcome.failed_percent:.1f}%",
        f"{outcome.refused}",
        *(f"{ms / 1000:.2f}" for ms in (timed(cell).p50, timed(cell).p95, timed(cell).p99)),
        f"{cell.megabytes:.0f}",
        f"{cell.growth_percent:.1f}%",
        "" if hits is None else f"{hits:.0f}%",
        f"{cell.statements:.2f}",
        f"{cell.state_reads:.2f}",
        f"{cell.all_statements:.2f}",
        f"{cell.load:.0f}",
        FORMER.get((cell.stage, cell.users), "") if not cell.name else "",
        bar,
    ]


def is_bound(cell: Cell) -> bool:
    return cell.stage in BOUND and cell.users in P95_MS


def timed(cell: Cell) -> Kind:
    return cell.outcome.kinds.get(REQUEST, Kind())


def table(cells: list[Cell]) -> Table:
    order = list(USERS)
    sorted_cells = sorted(cells, key=lambda c: (c.users, order.index(c.stage), c.name))
    title = "A user's request (four queries of a quarter of a second, where nothing is kept)"
    return Table(title, HEAD, [line(cell) for cell in sorted_cells])


def bounds(cells: list[Cell]) -> list[Row]:
    rows = []
    for cell in filter(is_bound, cells):
        name = f"{cell.name or cell.stage}, {cell.users:,} users"
        rows.append(at_most(f"{name}, errors", cell.outcome.failed_percent, "%", 0))
        rows.append(at_most(f"{name}, p95", timed(cell).p95, "ms", P95_MS[cell.users]))
        if cell.users in FLAT_USERS:
            rows.append(at_most(f"{name}, memory, growth", cell.growth_percent, "%", FLAT_PERCENT))
    silent = sum(cell.outcome.refused_without_retry for cell in cells)
    rows.append(at_most("refusals without Retry-After", silent, "", 0))
    found = {(cell.stage, cell.users): cell for cell in cells if not cell.name}
    without, kept = found.get(("A", SAVED_USERS)), found.get(("B", SAVED_USERS))
    if without and kept:
        hits = kept.outcome.hit_percent or 0
        saved = 100 * (1 - kept.all_statements / without.all_statements)
        rows.append(at_least(f"B, {SAVED_USERS} users, hits", hits, "%", HIT_PERCENT))
        name = f"B / A, {SAVED_USERS} users, queries saved, of all"
        rows.append(at_least(name, saved, "%", SAVED_PERCENT))
    return rows
