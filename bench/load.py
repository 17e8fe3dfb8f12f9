"""Load on a server on 127.0.0.1: wrk, ab, handshakes, and many idle connections."""

from __future__ import annotations

import re
import resource
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

THREADS = 2
TIMEOUT_SECONDS = 30  # of an answer
HANDSHAKERS = 4  # processes
SCRIPT = Path(__file__).resolve().parent / "peers" / "load.lua"


@dataclass(frozen=True)
class Load:
    """What one measurement under load found. Latencies in milliseconds."""

    rate: float  # a second, without those that failed
    p50: float
    p95: float
    p99: float
    failed: int = 0  # requests: another answer than 2xx or 3xx, broken connections, time-outs


def wrk(url: str, connections: int, seconds: int) -> float:
    """Requests per second; an answer other than 2xx, or a broken connection, is an error."""
    command = ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds}s", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bad = re.search(r"(Non-2xx.*|Socket errors.*)", output)
    if bad and not re.search(r"connect 0, read 0, write 0, timeout 0", bad.group()):
        raise RuntimeError(f"{url}: {bad.group()}")
    match = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert match, output
    return float(match.group(1))


def wrk_requests(port: int, requests: Path, connections: int, seconds: int) -> Load:
    """The requests in a file (see peers/load.lua), over and over."""
    command = ["wrk", f"-t{THREADS}", f"-c{connections}", f"-d{seconds}s"]
    command += [f"--timeout={TIMEOUT_SECONDS}s", "-s", str(SCRIPT)]
    command += [f"http://127.0.0.1:{port}", "--", str(requests)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.search(r"^load: (\S+) (\S+) (\S+) (\S+) (\d+)$", output, re.MULTILINE)
    assert match, output
    rate, p50, p95, p99, failed = map(float, match.groups())
    return Load(rate, p50, p95, p99, int(failed))


def ab_failures(url: str, requests: int, connections: int) -> int:
    """Requests that failed, or were answered with anything but 2xx."""
    command = ["ab", "-q", "-n", str(requests), "-c", str(connections), url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = re.findall(r"^(?:Failed requests|Non-2xx responses):\s+(\d+)", output, re.MULTILINE)
    complete = re.search(r"^Complete requests:\s+(\d+)", output, re.MULTILINE)
    assert complete, output
    return sum(map(int, counts)) + requests - int(complete.group(1))


def handshakes(port: int, path: str, seconds: int, resumed: bool) -> float:
    """TLS 1.3 connections per second, each for one answer; every one resumes a session, or none."""
    command = ["openssl", "s_time", "-tls1_3", "-connect", f"127.0.0.1:{port}", "-www", path]
    command += ["-time", str(seconds), "-reuse" if resumed else "-new"]
    begun = time.monotonic()
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(HANDSHAKERS)
    ]
    outputs = [process.communicate() for process in processes]
    elapsed = time.monotonic() - begun
    count = 0
    for output, errors in outputs:
        # A letter for each: r when it was resumed.
        marks = re.search(r"^([r*]+)$", output, re.MULTILINE)
        if not marks or ("r" in marks.group()) != resumed or ("*" in marks.group()) == resumed:
            raise RuntimeError(f"{' '.join(command)}: {errors or output}")
        count += len(marks.group())
    return count / elapsed


def allow_files(count: int) -> None:
    """Raises this process's limit of open files, which the servers it starts inherit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))  # root may
    elif soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


@contextmanager
def idle_connections(
    port: int, count: int, path: str, tls: ssl.SSLContext | None = None
) -> Iterator[None]:
    """Keep-alive connections, each of which has had one request answered and now is idle."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            if tls:
                connection = tls.wrap_socket(connection, server_hostname="localhost")
            sockets.append(connection)
            connection.sendall(request)
            answer = connection.recv(4096)
            if b" 200 " not in answer[:16]:
                raise RuntimeError(f"connection {len(sockets)}: {answer[:80]!r}")
        yield
        closed = sum(is_closed(connection) for connection in sockets)
        if closed:
            raise RuntimeError(f"{closed} of {count} idle connections were closed")
    finally:
        for connection in sockets:
            connection.close()


def is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
