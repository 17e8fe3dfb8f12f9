"""Concepts: key terms found at ingest, their relations, and that they go with their books."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.database import Database
from support.http import JsonClient
from support.ingest import wait_until

HARBOUR = "\n\n".join(
    f"That evening the keeper met Irene Adler beside the old barometer, line {n}. "
    "She asked for the barometer and spoke of Captain Nemo at length."
    for n in range(6)
)
BAY = "\n\n".join(
    f"In the bay lived Captain Nemo with a tame seal, line {n}. They feared Captain Nemo there."
    for n in range(6)
)


def labels(client: JsonClient, **query: object) -> list[str]:
    answer = client.get("/api/concepts", **query)
    assert answer.status == 200, answer.text
    return [concept["label"] for concept in answer.json["concepts"]]


def concept(client: JsonClient, name: str) -> dict[str, Any]:
    (found,) = client.get("/api/concepts", q=name).json["concepts"]
    answer = client.get(f"/api/concepts/{found['id']}")
    assert answer.status == 200, answer.text
    one: dict[str, Any] = answer.json
    assert {key: one[key] for key in found} == found
    return one


def test_names_and_clustered_words_are_found(client: JsonClient) -> None:
    client.ingest_text("Harbour", HARBOUR)
    found = labels(client)
    assert {"Irene Adler", "Captain Nemo", "barometer"} <= set(found)
    assert "Irene" not in found and "That" not in found
    adler = concept(client, "irene")
    assert (adler["label"], adler["count"], adler["books"]) == ("Irene Adler", 6, 1)
    related = {other["label"] for other in adler["related"]}
    assert {"Captain Nemo", "barometer"} <= related and "Irene Adler" not in related


def test_concepts_span_books_and_go_with_them(client: JsonClient) -> None:
    harbour = client.ingest_text("Harbour", HARBOUR)
    client.ingest_text("Bay", BAY)
    nemo = concept(client, "nemo")
    assert (nemo["count"], nemo["books"]) == (18, 2)
    assert labels(client)[0] == "Captain Nemo"
    assert client.delete(f"/api/books/{harbour}").status == 204
    assert (concept(client, "nemo")["count"], concept(client, "nemo")["books"]) == (12, 1)
    assert labels(client, q="adler") == []
    assert all(o["label"] != "Irene Adler" for o in concept(client, "nemo")["related"])


def test_a_replaced_book_takes_its_concepts_along(client: JsonClient) -> None:
    book = client.ingest_text("Harbour", HARBOUR)
    client.ingest_text("Bay", BAY, book_id=book)
    assert labels(client, q="adler") == []
    assert concept(client, "nemo")["count"] == 12


@pytest.mark.parametrize("prefix", ["nem", "NEMO", "captain n", "Captain Nemo", "cap"])
def test_look_up_by_the_beginning_of_a_word(client: JsonClient, prefix: str) -> None:
    client.ingest_text("Bay", BAY)
    assert labels(client, q=prefix) == ["Captain Nemo"]
    assert labels(client, q="emo") == []


NAMES = ["Walla Walla", "Van Der Meer", "Meerkat Hill", "Ångström"]
NAMED = "\n\n".join(f"They saw {', '.join(NAMES)} and more of them there." for _ in range(3))


ANY_WORD = [
    ("wal", ["Walla Walla"]),  # by two of its words, counted once
    ("meer", ["Meerkat Hill", "Van Der Meer"]),
    ("der m", ["Van Der Meer"]),
    ("VAN der", ["Van Der Meer"]),
    ("hill", ["Meerkat Hill"]),
    ("hills", []),
    ("eer", []),
    ("angs", ["Ångström"]),
    ("ångström", ["Ångström"]),
]


def test_look_up_by_any_word(client: JsonClient) -> None:
    client.ingest_text("Named", NAMED)
    for prefix, expected in ANY_WORD:
        found = client.get("/api/concepts", q=prefix).json["concepts"]
        assert sorted(concept["label"] for concept in found) == expected, prefix
        assert all((concept["count"], concept["books"]) == (3, 1) for concept in found)


# ---- The database's work ----


def plan(database: Database, settings: dict[str, str], root: Path, name: str, *values: str) -> str:
    """How the database carries out a statement of ours; small tables must not be a reason to read
    them from end to end."""
    folder = "postgres" if database.name == "postgresql" else "sqlite"
    text = (root / "services" / "tomehub" / "sql" / folder / f"{name}.sql").read_text()
    if database.name == "sqlite":
        for number, value in enumerate(values, 1):
            text = text.replace(f"?{number}", value)
        return "\n".join(database.sql(settings, f"EXPLAIN QUERY PLAN {uncommented(text)}"))
    return "\n".join(
        database.sql(
            settings,
            "SET plan_cache_mode = force_generic_plan",
            "SET enable_seqscan = off",
            f"PREPARE asked AS {uncommented(text)}",
            f"EXPLAIN (COSTS OFF) EXECUTE asked ({', '.join(values)})",
            "DEALLOCATE asked",
        )
    )


def uncommented(text: str) -> str:
    return re.sub(r"^--.*\n", "", text, flags=re.MULTILINE).strip().rstrip(";")


def test_each_look_up_reads_ranges_of_indexes(
    command: Any, database: Database, library_settings: dict[str, str], root: Path
) -> None:
    assert command("migrate").status == 0
    find = plan(database, library_settings, root, "concepts_find", "1", "'nem'", "20")
    a_range = (
        r" \(owner_id=\? AND \w+>\? AND \w+<\?\)"
        if database.name == "sqlite"
        else r"\b.*\s+Index Cond: \(\(owner_id = \$1\) AND \(.* >= \$2\) AND \(.* < "
    )
    for word in ("first", "second", "third"):
        assert re.search(rf"concepts_by_{word}{a_range}", find), find
    related = plan(database, library_settings, root, "concept_relations", "1", "2", "20")
    key = r"r USING PRIMARY KEY" if database.name == "sqlite" else r"relations_pkey"
    assert "concepts_by_id" in related and re.search(key, related), related
    assert not re.search(r"SCAN (concepts|c|r|asked)\b|Seq Scan", find + related), find + related


BEFORE = {
    "sqlite": [
        *(f"DROP INDEX concepts_by_{word}" for word in ("first", "second", "third")),
        *(f"ALTER TABLE concepts DROP COLUMN from_{word}" for word in ("third", "second")),
    ],
    "postgresql": [
        *(f"DROP INDEX concepts_by_{word}" for word in ("first", "second", "third")),
        *(f'ALTER TABLE concepts ALTER {name} TYPE text COLLATE "default"' for name in
          ("term", "label")),
    ],
}  # fmt: skip


def test_a_library_of_before_the_indexes(
    command: Any,
    database: Database,
    library_settings: dict[str, str],
    start_tomehub: Any,
    tmp_path: Path,
) -> None:
    """Migration 0010, taken back, is applied again by the next start."""
    path = tmp_path / "named.txt"
    path.write_text(NAMED)
    assert command("ingest", path).status == 0
    database.sql(
        library_settings,
        *BEFORE[database.name],
        "CREATE INDEX relations_by_id ON relations (owner_id, id)",
        "DELETE FROM schema_migrations WHERE version = 10",
    )
    server = start_tomehub()
    with JsonClient(server.port) as client:
        assert sorted(labels(client, q="meer")) == ["Meerkat Hill", "Van Der Meer"]
        assert labels(client, q="hill") == ["Meerkat Hill"]
        assert {o["label"] for o in concept(client, "walla")["related"]} >= {"Van Der Meer"}


def test_bad_questions(client: JsonClient) -> None:
    for path, field in (
        ("/api/concepts?limit=0", "limit"),
        ("/api/concepts?limit=101", "limit"),
        (f"/api/concepts?q={'x' * 201}", "q"),
        ("/api/concepts/0", "id"),
        ("/api/concepts/x", "id"),
        ("/api/concepts/9007199254740992", "id"),
    ):
        answer = client.get(path)
        assert answer.status == 422 and answer.json["field"] == field, path
    assert client.get("/api/concepts/12345").status == 404
    assert labels(client, q="%_'") == [] and labels(client) == []


def test_scripts_without_capitals_or_blanks_do_no_harm(client: JsonClient) -> None:
    client.ingest_text("Kokoro", "私はその人を常に先生と呼んでいた。" * 50)
    client.ingest_text("Bytes", "\ufeff A\u0301 B\u0302 \u201cq\u201d " * 30)
    client.ingest_text("One", "x")
    assert client.get("/api/concepts").status == 200


def test_rows_are_removed(client: JsonClient, library_settings: dict[str, str]) -> None:
    """In the background: the table is asked through a fresh ingest of the same content."""
    book = client.ingest_text("Harbour", HARBOUR)
    assert client.delete(f"/api/books/{book}").status == 204
    wait_until(lambda: client.get(f"/api/books/{book}").status == 404)
    client.ingest_text("Harbour", HARBOUR)
    assert concept(client, "adler")["count"] == 6
