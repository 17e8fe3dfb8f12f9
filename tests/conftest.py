"""Fixtures for tests that meet real servers: build folder, temporary library, TomeHub server, JSON
client and raw sockets. Only the standard library and pytest.

BH_BUILD names the Meson build folder under test (default build/release), so that the same tests run
against a sanitizer build.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.epub import EpubWriter
from support.database import Database, PostgresDatabase, SqliteDatabase
from support.http import JsonClient, RawHttp
from support.postgres import Postgres, own_server, server_folder
from support.process import CommandResult, run_command
from support.server import Server, ServerOptions
from support.tls import Authority, Certificate

ROOT = Path(__file__).resolve().parent.parent
LONGEST_NAME = 80


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes do not name a test: they may be long, and others each time (the clock in an archive),
    while workers must agree on the names. Nor does long text. Pytest adds numbers."""
    is_long = isinstance(val, str) and len(val) > LONGEST_NAME
    return argname if isinstance(val, bytes) or is_long else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--parameters",
        type=int,
        metavar="N",
        help="of each test, on each database, only the first N sets of parameters",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    limit = config.getoption("--parameters")
    if limit is None:
        return
    seen: Counter[tuple[object, ...]] = Counter()

    def is_repetition(item: pytest.Item) -> bool:
        if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
            return False
        key = (item.path, item.originalname, item.callspec.params.get("database"))
        seen[key] += 1
        return seen[key] > int(limit)

    left_out = [item for item in items if is_repetition(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session")
def root() -> Path:
    """The tree under test."""
    return ROOT


@pytest.fixture(scope="session")
def build_dir() -> Path:
    """The Meson build folder under test."""
    path = Path(os.environ.get("BH_BUILD", "build/release"))
    path = path if path.is_absolute() else ROOT / path
    if not (path / "build.ninja").exists():
        pytest.exit(f"{path} is no build folder; run `make build` first", 2)
    return path


@pytest.fixture(scope="session")
def sanitizer(build_dir: Path) -> str:
    """ "none", "address,undefined" or "thread": for the few tests whose limits depend on it."""
    options = json.loads((build_dir / "meson-info" / "intro-buildoptions.json").read_text())
    return str(next(o["value"] for o in options if o["name"] == "b_sanitize"))


@pytest.fixture(scope="session")
def tomehub_binary(build_dir: Path) -> Path:
    """The tomehub program under test."""
    path = build_dir / "services" / "tomehub" / "tomehub"
    assert path.exists(), f"{path} was not built"
    return path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """For certificates of the test's own."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    return authority.issue("server")


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[Path]:
    """A data folder, made once and copied for each server."""
    with server_folder() as folder:
        yield Postgres(folder / "server").data


@pytest.fixture
def postgres(postgres_template: Path) -> Iterator[Postgres]:
    """A running PostgreSQL server of the test's own."""
    with own_server(postgres_template) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(postgres_template: Path) -> Iterator[Postgres]:
    """A PostgreSQL server of the session's own, started when the first test wants it."""
    with own_server(postgres_template) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(postgres_server: Postgres) -> PostgresDatabase:
    """Libraries on that server."""
    return PostgresDatabase(postgres_server)


@pytest.fixture
def library_dir(tmp_path: Path) -> Path:
    """An empty folder: the server's working directory, with its library file library.db."""
    path = tmp_path / "library"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def database() -> Database:
    """Where libraries are kept. The integration tests run once on SQLite, once on PostgreSQL, and
    those fault tests that are marked so."""
    return SqliteDatabase()


@pytest.fixture
def library_settings(database: Database, library_dir: Path) -> Iterator[dict[str, str]]:
    """The settings by which programs find the test's library."""
    with database.library(library_dir) as settings:
        yield settings


@pytest.fixture
def start_tomehub(
    tomehub_binary: Path, library_dir: Path, library_settings: dict[str, str]
) -> Iterator[Callable[..., Server]]:
    """Starts servers: `start_tomehub(LOG_LEVEL="debug", ready=False)`.

    Keyword arguments in capitals are settings, the others fields of ServerOptions. Each server
    still running at the end of the test is ended with SIGTERM and must then exit with 0; none may
    have printed a sanitizer report. After `server.kill()`, `server.start()` starts it again.
    """
    servers: list[Server] = []

    def start(**keywords: object) -> Server:
        given = {name: str(value) for name, value in keywords.items() if name.isupper()}
        settings = library_settings | given
        others: Any = {name: value for name, value in keywords.items() if not name.isupper()}
        options = ServerOptions(tomehub_binary, library_dir, settings, **others)
        server = Server(options)
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
def tomehub(start_tomehub: Callable[..., Server]) -> Server:
    """A ready server on an empty library."""
    return start_tomehub()


@pytest.fixture
def client(tomehub: Server) -> Iterator[JsonClient]:
    """A JSON client of the server `tomehub`."""
    with JsonClient(tomehub.port) as json_client:
        yield json_client


@pytest.fixture
def raw(tomehub: Server) -> RawHttp:
    """Sends bytes as they are to the server `tomehub`."""
    return RawHttp(tomehub.port)


@pytest.fixture
def epub(tmp_path: Path) -> EpubWriter:
    """Writes EPUB files into the test's folder."""
    return EpubWriter(tmp_path)


@pytest.fixture(scope="session")
def corpus_epub() -> Path:
    """A real, large EPUB beside the tree; the test is skipped on machines without it."""
    path = ROOT.parent / "shared" / "corpus" / "sherlock.epub"
    if not path.exists():
        pytest.skip("the corpus is not on this machine")
    return path


@pytest.fixture
def command(
    tomehub_binary: Path, library_dir: Path, library_settings: dict[str, str]
) -> Callable[..., CommandResult]:
    """Runs `tomehub` on the test's library: `command("search", "word", LOG_LEVEL="debug")`.

    Keyword arguments in capitals are settings; `timeout` (seconds) and `stdin` (bytes) are options.
    """

    def run(*arguments: object, **keywords: object) -> CommandResult:
        given = {name: str(value) for name, value in keywords.items() if name.isupper()}
        settings = library_settings | given
        others: Any = {name: value for name, value in keywords.items() if not name.isupper()}
        return run_command(tomehub_binary, library_dir, arguments, settings, **others)

    return run
