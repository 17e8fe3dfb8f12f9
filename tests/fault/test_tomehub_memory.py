"""When memory runs short: the ladder's steps in their order, work refused and taken up again, the
worker replaced."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.http import JsonClient
from support.ingest import finished, text_of, wait_until
from support.keepalive import KeepAliveLoad
from support.ports import free_port
from support.server import Server, ServerOptions

MIB = 1 << 20
STEPS = ["cache", "limits", "streams", "sqlite", "heap"]  # at warning
STEPS += ["rest of the cache", "ingest", "heavy work"]  # at critical
STREAMS = 200


def health(server: Server) -> str:
    with JsonClient(server.port) as client:
        return str(client.get("/api/health/memory").json["health"])


def steps(server: Server) -> list[str]:
    """The names of the ladder's steps done, in their order, repetitions not counted."""
    return re.findall(r"memory: ([a-z ]+): done, memory is", server.log())


def test_endpoints(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(MEMORY_LIMIT_MB=4096)
    with JsonClient(server.port) as client:
        answer = client.get("/api/health/memory").json
        assert set(answer) == {"status", "memory", "health"}
        assert set(answer["memory"]) == {
            *("process_rss_mb", "process_percent", "system_total_mb", "system_used_mb"),
            *("system_available_mb", "system_percent", "limit_mb", "limit_source"),
            *("pressure_some_avg10", "timestamp"),
        }
        assert answer["status"] == "ok" and answer["health"] == "ok"
        rss = server.rss_bytes() / MIB
        assert 0.5 * rss < answer["memory"]["process_rss_mb"] < 2 * rss
        answer = client.get("/api/health/restart").json
        figures = answer["memory"]
        assert answer["status"] == "ok" and figures["restart_requested"] is False
        assert figures["warning_threshold"] == 75 and figures["critical_threshold"] == 85
        assert 0 < figures["current_percent"] < 100 and 0 < figures["recent_average"] < 100


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"MEMORY_WARNING_THRESHOLD": "0.85"}, "MEMORY_WARNING_THRESHOLD"),
        ({"MEMORY_CRITICAL_THRESHOLD": "70"}, "must be below MEMORY_CRITICAL_THRESHOLD=70"),
    ],
)
def test_wrong_thresholds_stop_the_start(
    start_tomehub: Callable[..., Server], settings: dict[str, str], told: str
) -> None:
    server = start_tomehub(ready=False, **settings)
    assert server.wait_exit() == 1
    assert told in server.log()
    server.process = None


def test_heavy_work_is_refused_and_the_rest_served(start_tomehub: Callable[..., Server]) -> None:
    # It has more than that already.
    server = start_tomehub(ready=False, MEMORY_LIMIT_MB=16, MEMORY_RESTART_DELAY="0s")
    server.wait_log("heavy work: done")
    server.wait_log("The worker is not replaced: what fills the memory is not what it has grown by")
    assert steps(server)[: len(STEPS)] == STEPS
    with JsonClient(server.port) as client:
        for answer in (
            client.get("/api/export"),
            client.upload("/api/ingest", "a.txt", b"Some words."),
            client.get("/api/search/stream", q="word"),
            client.post("/api/content/batch", {"ids": [1]}),
        ):
            assert answer.status == 503 and 10 <= int(answer.headers["retry-after"]) < 30
            assert answer.json["error"] == "Server is short of memory, please retry"
        assert client.get("/readyz").status == 503
        assert client.get("/livez").status == 200
        assert client.get("/api/search", q="word").status == 200
        assert client.get("/api/health").json["checks"]["memory"]["status"] == "failing"
        assert client.get("/api/health/streams").json["streams"]["max_concurrent"] == 4
        metrics = client.get("/metrics").text
        assert "\nmemory_level 2\n" in metrics
        assert 'memory_steps_total{step="heavy work"} 1' in metrics
    assert len(re.findall("Memory is critical", server.log())) == 1
    assert "MAX_CONCURRENT_STREAMS 8 for 100" in server.log()


# ---- In a cgroup ----

CGROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


