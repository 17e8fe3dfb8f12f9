"""Too many requests at once: some are answered, the others told when to come back."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from support.http import JsonClient, RawConnection
from support.http_layer import metric, wait_until
from support.postgres import Postgres
from support.server import Server

CROWD = 400
BARE = {"ACCESS_LOG": "off", "CACHE_ENABLED": "off", "RATE_LIMIT_ENABLED": "off"}


def ask(port: int, path: str, count: int, change: str = "") -> list[socket.socket]:
    """Connections that have all sent the request, a PATCH if there is a `change`; none has been
    read from."""
    request = f"{'PATCH' if change else 'GET'} {path} HTTP/1.1\r\nHost: t\r\n"
    request += f"Connection: close\r\nContent-Length: {len(change)}\r\n\r\n{change}"
    crowd = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(count)]
    for one in crowd:
        one.sendall(request.encode())
    return crowd


def answer(one: socket.socket) -> bytes:
    received = b""
    while piece := one.recv(1 << 16):
        received += piece
    one.close()
    return received


@pytest.mark.alone
@pytest.mark.sqlite
def test_a_crowd(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(ADMISSION_QUEUE="16", **BARE)
    with JsonClient(server.port) as client:
        client.ingest_text("Words", "\n\n".join(f"Some words {i}. " * 30 for i in range(400)))
        for _ in range(50):  # how long a search takes must be known
            assert client.get("/api/search", q="some words").status == 200
        crowd = ask(server.port, "/api/search?q=some+words", CROWD)
        for path in ("/api/health/live", "/api/health", "/metrics", "/api/health/database"):
            assert client.get(path).status == 200
        answers = [answer(one) for one in crowd]
        good = [one for one in answers if one.startswith(b"HTTP/1.1 200")]
        refused = [one for one in answers if one.startswith(b"HTTP/1.1 503")]
        assert len(good) + len(refused) == CROWD and good and refused
        assert all(re.search(rb"\r\nRetry-After: [1-9]\d*\r\n", one) for one in refused)
        text = client.get("/metrics").text
        told = sum(
            int(count)
            for count in re.findall(r'admission_refused_total{class="search",.*} (\d+)', text)
        )
        assert told == len(refused)
        assert 'admission_in_hand{class="search"} 0\n' in text
        assert client.get("/api/search", q="some words").status == 200


@pytest.mark.sqlite
def test_switched_off(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(ADMISSION_ENABLED="off", **BARE)
    with JsonClient(server.port) as client:
        client.ingest_text("Words", "Some words.")
        crowd = ask(server.port, "/api/search?q=some+words", CROWD)
        assert all(answer(one).startswith(b"HTTP/1.1 200") for one in crowd)
        assert "admission_limit" not in client.get("/metrics").text


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "of_class, asked, optional, change",
    [
        ("search", "/api/search?q=some", "/api/search?q=some&instant=1", ""),
        ("default", "/api/books", "/api/concepts?q=some", ""),
        ("default", "/api/books/1", "/api/books", '{"title": "Words"}'),
    ],
    ids=["search", "concepts", "change"],
)
def test_what_can_be_done_without_goes_first(
    start_tomehub: Callable[..., Server],
    postgres: Postgres,
    of_class: str,
    asked: str,
    optional: str,
    change: str,
) -> None:
    """While the database holds every request up: searches at each key press and related terms give
    their places in the line up for those who ask for something, and those for changes."""
    queue = 8
    server = start_tomehub(DATABASE_URL=postgres.url(), ADMISSION_QUEUE=queue, **BARE)
    with JsonClient(server.port) as client:
        client.ingest_text("Words", "Some words.")
        limit = int(metric(server, f'admission_limit{{class="{of_class}"}}'))
        waiting = f'admission_waiting{{class="{of_class}"}}'
        with postgres.locked("books"):
            crowd = ask(server.port, asked, limit)
            in_hand = f'admission_in_hand{{class="{of_class}"}}'
            wait_until(lambda: metric(server, in_hand) == limit)
            spared = ask(server.port, optional, queue)
            wait_until(lambda: metric(server, waiting) == queue)
            crowd += ask(server.port, asked, queue, change)
            wait_until(lambda: len(select.select(spared, [], [], 1)[0]) == queue)
            refused = [answer(one) for one in spared]
        assert all(one.startswith(b"HTTP/1.1 503") for one in refused)
        assert all(re.search(rb"\r\nRetry-After: [1-9]\d*\r\n", one) for one in refused)
        assert all(answer(one).startswith(b"HTTP/1.1 200") for one in crowd)


@pytest.mark.sqlite
def test_who_was_answered_lets_others_go_first(
    start_tomehub: Callable[..., Server], postgres: Postgres
) -> None:
    """While as many wait as are in hand, what a connection sends after its answer stays in the
    kernel for a while; nobody is refused, and all are answered."""
    patient = {"ADMISSION_WAIT": "60s", "BREAKERS_ENABLED": "off"}
    server = start_tomehub(DATABASE_URL=postgres.url(), **patient, **BARE)
    deferred = "http_connections_deferred"
    with ExitStack() as stack, JsonClient(server.port) as client:
        client.ingest_text("Words", "Some words.")
        limit = int(metric(server, 'admission_limit{class="default"}'))
        one = stack.enter_context(RawConnection(server.port))
        jobs = stack.enter_context(ExitStack())
        jobs.enter_context(postgres.locked("jobs"))
        one.send(b"GET /api/ingest HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_until(lambda: metric(server, 'admission_in_hand{class="default"}') == 1)
        with postgres.locked("books"):
            crowd = ask(server.port, "/api/books", 2 * limit)
            wait_until(lambda: metric(server, 'admission_waiting{class="default"}') == limit + 1)
            assert metric(server, deferred) == 0
            jobs.close()
            wait_until(lambda: metric(server, deferred) == 1)
            assert one.read_answer().status == 200
        one.send(b"GET /api/books HTTP/1.1\r\nHost: t\r\n\r\n")
        assert one.read_answer().status == 200
        assert all(answer(other).startswith(b"HTTP/1.1 200") for other in crowd)
        wait_until(lambda: metric(server, deferred) == 0)
