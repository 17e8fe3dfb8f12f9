"""Rows of neighbouring books are joined on PostgreSQL: nobody notices, whoever kills whatever in
between, and what is removed afterwards is gone."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.database import PostgresDatabase
from support.http import JsonClient
from support.ingest import wait_until
from support.postgres import program
from support.process import run_command
from support.server import Server

NOTES = 50
AT_ONCE = 16  # books merged together here
VOCABULARY = [
    f"{first}{middle}{last}"
    for first in "har bel cor dun fen gal lum mor pas ril sor tam".split()
    for middle in "a e i o u ai ea io oa ui ar en il os".split()
    for last in "pon dle ted ning ver sten kin more low mish rade".split()
]
QUERIES = [
    *("whale", "whale house", '"the whale"', "house*", "harap*", "title:note", "tag:odd", "the"),
    *("whale -house", "whale OR harapon", "type:note", "harapno", " ".join(VOCABULARY[5:7])),
]


def note(number: int) -> dict[str, Any]:
    """One chunk; common words in every note, others in few."""
    dice = random.Random(number)
    words = dice.choices(VOCABULARY, k=150) + ["the whale", "houses", "the house"]
    dice.shuffle(words)
    return {
        "title": f"Note {number}",
        "source_type": "NOTE",
        "language": "en",
        "tags": ["odd" if number % 2 else "even"],
        "text": f"{' '.join(words)}. note{number}x",
    }


class MergedLibrary:
    """A library in a schema of a PostgreSQL server, looked at from outside."""

    def __init__(self, database: PostgresDatabase, settings: dict[str, str]) -> None:
        self.database = database
        self.schema = settings["DATABASE_URL"].partition("%3D")[2]

    def sql(self, statement: str) -> str:
        return self.database.server.sql(
            f"SET search_path TO {self.schema}; {statement}", "libraries"
        )

    def allow(self, books: int = AT_ONCE) -> None:
        self.sql(f"UPDATE index_merging SET books_wanted = {books}")

    def is_merged(self) -> bool:
        """Nothing is under way, and fewer books are left than are merged together."""
        return (
            self.sql(
                "SELECT m.last_book IS NULL AND m.first_book > 1 AND m.books_wanted >"
                " (SELECT count(*) FROM books WHERE id >= m.first_book) FROM index_merging AS m"
            )
            == "t"
        )

    def is_purged(self) -> bool:
        return self.sql("SELECT count(*) FROM books WHERE state <> 'ready'") == "0"

    def rows(self, condition: str = "true") -> int:
        return int(self.sql(f"SELECT count(*) FROM postings WHERE {condition}"))

    def content(self) -> str:
        """Of the index, in whatever rows: each word's list, and the vocabulary."""
        return self.sql(
            "SELECT (SELECT md5(string_agg(word || ' ' || list, ',' ORDER BY word)) FROM"
            " (SELECT word, encode(string_agg(postings, '' ORDER BY segment), 'hex') AS list"
            " FROM postings GROUP BY word) AS words),"
            " (SELECT md5(string_agg(word, ',' ORDER BY word)) FROM index_words)"
        )


@pytest.fixture
def database(postgres_database: PostgresDatabase) -> PostgresDatabase:
    """Every library of this file is kept in PostgreSQL."""
    return postgres_database


@pytest.fixture
def library(database: PostgresDatabase, library_settings: dict[str, str]) -> MergedLibrary:
    return MergedLibrary(database, library_settings)


def take_in(client: JsonClient, numbers: range) -> None:
    jobs = [client.post("/api/ingest", note(number)).json["job_id"] for number in numbers]
    for job in jobs:
        wait_until(lambda: client.get(f"/api/ingest/{job}").json["status"] == "done")


def answers(server: Server) -> list[dict[str, Any]]:
    """Of a server that has kept nothing yet, but for how long they took."""
    with JsonClient(server.port) as client:
        found = [client.get("/api/search", q=q, facets="true", page_size=50).json for q in QUERIES]
    for answer in found:
        answer.pop("execution_time_ms")
    assert sum(answer["total_count"] > 0 for answer in found) >= len(found) - 1
    return found


