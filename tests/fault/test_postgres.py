"""What PostgreSQL and the network can do to a program under load (through db_load)."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.postgres import Postgres
from support.postgres_load import AWAY, CLIENTS, READ_MAX, WRITE_MAX, Load, wait_for_reads
from support.process import busy, run_command
from support.tcp_proxy import TcpProxy

RECOVERY_S = 1.0
CONNECTS_A_SECOND_WHILE_DOWN = 10


def written(postgres: Postgres) -> int:
    return int(postgres.sql("SELECT count(*) FROM written", "load"))


def most_connects_in_a_second(proxy: TcpProxy, begin: float, end: float) -> int:
    starts = [at for at in proxy.connected_at if begin <= at < end]
    return max((proxy.connects_between(at, at + 1) for at in starts), default=0)


@pytest.mark.alone
def test_kill_and_restart(
    postgres: Postgres, proxy: TcpProxy, load_url: str, start_load: Callable[..., Load], slow: float
) -> None:
    load = start_load(load_url)
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
        assert load.wait_for_ok(50) - up_at <= RECOVERY_S * slow * busy()
        load.wait_for_ok(500)
    last = load.finish()
    assert last["written"] <= written(postgres), "an acknowledged row is missing"


def test_stopped_for_20_seconds(
    postgres: Postgres, load_url: str, start_load: Callable[..., Load], slow: float
) -> None:
    load = start_load(load_url)
    postgres.signal_all(signal.SIGSTOP)
    time.sleep(20)
    postgres.signal_all(signal.SIGCONT)
    awake_at = time.monotonic()
    assert load.wait_for_ok(50) - awake_at <= RECOVERY_S * slow * busy()
    load.wait_for_ok(500)
    last = load.finish()
    assert last["written"] <= written(postgres)


def test_pipelines_that_are_never_answered(
    proxy: TcpProxy, load_url: str, start_load: Callable[..., Load], slow: float
) -> None:
    """All connections stay and say nothing more, new ones are well. Whoever has asked leaves; the
    pipelines they leave behind hold their places no longer than a statement may run."""
    load = start_load(load_url, settings={"STATEMENT_TIMEOUT_S": "1"})
    proxy.freeze()
    since = time.monotonic()
    while not any("their connection is given up" in line for line in load.errors):
        assert time.monotonic() - since < 20 * slow * busy(), load.errors
        time.sleep(0.02)
    load.wait_for_ok(500)
    load.finish()


@pytest.mark.alone
def test_terminated_in_mid_query(
    postgres: Postgres, load_url: str, start_load: Callable[..., Load], slow: float
) -> None:
    """Only those fail whose request was with the server; whoever comes later waits a moment."""
    load = start_load(load_url, deadline_s=30)
    for which in ("state = 'active' ORDER BY pid LIMIT 2", "true") * 10:
        failed = load.failed()
        postgres.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity"
            f" WHERE datname = 'load' AND {which}) chosen"
        )
        ended_at = time.monotonic()
        assert load.wait_for_ok(50) - ended_at <= RECOVERY_S * slow * busy()
        assert load.failed() - failed <= 2 * CLIENTS
    last = load.finish()
    assert last["written"] <= written(postgres)
    assert load.failed() > 0


def test_black_holed(
    postgres: Postgres, proxy: TcpProxy, load_url: str, start_load: Callable[..., Load], slow: float
) -> None:
    """Nothing arrives and nothing is refused: only time tells. Then the cable is back."""
    load = start_load(load_url)
    proxy.black_hole(True)
    time.sleep(6)
    proxy.black_hole(False)
    back_at = time.monotonic()
    assert load.wait_for_ok(50) - back_at <= RECOVERY_S * slow * busy()
    proxy.black_hole(True)
    time.sleep(3)
    proxy.drop()
    proxy.black_hole(False)
    back_at = time.monotonic()
    assert load.wait_for_ok(50) - back_at <= RECOVERY_S * slow * busy()
    last = load.finish()
    assert last["written"] <= written(postgres)


def sleepers(postgres: Postgres, count: int) -> list[subprocess.Popen[bytes]]:
    """So many connections of others, all there when this returns."""
    others = [
        subprocess.Popen(
            ["psql", "-XAtq", "-c", "SELECT pg_sleep(600)", postgres.url()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(count)
    ]
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'"
    since = time.monotonic()
    while int(postgres.sql(asleep)) < count:
        assert time.monotonic() - since < 60 * busy()
        time.sleep(0.02)
    return others


def test_no_connection_left_on_the_server(
    postgres: Postgres, load_url: str, start_load: Callable[..., Load], slow: float
) -> None:
    """Others take what max_connections allows: the load is refused more (53300), and goes on with
    what it has; when they have gone, it takes all it may."""
    postgres.stop()
    postgres.start(max_connections=WRITE_MAX + 4 + 8)
    others = sleepers(postgres, 8)
    try:
        load = start_load(load_url, deadline_s=30)
        since = time.monotonic()
        while not any("the server has no room, keeping to" in line for line in load.errors):
            assert time.monotonic() - since < 20 * slow * busy(), load.now()
            time.sleep(0.02)
        failed = load.failed()
        load.wait_for_ok(500)
        assert load.failed() == failed, load.errors
    finally:
        for other in others:
            other.kill()
            other.wait()
    load.wait_for_ok(500)
    load.finish()


def test_ddl_under_cached_statements(
    postgres: Postgres, load_url: str, start_load: Callable[..., Load]
) -> None:
    load = start_load(load_url, deadline_s=30)
    for i in range(10):
        postgres.sql(f"ALTER TABLE star ADD COLUMN more{i} bigint DEFAULT {i}", "load")
        load.wait_for_ok(100)
        postgres.sql(f"ALTER TABLE star DROP COLUMN more{i}", "load")
        load.wait_for_ok(100)
    load.finish()
    assert load.failed() == 0, load.errors


def test_clients_leave_by_the_thousand(
    postgres: Postgres, load_url: str, start_load: Callable[..., Load]
) -> None:
    load = start_load(load_url, cancel_percent=70, deadline_s=30)
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


@pytest.mark.parametrize("by_call_back", [False, True], ids=["password_file", "call_back"])
def test_password_rotated(
    postgres: Postgres,
    proxy: TcpProxy,
    tmp_path: Path,
    start_load: Callable[..., Load],
    by_call_back: bool,
) -> None:
    """The password file is read, or the program asked, for each new connection; what is open stays
    good."""
    passwords = tmp_path / "passwords"

    def rotate(password: str) -> None:
        postgres.sql(f"ALTER ROLE walker PASSWORD '{password}'")
        passwords.write_text(f"{password}\n" if by_call_back else f"*:*:*:walker:{password}\n")
        passwords.chmod(0o600)

    postgres.sql("CREATE ROLE walker LOGIN; GRANT ALL ON written, star TO walker", "load")
    rotate("first")
    postgres.require_password("walker")
    url = f"postgresql://walker@127.0.0.1:{proxy.port}/load"
    if by_call_back:
        load = start_load(url, deadline_s=30, settings={"PASSWORD_FILE": str(passwords)})
    else:
        load = start_load(f"{url}?passfile={passwords}", deadline_s=30)
    postgres.sql("ALTER ROLE walker PASSWORD 'second'")  # the file is behind
    load.wait_for_ok(200)
    assert load.failed() == 0, load.errors
    rotate("third")
    proxy.drop()
    load.wait_for_ok(500)
    load.finish()
    assert not any("third" in line or "first" in line for line in load.errors)


def test_tls(
    postgres: Postgres, proxy: TcpProxy, tmp_path: Path, start_load: Callable[..., Load]
) -> None:
    """Encrypted, the server known by its certificate, and the password bound to that channel."""
    trusted = tmp_path / "trusted.crt"
    trusted.write_bytes(postgres.use_tls("127.0.0.1").read_bytes())
    postgres.sql(
        "CREATE ROLE walker LOGIN PASSWORD 'secret'; GRANT ALL ON written, star TO walker", "load"
    )
    postgres.require_password("walker")
    load = start_load(
        f"postgresql://walker:secret@127.0.0.1:{proxy.port}/load"
        f"?sslmode=verify-full&sslrootcert={trusted}&channel_binding=require"
    )
    encrypted = (
        "SELECT bool_and(ssl), count(*) > 0 FROM pg_stat_ssl"
        " JOIN pg_stat_activity USING (pid) WHERE usename = 'walker'"
    )
    assert postgres.sql(encrypted) == "t|t"
    proxy.drop()
    load.wait_for_ok(500)
    load.finish()


def test_tls_without_a_bound_channel(
    postgres: Postgres, load_database: str, build_dir: Path, tmp_path: Path
) -> None:
    """A server that asks for no password cannot prove that it knows it, and is refused."""
    postgres.use_tls("127.0.0.1")
    url = f"{postgres.url(load_database)}?sslmode=require&channel_binding=require"
    program = build_dir / "tests" / "fault" / "db_load"
    result = run_command(program, tmp_path, (url, 1, 1, 0, 1, 1, 2), {})
    assert result.status == 1 and "channel binding required" in result.stdout, result.stdout


def test_reads_from_a_replica(
    postgres: Postgres, replica: Postgres, load_url: str, start_load: Callable[..., Load]
) -> None:
    """Whoever has written reads it, however late the replica is; without it the primary serves."""
    load = start_load(load_url, read_url=replica.url("load"), deadline_s=30)
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
    load.finish(AWAY | {"BH_ECONFLICT"})
