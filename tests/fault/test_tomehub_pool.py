"""Who gets a connection to PostgreSQL, and what those are told who get none."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from support.http import Answer, JsonClient
from support.http_layer import metric, wait_until
from support.postgres import Postgres
from support.server import Server

BLOCKED = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'bulkhead' AND wait_event_type = 'Lock'"
)


@contextmanager
def locked(postgres: Postgres, table: str) -> Iterator[None]:
    """Whoever reads or writes the table waits until this is over."""
    holder = subprocess.Popen(
        ["psql", "-XAtq", postgres.url()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin and holder.stdout
    try:
        holder.stdin.write(f"BEGIN; LOCK TABLE {table}; SELECT 'locked';\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "locked\n"
        yield
    finally:
        holder.stdin.close()
        holder.wait(60)


def patch(port: int, book: int) -> Answer:
    with JsonClient(port) as client:
        return client.patch(f"/api/books/{book}", {"title": "Another"})


def add(port: int, number: int) -> Answer:
    with JsonClient(port) as client:
        return client.post("/api/ingest", {"title": f"Note {number}", "text": f"note {number}"})


def test_who_holds_is_named_on_every_loop(
    postgres: Postgres, start_tomehub: Callable[..., Server]
) -> None:
    """One connection for writing, held on one of two loops: all the others hear by whom."""
    server = start_tomehub(
        DATABASE_URL=postgres.url(),
        LOOPS=2,
        DB_POOL_WRITE_SIZE=1,
        DB_POOL_TIMEOUT="1s",
        INGEST_WORKERS=1,
        ADMISSION_ENABLED="off",
        BREAKERS_ENABLED="off",
    )
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
    with ThreadPoolExecutor(9) as pool:
        with locked(postgres, "books"):
            first = pool.submit(patch, server.port, 1)
            wait_until(lambda: postgres.sql(BLOCKED) == "1")
            others = [pool.submit(patch, server.port, 1) for _ in range(8)]
            answers = [other.result() for other in others]
        assert first.result().status == 200
    for answer in answers:
        assert answer.status == 503, answer.text
        assert "1 of 1 are busy" in answer.text and "the longest for" in answer.text, answer.text
        assert answer.text.count("/api/books/{id}") == 2, answer.text  # who waited, who holds
    log = [line for line in server.log().splitlines() if "got no write connection" in line]
    assert 1 <= len(log) <= 3 and all("/api/books/{id}" in line for line in log), log
    assert all("the longest for" in line for line in log), log


def test_changes_do_not_wait_for_uploads(
    postgres: Postgres, start_tomehub: Callable[..., Server]
) -> None:
    """All connections for writing but the reserve are held by uploads, more of which wait."""
    server = start_tomehub(
        DATABASE_URL=postgres.url(),
        LOOPS=1,
        DB_POOL_WRITE_SIZE=4,
        ADMISSION_ENABLED="off",
    )
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
        with ThreadPoolExecutor(12) as pool:
            with locked(postgres, "jobs"):
                uploads = [pool.submit(add, server.port, number) for number in range(12)]
                wait_until(lambda: postgres.sql(BLOCKED) == "3")
                wait_until(lambda: metric(server, 'db_calls_waiting{lane="write"}') > 0)
                assert client.patch("/api/books/1", {"title": "Another"}).status == 200
                assert postgres.sql(BLOCKED) == "3"
            assert {upload.result().status for upload in uploads} <= {200, 202}
