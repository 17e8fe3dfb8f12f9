"""When memory runs short: the ladder's steps in their order, work refused and taken up again, the
worker replaced."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.cgroup import MIB, MemoryCgroup, Neighbour, SlowReaders
from support.http import JsonClient
from support.ingest import finished, text_of, wait_until
from support.keepalive import KeepAliveLoad
from support.server import Server

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
        cache, admission, streams = bounds(client)
        assert (cache, streams) == (40 * MIB, 80)
        assert admission <= 160  # less where a loop was late meanwhile
        readers = SlowReaders(server.port, STREAMS)
        assert readers.statuses == {b"200": 80, b"503": STREAMS - 80}
        neighbour.take(int(0.65 * cgroup.limit) - cgroup.used())
        jobs = upload_at_once(server.port, [f"upload{n}" for n in range(8)])
        neighbour.press(server)
        assert steps(server)[: len(STEPS)] == STEPS
        server.wait_log("The worker is not replaced: no room for a second worker beside this one")
        cache, admission, streams = bounds(client)
        assert (cache, streams) == (40 * MIB // 16, 40)
        assert admission <= 80  # less where a loop was late meanwhile
        assert client.upload("/api/ingest", "a.txt", b"Some words.").status == 503
        assert client.get("/api/search", q="memoryword").status == 200, "the rest is served"
        wait_until(lambda: set(states(client, jobs)) <= {"queued", "done"})
        held = states(client, jobs)["queued"]
        assert held > 0 and all(states(client, jobs)["queued"] == held for _ in range(50))
        readers.close()
        neighbour.leave()
        wait_until(lambda: health(server) == "ok")
        cache, _, streams = bounds(client)
        assert (cache, streams) == (40 * MIB, 80)
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
