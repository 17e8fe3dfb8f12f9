"""Where the libraries of tests are kept: an SQLite file, or a database of a PostgreSQL server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.postgres import Postgres


class SqliteDatabase:
    """A file in each library's folder."""

    name = "sqlite"

    @contextmanager
    def library(self, folder: Path) -> Iterator[dict[str, str]]:
        """The settings of a library that is empty at first."""
        yield {"DATABASE_URL": f"sqlite:{folder / 'library.db'}"}


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


Database = SqliteDatabase | PostgresDatabase
