"""Clients that write and read through a balancer, each its own book, and must always find what they
have written, whichever server answers."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from support.http import JsonClient
from support.http_layer import wait_until

BOOKS = 4
SECONDS = 60.0


class OwnWrites:
    """`running` starts them; what went wrong is told as STATUS TEXT, 0: there was no answer."""

    READS = ("/api/content/{chunk}", "/api/books/{book}", "/api/search?q=clover&book_id={book}")

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = threading.Event()
        self.reads = self.writes = 0
        self.failed_reads: list[str] = []
        self.failed_writes: list[str] = []
        self.old: list[str] = []
        with JsonClient(port) as client:
            self.books = [client.ingest_text("0", f"Clover {n}.") for n in range(BOOKS)]

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """A new connection now and then; 0: none, or it broke off."""
        try:
            with JsonClient(self.port) as client:
                answer = client.send(method, path, body) if body else client.get(path)
                return answer.status, answer.text
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)

    def run(self, book: int) -> None:
        dice = random.Random(book)
        value = 0
        while not self.over.is_set():
            value += 1
            path = f"/api/books/{book}"
            status, text = self.ask("PATCH", path, {"title": f"<{value}>"})
            self.writes += 1
            if status != 200:
                self.failed_writes.append(f"{status} {text}")
                continue
            for read in dice.sample(self.READS, 2):
                path = read.format(book=book, chunk=book << 20)
                status, text = self.ask("GET", path)
                self.reads += 1
                if status != 200:
                    self.failed_reads.append(f"{path}: {status} {text}")
                elif f"<{value}>" not in text:
                    self.old.append(f"{path}: no <{value}> in {text}")
            self.over.wait(dice.random() * 0.1)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.run, args=(book,)) for book in self.books]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def go_on(self, count: int = 40) -> None:
        """Until so many more requests were answered."""
        wanted = self.reads + count
        wait_until(lambda: self.reads >= wanted, SECONDS)