class MemoryCgroup:
    """A cgroup of the test's own, version 1 or 2."""

    def __init__(self, parent: Path) -> None:
        self.is_first = (parent / "memory.limit_in_bytes").exists()
        self.folder = parent / f"bulkhead-test-{os.getpid()}-{free_port()}"
        self.folder.mkdir()
        self.limit = 0

    @property
    def enter(self) -> str:
        """A shell command."""
        return f"echo $$ >{self.folder}/cgroup.procs"

    def set_limit(self, size: int) -> None:
        self.limit = size
        name = "memory.limit_in_bytes" if self.is_first else "memory.max"
        (self.folder / name).write_text(str(size))

    def used(self) -> int:
        """What cannot be dropped."""
        usage, prefix = (
            ("memory.usage_in_bytes", "total_") if self.is_first else ("memory.current", "")
        )
        stat = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        files = int(stat[prefix + "inactive_file"]) + int(stat[prefix + "active_file"])
        return int((self.folder / usage).read_text()) - files

    def kills(self) -> int:
        name = "memory.oom_control" if self.is_first else "memory.events"
        found = re.search(r"^oom_kill (\d+)", (self.folder / name).read_text(), re.M)
        assert found
        return int(found.group(1))

    def remove(self) -> None:
        wait_until(lambda: not (self.folder / "cgroup.procs").read_text())
        self.folder.rmdir()


@pytest.fixture
def cgroup() -> Iterator[MemoryCgroup]:
    for parent in CGROUPS:
        try:
            group = MemoryCgroup(parent)
            group.set_limit(1 << 40)
        except OSError:
            continue
        try:
            yield group
        finally:
            group.remove()
        return
    pytest.skip("no memory cgroup can be made here")


@pytest.fixture
def start_in_cgroup(
    cgroup: MemoryCgroup, tomehub_binary: Path, library_dir: Path, tmp_path: Path, sanitizer: str
) -> Iterator[Callable[..., Server]]:
    """Starts a supervised server that lives in the cgroup, within a limit that stands before it
    comes. Thresholds and interval are the usual ones."""
    if sanitizer != "none":
        pytest.skip("a sanitizer takes more memory than what is measured")
    starter = tmp_path / "in-cgroup"
    starter.write_text(f'#!/bin/sh\n{cgroup.enter}\nexec {tomehub_binary} "$@"')
    starter.chmod(0o755)
    servers: list[Server] = []

    def start(limit: int, **settings: str) -> Server:
        cgroup.set_limit(limit)
        usual = {
            "SUPERVISOR": "on",
            "ACCESS_LOG": "off",
            "MAX_CONCURRENT_STREAMS": str(STREAMS),
            "STREAM_MAX_PER_CLIENT": "0",
            "MEMORY_RESTART_DELAY": "0s",
            "MEMORY_RESTART_INTERVAL": "0s",
        }
        servers.append(Server(ServerOptions(starter, library_dir, usual | settings)))
        servers[0].start()
        return servers[0]

    try:
        yield start
        servers[0].finish()
    finally:
        for server in servers:
            server.kill()


class Neighbour:
    """Another process of the cgroup, which takes memory as it is told."""

    PROGRAM = """
import sys
taken = []
for line in sys.stdin:
    taken.append(b"x" * int(line))
    print(flush=True)
"""

    def __init__(self, cgroup: MemoryCgroup) -> None:
        self.process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                f'{cgroup.enter}; exec "$@"',
                "sh",
                sys.executable,
                "-c",
                self.PROGRAM,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.cgroup = cgroup

    def take(self, size: int) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{size}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline(), "it was killed"

    def press(self, server: Server) -> None:
        """Takes memory until the server has done the last step of its ladder; never so much that
        nothing is left for what the server has in hand."""
        deadline = time.monotonic() + 60
        while "heavy work: done" not in server.log():
            assert time.monotonic() < deadline, server.log()
            if self.cgroup.used() < 0.88 * self.cgroup.limit:
                self.take(2 * MIB)
            time.sleep(0.005)

    def leave(self) -> None:
        self.process.communicate()

    def __enter__(self) -> Neighbour:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class SlowReaders:
    """Clients of the export that read nothing but the beginning."""

    def __init__(self, port: int, count: int) -> None:
        self.sockets = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(count)]
        for one in self.sockets:
            one.sendall(b"GET /api/export HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        self.statuses = Counter(one.recv(4096).split()[1] for one in self.sockets)

    def ends(self) -> set[bytes]:
        """Reads on: the last bytes of each."""
        ends = set()
        for one in self.sockets:
            tail = b""
            while piece := one.recv(1 << 20):
                tail = (tail + piece)[-7:]
            ends.add(tail)
        return ends

    def close(self) -> None:
        for one in self.sockets:
            one.close()


def upload_at_once(port: int, names: list[str]) -> list[int]:
    """Uploads a file of some megabytes for each name, all at the same time; their jobs."""

    def upload(name: str) -> int:
        with JsonClient(port, timeout=60) as client:
            answer = client.upload("/api/ingest", f"{name}.txt", text_of(name, 30000).encode())
            assert answer.status == 202, answer.text
            return int(answer.json["job_id"])

    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(upload, names))


