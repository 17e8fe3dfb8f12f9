"""Search on 100,000 chunks, over HTTP, beside the bare SQLite statement on the same file.

The limit, bench/limits/fts_query, runs `SELECT rowid … ORDER BY rank LIMIT 50`: FTS5's own bm25, no
exact count, no titles, no server. Ours is one client with one connection, page_size=50; latencies
are with details (text, excerpt, highlights). Queries are drawn by how many chunks they hit.
"""

from __future__ import annotations

import http.client
import json
import random
import sqlite3
import statistics
import subprocess
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from corpus import BOOKS, COMMON
from harness import Bench, Row, at_most, interleave, percentile, ratio
from library import INDEX, chunk_count, large_library
from support.server import Server, ServerOptions

CHUNKS = 100_000
RATIO_MINIMUM = 0.8
FEW_HITS = 5000
FEW_P95_MS = 50
COMMON_P95_MS = 150
READY_MS = 200
STATEMENT = f"SELECT rowid FROM {INDEX} WHERE {INDEX} MATCH ?1 ORDER BY rank LIMIT 50"
SINGLES = 120
PAIRS = 60
COMMONEST = 30
SEED = 7


@dataclass(frozen=True)
class Query:
    words: tuple[str, ...]
    hits: int

    @property
    def match(self) -> str:
        """As FTS5 is asked."""
        return " ".join(f'"{word}"' for word in self.words)


def run(bench: Bench) -> list[Row]:
    folder = large_library(bench, BOOKS, lambda took, before: None)
    database = folder / "library.db"
    if chunk_count(database) < CHUNKS:
        raise RuntimeError(f"{chunk_count(database)} chunks, {CHUNKS} wanted; see bench/corpus.py")
    few, common = queries(database)
    bench.say(f"{len(few)} queries with up to {FEW_HITS} hits, {len(common)} of commonest words")
    rows = [at_most("start to ready", ready_ms(bench, folder), "ms", READY_MS)]
    server = bench.server(folder)
    try:
        client = Client(server.port)
        rows.append(total_time(bench, client, database, few + common))
        for name, chosen, bound in (
            (f"p95, queries with up to {FEW_HITS:,} hits", few, FEW_P95_MS),
            ("p95, the commonest words", common, COMMON_P95_MS),
        ):
            times = [client.search(query, details=True) for query in chosen * bench.rounds]
            rows.append(at_most(name, percentile(times, 0.95), "ms", bound))
        client.close()
        server.finish()
    finally:
        server.kill()
    return rows


class Client:
    """One keep-alive connection; times are in milliseconds, with reading the whole answer."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        self.connection.close()

    def search(self, query: Query, details: bool = False) -> float:
        values = {"q": " ".join(query.words), "page_size": 50}
        if details:
            values["include"] = "details"
        path = f"/api/search?{urllib.parse.urlencode(values)}"
        start = time.perf_counter()
        self.connection.request("GET", path)
        response = self.connection.getresponse()
        body = response.read()
        elapsed_ms = (time.perf_counter() - start) * 1e3
        if response.status != 200 or json.loads(body)["total_count"] < 1:
            raise RuntimeError(f"{path}: {response.status} {body[:200]!r}")
        return elapsed_ms


def queries(database: Path) -> tuple[list[Query], list[Query]]:
    """(words and pairs with up to FEW_HITS hits, the commonest words)."""
    source = random.Random(SEED)
    with sqlite3.connect(database) as connection:
        connection.execute(
            f"CREATE VIRTUAL TABLE temp.words USING fts5vocab('main', '{INDEX}', 'row')"
        )
        # Forms only: a term with a point is a stem behind its language's letter, or a decimal.
        terms = connection.execute("SELECT term, doc FROM words WHERE instr(term, '.') = 0")
        frequency: dict[str, int] = dict(terms)
        known = sorted(word for word, hits in frequency.items() if hits <= FEW_HITS)
        often = sorted(known, key=lambda word: (-frequency[word], word))[:SINGLES]
        chosen: list[tuple[str, ...]] = [(word,) for word in source.sample(known, SINGLES) + often]
        chosen += [
            (a, b) for a, b in zip(source.choices(often, k=PAIRS), source.sample(often, PAIRS))
        ]
        few = [Query(words, count(connection, words)) for words in chosen]
    common = [Query((word,), frequency.get(word, 0)) for word in COMMON[:COMMONEST]]
    return [query for query in few if query.hits], [query for query in common if query.hits]


def count(connection: sqlite3.Connection, words: tuple[str, ...]) -> int:
    statement = f"SELECT count(*) FROM {INDEX} WHERE {INDEX} MATCH ?"
    return int(connection.execute(statement, (Query(words, 0).match,)).fetchone()[0])


def total_time(bench: Bench, client: Client, database: Path, chosen: list[Query]) -> Row:
    path = bench.work / "queries"
    path.write_text("".join(f"{query.match}\n" for query in chosen))
    command = [str(bench.limit("fts_query")), str(database), STATEMENT, str(path)]

    def ours() -> float:
        return len(chosen) / sum(client.search(query) for query in chosen) * 1e3

    def limit() -> float:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        microseconds = [int(line.split()[1]) for line in output.splitlines()]
        return len(chosen) / sum(microseconds) * 1e6

    ours()  # warms the caches, as the limit does by itself
    return ratio("all queries, queries/s", interleave(bench.rounds, ours, limit), RATIO_MINIMUM)


def ready_ms(bench: Bench, folder: Path) -> float:
    """The median time from the start of the process to the first 200 of the ready endpoint."""
    times = []
    for _ in range(bench.rounds):
        server = Server(ServerOptions(bench.tomehub, folder))
        start = time.perf_counter()
        server.start()
        times.append((time.perf_counter() - start) * 1e3)
        server.finish()
    return statistics.median(times)
