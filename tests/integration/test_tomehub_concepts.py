"""Concepts: key terms found at ingest, their relations, and that they go with their books."""

from __future__ import annotations

from typing import Any

import pytest

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
