"""TomeHub on the bench's PostgreSQL: its server, and its limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from comparison import OURS, PGBENCH, PgbenchSide, ServerSide
from harness import ROOT, Bench
from postgres import Postgres
from shared_data import PEERS, Requests, write_lines

STATEMENTS = ROOT / "services" / "tomehub" / "sql" / "postgres"
OWNER = "1"
HEALTH = "GET /api/health/ready"  # one statement on the database, like the peers' SELECT 1


@contextmanager
def our_side(bench: Bench, database: Postgres, asked: Requests) -> Iterator[ServerSide]:
    """The server as it is by itself, but for the cache, and for the length of its queue, of which
    each loop has a part: the peers' queues have no end."""
    health = asked.folder / "health-ours.requests"
    write_lines(health, [HEALTH])
    lines = {route: asked.lines(route) for route in ("content", "batch", "search")}
    settings = {"DATABASE_URL": database.socket_url(), "DB_POOL_MAX_WAITERS": "10000"}
    server = bench.server(bench.work / "postgres-server", **settings)
    try:
        yield ServerSide(OURS, server, lines | {"health": health})
        server.finish()
    finally:
        server.kill()


def our_limit(database: Postgres, asked: Requests) -> PgbenchSide:
    """Our own statements without a server; for search the plan everybody begins with."""
    scripts = {
        "content": asked.script("content", STATEMENTS / "chunk_by_id.sql", (OWNER, "?")),
        "batch": asked.script("batch", STATEMENTS / "chunks_by_ids.sql", (OWNER, "?")),
        "search": asked.script("search", PEERS / "sql" / "search.sql", ("?",)),
    }
    return PgbenchSide(PGBENCH, database, scripts)
