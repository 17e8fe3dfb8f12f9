"""Files that are hostile, broken or not what they say: a clear failure and nothing left behind."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.epub import EpubWriter, paragraphs
from support.http import JsonClient, RawHttp
from support.ingest import finished, text_of, uploads, wait_until
from support.process import busy
from support.server import Server


def assert_nothing_left(client: JsonClient, library_dir: Path) -> None:
    assert client.get("/api/books").json["total_count"] == 0
    assert uploads(library_dir) == []


def zip_of(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("zero.txt", b""),
        ("zero.epub", b""),
        ("blank.txt", b" \n\t\r\n " * 100),
        ("cut.pdf", b"%PDF-1.7\n1 0 obj\n<< /Type /Cat"),
        ("cut.epub", b"PK\x03\x04" + b"\x00" * 100),
        ("not-a-book.epub", zip_of(hello=b"world")),
        ("picture.txt", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40),
        ("program", b"\x7fELF" + bytes(range(256)) * 100),
        ("zeros.txt", b"\x00" * 100000),
    ],
)
def test_refused(client: JsonClient, library_dir: Path, name: str, content: bytes) -> None:
    answer = client.upload("/api/ingest?wait=true", name, content)
    assert answer.status == 422, answer.text
    assert answer.json["detail"].strip(), answer.text
    assert_nothing_left(client, library_dir)


def test_truncated_epub(client: JsonClient, library_dir: Path, epub: EpubWriter) -> None:
    chapters = [(f"C{n}", paragraphs(text_of(f"w{n}", 500))) for n in range(20)]
    whole = epub.write("b.epub", chapters).read_bytes()
    for part in (0.1, 0.5, 0.9, 0.99):
        answer = client.upload("/api/ingest?wait=true", "b.epub", whole[: int(len(whole) * part)])
        assert answer.status == 422, (part, answer.text)
    assert_nothing_left(client, library_dir)


@pytest.mark.slow
def test_zip_bomb(
    tomehub: Server, client: JsonClient, library_dir: Path, epub: EpubWriter, sanitizer: str
) -> None:
    bomb = b"<html><body><p>" + b"bomb " * (300 << 20 >> 2) + b"</p></body></html>"
    path = epub.write("bomb.epub", [("One", "<p>x</p>")], extra={"OEBPS/chapter-1.xhtml": bomb})
    assert path.stat().st_size < 4 << 20
    before = tomehub.rss_bytes()
    job = client.upload("/api/ingest", "bomb.epub", path.read_bytes()).json
    peak = before
    begun = time.monotonic()
    while client.get(f"/api/ingest/{job['job_id']}").json["status"] in ("queued", "running"):
        peak = max(peak, tomehub.rss_bytes())
        assert client.get("/api/health/live").status == 200
        assert time.monotonic() - begun < 150 * busy()
    ended = finished(client, job["job_id"])
    assert ended["status"] == "failed" and ended["error"], ended
    if sanitizer == "none":
        assert peak - before < 100 << 20
    wait_until(lambda: not uploads(library_dir))


def test_path_traversal_in_an_epub(client: JsonClient, epub: EpubWriter, library_dir: Path) -> None:
    extra = {"../../../../tmp/tomehub-evil": b"evil", "/tmp/tomehub-evil": b"evil"}
    path = epub.write("t.epub", [("One", paragraphs("Harmless words."))], extra=extra)
    answer = client.upload("/api/ingest?wait=true", "t.epub", path.read_bytes())
    assert answer.status in (200, 422)
    assert not Path("/tmp/tomehub-evil").exists()
    assert not (library_dir.parent / "tomehub-evil").exists()


def test_external_entity_in_an_epub(client: JsonClient, epub: EpubWriter, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("topsecretword")
    evil = (
        f'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY x SYSTEM "file://{secret}">]>'
        '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Before &x; after.</p></body></html>'
    )
    path = epub.write("x.epub", [("One", "")], extra={"OEBPS/chapter-1.xhtml": evil.encode()})
    client.upload("/api/ingest?wait=true", "x.epub", path.read_bytes())
    assert client.get("/api/search", q="topsecretword").json["total_count"] == 0


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("Grüße aus Köln, Straße".encode("latin-1") + b".\n" * 3, "grusse"),
        (b"\xef\xbb\xbfWith a byte order mark.", "mark"),
        ("Wide characters here.".encode("utf-16"), "characters"),
        (b"Carriage returns\r\n\r\nin it.\r\n", "carriage"),
        (b"Bad \xff\xfe bytes \xc3 inside of it.", "inside"),
    ],
)
def test_text_in_any_encoding(client: JsonClient, content: bytes, word: str) -> None:
    answer = client.upload("/api/ingest?wait=true", "a.txt", content)
    assert answer.status == 200, answer.text
    assert client.get("/api/search", q=word).json["total_count"] == 1


def test_wrong_ending(client: JsonClient, epub: EpubWriter) -> None:
    path = epub.write("b.epub", [("One", paragraphs("The ending lies."))])
    answer = client.upload("/api/ingest?wait=true", "b.txt", path.read_bytes())
    assert answer.status == 200, answer.text
    assert client.get("/api/search", q="lies").json["total_count"] == 1


def test_extractor_that_takes_too_long(
    start_tomehub: Callable[..., Server], library_dir: Path, epub: EpubWriter
) -> None:
    """The time-out ends it however busy it is; meanwhile others are served."""
    server = start_tomehub(EXTRACT_TIMEOUT="1s", INGEST_WORKERS=1)
    big = b"<html><body>" + b"<p>spin</p>" * (9 << 20) + b"</body></html>"
    path = epub.write("slow.epub", [("One", "")], extra={"OEBPS/chapter-1.xhtml": big})
    with JsonClient(server.port) as client:
        begun = time.monotonic()
        answer = client.upload("/api/ingest?wait=true", "slow.epub", path.read_bytes())
        assert answer.status == 422, answer.text
        assert time.monotonic() - begun < 20 * busy()
        client.ingest_text("T", "The next one is served.")


@pytest.mark.slow
def test_a_hundred_megabytes(tomehub: Server, client: JsonClient, sanitizer: str) -> None:
    """Memory does not grow with the file."""
    small = text_of("smallish", 40000)
    client.upload("/api/ingest?wait=true", "small.txt", small.encode())
    warm = tomehub.rss_bytes()
    client.connection.timeout = 300
    text = text_of("gigantic", 100 * (1 << 20) // 88)
    job = client.upload("/api/ingest", "large.txt", text.encode()).json
    del text
    peak = 0
    while client.get(f"/api/ingest/{job['job_id']}").json["status"] in ("queued", "running"):
        peak = max(peak, tomehub.rss_bytes())
        time.sleep(0.02)
    ended = finished(client, job["job_id"])
    assert ended["status"] == "done", ended
    if sanitizer == "none":  # else freed memory is kept back
        assert peak - warm < 64 << 20, (warm, peak)
    assert client.get("/api/search", q="gigantic").json["total_count"] == ended["chunks"]


def test_searches_whose_clients_leave(tomehub: Server, client: JsonClient) -> None:
    client.ingest_text("T", text_of("abandoned", 20000))
    raw = RawHttp(tomehub.port)
    files = tomehub.open_files()
    for _ in range(200):
        connection = raw.connect()
        connection.send(
            b"GET /api/search?q=abandoned+harbour+tide&include=details&page_size=1000&facets=1 "
            b"HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        connection.reset()
    assert client.get("/api/search", q="abandoned").status == 200
    wait_until(lambda: tomehub.open_files() <= files + 2)
