"""Content, batch, books, pages and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.http import JsonClient, RawHttp
from support.server import Server

BOOK_FIELDS = {
    "id",
    "title",
    "author",
    "source_type",
    "language",
    "tags",
    "page_kind",
    "page_count",
    "chunk_count",
    "word_count",
    "file_name",
    "byte_size",
    "created_at",
    "updated_at",
    "metadata",
}
CONTENT_FIELDS = {
    "id",
    "book_id",
    "title",
    "author",
    "source_type",
    "chapter",
    "page_number",
    "page_label",
    "page_kind",
    "paragraph",
    "content",
    "tags",
    "metadata",
}


def long_text(name: str, paragraphs: int = 300) -> str:
    return "\n\n".join(
        f"{name} paragraph {n} tells of the sea, the sky and the land." for n in range(paragraphs)
    )


def chunk_ids(book: int, count: int) -> list[int]:
    return [(book << 20) + ordinal for ordinal in range(count)]


def test_content(client: JsonClient) -> None:
    book = client.ingest_text("T", "Some content.", author="A", tags=["t"], metadata={"k": 1})
    content = client.get(f"/api/content/{book << 20}").json
    assert set(content) == CONTENT_FIELDS
    assert content == {
        "id": book << 20,
        "book_id": book,
        "title": "T",
        "author": "A",
        "source_type": "NOTE",
        "chapter": "",
        "page_number": 1,
        "page_label": "1",
        "page_kind": "section",
        "paragraph": 1,
        "content": "Some content.",
        "tags": ["t"],
        "metadata": {"k": 1},
    }


def test_bad_content_ids(client: JsonClient) -> None:
    assert client.get("/api/content/1").status == 404
    for bad in ("0", "-5", "x", "1e3", str(2**53), str(2**63), "9" * 1000):
        answer = client.get(f"/api/content/{bad}")
        assert answer.status == 422 and answer.json["field"] == "id", answer.text
    assert client.get("/api/content/").status == 404


def test_batch_keeps_the_order_and_names_what_is_missing(client: JsonClient) -> None:
    book = client.ingest_text("T", long_text("Tall"))
    count = client.get(f"/api/books/{book}").json["chunk_count"]
    there = chunk_ids(book, count)
    asked = [there[3], 12345, there[0], there[-1], there[-1] + 1, there[0]]
    answer = client.post("/api/content/batch", {"ids": asked})
    assert answer.status == 200, answer.text
    assert [item["id"] for item in answer.json["items"]] == [
        there[3],
        there[0],
        there[-1],
        there[0],
    ]
    assert answer.json["missing"] == [12345, there[-1] + 1]
    assert all(set(item) == CONTENT_FIELDS for item in answer.json["items"])
    assert client.post("/api/content/batch", {"ids": []}).json == {"items": [], "missing": []}
    thousand = client.post("/api/content/batch", {"ids": there * 50 + [1] * (1000 - 50 * count)})
    assert len(thousand.json["items"]) == 50 * count


@pytest.mark.parametrize(
    "ids", [None, "x", 5, [0], [-1], ["1"], [1.5], [2**53], list(range(1, 1002)), [None], {}]
)
def test_bad_batches(client: JsonClient, ids: Any) -> None:
    answer = client.post("/api/content/batch", {"ids": ids})
    assert answer.status == 422 and answer.json["field"] == "ids", answer.text


def test_batch_of_huge_numbers(client: JsonClient) -> None:
    body = b'{"ids": [' + b"9" * 1000 + b"]}"
    answer = client.request("POST", "/api/content/batch", body, content_type="application/json")
    assert answer.status == 400


def test_books_list(client: JsonClient) -> None:
    for title, author in (("Zebra", "Émile"), ("apple", "zoe"), ("Çay", "Adam"), ("Ocean", "Bob")):
        client.ingest_text(title, f"About {title}.", author=author)
    answer = client.get("/api/books").json
    assert set(answer) == {"books", "total_count", "page", "page_size", "total_pages", "has_next"}
    assert all(set(book) == BOOK_FIELDS for book in answer["books"])

    def titles(**query: object) -> list[str]:
        return [book["title"] for book in client.get("/api/books", **query).json["books"]]

    assert titles() == titles(sort="title") == ["apple", "Çay", "Ocean", "Zebra"]
    assert titles(sort="newest") == ["Ocean", "Çay", "apple", "Zebra"]
    assert titles(sort="author") == ["Çay", "Ocean", "Zebra", "apple"]
    assert titles(q="CAY") == titles(q="çay") == ["Çay"]
    assert titles(q="emile") == ["Zebra"] and titles(q="nothing") == []
    second = client.get("/api/books", page=2, page_size=3).json
    assert [book["title"] for book in second["books"]] == ["Zebra"]
    assert second["total_count"] == 4 and second["total_pages"] == 2 and not second["has_next"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page_size=1001", "page_size"),
        ("page_size=0", "page_size"),
        ("sort=size", "sort"),
        ("q=" + "x" * 201, "q"),
    ],
)
def test_bad_books_lists(client: JsonClient, query: str, field: str) -> None:
    answer = client.get(f"/api/books?{query}")
    assert answer.status == 422 and answer.json["field"] == field, answer.text


def test_patch(client: JsonClient) -> None:
    book = client.ingest_text("Old title", "The content stays.", author="Old author")
    before = client.get(f"/api/books/{book}").json
    change = {"title": "Quixotic", "author": "New", "tags": ["n"], "metadata": {"a": 1}}
    answer = client.patch(f"/api/books/{book}", change | {"source_type": "BOOK"})
    assert answer.status == 200, answer.text
    assert answer.json == client.get(f"/api/books/{book}").json
    assert set(answer.json) == BOOK_FIELDS | {"chapters"}
    assert all(answer.json[name] == value for name, value in change.items())
    assert answer.json["source_type"] == "BOOK"
    assert answer.json["updated_at"] > before["updated_at"]
    assert answer.json["created_at"] == before["created_at"]
    assert client.get("/api/search", q="title:quixotic").json["total_count"] == 1
    assert client.get("/api/search", q="title:old").json["total_count"] == 0
    assert client.get("/api/books", q="quixotic").json["total_count"] == 1
    partial = client.patch(f"/api/books/{book}", {"author": ""}).json
    assert partial["title"] == "Quixotic" and partial["author"] == ""
    assert client.patch(f"/api/books/{book}", {}).status == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": 1}, "title"),
        ({"author": []}, "author"),
        ({"source_type": "X"}, "source_type"),
        ({"tags": "x" * 101}, "tags"),
        ({"metadata": "x"}, "metadata"),
        ({"id": 5}, "id"),
    ],
)
def test_bad_patches(client: JsonClient, change: Any, field: str) -> None:
    book = client.ingest_text("T", "Some text.")
    answer = client.patch(f"/api/books/{book}", change)
    assert answer.status == 422 and answer.json["field"] == field, answer.text


def test_books_that_are_not_there(client: JsonClient) -> None:
    assert client.get("/api/books/1").status == 404
    assert client.patch("/api/books/1", {"title": "x"}).status == 404
    assert client.delete("/api/books/1").status == 404
    assert client.get("/api/books/1/pages/1").status == 404
    for path in (
        "/api/books/0",
        "/api/books/x",
        f"/api/books/{2**53}",
        "/api/books/99999999999999999999",
    ):
        assert client.get(path).status == 422
        assert client.delete(path).status == 422
    book = client.ingest_text("T", "Some text.")
    for page in ("0", "-1", "x", "9" * 30):
        answer = client.get(f"/api/books/{book}/pages/{page}")
        assert answer.status == 422 and answer.json["field"] == "n"
    assert client.get(f"/api/books/{book}/pages/2").status == 404


def test_delete_is_gone_when_answered(client: JsonClient) -> None:
    keep = client.ingest_text("Keep", long_text("Kept"))
    book = client.ingest_text("Drop", long_text("Dropped", 2000))
    assert client.get("/api/search", q="dropped").json["total_count"] > 0
    answer = client.delete(f"/api/books/{book}")
    assert answer.status == 204 and answer.body == b""
    assert client.get("/api/search", q="dropped").json["total_count"] == 0
    assert client.get(f"/api/books/{book}").status == 404
    assert client.get(f"/api/content/{book << 20}").status == 404
    assert client.get(f"/api/books/{book}/pages/1").status == 404
    assert client.delete(f"/api/books/{book}").status == 404
    assert [b["id"] for b in client.get("/api/books").json["books"]] == [keep]


def test_export(client: JsonClient) -> None:
    books = [client.ingest_text(f"Book {n}", long_text(f"Tale{n}", 120 * n + 1)) for n in range(4)]
    answer = client.get("/api/export")
    assert answer.status == 200 and answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[0]["type"] == "library" and lines[0]["format"] == 1
    end = lines[-1]
    assert end["type"] == "end" and end["books"] == 4
    assert end["chunks"] == sum(line["type"] == "chunk" for line in lines)
    order = [line["id"] for line in lines if line["type"] == "book"]
    assert order == books
    for number, book in enumerate(books):
        chunks = [line for line in lines if line["type"] == "chunk" and line["book_id"] == book]
        assert [chunk["id"] for chunk in chunks] == chunk_ids(book, len(chunks))
        text = "".join(chunk["content"][chunk["overlap"] :] for chunk in chunks)
        assert text == long_text(f"Tale{number}", 120 * number + 1)


def test_export_of_an_empty_library(client: JsonClient) -> None:
    lines = [json.loads(line) for line in client.get("/api/export").text.splitlines()]
    assert [line["type"] for line in lines] == ["library", "end"]
    assert lines[1] == {"type": "end", "books": 0, "chunks": 0}


def test_export_to_a_slow_reader_costs_no_memory(
    tomehub: Server, client: JsonClient, raw: RawHttp, sanitizer: str
) -> None:
    for number in range(6):
        client.ingest_text(f"Book {number}", long_text(f"Tale{number}", 20000))
    before = tomehub.rss_bytes()
    connections = [raw.connect() for _ in range(10)]
    for connection in connections:
        connection.send(b"GET /api/export HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.read_some()
    assert client.get("/api/books").status == 200
    if sanitizer == "none":  # else their own memory counts too
        assert tomehub.rss_bytes() - before < 60 << 20
    for connection in connections:
        connection.reset()


@pytest.mark.postgresql  # SQLite has its pages in the same memory
def test_export_of_a_large_book(tomehub: Server, sanitizer: str) -> None:
    """It is never held as a whole, neither here nor by the database's client library."""
    text = long_text("Tale", 160000)
    with JsonClient(tomehub.port) as client:
        answer = client.upload("/api/ingest?wait=true", "large.txt", text.encode())
        assert answer.status == 200, answer.text
    tomehub.terminate()
    assert tomehub.wait_exit() == 0
    tomehub.start()  # with a peak of its own
    with JsonClient(tomehub.port) as client:
        client.get("/api/books")
        before = tomehub.peak_bytes()
        size = len(client.get("/api/export").body)
    assert size > len(text) > 7 << 20
    if sanitizer == "none":  # else their own memory counts too
        assert tomehub.peak_bytes() - before < 5 << 20


def test_pages_of_a_real_book(client: JsonClient, corpus_epub: Path) -> None:
    answer = client.upload("/api/ingest?wait=true", "sherlock.epub", corpus_epub.read_bytes())
    book = answer.json["book_id"]
    found = client.get("/api/search", q='"speckled band"', include="details", page_size=100).json
    assert found["total_count"] >= 4  # so often it stands in the book
    hits = [hit for hit in found["results"] if "Speckled Band" in hit["chapter"]]
    assert hits and hits[0] == found["results"][0]
    for hit in hits:
        page = client.get(f"/api/books/{book}/pages/{hit['page_number']}").json
        start, end = hit["highlights"][0]
        marked = hit["snippet"][start:end]
        assert marked.split()[0] in page["text"]
