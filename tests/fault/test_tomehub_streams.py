"""Streams by the hundred: the gate at its default size, and readers that do not read."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from support.http import JsonClient
from support.http_layer import metric, wait_until
from support.provider import Exchange, Provider, says
from support.server import Server

MIB = 1 << 20
RETURNED_MIB = 40  # how much more it may have afterwards: less than 32 free, and what is kept
ASK = b"GET /api/search/stream?q=ladder HTTP/1.1\r\nHost: t\r\n\r\n"
EXPORT = b"GET /api/export HTTP/1.1\r\nHost: t\r\n\r\n"
TEXT = "The lamplighter keeps his ladder behind the customs house."


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@contextmanager
def streams(port: int, count: int, request: bytes) -> Iterator[list[socket.socket]]:
    """Clients whose stream has begun, who read no further."""
    clients = []
    try:
        for _ in range(count):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(60)
            clients.append(client)
            client.connect(("127.0.0.1", port))
            client.sendall(request)
        for client in clients:
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        yield clients
    finally:
        for client in clients:
            client.close()


def active(client: JsonClient) -> int:
    return int(client.get("/api/health/streams").json["streams"]["active_streams"])


def assert_refused(client: JsonClient) -> None:
    answer = client.get("/api/search/stream", q="ladder")
    assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
    assert answer.headers["content-type"] == "application/json"
    assert answer.text == '{"error":"Server at stream capacity, please retry"}'


def test_the_hundred_and_first(start_tomehub: Callable[..., Server], provider: Provider) -> None:
    """With as many slots as by default, and an answer service that falls silent."""

    def falls_silent(exchange: Exchange) -> None:
        exchange.begin()
        exchange.say("He keeps the ladder behind the customs house [1]. It ")
        exchange.stall()

    server = start_tomehub(
        ANSWER_URL=provider.url,
        ANSWER_IDLE_TIMEOUT="60s",
        HTTP_REQUEST_TIMEOUT="60s",
        STREAM_HEARTBEAT="200ms",
        STREAM_MAX_PER_CLIENT="0",  # all come from one address
    )
    provider.play(falls_silent)
    with JsonClient(server.port) as client:
        client.ingest_text("The Harbour", TEXT)
        fibers = metric(server, "loop_fibers")  # that of the ingest may be among them still
        with streams(server.port, 100, ASK) as clients:
            assert active(client) == 100
            wait_until(lambda: len(provider.exchanges) == 100)  # each has a connection of its own
            assert_refused(client)
            assert client.get("/api/search", q="ladder").status == 200
            # The service is silent; what a proxy sees is not.
            received = b""
            while received.count(b'{"status":"waiting"}\n') < 2:
                received += clients[0].recv(4096)
            clients.pop().close()
            wait_until(lambda: active(client) == 99)
            with streams(server.port, 1, ASK):
                assert active(client) == 100
                assert_refused(client)
        wait_until(lambda: active(client) == 0)
        for exchange in provider.exchanges:
            assert exchange.client_left.wait(60), "the service is read on for nobody"
        wait_until(lambda: metric(server, "http_client_requests_in_flight") == 0)
        wait_until(lambda: metric(server, "loop_fibers") <= fibers)
        provider.play(says("He keeps the ladder behind the customs house [1]."))
        answer = client.get("/api/search/stream", q="ladder")
        assert json.loads(answer.text.splitlines()[-1])["source"] == "generated"


def fill(client: JsonClient) -> None:
    """More than the system takes ahead of a client that does not read."""
    text = "\n\n".join(f"Paragraph {i}. " + "Many words stand here. " * 40 for i in range(3000))
    client.ingest_text("Long", text)


@pytest.mark.alone
def test_two_hundred_slow_readers(start_tomehub: Callable[..., Server]) -> None:
    """Each takes a bounded part of memory, is cut at its deadline, and leaves nothing behind."""
    count = 200
    server = start_tomehub(
        MAX_CONCURRENT_STREAMS=count,
        STREAM_MAX_PER_CLIENT="0",
        HTTP_WRITE_TIMEOUT="3s",
        MEMORY_CHECK_INTERVAL="100ms",
    )
    with JsonClient(server.port) as client:
        fill(client)
        assert client.get("/api/export").status == 200
        fibers, before = metric(server, "loop_fibers"), server.rss_bytes()
        with streams(server.port, count, EXPORT):
            assert active(client) == count
            assert_refused(client)
            wait_until(lambda: active(client) == 0)
        assert server.peak_bytes() - before < count * MIB
        name = 'http_connection_timeouts_total{waiting_for="reader"}'
        assert metric(server, name) == metric(server, "streams_granted_total") - 1 == count
        wait_until(lambda: metric(server, "loop_fibers") <= fibers)
        assert client.get("/api/health/database").json["checked_out_connections"] == 0
        wait_until(lambda: server.rss_bytes() < before + RETURNED_MIB * MIB)
        assert client.get("/api/export").status == 200
