"""GET and POST /api/search and /api/search/books: every field, and every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.database import Database, serving
from support.http import Answer, JsonClient
from support.server import Server

ANSWER_FIELDS = {
    "query",
    "match",
    "did_you_mean",
    "results",
    "total_count",
    "page",
    "page_size",
    "total_pages",
    "has_next",
    "next_cursor",
    "execution_time_ms",
    "cache_hit",
}
DETAIL_FIELDS = {
    "id",
    "title",
    "score",
    "content",
    "snippet",
    "highlights",
    "source_type",
    "book_id",
    "author",
    "chapter",
    "page_number",
    "page_label",
    "page_kind",
    "paragraph",
    "tags",
    "metadata",
}
BOOKS_FIELDS = ANSWER_FIELDS - {"results", "next_cursor"} | {"books", "total_books"}
BOOK_FIELDS = {
    "book_id",
    "title",
    "author",
    "source_type",
    "page_kind",
    "score",
    "match_count",
    "pages",
}
PAGE_FIELDS = {
    "chunk_id",
    "page_number",
    "page_label",
    "chapter",
    "snippet",
    "highlights",
    "score",
}
NOUNS = ["otter", "badger", "heron", "lynx", "marten"]


def fill(client: JsonClient) -> None:
    """Documents of one noun each, and one with printed pages."""
    for number, noun in enumerate(NOUNS):
        text = "\n\n".join(
            f"The {noun} number {line} met a common fox near the river." for line in range(60)
        )
        client.ingest_text(
            f"On the {noun}",
            text,
            author="Ada Smith" if number % 2 else "Bo, Jr.",
            source_type="ARTICLE" if number == 0 else "NOTE",
            tags=["animals", noun],
            metadata={"number": number},
        )
    pages = [{"label": f"p{n}", "chapter": f"C{n}", "text": f"Zebra page {n}."} for n in (1, 2, 3)]
    answer = client.post("/api/ingest?wait=true", {"title": "Zebras", "pages": pages})
    assert answer.status == 200, answer.text


@pytest.fixture(scope="module")
def library(
    tomehub_binary: Any, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with a few documents, shared by this module's tests, which only read."""
    folder = tmp_path_factory.mktemp("search") / "library"
    with serving(tomehub_binary, database, folder) as server:
        with JsonClient(server.port) as client:
            fill(client)
        yield server


@pytest.fixture
def reader(library: Server) -> Iterator[JsonClient]:
    with JsonClient(library.port) as client:
        yield client


def search(client: JsonClient, **query: object) -> dict[str, Any]:
    answer = client.get("/api/search", **query)
    assert answer.status == 200, answer.text
    result: dict[str, Any] = answer.json
    return result


def refused(answer: Answer, field: str) -> None:
    assert answer.status == 422, answer.text
    assert answer.json["field"] == field, answer.text
    assert set(answer.json) == {"error", "detail", "field", "request_id"}


def test_fields(reader: JsonClient) -> None:
    found = search(reader, q="otter")
    assert set(found) == ANSWER_FIELDS
    assert found["query"] == "otter" and found["match"] == "all" and found["did_you_mean"] is None
    assert found["page"] == 1 and found["page_size"] == 50 and found["cache_hit"] is False
    assert found["total_count"] == len(found["results"]) > 1 and found["total_pages"] == 1
    assert found["has_next"] is False and found["next_cursor"] is None
    assert isinstance(found["execution_time_ms"], float)
    assert all(set(hit) == {"id", "title", "score"} for hit in found["results"])


def test_details(reader: JsonClient) -> None:
    hit = search(reader, q="otter", include="details")["results"][0]
    assert set(hit) == DETAIL_FIELDS
    assert hit["title"] == "On the otter" and hit["author"] == "Bo, Jr."
    assert hit["source_type"] == "ARTICLE" and hit["tags"] == ["animals", "otter"]
    assert hit["metadata"] == {"number": 0} and hit["page_kind"] == "section"
    assert hit["page_label"] == str(hit["page_number"]) and hit["paragraph"] >= 1
    assert hit["id"] >> 20 == hit["book_id"]
    assert hit["highlights"]
    for start, end in hit["highlights"]:
        assert hit["snippet"][start:end].lower() == "otter"


def test_page_of_the_hit(reader: JsonClient) -> None:
    hits = search(reader, q="zebra", include="details", sort="page")["results"]
    assert [(hit["page_number"], hit["page_label"], hit["chapter"]) for hit in hits] == [
        (1, "p1", "C1"),
        (2, "p2", "C2"),
        (3, "p3", "C3"),
    ]


