"""Fixtures of the fault tests: a load on a PostgreSQL server, and what stands between them; the
database of the service's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.database import Database, SqliteDatabase
from support.postgres import Postgres, own_replica
from support.postgres_load import Load, Options
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
