"""Answers that are kept: who shares one, that nobody gets an old one, through one server or two.

`CACHE_CHECK_SECONDS=60` lets each check of stale reads run for a minute.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.http import Answer, JsonClient, RawConnection
from support.http_layer import metric, wait_until
from support.ingest import finished, text_of
from support.postgres import Postgres, own_replica, own_server
from support.process import CommandResult
from support.redis import Redis
from support.server import Server

CHECK_SECONDS = float(os.environ.get("CACHE_CHECK_SECONDS", "4"))
BOOKS = 5


def is_hit(answer: Answer) -> bool:
    assert answer.status == 200, answer.text
    kept = answer.headers.get("x-cache") == "hit"
    if "cache_hit" in answer.json:
        assert answer.json["cache_hit"] is kept
    return kept


def hits(client: JsonClient, path: str, **query: object) -> list[bool]:
    return [is_hit(client.get(path, **query)) for _ in range(2)]


def without_time(answer: Answer) -> dict[str, Any]:
    answered = dict(answer.json)
    answered.pop("execution_time_ms", None), answered.pop("cache_hit", None)
    return answered


@pytest.fixture
def books(client: JsonClient) -> list[int]:
    return [
        client.ingest_text(f"Book {number}", f"The heather of moor {number}.")
        for number in range(3)
    ]


def test_the_same_question_is_answered_from_the_cache(client: JsonClient, books: list[int]) -> None:
    chunk = books[0] << 20
    asked: list[tuple[str, dict[str, object]]] = [
        ("/api/search", {"q": "heather"}),
        ("/api/search", {"q": "heather", "include": "details", "facets": "true"}),
        ("/api/search", {"q": "heather", "page_size": 2, "page": 2}),
        ("/api/search", {"q": "heather", "author": "nobody"}),
        ("/api/search/books", {"q": "heather"}),
        ("/api/books", {}),
        ("/api/books", {"q": "book", "sort": "newest"}),
        (f"/api/books/{books[0]}", {}),
        (f"/api/books/{books[0]}/pages/1", {}),
        (f"/api/content/{chunk}", {}),
    ]
    for path, query in asked:
        first, second = client.get(path, **query), client.get(path, **query)
        assert (is_hit(first), is_hit(second)) == (False, True), (path, query)
        assert without_time(first) == without_time(second)


def test_who_asks_the_same_in_another_way_shares_it(client: JsonClient, books: list[int]) -> None:
    assert not is_hit(client.get("/api/search", q="heather moor"))
    spaced = client.get("/api/search", q="  heather \t moor ")
    assert is_hit(spaced) and spaced.json["total_count"] == 3
    posted = client.post("/api/search", {"query": "heather  moor"})
    assert is_hit(posted) and posted.json["query"] == "heather  moor"
    other = client.get("/api/search", q="moor heather")
    assert not is_hit(other)


def test_refusals_are_not_kept(client: JsonClient, books: list[int]) -> None:
    for _ in range(2):
        assert client.get("/api/search", q="heather", cursor="none of ours").status == 422
        assert client.get("/api/content/999999999").status == 404
        assert client.get("/api/books/999").status == 404


def test_a_change_is_seen_at_once_and_the_rest_stays(client: JsonClient, books: list[int]) -> None:
    one, two = (f"/api/content/{book << 20}" for book in books[:2])
    for path in (one, two, "/api/books", "/api/search?q=heather"):
        client.get(path)
    assert client.send("PATCH", f"/api/books/{books[0]}", {"title": "Renamed"}).status == 200
    renamed = client.get(one)
    assert not is_hit(renamed) and renamed.json["title"] == "Renamed"
    assert is_hit(client.get(two))
    assert "Renamed" in client.get("/api/books").text
    assert "Renamed" in client.get("/api/search?q=heather").text

    assert client.delete(f"/api/books/{books[1]}").status == 204
    assert client.get(two).status == 404
    assert client.get("/api/search?q=heather").json["total_count"] == 2
    assert client.get("/api/books").json["total_count"] == 2

    client.ingest_text("More", "More heather.")
    assert client.get("/api/search?q=heather").json["total_count"] == 3


def test_what_another_process_takes_in_is_seen(
    client: JsonClient, command: Callable[..., CommandResult], tmp_path: Path, books: list[int]
) -> None:
    assert hits(client, "/api/search", q="heather") == [False, True]
    path = tmp_path / "beside.txt"
    for number in range(3):
        path.write_text(f"Heather beside the path, number {number}.")
        assert command("ingest", path).status == 0
        found = client.get("/api/search", q="heather")
        assert not is_hit(found) and found.json["total_count"] == 4 + number


def test_the_statistics_tell_what_was_spared(client: JsonClient, books: list[int]) -> None:
    for _ in range(4):
        assert client.get("/api/search", q="heather").status == 200
        assert client.get(f"/api/content/{books[0] << 20}").status == 200
    answer = client.get("/api/admin/queries", top=513).json["queries"]
    spared = {query["name"]: query["cache_hits"] for query in answer}
    assert spared["chunk_by_id"] == 3
    assert spared.get("search", spared.get("search_postings")) == 3


@pytest.mark.sqlite
@pytest.mark.parametrize("is_default", [False, True])
def test_each_class_has_its_time(start_tomehub: Callable[..., Server], is_default: bool) -> None:
    """What is kept for a short time is made anew, while the others are kept."""
    times = ["1d", "400ms"] if is_default else ["400ms", "1d"]
    classes = {f"CACHE_TTL_{name}": times[0] for name in ("SEARCH", "CONTENT", "CONCEPTS")}
    server = start_tomehub(CACHE_TTL_DEFAULT=times[1], **classes)
    with JsonClient(server.port) as client:
        book = client.ingest_text("Book", "The heather of the moor.")
        named = ["/api/search?q=heather", f"/api/books/{book}", "/api/concepts?q=hea"]
        lists = ["/api/books", "/api/books?sort=newest"]
        brief, lasting = (lists, named) if is_default else (named, lists)
        for path in lasting:
            client.get(path)
        for path in brief:
            wait_until(lambda: is_hit(client.get(path)))
            wait_until(lambda: not is_hit(client.get(path)))
        assert all(is_hit(client.get(path)) for path in lasting)


@pytest.mark.sqlite
def test_what_is_past_its_time_bridges_the_next(
    start_tomehub: Callable[..., Server], postgres: Postgres
) -> None:
    """One who asks makes the answer anew, the others get the one of before meanwhile."""
    path = "/api/concepts?q=heather"
    stale = 'cache_requests_total{cache="answers",result="stale"}'
    server = start_tomehub(DATABASE_URL=postgres.url(), CACHE_TTL_CONCEPTS="5s")
    with JsonClient(server.port) as client, ExitStack() as stack:

        def ask() -> RawConnection:
            connection = RawConnection(server.port)
            connection.send(f"GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
            return connection

        client.ingest_text("Book", "The heather of the moor.")
        assert not is_hit(client.get(path))
        making: list[RawConnection] = []
        with postgres.locked("concepts"):
            while metric(server, stale) == 0:
                connection = ask()
                if select.select([connection.socket], [], [], 0.05)[0]:
                    assert is_hit(connection.read_answer())
                    connection.socket.close()
                else:
                    making.append(stack.enter_context(connection))
                assert len(making) < 50, "who comes meanwhile has to wait"
        assert [is_hit(one.read_answer()) for one in making].count(False) == 1, "it is made by one"
        assert is_hit(client.get(path)), "and kept for all"


def test_it_can_be_switched_off(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(CACHE_ENABLED="off")
    with JsonClient(server.port) as client:
        client.ingest_text("Book", "The heather.")
        for _ in range(2):
            answer = client.get("/api/search", q="heather")
            assert answer.json["cache_hit"] is False and "x-cache" not in answer.headers
        assert "cache_requests_total" not in client.get("/metrics").text


def test_it_stays_within_its_memory(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(CACHE_MAX_MB=1, RATE_LIMIT_SEARCH=1000000, RATE_LIMIT_GLOBAL=1000000)
    with JsonClient(server.port) as client:
        client.ingest_text("Book", "The heather of the moor. " * 400)
        for number in range(400):
            client.get("/api/search", q=f"heather {number}", include="details")
        metrics = dict(
            line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line
        )
        assert 2**18 < float(metrics['cache_bytes{cache="answers"}']) <= 2**20
        assert float(metrics['cache_evictions_total{cache="answers"}']) > 0


class Checker:
    """Books whose titles are rising numbers. A reader must never get one below what was written
    and answered before it asked, through whatever server."""

    def __init__(self, servers: list[Server], rests: bool = False) -> None:
        """`rests`: the writers pause now and then, so that a replica catches up."""
        self.servers = servers
        self.rests = rests
        self.over = threading.Event()
        self.answered = [0] * BOOKS
        self.faults: list[str] = []
        self.reads = self.kept = 0
        self.changes = [0, 0]  # by writer
        with JsonClient(servers[0].port) as client:
            self.books = [client.ingest_text("0", f"Heather {n}.") for n in range(BOOKS)]

    def run(self, seconds: float, meanwhile: Callable[[float], None] | None = None) -> None:
        threads = [threading.Thread(target=self.write, args=(n,)) for n in range(2)]
        threads += [threading.Thread(target=self.read, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        try:
            (meanwhile or self.over.wait)(seconds)
        finally:
            self.over.set()
        for thread in threads:
            thread.join()

    def told(self) -> str:
        return f"{self.reads} reads, {self.kept} of them kept, {sum(self.changes)} changes"

    def write(self, number: int) -> None:
        """Each writer has books of its own."""
        dice = random.Random(number)
        with JsonClient(self.servers[number % len(self.servers)].port) as client:
            value = 0
            while not self.over.is_set():
                value += 1
                at = dice.randrange(number, BOOKS, 2)
                path = f"/api/books/{self.books[at]}"
                answer = client.send("PATCH", path, {"title": str(value)})
                if answer.status == 200:
                    self.answered[at] = self.changes[number] = value
                else:
                    self.faults.append(answer.text)
                self.over.wait(0.4 if self.rests and dice.random() < 0.3 else dice.random() * 0.02)

    def read(self, number: int) -> None:
        dice = random.Random(100 + number)
        clients = [JsonClient(server.port) for server in self.servers]
        while not self.over.is_set():
            client = dice.choice(clients)
            at = dice.randrange(BOOKS)
            book = self.books[at]
            path, field = dice.choice(
                [
                    (f"/api/content/{book << 20}", None),
                    (f"/api/books/{book}", None),
                    ("/api/search?q=heather", "results"),
                    (f"/api/search?q=heather&book_id={book}", "results"),
                    ("/api/search/books?q=heather", "books"),
                    ("/api/books", "books"),
                ]
            )
            least = list(self.answered)
            answer = client.get(path)
            self.kept += answer.headers.get("x-cache") == "hit"
            self.reads += 1
            self.check(at, path, field, least, answer)
        for client in clients:
            client.connection.close()

    def check(
        self, at: int, path: str, field: str | None, least: list[int], answer: Answer
    ) -> None:
        if answer.status == 503:  # a library that changes faster than it can be searched
            return
        found = answer.json if answer.status == 200 else {}
        items = found.get(field, []) if field else [found]
        titles = {self.index_of(item, field, at): item.get("title") for item in items}
        for index, title in titles.items():
            if title is None or int(title) < least[index]:
                self.faults.append(f"{path}: {title} where {least[index]} was written")
        if not titles:
            self.faults.append(f"{path}: {answer.status} {answer.text}")

    def index_of(self, item: dict[str, Any], field: str | None, at: int) -> int:
        if field is None:
            return at
        book = item.get("book_id") or item["id"]
        return self.books.index(book if book in self.books else book >> 20)


def test_two_servers_give_nothing_old(start_tomehub: Callable[..., Server]) -> None:
    limits = {"RATE_LIMIT_SEARCH": 10**6, "RATE_LIMIT_GLOBAL": 10**6}
    checker = Checker([start_tomehub(**limits), start_tomehub(**limits)])
    checker.run(CHECK_SECONDS)
    assert not checker.faults, (len(checker.faults), checker.faults[:5])
    print(checker.told())
    assert checker.reads > 50 and checker.kept > 0 and min(checker.answered) > 0


# ---- Answers shared through Redis ----


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = Redis()
    yield server
    server.kill()


def shared(client: JsonClient) -> Counter[str]:
    """Of the second level, by result."""
    lines = client.get("/metrics").text.splitlines()
    found = re.findall(r'cache_second_level_requests_total{result="(\w+)"} (\d+)', "\n".join(lines))
    return Counter({result: int(count) for result, count in found})


def test_servers_share_answers(start_tomehub: Callable[..., Server], redis: Redis) -> None:
    """A machine that is busy may take longer than the few milliseconds that Redis is given."""
    servers = [start_tomehub(REDIS_URL=redis.url) for _ in range(2)]
    with JsonClient(servers[0].port) as one, JsonClient(servers[1].port) as two:
        book = one.ingest_text("Book", "The heather of the moor. " * 400)
        for number in range(100):
            path = f"/api/search?q=heather+-other{number}&include=details"
            made, taken = one.get(path), two.get(path)
            assert not is_hit(made) and without_time(made) == without_time(taken)
            if is_hit(taken):
                break
        assert is_hit(taken) and shared(two)["hit"] > 0
        assert one.send("PATCH", f"/api/books/{book}", {"title": "Renamed"}).status == 200
        changed = two.get(path)
        assert not is_hit(changed) and "Renamed" in changed.text


def test_redis_goes_and_comes_back(start_tomehub: Callable[..., Server], redis: Redis) -> None:
    server = start_tomehub(REDIS_URL=redis.url)
    with JsonClient(server.port) as client:
        client.ingest_text("Book", "The heather of the moor.")
        numbers = itertools.count()
        while shared(client)["stored"] == 0:
            assert not is_hit(client.get("/api/search", q=f"heather -first{next(numbers)}"))
        stored = shared(client)["stored"]
        client.get("/api/search", q="heather")
        redis.kill()
        for number in range(20):
            answer = client.get("/api/search", q=f"heather -away{number}")
            assert not is_hit(answer) and answer.json["total_count"] == 1
        assert is_hit(client.get("/api/search", q="heather"))
        assert shared(client)["failed"] >= 19
        redis.start()
        deadline = time.monotonic() + 30
        while shared(client)["stored"] <= stored + 1:
            assert time.monotonic() < deadline
            assert client.get("/api/search", q=f"heather -back{next(numbers)}").status == 200


def test_nothing_old_comes_through_redis(
    start_tomehub: Callable[..., Server], redis: Redis
) -> None:
    """Which is killed meanwhile and comes back, again and again."""
    settings = {"RATE_LIMIT_SEARCH": 10**6, "RATE_LIMIT_GLOBAL": 10**6, "REDIS_URL": redis.url}
    servers = [start_tomehub(**settings), start_tomehub(**settings)]
    checker = Checker(servers)
    kills = 0

    def rises(result: str) -> None:
        """Waits until both servers have had it once more."""
        for server in servers:
            with JsonClient(server.port) as client:
                before = shared(client)[result]
                wait_until(lambda: shared(client)[result] > before, 60)

    def come_and_go(seconds: float) -> None:
        nonlocal kills
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            rises("hit")
            checker.over.wait(1)
            redis.kill()
            kills += 1
            rises("failed")
            checker.over.wait(0.5)
            redis.start()
        rises("hit")

    checker.run(max(CHECK_SECONDS, 6.0), come_and_go)
    assert not checker.faults, (len(checker.faults), checker.faults[:5])
    assert checker.reads > 50 and checker.kept > 0 and min(checker.answered) > 0
    found: Counter[str] = Counter()
    for server in servers:
        with JsonClient(server.port) as client:
            found += shared(client)
    print(checker.told())
    print(f"Redis was killed {kills} times; through it: {dict(found)}")


# ---- Reads from a replica ----


@pytest.fixture(scope="module")
def primary(postgres_template: Path) -> Iterator[Postgres]:
    with own_server(postgres_template) as server:
        yield server


@pytest.fixture(scope="module")
def replica(primary: Postgres) -> Iterator[Postgres]:
    """A streaming replica, which logs what it is asked."""
    with own_replica(primary, log_statement="all") as server:
        yield server


@pytest.fixture
def start_replicated(
    start_tomehub: Callable[..., Server], primary: Postgres, replica: Postgres, redis: Redis
) -> Callable[..., Server]:
    name = f"library_{redis.port}"
    urls = {"DATABASE_URL": primary.create(name), "DATABASE_READ_URL": replica.url(name)}
    return lambda **settings: start_tomehub(REDIS_URL=redis.url, **urls, **settings)


def wait_for_replica(server: Server, replica: Postgres) -> None:
    """Until the server takes from it what it does not keep."""
    searched = "FROM postings"
    before = replica.log().count(searched)
    numbers = itertools.count()
    with JsonClient(server.port) as client:
        wait_until(
            lambda: client.get("/api/search", q=f"heather -{server.port}no{next(numbers)}").status
            == 200
            and replica.log().count(searched) > before,
            60,
        )


@pytest.mark.postgresql
@pytest.mark.parametrize("cache", ["on", "off"])
def test_nothing_old_comes_from_a_replica_that_stands_still(
    start_replicated: Callable[..., Server], replica: Postgres, cache: str
) -> None:
    servers = [start_replicated(CACHE_ENABLED=cache), start_replicated(CACHE_ENABLED=cache)]
    with JsonClient(servers[0].port) as one, JsonClient(servers[1].port) as two:
        book = one.ingest_text("Old", "The heather of the moor.")
        wait_for_replica(servers[1], replica)
        paths = [
            f"/api/content/{book << 20}",
            f"/api/books/{book}",
            "/api/search?q=heather",
            "/api/search/books?q=heather",
            "/api/books",
            "/api/export",
            "/api/search/stream?q=heather",
        ]
        assert all("Old" in two.get(path).text for path in paths)
        kept = [is_hit(two.get(paths[0])), is_hit(two.get(paths[2]))]
        assert kept == [cache == "on"] * 2
        replica.sql("SELECT pg_wal_replay_pause()")
        assert one.patch(f"/api/books/{book}", {"title": "New"}).status == 200
        asked = [two.get(path).text for path in paths]
        asked.append(two.post("/api/content/batch", {"ids": [book << 20]}).text)
        assert all("New" in text and "Old" not in text for text in asked), asked
        assert [is_hit(two.get(paths[0])), is_hit(two.get(paths[2]))] == kept
        queued = one.post("/api/ingest", {"title": "Another", "text": "More heather."})
        assert two.get(f"/api/ingest/{queued.json['job_id']}").status == 200
        replica.sql("SELECT pg_wal_replay_resume()")
        wait_for_replica(servers[1], replica)


@pytest.mark.postgresql
def test_nothing_old_comes_while_a_replica_lags_now_and_then(
    start_replicated: Callable[..., Server], replica: Postgres
) -> None:
    checker = Checker([start_replicated(), start_replicated()], rests=True)

    def lag(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            replica.sql("SELECT pg_wal_replay_pause()")
            checker.over.wait(0.3)
            replica.sql("SELECT pg_wal_replay_resume()")
            checker.over.wait(0.7)

    before = replica.log().count("FROM postings")
    checker.run(CHECK_SECONDS, lag)
    assert not checker.faults, (len(checker.faults), checker.faults[:5])
    asked = replica.log().count("FROM postings") - before
    print(f"{checker.told()}, {asked} searches by the replica")
    assert checker.reads > 50 and checker.kept > 0 and min(checker.answered) > 0
    assert asked > 0


SLOW_STATE = """
CREATE FUNCTION wait() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_sleep(0.02 + 0.08 * random());
    RETURN true;
