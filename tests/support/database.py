"""Where the libraries of tests are kept: an SQLite file, or a database of a PostgreSQL server."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from support.postgres import Postgres
from support.server import Server, ServerOptions


class SqliteDatabase:
    """A file in each library's folder."""

    name = "sqlite"

    @contextmanager
    def library(self, folder: Path) -> Iterator[dict[str, str]]:
        """The settings of a library that is empty at first."""
        yield {"DATABASE_URL": f"sqlite:{folder / 'library.db'}"}

    def sql(self, settings: dict[str, str], *statements: str) -> list[str]:
        """Runs them on that library, all or none; the last one's rows, columns parted by |."""
        path = settings["DATABASE_URL"].removeprefix("sqlite:")
        rows: list[tuple[object, ...]] = []
        with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
        return ["|".join(map(str, row)) for row in rows]

    def rows(self, settings: dict[str, str], table: str) -> int:
        """How many there are in a table of that library."""
        return int(self.sql(settings, f"SELECT count(*) FROM {table}")[0])


class PostgresDatabase:
    """A schema for each library, in one database of a server; made in stock, which is quick."""

    name = "postgresql"
    STOCK = 200

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.url = server.create("libraries")
        self.numbers = itertools.count(0)

    def next_schema(self) -> str:
        number = next(self.numbers)
        if number % self.STOCK == 0:
            last = number + self.STOCK - 1
            self.server.sql(
                f"DO $$ BEGIN FOR i IN {number}..{last} LOOP"
                " EXECUTE format('CREATE SCHEMA library_%s', i); END LOOP; END $$",
                "libraries",
            )
        return f"library_{number}"

    @contextmanager
    def library(self, folder: Path) -> Iterator[dict[str, str]]:
        """The settings of a library that is empty at first."""
        schema = self.next_schema()
        yield {
            "DATABASE_URL": f"{self.url}?options=-csearch_path%3D{schema}",
            "DATA_DIR": str(folder / "library.db.uploads"),
        }

    def sql(self, settings: dict[str, str], *statements: str) -> list[str]:
        """Runs them on that library, all or none; their rows, columns parted by |."""
        schema = settings["DATABASE_URL"].partition("%3D")[2]
        script = ";\n".join([f"SET search_path = {schema}", *statements])
        return self.server.sql(script, "libraries").splitlines()

    def rows(self, settings: dict[str, str], table: str) -> int:
        """How many there are in a table of that library."""
        return int(self.sql(settings, f"SELECT count(*) FROM {table}")[0])


Database = SqliteDatabase | PostgresDatabase

# A fault test that runs on each of them in turn.
on_both = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@contextmanager
def serving(binary: Path, database: Database, folder: Path) -> Iterator[Server]:
    """A TomeHub on a library of its own in `folder`, which is made. If all went well it must leave
    with exit status 0."""
    folder.mkdir()
    with database.library(folder) as settings:
        server = Server(ServerOptions(binary, folder, settings))
        server.start()
        try:
            yield server
            server.finish()
        finally:
            server.kill()
