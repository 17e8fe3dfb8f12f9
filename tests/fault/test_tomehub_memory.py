"""When memory runs short: the ladder's steps in their order, work refused and taken up again, the
worker replaced."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.http import JsonClient
from support.ingest import finished, text_of, wait_until
from support.ports import free_port
from support.server import Server, ServerOptions

MIB = 1 << 20
STEPS = ["cache", "limits", "streams", "sqlite", "heap"]  # at warning
STEPS += ["rest of the cache", "ingest", "heavy work"]  # at critical
SOON = {"MEMORY_CHECK_INTERVAL": "50ms"}


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
    server = start_tomehub(MEMORY_LIMIT_MB=1, **SOON)  # it has more than that already
    server.wait_log("heavy work: done")
    assert steps(server)[: len(STEPS)] == STEPS
    with JsonClient(server.port) as client:
        for answer in (
            client.get("/api/export"),
            client.upload("/api/ingest", "a.txt", b"Some words."),
        ):
            assert answer.status == 503 and 10 <= int(answer.headers["retry-after"]) < 30
            assert answer.json["error"] == "Server is short of memory, please retry"
        assert client.get("/readyz").status == 503
        assert client.get("/livez").status == 200
        assert client.get("/api/search", q="word").status == 200
        assert client.get("/api/health").json["checks"]["memory"]["status"] == "failing"
        assert client.get("/api/health/streams").json["streams"]["max_concurrent"] == 50
        metrics = client.get("/metrics").text
        assert "\nmemory_level 2\n" in metrics
        assert 'memory_steps_total{step="heavy work"} 1' in metrics
    assert len(re.findall("Memory is critical", server.log())) == 1


# ---- In a cgroup ----

CGROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


class MemoryCgroup:
    """A cgroup of the test's own, version 1 or 2, whose limit can be moved."""

    def __init__(self, parent: Path) -> None:
        self.is_first = (parent / "memory.limit_in_bytes").exists()
        self.folder = parent / f"bulkhead-test-{os.getpid()}-{free_port()}"
        self.folder.mkdir()

    def set_limit(self, size: int) -> None:
        name = "memory.limit_in_bytes" if self.is_first else "memory.max"
        (self.folder / name).write_text(str(size))

    def press(self, share: float) -> None:
        """Makes what is used now that share of the limit."""
        self.set_limit(int(self.used() / share))

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
def server(
    cgroup: MemoryCgroup, tomehub_binary: Path, library_dir: Path, tmp_path: Path
) -> Iterator[Server]:
    """A supervised server that lives in the cgroup from its first moment."""
    starter = tmp_path / "in-cgroup"
    starter.write_text(
        f'#!/bin/sh\necho $$ >{cgroup.folder}/cgroup.procs\nexec {tomehub_binary} "$@"'
    )
    starter.chmod(0o755)
    settings = SOON | {
        "SUPERVISOR": "on",
        "ACCESS_LOG": "off",
        "MAX_CONCURRENT_STREAMS": "200",
        "STREAM_MAX_PER_CLIENT": "0",
        "MEMORY_WARNING_THRESHOLD": "50",  # what is in hand may need some more
        "MEMORY_CRITICAL_THRESHOLD": "60",
        "MEMORY_RESTART_DELAY": "1s",
        "MEMORY_RESTART_INTERVAL": "0",
        "SHUTDOWN_TIMEOUT": "5s",
        "INGEST_WORKERS": "1",
    }
    server = Server(ServerOptions(starter, library_dir, settings))
    server.start()
    try:
        yield server
        server.finish()
    finally:
        server.kill()


class SlowReaders:
    """Clients of the export that read nothing but the beginning."""

    def __init__(self, port: int, count: int) -> None:
        self.sockets = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(count)]
        for one in self.sockets:
            one.sendall(b"GET /api/export HTTP/1.1\r\nHost: test\r\n\r\n")
        self.heads = [one.recv(4096) for one in self.sockets]

    def close(self) -> None:
        for one in self.sockets:
            one.close()


@pytest.mark.alone
def test_the_ladder_in_a_cgroup(server: Server, cgroup: MemoryCgroup) -> None:
    first = server.workers()
    text = text_of("memoryword", 30000)
    with JsonClient(server.port, timeout=60) as client:
        client.ingest_text("Long", text)
        idle = cgroup.used()
        readers = SlowReaders(server.port, 200)
        assert all(head.startswith(b"HTTP/1.1 200") for head in readers.heads)
        job = client.upload("/api/ingest", "next.txt", text_of("nextword", 30000).encode()).json
        # With streams and ingest under way, the limit comes down: memory is critical at once.
        wait_until(lambda: cgroup.used() > idle + 32 * MIB)
        for _ in range(1000):
            if "heavy work: done" in server.log():
                break
            cgroup.press(0.65)
            time.sleep(0.02)
        assert client.get("/api/search", q="memoryword").status == 200, "the rest is served"
    server.wait_log(r"Started worker \d+ \(memory is critical\)")
    replaced = server.wait_log(r"Worker (\d+) has replaced (\d+)")
    assert int(replaced.group(2)) in first
    assert steps(server)[: len(STEPS)] == STEPS
    readers.close()
    wait_until(lambda: len(server.workers()) == 1)
    wait_until(lambda: health(server) == "ok", 60)
    with JsonClient(server.port, timeout=60) as client:
        wait_until(lambda: client.get("/readyz").status == 200)
        assert finished(client, job["job_id"])["status"] == "done"
        assert client.get("/api/search", q="nextword").json["total_count"] > 0
        wait_until(lambda: client.get("/api/export").status == 200, 60)
    assert cgroup.kills() == 0
