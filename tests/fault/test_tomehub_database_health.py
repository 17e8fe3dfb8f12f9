"""The health of the connections and the statements' figures while the database is away."""

from __future__ import annotations

import time
from collections.abc import Callable

from support.http import JsonClient
from support.postgres import Postgres
from support.server import Server

SECONDS = 20.0


def wait_for_status(client: JsonClient, status: int) -> None:
    """Until the route answers so; requests beside it keep the pool asking for connections."""
    deadline = time.monotonic() + SECONDS
    answer = client.get("/api/health/database")
    while answer.status != status:
        assert time.monotonic() < deadline, answer.text
        client.get("/api/books/1")
        time.sleep(0.02)
        answer = client.get("/api/health/database")
    expected = "ok" if status == 200 else "failing"
    assert answer.json["status"] == expected and answer.json["backend"] == "postgresql"


def breaker_state(client: JsonClient, operation: str) -> float:
    """0 closed, 1 half-open, 2 open."""
    name = f'breaker_state{{dependency="database",class="{operation}"}} '
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def test_database_goes_and_comes_back(
    start_tomehub: Callable[..., Server], postgres: Postgres
) -> None:
    server = start_tomehub(
        DATABASE_URL=postgres.url(),
        DB_POOL_TIMEOUT="1s",
        SLOW_QUERY_SECONDS=60,
        CACHE_ENABLED="off",
    )
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
        assert client.get("/api/books/1").status == 200
        wait_for_status(client, 200)
        postgres.kill()
        wait_for_status(client, 503)
        assert client.get("/api/books/1").status == 503
        assert breaker_state(client, "read") == 2
        assert client.get("/api/health/database").headers["retry-after"]
        away = client.get("/api/admin/queries", sort="errors", top=513).json["queries"]
        book = next(query for query in away if query["name"] == "book_by_id")
        assert book["errors"] > 0 and book["maximum_seconds"] < 60
        postgres.start()
        wait_for_status(client, 200)
        assert client.get("/api/books/1").status == 200
        assert breaker_state(client, "read") == 0
        back = client.get("/api/admin/queries", sort="errors", top=513).json["queries"]
        after = next(query for query in back if query["name"] == "book_by_id")
        assert after["executions"] - after["errors"] > book["executions"] - book["errors"]
