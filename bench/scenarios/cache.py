"""The cache: what its policy keeps, beside LRU and the clairvoyant limit.

Hit rates in percent on made-up traces of 400,000 look-ups of entries of one size, 2,000 of which
have room (bench/cache_policy.c; public traces cannot be had where this is measured). Cost:
processor time of a look-up that hits, and of one that misses with the insertion that follows.

TomeHub on SQLite: a search that is kept, 50 results, beside `/api/health/live` of the same server;
and searches of 5,000 kinds, drawn by Zipf's law (exponent 1), of which the first 10,000 fill it.
"""

from __future__ import annotations

import itertools
import random
import statistics
import subprocess

from harness import Bench, Row, Server, Table, at_least, at_most, interleave, number, ratio
from load import wrk
from support.http import JsonClient

BOUND_TO_LRU = ("zipf", "scan", "loop", "mixed")
HIT_NS_MAXIMUM = 200
RATIO_MINIMUM = 0.7
HIT_RATE_MINIMUM = 70
CONNECTIONS = 64
NOTES = 60
KINDS = 5000
DRAWN = 20_000
ROOM_MB = 4
LIVE = "/api/health/live"


def run(bench: Bench) -> list[Row]:
    program = str(bench.limit("cache_policy"))
    lines = [line.split() for line in output(program, "rates")]
    rows = []
    for name, *figures in lines:
        ours, _, lru, _ = map(float, figures)
        if name in BOUND_TO_LRU:
            rows.append(Row(f"hit rate, {name}", ours - lru, "points", 0, True, ours, lru))
    head = ["hit rate, %", "ours", "window of 1%", "LRU", "clairvoyant"]
    bench.tables.append(Table("Policies", head, lines))
    rows.append(at_most("a hit", costs(bench, program), "ns", HIT_NS_MAXIMUM))
    server = bench.server(bench.work / "cache", CACHE_ENABLED="on", CACHE_MAX_MB=str(ROOM_MB))
    try:
        fill(server)
        rows += [throughput(bench, server), zipf_hits(server)]
        server.finish()
    finally:
        server.kill()
    return rows


def fill(server: Server) -> None:
    """Notes, if it is the first time."""
    with JsonClient(server.port, timeout=60) as client:
        there = client.get("/api/books").json["total_count"]
        for note in range(there, NOTES):
            client.ingest_text(f"Note {note}", f"Heather of moor {note}. " * 20)


def throughput(bench: Bench, server: Server) -> Row:
    kept, live = server.url + "/api/search?q=heather", server.url + LIVE
    for url in (kept, live):
        wrk(url, CONNECTIONS, 1)
    rounds = interleave(
        bench.rounds,
        lambda: wrk(kept, CONNECTIONS, bench.seconds),
        lambda: wrk(live, CONNECTIONS, bench.seconds),
    )
    return ratio(f"a kept search beside {LIVE}, requests/s", rounds, RATIO_MINIMUM)


def zipf_hits(server: Server) -> Row:
    """In percent, once it is warm."""
    dice = random.Random(1)
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(KINDS)))
    drawn = dice.choices(range(KINDS), cum_weights=weights, k=DRAWN)
    with JsonClient(server.port) as client:
        kept = [
            client.get("/api/search", q=f"heather -kind{kind}").json["cache_hit"] for kind in drawn
        ]
    warm = kept[DRAWN // 2 :]
    name = f"hit rate of searches, Zipf, {KINDS:,} kinds, {ROOM_MB} MB"
    return at_least(name, 100 * sum(warm) / len(warm), "%", HIT_RATE_MINIMUM)


def costs(bench: Bench, program: str) -> float:
    """Adds the table; the median of a hit, one thread."""
    figures: dict[int, list[list[float]]] = {1: [], 2: []}
    for _ in range(bench.rounds):
        for threads, found in figures.items():
            found += [[float(x) for x in line.split()] for line in output(program, "cost", threads)]
    medians = {
        threads: [statistics.median(column) for column in zip(*found)]
        for threads, found in figures.items()
    }
    lines = [[str(threads), *map(number, values)] for threads, values in medians.items()]
    bench.tables.append(Table("Cost, ns", ["threads", "hit", "miss and insertion"], lines))
    return float(medians[1][0])


def output(*command: object) -> list[str]:
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True, timeout=300
    )
    return result.stdout.splitlines()
