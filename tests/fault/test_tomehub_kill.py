"""SIGKILL in the middle of taking a book in: it is wholly there or not, and the job goes on."""

from __future__ import annotations

import concurrent.futures
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.database import Database, on_both
from support.http import JsonClient
from support.ingest import assert_whole_or_absent, finished, text_of, uploads, wait_until
from support.process import CommandResult, busy, processes_of_session
from support.server import Server

ROUNDS = 6
ROUNDS_ON_POSTGRESQL = 3  # the ingest's own steps are the same


def extractors(server: Server) -> list[int]:
    """Process ids of the server's children."""
    pids = (int(line.split()[0]) for line in processes_of_session(server.pid))
    return [pid for pid in pids if pid != server.pid]


def reference(client: JsonClient, text: str) -> float:
    """How long it takes to take the text in."""
    begun = time.monotonic()
    answer = client.upload("/api/ingest?wait=true", "reference.txt", text.encode())
    assert answer.status == 200, answer.text
    return time.monotonic() - begun


@pytest.mark.slow
@on_both
@pytest.mark.parametrize("way", ["file", "document"])
def test_server_killed(
    database: Database,
    start_tomehub: Callable[..., Server],
    command: Callable[..., CommandResult],
    library_dir: Path,
    way: str,
) -> None:
    server = start_tomehub()
    with JsonClient(server.port) as client:
        seconds = reference(client, text_of("refword", 30000))
    rounds = ROUNDS if database.name == "sqlite" else ROUNDS_ON_POSTGRESQL
    for number in range(rounds):
        name = f"killword{number}x"
        text = text_of(name, 30000)
        with JsonClient(server.port) as client:
            if way == "file":
                job = client.upload("/api/ingest", f"{name}.txt", text.encode()).json
            else:
                job = client.post("/api/ingest", {"title": name, "text": text}).json
        time.sleep(random.random() * seconds)
        server.kill()
        server.start()
        with JsonClient(server.port) as client:
            for _ in range(20):
                assert_whole_or_absent(client, name, None, text)
            ended = finished(client, job["job_id"])
            assert ended["status"] == "done", ended
            assert assert_whole_or_absent(client, name, ended["chunks"], text)
            assert ended["book_id"] == job["book_id"]
    wait_until(lambda: not uploads(library_dir))
    server.finish()
    checked = command("check")
    assert checked.status == 0, checked.stdout


@pytest.mark.slow
@on_both
def test_server_killed_while_it_deletes(
    start_tomehub: Callable[..., Server], rows: Callable[[str], int]
) -> None:
    server = start_tomehub()
    for number in range(3):
        with JsonClient(server.port) as client:
            book = client.ingest_text("T", text_of(f"gone{number}x", 20000))
            assert client.delete(f"/api/books/{book}").status == 204
        time.sleep(random.random() * 0.2)
        server.kill()
        server.start()
        with JsonClient(server.port) as client:
            assert client.get("/api/search", q=f"gone{number}x").json["total_count"] == 0
            assert client.get("/api/books").json["total_count"] == 0
    wait_until(lambda: rows("chunks") == 0 and rows("books") == 0)


@pytest.mark.slow
def test_extractor_killed(tomehub: Server, client: JsonClient) -> None:
    for number in range(ROUNDS):
        name = f"reaped{number}x"
        text = text_of(name, 60000)
        job = client.upload("/api/ingest", f"{name}.txt", text.encode()).json
        wait_until(lambda: extractors(tomehub))
        time.sleep(random.random() * 0.1)
        for pid in extractors(tomehub):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        ended = finished(client, job["job_id"])
        assert ended["status"] == "done", ended
        assert assert_whole_or_absent(client, name, ended["chunks"], text)
    assert not extractors(tomehub)


def test_extractor_killed_every_time(
    tomehub: Server, client: JsonClient, library_dir: Path, rows: Callable[[str], int]
) -> None:
    """Whatever kills it again and again: the job gives up and says so."""
    text = text_of("hopeless", 100000)
    job = client.upload("/api/ingest", "hopeless.txt", text.encode()).json
    while client.get(f"/api/ingest/{job['job_id']}").json["status"] not in ("done", "failed"):
        for pid in extractors(tomehub):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    ended = client.get(f"/api/ingest/{job['job_id']}").json
    assert ended["status"] == "failed" and ended["error"], ended
    assert client.get("/api/search", q="hopeless").json["total_count"] == 0
    wait_until(lambda: not uploads(library_dir))
    wait_until(lambda: rows("chunks") == 0 and rows("books") == 0)


@on_both
def test_sigterm_gives_the_job_back(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub()
    text = text_of("patience", 100000)
    with JsonClient(server.port) as client:
        job = client.upload("/api/ingest", "patience.txt", text.encode()).json
        wait_until(lambda: client.get(f"/api/ingest/{job['job_id']}").json["status"] == "running")
    begun = time.monotonic()
    server.terminate()
    assert server.wait_exit() == 0
    assert time.monotonic() - begun < 10 * busy()
    server.start()
    with JsonClient(server.port) as client:
        ended = finished(client, job["job_id"])
        assert ended["status"] == "done", ended
        assert assert_whole_or_absent(client, "patience", ended["chunks"], text)


def test_sigterm_lets_those_who_wait_have_their_answer(
    start_tomehub: Callable[..., Server]
) -> None:
    server = start_tomehub()

    def send(number: int) -> int:
        with JsonClient(server.port, timeout=60) as client:
            value = {"title": f"T{number}", "text": text_of(f"waiter{number}", 5000)}
            return client.post("/api/ingest?wait=true", value).status

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(send, number) for number in range(4)]
        with JsonClient(server.port) as client:
            wait_until(lambda: len(client.get("/api/ingest").json["jobs"]) == 4)
        server.terminate()
        assert [answer.result() for answer in answers] == [200] * 4
    assert server.wait_exit() == 0


def test_orphans_are_removed(start_tomehub: Callable[..., Server], library_dir: Path) -> None:
    folder = library_dir / "library.db.uploads"
    folder.mkdir()
    (folder / "1234abcd-7").write_bytes(b"left by a process that died")
    (folder / "README").write_text("not ours")
    (folder / "1234abcd-x").write_text("not ours either")
    start_tomehub()
    assert sorted(path.name for path in folder.iterdir()) == ["1234abcd-x", "README"]


@pytest.mark.slow
def test_sigterm_in_mid_purge(
    start_tomehub: Callable[..., Server], rows: Callable[[str], int]
) -> None:
    """Purging a large book does not hold up the end; the next start goes on with it."""
    server = start_tomehub()
    with JsonClient(server.port, timeout=120) as client:
        book = client.ingest_text("T", text_of("sluggish", 150000))
        assert client.delete(f"/api/books/{book}").status == 204
    begun = time.monotonic()
    server.terminate()
    assert server.wait_exit() == 0
    assert time.monotonic() - begun < 5 * busy()
    server.start()
    wait_until(lambda: rows("chunks") == 0 and rows("books") == 0, 60)
