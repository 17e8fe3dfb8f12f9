"""Three servers over one database, behind a balancer: what clients notice when they are restarted,
replaced, told to leave, killed and started again one by one, and Redis with them."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.balancer import Balancer
from support.cgroup import MIB, MemoryCgroup, Neighbour, SlowReaders
from support.database import on_both
from support.http import JsonClient
from support.http_layer import metric, wait_until
from support.ingest import assert_whole_or_absent, finished, text_of, uploads
from support.keepalive import KeepAliveLoad
from support.own_writes import OwnWrites
from support.process import CommandResult
from support.redis import Redis
from support.server import Server, ServerOptions

SERVERS = 3
CONNECTIONS = 200
PATH = "/api/books"
END_OF_STREAM = b"\r\n0\r\n\r\n"  # what comes only when all of it was sent
Command = Callable[..., CommandResult]


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = Redis()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def start_three(start_tomehub: Callable[..., Server]) -> Callable[..., list[Server]]:
    """All at the same time, each under its supervisor; the database is empty before."""

    def start(**settings: object) -> list[Server]:
        usual = {"SUPERVISOR": "on", "ACCESS_LOG": "off", "DB_POOL_MAX": 20}
        with ThreadPoolExecutor(SERVERS) as pool:
            starts = [pool.submit(start_tomehub, **usual | settings) for _ in range(SERVERS)]
        return [start.result() for start in starts]

    return start


def restart(server: Server, command: Command) -> None:
    result = command("restart", PORT=server.port)
    assert result.status == 0, result.stderr


class Clients:
    """Two hundred that read, and some that write and look for what they have written, each crowd
    through a balancer of its own."""

    def __init__(self, servers: list[Server]) -> None:
        ports = [server.port for server in servers]
        self.door, self.own_door = Balancer(ports), Balancer(ports)

    @contextmanager
    def running(self) -> Iterator[None]:
        with self.door, self.own_door:
            self.own = OwnWrites(self.own_door.port)
            self.load = KeepAliveLoad(self.door.port, PATH, CONNECTIONS)
            with self.load, self.own.running():
                self.go_on()
                yield

    def go_on(self) -> None:
        """Until all have had some more answers."""
        wanted = self.load.answers + 2 * CONNECTIONS
        self.own.go_on(20)
        wait_until(lambda: self.load.answers >= wanted)

    def failures(self) -> list[str]:
        return self.load.failures + self.own.failed_reads + self.own.failed_writes

    def assert_none_failed(self) -> None:
        assert self.failures() == [] and self.load.refused == 0


@pytest.mark.alone
@on_both
def test_what_clients_notice_of_three(
    start_three: Callable[..., list[Server]], redis: Redis, command: Command
) -> None:
    """Nothing, but for what was in hand of the one that was killed; and nobody reads anything
    older than what he has written, whoever answers."""
    servers = start_three(
        REDIS_URL=redis.url,
        RATE_LIMIT_ENABLED="on",
        RATE_LIMIT_GLOBAL=10**6,
        RATE_LIMIT_SEARCH=10**6,
        SHUTDOWN_DELAY="2s",
    )
    clients = Clients(servers)
    with clients.running():
        for server in servers:
            restart(server, command)
            clients.go_on()
        clients.assert_none_failed()
        servers[0].terminate()
        assert servers[0].wait_exit() == 0
        clients.go_on()
        servers[0].start()
        clients.go_on()
        clients.assert_none_failed()
        redis.kill()
        clients.go_on()
        redis.start()
        clients.go_on()
        clients.assert_none_failed()

        ended = clients.door.ended.copy()
        servers[1].kill()
        clients.go_on()
        lost = clients.failures()
        ended = clients.door.ended - ended
        assert set(ended) == {servers[1].port}, "the others' connections stand"
        assert 0 < len(clients.load.failures) <= ended[servers[1].port]
        assert not [text for text in clients.own.failed_reads if " 0 " not in text], lost
        given = clients.own_door.given[servers[1].port]
        servers[1].start()
        wait_until(lambda: clients.own_door.given[servers[1].port] > given)
        clients.go_on()
        assert clients.failures() == lost and clients.load.refused == 0
    assert clients.own.old == []
    for server in servers:
        server.terminate()  # all of them wait for SHUTDOWN_DELAY


@pytest.mark.alone
def test_one_is_replaced_for_want_of_memory(
    start_in_cgroup: Callable[..., Server],
    start_tomehub: Callable[..., Server],
    cgroup: MemoryCgroup,
) -> None:
    """Streams of its own take its memory, and a neighbour; the others have enough."""
    tight = start_in_cgroup(400 * MIB, MEMORY_CRITICAL_THRESHOLD="80")
    servers = [tight] + [start_tomehub(SUPERVISOR="on", ACCESS_LOG="off") for _ in range(2)]
    with JsonClient(tight.port) as client:
        client.ingest_text("Long", text_of("memoryword", 10000))
    clients = Clients(servers)
    with clients.running(), Neighbour(cgroup) as neighbour:
        readers = SlowReaders(tight.port, CONNECTIONS)
        neighbour.press(tight)
        tight.wait_log(r"Started worker \d+ \(memory is critical\)")
        neighbour.leave()
        tight.wait_log(r"Worker \d+ has replaced \d+")
        clients.go_on()
    assert readers.ends() == {END_OF_STREAM}
    readers.close()
    clients.assert_none_failed()
    assert clients.own.old == [] and cgroup.kills() == 0


# ---- Rate limits ----

QUOTA = 90
AN_HOUR = 3600.0


class Askers:
    """Two clients of each server that search without a pause; what each server let through."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self.statuses = {server.port: Counter[int]() for server in servers}
        self.is_over = threading.Event()
        self.begun = time.monotonic()

    def ask(self, server: Server) -> None:
        with JsonClient(server.port) as client:
            while not self.is_over.is_set():
                self.statuses[server.port][client.get("/api/search", q="word").status] += 1

    @contextmanager
    def asking(self) -> Iterator[None]:
        with ThreadPoolExecutor(2 * len(self.servers)) as pool:
            asked = [pool.submit(self.ask, server) for server in 2 * self.servers]
            try:
                yield
            finally:
                self.is_over.set()
        for one in asked:
            one.result()

    def allowed(self) -> list[int]:
        return [statuses[200] for statuses in self.statuses.values()]

    def refreshed(self) -> float:
        """How much of a quota has come back since the beginning, at most."""
        return 1 + (time.monotonic() - self.begun) * QUOTA / AN_HOUR

    def go_on(self, count: int = 20) -> None:
        """Until each server has refused so many more."""
        before = {port: statuses[429] for port, statuses in self.statuses.items()}
        wait_until(lambda: all(self.statuses[port][429] >= before[port] + count for port in before))


