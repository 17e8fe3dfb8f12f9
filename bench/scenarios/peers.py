"""TomeHub beside other servers that do the same on the same PostgreSQL: same rows, same requests,
same JSON (which is checked before anything is measured).

The peers (bench/peers) are as their users would tune them; pgbench sends the peers' statements,
prepared, without a server. All share the machine's cores with PostgreSQL and wrk, and are measured
in turn. Latencies of pgbench are those of its best number of clients, and of 40.
"""

from __future__ import annotations

from contextlib import ExitStack

from comparison import FEW, MANY, OURS, PGBENCH, PgbenchSide, Results, Routes, ServerSide, Side
from comparison import check_answers, measure, tables
from harness import Bench, Row, at_most, ratio
from load import allow_files
from our_side import our_side
from peer_servers import FASTIFY, GO, SQLALCHEMY, build, started, versions
from postgres import Postgres, running
from shared_data import PEERS, Requests, load_tables, requests

ROUNDS = 2  # and seconds: so that all of them stay below ten minutes
SECONDS = 3
ROUTES: Routes = {
    "content": (FEW, MANY),
    "batch": (FEW, MANY),
    "search": (FEW, MANY),
    "health": (FEW,),
}
CONTENT_MINIMUM = {GO: 2.0, FASTIFY: 3.0, SQLALCHEMY: 12.0}
ARGUMENTS = {"content": ("?",), "batch": ("?",), "search": ("?",), "health": ()}


def run(bench: Bench) -> list[Row]:
    allow_files(4096)
    peers = build(bench)
    with running(bench) as database, ExitStack() as servers:
        load_tables(bench, database)
        asked = requests(bench, database)
        lines = {route: asked.lines(route) for route in ROUTES}
        contestants = [servers.enter_context(our_side(bench, database, asked))]
        contestants += [
            ServerSide(peer.name, servers.enter_context(started(bench, peer, database)), lines)
            for peer in peers
        ]
        check_answers(contestants, asked)
        sides: list[Side] = [*contestants, statements_alone(database, asked)]
        results = measure(bench, database, sides, ROUTES)
        bench.tables.extend([*tables(results, sides, ROUTES), versions()])
    return [*speed(results), at_most("requests that failed", results.failed(), "", 0)]


def speed(results: Results) -> list[Row]:
    rows = []
    for peer, minimum in CONTENT_MINIMUM.items():
        rates = results.rates("content", FEW, OURS, peer)
        rows.append(ratio(f"content, {FEW} connections, requests/s / {peer}", rates, minimum))
    return rows


def statements_alone(database: Postgres, asked: Requests) -> PgbenchSide:
    scripts = {
        route: asked.script(route, PEERS / "sql" / f"{route}.sql", arguments)
        for route, arguments in ARGUMENTS.items()
    }
    return PgbenchSide(PGBENCH, database, scripts)
