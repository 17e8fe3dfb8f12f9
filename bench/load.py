"""Load on a server on 127.0.0.1: wrk, ab, and many idle connections."""

from __future__ import annotations

import re
import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = 2


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


def ab_failures(url: str, requests: int, connections: int) -> int:
    """Requests that failed, or were answered with anything but 2xx."""
    command = ["ab", "-q", "-n", str(requests), "-c", str(connections), url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = re.findall(r"^(?:Failed requests|Non-2xx responses):\s+(\d+)", output, re.MULTILINE)
    complete = re.search(r"^Complete requests:\s+(\d+)", output, re.MULTILINE)
    assert complete, output
    return sum(map(int, counts)) + requests - int(complete.group(1))


def allow_files(count: int) -> None:
    """Raises this process's limit of open files, which the servers it starts inherit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))  # root may
    elif soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


@contextmanager
def idle_connections(port: int, count: int, path: str) -> Iterator[None]:
    """Keep-alive connections, each of which has had one request answered and now is idle."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    sockets = []
    try:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
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
    except BlockingIOError:
        return False