def test_a_limit_under_load_while_redis_goes_and_comes(
    start_three: Callable[..., list[Server]], redis: Redis
) -> None:
    """While Redis is away each server has a quota of its own, in which counts what it let through
    before; then there is one for all again."""
    servers = start_three(
        REDIS_URL=redis.url,
        RATE_LIMIT_ENABLED="on",
        RATE_LIMIT_REDIS_WAIT="5s",
        RATE_LIMIT_SEARCH=f"{QUOTA}/hour",
    )
    askers = Askers(servers)
    with askers.asking():
        wait_until(lambda: sum(askers.allowed()) > QUOTA // 3)
        redis.kill()
        askers.go_on(100)
        for server, allowed in zip(servers, askers.allowed()):
            assert "this server's own limits serve" in server.log()
            assert QUOTA <= allowed <= QUOTA + askers.refreshed()
        alone = sum(askers.allowed())

        redis.start()
        wait_until(lambda: sum(askers.allowed()) >= alone + QUOTA)
        for server in servers:
            server.wait_log("The rate limits are shared again")
        askers.go_on()
        assert sum(askers.allowed()) <= alone + QUOTA + SERVERS * askers.refreshed()
    for statuses in askers.statuses.values():
        assert set(statuses) == {200, 429}


# ---- Streams ----


def test_streams_end_on_those_that_leave_while_the_others_serve(
    start_three: Callable[..., list[Server]], command: Command
) -> None:
    servers = start_three(STREAM_MAX_PER_CLIENT=0)
    with JsonClient(servers[0].port) as client:
        client.ingest_text("Long", text_of("longword", 60000))

    def streams(server: Server) -> float:
        with JsonClient(server.port) as client:
            return float(client.get("/api/health/streams").json["streams"]["active_streams"])

    with Balancer([server.port for server in servers]) as door:
        readers = SlowReaders(door.port, 3 * SERVERS)
        assert readers.statuses == {b"200": 3 * SERVERS}
        assert [streams(server) for server in servers] == [3.0] * SERVERS
        restart(servers[0], command)
        servers[1].terminate()
        servers[1].wait_log("The service stops")
        others = SlowReaders(door.port, 3 * SERVERS)
        assert others.statuses == {b"200": 3 * SERVERS}
        assert servers[1].is_running(), "it waits for its streams"
        new = streams(servers[0]) + streams(servers[2]) - 3
        assert 0 < new <= 3 * SERVERS  # but for what a replaced worker took before it knew
        for crowd in (readers, others):
            assert crowd.ends() == {END_OF_STREAM}
            crowd.close()
        assert servers[1].wait_exit() == 0


# ---- Jobs ----

JOBS = 6


@on_both
def test_jobs_of_a_killed_server_are_taken_over_once(
    start_three: Callable[..., list[Server]], library_dir: Path
) -> None:
    """By either of two that both look for them, those that only waited too."""
    killed, *others = start_three(INGEST_WORKERS=1)
    texts = {f"orphan{n}x": text_of(f"orphan{n}x", 12000) for n in range(JOBS)}
    with JsonClient(killed.port) as client:
        jobs = {
            name: client.upload("/api/ingest", f"{name}.txt", text.encode()).json["job_id"]
            for name, text in texts.items()
        }
        wait_until(lambda: bool(client.get("/api/ingest", status="running").json["jobs"]))
    killed.kill()
    with JsonClient(others[0].port) as client:
        for name, text in texts.items():
            ended = finished(client, jobs[name])
            assert ended["status"] == "done", ended
            assert assert_whole_or_absent(client, name, ended["chunks"], text)
        assert client.get("/api/books").json["total_count"] == JOBS
    taken = [
        int(count)
        for server in others
        for count in re.findall(r"Took over (\d+) jobs", server.log())
    ]
    done = [metric(server, 'ingest_jobs_total{result="done"}') for server in others]
    assert 0 < sum(taken) == sum(done)
    wait_until(lambda: not uploads(library_dir))


@pytest.fixture
def elsewhere(tmp_path: Path, tomehub_binary: Path) -> Callable[[Path], Path]:
    """How to start a server as on another machine: where others see this folder it has its own."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
        pytest.skip("no file system of one's own is permitted here")

    def starter(folder: Path) -> Path:
        own, script = tmp_path / "elsewhere", tmp_path / "tomehub-elsewhere"
        own.mkdir()
        served = f'mount --bind {own} {folder} && exec {tomehub_binary} "$@"'
        script.write_text(f"#!/bin/sh\nexec unshare -m sh -c '{served}' sh \"$@\"")
        script.chmod(0o755)
        return script

    return starter


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_uploads_on_a_disk_of_its_own_wait_for_their_server(
    start_tomehub: Callable[..., Server],
    elsewhere: Callable[[Path], Path],
    library_settings: dict[str, str],
    library_dir: Path,
    command: Command,
) -> None:
    """Another one that hears first that it leaves does not fail them."""
    data = Path(library_settings["DATA_DIR"])
    data.mkdir()
    here = start_tomehub(SUPERVISOR="on", INGEST_WORKERS=1)
    settings = library_settings | {"LOG_LEVEL": "debug"}
    other = Server(ServerOptions(elsewhere(data), library_dir, settings))
    try:
        other.start()
        with JsonClient(here.port) as client:
            jobs = [
                client.upload("/api/ingest", f"{n}.txt", text_of(f"own{n}x", 40000).encode()).json
                for n in range(JOBS)
            ]
        restart(here, command)
        with JsonClient(other.port) as client:
            for job in jobs:
                ended = finished(client, job["job_id"])
                assert ended["status"] == "done", ended
        assert "another process has left" in other.log() and "Took over" not in other.log()
        assert "Took over" in here.log()
        other.finish()
    finally:
        other.kill()


# ---- Keys ----


@on_both
def test_a_key_and_its_end_are_known_to_all(
    start_three: Callable[..., list[Server]], command: Command
) -> None:
    """At once, and within a second and a question; also to one that starts in between."""
    servers = start_three(AUTH="keys")

    def made(*arguments: str) -> tuple[str, str]:
        result = command("keys", "create", "--json", *arguments)
        assert result.status == 0, result.stderr
        key = json.loads(result.stdout)
        return key["id"], key["key"]

    def statuses(key: str) -> list[int]:
        found = []
        for server in servers:
            with JsonClient(server.port) as client:
                found.append(client.request("GET", PATH, x_api_key=key).status)
        return found

    identity, key = made("--user", "ann")
    other = made("--user", "ann")[1]
    assert statuses(key) == [200] * SERVERS, "nobody told the servers"
    assert statuses(key) == [200] * SERVERS, "what is kept is given to who may have it"
    assert command("keys", "revoke", identity).status == 0
    restart(servers[0], command)
    wait_until(lambda: len(servers[0].workers()) == 1)  # the old one may take a newcomer until then
    with JsonClient(servers[0].port) as client:
        assert (
            client.request("GET", PATH, x_api_key=key).status == 401
        ), "it knows it from its start"
    wait_until(lambda: statuses(key) == [401] * SERVERS, 20)
    servers[2].kill()
    servers[2].start()
    for _ in range(5):
        assert statuses(key) == [401] * SERVERS
    assert statuses(other) == [200] * SERVERS
