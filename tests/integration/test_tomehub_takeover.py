"""Servers side by side on one database: whose job it is, and who takes it over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.http import JsonClient
from support.ingest import finished, text_of, uploads, wait_until
from support.postgres import Postgres
from support.server import Server

JOBS_SESSION = "application_name = 'tomehub jobs'"


@pytest.mark.postgresql
def test_a_killed_servers_job_is_taken_over(
    start_tomehub: Callable[..., Server], library_dir: Path
) -> None:
    killed, other = start_tomehub(INGEST_WORKERS=1), start_tomehub(INGEST_WORKERS=1)
    text = text_of("killword", 20000)
    with JsonClient(killed.port) as client:
        job = client.upload("/api/ingest", "a.txt", text.encode()).json
        wait_until(lambda: client.get(f"/api/ingest/{job['job_id']}").json["status"] == "running")
    killed.kill()
    with JsonClient(other.port) as client:
        ended = finished(client, job["job_id"])
        assert ended["status"] == "done", ended
        assert ended["book_id"] == job["book_id"]
        found = client.get("/api/search", q="killword").json
        assert found["total_count"] == ended["chunks"] > 0
    wait_until(lambda: not uploads(library_dir))


def test_a_leaving_servers_jobs_are_taken_over_at_once(
    start_tomehub: Callable[..., Server],
) -> None:
    """It says that it has left, or by its lock it is seen to have ended."""
    leaving = start_tomehub(INGEST_WORKERS=1)
    other = start_tomehub(INGEST_WORKERS=1, LOG_LEVEL="debug")
    with JsonClient(leaving.port) as client:
        jobs = [
            client.upload("/api/ingest", f"{n}.txt", text_of(f"legacy{n}x", 30000).encode()).json
            for n in range(8)
        ]
    leaving.terminate()
    assert leaving.wait_exit() == 0
    other.wait_log("another process has (left|ended), looking after its jobs")
    other.wait_log(r"Took over \d+ jobs of a process that has ended")
    with JsonClient(other.port) as client:
        for job in jobs:
            assert finished(client, job["job_id"])["status"] == "done"


@pytest.mark.postgresql
def test_a_broken_session_is_made_again(
    start_tomehub: Callable[..., Server], postgres_server: Postgres
) -> None:
    server = start_tomehub()
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE " + JOBS_SESSION
    assert int(postgres_server.sql(ended)) >= 1
    server.wait_log("The connection that keeps this process's jobs its own broke")
    server.wait_log("This process's jobs are its own again")
    with JsonClient(server.port) as client:
        book = client.ingest_text("T", "Taken in after the session was made again.")
        assert client.get(f"/api/books/{book}").status == 200


@pytest.mark.postgresql
def test_jobs_of_a_living_server_are_left_to_it(
    start_tomehub: Callable[..., Server], library_dir: Path
) -> None:
    one, two = start_tomehub(INGEST_WORKERS=1), start_tomehub(INGEST_WORKERS=1)
    with JsonClient(one.port) as first, JsonClient(two.port) as second:
        clients = [first, second]
        jobs = [
            client.upload("/api/ingest", f"{n}.txt", text_of(f"word{n}x", 4000).encode()).json
            for n, client in enumerate(clients * 3)
        ]
        for job in jobs:
            assert finished(first, job["job_id"])["status"] == "done"
        assert second.get("/api/books").json["total_count"] == len(jobs)
    for server in (one, two):
        assert "Took over" not in server.log()
    wait_until(lambda: not uploads(library_dir))
