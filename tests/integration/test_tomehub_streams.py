"""The stream gate: slots are held until the last byte, and always come back."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.http import JsonClient
from support.server import Server

EXPORT = b"GET /api/export HTTP/1.1\r\nHost: t\r\n\r\n"
PATIENCE_SECONDS = 90.0


@contextmanager
def slow_readers(port: int, count: int) -> Iterator[list[socket.socket]]:
    """Clients that ask for the export and read nothing but its beginning."""
    readers = []
    try:
        for _ in range(count):
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(PATIENCE_SECONDS)
            reader.connect(("127.0.0.1", port))
            readers.append(reader)
            reader.sendall(EXPORT)
            assert reader.recv(15) == b"HTTP/1.1 200 OK"
        yield readers
    finally:
        for reader in readers:
            reader.close()


def streams(client: JsonClient) -> dict[str, float]:
    answer = client.get("/api/health/streams")
    assert answer.status == 200 and answer.json["status"] == "ok"
    figures: dict[str, float] = answer.json["streams"]
    assert (answer.json["health"] == "critical") == (figures["utilization"] > 0.9)
    return figures


def wait_for_active(client: JsonClient, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while streams(client)["active_streams"] != count:
        assert time.monotonic() < deadline, streams(client)
        time.sleep(0.01)


def fill(client: JsonClient) -> None:
    """More than the system takes ahead of a client that does not read."""
    text = "\n\n".join(f"Paragraph {i}. " + "Many words stand here. " * 40 for i in range(2000))
    client.ingest_text("Long", text)


@pytest.mark.sqlite
def test_past_capacity(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(MAX_CONCURRENT_STREAMS="2", STREAM_WAIT="50ms")
    with JsonClient(server.port) as client:
        fill(client)
        assert streams(client) == {
            "active_streams": 0,
            "max_concurrent": 2,
            "waiting": 0,
            "utilization": 0,
        }
        with slow_readers(server.port, 2) as readers:
            assert streams(client)["utilization"] == 1
            refused = client.get("/api/export")
            assert refused.status == 503 and int(refused.headers["retry-after"]) >= 1
            assert refused.text == json.dumps(
                {"error": "Server at stream capacity, please retry"}, separators=(",", ":")
            )
            readers[0].close()
            wait_for_active(client, 1)
            whole = client.get("/api/export")
            assert whole.status == 200 and len(whole.body) > 1_000_000
        wait_for_active(client, 0)
        text = client.get("/metrics").text
        assert "streams_granted_total 3\n" in text and "streams_refused_total 1\n" in text


@pytest.mark.sqlite
def test_who_waits_gets_the_slot(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(MAX_CONCURRENT_STREAMS="1", STREAM_WAIT="60s")
    with JsonClient(server.port) as client, JsonClient(server.port) as waiter:
        fill(client)
        with slow_readers(server.port, 1) as readers:
            waiter.connection.request("GET", "/api/export")
            deadline = time.monotonic() + PATIENCE_SECONDS
            while streams(client)["waiting"] != 1:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            readers[0].close()
            response = waiter.connection.getresponse()
            assert response.status == 200 and len(response.read()) > 1_000_000
        wait_for_active(client, 0)


@pytest.mark.sqlite
def test_a_slot_is_held_until_the_last_byte(start_tomehub: Callable[..., Server]) -> None:
    """The whole answer fits what the server may keep, but the client has not read it."""
    server = start_tomehub(MAX_CONCURRENT_STREAMS="5")
    with JsonClient(server.port) as client:
        client.ingest_text("Some", "\n\n".join("Words and more words. " * 80 for _ in range(150)))
        with slow_readers(server.port, 1) as readers:
            assert streams(client)["active_streams"] == 1
            received = readers[0].recv(1 << 16)
            while not received.endswith(b"0\r\n\r\n"):
                received = received[-16:] + readers[0].recv(1 << 16)
        wait_for_active(client, 0)
