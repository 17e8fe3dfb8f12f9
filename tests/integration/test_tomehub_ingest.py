"""POST /api/ingest and the jobs: forms, documents, wait, recognition, replacement, refusals."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.epub import EpubWriter, paragraphs
from support.http import Answer, JsonClient, RawHttp
from support.ingest import finished, uploads, wait_until
from support.server import Server

JOB_FIELDS = {
    "job_id",
    "book_id",
    "status",
    "stage",
    "file_name",
    "title",
    "percent",
    "pages",
    "chunks",
    "error",
    "created_at",
    "finished_at",
}


def assert_refused(answer: Answer, status: int, field: str | None) -> None:
    assert answer.status == status, answer.text
    assert answer.json["error"] and answer.json["detail"] and answer.json["request_id"]
    assert answer.json.get("field") == field, answer.text


def test_file_without_waiting(client: JsonClient, library_dir: Path) -> None:
    answer = client.upload("/api/ingest", "notes.txt", b"Alpha beta.\n\nGamma delta.\n")
    assert answer.status == 202
    assert set(answer.json) == {"job_id", "book_id", "status"}
    assert answer.json["status"] == "queued"
    job = finished(client, answer.json["job_id"])
    assert set(job) == JOB_FIELDS
    assert job["status"] == job["stage"] == "done" and job["percent"] == 100
    assert job["error"] is None and job["pages"] == 1 and job["chunks"] == 1
    assert job["file_name"] == "notes.txt" and job["title"] == "notes"
    assert job["created_at"] <= job["finished_at"] and job["created_at"].endswith("Z")
    assert client.get(f"/api/books/{job['book_id']}").json["title"] == "notes"
    wait_until(lambda: uploads(library_dir) == [])  # removed once the job is done


def test_wait_answers_when_searchable(client: JsonClient) -> None:
    answer = client.upload("/api/ingest?wait=true", "a.txt", b"The heliotrope was violet.")
    assert answer.status == 200, answer.text
    assert set(answer.json) == {"job_id", "book_id", "status", "pages", "chunks"}
    assert answer.json["status"] == "done" and answer.json["chunks"] == 1
    found = client.get("/api/search", q="heliotrope").json
    assert found["total_count"] == 1


def test_form_fields_win_over_the_files_own(client: JsonClient, epub: EpubWriter) -> None:
    path = epub.write("b.epub", [("One", paragraphs("Some words in here."))], title="Its Own")
    fields = {"title": "Given", "author": "Somebody", "source_type": "ARTICLE", "tags": "x, y,,z "}
    answer = client.upload("/api/ingest?wait=true", "b.epub", path.read_bytes(), fields)
    book = client.get(f"/api/books/{answer.json['book_id']}").json
    assert (book["title"], book["author"]) == ("Given", "Somebody")
    assert book["source_type"] == "ARTICLE" and book["tags"] == ["x", "y", "z"]
    assert book["file_name"] == "b.epub" and book["byte_size"] == path.stat().st_size


def test_epub_facts(client: JsonClient, epub: EpubWriter) -> None:
    chapters = [("First", paragraphs("Words one.")), ("Second", paragraphs("Words two."))]
    path = epub.write("c.epub", chapters, title="T", author="A", language="tr")
    answer = client.upload("/api/ingest?wait=true", "c.epub", path.read_bytes())
    book = client.get(f"/api/books/{answer.json['book_id']}").json
    assert (book["title"], book["author"], book["language"]) == ("T", "A", "tr")
    assert book["source_type"] == "BOOK" and book["page_kind"] == "section"
    assert [chapter["title"] for chapter in book["chapters"]] == ["First", "Second"]


def test_document_with_text(client: JsonClient) -> None:
    value = {
        "title": "Tittle",
        "text": "Eins. Zwei.\n\nDrei.",
        "author": "Me",
        "tags": ["a", "b c"],
        "metadata": {"doc": 7, "nested": {"k": [1, None]}},
        "language": "de",
    }
    answer = client.post("/api/ingest?wait=true", value)
    assert answer.status == 200, answer.text
    book = client.get(f"/api/books/{answer.json['book_id']}").json
    assert book["source_type"] == "NOTE" and book["language"] == "de"
    assert book["tags"] == ["a", "b c"] and book["metadata"] == value["metadata"]
    assert book["page_kind"] == "section" and book["word_count"] == 3
    page = client.get(f"/api/books/{book['id']}/pages/1").json
    assert page["text"] == "Eins. Zwei.\n\nDrei."


def test_document_with_pages(client: JsonClient) -> None:
    pages = [
        "The first page.",
        {"number": 4, "chapter": "Later", "text": "The fourth page."},
        {"text": "The fifth page."},
    ]
    answer = client.post("/api/ingest?wait=true", {"title": "P", "pages": pages})
    assert answer.status == 200 and answer.json["pages"] == 5, answer.text
    book_id = answer.json["book_id"]
    assert client.get(f"/api/books/{book_id}").json["page_kind"] == "page"
    texts = [client.get(f"/api/books/{book_id}/pages/{n}").json["text"] for n in range(1, 6)]
    assert texts == ["The first page.", "", "", "The fourth page.", "The fifth page."]
    assert client.get(f"/api/books/{book_id}/pages/4").json["chapter"] == "Later"
    assert client.get(f"/api/books/{book_id}/pages/6").status == 404


def test_document_with_labels(client: JsonClient) -> None:
    pages = [{"label": "iv", "text": "Roman."}, {"label": "1", "text": "Arabic numerals."}]
    answer = client.post("/api/ingest?wait=true", {"title": "L", "pages": pages})
    page = client.get(f"/api/books/{answer.json['book_id']}/pages/1").json
    assert page["page_label"] == "iv" and page["page_kind"] == "list"
    hit = client.get("/api/search", q="roman", include="details").json["results"][0]
    assert hit["page_label"] == "iv" and hit["page_number"] == 1


def test_long_text_has_sections(client: JsonClient) -> None:
    text = "\n\n".join(f"Paragraph {n} says something about number {n}." for n in range(500))
    answer = client.post("/api/ingest?wait=true", {"title": "Long", "text": text})
    book_id, count = answer.json["book_id"], answer.json["pages"]
    assert 8 <= count <= 20
    pages = [
        client.get(f"/api/books/{book_id}/pages/{n}").json["text"] for n in range(1, count + 1)
    ]
    assert "\n\n".join(pages) == text


def test_the_same_content_is_recognised(client: JsonClient, library_dir: Path) -> None:
    first = client.upload("/api/ingest?wait=true", "a.txt", b"Only once, please.")
    again = client.upload("/api/ingest?wait=true", "other.txt", b"Only once, please.")
    assert again.status == 200
    assert again.json == {"job_id": None, "book_id": first.json["book_id"], "status": "exists"}
    document = {"title": "T", "text": "Only a document."}
    first = client.post("/api/ingest?wait=true", document)
    again = client.post("/api/ingest", document | {"tags": ["late"]})
    assert again.json == {"job_id": None, "book_id": first.json["book_id"], "status": "exists"}
    other = client.post("/api/ingest?wait=true", document | {"title": "Another"})
    assert other.json["book_id"] != first.json["book_id"]
    assert client.get("/api/books").json["total_count"] == 3
    wait_until(lambda: uploads(library_dir) == [])  # removed once the job is done


def test_the_same_content_at_the_same_time(tomehub: Server) -> None:
    text = "\n\n".join(f"Sentence {n} of the twin document." for n in range(3000))

    def send(_: int) -> Answer:
        with JsonClient(tomehub.port) as client:
            return client.post("/api/ingest?wait=true", {"title": "Twin", "text": text})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["book_id"] for answer in answers}) == 1
    assert {answer.json["status"] for answer in answers} <= {"done", "exists"}
    with JsonClient(tomehub.port) as client:
        assert client.get("/api/books").json["total_count"] == 1


def test_deleted_content_can_come_again(client: JsonClient) -> None:
    first = client.ingest_text("T", "Here, gone, and here again.")
    assert client.delete(f"/api/books/{first}").status == 204
    second = client.ingest_text("T", "Here, gone, and here again.")
    assert second != first
    assert client.get("/api/search", q="gone").json["total_count"] == 1


def test_replace(client: JsonClient) -> None:
    old = client.ingest_text("Edition 1", "The old wording.")
    answer = client.post(
        "/api/ingest?wait=true", {"title": "Edition 2", "text": "A new wording.", "book_id": old}
    )
    assert answer.status == 200, answer.text
    new = answer.json["book_id"]
    assert new != old and client.get(f"/api/books/{old}").status == 404
    titles = [book["title"] for book in client.get("/api/books").json["books"]]
    assert titles == ["Edition 2"]
    found = client.get("/api/search", q="wording", include="details").json
    assert [hit["book_id"] for hit in found["results"]] == [new]


def test_replace_is_seen_in_one_step(tomehub: Server) -> None:
    """While a book is replaced again and again, a reader always sees exactly one edition."""
    with JsonClient(tomehub.port) as writer, JsonClient(tomehub.port) as reader:
        book = writer.ingest_text("Edition", "wording number 0")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:

            def replace() -> None:
                nonlocal book
                for number in range(1, 30):
                    book = writer.ingest_text("Edition", f"wording number {number}", book_id=book)

            work = pool.submit(replace)
            counts = set()
            while not work.done():
                counts.add(reader.get("/api/search", q="wording").json["total_count"])
            work.result()
    assert counts == {1}


def test_replace_refusals(client: JsonClient) -> None:
    document = {"title": "T", "text": "Some text."}
    assert client.post("/api/ingest", document | {"book_id": 99}).status == 404
    known = client.ingest_text("T", "Some text.")
    other = client.ingest_text("U", "Other text.")
    assert client.post("/api/ingest", document | {"book_id": other}).status == 409
    same = client.post("/api/ingest", document | {"book_id": known})
    assert same.json["status"] == "exists" and same.json["book_id"] == known


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": None}, "title"),
        ({"title": "  "}, "title"),
        ({"title": "x" * 1001}, "title"),
        ({"title": 5}, "title"),
        ({"text": None}, "text"),
        ({"text": ""}, "text"),
        ({"text": " \n\t "}, "text"),
        ({"text": ["a"]}, "text"),
        ({"pages": ["also pages"]}, "text"),
        ({"text": None, "pages": []}, "pages"),
        ({"text": None, "pages": "x"}, "pages"),
        ({"text": None, "pages": [5]}, "pages"),
        (
            {"text": None, "pages": [{"number": 2, "text": "a"}, {"number": 2, "text": "b"}]},
            "pages",
        ),
        ({"text": None, "pages": [{"number": 0, "text": "a"}]}, "number"),
        ({"text": None, "pages": [{"number": 10**8, "text": "a"}]}, "number"),
        ({"text": None, "pages": [{"titel": "a"}]}, "titel"),
        ({"source_type": "LETTER"}, "source_type"),
        ({"tags": [1]}, "tags"),
        ({"tags": ["x" * 101]}, "tags"),
        ({"tags": [str(n) for n in range(101)]}, "tags"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"x": "y" * 70000}}, "metadata"),
        ({"book_id": 0}, "book_id"),
        ({"book_id": 2**63 - 1}, "book_id"),
        ({"book_id": "4"}, "book_id"),
        ({"language": "x" * 36}, "language"),
        ({"titel": "slip"}, "titel"),
    ],
)
def test_bad_documents(client: JsonClient, library_dir: Path, change: Any, field: str) -> None:
    value = {"title": "T", "text": "Some text."} | change
    value = {key: value[key] for key in value if value[key] is not None}
    assert_refused(client.post("/api/ingest", value), 422, field)
    assert client.get("/api/ingest").json["jobs"] == []
    assert uploads(library_dir) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"title": "a", "title": "b"}',
        b'{"title": "a\\u0000b", "text": "x"}',
        b'{"title": "\xff", "text": "x"}',
        b'{"title": "a", "text": "b"} x',
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[" * 100000,
    ],
)
def test_malformed_json(client: JsonClient, body: bytes) -> None:
    answer = client.request("POST", "/api/ingest", body, content_type="application/json")
    assert_refused(answer, 400, None)


def test_other_content_types(client: JsonClient) -> None:
    answer = client.request("POST", "/api/ingest", b"text", content_type="text/plain")
    assert_refused(answer, 415, None)
    answer = client.request("POST", "/api/ingest", b"text")
    assert_refused(answer, 415, None)
    answer = client.request("POST", "/api/ingest", b"x", content_type="multipart/form-data")
    assert_refused(answer, 400, None)


def form(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    """A form whose parts have just these heads."""
    body = b"".join(
        b"--B\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return body + b"--B--\r\n", "multipart/form-data; boundary=B"


FILE = ('name="file"; filename="a.txt"', b"Some text.")


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([('name="title"', b"x")], "file"),
        ([('name="file"', b"x")], "file"),
        ([FILE, FILE], "file"),
        ([FILE, ('name="titel"', b"x")], "titel"),
        ([FILE, ('name="title"', b"\xff\xfe")], "title"),
        ([FILE, ('name="title"', b"a\0b")], "title"),
        ([FILE, ('name="title"', b"x" * 1001)], "title"),
        ([FILE, ('name="author"', b"x" * 100000)], "author"),
        ([FILE, ('name="source_type"', b"LETTER")], "source_type"),
        ([FILE, ('name="tags"', b"x" * 101)], "tags"),
        ([FILE, ('name="book_id"', b"-1")], "book_id"),
        ([FILE, ('name="book_id"', b"9" * 30)], "book_id"),
    ],
)
def test_bad_forms(client: JsonClient, library_dir: Path, parts: Any, field: str) -> None:
    body, content_type = form(*parts)
    answer = client.request("POST", "/api/ingest", body, content_type=content_type)
    assert_refused(answer, 422, field)
    assert client.get("/api/ingest").json["jobs"] == []
    assert uploads(library_dir) == []


def test_repeated_tags_and_fields_behind_the_file(client: JsonClient) -> None:
    body, content_type = form(
        FILE, ('name="tags"', b"a,b"), ('name="tags"', b"c"), ('name="title"', b"")
    )
    answer = client.request("POST", "/api/ingest?wait=true", body, content_type=content_type)
    book = client.get(f"/api/books/{answer.json['book_id']}").json
    assert book["tags"] == ["a", "b", "c"] and book["title"] == "a"


def test_a_form_cut_short(client: JsonClient, library_dir: Path) -> None:
    body, content_type = form(FILE)
    answer = client.request("POST", "/api/ingest", body[:-10], content_type=content_type)
    assert_refused(answer, 400, None)
    assert uploads(library_dir) == []


def test_bad_wait(client: JsonClient) -> None:
    answer = client.post("/api/ingest?wait=maybe", {"title": "T", "text": "t"})
    assert_refused(answer, 422, "wait")


def test_too_large_a_file(start_tomehub: Callable[..., Server], library_dir: Path) -> None:
    server = start_tomehub(MAX_UPLOAD_MB=1)
    for size, status in ((1 << 20, 200), ((1 << 20) + 1, 413), (5 << 20, 413)):
        with JsonClient(server.port) as client:
            text = (b"word " * (size // 5 + 1))[:size]
            answer = client.upload("/api/ingest?wait=true", "big.txt", text)
            assert answer.status == status, answer.text
    wait_until(lambda: uploads(library_dir) == [])  # removed once the job is done


def test_too_large_a_document(client: JsonClient) -> None:
    answer = client.post("/api/ingest", {"title": "T", "text": "x" * (17 << 20)})
    assert_refused(answer, 413, None)


def test_file_names_are_only_names(client: JsonClient, library_dir: Path) -> None:
    for name in ("../../evil.txt", "/etc/passwd", "a" * 300 + ".txt", "ü/ö.txt", ".."):
        text = f"Content of {name}".encode()
        answer = client.upload("/api/ingest?wait=true", name, text)
        assert answer.status == 200, answer.text
        stored = client.get(f"/api/books/{answer.json['book_id']}").json["file_name"]
        assert "/" not in stored and len(stored.encode()) <= 255
    assert not (library_dir.parent / "evil.txt").exists()


def test_jobs_list(client: JsonClient) -> None:
    books = [client.ingest_text(f"T{n}", f"Text number {n}.") for n in range(5)]
    client.upload("/api/ingest?wait=true", "empty.txt", b"")
    jobs = client.get("/api/ingest").json["jobs"]
    assert len(jobs) == 6 and all(set(job) == JOB_FIELDS for job in jobs)
    assert [job["job_id"] for job in jobs] == sorted((j["job_id"] for j in jobs), reverse=True)
    done = client.get("/api/ingest", status="done", limit=2).json["jobs"]
    assert [job["book_id"] for job in done] == [books[4], books[3]]
    failed = client.get("/api/ingest", status="failed,running").json["jobs"]
    assert [job["status"] for job in failed] == ["failed"] and failed[0]["error"]
    assert client.get("/api/ingest", status="queued").json["jobs"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=gone", "status"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
    ],
)
def test_bad_jobs_list(client: JsonClient, query: str, field: str) -> None:
    assert_refused(client.get(f"/api/ingest?{query}"), 422, field)


def test_bad_job_ids(client: JsonClient) -> None:
    assert client.get("/api/ingest/1").status == 404
    for job_id in ("0", "-1", "x", "1.5", "9" * 30):
        assert_refused(client.get(f"/api/ingest/{job_id}"), 422, "job_id")


def test_failure_is_told(client: JsonClient, library_dir: Path) -> None:
    answer = client.upload("/api/ingest?wait=true", "empty.txt", b"")
    assert answer.status == 422
    assert "empty" in answer.json["detail"].lower() and answer.json["status"] == "failed"
    job = client.get(f"/api/ingest/{answer.json['job_id']}").json
    assert job["status"] == job["stage"] == "failed" and job["error"] == answer.json["detail"]
    assert job["finished_at"]
    assert client.get(f"/api/books/{job['book_id']}").status == 404
    assert uploads(library_dir) == []


def test_many_uploads_at_once(start_tomehub: Callable[..., Server], library_dir: Path) -> None:
    server = start_tomehub(INGEST_WORKERS=3)

    def send(number: int) -> Answer:
        with JsonClient(server.port, timeout=120) as client:
            text = "\n\n".join(f"Upload {number} line {line}." for line in range(200))
            return client.upload("/api/ingest?wait=true", f"{number}.txt", text.encode())

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(send, range(64)))
    assert [answer.status for answer in answers] == [200] * 64
    assert len({answer.json["book_id"] for answer in answers}) == 64
    assert uploads(library_dir) == []


def test_client_that_leaves_in_mid_upload(
    client: JsonClient, raw: RawHttp, library_dir: Path
) -> None:
    body, content_type = form(('name="file"; filename="a.txt"', b"word " * 500000))
    head = (
        "POST /api/ingest HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    for leave in ("reset", "close"):
        connection = raw.connect()
        connection.send(head.encode() + body[: len(body) // 2])
        wait_until(lambda: uploads(library_dir))
        connection.reset() if leave == "reset" else connection.socket.close()
        wait_until(lambda: not uploads(library_dir))
    assert client.get("/api/ingest").json["jobs"] == []


def test_client_that_leaves_while_waiting(client: JsonClient, raw: RawHttp) -> None:
    text = "\n\n".join(f"Sentence {n} about the left document." for n in range(20000))
    body = json.dumps({"title": "Left", "text": text}).encode()
    head = (
        "POST /api/ingest?wait=true HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection = raw.connect()
    connection.send(head.encode() + body)
    wait_until(lambda: client.get("/api/ingest").json["jobs"])
    connection.reset()
    job = client.get("/api/ingest").json["jobs"][0]
    assert finished(client, job["job_id"])["status"] == "done"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Plain.txt", "Plain"),
        ("no-ending", "no-ending"),
        ("two.dots.txt", "two.dots"),
        ("  .txt", "Untitled"),
        (".hidden", ".hidden"),
        ("..", "Untitled"),
    ],
)
def test_titles_of_files_that_tell_none(client: JsonClient, name: str, title: str) -> None:
    answer = client.upload("/api/ingest?wait=true", name, b"Words without any title.")
    assert client.get(f"/api/books/{answer.json['book_id']}").json["title"] == title


def test_uploads_folder_that_is_gone(client: JsonClient, library_dir: Path) -> None:
    (library_dir / "library.db.uploads").rmdir()
    answer = client.upload("/api/ingest", "a.txt", b"Words.")
    assert answer.status == 500 and "library.db.uploads" in answer.json["detail"]
    assert client.post("/api/ingest", {"title": "T", "text": "Words."}).status == 500
    (library_dir / "library.db.uploads").mkdir()
    client.ingest_text("T", "Words.")
