"""A disk that is full: the job fails and says why, nothing stays behind, the service goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.http import JsonClient
from support.ingest import text_of, uploads, wait_until
from support.server import Server

MEGABYTE = 1 << 20


@pytest.fixture
def small_disk(library_dir: Path) -> Iterator[Path]:
    """The library's folder is a file system of 32 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(library_dir)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system takes root")
    yield library_dir
    subprocess.run(["umount", "-l", str(library_dir)], check=True)


def test_full_in_mid_ingest(small_disk: Path, start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub()
    with JsonClient(server.port, timeout=120) as client:
        kept = client.ingest_text("Kept", text_of("keeper", 100))
        text = text_of("toolarge", 12 * MEGABYTE // 80)
        answer = client.upload("/api/ingest?wait=true", "large.txt", text.encode())
        assert answer.status == 422 and "space" in answer.json["detail"], answer.text
        job = client.get(f"/api/ingest/{answer.json['job_id']}").json
        wait_until(lambda: not uploads(small_disk))
        assert client.get("/api/search", q="toolarge").json["total_count"] == 0
        assert client.get("/api/search", q="keeper").json["total_count"] > 0
        assert client.get("/api/health/live").status == 200

        def failed() -> bool:
            state = client.get(f"/api/ingest/{job['job_id']}").json
            return bool(state["status"] == "failed" and state["error"])

        wait_until(failed)
        assert [book["id"] for book in client.get("/api/books").json["books"]] == [kept]
        wait_until(lambda: client.post("/api/ingest?wait=true", note(0)).status == 200, 60)
        assert client.get("/api/search", q="afterwards").json["total_count"] == 1


def note(number: int) -> dict[str, str]:
    return {"title": f"Note {number}", "text": "Room again afterwards."}


def test_full_in_mid_upload(small_disk: Path, start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub()
    with JsonClient(server.port, timeout=120) as client:
        answer = client.upload("/api/ingest", "huge.txt", b"word " * (50 * MEGABYTE // 5))
        assert answer.status == 507, answer.text
        assert uploads(small_disk) == []
        assert client.get("/api/ingest").json["jobs"] == []
        client.ingest_text("T", "There is room for this.")


def test_full_before_a_document(small_disk: Path, start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub()
    with JsonClient(server.port, timeout=120) as client:
        client.ingest_text("T", "Some words.")
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 65536)
            except OSError:
                pass
        answer = client.post("/api/ingest?wait=true", {"title": "U", "text": "More words."})
        assert answer.status in (507, 422) and "space" in answer.text, answer.text
        assert client.get("/api/search", q="words").json["total_count"] == 1
        filler.unlink()
        client.ingest_text("V", "And yet more words.")
        assert client.get("/api/search", q="words").json["total_count"] == 2
