"""What statements cost: the admin route, slow and repeated ones in the log, `tomehub profile`, the
health of the connections; and which requests the access log tells of."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.database import Database
from support.http import JsonClient
from support.ingest import wait_until
from support.ports import free_port
from support.process import CommandResult, environment
from support.server import Server

# What a search of one word is: on SQLite one run, on PostgreSQL this statement and another.
SEARCH_NAMES = {"sqlite": "search", "postgresql": "search_postings"}
SEARCH_TEXTS = {"sqlite": "search", "postgresql": "SELECT o.generation, "}


@pytest.fixture
def search_name(database: Database) -> str:
    return SEARCH_NAMES[database.name]


@pytest.fixture
def search_text(database: Database) -> str:
    return SEARCH_TEXTS[database.name]


@pytest.fixture
def tomehub(start_tomehub: Callable[..., Server]) -> Server:
    """Keeps no answers: each request is to run its statements."""
    return start_tomehub(CACHE_ENABLED="off")


def queries(client: JsonClient, **parameters: object) -> dict[str, Any]:
    """The statements by name."""
    answer = client.get("/api/admin/queries", **({"top": 513} | parameters))
    assert answer.status == 200, answer.text
    return {query["name"]: query for query in answer.json["queries"]}


def lines(server: Server, text: str) -> list[str]:
    return [line for line in server.log().splitlines() if text in line]


def test_figures(client: JsonClient, search_name: str) -> None:
    client.ingest_text("Band", "It was the speckled band.")
    before = queries(client)
    for _ in range(5):
        assert client.get("/api/search", q="speckled").json["total_count"] == 1
    assert client.get("/api/books/1").status == 200
    after = queries(client)
    search = after[search_name]
    assert search["executions"] - before.get(search_name, {}).get("executions", 0) == 5
    assert search["rows"] >= 5 and search["errors"] == 0
    assert 0 < search["mean_seconds"] <= search["maximum_seconds"] < 60
    assert 0 < search["p95_seconds"] <= search["maximum_seconds"]
    assert search["total_seconds"] >= 5 * 0.000001
    book = after["book_by_id"]
    assert re.fullmatch(r"[0-9a-f]{16}", book["fingerprint"])
    assert book["sql"].startswith("SELECT b.id") and "\n" not in book["sql"]
    assert {"begin", "commit"} <= set(after)
    metrics = client.get("/metrics").text
    assert f'db_query_duration_seconds_count{{statement="{search_name}"}}' in metrics


def test_order_and_top(client: JsonClient) -> None:
    client.ingest_text("Band", "It was the speckled band.")
    keys = {"total": "total_seconds", "executions": "executions", "mean": "mean_seconds"}
    keys |= {"p95": "p95_seconds", "wait": "wait_seconds", "rows": "rows", "errors": "errors"}
    for sort, key in keys.items():
        answer = client.get("/api/admin/queries", sort=sort, top=5).json
        values = [query[key] for query in answer["queries"]]
        assert values == sorted(values, reverse=True) and len(values) == 5
        assert answer["statements"] > 5 and answer["executions"] > 5
    default = client.get("/api/admin/queries").json
    assert len(default["queries"]) == 20 and default["slow_query_seconds"] == 1


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("name", "value"),
    [("top", "0"), ("top", "514"), ("top", "many"), ("sort", "name"), ("sort", ""), ("top", "")],
)
def test_bad_parameters(client: JsonClient, name: str, value: str) -> None:
    answer = client.get("/api/admin/queries", **{name: value})
    assert answer.status == 422 and answer.json["field"] == name, answer.text


def test_slow_statements_are_logged(start_tomehub: Callable[..., Server], search_name: str) -> None:
    """With route and request id, without a word of what was asked for."""
    server = start_tomehub(SLOW_QUERY_SECONDS=0)
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
        answer = client.get("/api/search", q="speckled")
        assert queries(client)[search_name]["slow"] == 1
        slow = lines(server, f'slow statement "{search_name}"')
        assert len(slow) == 1 and f"[{answer.headers['x-request-id']} /api/search]" in slow[0]
        assert re.search(r": [0-9.e-]+ s for [1-9] rows", slow[0])
        assert "speckled" not in server.log()
        assert "db_slow_statements_total" in client.get("/metrics").text


def test_usual_statements_are_not_logged(tomehub: Server, client: JsonClient) -> None:
    client.ingest_text("Band", "It was the speckled band.")
    client.get("/api/search", q="speckled")
    assert not lines(tomehub, "slow statement")


def test_repeated_statements_are_told_once(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(QUERY_REPEAT_LIMIT=1)
    with JsonClient(server.port) as client:
        for number in range(3):
            client.ingest_text(f"Book {number}", f"Words of the book {number}.")
        for _ in range(3):
            assert client.get("/api/export").status == 200
        repeated = queries(client)["book_chapters"]
        assert repeated["repeated_requests"] == 3 and repeated["repeated_maximum"] > 1
        told = lines(server, "ran more than 1 times in one request")
        assert len([line for line in told if "/api/export]" in line]) == 1
        metrics = client.get("/metrics").text
        assert re.search(
            r'db_repeated_statements_total\{endpoint="/api/export"\} [3-9]', metrics
        ), metrics


def gauge(metrics: str, name: str, lane: str) -> float:
    match = re.search(rf'^{name}{{lane="{lane}"}} (\S+)$', metrics, re.M)
    assert match, metrics
    return float(match.group(1))


def test_health_of_the_connections(
    start_tomehub: Callable[..., Server], database: Database
) -> None:
    is_sqlite = database.name == "sqlite"
    sizes = {"DB_POOL_READ_SIZE": 3} if is_sqlite else {"DB_POOL_READ_SIZE": 3, "DB_POOL_MIN": 2}
    server = start_tomehub(**sizes, CACHE_ENABLED="off")
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
        for _ in range(30):
            client.get("/api/books/1")
        for path in ("/api/health/database", "/api/v1/health/database"):
            health = client.get(path).json
            assert health["status"] == "ok" and health["backend"] == database.name
            read, write = health["lanes"]["read"], health["lanes"]["write"]
            assert read["pool_size"] == 3
            assert health["pool_size"] == read["pool_size"] + write["pool_size"]
            assert 2 <= health["total"] <= health["pool_size"] and health["overflow"] == 0
            assert health["checked_out_connections"] <= health["total"] and health["waiting"] == 0
            assert read["acquired"] >= 60 and 1 <= read["connected"] <= 6
            assert read["reuse"] > 0.9
            assert health["timed_out"] == health["refused"] == 0
        if not is_sqlite:
            metrics = client.get("/metrics").text
            for name in ("read", "write"):
                total = gauge(metrics, "db_connections", name)
                assert 0 < gauge(metrics, "db_connections_idle", name) <= total
            assert 0.9 < gauge(metrics, "db_connection_reuse_ratio", "read") < 1


# ---- tomehub profile ----


@pytest.fixture
def busy(tomehub: Server) -> Iterator[Server]:
    """A server that is searched without pause."""
    with JsonClient(tomehub.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
    ends = threading.Event()

    def search() -> None:
        with JsonClient(tomehub.port) as client:
            while not ends.is_set():
                client.get("/api/search", q="speckled")

    thread = threading.Thread(target=search)
    thread.start()
    yield tomehub
    ends.set()
    thread.join()


def test_profile(busy: Server, command: Callable[..., CommandResult], search_text: str) -> None:
    result = command("profile", "--duration", 1, "--top", 3, PORT=busy.port)
    assert result.status == 0, result.stderr
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["Exec", "Total(s)", "Avg(s)", "SQL"]
    shown = [row.split(maxsplit=3) for row in rows if re.match(r" *\d+  ", row)]
    assert 1 <= len(shown) <= 3
    search = next(row for row in shown if row[3].startswith(search_text))
    assert int(search[0]) > 0
    assert float(search[1]) == pytest.approx(int(search[0]) * float(search[2]), rel=0.1, abs=0.001)
    assert re.search(
        r"\d+ statements?, \d+ executions?, [0-9.]+ s in the database .95% of them within", rows[-1]
    )


def test_profile_as_json(
    busy: Server, command: Callable[..., CommandResult], search_name: str
) -> None:
    result = command("profile", "-d", 1, "--json", PORT=busy.port)
    assert result.status == 0, result.stderr
    profile = json.loads(result.stdout)
    assert 0.9 < profile["duration_seconds"] < 60
    search = next(query for query in profile["queries"] if query["name"] == search_name)
    assert search["executions"] > 0 and search["rows"] >= search["executions"]
    assert 0 < search["p95_seconds"] <= profile["total_seconds"]
    assert 0 < profile["p95_seconds"] < 60


def test_profile_is_of_its_window(
    tomehub: Server, client: JsonClient, command: Callable[..., CommandResult], search_name: str
) -> None:
    """What took long before does not count; what did not run is not there."""
    for _ in range(20):
        client.get("/api/search", q="speckled band")
    result = command("profile", "-d", 1, "--json", PORT=tomehub.port)
    profile = json.loads(result.stdout)
    assert search_name not in [query["name"] for query in profile["queries"]]


def start_profile(binary: Path, directory: Path, port: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [binary, "profile", "--duration", "600"],
        cwd=directory,
        env=environment({"PORT": str(port)}, directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_signal_handler(pid: int) -> None:
    """Until the process catches SIGINT: then it watches."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)  # type: ignore[index]
        if caught & 1 << (signal.SIGINT - 1):
            return
        time.sleep(0.01)
    raise AssertionError("it does not watch")