END $$;
CREATE ROLE {role} LOGIN;
GRANT ALL ON SCHEMA public TO {role};
GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role};
CREATE POLICY slow ON owners USING ((SELECT wait()));
ALTER TABLE owners ENABLE ROW LEVEL SECURITY;
"""


@pytest.mark.postgresql
def test_nothing_old_comes_when_readings_of_the_state_overtake_each_other(
    start_tomehub: Callable[..., Server], primary: Postgres
) -> None:
    """It takes each of them 20 to 100 ms, by row-level security, which holds for who is no
    superuser."""
    name = f"slow_{os.getpid()}"
    url = primary.create(name)
    start_tomehub(DATABASE_URL=url)  # makes the tables
    primary.sql(SLOW_STATE.format(role=name), name)
    settings: dict[str, object] = {"RATE_LIMIT_SEARCH": 10**6, "RATE_LIMIT_GLOBAL": 10**6}
    settings |= {"DATABASE_URL": url.replace("//postgres@", f"//{name}@")}
    assert name + "@" in str(settings["DATABASE_URL"])
    checker = Checker([start_tomehub(**settings), start_tomehub(**settings)], rests=True)
    checker.run(CHECK_SECONDS)
    assert not checker.faults, (len(checker.faults), checker.faults[:5])
    assert checker.reads > 20 and checker.kept > 0 and min(checker.answered) > 0


@pytest.mark.postgresql
def test_a_server_is_not_taken_for_dead_because_a_replica_knows_no_locks(
    start_replicated: Callable[..., Server], replica: Postgres
) -> None:
    busy = start_replicated(INGEST_WORKERS=1)
    other, leaving = start_replicated(LOG_LEVEL="debug"), start_replicated()
    with JsonClient(busy.port) as client:
        client.ingest_text("Book", "The heather of the moor.")
        wait_for_replica(other, replica)
        jobs = [
            client.upload("/api/ingest", f"{n}.txt", text_of(f"word{n}x", 30000).encode()).json
            for n in range(6)
        ]
        leaving.terminate()
        other.wait_log("another process has left, looking after its jobs")
        last = client.get(f"/api/ingest/{jobs[-1]['job_id']}").json
        assert last["status"] in ("queued", "running")  # so that there was something to take
        assert finished(client, jobs[0]["job_id"])["status"] == "done"
    assert "Took over" not in other.log()
