"""What the tests of the HTTP layer share: requests, and what the test server has seen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from support.http import RawHttp
from support.server import Server


def get(path: str, *fields: str, version: str = "1.1") -> bytes:
    """A GET with Host and the given field lines."""
    lines = [f"GET {path} HTTP/{version}", "Host: test", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def post(path: str, body: bytes, *fields: str) -> bytes:
    """A POST with its length."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def post_chunks(path: str, coded: bytes, *fields: str) -> bytes:
    """A POST in the chunked coding; `coded` is its body as it goes out."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", "Transfer-Encoding: chunked", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + coded


def chunks(*pieces: bytes) -> bytes:
    coded = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return coded + b"0\r\n\r\n"


def counts(server: Server) -> dict[str, int]:
    """`waiting`, `canceled`, `streamed`: what the test server's handlers have counted."""
    answer = RawHttp(server.port).answer(get("/counts"))
    values: dict[str, int] = json.loads(answer.body)
    return values


def metric(server: Server, name: str) -> float:
    """The value of a sample, by its name with labels."""
    answer = RawHttp(server.port).answer(get("/metrics"))
    for line in answer.text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no metric {name}")


def has_plain_memory(server: Server) -> bool:
    """Whether its resident memory is its own: sanitizers add a lot of theirs."""
    return not {"asan", "tsan"} & set(server.options.binary.parts)


def wait_until(is_true: Callable[[], bool], seconds: float = 60) -> float:
    """Waits for a condition; returns how long that took."""
    start = time.monotonic()
    while not is_true():
        assert time.monotonic() - start < seconds, "the awaited did not happen"
        time.sleep(0.002)
    return time.monotonic() - start