def bounds(client: JsonClient) -> tuple[int, int, int]:
    """What the server allows itself at the time: cache, admission of streams, streams."""
    metrics = client.get("/metrics").text
    cache = re.search(r"^cache_maximum_bytes{.*} (\d+)$", metrics, re.M)
    admission = re.search(r'^admission_limit{class="stream"} (\d+)$', metrics, re.M)
    assert cache and admission
    streams = client.get("/api/health/streams").json["streams"]["max_concurrent"]
    return int(cache.group(1)), int(admission.group(1)), int(streams)


def states(client: JsonClient, jobs: list[int]) -> Counter[str]:
    return Counter(client.get(f"/api/ingest/{job}").json["status"] for job in jobs)


@pytest.mark.alone
def test_a_crowd_in_a_small_container(
    start_in_cgroup: Callable[..., Server], cgroup: MemoryCgroup
) -> None:
    server = start_in_cgroup(160 * MIB)
    assert "To fit into 160 MB (cgroup1)" in server.log() or "(cgroup2" in server.log()
    with JsonClient(server.port, timeout=60) as client, Neighbour(cgroup) as neighbour:
        client.ingest_text("Long", text_of("memoryword", 30000))
        assert bounds(client) == (40 * MIB, 160, 80)
        readers = SlowReaders(server.port, STREAMS)
        assert readers.statuses == {b"200": 80, b"503": STREAMS - 80}
        neighbour.take(int(0.65 * cgroup.limit) - cgroup.used())
        jobs = upload_at_once(server.port, [f"upload{n}" for n in range(8)])
        neighbour.press(server)
        assert steps(server)[: len(STEPS)] == STEPS
        server.wait_log("The worker is not replaced: no room for a second worker beside this one")
        assert bounds(client) == (40 * MIB // 16, 80, 40)
        assert client.upload("/api/ingest", "a.txt", b"Some words.").status == 503
        assert client.get("/api/search", q="memoryword").status == 200, "the rest is served"
        wait_until(lambda: set(states(client, jobs)) <= {"queued", "done"})
        held = states(client, jobs)["queued"]
        assert held > 0 and all(states(client, jobs)["queued"] == held for _ in range(50))
        readers.close()
        neighbour.leave()
        wait_until(lambda: health(server) == "ok")
        assert bounds(client) == (40 * MIB, 160, 80)
        assert all(finished(client, job)["status"] == "done" for job in jobs)
        assert client.get("/readyz").status == 200
        assert client.get("/api/search", q="upload3").json["total_count"] > 0
    assert cgroup.kills() == 0 and len(server.workers()) == 1
    assert "was ended by" not in server.log()


@pytest.mark.alone
def test_a_replacement_under_load(
    start_in_cgroup: Callable[..., Server], cgroup: MemoryCgroup
) -> None:
    server = start_in_cgroup(400 * MIB, MEMORY_CRITICAL_THRESHOLD="80")
    first = server.workers()
    with JsonClient(server.port, timeout=60) as client:
        client.ingest_text("Long", text_of("memoryword", 10000))
    with Neighbour(cgroup) as neighbour, KeepAliveLoad(server.port, "/api/books", 200) as load:
        readers = SlowReaders(server.port, STREAMS)
        assert readers.statuses == {b"200": STREAMS}
        neighbour.press(server)
        server.wait_log(r"Started worker \d+ \(memory is critical\)")
        neighbour.leave()
        replaced = server.wait_log(r"Worker (\d+) has replaced (\d+)")
        assert int(replaced.group(2)) in first
        before = load.answers
        wait_until(lambda: load.answers >= before + 3 * load.count)
    assert readers.ends() == {b"\r\n0\r\n\r\n"}, "each stream has come to its end"
    readers.close()
    wait_until(lambda: len(server.workers()) == 1)
    assert load.failures == [] and load.refused == 0
    assert steps(server)[: len(STEPS)] == STEPS
    wait_until(lambda: health(server) == "ok")  # the new worker may have seen the neighbour yet
    assert cgroup.kills() == 0
