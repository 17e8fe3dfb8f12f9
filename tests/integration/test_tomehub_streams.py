"""The stream gate: slots are held until the last byte, and always come back."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from support.http import Answer, JsonClient
from support.server import Server

PATIENCE_SECONDS = 90.0


@contextmanager
def slow_readers(port: int, count: int, **headers: str) -> Iterator[list[socket.socket]]:
    """Clients that ask for the export and read nothing but its beginning."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["GET /api/export HTTP/1.1", "Host: t", *lines, "", ""]).encode()
    readers = []
    try:
        for _ in range(count):
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(PATIENCE_SECONDS)
            reader.connect(("127.0.0.1", port))
            readers.append(reader)
            reader.sendall(head)
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


def wait_for(client: JsonClient, figure: str, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while streams(client)[figure] != count:
        assert time.monotonic() < deadline, streams(client)
        time.sleep(0.01)


def wait_for_active(client: JsonClient, count: int) -> None:
    wait_for(client, "active_streams", count)


def long_text() -> str:
    """More than the system takes ahead of a client that does not read."""
    return "\n\n".join(f"Paragraph {i}. " + "Many words stand here. " * 40 for i in range(2000))


def fill(client: JsonClient) -> None:
    client.ingest_text("Long", long_text())


def export(client: JsonClient, **headers: str) -> Answer:
    return client.request("GET", "/api/export", None, **headers)


def assert_share_taken(answer: Answer, share: int) -> None:
    seconds = int(answer.headers["retry-after"])
    assert answer.status == 429 and 1 <= seconds <= 3
    assert answer.headers["content-type"] == "application/json"
    detail = answer.json["detail"]
    assert f" {share} streamed answers " in detail and "STREAM_MAX_PER_CLIENT" in detail
    assert answer.json == {
        "error": "Too many streams at a time",
        "detail": detail,
        "retry_after": seconds,
    }


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
            wait_for(client, "waiting", 1)
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


@pytest.mark.sqlite
def test_one_address_leaves_slots_to_others(start_tomehub: Callable[..., Server]) -> None:
    """Two slots of three are its share, however many networks of its own it asks from."""
    server = start_tomehub(
        MAX_CONCURRENT_STREAMS="3",
        STREAM_MAX_PER_CLIENT="2",
        STREAM_WAIT="60s",
        TRUSTED_PROXIES="127.0.0.1",
    )
    greedy = {"X_Forwarded_For": "2001:db8:1:2::1"}
    household = {"X_Forwarded_For": "198.51.100.7, 2001:db8:1:2:ffff::9"}
    honest = {"X_Forwarded_For": "192.0.2.7"}
    with JsonClient(server.port) as client:
        fill(client)
        with slow_readers(server.port, 2, **greedy) as readers:
            assert_share_taken(export(client, **greedy), 2)
            assert_share_taken(export(client, **household), 2)
            assert export(client, **honest).status == 200
            wait_for_active(client, 2)
            readers[0].close()
            wait_for_active(client, 1)
            assert export(client, **household).status == 200
        wait_for_active(client, 0)
        text = client.get("/metrics").text
        assert "streams_client_refused_total 2\n" in text and "streams_refused_total 0\n" in text


@pytest.mark.sqlite
def test_who_waits_has_a_part_of_the_share(start_tomehub: Callable[..., Server]) -> None:
    """Nobody fills the line before the slots either."""
    server = start_tomehub(
        MAX_CONCURRENT_STREAMS="1",
        STREAM_MAX_PER_CLIENT="2",
        STREAM_WAIT="60s",
        TRUSTED_PROXIES="127.0.0.1",
    )
    greedy, sent = {"X_Forwarded_For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.1"}
    with JsonClient(server.port) as client, JsonClient(server.port) as waiter:
        fill(client)
        with slow_readers(server.port, 1, **greedy) as readers:
            waiter.connection.request("GET", "/api/export", headers=sent)
            wait_for(client, "waiting", 1)
            assert_share_taken(export(client, **greedy), 2)
            waiter.connection.close()
            wait_for(client, "waiting", 0)
            waiter.connection.request("GET", "/api/export", headers=sent)
            wait_for(client, "waiting", 1)
            readers[0].close()
            response = waiter.connection.getresponse()
            assert response.status == 200 and len(response.read()) > 1_000_000
        wait_for_active(client, 0)


@pytest.mark.sqlite
def test_a_user_has_one_share_by_all_keys(
    start_tomehub: Callable[..., Server], command: Callable[..., Any]
) -> None:
    server = start_tomehub(AUTH="keys", STREAM_MAX_PER_CLIENT="1")

    def key_of(user: str) -> dict[str, str]:
        made = command("keys", "create", "--user", user, "--scopes", "read,write")
        return {"Authorization": f"Bearer {made.stdout.strip()}"}

    ann, ann_again, bob = key_of("ann"), key_of("ann"), key_of("bob")
    with JsonClient(server.port) as client:
        body = json.dumps({"title": "Long", "text": long_text()}).encode()
        path = "/api/ingest?wait=true"
        taken = client.request("POST", path, body, content_type="application/json", **ann)
        assert taken.status == 200, taken.text
        with slow_readers(server.port, 1, **ann):
            assert_share_taken(export(client, **ann_again), 1)
            assert export(client, **bob).status == 200
        deadline = time.monotonic() + PATIENCE_SECONDS
        while export(client, **ann_again).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.sqlite
def test_no_share(start_tomehub: Callable[..., Server]) -> None:
    """One client may have all slots where the operator says so."""
    server = start_tomehub(STREAM_MAX_PER_CLIENT="0")
    with JsonClient(server.port) as client:
        fill(client)
        with slow_readers(server.port, 26):
            assert streams(client)["active_streams"] == 26
        wait_for_active(client, 0)
