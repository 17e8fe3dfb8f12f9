"""Libraries for the bench: generated books, taken in by `tomehub ingest`, and their index rows."""

from __future__ import annotations

import hashlib
import itertools
import operator
import os
import shutil
import sqlite3
import struct
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corpus import Library
from harness import ROOT, Bench

SOURCES = ("services/tomehub/extract", "services/tomehub/library", "services/tomehub/sql")
INDEX = "chunks_fts"
SAMPLE_SECONDS = 0.01
DENSE_SAMPLE_SECONDS = 0.0005  # where memory is asked for: an extractor may live for 5 ms


@dataclass(frozen=True)
class Ingest:
    """What one `tomehub ingest` took. Memory is the most that the process, or one of its children,
    had resident at any time."""

    seconds: float
    chunks: int
    process_bytes: int
    child_bytes: int


def ingest(
    bench: Bench, database: Path, files: list[Path], sample_seconds: float = SAMPLE_SECONDS
) -> Ingest:
    """Takes files into a library; the library file is made if it is not there."""
    before = chunk_count(database) if database.exists() else 0
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:{database}"}
    log = (bench.work / "ingest.log").open("wb")
    start = time.monotonic()
    process = subprocess.Popen(
        [str(bench.tomehub), "ingest", *map(str, files)],
        cwd=bench.work,
        env=environment | {"LOG_LEVEL": "warning"},
        stdout=log,
        stderr=log,
    )
    own, child = 0, 0
    try:
        while process.poll() is None:
            own = max(own, peak_bytes(process.pid))
            child = max([child, *map(peak_bytes, children(process.pid))])
            time.sleep(sample_seconds)
    finally:
        process.kill()  # when the bench itself is ended; nothing happens to one that has ended
        process.wait()
    seconds = time.monotonic() - start
    if process.returncode != 0:
        raise RuntimeError((bench.work / "ingest.log").read_text(errors="replace")[-2000:])
    return Ingest(seconds, chunk_count(database) - before, own, child)


def peak_bytes(pid: int) -> int:
    """The most memory a process has had resident; 0 if it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def children(pid: int) -> list[int]:
    try:
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for task in tasks for child in task.read_text().split()]
    except OSError:
        return []


def chunk_count(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        return int(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])


def books(bench: Bench, first: int, count: int) -> list[Path]:
    """Generated books, by number."""
    folder = bench.work / "books"
    Library().write(folder, first, count)
    return [folder / f"book-{number:04}.txt" for number in range(first, first + count)]


def made_by() -> str:
    """Changes when a library has to be made anew: with the sources that decide what is in it."""
    digest = hashlib.sha256((ROOT / "bench" / "corpus.py").read_bytes())
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.*")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def large_library(bench: Bench, count: int, report: Callable[[Ingest, int], None]) -> Path:
    """The folder of a library of `count` books, kept between runs. While it is made, `report` is
    told of each tenth: what it took, and how many chunks there were before it."""
    folder = bench.work / "library"
    database, stamp = folder / "library.db", folder / "made-by"
    if stamp.exists() and stamp.read_text() == made_by():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    step = count // 10
    for first in range(1, count + 1, step):
        before = chunk_count(database) if database.exists() else 0
        took = ingest(bench, database, books(bench, first, step))
        report(took, before)
        bench.say(f"library: {before + took.chunks} chunks, the last in {took.seconds:.1f} s")
    stamp.write_text(made_by())
    return folder


def index_statement(database: Path) -> tuple[str, str]:
    """(CREATE, INSERT) of the index table."""
    with sqlite3.connect(database) as connection:
        query = "SELECT sql FROM sqlite_master WHERE name = ?"
        create = str(connection.execute(query, (INDEX,)).fetchone()[0])
        columns = index_columns(connection)
    marks = ", ".join("?" * (len(columns) + 1))
    return create, f"INSERT INTO {INDEX} (rowid, {', '.join(columns)}) VALUES ({marks})"


def index_columns(connection: sqlite3.Connection) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({INDEX})")]


def write_index_rows(database: Path, rows: Path) -> int:
    """Writes the index's rows, read back from the index itself, as bench/limits/fts_insert reads
    them; returns how many."""
    count = 0
    with sqlite3.connect(database) as connection, rows.open("wb") as file:
        columns = index_columns(connection)
        connection.execute(
            f"CREATE VIRTUAL TABLE temp.words USING fts5vocab('main', '{INDEX}', 'instance')"
        )
        words = connection.execute("SELECT doc, col, term FROM words ORDER BY doc, col, offset")
        for document, instances in itertools.groupby(words, key=operator.itemgetter(0)):
            texts: dict[str, list[str]] = {name: [] for name in columns}
            for _, column, term in instances:
                texts[column].append(term)
            file.write(struct.pack("<q", document))
            for column in columns:
                text = " ".join(texts[column]).encode()
                file.write(struct.pack("<I", len(text)) + text)
            count += 1
    return count
