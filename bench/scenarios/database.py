"""TomeHub on PostgreSQL, over HTTP, beside pgbench on the same rows.

The limit of contents is our own statement, prepared, sent by pgbench over the Unix socket with the
number of clients that serves it best, one content a statement; the server reads by one statement
what is asked for in the same turn of a loop (how many that are stands in a table below). The limit
of search is the plan everybody begins with: a stored tsvector with a GIN index, `ts_rank_cd` over
all matches, page of 50 with texts, exact count. The searches are a hundred: 40 rare words, 40
medium ones, 15 pairs, 5 of the commonest words. All connections ask without a pause, so that the
more there are, the longer each waits for its turn; with 8 the time is that of the search itself.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass

from comparison import FEW, FEWEST, MANY, OURS, PGBENCH, Results, Routes, ServerSide, Side
from comparison import measure, tables
from harness import Bench, Row, Server, Table, at_least, at_most, ratio
from load import allow_files, wrk_requests
from our_side import our_limit, our_side
from postgres import Postgres, running
from shared_data import Requests, load_tables, requests
from support.http import JsonClient

ROUNDS = 2
SECONDS = 3
ROUTES: Routes = {"content": (FEW, MANY), "batch": (FEW, MANY), "search": (FEWEST, FEW, MANY)}
RATIO_MINIMUM = {"content": 0.8, "batch": 0.9, "search": 3.0}
SEARCH_P99_MS = 100
CROWD_MAXIMUM = 10  # p99 with MANY connections / p99 with FEW
REUSE_MINIMUM = 99.9
CONTENT_STATEMENTS = ("chunk_by_id", "chunks_by_ids")
ABANDONED_MS = 100
ABANDONED = 200  # searches at once, whose clients then leave
ABANDONED_ROUNDS = 5
STATISTICS_SECONDS = 1.5  # PostgreSQL's processes write theirs down once a second
WAIT_SECONDS = 10.0


def run(bench: Bench) -> list[Row]:
    allow_files(4096)
    with running(bench) as database, ExitStack() as stack:
        load_tables(bench, database)
        asked = requests(bench, database)
        ours = stack.enter_context(our_side(bench, database, asked))
        sides: list[Side] = [ours, our_limit(database, asked)]
        results = measure(bench, database, sides, ROUTES)
        bench.tables.extend(tables(results, sides, ROUTES))
        reuse = reused(bench, database, ours)
        abandoned = max(abandoned_ms(database, ours, asked) for _ in range(ABANDONED_ROUNDS))
    return [
        *speed(results),
        *crowd(results),
        at_least("statements on a connection there was already", reuse, "%", REUSE_MINIMUM),
        at_most(
            f"clients of {ABANDONED} searches leave, until the database rests",
            abandoned,
            "ms",
            ABANDONED_MS,
        ),
        at_most("requests that failed", results.failed(), "", 0),
    ]


def speed(results: Results) -> list[Row]:
    rows = []
    for route, minimum in RATIO_MINIMUM.items():
        rates = results.rates(route, FEW, OURS, PGBENCH)
        rows.append(ratio(f"{route}, {FEW} connections, requests/s", rates, minimum))
    return rows


def crowd(results: Results) -> list[Row]:
    found = {
        (route, connections): results.median(route, connections, OURS)
        for route, counts in ROUTES.items()
        for connections in counts
    }
    p99 = {key: load.p99 for key, load in found.items() if load}
    rows = [
        at_most(f"search, {count} connections, p99", p99["search", count], "ms", SEARCH_P99_MS)
        for count in (FEWEST, FEW)
    ]
    for route in ROUTES:
        name = f"{route}, p99 with {MANY} connections / with {FEW}"
        rows.append(at_most(name, p99[route, MANY] / p99[route, FEW], "×", CROWD_MAXIMUM))
    return rows


@dataclass(frozen=True)
class Asked:
    """What reading contents by their key has cost so far, as the server counts."""

    statements: int
    contents: int

    def __sub__(self, before: Asked) -> Asked:
        return Asked(self.statements - before.statements, self.contents - before.contents)


def asked_so_far(server: Server) -> Asked:
    with JsonClient(server.port) as client:
        rows = client.get("/api/admin/queries").json["queries"]
    mine = [row for row in rows if row["name"] in CONTENT_STATEMENTS]
    return Asked(sum(row["executions"] for row in mine), sum(row["rows"] for row in mine))


def reused(bench: Bench, database: Postgres, ours: ServerSide) -> float:
    """The share of statements, in percent, for which no connection was opened, as the database
    counts sessions. Tells too how many contents a statement read."""
    statement = "SELECT sessions FROM pg_stat_database WHERE datname = current_database();"
    lines = []
    opened = statements = 0
    with database.session() as session:
        for connections in (FEWEST, *ROUTES["content"]):
            time.sleep(STATISTICS_SECONDS)
            before, asked = int(session.ask(statement)), asked_so_far(ours.server)
            wrk_requests(ours.server.port, ours.requests["content"], connections, bench.seconds)
            time.sleep(STATISTICS_SECONDS)
            opened += int(session.ask(statement)) - before
            asked = asked_so_far(ours.server) - asked
            statements += asked.statements
            lines.append([str(connections), f"{asked.contents / asked.statements:.1f}"])
    bench.tables.append(Table("Contents a statement", ["connections", ""], lines))
    return 100 * (1 - opened / statements)


def abandoned_ms(database: Postgres, ours: ServerSide, asked: Requests) -> float:
    """How long the database goes on with searches whose clients have left."""
    paths = [path for _, path, _ in asked.paths("search")]
    with database.session() as session:
        clients = [
            socket.create_connection(("127.0.0.1", ours.server.port)) for _ in range(ABANDONED)
        ]
        for number, client in enumerate(clients):
            path = paths[number % len(paths)]
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        deadline = time.monotonic() + WAIT_SECONDS
        while session.active() == 0 and time.monotonic() < deadline:
            pass
        for client in clients:
            client.close()
        left = time.monotonic()
        while session.active() > 0 and time.monotonic() < left + WAIT_SECONDS:
            pass
        return (time.monotonic() - left) * 1e3
