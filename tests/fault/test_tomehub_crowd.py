"""Real clients by the thousand on a real server over PostgreSQL with 40 connections."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from support.http import JsonClient
from support.postgres import Postgres
from support.server import Server

CONNECTIONS = 40
NOTES = 100
PATIENCE_S = 4.0  # somewhat less than the pool's


class Crowd:
    """Users on a connection each, who ask for one note after the other and know what it says."""

    def __init__(self, port: int, chunk_ids: list[int]) -> None:
        self.port = port
        self.chunk_ids = chunk_ids
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        self.goes_on: Callable[[], bool] = lambda: False

    async def ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        """One request; whatever is answered must be about what was asked."""
        chunk, word = self.chunk_ids[number % NOTES], f"note{number % NOTES}x"
        path = f"/api/search?q={word}" if number % 10 == 0 else f"/api/content/{chunk}"
        begun = time.monotonic()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1])
            for line in head.split("\r\n")
            if line.lower().startswith("content-length:")
        )
        body = (await reader.readexactly(length)).decode()
        status = int(head.split()[1])
        self.statuses[status] += 1
        self.seconds.append(time.monotonic() - begun)
        if status != 200:
            return
        answer = json.loads(body)
        is_own = answer["total_count"] == 1 if number % 10 == 0 else answer["id"] == chunk
        if not is_own or word not in body:
            self.wrong.append(f"{path}: {body}")

    async def user(self, number: int, rounds: int, gate: asyncio.Semaphore) -> None:
        """At least so many rounds, and until `goes_on` is over."""
        async with gate:  # not all of them knock at once: that is the accept queue's test
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        turn = 0
        while turn < rounds or self.goes_on():
            await self.ask(reader, writer, number + turn * 7)
            turn += 1
        writer.close()

    async def come(self, users: int, rounds: int) -> None:
        gate = asyncio.Semaphore(100)
        await asyncio.gather(*(self.user(number, rounds, gate) for number in range(users)))

    def p99_seconds(self) -> float:
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]


@pytest.fixture
def crowd(postgres: Postgres, start_tomehub: Callable[..., Server]) -> Crowd:
    server = start_tomehub(
        DATABASE_URL=postgres.url(),
        DB_POOL_MAX=CONNECTIONS,
        DB_POOL_TIMEOUT="60s",
        # Each of them shall wait for a connection. Admission and an open breaker answer at once
        # that the wait would be too long.
        CACHE_ENABLED="off",
        ADMISSION_ENABLED="off",
        BREAKERS_ENABLED="off",
    )
    with JsonClient(server.port) as client:
        items = [
            {"title": f"Note {n}", "text": f"This is note{n}x and nothing else."}
            for n in range(NOTES)
        ]
        for item in items:
            answer = client.post("/api/ingest", item)
            assert answer.status in (200, 202), answer.text
        deadline = time.monotonic() + 60
        found = {}
        for n in range(NOTES):
            while n not in found:
                assert time.monotonic() < deadline
                results = client.get("/api/search", q=f"note{n}x").json["results"]
                if results:
                    found[n] = results[0]["id"]
    return Crowd(server.port, [found[n] for n in range(NOTES)])


@pytest.mark.alone
@pytest.mark.parametrize("users, rounds", [(500, 6), (5000, 2)])
def test_everybody_gets_the_own_answer(
    crowd: Crowd, postgres: Postgres, users: int, rounds: int
) -> None:
    asyncio.run(crowd.come(users, rounds))
    print(f"{users} users: p99 {crowd.p99_seconds():.3f} s")
    assert not crowd.wrong, crowd.wrong[0]
    assert crowd.statuses == {200: users * rounds}
    servers = postgres.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bulkhead'"
    )
    assert 0 < int(servers) <= CONNECTIONS


@pytest.mark.alone
def test_database_dies_among_them(crowd: Crowd, postgres: Postgres) -> None:
    """Killed and started again in the middle: some are told 503, nobody somebody else's answer."""

    away_s = [0.0]

    def kill_and_start() -> None:
        while sum(crowd.statuses.values()) < 1000:
            time.sleep(0.001)
        begun = time.monotonic()
        postgres.kill()
        postgres.start()
        away_s[0] = time.monotonic() - begun

    breaker = threading.Thread(target=kill_and_start)
    crowd.goes_on = lambda: away_s[0] == 0
    breaker.start()
    asyncio.run(crowd.come(500, 20))
    breaker.join()
    assert not crowd.wrong, crowd.wrong[0]
    assert set(crowd.statuses) <= {200, 503}, crowd.statuses
    # Those on their way were told; whoever came after the blow waited for the database, unless it
    # was away for longer than anybody is patient.
    assert crowd.statuses[503] <= 500 or away_s[0] > PATIENCE_S, crowd.statuses
