"""`tomehub migrate --from … --to …`: a library moves between the databases, whole or not at all."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.database import Database, PostgresDatabase, SqliteDatabase
from support.http import JsonClient
from support.process import CommandResult, run_command
from support.server import Server, ServerOptions

Run = Callable[..., CommandResult]
QUERIES = ["fox", "fox river", '"common fox"', "otter -badger", "rivr", "title:heron", "bad*"]
USERS: list[list[str]] = [[], ["--user", "ann"]]
NOUNS = ["otter", "badger", "heron"]


@pytest.fixture
def places(
    tmp_path: Path, postgres_database: PostgresDatabase
) -> Iterator[dict[str, tuple[Path, dict[str, str]]]]:
    """Two empty libraries of each database: folder and settings by name."""
    with ExitStack() as stack:
        found = {}
        for name in ("sqlite", "sqlite2", "postgresql", "postgresql2"):
            is_file = name.startswith("sqlite")
            database: Database = SqliteDatabase() if is_file else postgres_database
            folder = tmp_path / name
            folder.mkdir()
            found[name] = folder, stack.enter_context(database.library(folder))
        yield found


@pytest.fixture
def run(tomehub_binary: Path, tmp_path: Path) -> Run:
    def command(*arguments: object, **settings: str) -> CommandResult:
        return run_command(tomehub_binary, tmp_path, arguments, settings)

    return command


def fill(run: Run, settings: dict[str, str], folder: Path) -> None:
    """Three books, of which the second is deleted again, and one of another user, who has a key."""
    for noun in NOUNS:
        path = folder / f"{noun}.txt"
        lines = (f"The {noun} number {n} met a common fox near the river." for n in range(200))
        path.write_text("\n\n".join(lines))
        result = run("ingest", "--title", f"On the {noun}", "--tags", "animals", path, **settings)
        assert result.status == 0, result.stderr
    assert run("books", "--delete", 2, **settings).status == 0
    assert run("keys", "create", "--user", "ann", **settings).status == 0
    path = folder / "hers.txt"
    path.write_text("The heron of Ann.")
    assert run("ingest", "--user", "ann", path, **settings).status == 0


def searched(binary: Path, place: tuple[Path, dict[str, str]]) -> list[Any]:
    """What a server on the library answers, times left out; scores too, as SQLite weighs words also
    by books that wait for their purge."""
    folder, settings = place
    server = Server(ServerOptions(binary, folder, settings))
    server.start()
    try:
        with JsonClient(server.port) as client:
            answers = [dict(client.get("/api/search", q=query).json) for query in QUERIES]
            for answer in answers:
                answer.pop("execution_time_ms"), answer.pop("cache_hit")
                for hit in answer["results"]:
                    hit.pop("score")
            answers.append(client.get("/api/books").json)
        server.finish()
        return answers
    finally:
        server.kill()


@pytest.mark.parametrize(
    "way", [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("postgresql", "postgresql2")]
)
def test_there_and_the_same(
    places: Any, run: Run, tmp_path: Path, tomehub_binary: Path, way: Any
) -> None:
    source, target = (places[name] for name in way)
    fill(run, source[1], tmp_path)
    urls = source[1]["DATABASE_URL"], target[1]["DATABASE_URL"]
    moved = run("migrate", "--from", urls[0], "--to", urls[1])
    assert moved.status == 0, moved.stderr
    assert re.search(r"3 books with \d+ chunks moved in [\d.]+ s; counts agree", moved.stdout)
    answers = [searched(tomehub_binary, place) for place in (source, target)]
    assert answers[0] == answers[1]
    assert answers[0][0]["total_count"] > 10
    for whose in USERS:
        exports = [run("export", *whose, **place[1]) for place in (source, target)]
        assert exports[0].stdout.splitlines()[1:] == exports[1].stdout.splitlines()[1:]
        assert exports[0].stdout.count("The heron of Ann.") == len(whose) / 2
    keys = [run("keys", "list", **place[1]).stdout for place in (source, target)]
    assert keys[0] == keys[1] and "user ann" in keys[0]
    check = run("check", **target[1])
    assert check.status == 0, check.stdout
    # An id that was given once is not given again, there either.
    path = tmp_path / "late.txt"
    path.write_text("A latecomer.")
    added = run("ingest", "--json", path, **target[1])
    assert json.loads(added.stdout)["book_id"] == 5


def test_a_target_with_books_is_refused(places: Any, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Some text.")
    for name in ("sqlite", "postgresql"):
        assert run("ingest", tmp_path / "a.txt", **places[name][1]).status == 0
    urls = [places[name][1]["DATABASE_URL"] for name in ("sqlite", "postgresql")]
    for source, target in (urls, reversed(urls)):
        refused = run("migrate", "--from", source, "--to", target)
        assert refused.status == 1 and "empty database" in refused.stderr
    assert "a" in run("books", **places["postgresql"][1]).stdout


def test_nothing_is_kept_of_half_a_library(places: Any, run: Run, tmp_path: Path) -> None:
    """The source says it has more chunks than it has: the counts at the end disagree."""
    folder, settings = places["sqlite"]
    path = tmp_path / "a.txt"
    path.write_text("\n\n".join(f"Paragraph {n} of a book." for n in range(500)))
    assert run("ingest", path, **settings).status == 0
    # A chunk that names its book, but not by its id: it is counted, but no walk finds it.
    with sqlite3.connect(folder / "library.db") as connection:
        connection.execute(
            "INSERT INTO chunks (id, owner_id, book_id, page_number, page_end, paragraph,"
            " word_count, content) SELECT 5 << 20, 1, id, 1, 1, 1, 1, 'stray' FROM books"
        )
    target = places["postgresql"][1]
    moved = run("migrate", "--from", settings["DATABASE_URL"], "--to", target["DATABASE_URL"])
    assert moved.status == 1 and "nothing is kept" in moved.stderr, moved.stderr
    assert "No books yet" in run("books", **target).stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--from", "sqlite:nowhere.db"], "go together"),
        (["--from", "sqlite:nowhere.db", "--to", "sqlite:x.db"], "no library at"),
        (["--from", "sqlite:x.db", "--to", "sqlite:x.db"], "same database"),
    ],
)
def test_called_wrongly(run: Run, tmp_path: Path, arguments: list[str], hint: str) -> None:
    result = run("migrate", *arguments)
    assert result.status != 0 and hint in result.stderr
    assert not list(tmp_path.glob("*.db"))
