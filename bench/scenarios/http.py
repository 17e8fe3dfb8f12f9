"""`/api/health/live` beside a bare libuv responder that sends the same bytes, without access log.

wrk, the server and the responder share the machine's cores; the two are measured in turn, both
being up all the time. Idle connections have each had one answer.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness import Bench, Row, at_most, free_port, interleave, ratio
from load import ab_failures, allow_files, idle_connections, wrk

PATH = "/api/health/live"
CONNECTIONS = (64, 512)
RATIO_MINIMUM = 0.85
IDLE_CONNECTIONS = 10_000
IDLE_MB_MAXIMUM = 60
WARM_UP_SECONDS = 1


def run(bench: Bench) -> list[Row]:
    allow_files(IDLE_CONNECTIONS + 2000)
    server = bench.server(bench.work / "empty")
    try:
        rows = throughput(bench, server.port)
        failures = ab_failures(f"{server.url}/api/health", requests=1000, connections=100)
        rows.append(at_most("ab -n 1000 -c 100 /api/health, failures", failures, "", 0))
        with idle_connections(server.port, IDLE_CONNECTIONS, PATH):
            megabytes = server.rss_bytes() / 1e6
        rows.append(at_most("10,000 idle connections, RSS", megabytes, "MB", IDLE_MB_MAXIMUM))
        server.finish()
    finally:
        server.kill()
    return rows


def throughput(bench: Bench, port: int) -> list[Row]:
    rows = []
    with responder(bench, whole_response(port)) as limit_port:
        ours, limit = (f"http://127.0.0.1:{number}{PATH}" for number in (port, limit_port))
        for connections in CONNECTIONS:
            for url in (ours, limit):
                wrk(url, connections, WARM_UP_SECONDS)
            rounds = interleave(
                bench.rounds,
                lambda: wrk(ours, connections, bench.seconds),
                lambda: wrk(limit, connections, bench.seconds),
            )
            name = f"GET {PATH}, {connections} connections, requests/s"
            rows.append(ratio(name, rounds, RATIO_MINIMUM))
            bench.say(f"{connections} connections: {rows[-1].value:.2f}")
    return rows


def whole_response(port: int) -> bytes:
    """Head and body as wrk gets them."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", PATH)
    body_size = len(connection.getresponse().read())
    connection.close()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        raw.sendall(f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        answer = b""
        while len(answer.partition(b"\r\n\r\n")[2]) < body_size:
            answer += raw.recv(4096)
    return answer


@contextmanager
def responder(bench: Bench, response: bytes) -> Iterator[int]:
    """The bare responder, with as many threads as there are cores."""
    path = bench.work / "response"
    path.write_bytes(response)
    port = free_port()
    command = [str(bench.limit("responder")), str(port), str(os.cpu_count()), str(path)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
        yield port
    finally:
        process.kill()
        process.wait()
