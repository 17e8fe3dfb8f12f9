"""Fixtures of the integration tests: each database in turn, the HTTP layer's own test server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.database import Database, PostgresDatabase, SqliteDatabase
from support.http import RawHttp
from support.server import Server, ServerOptions


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """The service's tests run on both; `@pytest.mark.sqlite`, `.postgresql`: on that alone."""
    if request.param == "sqlite":
        return SqliteDatabase()
    postgres: PostgresDatabase = request.getfixturevalue("postgres_database")
    return postgres


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out of each database's round what is marked as the other's."""

    def is_left_out(item: pytest.Item) -> bool:
        name = item.callspec.params.get("database") if hasattr(item, "callspec") else None
        others = {"sqlite", "postgresql"} - {name}
        return name is not None and any(map(item.get_closest_marker, others))

    left_out = [item for item in items if is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not is_left_out(item)]


@pytest.fixture(scope="session")
def http_binary(build_dir: Path) -> Path:
    """The program tests/integration/http_server.c."""
    return build_dir / "tests" / "integration" / "http_server"


@pytest.fixture
def start_http(http_binary: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts the test server: `start_http(HEAD_TIMEOUT=200)`; times in ms.

    Each server still running at the end must leave with exit status 0 on SIGTERM.
    """
    servers: list[Server] = []

    def start(tls_ca: Path | None = None, **settings: object) -> Server:
        directory = tmp_path / "http"
        directory.mkdir(exist_ok=True)
        texts = {name: str(value) for name, value in settings.items()}
        server = Server(ServerOptions(http_binary, directory, texts, arguments=(), tls_ca=tls_ca))
        servers.append(server)
        server.start()
        return server

    try:
        yield start
        for server in servers:
            server.finish()
    finally:
        for server in servers:
            server.kill()


@pytest.fixture
def http_server(start_http: Callable[..., Server]) -> Server:
    """A test server with the default limits."""
    return start_http()


@pytest.fixture
def http_raw(http_server: Server) -> RawHttp:
    """Sends bytes as they are to the test server."""
    return RawHttp(http_server.port)
