"""A crowd of clients that ask for nothing quickly: `slow_crowd(port, path, head=…, body=…, …)`.

It is a process of its own, so that it takes no time from the honest clients of the test. Whoever
is thrown out comes again, so that there are always as many.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEAD = b"GET /api/books HTTP/1.1\r\nHost: t\r\nX-Drip: "
BODY = (
    b"POST /api/search HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    b'Content-Length: 60000\r\n\r\n{"query": "'
)
PERIOD_SECONDS = 1.0  # each says or reads so little as often
BATCH = 200  # that do something at a time


class Crowd:
    """Its clients by their descriptors, each with what it is."""

    def __init__(self, port: int, reader_path: str) -> None:
        self.port = port
        self.asking = f"GET {reader_path} HTTP/1.1\r\nHost: t\r\n\r\n".encode()
        self.clients: dict[int, tuple[socket.socket, str]] = {}
        self.poll = select.epoll()
        self.came = 0

    def come(self, kind: str) -> None:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", self.port))
        client.setblocking(False)
        client.send({"head": HEAD, "body": BODY}.get(kind, self.asking))
        self.clients[client.fileno()] = (client, kind)
        self.came += 1
        # A reader sees only that it was broken off; the others also whatever they are told.
        wanted = select.EPOLLRDHUP if kind in ("trickle", "stop") else select.EPOLLIN
        self.poll.register(client.fileno(), wanted)

    def leave(self, descriptor: int) -> str:
        client, kind = self.clients.pop(descriptor)
        self.poll.unregister(descriptor)
        client.close()
        return kind

    def drip(self, client: socket.socket, kind: str) -> bool:
        """False: it was thrown out."""
        try:
            if kind == "trickle":
                return client.recv(5) != b""
            if kind != "stop":
                client.send(b"x")
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def turn(self) -> None:
        """What all of them do in a period, a few at a time: they do not know of each other."""
        begun = time.monotonic()
        descriptors = list(self.clients)
        for at in range(0, len(descriptors), BATCH):
            some = [d for d in descriptors[at : at + BATCH] if d in self.clients]
            thrown_out = {d for d in some if not self.drip(*self.clients[d])}
            thrown_out.update(d for d, _ in self.poll.poll(0, 10000))
            for kind in [self.leave(descriptor) for descriptor in thrown_out]:
                self.come(kind)
            until = begun + PERIOD_SECONDS * min(1.0, (at + BATCH) / len(descriptors))
            time.sleep(max(0.0, until - time.monotonic()))


def main() -> None:
    """Arguments: port, path of a large answer, how many of each kind. Says how many it was when all
    have come, and goes on until its standard input ends."""
    port, path, counts = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    crowd = Crowd(port, path)
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    for number, kind in enumerate(kinds, 1):
        crowd.come(kind)
        if number % BATCH == 0:
            time.sleep(0.01)
    print(len(crowd.clients), flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        crowd.turn()


@contextmanager
def slow_crowd(port: int, reader_path: str, **counts: int) -> Iterator[None]:
    """`head`, `body`: who sends so slowly; `trickle`: reads a few bytes a second; `stop`: reads
    nothing. All of them are there when it begins."""
    needed = sum(counts.values()) + 100
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def allow_descriptors() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), max(hard, needed)))

    command = [sys.executable, __file__, str(port), reader_path, json.dumps(counts)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=allow_descriptors,
        cwd=Path(__file__).parent,
    )
    assert process.stdin and process.stdout
    try:
        assert int(process.stdout.readline()) == sum(counts.values())
        yield
    finally:
        process.stdin.close()
        assert process.wait(60) == 0
        process.stdout.close()


if __name__ == "__main__":
    main()
