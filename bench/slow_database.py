"""A PostgreSQL that is slow: a statement that reads texts or the index takes a quarter of a second.

Row-level security does it: each of these tables has a policy that lets every row through, but waits
when it is first asked in a statement, in the session that runs it. So a statement holds its
connection for as long, can be cancelled, and nothing else differs: not the server's settings, not
the statements, not their answers. Whoever bypasses row-level security (a superuser) is not slowed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness import Bench
from library import books
from postgres import Postgres, own_database, running

DATABASE = "checkpoints"
ROLE = "slowed"
BOOKS = 6
MEAN_MS = 250  # 200 to 300
TABLES = ("chunks", "postings", "concepts", "page_labels", "chapters")
STATE = "owners"  # one row for each library, which tells when it changed
STATISTICS = {
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",  # BEGIN and the like
}

WAIT = f"""
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE SCHEMA IF NOT EXISTS slow;
CREATE OR REPLACE FUNCTION slow.wait() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF current_setting('slow.statement', true) IS DISTINCT FROM statement_timestamp()::text THEN
        PERFORM set_config('slow.statement', statement_timestamp()::text, false);
        PERFORM pg_sleep({0.8 * MEAN_MS / 1000} + {0.4 * MEAN_MS / 1000} * random());
    END IF;
    RETURN true;
END $$;
DO $$ BEGIN CREATE ROLE {ROLE} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT ALL ON SCHEMA slow, public TO {ROLE};
GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE};
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {ROLE};
"""


@dataclass(frozen=True)
class Statements:
    """How many were run so far by the role that is slowed."""

    slow: int  # those that read texts or the index
    state: int  # those that asked whether the library has changed
    all: int  # and all others


class SlowDatabase:
    """`fast_url` and `slow_url` lead to the same library."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.fast_url = own_database(server, DATABASE)
        self.slow_url = server.socket_url(DATABASE, ROLE)

    def prepare(self, bench: Bench) -> None:
        """Takes the books in, unless they are there, and slows the tables."""
        process = subprocess.run(
            [str(bench.tomehub), "ingest", *map(str, books(bench, 1, BOOKS))],
            cwd=bench.work,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": self.fast_url, "LOG_LEVEL": "warning"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if process.returncode != 0:
            raise RuntimeError(f"tomehub ingest: {(process.stdout + process.stderr)[-2000:]}")
        self.server.query(WAIT, DATABASE)
        for table in TABLES:
            self.slow_down(table)
        self.speed_up(STATE)

    def slow_down(self, table: str) -> None:
        self.server.query(
            f"""DROP POLICY IF EXISTS slow ON {table};
            CREATE POLICY slow ON {table} USING ((SELECT slow.wait()));
            ALTER TABLE {table} ENABLE ROW LEVEL SECURITY""",
            DATABASE,
        )

    def speed_up(self, table: str) -> None:
        self.server.query(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", DATABASE)

    def statements(self) -> Statements:
        named = "|".join(TABLES)
        rows = self.server.query(
            f"""SELECT coalesce(sum(calls) FILTER (WHERE query ~ '\\m({named})\\M'), 0),
                       coalesce(sum(calls) FILTER (WHERE query ~ '\\mbooks\\M.*changed'), 0),
                       coalesce(sum(calls), 0)
            FROM pg_stat_statements WHERE userid = '{ROLE}'::regrole""",
            DATABASE,
        )
        return Statements(*map(int, rows[0].split("|")))


@contextmanager
def slow_database(bench: Bench) -> Iterator[SlowDatabase]:
    with running(bench, **STATISTICS) as server:
        database = SlowDatabase(server)
        database.prepare(bench)
        yield database
