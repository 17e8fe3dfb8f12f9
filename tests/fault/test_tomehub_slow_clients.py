"""Five thousand clients that do as little as they can, on the real server, and honest ones among
them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from support.http import JsonClient
from support.http_layer import metric, wait_until
from support.process import busy
from support.server import Server
from support.slow_clients import slow_crowd

MIB = 1 << 20
CROWD = {"head": 2250, "body": 2250, "trickle": 250, "stop": 250}
EACH_KIB = 24  # that a connection may take besides its unsent answer
UNSENT_MIB = 64
RETURNED_MIB = 40  # how much more it may have afterwards: less than 32 free, and what is kept


def fill(server: Server) -> str:
    """A library; the path of a page of three hundred thousand letters."""
    with JsonClient(server.port) as client:
        large = "Words stand here in long rows. " * 10000
        pages = [f"Page {n} has a word of its own: number{n}." for n in range(500)]
        answer = client.post("/api/ingest?wait=true", {"title": "All", "pages": [large, *pages]})
        assert answer.status == 200, answer.text
        return f"/api/books/{answer.json['book_id']}/pages/1"


class Honest:
    """Users who ask one thing after the other; `seconds` is how long each answer took."""

    def __init__(self, port: int, users: int, requests: int) -> None:
        self.port, self.requests = port, requests
        self.seconds: list[float] = []
        threads = [threading.Thread(target=self.ask, args=(n,)) for n in range(users)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(self.seconds) == users * requests, "somebody was not served"

    def ask(self, user: int) -> None:
        with JsonClient(self.port) as client:
            for number in range(self.requests):
                begun = time.monotonic()
                page = 1 + (user * self.requests + number) % 500
                answer = client.get("/api/search", q=f"number{page}", page_size=10)
                assert answer.status == 200, answer.text
                self.seconds.append(time.monotonic() - begun)

    def p95(self) -> float:
        return sorted(self.seconds)[len(self.seconds) * 95 // 100]


@pytest.mark.alone
def test_five_thousand_slow_clients(start_tomehub: Callable[..., Server]) -> None:
    """They send heads and bodies byte by byte, read a few bytes a second or nothing; each that is
    thrown out comes again. The honest ones are answered, memory has its bound and comes back."""
    server = start_tomehub(HTTP_UNSENT_MAX_MB=UNSENT_MIB, MEMORY_CHECK_INTERVAL="100ms")
    large = fill(server)
    count = sum(CROWD.values())
    Honest(server.port, users=4, requests=100)  # what is done once only
    quiet = Honest(server.port, users=4, requests=100).p95()
    before = server.rss_bytes()
    with slow_crowd(server.port, large, **CROWD):
        wait_until(lambda: metric(server, "http_connections_open") > count * 0.9)
        wait_until(lambda: metric(server, "http_unsent_dropped_total") > 0)
        crowded = Honest(server.port, users=4, requests=100).p95()
        assert metric(server, "http_connections_open") > count * 0.9
        assert metric(server, "http_unsent_bytes") < (UNSENT_MIB + 2) * MIB
        assert server.rss_bytes() - before < UNSENT_MIB * MIB * 5 / 4 + count * EACH_KIB * 1024
    print(f"p95 of the honest: {quiet * 1e3:.1f} ms, among slow ones {crowded * 1e3:.1f} ms")
    assert crowded < max(10 * quiet, busy())
    wait_until(lambda: metric(server, "http_connections_open") == 1)
    wait_until(lambda: server.rss_bytes() < before + RETURNED_MIB * MIB)
    sizes = (size / MIB for size in (before, server.peak_bytes(), server.rss_bytes()))
    print("resident before, at most and afterwards: {:.0f}, {:.0f}, {:.0f} MiB".format(*sizes))