def test_post_is_the_same_as_get(reader: JsonClient) -> None:
    by_get = search(reader, q="fox", include="details", page_size=7, tags="otter,lynx")
    answer = reader.post(
        "/api/search",
        {
            "query": "fox",
            "page_size": 7,
            "include_details": True,
            "filters": {"tags": ["otter", "lynx"]},
            "answer": False,
        },
    )
    assert answer.status == 200, answer.text
    by_post = answer.json
    for answered in (by_get, by_post):
        answered.pop("execution_time_ms"), answered.pop("cache_hit")
    assert by_post == by_get


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        ({"tags": "otter"}, {"On the otter"}),
        ({"tags": ["otter", "heron"]}, {"On the otter", "On the heron"}),
        ({"author": "Bo, Jr."}, {"On the otter", "On the heron", "On the marten"}),
        ({"source_type": "ARTICLE"}, {"On the otter"}),
        ({"source_type": ["ARTICLE", "NOTE"], "tags": "lynx"}, {"On the lynx"}),
        ({"author": "nobody"}, set()),
        ({"tags": []}, {f"On the {noun}" for noun in NOUNS}),
    ],
)
def test_filters(reader: JsonClient, filters: Any, titles: set[str]) -> None:
    answer = reader.post("/api/search", {"query": "fox", "page_size": 1000, "filters": filters})
    assert answer.status == 200, answer.text
    assert {hit["title"] for hit in answer.json["results"]} == titles
    query = {k: ",".join(v) if isinstance(v, list) else v for k, v in filters.items()}
    by_get = search(reader, q="fox", page_size=1000, **query)
    assert {hit["title"] for hit in by_get["results"]} == titles


def test_filter_by_book(reader: JsonClient) -> None:
    ids = {
        book["title"]: book["id"] for book in reader.get("/api/books", page_size=100).json["books"]
    }
    wanted = [ids["On the otter"], ids["On the lynx"]]
    found = search(reader, q="fox", include="details", book_id=",".join(map(str, wanted)))
    assert {hit["book_id"] for hit in found["results"]} == set(wanted)
    single = reader.post("/api/search", {"query": "fox", "filters": {"book_id": wanted[0]}})
    assert {hit["title"] for hit in single.json["results"]} == {"On the otter"}


def test_pages_and_cursor_give_every_hit_once(reader: JsonClient) -> None:
    whole = [hit["id"] for hit in search(reader, q="fox", page_size=1000)["results"]]
    by_page: list[int] = []
    page = 1
    while True:
        found = search(reader, q="fox", page=page, page_size=3)
        by_page += [hit["id"] for hit in found["results"]]
        assert found["total_count"] == len(whole)
        assert found["total_pages"] == -(-len(whole) // 3)
        assert found["has_next"] == (page < found["total_pages"])
        if not found["has_next"]:
            break
        page += 1
    assert by_page == whole
    by_cursor: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        found = search(reader, q="fox", cursor=cursor, page_size=3)
        by_cursor += [hit["id"] for hit in found["results"]]
        cursor = found["next_cursor"]
    assert by_cursor == whole


def test_a_page_behind_the_last(reader: JsonClient) -> None:
    found = search(reader, q="fox", page=10**9, page_size=1000)
    assert found["results"] == [] and found["total_count"] > 0 and found["has_next"] is False


def test_facets(reader: JsonClient) -> None:
    found = search(reader, q="fox", facets=1)
    facets = found["facets"]
    assert set(facets) == {"book_id", "author", "source_type", "tags"}
    assert all(set(value) == {"value", "label", "count"} for value in facets["book_id"])
    assert {value["label"] for value in facets["book_id"]} == {f"On the {noun}" for noun in NOUNS}
    assert sum(value["count"] for value in facets["source_type"]) == found["total_count"]
    assert {value["value"] for value in facets["author"]} == {"Ada Smith", "Bo, Jr."}
    animals = next(value for value in facets["tags"] if value["value"] == "animals")
    assert animals["count"] == found["total_count"]


def test_instant(reader: JsonClient) -> None:
    assert search(reader, q="ott", instant=1)["total_count"] > 0


def test_books(reader: JsonClient) -> None:
    answer = reader.get("/api/search/books", q="fox", page_size=2)
    assert answer.status == 200, answer.text
    found = answer.json
    assert set(found) == BOOKS_FIELDS
    assert found["total_books"] == 5 and found["page_size"] == 2 and found["total_pages"] == 3
    assert found["has_next"] is True and len(found["books"]) == 2
    for book in found["books"]:
        assert set(book) == BOOK_FIELDS
        assert 1 <= len(book["pages"]) <= 5 and book["match_count"] >= len(book["pages"])
        assert all(set(page) == PAGE_FIELDS for page in book["pages"])
        numbers = [page["page_number"] for page in book["pages"]]
        assert numbers == sorted(numbers)
    posted = reader.post("/api/search/books", {"query": "fox", "page_size": 2}).json
    for answered in (found, posted):
        answered.pop("execution_time_ms"), answered.pop("cache_hit")
    assert posted == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "q"),
        ("q=", "q"),
        ("q=%20%20", "q"),
        ("q=" + "x" * 2001, "q"),
        ("q=x&page=0", "page"),
        ("q=x&page=-1", "page"),
        ("q=x&page=1.5", "page"),
        ("q=x&page=", "page"),
        ("q=x&page=99999999999999999999", "page"),
        ("q=x&page_size=0", "page_size"),
        ("q=x&page_size=1001", "page_size"),
        ("q=x&page_size=abc", "page_size"),
        ("q=x&sort=best", "sort"),
        ("q=x&instant=maybe", "instant"),
        ("q=x&facets=2", "facets"),
        ("q=x&include=all", "include"),
        ("q=x&book_id=0", "book_id"),
        ("q=x&book_id=1,x", "book_id"),
        ("q=x&book_id=9223372036854775808", "book_id"),
        ("q=x&book_id=9007199254740992", "book_id"),
        ("q=x&source_type=LETTER", "source_type"),
        ("q=x&cursor=garbage", "cursor"),
        ("q=x&cursor=" + "a" * 501, "cursor"),
    ],
)
def test_bad_queries(reader: JsonClient, query: str, field: str) -> None:
    refused(reader.get(f"/api/search?{query}"), field)


