"""TomeHub beside other servers that do the same on the same PostgreSQL: same rows, same requests,
same JSON (which is checked before anything is measured).

The peers (bench/peers) are as their users would tune them; pgbench sends the peers' statements,
prepared, without a server. All share the machine's cores with PostgreSQL and wrk, and are measured
in turn. Latencies of pgbench are those of its best number of clients, and of 40.
"""

from __future__ import annotations

from contextlib import ExitStack

from comparison import FEW, MANY, PGBENCH, PgbenchSide, ServerSide, Side
from comparison import check_answers, measure, tables
from harness import Bench, Row, at_most
from load import allow_files
from peer_servers import build, started
from postgres import Postgres, running
from shared_data import PEERS, Requests, load_peers_tables, requests

ROUNDS = 2  # and seconds: so that all of them stay below ten minutes
SECONDS = 3
ROUTES = {
    "content": (FEW, MANY),
    "batch": (FEW, MANY),
    "search": (FEW, MANY),
    "health": (FEW,),
}
ARGUMENTS = {"content": ("?",), "batch": ("?",), "search": ("?",), "health": ()}


def run(bench: Bench) -> list[Row]:
    allow_files(4096)
    peers = build(bench)
    with running(bench) as database, ExitStack() as servers:
        load_peers_tables(bench, database)
        asked = requests(bench, database)
        lines = {route: asked.lines(route) for route in ROUTES}
        contestants = [
            ServerSide(peer.name, servers.enter_context(started(bench, peer, database)), lines)
            for peer in peers
        ]
        check_answers(contestants, asked)
        sides: list[Side] = [*contestants, statements_alone(database, asked)]
        results = measure(bench, database, sides, ROUTES)
        bench.tables.extend(tables(results, sides, ROUTES))
    return [at_most("requests that failed", results.failed(), "", 0)]


def statements_alone(database: Postgres, asked: Requests) -> PgbenchSide:
    scripts = {
        route: asked.script(route, PEERS / "sql" / f"{route}.sql", arguments)
        for route, arguments in ARGUMENTS.items()
    }
    return PgbenchSide(PGBENCH, database, scripts)
