"""The supervisor: no request is lost by a restart, a crash costs what the worker had in hand."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.http import JsonClient, RawConnection
from support.ingest import text_of, wait_until
from support.keepalive import KeepAliveLoad
from support.process import CommandResult, processes_of_session
from support.provider import Exchange, Provider
from support.server import Server

CONNECTIONS = 200
LIVE = "/api/books"


@pytest.fixture
def supervised(start_tomehub: Callable[..., Server]) -> Server:
    return start_tomehub(SUPERVISOR="on", ACCESS_LOG="off")


def worker(server: Server) -> int:
    """The one worker, when no other is starting or leaving and the supervisor knows that it
    serves."""
    wait_until(lambda: len(server.workers()) == 1)
    pid = server.workers()[0]
    server.wait_log(rf"Worker {pid} (serves|has replaced)")
    return pid


def replaced(server: Server, old: int) -> int:
    """Waits until another worker than `old` serves alone; returns its pid."""
    wait_until(lambda: server.workers() not in ([], [old]) and len(server.workers()) == 1)
    return worker(server)


def some_answers(load: KeepAliveLoad) -> None:
    """Waits for a few more answers on every connection, on average."""
    before = load.answers
    wait_until(lambda: load.answers >= before + 3 * load.count)


def test_no_request_is_lost_by_reload_and_restart(
    supervised: Server, command: Callable[..., CommandResult]
) -> None:
    with KeepAliveLoad(supervised.port, LIVE, CONNECTIONS) as load:
        some_answers(load)
        first = worker(supervised)
        os.kill(supervised.pid, signal.SIGHUP)
        second = replaced(supervised, first)
        some_answers(load)
        result = command("restart", PORT=supervised.port)
        assert result.status == 0, result.stderr
        assert f"has replaced {second}" in result.stdout
        replaced(supervised, second)
        some_answers(load)
    assert load.failures == [] and load.refused == 0
    assert load.reconnected >= 2 * CONNECTIONS


def test_a_killed_worker_costs_no_more_than_it_had(supervised: Server) -> None:
    with KeepAliveLoad(supervised.port, LIVE, CONNECTIONS) as load:
        some_answers(load)
        killed = worker(supervised)
        os.kill(killed, signal.SIGKILL)
        replaced(supervised, killed)
        some_answers(load)
        failures = len(load.failures)
        some_answers(load)
    assert load.refused == 0, "the listener was kept"
    assert len(load.failures) == failures <= CONNECTIONS, "only those it had in hand"
    assert "was ended by Killed" in supervised.log()


def test_sigterm_lets_requests_finish(supervised: Server, library_dir: Path) -> None:
    with JsonClient(supervised.port) as client:
        client.ingest_text("Long", text_of("longword", 30000))
    with RawConnection(supervised.port, timeout=30) as slow:
        slow.send(b"GET /api/export HTTP/1.1\r\nHost: test\r\n\r\n")
        assert slow.read_some().startswith(b"HTTP/1.1 200")
        supervised.terminate()
        supervised.wait_log("The service stops")
        slow.send(b"")
        rest = slow.read_to_end()
    assert rest.endswith(b"0\r\n\r\n"), "the stream came to its end"
    assert supervised.wait_exit() == 0
    assert not list(library_dir.glob("*.control-*"))


def test_while_it_waits_to_leave_answers_close_their_connections(
    start_tomehub: Callable[..., Server]
) -> None:
    """So that at the drain none is left with a request on its way."""
    server = start_tomehub(SUPERVISOR="on", SHUTDOWN_DELAY="5m")
    request = b"GET /api/books HTTP/1.1\r\nHost: test\r\n\r\n"
    with RawConnection(server.port) as kept:
        kept.send(request)
        assert "connection" not in kept.read_answer().headers
        worker(server)
        server.terminate()
        server.wait_log("not ready any more")
        with RawConnection(server.port) as new:
            for connection in (kept, new):
                connection.send(request)
                answer = connection.read_answer()
                assert answer.status == 200 and answer.headers["connection"] == "close"
                assert connection.read_some() == b""
    server.terminate()  # it does not wait any longer
    assert server.wait_exit() == 0


def test_a_stream_outlives_a_restart(
    supervised: Server, command: Callable[..., CommandResult]
) -> None:
    with JsonClient(supervised.port) as client:
        client.ingest_text("Long", text_of("longword", 30000))
        whole = client.get("/api/export").body
    with RawConnection(supervised.port, timeout=30) as slow:
        slow.send(b"GET /api/export HTTP/1.1\r\nHost: test\r\n\r\n")
        slow.pending = slow.read_some()
        old = worker(supervised)
        assert command("restart", PORT=supervised.port).status == 0
        supervised.wait_log("Another worker serves")
        answer = slow.read_answer()
    lines = answer.body.splitlines()
    assert lines[1:] == whole.splitlines()[1:], "all but the time of the export"
    replaced(supervised, old)


LADDER = "The lamplighter keeps his ladder behind the customs house."
KINDS = ["application/x-ndjson", "text/event-stream"]


def test_streams_are_told_that_time_is_up(
    start_tomehub: Callable[..., Server], command: Callable[..., CommandResult]
) -> None:
    """At the end of a worker's time an answer that is not done ends by a line that says so."""
    provider = Provider()

    def falls_silent(exchange: Exchange) -> None:
        exchange.begin()
        exchange.say("He keeps the ladder behind the customs house [1]. It ")
        exchange.stall()

    provider.play(falls_silent)
    server = start_tomehub(SUPERVISOR="on", ANSWER_URL=provider.url, SHUTDOWN_TIMEOUT="500ms")
    old = worker(server)
    with JsonClient(server.port) as client:
        client.ingest_text("The Harbour", LADDER)
    with ExitStack() as stack:
        readers = [stack.enter_context(RawConnection(server.port)) for _ in KINDS]
        for reader, kind in zip(readers, KINDS):
            reader.send(
                "GET /api/search/stream?q=lamplighter+ladder HTTP/1.1\r\n"
                f"Host: t\r\nAccept: {kind}\r\n\r\n".encode()
            )
            while b'"answer"' not in reader.pending:
                reader.pending += reader.read_some()
        assert command("restart", PORT=server.port).status == 0
        lines, events = (reader.read_answer().text for reader in readers)
    told = [json.loads(line) for line in lines.splitlines()]
    assert told[-1] == {
        "status": "error",
        "detail": "the answer was not ready in time: ask again",
    }
    data = [json.loads(part.split("data: ")[1]) for part in events.split("\n\n") if "data" in part]
    assert data == told and events.endswith("\n\n")
    replaced(server, old)
    provider.close()


