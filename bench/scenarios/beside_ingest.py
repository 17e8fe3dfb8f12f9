"""Search while books are taken in, beside search alone, on the same library of 100,000 chunks.

One client searches as in the scenario `search` (details, nothing kept); meanwhile uploads are sent
and waited for, three at a time. Rounds alternate.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from corpus import BOOKS
from harness import Bench, Row, percentile
from library import books, large_library
from scenarios.search import Client, Query, queries

ROUNDS = 3
UPLOADERS = 3
FILES_PER_ROUND = 9
BOOKS_PER_FILE = 6
RATIO_MAXIMUM = 1.5
SEED = 11


def run(bench: Bench) -> list[Row]:
    library = large_library(bench, BOOKS, lambda took, before: None)
    few, common = queries(library / "library.db")
    chosen = few + common
    random.Random(SEED).shuffle(chosen)
    folder = bench.work / "beside-ingest"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(library, folder)
    files = joined(bench, folder)
    server = bench.server(folder, CACHE_ENABLED="off", RATE_LIMIT_ENABLED="off")
    alone: list[float] = []
    beside: list[float] = []
    try:
        client = Client(server.port)
        for query in chosen:  # warms what is warm in a server that runs for a while
            client.search(query, details=True)
        for turn in range(bench.rounds):
            batch = files[turn * FILES_PER_ROUND : (turn + 1) * FILES_PER_ROUND]
            beside += search_while_taking_in(client, chosen, batch, server.port)
            alone += [client.search(query, details=True) for query in chosen]
        client.close()
        server.finish()
    finally:
        server.kill()
        shutil.rmtree(folder)
    ours, limit = percentile(beside, 0.95), percentile(alone, 0.95)
    bench.say(f"{len(beside)} searches meanwhile, {len(alone)} alone")
    name = "p95 of searches, ms, books taken in / alone"
    return [Row(name, ours / limit, "×", RATIO_MAXIMUM, at_least=False, ours=ours, limit=limit)]


def joined(bench: Bench, folder: Path) -> list[Path]:
    """Files of several books, none of which the library has."""
    count = bench.rounds * FILES_PER_ROUND
    parts = books(bench, BOOKS + 1, count * BOOKS_PER_FILE)
    files = []
    for number in range(count):
        file = folder / f"upload-{number}.txt"
        texts = parts[number * BOOKS_PER_FILE : (number + 1) * BOOKS_PER_FILE]
        file.write_text("\n".join(text.read_text("utf-8") for text in texts), "utf-8")
        files.append(file)
    return files


def search_while_taking_in(
    client: Client, chosen: list[Query], files: list[Path], port: int
) -> list[float]:
    url = f"http://127.0.0.1:{port}/api/ingest?wait=true"

    def upload(file: Path) -> None:
        command = ["curl", "-sS", "--fail", "-o", "/dev/null", "-F", f"file=@{file}", url]
        subprocess.run(command, check=True)

    times: list[float] = []
    with ThreadPoolExecutor(UPLOADERS) as uploaders:
        uploads = [uploaders.submit(upload, file) for file in files]
        while not all(each.done() for each in uploads):
            times.append(client.search(chosen[len(times) % len(chosen)], details=True))
        for each in uploads:
            each.result()
    return times
