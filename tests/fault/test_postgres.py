"""What PostgreSQL and the network can do to a program under load (through db_load)."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.postgres import Postgres, server_folder
from support.process import environment, sanitizer_report
from support.tcp_proxy import TcpProxy

READ_MAX, WRITE_MAX = 8, 4
CLIENTS = 20  # on each of two loops
RECOVERY_S = 1.0
CONNECTS_A_SECOND_WHILE_DOWN = 10

Report = dict[str, int]


@dataclass
class Options:
    cancel_percent: int = 0
    read_url: str = ""


class Load:
    """A running db_load; its reports come in with their time."""

    def __init__(self, binary: Path, url: str, more: Options, slow: float) -> None:
        self.slow = slow
        arguments = [url, 2, CLIENTS, more.cancel_percent, READ_MAX, WRITE_MAX]
        self.most_connections = READ_MAX + WRITE_MAX
        if more.read_url:
            arguments.append(more.read_url)
            self.most_connections += READ_MAX
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [binary, *map(str, arguments)],
            env=environment({}, binary.parent),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.reports: list[tuple[float, Report]] = []
        self.errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._read_reports, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_reports(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            assert line.startswith("ok="), line
            words = (word.split("=") for word in line.split())
            self.reports.append((time.monotonic(), {key: int(value) for key, value in words}))

    def _read_errors(self) -> None:
        assert self.process.stderr
        self.errors.extend(self.process.stderr)

    def now(self) -> Report:
        return self.reports[-1][1] if self.reports else {"ok": 0}

    def wait_for_ok(self, more: int, seconds: float = 20) -> float:
        """Until `more` further requests have succeeded; returns when that was."""
        begun, since = self.now()["ok"], time.monotonic()
        while self.now()["ok"] < begun + more:
            assert self.process.poll() is None, "".join(self.errors)
            assert time.monotonic() - since < seconds * self.slow, f"{self.now()} {self.errors}"
            time.sleep(0.005)
        return time.monotonic()

    def failed(self) -> int:
        return sum(value for key, value in self.now().items() if key.startswith("BH_E"))

    def finish(self) -> Report:
        """Ends it; nothing may have gone to the wrong request, and the pool kept its bounds."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.wait(60 * self.slow) == 0, "".join(self.errors)
        for thread in self._threads:
            thread.join(10)
        report = sanitizer_report("".join(self.errors))
        assert not report, report
        last = self.now()
        assert last["wrong"] == 0, last
        assert max(one["connections"] for _, one in self.reports) <= self.most_connections
        return last

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def slow(sanitizer: str) -> float:
    """What times are multiplied by under a sanitizer."""
    return 1.0 if sanitizer == "none" else 5.0


@pytest.fixture
def proxy(database: str, postgres: Postgres) -> Iterator[TcpProxy]:
    assert database
    with TcpProxy(postgres.port) as tcp_proxy:
        yield tcp_proxy


@pytest.fixture
def database(postgres: Postgres) -> str:
    """A database with what db_load works on."""
    postgres.create("load")
    postgres.sql(
        "CREATE TABLE written (number bigint PRIMARY KEY);"
        "CREATE TABLE star AS SELECT id::bigint, 'x' AS word FROM generate_series(0, 99) id",
        "load",
    )
    return "load"


@pytest.fixture
def start(build_dir: Path, slow: float) -> Iterator[Callable[..., Load]]:
    loads: list[Load] = []

    def start_one(url: str, **more: Any) -> Load:
        load = Load(build_dir / "tests" / "fault" / "db_load", url, Options(**more), slow)
        loads.append(load)
        load.wait_for_ok(500)
        return load

    yield start_one
    for load in loads:
        load.kill()


@pytest.fixture
def url(proxy: TcpProxy, database: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{database}"


def written(postgres: Postgres) -> int:
    return int(postgres.sql("SELECT count(*) FROM written", "load"))


def most_connects_in_a_second(proxy: TcpProxy, begin: float, end: float) -> int:
    starts = [at for at in proxy.connected_at if begin <= at < end]
    return max((proxy.connects_between(at, at + 1) for at in starts), default=0)


def test_kill_and_restart(
    postgres: Postgres, proxy: TcpProxy, url: str, start: Callable[..., Load], slow: float
) -> None:
    load = start(url)
    for _ in range(3):
        postgres.kill()
        down_since = time.monotonic()
        time.sleep(3)
        down_until = time.monotonic()
        # The pool's own shards, one for each of two loops, two lanes, probe with jitter.
        assert (
            most_connects_in_a_second(proxy, down_since + 0.1, down_until)
            <= CONNECTS_A_SECOND_WHILE_DOWN
        )
        postgres.start()
        up_at = time.monotonic()
        assert load.wait_for_ok(50) - up_at <= RECOVERY_S * slow
        load.wait_for_ok(500)
    last = load.finish()
    assert last["written"] <= written(postgres), "an acknowledged row is missing"


def test_stopped_for_20_seconds(
    postgres: Postgres, url: str, start: Callable[..., Load], slow: float
) -> None:
    load = start(url)
    postgres.signal_all(signal.SIGSTOP)
    time.sleep(20)
    postgres.signal_all(signal.SIGCONT)
    awake_at = time.monotonic()
    assert load.wait_for_ok(50) - awake_at <= RECOVERY_S * slow
    load.wait_for_ok(500)
    last = load.finish()
    assert last["written"] <= written(postgres)


def test_terminated_in_mid_query(
    postgres: Postgres, url: str, start: Callable[..., Load], slow: float
) -> None:
    load = start(url)
    for _ in range(20):
        postgres.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
            " WHERE datname = 'load' AND state = 'active' LIMIT 2) busy"
        )
        load.wait_for_ok(50)
    ended_at = time.monotonic()
    assert load.wait_for_ok(50) - ended_at <= RECOVERY_S * slow
    last = load.finish()
    assert last["written"] <= written(postgres)
    assert load.failed() < last["ok"] / 10