def test_an_export_is_told_that_time_is_up(
    start_tomehub: Callable[..., Server], command: Callable[..., CommandResult]
) -> None:
    """Its last line says so, and its body has no end: it is not taken for whole."""
    server = start_tomehub(SUPERVISOR="on", SHUTDOWN_TIMEOUT="500ms")
    old = worker(server)
    with JsonClient(server.port) as client:
        client.ingest_text("Long", text_of("longword", 60000))
    with RawConnection(server.port) as slow:
        slow.send(b"GET /api/export HTTP/1.1\r\nHost: test\r\n\r\n")
        slow.pending = slow.read_some()
        assert command("restart", PORT=server.port).status == 0
        server.wait_log("did not end in time")
        rest = slow.read_to_end()
    assert b'"type":"end"' not in rest and not rest.endswith(b"0\r\n\r\n")
    last = json.loads(rest.rstrip().splitlines()[-1])
    assert last["type"] == "error" and last["detail"]
    replaced(server, old)


def test_a_restart_storm_is_damped(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(SUPERVISOR="on", WORKER_RESTART_LIMIT=4)
    server.wait_log(r"Worker \d+ serves")
    begun = time.monotonic()
    killed: set[str] = set()
    while server.is_running():
        for pid in set(re.findall(r"Started worker (\d+)", server.log())) - killed:
            os.kill(int(pid), signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.01)
    assert server.wait_exit() == 3
    assert len(killed) == 4
    assert time.monotonic() - begun >= 0.1 + 0.2, "later starts were put off"
    assert "giving up with status 3" in server.log()


def test_a_wrong_setting_keeps_the_worker(
    start_tomehub: Callable[..., Server],
    library_dir: Path,
    command: Callable[..., CommandResult],
) -> None:
    server = start_tomehub(SUPERVISOR="on")
    old = worker(server)
    (library_dir / ".env").write_text("MAX_UPLOAD_MB=many\n")
    os.kill(server.pid, signal.SIGHUP)
    server.wait_log(r"Not reloaded, the worker goes on as it is: .*MAX_UPLOAD_MB")
    assert worker(server) == old
    with JsonClient(server.port) as client:
        assert client.upload("/api/ingest", "a.txt", b"word " * 600_000).status == 202
    (library_dir / ".env").write_text("MAX_UPLOAD_MB=1\n")
    assert command("reload", PORT=server.port).status == 0
    replaced(server, old)
    with JsonClient(server.port) as client:
        assert client.upload("/api/ingest", "a.txt", b"word " * 600_000).status == 413


def test_a_worker_that_cannot_start_leaves_the_old_one(
    supervised: Server, library_dir: Path, command: Callable[..., CommandResult]
) -> None:
    old = worker(supervised)
    uploads = library_dir / "library.db.uploads"
    uploads.rename(library_dir / "elsewhere")
    uploads.write_text("in the way")
    result = command("restart", PORT=supervised.port)
    assert result.status == 1 and str(uploads) in result.stderr, result.stderr
    uploads.unlink()
    (library_dir / "elsewhere").rename(uploads)
    assert worker(supervised) == old
    with JsonClient(supervised.port) as client:
        assert client.get("/readyz").status == 200
    assert command("restart", PORT=supervised.port).status == 0


def test_a_worker_that_takes_too_long_to_start_leaves_the_old_one(
    supervised: Server, library_dir: Path
) -> None:
    def newest() -> int:
        return int(re.findall(r"Started worker (\d+)", supervised.log())[-1])

    old = worker(supervised)
    (library_dir / ".env").write_text("WORKER_START_TIMEOUT=1s\n")
    while "did not start in time" not in supervised.log():
        os.kill(supervised.pid, signal.SIGHUP)
        wait_until(lambda: newest() != old)
        os.kill(newest(), signal.SIGSTOP)
        ended = supervised.wait_log(rf"Worker {newest()} (did not start in time|has replaced)")
        if ended[1] == "has replaced":  # it was quicker than this test: once more
            os.kill(newest(), signal.SIGCONT)
            old = replaced(supervised, old)
    supervised.wait_log("Not replaced, the old worker goes on: the new worker was ended by Killed")
    assert worker(supervised) == old
    with JsonClient(supervised.port) as client:
        assert client.get("/readyz").status == 200


def test_a_worker_is_no_orphan(supervised: Server) -> None:
    supervised.was_killed = True
    os.kill(supervised.pid, signal.SIGKILL)
    supervised.wait_exit()
    wait_until(lambda: not processes_of_session(supervised.pid))
    assert "The supervisor is gone" in supervised.log()
    supervised.start()  # what the killed one left behind does not hinder it
    assert "signals alone" not in supervised.log()


@pytest.mark.alone
def test_a_worker_that_stands_still_is_replaced(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(SUPERVISOR="on", WORKER_HANG_TIMEOUT="5s")
    hung = worker(server)
    os.kill(hung, signal.SIGSTOP)
    server.wait_log(f"Worker {hung} stands still")
    replaced(server, hung)
    server.wait_ready()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(90)
        yield listener


def test_systemd_is_told(start_tomehub: Callable[..., Server], systemd: socket.socket) -> None:
    server = start_tomehub(
        SUPERVISOR="on", NOTIFY_SOCKET=systemd.getsockname(), WATCHDOG_USEC=300_000
    )

    def told(text: str) -> str:
        while not (message := systemd.recv(4096).decode()).startswith(text):
            pass
        return message

    told("READY=1")
    for _ in range(3):
        told("WATCHDOG=1")
    os.kill(server.pid, signal.SIGHUP)
    now, _, value = told("RELOADING=1\nMONOTONIC_USEC=").rpartition("=")
    assert abs(int(value) - time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6) < 60e6, now
    told("READY=1")
    server.terminate()
    told("STOPPING=1")
    assert server.wait_exit() == 0