def rebuilt(binary: Path, library: MergedLibrary, settings: dict[str, str], folder: Path) -> str:
    """The index's content once it is made anew from the books."""
    result = run_command(binary, folder, ("check", "--rebuild-index"), settings)
    assert result.status == 0, result.stderr
    return library.content()


def test_answers_stay_the_same(
    start_tomehub: Callable[..., Server], library: MergedLibrary
) -> None:
    server = start_tomehub()
    with JsonClient(server.port) as client:
        take_in(client, range(NOTES))
    before, content = answers(server), library.content()
    assert library.rows("word = 'whale'") == NOTES
    library.allow()
    wait_until(library.is_merged)
    assert library.content() == content
    assert library.rows("word = 'whale'") == NOTES // AT_ONCE + NOTES % AT_ONCE
    assert answers(start_tomehub()) == before


def test_books_go_from_merged_rows(
    start_tomehub: Callable[..., Server],
    library: MergedLibrary,
    library_settings: dict[str, str],
    tomehub_binary: Path,
    library_dir: Path,
) -> None:
    """Deleted by two servers at once, and replaced; then the index is what the books left make."""
    servers = [start_tomehub(), start_tomehub()]
    with JsonClient(servers[0].port) as one, JsonClient(servers[1].port) as two:
        library.allow()
        take_in(one, range(NOTES))
        wait_until(library.is_merged)
        gone = [1, 2, 3, 17, 20, 31, 32, 33, 48]
        for index, book in enumerate(gone):
            assert [one, two][index % 2].delete(f"/api/books/{book}").status == 204
        take_in(two, range(NOTES, NOTES + AT_ONCE))
        wait_until(library.is_purged)
        wait_until(library.is_merged)
        for number in [book - 1 for book in gone]:
            assert (
                one.get("/api/search", q=f"note{number}x", instant="true").json["total_count"] == 0
            )
        assert one.get("/api/search", q="whale").json["total_count"] == NOTES + AT_ONCE - len(gone)
    content = library.content()
    for server in servers:
        server.finish()
    assert rebuilt(tomehub_binary, library, library_settings, library_dir) == content
    server = start_tomehub()
    wait_until(library.is_merged)
    assert library.content() == content
    with JsonClient(server.port) as client:
        for book in range(1, NOTES + AT_ONCE + 1):
            client.delete(f"/api/books/{book}")
        wait_until(library.is_purged)
    assert library.rows() == 0
    assert library.sql("SELECT count(*) FROM index_words") == "0"


def test_killed_while_merging(start_tomehub: Callable[..., Server], library: MergedLibrary) -> None:
    server = start_tomehub()
    with JsonClient(server.port) as client:
        take_in(client, range(NOTES))
    content = library.content()
    dice = random.Random(20261121)
    library.allow()
    for _ in range(4):
        server.kill()
        assert library.content() == content
        server.start()
        time.sleep(dice.random() * 0.3)
    wait_until(library.is_merged)
    assert library.content() == content


def test_a_book_in_the_making_is_waited_for(
    start_tomehub: Callable[..., Server], library: MergedLibrary
) -> None:
    """Its id is lower than those of books that are there, and nobody sees it yet."""
    server = start_tomehub()
    library.allow()
    other = subprocess.Popen(
        [program("psql"), "-XAtq", library.database.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdin and other.stdout
    other.stdin.write(
        f"SET search_path TO {library.schema}; BEGIN; INSERT INTO books (owner_id, state, title,"
        " source_type, content_hash, created_at, updated_at)"
        " VALUES (1, 'loading', '', 'NOTE', '', 0, 0) RETURNING id;\n"
    )
    other.stdin.flush()
    assert other.stdout.readline() == "1\n"
    with JsonClient(server.port) as client:
        take_in(client, range(2 * AT_ONCE))
        for book in (2, 3):  # the second purge is begun when what followed the first has ended
            client.delete(f"/api/books/{book}")
            wait_until(library.is_purged)
    assert library.sql("SELECT first_book, last_book IS NULL FROM index_merging") == "1|t"
    other.communicate("ROLLBACK;\n")
    wait_until(library.is_merged)
