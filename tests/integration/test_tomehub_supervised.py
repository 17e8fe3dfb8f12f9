"""Under its supervisor: commands that speak to it, and jobs that pass from worker to worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from support.http import JsonClient
from support.ingest import finished, text_of, uploads, wait_until
from support.process import CommandResult
from support.server import Server


@pytest.fixture
def supervised(start_tomehub: Callable[..., Server]) -> Server:
    return start_tomehub(SUPERVISOR="on", INGEST_WORKERS=1)


def test_jobs_pass_to_the_next_worker(
    supervised: Server, command: Callable[..., CommandResult], library_dir: Path
) -> None:
    texts = {f"password{n}x": text_of(f"password{n}x", 20000) for n in range(3)}
    with JsonClient(supervised.port) as client:
        jobs = [
            client.upload("/api/ingest", f"{name}.txt", text.encode()).json["job_id"]
            for name, text in texts.items()
        ]
        wait_until(lambda: client.get(f"/api/ingest/{jobs[0]}").json["status"] != "queued")
    assert command("restart", PORT=supervised.port).status == 0
    with JsonClient(supervised.port) as client:
        for job, name in zip(jobs, texts):
            ended = finished(client, job)
            assert ended["status"] == "done", ended
            assert client.get("/api/search", q=name).json["total_count"] == ended["chunks"]
        assert client.get("/api/books").json["total_count"] == len(texts)
    wait_until(lambda: not uploads(library_dir))


def test_status(supervised: Server, command: Callable[..., CommandResult]) -> None:
    shown = command("status", PORT=supervised.port)
    assert shown.status == 0 and "serving" in shown.stdout, shown.stderr
    before = json.loads(command("status", "--json", PORT=supervised.port).stdout)
    assert before["supervisor_pid"] == supervised.pid
    assert before["worker_pid"] in supervised.workers()
    assert command("reload", PORT=supervised.port).status == 0
    after = json.loads(command("status", "--json", PORT=supervised.port).stdout)
    assert after["worker_pid"] != before["worker_pid"]
    assert after["replacements"] == 1 and after["generation"] == 2
    with JsonClient(supervised.port) as client:
        assert "\nworker_generation 2\n" in client.get("/metrics").text


def test_nobody_to_speak_to(
    start_tomehub: Callable[..., Server], command: Callable[..., CommandResult]
) -> None:
    alone = start_tomehub()
    for name in ("status", "reload", "restart"):
        result = command(name, PORT=alone.port)
        assert result.status == 1 and "no supervisor answers" in result.stderr
    by_hand = command("worker")
    assert by_hand.status == 2 and "only tomehub serve starts this" in by_hand.stderr
