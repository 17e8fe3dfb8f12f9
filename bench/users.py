"""People at a server (user_load.c): what they do, and what became of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import Bench, Server

# Each comes from an address of their own, and has limits of their own.
PEOPLE = {"TRUSTED_PROXIES": "127.0.0.1", "RATE_LIMIT_ENABLED": "on"}


@dataclass(frozen=True)
class Deed:
    """Something that people do, as often as its weight says: requests, one after another (but one
    that begins with + together with the one before)."""

    weight: float
    kind: str
    steps: tuple[str, ...]  # method, path and perhaps a body; see user_load.c


@dataclass(frozen=True)
class Crowd:
    """Who comes, and how long it is looked at: `warm` seconds, then `seconds` that count."""

    users: int
    arrivals: float  # a second
    warm: int
    seconds: int
    think_ms: int


@dataclass(frozen=True)
class Kind:
    """What became of the deeds of one kind. Latencies in ms, of those that went well."""

    done: int = 0
    failed: int = 0
    p50: float = 0
    p95: float = 0
    p99: float = 0


@dataclass(frozen=True)
class Outcome:
    """Of one crowd; `hits` to `broken` count requests, of which a deed has several."""

    hits: int
    misses: int
    refused: int  # 503 and 429 that say when to try again
    refused_without_retry: int
    other: int
    broken: int
    kinds: dict[str, Kind] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return sum(kind.done for kind in self.kinds.values())

    @property
    def failed(self) -> int:
        return sum(kind.failed for kind in self.kinds.values())

    @property
    def failed_percent(self) -> float:
        return 100 * self.failed / max(self.done, 1)

    @property
    def hit_percent(self) -> float | None:
        asked = self.hits + self.misses
        return 100 * self.hits / asked if asked else None


def zipf(rank: int) -> float:
    """How often the thing of that rank (from 0) is asked for: Zipf's law, exponent 1."""
    return 1 / (rank + 1)


def write_deeds(path: Path, deeds: Iterable[Deed]) -> list[str]:
    """Returns the kinds; their place is their letter in the file."""
    kinds: list[str] = []
    lines = []
    for deed in deeds:
        if deed.kind not in kinds:
            kinds.append(deed.kind)
        letter = chr(ord("a") + kinds.index(deed.kind))
        lines.append("\t".join([f"{deed.weight:.9f}", letter, *deed.steps]))
    path.write_text("\n".join(lines) + "\n")
    return kinds


def come(
    bench: Bench,
    server: Server,
    deeds: list[Deed],
    crowd: Crowd,
    tick: Callable[[dict[str, int]], None] = lambda _: None,
) -> Outcome:
    """Lets a crowd do these deeds. `tick` is told every second how many there are, have a request
    in hand, and of the counted deeds are done and failed."""
    path = bench.work / f"deeds-{server.port}"
    kinds = write_deeds(path, deeds)
    command = [str(bench.limit("user_load")), str(server.port), str(crowd.users)]
    command += [f"{crowd.arrivals:.0f}", str(crowd.warm), str(crowd.seconds)]
    command += [str(crowd.think_ms), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        for line in process.stdout:
            told: dict[str, Any] = json.loads(line)
            if "classes" not in told:
                tick(told)
                continue
            classes = told.pop("classes")
            named = {kinds[ord(letter) - ord("a")]: Kind(**k) for letter, k in classes.items()}
            return Outcome(**told, kinds=named)
        raise RuntimeError(f"user_load ended with {process.wait()}")
    finally:
        process.kill()
        process.wait()
        path.unlink()
