"""Text to searchable, beside one bare thread that inserts the same rows into the same FTS5 table.

Ours is `tomehub ingest` from start to exit: extraction, chunks, text analysis, index, all tables.
The limit, bench/limits/fts_insert, gets the index's rows ready-made and writes that table only.
Memory is the peak of the ingesting process (or of its extractor, if that is larger).
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from corpus import BOOKS, Library
from harness import Bench, Row, at_most, interleave, ratio
from library import (
    DENSE_SAMPLE_SECONDS,
    Ingest,
    books,
    chunk_count,
    index_statement,
    ingest,
    large_library,
    write_index_rows,
)

SAMPLE_BOOKS = 40
RATIO_MINIMUM = 0.5
FILE_FACTOR = 16
GROWTH_MAXIMUM = 1.25
NUMBER_OF_LARGE_FILE = 9000


def run(bench: Bench) -> list[Row]:
    return [speed(bench), *memory(bench)]


def speed(bench: Bench) -> Row:
    folder = bench.work / "ingest"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    database, rows = folder / "sample.db", folder / "rows"
    files = books(bench, 1, SAMPLE_BOOKS)
    ingest(bench, database, files)
    count = write_index_rows(database, rows)
    if count != chunk_count(database):
        raise RuntimeError(f"{count} rows in the index, {chunk_count(database)} chunks")
    create, insert = index_statement(database)

    def ours() -> float:
        target = fresh(folder / "ours.db")
        took = ingest(bench, target, files)
        return took.chunks / took.seconds

    def limit() -> float:
        target = fresh(folder / "limit.db")
        command = [str(bench.limit("fts_insert")), str(rows), str(target), create, insert]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        inserted, seconds = output.split()
        return int(inserted) / float(seconds)

    return ratio("ingest, chunks/s", interleave(bench.rounds, ours, limit), RATIO_MINIMUM)


def fresh(database: Path) -> Path:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    return database


def memory(bench: Bench) -> list[Row]:
    """The same books into an empty library and into a large one; a file and one many times as
    large."""
    folder = bench.work / "ingest"
    large = large_library(bench, BOOKS, lambda took, before: None) / "library.db"
    grown = fresh(folder / "grown.db")
    shutil.copy(large, grown)
    files = books(bench, BOOKS + 1, 10)
    empty = ingest(bench, fresh(folder / "ours.db"), files, DENSE_SAMPLE_SECONDS)
    full = ingest(bench, grown, files, DENSE_SAMPLE_SECONDS)

    text = folder / "large.txt"
    writer = Library()
    with text.open("w", encoding="utf-8") as file:
        for part in range(FILE_FACTOR):
            file.write(writer.text(NUMBER_OF_LARGE_FILE + part) + "\n")
    one = ingest(bench, fresh(folder / "ours.db"), files[:1], DENSE_SAMPLE_SECONDS)
    # A small file's extractor ends within a few samples: the largest of ten such is its peak.
    one = replace(one, child_bytes=empty.child_bytes)
    many = ingest(bench, fresh(folder / "ours.db"), [text], DENSE_SAMPLE_SECONDS)
    for name in ("grown.db", "ours.db", "limit.db"):
        fresh(folder / name)

    def growth(name: str, large: Ingest, small: Ingest) -> list[Row]:
        own = large.process_bytes / small.process_bytes
        child = large.child_bytes / max(small.child_bytes, 1)
        megabytes = max(large.process_bytes, large.child_bytes) / 1e6
        return [
            at_most(f"peak memory, {name} ({megabytes:.0f} MB)", own, "×", GROWTH_MAXIMUM),
            at_most(f"the same, extractor", child, "×", GROWTH_MAXIMUM),
        ]

    return growth(f"library of {chunk_count(large):,} chunks / empty one", full, empty) + growth(
        f"file of {text.stat().st_size / 1e6:.1f} MB / {FILE_FACTOR} times smaller", many, one
    )
