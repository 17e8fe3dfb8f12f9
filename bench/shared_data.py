"""What all sides of a comparison on PostgreSQL are given: the same rows and the same requests.

The rows are a library of 100,000 chunks, taken in by TomeHub. The requests are seeded: chunks
from all over the library, batches of 100, and a hundred searches in the mix MIX. Each exists as
lines for bench/peers/load.lua and as scripts for pgbench.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from corpus import BOOKS, COMMON, vocabulary
from harness import ROOT, Bench
from library import books, made_by
from postgres import Postgres, Script

PEERS = ROOT / "bench" / "peers"
ORDINAL_BITS = 20  # of a chunk's id; the rest is its book
SEED = 11
CONTENT_REQUESTS = 20_000
BATCHES = 100
BATCH_IDS = 100
LOADERS = 2
PEERS_STAMP = "peers-made-by"

# How many of the hundred searches, and the ranks (by frequency) that their words are drawn from.
RARE, RARE_RANKS = 40, (10_000, 60_000)
MEDIUM, MEDIUM_RANKS = 40, (500, 10_000)
PAIRS, PAIR_RANKS = 15, (140, 1_000)
COMMONEST = 5
LOG_SHARE = {"content": 0.05, "batch": 1.0, "search": 1.0, "health": 0.02}


def made_from(*files: Path) -> str:
    """Changes when what was made by our sources and these files has to be made anew."""
    digest = hashlib.sha256(made_by().encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


# ---- Rows ----


def load_tables(bench: Bench, server: Postgres) -> None:
    """Our library and, made from its rows, the peers' tables; each unless it is there."""
    once(server.folder / "ours-made-by", made_from(), lambda: load_ours(bench, server))
    schema = PEERS / "schema.sql"
    once(server.folder / PEERS_STAMP, made_from(schema), lambda: load_peers(bench, server))


def once(stamp: Path, version: str, make: Callable[[], None]) -> None:
    if not stamp.exists() or stamp.read_text() != version:
        stamp.unlink(missing_ok=True)
        make()
        stamp.write_text(version)