def test_books_have_their_own_limits(reader: JsonClient) -> None:
    refused(reader.get("/api/search/books?q=x&page_size=101"), "page_size")
    refused(reader.post("/api/search/books", {"query": "x", "page_size": 101}), "page_size")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"query": None}, "query"),
        ({"query": ""}, "query"),
        ({"query": "x" * 2001}, "query"),
        ({"query": 5}, "query"),
        ({"page": 0}, "page"),
        ({"page": "1"}, "page"),
        ({"page": 1.5}, "page"),
        ({"page_size": 1001}, "page_size"),
        ({"include_details": 1}, "include_details"),
        ({"sort": "best"}, "sort"),
        ({"sort": 1}, "sort"),
        ({"filters": []}, "filters"),
        ({"filters": {"year": 1}}, "year"),
        ({"filters": {"book_id": "1"}}, "book_id"),
        ({"filters": {"book_id": [1, -1]}}, "book_id"),
        ({"filters": {"book_id": list(range(1, 102))}}, "book_id"),
        ({"filters": {"tags": [["x"]]}}, "tags"),
        ({"filters": {"source_type": "book"}}, "source_type"),
        ({"cursor": "garbage"}, "cursor"),
        ({"answer": "yes"}, "answer"),
        ({"page_sise": 5}, "page_sise"),
    ],
)
def test_bad_bodies(reader: JsonClient, change: Any, field: str) -> None:
    refused(reader.post("/api/search", {"query": "fox"} | change), field)


def test_longest_query(reader: JsonClient) -> None:
    assert search(reader, q="x" * 2000)["total_count"] == 0
    answer = reader.post("/api/search", {"query": "狐" * 2000})
    assert answer.status == 200 and answer.json["total_count"] == 0


@pytest.mark.parametrize(
    "query",
    [
        "OR",
        "-",
        "*",
        '"',
        '""',
        "OR OR OR",
        "-fox",
        "fox OR",
        '"fox near',
        "title:",
        "title:title:title:",
        "((((",
        "NEAR(fox river)",
        "fox AND NOT",
        "'; DROP TABLE books; --",
        "\x01\x02\x1f",
        "\u202e\u200b\ufeff",
        "9" * 2000,
        "book:99999999999999999999999",
        "fox*",
        "a* b* c* d* e* f*",
        "\U0001f98a",
        "^fox",
        "fox:river",
        "{fox}",
    ],
)
def test_whatever_a_person_types(reader: JsonClient, query: str) -> None:
    found = search(reader, q=query, include="details")
    assert found["query"] == query.strip(" ") and found["total_count"] >= len(found["results"])
    assert reader.get("/api/search/books", q=query).status == 200


def test_bytes_that_are_not_text(reader: JsonClient) -> None:
    assert reader.get("/api/search?q=%ff%fe").status == 400
    assert reader.get("/api/search?q=%zz").status == 400
    assert reader.get("/api/search?q=a%00b").status in (200, 400)
    answer = reader.request(
        "POST", "/api/search", b'{"query": "\xff"}', content_type="application/json"
    )
    assert answer.status == 400


def test_too_long_a_body(reader: JsonClient) -> None:
    assert reader.post("/api/search", {"query": "x" * 100000}).status == 413


def test_methods(reader: JsonClient) -> None:
    answer = reader.request("DELETE", "/api/search")
    assert answer.status == 405
    assert {"GET", "POST"} <= set(answer.headers["allow"].replace(" ", "").split(","))
    assert reader.get("/api/searches").status == 404
    assert reader.request("HEAD", "/api/search?q=fox").status == 200
