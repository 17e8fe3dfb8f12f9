"""Servers side by side on one PostgreSQL: who takes part, what is measured, the tables of it."""

from __future__ import annotations

import http.client
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness import Bench, Server, Table, number
from load import Load, wrk_requests
from postgres import Postgres, Script, pgbench
from shared_data import Requests
from usage import memory_bytes

FEWEST, FEW, MANY = 8, 64, 500  # connections
SEARCH_FACTOR = 2  # times as long: a search may take seconds
WARM_UP_SECONDS = 1
PGBENCH_CLIENTS = (4, 8, 16)
PGBENCH_MANY = 40
CHECKED = {"content": 20, "batch": 3, "search": 100}  # requests of each route
Routes = Mapping[str, tuple[int, ...]]  # numbers of connections
OURS = "TomeHub"
PGBENCH = "pgbench"


class Side(Protocol):
    """One that takes part."""

    name: str

    def load(self, route: str, connections: int, seconds: int) -> Load:
        ...

    def megabytes(self) -> float | None:
        ...


@dataclass
class ServerSide:
    """A server under wrk."""

    name: str
    server: Server
    requests: dict[str, Path]  # lines for load.lua, by route

    def load(self, route: str, connections: int, seconds: int) -> Load:
        return wrk_requests(self.server.port, self.requests[route], connections, seconds)

    def megabytes(self) -> float:
        """Of all its processes; what they share is counted once."""
        return memory_bytes(self.server.pid) / 1e6


@dataclass
class PgbenchSide:
    """The statements alone. For FEW connections as many clients as serve it best, not as many
    connections: it has no pool."""

    name: str
    database: Postgres
    scripts: dict[str, Script]
    clients: dict[str, int] = field(default_factory=dict)

    def load(self, route: str, connections: int, seconds: int) -> Load:
        clients = self.best(route) if connections <= FEW else PGBENCH_MANY
        return pgbench(self.database, self.scripts[route], clients, seconds)

    def best(self, route: str) -> int:
        if route not in self.clients:
            rates = {
                clients: pgbench(self.database, self.scripts[route], clients, 1).rate
                for clients in PGBENCH_CLIENTS
            }
            self.clients[route] = max(rates, key=lambda clients: rates[clients])
        return self.clients[route]

    def megabytes(self) -> None:
        return None


# ---- Measuring ----


@dataclass(frozen=True)
class Results:
    """Loads by route, connections and side's name, one a round."""

    loads: dict[tuple[str, int, str], list[Load]]

    def median(self, route: str, connections: int, side: str) -> Load | None:
        """Each figure's own median."""
        loads = self.loads.get((route, connections, side))
        if not loads:
            return None

        return Load(
            statistics.median(load.rate for load in loads),
            statistics.median(load.p50 for load in loads),
            statistics.median(load.p95 for load in loads),
            statistics.median(load.p99 for load in loads),
            sum(load.failed for load in loads),
        )

    def rates(self, route: str, connections: int, side: str, limit: str) -> list[list[float]]:
        """[side's, limit's] of each round."""
        pair = (self.loads[route, connections, name] for name in (side, limit))
        return [[ours.rate, theirs.rate] for ours, theirs in zip(*pair)]

    def failed(self) -> int:
        return sum(load.failed for loads in self.loads.values() for load in loads)


def measure(bench: Bench, database: Postgres, sides: Sequence[Side], routes: Routes) -> Results:
    """Each route with each number of connections: all sides in turn, round by round, every second
    round in the other order. Between two of them the database comes to rest: some servers go on
    working for clients that have left."""
    results = Results({})
    for route, counts in routes.items():
        seconds = bench.seconds * (SEARCH_FACTOR if route == "search" else 1)
        for side in sides:
            side.load(route, FEW, WARM_UP_SECONDS)
            database.wait_idle()
        for connections in counts:
            for turn in range(bench.rounds):
                for side in sides if turn % 2 == 0 else reversed(sides):
                    load = side.load(route, connections, seconds)
                    database.wait_idle()
                    results.loads.setdefault((route, connections, side.name), []).append(load)
            bench.say(f"{route}, {connections} connections: done")
    return results


# ---- Same answers ----


def check_answers(sides: Sequence[ServerSide], requests: Requests) -> None:
    """Ends the run unless everybody answers the same JSON to the same request: nobody shall be
    fast by being wrong. A search's order is a matter of ranking, and ours has more fields: of it,
    the number of matches, the length of the page and the shape of a hit have to agree."""
    for route, count in CHECKED.items():
        for method, path, body in list(requests.paths(route))[:count]:
            answers = {side.name: ask(side, method, path, body) for side in sides}
            first = next(name for name in answers if name != OURS)
            for name, found in answers.items():
                expected = answers[first]
                if route == "search":
                    expected, found = comparable(expected, found, name == OURS)
                if found != expected:
                    raise RuntimeError(
                        f"{method} {path}: {name} and {first} answer differently:\n"
                        f"{json.dumps(found)[:1500]}\n{json.dumps(expected)[:1500]}"
                    )


def ask(side: ServerSide, method: str, path: str, body: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", side.server.port, timeout=60)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            log = side.server.log()[-2000:]
            raise RuntimeError(f"{side.name}: {response.status} for {method} {path}:\n{log}")
        return json.loads(text)
    finally:
        connection.close()


def comparable(expected: Any, found: Any, ours: bool) -> tuple[Any, Any]:
    """Two answers to a search, reduced to what has to agree."""
    if not ours:
        for answer in (expected, found):
            for hit in answer["results"]:
                hit["score"] = round(hit["score"], 6)
        return expected, found

    def outline(answer: Any) -> Any:
        shapes = {
            tuple(sorted(set(hit) & set(expected["results"][0]))) for hit in answer["results"]
        }
        fields = {name: value for name, value in answer.items() if name in expected}
        return fields | {"results": (len(answer["results"]), sorted(shapes))}

    return outline(expected), outline(found)


# ---- Tables ----


def tables(results: Results, sides: Sequence[Side], routes: Routes) -> list[Table]:
    """One a route; sides in the order given, with ratios of the rates for FEW connections."""
    names = [side.name for side in sides]
    found = []
    for route, counts in routes.items():
        head = ["req/s"]
        for connections in counts:
            head += [f"{connections} conn.", "p50 ms", "p95", "p99"]
        head += ["failed"]
        head += [f"÷ {PGBENCH}"] * (PGBENCH in names) + [f"{OURS} ÷ it"] * (OURS in names)
        lines = [[name, *line(results, route, counts, name, names)] for name in names]
        found.append(Table(f"## {route}", head, lines))
    memory = [[side.name, number(side.megabytes())] for side in sides if side.megabytes()]
    return [*found, Table("## Memory after all that", ["", "MB"], memory)]


def line(
    results: Results, route: str, counts: tuple[int, ...], name: str, names: list[str]
) -> list[str]:
    cells = []
    for connections in counts:
        load = results.median(route, connections, name)
        assert load
        cells += [number(load.rate), number(load.p50), number(load.p95), number(load.p99)]
    loads = [load for connections in counts for load in results.loads[route, connections, name]]
    cells.append(number(sum(load.failed for load in loads)))
    own = results.median(route, FEW, name)
    for other, inverted in ((PGBENCH, False), (OURS, True)):
        if other in names:
            theirs = results.median(route, FEW, other)
            assert own and theirs
            ratio = theirs.rate / own.rate if inverted else own.rate / theirs.rate
            cells.append(f"{ratio:.2f}")
    return cells