def test_black_holed(
    postgres: Postgres, proxy: TcpProxy, url: str, start: Callable[..., Load], slow: float
) -> None:
    """Nothing arrives and nothing is refused: only time tells. Then the cable is back."""
    load = start(url)
    proxy.black_hole(True)
    time.sleep(6)
    proxy.black_hole(False)
    back_at = time.monotonic()
    assert load.wait_for_ok(50) - back_at <= RECOVERY_S * slow
    proxy.black_hole(True)
    time.sleep(3)
    proxy.drop()
    proxy.black_hole(False)
    back_at = time.monotonic()
    assert load.wait_for_ok(50) - back_at <= RECOVERY_S * slow
    last = load.finish()
    assert last["written"] <= written(postgres)


def test_no_connection_left_on_the_server(
    postgres: Postgres, url: str, start: Callable[..., Load]
) -> None:
    """Others take what max_connections allows; the load goes on with what it has or gets."""
    postgres.stop()
    postgres.start(max_connections=READ_MAX + WRITE_MAX + 4)
    load = start(url)
    others = [
        subprocess.Popen(
            ["psql", "-XAtq", "-c", "SELECT pg_sleep(60)", postgres.url()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(READ_MAX + WRITE_MAX + 4)
    ]
    try:
        postgres_kill = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'load'"
        )
        time.sleep(1)
        for _ in range(3):
            try:
                postgres.sql(postgres_kill)
            except AssertionError:
                pass  # no connection for psql either
            time.sleep(1)
    finally:
        for other in others:
            other.kill()
            other.wait()
    load.wait_for_ok(500)
    load.finish()


def test_ddl_under_cached_statements(
    postgres: Postgres, url: str, start: Callable[..., Load]
) -> None:
    load = start(url)
    for i in range(10):
        postgres.sql(f"ALTER TABLE star ADD COLUMN more{i} bigint DEFAULT {i}", "load")
        load.wait_for_ok(100)
        postgres.sql(f"ALTER TABLE star DROP COLUMN more{i}", "load")
        load.wait_for_ok(100)
    load.finish()
    assert load.failed() == 0, load.errors


def test_clients_leave_by_the_thousand(
    postgres: Postgres, url: str, start: Callable[..., Load]
) -> None:
    load = start(url, cancel_percent=70)
    begun, since = load.now(), time.monotonic()
    while load.now()["canceled"] < begun["canceled"] + 3000:
        assert time.monotonic() - since < 60, load.now()
        time.sleep(0.05)
    load.wait_for_ok(100)
    last = load.finish()
    assert load.failed() == 0, load.errors
    assert last["written"] <= written(postgres)
    # A client that leaves costs no connection.
    assert last["connected"] <= last["canceled"] / 20, last


def test_password_rotated(
    postgres: Postgres, proxy: TcpProxy, tmp_path: Path, start: Callable[..., Load]
) -> None:
    """The password file is read for each new connection; what is open stays good."""
    passwords = tmp_path / "passwords"

    def rotate(password: str) -> None:
        postgres.sql(f"ALTER ROLE walker PASSWORD '{password}'")
        passwords.write_text(f"*:*:*:walker:{password}\n")
        passwords.chmod(0o600)

    postgres.sql("CREATE ROLE walker LOGIN; GRANT ALL ON written, star TO walker", "load")
    rotate("first")
    postgres.require_password("walker")
    load = start(f"postgresql://walker@127.0.0.1:{proxy.port}/load?passfile={passwords}")
    postgres.sql("ALTER ROLE walker PASSWORD 'second'")  # the file is behind
    load.wait_for_ok(200)
    assert load.failed() == 0, load.errors
    rotate("third")
    proxy.drop()
    load.wait_for_ok(500)
    load.finish()
    assert not any("third" in line or "first" in line for line in load.errors)


@pytest.fixture
def replica(postgres: Postgres, database: str) -> Iterator[Postgres]:
    """A streaming replica of the server with the load's database."""
    assert database
    with server_folder() as folder:
        server = postgres.replica(folder / "server")
        server.start()
        yield server
        server.stop()


def reads(server: Postgres) -> int:
    """Transactions the load's database has seen there."""
    return int(server.sql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'load'"))


def wait_for_reads(server: Postgres, more: int) -> None:
    begun, since = reads(server), time.monotonic()
    while reads(server) < begun + more:
        assert time.monotonic() - since < 30, f"{reads(server)} after {begun}"
        time.sleep(0.1)


def test_reads_from_a_replica(
    postgres: Postgres, replica: Postgres, url: str, start: Callable[..., Load]
) -> None:
    """Whoever has written reads it, however late the replica is; without it the primary serves."""
    load = start(url, read_url=replica.url("load"))
    wait_for_reads(replica, 200)
    replica.sql("ALTER SYSTEM SET recovery_min_apply_delay = '200ms'")
    replica.sql("SELECT pg_reload_conf()")
    load.wait_for_ok(2000)
    replica.sql("ALTER SYSTEM RESET recovery_min_apply_delay")
    replica.sql("SELECT pg_reload_conf()")
    replica.kill()
    load.wait_for_ok(1000)
    replica.start()
    wait_for_reads(replica, 200)
    # Transactions cannot move to the primary in their middle.
    assert load.failed() <= 2 * CLIENTS, load.errors
    load.finish()
