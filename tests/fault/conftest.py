"""Fixtures of the fault tests: a load on a PostgreSQL server, and what stands between them; the
database of the service's tests; a server that lives in a cgroup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cgroup import CGROUPS, MemoryCgroup
from support.database import Database, SqliteDatabase
from support.postgres import Postgres, own_replica
from support.postgres_load import Load, Options
from support.server import Server, ServerOptions
from support.tcp_proxy import TcpProxy


@pytest.fixture
def slow(sanitizer: str) -> float:
    """What times are multiplied by under a sanitizer."""
    return 1.0 if sanitizer == "none" else 5.0


@pytest.fixture
def proxy(load_database: str, postgres: Postgres) -> Iterator[TcpProxy]:
    assert load_database
    with TcpProxy(postgres.port) as tcp_proxy:
        yield tcp_proxy


@pytest.fixture
def load_database(postgres: Postgres) -> str:
    """A database with what db_load works on."""
    postgres.create("load")
    postgres.sql(
        "CREATE TABLE written (number bigint PRIMARY KEY);"
        "CREATE TABLE star AS SELECT id::bigint, 'x' AS word FROM generate_series(0, 99) id",
        "load",
    )
    return "load"


@pytest.fixture
def start_load(build_dir: Path, slow: float) -> Iterator[Callable[..., Load]]:
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
def load_url(proxy: TcpProxy, load_database: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{load_database}"


@pytest.fixture
def replica(postgres: Postgres, load_database: str) -> Iterator[Postgres]:
    """A streaming replica of the server with the load's database."""
    assert load_database
    with own_replica(postgres) as server:
        yield server


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> Database:
    """SQLite; each in turn for tests marked `@on_both`."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return SqliteDatabase()
    both: Database = request.getfixturevalue("postgres_database")
    return both


@pytest.fixture
def rows(database: Database, library_settings: dict[str, str]) -> Callable[[str], int]:
    """How many rows a table of the test's library has."""
    return lambda table: database.rows(library_settings, table)


@pytest.fixture
def cgroup() -> Iterator[MemoryCgroup]:
    for parent in CGROUPS:
        try:
            group = MemoryCgroup(parent)
            group.set_limit(1 << 40)
        except OSError:
            continue
        try:
            yield group
        finally:
            group.remove()
        return
    pytest.skip("no memory cgroup can be made here")


@pytest.fixture
def start_in_cgroup(
    cgroup: MemoryCgroup, tomehub_binary: Path, library_dir: Path, tmp_path: Path, sanitizer: str
) -> Iterator[Callable[..., Server]]:
    """Starts a supervised server that lives in the cgroup, within a limit that stands before it
    comes. Thresholds and interval are the usual ones."""
    if sanitizer != "none":
        pytest.skip("a sanitizer takes more memory than what is measured")
    starter = tmp_path / "in-cgroup"
    starter.write_text(f'#!/bin/sh\n{cgroup.enter}\nexec {tomehub_binary} "$@"')
    starter.chmod(0o755)
    servers: list[Server] = []

    def start(limit: int, **settings: str) -> Server:
        cgroup.set_limit(limit)
        usual = {
            "SUPERVISOR": "on",
            "ACCESS_LOG": "off",
            "MAX_CONCURRENT_STREAMS": "200",
            "STREAM_MAX_PER_CLIENT": "0",
            "MEMORY_RESTART_DELAY": "0s",
            "MEMORY_RESTART_INTERVAL": "0s",
        }
        servers.append(Server(ServerOptions(starter, library_dir, usual | settings)))
        servers[0].start()
        return servers[0]

    try:
        yield start
        servers[0].finish()
    finally:
        for server in servers:
            server.kill()
