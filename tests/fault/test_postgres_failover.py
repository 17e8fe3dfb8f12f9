"""Another server takes over: a real streaming replica, promoted or not, under load (db_load)."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from support.postgres import Postgres, own_replica
from support.postgres_load import AWAY, CLIENTS, Load, wait_for_reads
from support.process import busy

RECOVERY_S = 1.0
CONNECTS_A_SECOND = 10
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bulkhead'"
CONNECTED = re.compile(r"^(\S+ \S+) \S+ \[\d+\] LOG:  connection received", re.MULTILINE)


def hosts_url(servers: list[Postgres], parameters: str = "") -> str:
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://postgres@{hosts}/load{parameters}"


def connects(server: Postgres) -> list[float]:
    """When each connection came, by the server's own log."""
    texts = CONNECTED.findall(server.log())
    return [datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").timestamp() for text in texts]


def most_in_a_second(times: list[float]) -> int:
    return max((sum(begin <= at < begin + 1 for at in times) for begin in times), default=0)


def acknowledge_what_the_replica_has(postgres: Postgres) -> None:
    """Else a promotion loses what was acknowledged last, and who wrote it does not find it."""
    postgres.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    postgres.sql("SELECT pg_reload_conf()")


@pytest.mark.alone
def test_promotion(
    postgres: Postgres, replica: Postgres, start_load: Callable[..., Load], slow: float
) -> None:
    """The primary dies; the service writes to the replica within a second of its promotion."""
    replica.stop()
    replica.start(log_connections="on")
    acknowledge_what_the_replica_has(postgres)
    load = start_load(hosts_url([postgres, replica], "?target_session_attrs=read-write"))
    load.wait_for("written", 50)
    before = len(connects(replica))
    postgres.kill()
    time.sleep(3)  # how often is it tried?
    tries = connects(replica)[before:]
    assert tries and most_in_a_second(tries) <= CONNECTS_A_SECOND
    replica.promote()
    promoted_at = time.monotonic()
    assert load.wait_for("written", 1) - promoted_at <= RECOVERY_S * slow * busy()
    load.wait_for("written", 50)
    load.wait_for_ok(500)
    last = load.finish()
    assert last["written"] <= int(replica.sql("SELECT count(*) FROM written", "load"))


@contextmanager
def stand_in(port: int, hangs_up: bool, address: str = "127.0.0.1") -> Iterator[list[float]]:
    """Takes a dead server's connections, and says nothing or hangs up; when each came."""
    came: list[float] = []
    held: list[socket.socket] = []
    with socket.create_server((address, port), backlog=256) as listener:

        def take() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                came.append(time.monotonic())
                if hangs_up:
                    client.close()
                else:
                    held.append(client)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield came
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for client in held:
                client.close()


@pytest.mark.alone
@pytest.mark.parametrize("hangs_up", [False, True], ids=["is_silent", "hangs_up"])
def test_promotion_while_the_old_host(
    postgres: Postgres, replica: Postgres, start_load: Callable[..., Load], hangs_up: bool
) -> None:
    """The dead primary's address takes connections all the same: the next host is asked."""
    acknowledge_what_the_replica_has(postgres)
    load = start_load(hosts_url([postgres, replica]))
    load.wait_for("written", 20)
    postgres.kill()
    with stand_in(postgres.port, hangs_up) as came:
        load.wait_for("BH_EUNAVAILABLE", 1)
        replica.promote()
        load.wait_for("written", 50)
        assert came
        assert most_in_a_second(came) <= CONNECTS_A_SECOND
        load.wait_for_ok(500)
    last = load.finish()
    assert last["written"] > 0


@pytest.mark.parametrize("hangs_up", [False, True], ids=["is_silent", "hangs_up"])
def test_a_name_with_several_addresses(
    postgres: Postgres, load_database: str, start_load: Callable[..., Load], hangs_up: bool
) -> None:
    """The first that the name stands for takes connections and is no database: the next is
    asked."""
    url = f"postgresql://postgres@database.test:{postgres.port}/{load_database}"
    addresses = {"ADDRESSES": "127.0.0.2,127.0.0.1"}
    with stand_in(postgres.port, hangs_up, "127.0.0.2") as came:
        load = start_load(url, settings=addresses, deadline_s=30)
        assert came
    load.finish()


def test_promotion_while_the_old_primary_is_stopped(
    postgres: Postgres, replica: Postgres, start_load: Callable[..., Load]
) -> None:
    """Its connections stay and say nothing; when it wakes up, nobody reads from it any more."""
    acknowledge_what_the_replica_has(postgres)
    load = start_load(hosts_url([postgres, replica]))
    load.wait_for("written", 20)
    postgres.signal_all(signal.SIGSTOP)
    try:
        replica.promote()
        load.wait_for("written", 50, seconds=30)
    finally:
        postgres.signal_all(signal.SIGCONT)
    load.wait_for_ok(2000)
    load.finish()


@pytest.mark.alone
def test_the_primary_comes_back(
    postgres: Postgres, replica: Postgres, start_load: Callable[..., Load], slow: float
) -> None:
    """Without being told so, nobody reads from a replica what was not written there yet."""
    load = start_load(hosts_url([replica, postgres]))
    postgres.kill()
    load.wait_for("BH_EUNAVAILABLE", 1)
    postgres.start()
    up_at = time.monotonic()
    assert load.wait_for("written", 1) - up_at <= RECOVERY_S * slow * busy()
    load.wait_for_ok(500)
    last = load.finish()
    assert last["written"] <= int(postgres.sql("SELECT count(*) FROM written", "load"))


def test_reads_are_of_the_primary_whatever_the_url_asks_for(
    postgres: Postgres, replica: Postgres, start_load: Callable[..., Load]
) -> None:
    """A replica stands first in the URL, lags for ever, and is what target_session_attrs wants:
    who reads by another connection than the one that wrote reads what was written."""
    replica.sql("SELECT pg_wal_replay_pause()")
    for wanted in ("any", "standby", "prefer-standby"):
        url = hosts_url([replica, postgres], f"?target_session_attrs={wanted}")
        load = start_load(url, deadline_s=30)
        load.wait_for("written", 50)
        assert replica.sql(SESSIONS) == "0" and postgres.sql(SESSIONS) != "0"
        assert any(f"target_session_attrs={wanted} in" in line for line in load.errors)
        last = load.finish()
        assert last["written"] <= int(postgres.sql("SELECT count(*) FROM written", "load"))
        postgres.sql("TRUNCATE written", "load")
    assert replica.sql("SELECT count(*) FROM written", "load") == "0", "it did not lag"


def test_one_replica_after_the_other(
    postgres: Postgres, replica: Postgres, start_load: Callable[..., Load]
) -> None:
    """Of two replicas one is read from; when it dies, the other one; nobody misses a write."""
    with own_replica(postgres) as other:
        hosts = f"127.0.0.1:{replica.port},127.0.0.1:{other.port}"
        read_url = f"postgresql://postgres@{hosts}/load"
        load = start_load(postgres.url("load"), read_url=read_url, deadline_s=30)
        for dead, living in ((replica, other), (other, replica)):
            wait_for_reads(dead, 200)
            dead.kill()
            wait_for_reads(living, 200)
            load.wait_for_ok(500)
            dead.start()
        assert load.failed() <= 4 * CLIENTS, load.errors
        load.finish(AWAY | {"BH_ECONFLICT"})


def test_told_to_be_read_only(
    postgres: Postgres, load_url: str, start_load: Callable[..., Load]
) -> None:
    """25006: a writer's connection may be to a server that is the primary no more. All are made
    anew until one takes the write; reads do not notice."""
    load = start_load(load_url)
    postgres.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE 'not here' USING ERRCODE = '25006'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON written EXECUTE FUNCTION refuse()",
        "load",
    )
    load.wait_for("BH_EACCESS", 10)
    old = writers(postgres)
    load.wait_for("BH_EACCESS", 10)
    load.wait_for_ok(500)
    postgres.sql("DROP TRIGGER refuse ON written", "load")
    load.wait_for("written", 50)
    assert not old & writers(postgres)
    load.finish(AWAY | {"BH_EACCESS"})


def writers(postgres: Postgres) -> set[str]:
    """The processes of the server that have written."""
    rows = postgres.sql(
        "SELECT pid FROM pg_stat_activity WHERE datname = 'load' AND query LIKE 'INSERT%'"
    )
    return set(rows.split())