def load_ours(bench: Bench, server: Postgres) -> None:
    bench.say("taking the books in")
    # Books get their ids as they come: the peers' rows are of no more use.
    (server.folder / PEERS_STAMP).unlink(missing_ok=True)
    server.query("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    process = subprocess.run(
        [str(bench.tomehub), "ingest", *map(str, books(bench, 1, BOOKS))],
        cwd=bench.work,
        env={
            "PATH": os.environ["PATH"],
            "DATABASE_URL": server.socket_url(),
            "LOG_LEVEL": "warning",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if process.returncode != 0:
        raise RuntimeError(f"tomehub ingest: {(process.stdout + process.stderr)[-2000:]}")
    server.query("VACUUM (ANALYZE)")


def load_peers(bench: Bench, server: Postgres) -> None:
    bench.say("making the peers' tables")
    server.query("DROP SCHEMA IF EXISTS peers CASCADE")
    server.psql("-f", PEERS / "schema.sql")
    server.query(
        """INSERT INTO peers.books
        SELECT id, title, author, source_type, page_kind, tags::json, metadata::json
        FROM public.books WHERE state = 'ready'"""
    )
    # Two at once: making the tsvectors is the work.
    with ThreadPoolExecutor(LOADERS) as pool:
        list(pool.map(lambda part: load_chunks(server, part), range(LOADERS)))
    server.query("CREATE INDEX chunks_by_words ON peers.chunks USING gin (words)")
    for table in ("chunks", "books"):
        server.query(f"VACUUM (ANALYZE) peers.{table}")


def load_chunks(server: Postgres, part: int) -> None:
    server.query(
        f"""INSERT INTO peers.chunks
        SELECT c.id, c.book_id, c.chapter, c.page_number, coalesce(l.label, c.page_number::text),
               c.paragraph, c.content
        FROM public.chunks c
        JOIN peers.books b ON b.id = c.book_id
        LEFT JOIN public.page_labels l ON l.book_id = c.book_id AND l.number = c.page_number
        WHERE c.id % {LOADERS} = {part} ORDER BY c.id"""
    )


# ---- Requests ----


@dataclass(frozen=True)
class Ids:
    """Chunk ids that exist: any book, any ordinal that every book has."""

    books: int
    first: int
    last: int

    def draw(self, source: random.Random) -> int:
        book = source.randint(1, self.books)
        return (book << ORDINAL_BITS) + source.randint(self.first, self.last)


@dataclass(frozen=True)
class Requests:
    """What is asked, the same for everybody."""

    folder: Path
    ids: Ids
    batches: list[list[int]]
    searches: list[str]

    def lines(self, route: str) -> Path:
        """The file of a route for load.lua: method, path and body on a line."""
        return self.folder / f"{route}.requests"

    def paths(self, route: str) -> Iterator[tuple[str, str, str]]:
        """(method, path, body) of each request."""
        for line in self.lines(route).read_text().splitlines():
            method, path, *body = line.split(" ", 2)
            yield method, path, body[0] if body else ""

    def script(self, route: str, statement: Path, arguments: tuple[str, ...]) -> Script:
        """The route's requests as pgbench's scripts of a statement. `arguments` are the values of
        $1, $2, …; of these "?" is what changes from request to request. A statement takes a
        batch as an array, or as JSON where it says so."""
        text = bare(statement)
        brackets = "[]" if "json" in text else "{}"
        if route in ("batch", "search"):
            values = (
                [brackets[0] + ",".join(map(str, ids)) + brackets[1] for ids in self.batches]
                if route == "batch"
                else self.searches
            )
            variables = {f"{route}{number}": value for number, value in enumerate(values)}
            files = tuple(
                self.write(f"{statement.stem}-{name}", filled(text, arguments, f":{name}"))
                for name in variables
            )
            return Script(files, variables, LOG_SHARE[route])
        draw = (
            f"\\set book random(1, {self.ids.books})\n"
            f"\\set id :book * {1 << ORDINAL_BITS} + random({self.ids.first}, {self.ids.last})\n"
            if route == "content"
            else ""
        )
        path = self.write(f"{statement.stem}-{route}", draw + filled(text, arguments, ":id"))
        return Script((path,), {}, LOG_SHARE[route])

    def write(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.pgbench"
        path.write_text(text)
        return path


def bare(statement: Path) -> str:
    """A statement without its comments."""
    lines = statement.read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")


def filled(text: str, arguments: tuple[str, ...], variable: str) -> str:
    for number in range(len(arguments), 0, -1):
        value = arguments[number - 1]
        text = text.replace(f"${number}", variable if value == "?" else value)
    return f"{text};\n"


def requests(bench: Bench, server: Postgres) -> Requests:
    """Draws the requests and writes load.lua's files."""
    source = random.Random(SEED)
    ids = existing_ids(server)
    folder = bench.work / "requests"
    folder.mkdir(exist_ok=True)
    batches = [[ids.draw(source) for _ in range(BATCH_IDS)] for _ in range(BATCHES)]
    chosen = Requests(folder, ids, batches, searches(server, source))
    wanted = [ids.draw(source) for _ in range(CONTENT_REQUESTS)]
    write_lines(chosen.lines("content"), (f"GET /api/content/{id}" for id in wanted))
    write_lines(
        chosen.lines("batch"),
        (f"POST /api/content/batch {json.dumps({'ids': batch})}" for batch in batches),
    )
    write_lines(
        chosen.lines("search"),
        (
            "GET /api/search?"
            + urllib.parse.urlencode({"q": words, "page_size": 50, "include": "details"})
            for words in chosen.searches
        ),
    )
    write_lines(chosen.lines("health"), ["GET /api/health"])
    return chosen


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


def existing_ids(server: Postgres) -> Ids:
    mask = (1 << ORDINAL_BITS) - 1
    statement = f"""
        SELECT count(*), max(first), min(last), bool_and(last - first + 1 = size)
        FROM (SELECT book_id, row_number() OVER (ORDER BY book_id), count(*) AS size,
                     min(id & {mask}) AS first, max(id & {mask}) AS last
              FROM peers.chunks GROUP BY book_id) AS books
        WHERE book_id = row_number"""
    count, first, last, is_run = server.query(statement)[0].split("|")
    if int(count) < BOOKS / 2 or is_run != "t":
        raise RuntimeError(f"books are no run from 1 ({count}), or chunks none within a book")
    return Ids(int(count), int(first), int(last))


def searches(server: Postgres, source: random.Random) -> list[str]:
    """A hundred in the mix, all of which find something, in random order."""
    words = vocabulary()

    def some(count: int, ranks: tuple[int, int], size: int) -> list[str]:
        candidates = [
            " ".join(source.sample(words[ranks[0] : ranks[1]], size)) for _ in range(2 * count)
        ]
        return found(server, candidates)[:count]

    chosen = some(RARE, RARE_RANKS, 1) + some(MEDIUM, MEDIUM_RANKS, 1) + some(PAIRS, PAIR_RANKS, 2)
    chosen += found(server, COMMON)[:COMMONEST]  # its stop words find nothing
    if len(chosen) != RARE + MEDIUM + PAIRS + COMMONEST:
        raise RuntimeError(f"{len(chosen)} searches found something; see bench/shared_data.py")
    source.shuffle(chosen)
    return chosen


def found(server: Postgres, candidates: list[str]) -> list[str]:
    """Those that find at least one chunk, in their order. (Letters and blanks only.)"""
    values = ", ".join(f"({number}, '{words}')" for number, words in enumerate(candidates))
    statement = f"""
        SELECT asked FROM (VALUES {values}) AS candidate (number, asked)
        WHERE numnode(plainto_tsquery('english', asked)) > 0 AND EXISTS (
            SELECT 1 FROM peers.chunks c WHERE c.words @@ plainto_tsquery('english', asked))
        ORDER BY number"""
    return server.query(statement)
