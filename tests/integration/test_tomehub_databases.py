"""The same library on SQLite and PostgreSQL: every search is answered alike, to the last score."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from support.database import Database, PostgresDatabase, SqliteDatabase
from support.http import JsonClient
from support.server import Server, ServerOptions

WORDS = """the of and a to in is was he that his with as house houses housing whale whales whaling
sea seas sailor sailing sailed boat boats harpoon harpoons speckled band bands serpent serpents
general generation generate generous detective detectives case cases study studied studies number
numbers numerous friend friends friendly strange stranger gold golden fire fires burn burning burned
swamp adder snake snakes art arts artist state states straße ışıklar élan naïve cœur
1984 3.14""".split()
TITLES = ["The White Whale", "Houses of the Sea", "A Strange Detective", "Elan and Generation"]
AUTHORS = ["Herman Melville", "Arthur Conan Doyle", "", "Ada House"]
LANGUAGES = ["en", "en", "de", "fr", "tr", ""]
BOOKS = 12
EXTRAS = [
    {},
    {"sort": "newest"},
    {"sort": "title"},
    {"sort": "page"},
    {"facets": "true"},
    {"instant": "true"},
    {"page": 2, "page_size": 7},
    {"source_type": "NOTE"},
    {"author": "Ada House", "facets": "true"},
    {"tag": "odd"},
    {"include_details": "false"},
]


def make_book(number: int, dice: random.Random) -> dict[str, Any]:
    def sentence() -> str:
        """Common words often, rare ones seldom."""
        chosen = [WORDS[int(len(WORDS) * dice.random() ** 2)] for _ in range(dice.randint(4, 14))]
        return " ".join(chosen).capitalize() + "."

    pages = [
        {
            "label": f"p{page}",
            "chapter": f"{dice.choice(WORDS)} {dice.choice(WORDS)}".title() if page % 3 else "",
            "text": " ".join(sentence() for _ in range(dice.randint(5, 60))),
        }
        for page in range(1, dice.randint(3, 9))
    ]
    return {
        "title": f"{TITLES[number % len(TITLES)]} {number}",
        "author": AUTHORS[number % len(AUTHORS)],
        "language": LANGUAGES[number % len(LANGUAGES)],
        "source_type": "NOTE" if number % 3 == 0 else "BOOK",
        "tags": ["odd" if number % 2 else "even", "Sci-Fi"][: 1 + number % 2],
        "pages": pages,
    }


@pytest.fixture(scope="module")
def both(
    tomehub_binary: Any,
    postgres_database: PostgresDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[JsonClient]]:
    """Clients of two servers with the same books, taken in one after another so that ids agree."""
    with ExitStack() as stack:
        clients = []
        databases: list[Database] = [SqliteDatabase(), postgres_database]
        for database in databases:
            folder = tmp_path_factory.mktemp(database.name) / "library"
            folder.mkdir()
            settings = stack.enter_context(database.library(folder))
            server = Server(ServerOptions(tomehub_binary, folder, settings))
            server.start()
            stack.callback(server.kill)
            client = stack.enter_context(JsonClient(server.port))
            dice = random.Random(20261121)
            for number in range(BOOKS):
                answer = client.post("/api/ingest?wait=true", make_book(number, dice))
                assert answer.status == 200, answer.text
            clients.append(client)
        yield clients


def same(both: list[JsonClient], path: str, **query: object) -> dict[str, Any]:
    """Asks both; fails where they differ in more than how long they took."""
    answers = [client.get(path, **query) for client in both]
    for answer in answers:
        assert answer.status == 200, (query, answer.text)
    ours, theirs = (dict(answer.json) for answer in answers)
    for answered in (ours, theirs):
        answered.pop("execution_time_ms"), answered.pop("cache_hit")
    assert ours == theirs, query
    return ours


def random_query(dice: random.Random) -> str:
    def operand() -> str:
        word, other = dice.choice(WORDS), dice.choice(WORDS)
        shapes = [word, word, f"{word} {other}", f'"{word} {other}"', f"-{word}", f"{word[:3]}*"]
        shapes += [f"{word} OR {other}", f"title:{word}", f"author:{word}", "tag:odd", "type:note"]
        shapes += [word[:-1], word[::-1], f'-"{word} {other}"', f"book:{dice.randint(1, 15)}"]
        return dice.choice(shapes)

    return " ".join(operand() for _ in range(dice.randint(1, 5)))


@pytest.mark.parametrize("extra", EXTRAS, ids=str)
def test_answers_are_the_same(both: list[JsonClient], extra: dict[str, Any]) -> None:
    dice = random.Random(str(extra))
    found = 0
    for _ in range(60):
        found += same(both, "/api/search", q=random_query(dice), **extra)["total_count"]
    assert found > 100


def test_books_are_the_same(both: list[JsonClient]) -> None:
    dice = random.Random(7)
    for _ in range(60):
        same(both, "/api/search/books", q=random_query(dice))


def test_spelling_is_the_same(both: list[JsonClient]) -> None:
    suggestions = [
        same(both, "/api/search", q=query).get("did_you_mean")
        for query in ("harpon", "detectve", "the serpnt", "generatoin", "xylophone", "frend strage")
    ]
    assert sum(map(bool, suggestions)) >= 4


def test_pages_by_cursor_are_the_same(both: list[JsonClient]) -> None:
    cursor, seen = "", 0
    for _ in range(100):
        more = {"cursor": cursor} if cursor else {}
        answer = same(both, "/api/search", q="whale OR house", page_size=3, **more)
        seen += len(answer["results"])
        cursor = answer.get("next_cursor") or ""
        if not cursor:
            break
    assert seen == answer["total_count"] > 10


def test_a_deleted_book_is_gone_from_both(both: list[JsonClient]) -> None:
    before = same(both, "/api/search", q="whale")["total_count"]
    for client in both:
        assert client.delete("/api/books/1").status == 204
    # Not the scores: SQLite weighs words by the deleted book's chunks until they are purged.
    after = {client.get("/api/search", q="whale").json["total_count"] for client in both}
    assert len(after) == 1 and after.pop() < before
