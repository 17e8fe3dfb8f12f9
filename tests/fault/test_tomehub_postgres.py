"""PostgreSQL fails while a book is taken in: the book is wholly there or not, and nothing stays."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.http import JsonClient
from support.ingest import assert_whole_or_absent, finished, text_of, uploads, wait_until
from support.postgres import Postgres
from support.server import Server

ROUNDS = 3
JOBS_SESSIONS = "FROM pg_stat_activity WHERE application_name = 'tomehub jobs'"


@pytest.fixture
def start(
    postgres: Postgres, start_tomehub: Callable[..., Server], library_dir: Path
) -> Callable[[], Server]:
    """Starts servers on one database of a PostgreSQL server of the test's own."""
    data = library_dir / "library.db.uploads"
    return lambda: start_tomehub(DATABASE_URL=postgres.url(), DATA_DIR=data, INGEST_WORKERS=1)


def ended_whole(client: JsonClient, job: dict[str, int], name: str, text: str) -> bool:
    """Whether the job is done and its book there; or it has failed and there is none."""
    ended = finished(client, job["job_id"])
    if ended["status"] == "done":
        assert assert_whole_or_absent(client, name, ended["chunks"], text)
        return True
    assert ended["error"]
    assert not assert_whole_or_absent(client, name, None, text)
    return False


def test_database_killed(
    postgres: Postgres, start: Callable[[], Server], library_dir: Path
) -> None:
    server = start()
    done = 0
    with JsonClient(server.port, timeout=60) as client:
        begun = time.monotonic()
        client.upload("/api/ingest?wait=true", "r.txt", text_of("reference", 30000).encode())
        seconds = time.monotonic() - begun
        for number in range(ROUNDS):
            name = f"outage{number}x"
            text = text_of(name, 30000)
            job = client.upload("/api/ingest", f"{name}.txt", text.encode()).json
            time.sleep(random.random() * seconds)
            postgres.kill()
            postgres.start()
            wait_until(lambda: client.get("/api/health/ready").status == 200)
            if not ended_whole(client, job, name, text):
                again = client.upload("/api/ingest?wait=true", f"{name}.txt", text.encode())
                assert again.status == 200, again.text
            done += 1
            assert client.get("/api/search", q=name).json["total_count"] > 10
        wait_until(lambda: not uploads(library_dir))
        books = client.get("/api/books").json["total_count"]
        assert books == done + 1

    def no_other_chunks() -> bool:
        unused = "SELECT count(*) FROM chunks WHERE book_id NOT IN (SELECT id FROM books)"
        loading = f"SELECT count(*) - {books} FROM books"
        return postgres.sql(unused) == "0" and postgres.sql(loading) == "0"

    wait_until(no_other_chunks)


def test_jobs_session_broken(postgres: Postgres, start: Callable[[], Server]) -> None:
    """The connection breaks that tells others that a server lives: another may take its job over
    while it works on it. Each book is there once, whole."""
    servers = [start(), start()]
    with JsonClient(servers[0].port) as one, JsonClient(servers[1].port) as two:
        for number in range(ROUNDS):
            name = f"session{number}x"
            text = text_of(name, 20000)
            wait_until(lambda: postgres.sql("SELECT count(*) " + JOBS_SESSIONS) == "2")
            job = one.upload("/api/ingest", f"{name}.txt", text.encode()).json
            path = f"/api/ingest/{job['job_id']}"
            wait_until(lambda: one.get(path).json["status"] != "queued")
            postgres.sql("SELECT count(pg_terminate_backend(pid)) " + JOBS_SESSIONS)
            assert ended_whole(two, job, name, text)
            assert ended_whole(one, job, name, text)
        assert two.get("/api/books").json["total_count"] == ROUNDS
