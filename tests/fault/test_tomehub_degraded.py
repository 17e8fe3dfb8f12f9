"""Answers while the database is down: what was kept is given on, marked as degraded; the rest is
refused with the time to come back. Afterwards every answer is exact again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.http import Answer, JsonClient
from support.http_layer import metric, wait_until
from support.postgres import Postgres
from support.server import Server

Question = tuple[str, dict[str, object]]
MARKS = ("degraded", "age_seconds", "execution_time_ms", "cache_hit")


class Crowd:
    """Clients that ask the same questions all the time."""

    def __init__(self, port: int, questions: list[Question]) -> None:
        self.answers: list[Answer] = []
        self.is_over = threading.Event()
        self.threads = [
            threading.Thread(target=self.ask_all, args=(port, questions[i:] + questions[:i]))
            for i in range(4)
        ]
        for thread in self.threads:
            thread.start()

    def ask_all(self, port: int, questions: list[Question]) -> None:
        with JsonClient(port) as client:
            while not self.is_over.wait(0.005):
                self.answers += [ask(client, question) for question in questions]

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def start(start_tomehub: Callable[..., Server], postgres: Postgres) -> Callable[..., Server]:
    def start_one(**settings: object) -> Server:
        return start_tomehub(DATABASE_URL=postgres.url(), ACCESS_LOG="off", **settings)

    return start_one


@pytest.fixture
def running(postgres: Postgres) -> Iterator[Postgres]:
    """A database that a test may stop; it goes on before it is ended."""
    yield postgres
    postgres.signal_all(signal.SIGCONT)


def is_degraded(answer: Answer) -> bool:
    """Whether it is, by header and body alike."""
    assert answer.status == 200, answer.text
    marked = answer.headers["x-cache"] == "degraded"
    assert ("degraded" in answer.json) is marked and ("age" in answer.headers) is marked
    if marked:
        assert answer.json["degraded"] is True
        assert answer.json["age_seconds"] == int(answer.headers["age"])
    return marked


def content(answer: Answer) -> dict[str, Any]:
    return {name: value for name, value in answer.json.items() if name not in MARKS}


def assert_refused(answer: Answer) -> None:
    assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1, answer.text


def ask(client: JsonClient, question: Question) -> Answer:
    return client.get(question[0], **question[1])


def questions_of(client: JsonClient) -> list[Question]:
    books = [client.ingest_text(f"Book {n}", f"The heather of moor {n}.") for n in range(3)]
    return [
        ("/api/search", {"q": "heather"}),
        ("/api/search/books", {"q": "heather"}),
        ("/api/books", {}),
        (f"/api/books/{books[0]}", {}),
        (f"/api/content/{books[1] << 20}", {}),
        ("/api/concepts", {"q": "hea"}),
    ]


def test_what_was_kept_is_given_on(start: Callable[..., Server], postgres: Postgres) -> None:
    server = start()
    with JsonClient(server.port) as client:
        questions = questions_of(client)
        exact = [ask(client, question) for question in questions]
        assert not any(is_degraded(answer) for answer in exact)
        with Crowd(server.port, questions) as crowd:
            wait_until(lambda: len(crowd.answers) > 20)
            postgres.kill()
            wait_until(lambda: is_degraded(client.get("/api/books")), 20)

            for question, before in zip(questions, exact):
                answer = ask(client, question)
                assert is_degraded(answer) and content(answer) == content(before)
            assert_refused(client.get("/api/search", q="other"))
            assert_refused(client.patch(f"/api/books/{exact[3].json['id']}", {"title": "New"}))
            assert_refused(client.delete(f"/api/books/{exact[3].json['id']}"))
            health = client.get("/api/health")
            assert health.status == 503 and health.json["checks"]["database"]["status"] == "failing"
            assert health.json["checks"]["breakers"]["database/read"]["state"] == "open"
            assert metric(server, "cache_degraded_answers_total") > len(questions)

            postgres.start()
            wait_until(lambda: not is_degraded(client.get("/api/books")), 20)
            book = f"/api/books/{exact[3].json['id']}"  # the pool that writes is back by itself
            wait_until(lambda: client.patch(book, {"title": "New"}).status == 200, 20)
            assert ask(client, questions[3]).json["title"] == "New"
            for question in questions:
                assert not is_degraded(ask(client, question))
            assert client.get("/api/search", q="other").status == 200
    # Nobody who asked what was kept has noticed but by the mark.
    assert any([is_degraded(answer) for answer in crowd.answers])


def test_a_change_is_not_forgotten(start: Callable[..., Server], postgres: Postgres) -> None:
    """What a change has voided is not given, and only answers up to the setting's age are."""
    server = start(DB_POOL_TIMEOUT="1s")
    with JsonClient(server.port) as client:
        questions = questions_of(client)
        for question in questions:
            ask(client, question)
        book = client.get("/api/books").json["books"][0]["id"]
        assert client.delete(f"/api/books/{book}").status == 204
        postgres.kill()
        assert_refused(client.get("/api/search", q="heather"))
        kept = ask(client, questions[4])
        assert book != 2 and is_degraded(kept)


def test_not_beyond_the_age(start: Callable[..., Server], postgres: Postgres) -> None:
    server = start(CACHE_DEGRADED_AGE=0, DB_POOL_TIMEOUT="1s")
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
        assert client.get("/api/books/1").status == client.get("/api/books/1").status == 200
        postgres.kill()
        wait_until(lambda: client.get("/api/books/1").status == 503, 20)
        assert_refused(client.get("/api/books/1"))


def test_a_database_that_stands_still(start: Callable[..., Server], running: Postgres) -> None:
    server = start(DB_CONNECT_TIMEOUT="2s")
    with JsonClient(server.port) as client:
        client.ingest_text("Band", "It was the speckled band.")
        assert client.get("/api/books/1").status == 200
        running.signal_all(signal.SIGSTOP)
        wait_until(lambda: is_degraded(client.get("/api/books/1")), 30)
        running.signal_all(signal.SIGCONT)
        wait_until(lambda: not is_degraded(client.get("/api/books/1")), 30)
