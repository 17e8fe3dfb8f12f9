"""What the tests of taking books in share: texts that can be checked word for word, and waiting."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from support.http import JsonClient

PARAGRAPH_BYTES = 80


def text_of(name: str, paragraphs: int) -> str:
    """`paragraphs` different paragraphs of some 80 bytes; each has the word `name`."""
    return "\n\n".join(
        f"Here {name} says in paragraph {n:07} that the harbour lay still until the tide {n % 97}."
        for n in range(paragraphs)
    )


def finished(client: JsonClient, job_id: int, seconds: float = 120) -> dict[str, Any]:
    """The job once it has ended; asks every few milliseconds, as a page would."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job: dict[str, Any] = client.get(f"/api/ingest/{job_id}").json
        if job["status"] in ("done", "failed"):
            return job
        time.sleep(0.01)
    raise AssertionError(f"job {job_id} did not end: {job}")


def uploads(library_dir: Path) -> list[Path]:
    """Files of uploads in progress."""
    folder = library_dir / "library.db.uploads"
    return list(folder.iterdir()) if folder.exists() else []


def wait_until(condition: Any, seconds: float = 60) -> None:
    """Returns once `condition()` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.005)


def assert_whole_or_absent(client: JsonClient, name: str, chunks: int | None, text: str) -> bool:
    """The book of text_of(name), with `chunks` chunks if that is known, is there to its last word,
    or there is no trace of it."""
    before = client.get("/api/books", q=name).json["books"]
    total = client.get("/api/search", q=name).json["total_count"]
    books = client.get("/api/books", q=name).json["books"]
    if not books:
        assert total == 0
        return False
    whole = books[0]["chunk_count"]
    assert len(books) == 1 and chunks in (None, whole)
    assert total == whole or (total == 0 and not before), (total, whole)
    last = books[0]["page_count"]
    page = client.get(f"/api/books/{books[0]['id']}/pages/{last}").json["text"]
    assert text.endswith(page)
    return True
