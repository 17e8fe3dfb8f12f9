"""Honest users beside 5,000 clients that do as little as they can.

The slow ones send a head or a body byte by byte, or ask for a long page and read five bytes a
second of it, or nothing; who is thrown out comes again. The honest ones search at a constant rate
(`open_load`), once alone and once among the slow ones, in turn. The slow ones' own process shares
the machine's cores with both. Settings are the server's own, but that nothing is kept.
"""

from __future__ import annotations

import os
import shutil
import statistics
from pathlib import Path

from corpus import COMMON
from harness import Bench, Row, Server, Table, at_least, at_most
from scenarios.overload import Load, Sides, result, small_library
from support.http import JsonClient
from support.http_layer import metric, wait_until
from support.slow_clients import slow_crowd

CROWD = {"head": 2250, "body": 2250, "trickle": 250, "stop": 250}
THERE_MINIMUM = 4500  # of them at a time: some are on their way back
RATE = 100  # honest requests a second
CONNECTIONS = 50
P95_RATIO_MAXIMUM = 2
SECONDS = 8
ROUNDS = 2


def run(bench: Bench) -> list[Row]:
    folder = bench.work / "slow_clients"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(small_library(bench), folder / "library.db")
    searches = folder / "searches"
    pairs = [f"/api/search?q={a}+{b}" for a in COMMON[:12] for b in COMMON[12:24]]
    searches.write_text("\n".join(pairs) + "\n")
    server = bench.server(folder)
    try:
        page = long_page(server)
        honest(bench, server, searches)  # what is done once only
        alone, among, there = [], [], []
        for _ in range(bench.rounds):
            alone.append(honest(bench, server, searches))
            with slow_crowd(server.port, page, **CROWD):
                wait_until(lambda: slow_ones(server) > THERE_MINIMUM)
                there.append(slow_ones(server))
                among.append(honest(bench, server, searches))
                there.append(slow_ones(server))
            wait_until(lambda: slow_ones(server) <= 0)
        server.finish()
    finally:
        server.kill()
    return rows_of(bench, alone, among, there)


def long_page(server: Server) -> str:
    """The path of one of three hundred thousand letters."""
    with JsonClient(server.port) as client:
        pages = ["Words stand here in long rows. " * 10000]
        answer = client.post("/api/ingest?wait=true", {"title": "Long", "pages": pages})
        assert answer.status == 200, answer.text
        return f"/api/books/{answer.json['book_id']}/pages/1"


def slow_ones(server: Server) -> float:
    return metric(server, "http_connections_open") - 1


def honest(bench: Bench, server: Server, searches: Path) -> Load:
    sides = Sides(bench, server, None, os.sched_getaffinity(0))
    return result(sides.open_load(RATE, searches, CONNECTIONS))


def rows_of(bench: Bench, alone: list[Load], among: list[Load], there: list[float]) -> list[Row]:
    lines = []
    for number, loads in enumerate(zip(alone, among), 1):
        for name, load in zip(("alone", "among slow ones"), loads):
            bench.say(f"{name}: {load}")
            times = [f"{value:.1f}" for value in (load.p50, load.p95, load.p99)]
            lines.append([f"{number}, {name}", str(load.sent), *times])
    head = ["round", "requests", "p50 ms", "p95 ms", "p99 ms"]
    bench.tables.append(Table(f"{RATE} searches a second", head, lines))
    rounds = [[slow.p95, quiet.p95] for quiet, slow in zip(alone, among)]
    ratio = statistics.median(slow / quiet for slow, quiet in rounds)
    ours, limit = (statistics.median(both[side] for both in rounds) for side in (0, 1))
    lost = sum(x.refused + x.late + x.left + x.other + x.broken + x.unsent for x in among)
    return [
        Row("p95 among 5,000 / alone", ratio, "×", P95_RATIO_MAXIMUM, False, ours, limit, rounds),
        at_most("searches not answered among them", lost, "", 0),
        at_least("slow clients there, at least", min(there), "", THERE_MINIMUM),
    ]
