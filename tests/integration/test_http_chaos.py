"""Clients that do anything at any time: the server goes on, and holds nothing of theirs."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable

from support.http import RawConnection, RawHttp
from support.http_layer import chunks, get, metric, post, post_chunks, wait_until
from support.server import Server

SEED = 7
CLIENTS = 12
CONVERSATIONS = 60

REQUESTS = [
    get("/api/health/live"),
    get("/wait?ms=20"),
    get("/wait?ms=3000"),
    get("/short?ms=3000"),
    get("/events?ms=50"),
    get("/stream?bytes=3000000&piece=3000"),
    get("/stream?bytes=100", version="1.0"),
    get("/body?bytes=2000000"),
    get("/aborted"),
    get("/nothing"),
    get("/nowhere"),
    get("/api/health/live", "Connection: close"),
    post("/size", b"x" * 100),
    post("/size", b"x" * 100000),
    post("/upload", b"x" * 300000),
    post("/upload?pause=5", b"x" * 100000),
    post("/unread", b"x" * 50000),
    post("/empty", b"x"),
    post("/size", b"", "Expect: 100-continue").replace(b": 0", b": 9", 1),
    post_chunks("/upload", chunks(*[b"y" * 999] * 50)),
    post_chunks("/size", chunks(b"z" * 70000)),
    post_chunks("/size", b"5\r\nhel"),
    post_chunks("/size", b"zz\r\n"),
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET / HTT",
    b"\x00\xff\r\n\r\n",
]


def converse(port: int, source: random.Random) -> None:
    """Sends a few requests in odd pieces, reads a little, and leaves in one way or another."""
    connection = RawConnection(port, timeout=0.05)
    data = b"".join(source.choice(REQUESTS) for _ in range(source.choice([1, 1, 2, 5])))
    if source.random() < 0.3:
        data = data[: source.randrange(len(data))]
    try:
        while data:
            size = source.choice([1, 10, 1000, 100000, len(data)])
            connection.send(data[:size])
            data = data[size:]
            if source.random() < 0.3:
                connection.socket.recv(source.choice([1, 1000, 100000]))
    except OSError:
        pass
    ending = source.random()
    try:
        if ending < 0.3:
            connection.end_sending()
        if ending < 0.6:
            while connection.socket.recv(100000):
                pass
    except OSError:
        pass
    if ending > 0.8:
        connection.reset()
    else:
        connection.socket.close()


def test_clients_that_do_anything(start_http: Callable[..., Server]) -> None:
    server = start_http(
        HEAD_TIMEOUT=150, IDLE_TIMEOUT=150, WRITE_TIMEOUT=400, BODY_GRACE=150, BODY_RATE=1000000
    )
    files = server.open_files()
    failures: list[BaseException] = []

    def client(number: int) -> None:
        source = random.Random(SEED * 1000 + number)
        try:
            for _ in range(CONVERSATIONS):
                converse(server.port, source)
        except OSError as error:  # cannot even connect
            failures.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures
    wait_until(lambda: metric(server, "http_connections_open") == 1, 20)
    wait_until(lambda: metric(server, "http_requests_in_flight") == 1)
    wait_until(lambda: server.open_files() <= files + 2)
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(get("/api/health/live"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert RawHttp(server.port).answer(post("/upload", b"x" * 100000)).text == "100000"