def test_profile_ends_at_ctrl_c(
    busy: Server, tomehub_binary: Path, library_dir: Path, search_name: str, search_text: str
) -> None:
    def searches() -> int:
        with JsonClient(busy.port) as client:
            return int(queries(client)[search_name]["executions"])

    with start_profile(tomehub_binary, library_dir, busy.port) as process:
        wait_for_signal_handler(process.pid)
        before = searches()
        wait_until(lambda: searches() > before + 3)
        os.kill(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stderr
    assert re.search(rf"^ *\d+ .*  {re.escape(search_text)}", stdout, re.M), stdout


def test_profile_of_a_server_that_goes(
    tomehub: Server, tomehub_binary: Path, library_dir: Path
) -> None:
    with start_profile(tomehub_binary, library_dir, tomehub.port) as process:
        wait_for_signal_handler(process.pid)
        tomehub.terminate()
        tomehub.wait_exit()
        stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "no server answers" in stderr and "the figures end there" in stderr
    assert stdout.startswith("  Exec  Total(s)")


@pytest.mark.sqlite
def test_profile_without_a_server(command: Callable[..., CommandResult]) -> None:
    result = command("profile", PORT=free_port())
    assert result.status == 1 and result.stdout == ""
    assert "no server answers at 127.0.0.1" in result.stderr and "tomehub serve" in result.stderr


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b'HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n{"queries": {}}',
        b"HTTP/1.0 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b" " * 20_000_000,
    ],
)
def test_profile_of_something_else(
    answer: bytes, command: Callable[..., CommandResult], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                try:
                    with listener.accept()[0] as connection:
                        connection.recv(4096)
                        connection.sendall(answer)
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        result = command("profile", "-d", 1, PORT=listener.getsockname()[1])
    assert result.status == 1
    assert result.stderr.startswith("tomehub profile: ") and result.stdout == ""


# ---- Access log ----


@pytest.mark.sqlite
def test_access_log_is_sampled(start_tomehub: Callable[..., Server]) -> None:
    """Of successes as many as asked for; of errors all."""
    logged: dict[int, int] = {}
    for percent in (0, 30, 100):
        server = start_tomehub(ACCESS_LOG_SAMPLE=percent)
        with JsonClient(server.port) as client:
            for _ in range(400):
                client.get("/api/books")
            for _ in range(20):
                client.get("/api/books/99")
        server.finish()  # lines are written behind their answers
        accesses = [line for line in server.log().splitlines() if " access: " in line]
        assert len([line for line in accesses if "/api/books/99 404" in line]) == 20
        logged[percent] = len([line for line in accesses if "/api/books 200" in line])
    assert logged[0] == 0 and logged[100] == 400
    assert 60 < logged[30] < 190
