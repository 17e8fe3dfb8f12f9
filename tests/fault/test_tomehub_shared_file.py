"""Processes on one database file: servers side by side, the command line beside a server."""

from __future__ import annotations

import concurrent.futures
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.http import JsonClient
from support.ingest import assert_whole_or_absent, finished, text_of, uploads, wait_until
from support.process import CommandResult
from support.server import Server


def test_two_servers(start_tomehub: Callable[..., Server]) -> None:
    first, second = start_tomehub(), start_tomehub()
    with JsonClient(first.port) as one, JsonClient(second.port) as two:
        book = one.ingest_text("From one", "The first server took the heather.")
        assert two.get("/api/search", q="heather").json["total_count"] == 1
        assert two.delete(f"/api/books/{book}").status == 204
        assert one.get("/api/search", q="heather").json["total_count"] == 0
        assert one.get(f"/api/books/{book}").status == 404


def test_two_servers_write_at_the_same_time(start_tomehub: Callable[..., Server]) -> None:
    servers = [start_tomehub(), start_tomehub()]

    def send(number: int) -> int:
        with JsonClient(servers[number % 2].port, timeout=120) as client:
            return client.ingest_text(f"T{number}", text_of(f"tandem{number}x", 1000))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        books = list(pool.map(send, range(24)))
    assert len(set(books)) == 24
    for server in servers:
        with JsonClient(server.port) as client:
            assert client.get("/api/books").json["total_count"] == 24
            found = client.get("/api/search", q="tandem7x", page_size=1000).json
            assert found["total_count"] > 10


def test_same_content_to_both(start_tomehub: Callable[..., Server]) -> None:
    servers = [start_tomehub(), start_tomehub()]
    value = {"title": "Twin", "text": text_of("twinned", 20000)}

    def send(number: int) -> int:
        with JsonClient(servers[number % 2].port, timeout=120) as client:
            answer = client.post("/api/ingest?wait=true", value)
            assert answer.status == 200, answer.text
            return int(answer.json["book_id"])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(send, range(4)))) == 1


def test_the_other_takes_over(start_tomehub: Callable[..., Server], library_dir: Path) -> None:
    """A server that dies leaves its jobs, also those it had only queued, to the one that lives."""
    first, second = start_tomehub(INGEST_WORKERS=1), start_tomehub()
    texts = {f"heir{number}x": text_of(f"heir{number}x", 20000) for number in range(3)}
    jobs = {}
    with JsonClient(first.port) as client:
        for name, text in texts.items():
            jobs[name] = client.upload("/api/ingest", f"{name}.txt", text.encode()).json
        wait_until(lambda: client.get("/api/ingest", status="running").json["jobs"])
    first.kill()
    with JsonClient(second.port) as client:
        for name, text in texts.items():
            ended = finished(client, jobs[name]["job_id"])
            assert ended["status"] == "done", ended
            assert assert_whole_or_absent(client, name, ended["chunks"], text)
    wait_until(lambda: not uploads(library_dir))


def test_living_jobs_are_left_alone(start_tomehub: Callable[..., Server]) -> None:
    """A second server that starts while the first works does not touch its job."""
    first = start_tomehub()
    text = text_of("undisturbed", 60000)
    with JsonClient(first.port) as client:
        job = client.upload("/api/ingest", "undisturbed.txt", text.encode()).json
        wait_until(lambda: client.get(f"/api/ingest/{job['job_id']}").json["status"] == "running")
        second = start_tomehub()
        ended = finished(client, job["job_id"])
        assert ended["status"] == "done", ended
    assert "Took over" not in second.log()
    with JsonClient(second.port) as client:
        assert assert_whole_or_absent(client, "undisturbed", ended["chunks"], text)


@pytest.mark.slow
def test_command_line_beside_a_server(
    tomehub: Server, command: Callable[..., CommandResult], tmp_path: Path
) -> None:
    paths = []
    for number in range(10):
        path = tmp_path / f"beside{number}.txt"
        path.write_text(text_of(f"beside{number}x", 5000))
        paths.append(path)
    with concurrent.futures.ThreadPoolExecutor(2) as pool, JsonClient(tomehub.port) as client:
        work = pool.submit(command, "ingest", *paths)
        slowest = 0.0
        number = 0
        while not work.done():
            begun = time.monotonic()
            client.ingest_text(f"Note {number}", f"A note number {number} in between.")
            assert client.get("/api/search", q="note").status == 200
            slowest = max(slowest, time.monotonic() - begun)
            number += 1
        result = work.result()
        assert result.status == 0, result.stdout + result.stderr
        assert "10 added" in result.stdout
        assert slowest < 5
        for name in range(10):
            assert client.get("/api/search", q=f"beside{name}x").json["total_count"] > 10
        assert client.get("/api/books").json["total_count"] == 10 + number


def test_command_line_killed_and_finished_by_the_server(
    tomehub: Server,
    client: JsonClient,
    tomehub_binary: Path,
    library_dir: Path,
    tmp_path: Path,
) -> None:
    path = tmp_path / "leftover.txt"
    text = text_of("leftover", 60000)
    path.write_text(text)
    environment = os.environ | {"DATABASE_URL": f"sqlite:{library_dir / 'library.db'}"}
    process = subprocess.Popen([tomehub_binary, "ingest", path], env=environment)
    wait_until(lambda: client.get("/api/ingest").json["jobs"])
    process.kill()
    process.wait()
    job = client.get("/api/ingest").json["jobs"][0]
    ended = finished(client, job["job_id"])
    assert ended["status"] == "done", ended
    assert assert_whole_or_absent(client, "leftover", ended["chunks"], text)
    assert path.exists()
