"""The HTTP layer: whoever was refused for want of room is not read from meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

from support.http import RawConnection, RawHttp
from support.http_layer import get, metric, wait_until
from support.server import Server

LONG = 600_000  # milliseconds: no test waits for it to pass
DEFERRED = "http_connections_deferred"


def make_room(server: Server, count: int) -> None:
    assert RawHttp(server.port).answer(get(f"/room?q={count}")).status == 204


def refused(server: Server, path: str = "/crowded") -> RawConnection:
    """A connection that was told to come again."""
    connection = RawHttp(server.port).connect()
    connection.send(get(path))
    answer = connection.read_answer()
    assert answer.status == 503 and "retry-after" in answer.headers
    return connection


def wait_for_deferred(server: Server, count: int) -> None:
    wait_until(lambda: metric(server, DEFERRED) == count)


def test_its_next_request_waits_for_room(start_http: Callable[..., Server]) -> None:
    server = start_http(DEFER=LONG)
    with refused(server) as connection:
        wait_for_deferred(server, 1)
        connection.send(get("/crowded"))
        for _ in range(20):  # meanwhile others are served, who come anew
            assert RawHttp(server.port).answer(get("/api/health/live")).status == 200
        assert metric(server, DEFERRED) == 1
        make_room(server, 1)
        assert connection.read_answer().status == 200  # had it been read before: 503
        wait_for_deferred(server, 0)
        connection.send(get("/crowded"))
        assert connection.read_answer().status == 200


def test_it_is_read_in_the_end(start_http: Callable[..., Server]) -> None:
    server = start_http(DEFER=300)
    crowd = [refused(server) for _ in range(50)]
    begun = time.monotonic()
    for connection in crowd:
        connection.send(get("/crowded"))
    for connection in crowd:  # all of them wait, and there is never any room
        assert connection.read_answer().status == 503
        connection.socket.close()
    assert time.monotonic() - begun > 0.2
    wait_for_deferred(server, 0)


def test_all_are_let_in_when_there_is_room(start_http: Callable[..., Server]) -> None:
    server = start_http(DEFER=LONG)
    crowd = [refused(server) for _ in range(100)]
    wait_for_deferred(server, len(crowd))
    for connection in crowd:
        connection.send(get("/crowded"))
    make_room(server, 3)  # at a time
    for connection in crowd:
        assert connection.read_answer().status == 200
        connection.socket.close()
    wait_for_deferred(server, 0)


def test_one_crowd_does_not_hold_up_another(start_http: Callable[..., Server]) -> None:
    server = start_http(DEFER=LONG, LOOPS=1)
    before = [refused(server) for _ in range(20)]
    with refused(server, "/crowded?door=2") as connection:
        wait_for_deferred(server, len(before) + 1)
        connection.send(get("/crowded?door=2"))
        assert RawHttp(server.port).answer(get("/room?q=1&door=2")).status == 204
        assert connection.read_answer().status == 200
        wait_for_deferred(server, len(before))
    for one in before:
        one.socket.close()


def test_what_is_pipelined_waits_too(start_http: Callable[..., Server]) -> None:
    server = start_http(DEFER=LONG)
    with RawHttp(server.port).connect() as connection:
        connection.send(get("/crowded") + get("/echo?q=a") + get("/crowded") + get("/echo?q=b")[:9])
        assert connection.read_answer().status == 503
        wait_for_deferred(server, 1)
        connection.send(get("/echo?q=b")[9:])
        make_room(server, 1)
        assert [connection.read_answer().status for _ in range(3)] == [200, 200, 200]


def test_a_last_answer_is_the_last(start_http: Callable[..., Server]) -> None:
    server = start_http(DEFER=LONG)
    with RawHttp(server.port).connect() as connection:
        connection.send(get("/crowded", "Connection: close"))
        assert connection.read_answer().status == 503
        assert connection.read_to_end() == b""
    assert metric(server, DEFERRED) == 0


def test_one_that_left_is_forgotten(start_http: Callable[..., Server]) -> None:
    server = start_http(DEFER=LONG)
    for connection in [refused(server) for _ in range(10)]:
        connection.send(get("/crowded"))
        connection.reset()
    wait_for_deferred(server, 10)  # nobody looks as long as nothing is read
    make_room(server, 100)
    wait_for_deferred(server, 0)
    wait_until(lambda: metric(server, "http_connections_open") == 1)


def test_a_drain_answers_what_waits(start_http: Callable[..., Server]) -> None:
    server = start_http(DEFER=LONG)
    with refused(server) as asking, refused(server) as silent:
        wait_for_deferred(server, 2)
        asking.send(get("/echo"))
        server.terminate()
        answer = asking.read_answer()
        assert answer.status == 200 and answer.headers["connection"] == "close"
        assert silent.read_to_end() == b""
    assert server.wait_exit() == 0
