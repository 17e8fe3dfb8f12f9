"""What the protections cost: `GET /api/content/{id}` with rate limits, cache, admission and
breakers, beside a server without them.

Both servers run on a copy of the same SQLite library, 64 connections, in turn. 20,000 ids in random
order and a cache of 1 MB: nearly every request misses and leaves an answer to be kept, the dearest
way through all of them. Metrics have no switch: both sides count everything.
"""

from __future__ import annotations

import random
import shutil

from harness import Bench, Row, Server, interleave, ratio
from load import wrk_requests
from scenarios.overload import all_chunk_ids, small_library

CONNECTIONS = 64
REQUESTS = 20_000
RATIO_MINIMUM = 0.9
SECONDS = 3
ROUNDS = 10
OFF = {
    "RATE_LIMIT_ENABLED": "off",
    "CACHE_ENABLED": "off",
    "ADMISSION_ENABLED": "off",
    "BREAKERS_ENABLED": "off",
}
ON = {"RATE_LIMIT_GLOBAL": "1000000/second", "CACHE_ENABLED": "on", "CACHE_MAX_MB": "1"}


def run(bench: Bench) -> list[Row]:
    database = small_library(bench)
    ids = all_chunk_ids(database)
    random.Random(1).shuffle(ids)
    requests = bench.work / "protections.requests"
    requests.write_text("".join(f"GET /api/content/{number}\n" for number in ids[:REQUESTS]))
    bare = bench.work / "protections"
    bare.mkdir(exist_ok=True)
    shutil.copy(database, bare / database.name)
    servers: list[Server] = []
    try:
        for folder, settings in ((database.parent, ON), (bare, OFF)):
            servers.append(bench.server(folder, **settings))
            wrk_requests(servers[-1].port, requests, CONNECTIONS, 1)

        def rate(server: Server) -> float:
            load = wrk_requests(server.port, requests, CONNECTIONS, bench.seconds)
            assert load.failed == 0, load
            return load.rate

        rounds = interleave(bench.rounds, lambda: rate(servers[0]), lambda: rate(servers[1]))
        for server in servers:
            server.finish()
    finally:
        for server in servers:
            server.kill()
    return [ratio("with rate limits, cache, admission, breakers", rounds, RATIO_MINIMUM)]
