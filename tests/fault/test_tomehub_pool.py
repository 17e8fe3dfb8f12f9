"""Who gets a connection to PostgreSQL, and what those are told who get none."""

from __future__ import annotations

import socket
import time
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
        with postgres.locked("books"):
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
            with postgres.locked("jobs"):
                uploads = [pool.submit(add, server.port, number) for number in range(12)]
                wait_until(lambda: postgres.sql(BLOCKED) == "3")
                wait_until(lambda: metric(server, 'db_calls_waiting{lane="write"}') > 0)
                assert client.patch("/api/books/1", {"title": "Another"}).status == 200
                assert postgres.sql(BLOCKED) == "3"
            assert {upload.result().status for upload in uploads} <= {200, 202}


def test_pools_that_are_larger_than_the_server(
    postgres: Postgres, start_tomehub: Callable[..., Server]
) -> None:
    """One line at the start names both numbers and the cure; all is served."""
    server = start_tomehub(DATABASE_URL=postgres.url(), DB_POOL_MAX=97)
    told = [line for line in server.log().splitlines() if "max_connections" in line]
    assert len(told) == 1 and "may open 98" in told[0] and "room for 97" in told[0], told
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")


BACKENDS = (
    "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity"
    " WHERE application_name = 'bulkhead' AND query NOT ILIKE '%listen%'"
)


def control(client: JsonClient, lane: str, **asked: object) -> Answer:
    return client.patch(f"/api/admin/pools/{lane}", asked)


def is_paused(client: JsonClient) -> bool:
    lanes = client.get("/api/health/database").json["lanes"]
    return lanes["read"]["paused"] is True and lanes["write"]["paused"] is False


def test_an_operator_resizes_replaces_and_pauses(
    postgres: Postgres, start_tomehub: Callable[..., Server]
) -> None:
    server = start_tomehub(DATABASE_URL=postgres.url(), LOOPS=1, CACHE_ENABLED="off")
    with JsonClient(server.port) as client, JsonClient(server.port) as other:
        client.ingest_text("Band", "It was the speckled band.")
        answer = control(client, "read", minimum=1, maximum=3)
        assert answer.status == 200 and answer.json["lanes"]["read"]["pool_size"] == 3, answer.text
        refused = control(client, "read", minimum=4, maximum=3)
        assert refused.status == 422 and "4" in refused.text, refused.text
        before = set(postgres.sql(BACKENDS).split())
        assert control(client, "read", evict=True).status == 200
        assert control(client, "write", evict=True).status == 200
        wait_until(lambda: not before & set(postgres.sql(BACKENDS).split()))
        assert other.get("/api/books/1").json["title"] == "Band"
        with ThreadPoolExecutor(2) as pool:
            begun = time.monotonic()
            paused = pool.submit(control, client, "read", pause_seconds=2)
            wait_until(lambda: is_paused(other))
            assert other.get("/api/books/1").status == 200
            assert time.monotonic() - begun > 1.9
            assert paused.result().status == 200


@contextmanager
def paused_for_long(server: Server) -> Iterator[None]:
    """Who has asked for it leaves at the end."""
    body = b'{"pause_seconds": 60}'
    with socket.create_connection(("127.0.0.1", server.port)) as leaving:
        leaving.sendall(
            b"PATCH /api/admin/pools/read HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        yield


def test_the_last_of_several_pauses_ends_them(
    postgres: Postgres, start_tomehub: Callable[..., Server]
) -> None:
    server = start_tomehub(DATABASE_URL=postgres.url(), CACHE_ENABLED="off")
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
        with paused_for_long(server):
            wait_until(lambda: is_paused(client))
            assert control(client, "read", pause_seconds=1).status == 200
            assert is_paused(client)
        assert client.get("/api/books/1").status == 200
        assert not is_paused(client)


def test_a_pause_ends_with_who_asked_for_it(
    postgres: Postgres, start_tomehub: Callable[..., Server]
) -> None:
    server = start_tomehub(DATABASE_URL=postgres.url(), CACHE_ENABLED="off")
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
        with paused_for_long(server):
            wait_until(lambda: is_paused(client))
        assert client.get("/api/books/1").status == 200
        assert not is_paused(client)


def test_what_cannot_be_asked_of_the_pools(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub()  # on SQLite
    with JsonClient(server.port) as client:
        answer = control(client, "read", minimum=1, maximum=3)
        assert answer.status == 409 and "sqlite" in answer.text, answer.text
        assert control(client, "write", evict=True).status == 409
        cases: list[tuple[str, dict[str, object], str]] = [
            ("sideways", {"evict": True}, "lane"),
            ("read", {}, "nothing is asked for"),
            ("read", {"maximum": 3}, "go together"),
            ("read", {"minimum": 0, "maximum": 3}, "minimum"),
            ("read", {"pause_seconds": 61}, "pause_seconds"),
            ("read", {"size": 3}, "size"),
        ]
        for lane, asked, word in cases:
            answer = control(client, lane, **asked)
            assert answer.status == 422 and word in answer.text, answer.text
