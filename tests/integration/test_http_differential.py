"""Whatever the HTTP layer accepts, a second parser (Node's) must read the same way: the same
requests, in the same order, with the same bodies. Otherwise requests could be smuggled past a
proxy. The inputs are requests with a few seeded mutations each."""

from __future__ import annotations

import itertools
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.server import Server

SEED = 20260501
MUTANTS = 1500

BASES = [
    b"GET /raw/a?q=1 HTTP/1.1\r\nHost: a\r\nX-Test: one\r\n\r\n",
    b"POST /raw/b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-Test: two\r\n\r\nhello",
    b"POST /raw/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n",
    b"GET http://a/raw/d HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /raw/e HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc",
]
FOLLOWER = b"GET /raw/follower HTTP/1.1\r\nHost: a\r\n\r\n"
FRAGMENTS = [
    *(bytes([byte]) for byte in b"\r\n \t\0\x0b\x7f\x80:;,+-0159aAxX/?#%*\"'"),
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r\n ",
    b"Content-Length: 3\r\n",
    b"Content-Length: 5\r\n",
    b"content-length:0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Host: b\r\n",
    b"X-Test: x\r\n",
    b"0\r\n\r\n",
    b"1\r\na\r\n",
    b"HTTP/1.0",
    b"GET /raw/x HTTP/1.1\r\nHost: a\r\n\r\n",
]


def mutant(random_source: random.Random) -> bytes:
    data = bytearray(random_source.choice(BASES) + random_source.choice([b"", FOLLOWER]))
    for _ in range(random_source.randint(1, 3)):
        at = random_source.randrange(len(data) + 1)
        kind = random_source.random()
        fragment = random_source.choice(FRAGMENTS)
        if kind < 0.3 and fragment.endswith(b"\r\n"):
            line_ends = [match.end() for match in re.finditer(rb"\r\n", bytes(data))] or [0]
            at = random_source.choice(line_ends)
        if kind < 0.6:
            data[at:at] = fragment
        elif kind < 0.85:
            data[at : at + random_source.randint(1, 3)] = fragment
        else:
            del data[at : at + random_source.randint(1, 5)]
    return bytes(data) + FOLLOWER


def exchange(port: int, data: bytes) -> str:
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                answer += more
        except OSError:
            pass  # refused, and closed before all was sent
    return answer.decode("latin-1")


def our_reading(port: int, data: bytes) -> list[str | None]:
    """What each request was understood as; None for one that was refused."""
    readings: list[str | None] = []
    for answer in re.split(r"^(?=HTTP/1\.1 \d)", exchange(port, data), flags=re.M)[1:]:
        if not answer.startswith("HTTP/1.1 100"):
            is_taken = answer.startswith("HTTP/1.1 200")
            readings.append(answer.partition("\r\n\r\n")[2].strip("\n") if is_taken else None)
    return readings


def second_reading(port: int, data: bytes) -> tuple[list[str], bool]:
    """The same by Node, and whether it refused what follows."""
    lines = exchange(port, data).splitlines()
    return [line for line in lines if line != "refused"], "refused" in lines


@pytest.fixture(scope="module")
def second_port() -> Iterator[int]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    script = Path(__file__).resolve().parent.parent / "support" / "second_parser.mjs"
    with subprocess.Popen([node, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        yield int(process.stdout.readline())
        process.stdin.close()


def test_what_is_accepted_is_read_the_same_by_a_second_parser(
    start_http: Callable[..., Server], second_port: int
) -> None:
    server = start_http(RAW=1)
    random_source = random.Random(SEED)
    compared = 0
    for _ in range(MUTANTS):
        data = mutant(random_source)
        ours = our_reading(server.port, data)
        theirs, is_refused = second_reading(second_port, data)
        for our, their in zip(ours, theirs):
            if our is None:
                break
            assert our == their, data
            compared += 1
        accepted = list(itertools.takewhile(lambda reading: reading is not None, ours))
        assert len(accepted) <= len(theirs) or is_refused, data
    assert compared > MUTANTS / 3, "too few to tell anything"
