"""Cited answers: /api/search/stream as lines and as events, `answer` in a search, the command."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.database import Database, serving
from support.http import Answer, JsonClient, RawHttp
from support.process import CommandResult
from support.server import Server

QUESTION = "Where does the lamplighter keep his ladder?"
CITATION_FIELDS = {
    "number",
    "id",
    "book_id",
    "title",
    "author",
    "chapter",
    "page_number",
    "page_label",
    "page_kind",
    "quote",
}
COMPLETE_FIELDS = {
    "status",
    "verdict",
    "source",
    "degraded",
    "attempts",
    "answer",
    "citations",
    "timings",
    "execution_time_ms",
}


def filler(page: int) -> str:
    return " ".join(f"On page {page} gull {n} crossed the harbour." for n in range(8))


def fill(client: JsonClient) -> None:
    """A book of 30 pages that says on page 17 what is asked, and another that does not."""
    pages = [filler(page) for page in range(1, 31)]
    pages[16] += " The lamplighter keeps his ladder behind the customs house. It is painted green."
    for title, content in (("The Harbour", pages), ("Gulls", ["Gulls lay speckled eggs."])):
        answer = client.post(
            "/api/ingest?wait=true", {"title": title, "author": "Ida Quay", "pages": content}
        )
        assert answer.status == 200, answer.text


@pytest.fixture(scope="module")
def reader(
    tomehub_binary: Any, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JsonClient]:
    folder = tmp_path_factory.mktemp("answers") / "library"
    with serving(tomehub_binary, database, folder) as server:
        with JsonClient(server.port) as client:
            fill(client)
            yield client


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.text
    assert answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines()]


def ask(client: JsonClient, question: str, **others: object) -> list[dict[str, Any]]:
    return lines(client.post("/api/search/stream", {"query": question} | others))


def test_lines(reader: JsonClient) -> None:
    answer = reader.post("/api/search/stream", {"query": QUESTION})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["cache-control"] == "no-store"
    told = lines(answer)
    assert [line["status"] for line in told[:2]] == ["chunks_loaded", "answer"]
    assert told[0]["count"] >= 1
    complete = told[-1]
    assert set(complete) == COMPLETE_FIELDS and complete["status"] == "complete"
    assert {line["status"] for line in told[1:-1]} == {"answer"}
    assert "".join(line["text"] for line in told[1:-1]) == complete["answer"]
    assert complete["verdict"] == "PASS"
    assert complete["source"] == "extractive" and complete["degraded"] is False
    assert set(complete["timings"]) == {"search_ms", "answer_ms"}


def test_citations_name_the_page(reader: JsonClient) -> None:
    complete = ask(reader, QUESTION)[-1]
    sentence = "The lamplighter keeps his ladder behind the customs house."
    assert complete["answer"].startswith(f"{sentence} [1]")
    first = complete["citations"][0]
    assert set(first) == CITATION_FIELDS
    assert (first["number"], first["title"], first["author"]) == (1, "The Harbour", "Ida Quay")
    assert (first["page_number"], first["page_label"]) == (17, "17")
    assert first["quote"] == sentence
    content = reader.get(f"/api/content/{first['id']}").json
    assert sentence in content["content"] and content["book_id"] == first["book_id"]


def test_what_is_not_there_is_declined(reader: JsonClient) -> None:
    told = ask(reader, "Who composed the opera Carmen?")
    assert [line["status"] for line in told] == ["chunks_loaded", "answer", "complete"]
    assert told[1]["text"] == "The library does not say."
    assert told[2]["verdict"] == "DECLINE" and told[2]["citations"] == []


@pytest.mark.parametrize("question", ["?!", "the of and", '"', "-gulls", "ladder*", "a" * 2000])
def test_any_text_is_a_question(reader: JsonClient, question: str) -> None:
    assert ask(reader, question)[-1]["status"] == "complete"


def test_filters(reader: JsonClient) -> None:
    books = {book["title"]: book["id"] for book in reader.get("/api/books").json["books"]}
    told = ask(reader, QUESTION, filters={"book_id": books["Gulls"]})
    assert told[-1]["verdict"] == "DECLINE"
    answer = reader.get("/api/search/stream", q=QUESTION, book_id=books["The Harbour"])
    assert lines(answer)[-1]["verdict"] == "PASS"


def events(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for event in text.removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.split("\n"))
        yield fields["id"], json.loads(fields["data"])


def test_events(reader: JsonClient) -> None:
    path = "/api/search/stream?" + urllib.parse.urlencode({"q": QUESTION})
    answer = reader.request("GET", path, accept="text/event-stream", last_event_id="7")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    told = list(events(answer.text))
    assert [number for number, _ in told] == [str(n + 1) for n in range(len(told))]
    by_lines = ask(reader, QUESTION)
    assert [line["status"] for _, line in told] == [line["status"] for line in by_lines]
    assert told[-1][1]["answer"] == by_lines[-1]["answer"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": "x" * 2001}, "query"),
        ({"query": "x", "page": 2}, "page"),
        ({"query": "x", "filters": {"book_id": "1"}}, "book_id"),
    ],
)
def test_refusals(reader: JsonClient, body: Any, field: str) -> None:
    answer = reader.post("/api/search/stream", body)
    assert answer.status == 422 and answer.json["field"] == field


def test_a_question_is_needed(reader: JsonClient) -> None:
    answer = reader.get("/api/search/stream")
    assert answer.status == 422 and answer.json["field"] == "q"


def test_beside_the_results(reader: JsonClient) -> None:
    found = reader.post("/api/search", {"query": QUESTION, "page_size": 1, "answer": True}).json
    assert set(found["answer"]) == COMPLETE_FIELDS - {"status", "execution_time_ms"}
    assert found["answer"]["citations"][0]["page_number"] == 17
    assert reader.get("/api/search", q=QUESTION, answer="true").json["answer"]["verdict"] == "PASS"
    assert "answer" not in reader.get("/api/search", q=QUESTION).json
    refused = reader.post("/api/search/books", {"query": QUESTION, "answer": True})
    assert refused.status == 422 and refused.json["field"] == "answer"


def searches(client: JsonClient) -> int:
    """How many have been made: by their main statement."""
    queries = client.get("/api/admin/queries", top=513).json["queries"]
    names = ("search", "search_postings")
    return sum(query["executions"] for query in queries if query["name"] in names)


def test_one_search_feeds_results_and_answer(reader: JsonClient) -> None:
    def asked(**more: object) -> tuple[int, Any]:
        before = searches(reader)
        answer = reader.post("/api/search", {"query": QUESTION, "answer": True, **more})
        assert answer.status == 200, answer.text
        return searches(reader) - before, answer.json

    once, shared = asked(page_size=49)
    twice, apart = asked(page_size=2)
    assert twice == 2 * once > 0
    assert [hit["id"] for hit in shared["results"][:2]] == [hit["id"] for hit in apart["results"]]
    assert "content" not in shared["results"][0]
    for answer in (shared["answer"], apart["answer"]):
        answer.pop("timings")
    assert shared["answer"] == apart["answer"]


def test_markup_stays_text(client: JsonClient) -> None:
    """What a book says cannot end a line or an event."""
    client.ingest_text(
        "Odd\ndata: x", 'The "quoted\u2028 zebra</script>\ndata: eats\r\n\r\n grass.'
    )
    path = "/api/search/stream?q=zebra"
    answer = client.request("GET", path, accept="text/event-stream")
    told = [line for _, line in events(answer.text)]
    assert told[-1]["status"] == "complete" and "zebra</script>" in told[-1]["answer"]
    assert len(lines(client.get(path))) == len(told)


def test_a_client_that_leaves_harms_nobody(
    tomehub: Server, client: JsonClient, raw: RawHttp
) -> None:
    client.ingest_text("T", "A heron eats fish.")
    for _ in range(20):
        with raw.connect() as connection:
            connection.send(b"GET /api/search/stream?q=heron HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.reset()
    assert ask(client, "heron")[-1]["verdict"] == "PASS"


def test_metrics(reader: JsonClient) -> None:
    ask(reader, QUESTION)
    text = reader.get("/metrics").text
    assert 'tomehub_answers_total{source="extractive",verdict="pass"}' in text
    assert "tomehub_answer_duration_seconds_count" in text


def test_the_command(
    client: JsonClient, command: Callable[..., CommandResult], library_dir: Any
) -> None:
    text = "A heron eats fish. It stands in the water of the lake and waits for them to come."
    client.ingest_text("Herons", text, author="Bo Reed")
    result = command("answer", "What does a heron eat?")
    assert result.status == 0
    assert result.stdout.splitlines()[0] == "A heron eats fish. [1]"
    assert "[1] Herons, Bo Reed, section 1 (book 1, content 1048576)" in result.stdout
    reply = json.loads(command("answer", "--json", "What does a heron eat?").stdout)
    assert reply["status"] == "complete" and reply["citations"][0]["title"] == "Herons"
    declined = command("answer", "Who composed Carmen?")
    assert (declined.status, declined.stdout) == (0, "The library does not say.\n")
    assert command("answer", "").status == 2
    assert command("answer", "x" * 2001).status == 2
