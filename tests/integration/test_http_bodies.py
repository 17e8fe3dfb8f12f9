"""The HTTP layer: request bodies, whole, streamed and as forms."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from support.http import RawHttp, multipart
from support.http_layer import (
    chunks,
    counts,
    get,
    has_plain_memory,
    post,
    post_chunks,
    wait_until,
)
from support.server import Server

MEGABYTE = 1 << 20
FIRST_USE = 2  # descriptors that each of two loops opens with its first connection and keeps


@pytest.mark.parametrize("path", ["/size", "/upload"])
@pytest.mark.parametrize("size", [0, 1, 4095, 16384, 20480, 70000, 3 * MEGABYTE])
def test_bodies_arrive_whole(http_raw: RawHttp, path: str, size: int) -> None:
    body = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    body = body[:size]
    assert http_raw.answer(post(path, body)).text == str(size)
    pieces = [body[i : i + 7777] for i in range(0, size, 7777)]
    assert http_raw.answer(post_chunks(path, chunks(*pieces))).text == str(size)


def test_a_body_is_what_was_sent(http_raw: RawHttp) -> None:
    text = "".join(chr(33 + i % 90) for i in range(60000))
    answer = http_raw.answer(post("/echo", text.encode()))
    assert answer.json["body"] == text
    coded = chunks(*(text[i : i + 999].encode() for i in range(0, len(text), 999)))
    assert http_raw.answer(post_chunks("/echo", coded)).json["body"] == text


@pytest.mark.parametrize("path", ["/echo", "/empty"])
def test_a_declared_oversize_body_is_refused_unread(http_raw: RawHttp, path: str) -> None:
    size = 100001 if path == "/echo" else 1
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
    answer = http_raw.answer(head.encode())
    assert answer.status == 413
    assert answer.headers["connection"] == "close"


def test_a_length_beyond_all_numbers_is_refused(http_raw: RawHttp) -> None:
    head = f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {'9' * 400}\r\n\r\n"
    assert http_raw.answer(head.encode()).status == 413


@pytest.mark.parametrize("path", ["/echo", "/empty"])
def test_a_chunked_oversize_body_is_refused_as_it_grows(http_raw: RawHttp, path: str) -> None:
    with http_raw.connect() as connection:
        connection.send(post_chunks(path, b"", "X-A: b"))
        piece = b"2000\r\n" + b"x" * 8192 + b"\r\n"
        for _ in range(100000 // 8192 + 1):
            connection.send(piece)
        answer = connection.read_answer()
        assert answer.status == 413
        assert answer.headers["connection"] == "close"


def test_a_client_that_goes_on_sending_still_sees_the_refusal(http_raw: RawHttp) -> None:
    body = b"x" * (20 * MEGABYTE)
    for path in ("/echo", "/unread", "/nowhere"):
        with http_raw.connect() as connection:
            connection.send(post(path, body))  # blocks until the server has drained it
            assert connection.read_answer().status in (413, 422, 404)
            assert connection.read_to_end() == b""


def test_a_small_unread_body_does_not_end_the_connection(http_raw: RawHttp) -> None:
    with http_raw.connect() as connection:
        connection.send(post("/unread", b"abc") + post_chunks("/unread", chunks(b"abc", b"d")))
        assert connection.read_answer().status == 422
        assert connection.read_answer().status == 422
        connection.send(get("/echo?q=1"))
        assert connection.read_answer().json["q"] == "1"


@pytest.mark.parametrize("path", ["/size", "/upload"])
def test_100_continue(http_raw: RawHttp, path: str) -> None:
    with http_raw.connect() as connection:
        connection.send(post(path, b"", "Expect: 100-continue").replace(b": 0", b": 5", 1))
        assert connection.read_answer().status == 100
        connection.send(b"hello")
        assert connection.read_answer().text == "5"
        connection.send(post(path, b"hello", "Expect: 100-continue"))
        assert connection.read_answer().text == "5"


def test_no_100_continue_before_a_refusal(http_raw: RawHttp) -> None:
    for path, status in (("/empty", 413), ("/unread", 422), ("/nowhere", 404)):
        with http_raw.connect() as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            connection.send(head.encode() + b"Expect: 100-continue\r\n\r\n")
            answer = connection.read_answer()
            assert (answer.status, answer.headers["connection"]) == (status, "close")


def test_reading_stops_while_the_handler_does_not_read(http_server: Server) -> None:
    raw = RawHttp(http_server.port)
    before = http_server.rss_bytes()
    with raw.connect(timeout=0.5) as connection:
        connection.send(post_chunks("/upload?pause=200", b""))
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 100 * MEGABYTE:
                connection.send(piece)
                sent += len(piece)
        assert sent < 30 * MEGABYTE  # the kernel's buffers, not ours
    if has_plain_memory(http_server):
        assert http_server.rss_bytes() - before < 2 * MEGABYTE
    http_server.kill()  # the handler would take long to read what the kernel holds


def test_a_client_that_leaves_in_mid_upload(http_server: Server) -> None:
    raw = RawHttp(http_server.port)
    for leave in ("close", "reset"):
        canceled = counts(http_server)["canceled"]
        connection = raw.connect()
        connection.send(post("/upload", b"x" * 1000).replace(b": 1000", b": 2000", 1))
        if leave == "close":
            connection.socket.close()
        else:
            connection.reset()
        wait_until(lambda: counts(http_server)["canceled"] == canceled + 1)


def test_a_client_that_leaves_before_a_whole_body(http_server: Server) -> None:
    raw = RawHttp(http_server.port)
    before = http_server.open_files() + FIRST_USE
    for _ in range(20):
        connection = raw.connect()
        connection.send(post("/size", b"x" * 1000).replace(b": 1000", b": 2000", 1))
        connection.socket.close()
    wait_until(lambda: http_server.open_files() <= before)


@pytest.mark.parametrize("path", ["/size", "/upload"])
def test_a_dripping_body_is_ended(start_http: Callable[..., Server], path: str) -> None:
    server = start_http(BODY_GRACE=300, BODY_RATE=1000)
    with RawHttp(server.port).connect() as connection:
        connection.send(post(path, b"").replace(b": 0", b": 5000", 1))
        connection.socket.settimeout(0.05)
        start = time.monotonic()
        answer = b""
        while not answer and time.monotonic() - start < 60:
            connection.send(b"x")
            try:
                answer = connection.read_some()
            except TimeoutError:
                continue
        assert b" 408 " in answer.split(b"\r\n")[0]


@pytest.mark.alone
def test_a_slow_but_sufficient_body_is_taken(start_http: Callable[..., Server]) -> None:
    server = start_http(BODY_GRACE=200, BODY_RATE=1000)
    with RawHttp(server.port).connect() as connection:
        connection.send(post("/size", b"").replace(b": 0", b": 15000", 1))
        for _ in range(15):
            connection.send(b"x" * 1000)
            time.sleep(0.15)
        assert connection.read_answer().text == "15000"


def test_forms(http_raw: RawHttp) -> None:
    body, content_type = multipart("a book.epub", b"\r\n--x" * 50000, {"title": "T", "tags": "a,b"})
    answer = http_raw.answer(post("/form", body, f"Content-Type: {content_type}"))
    assert answer.text == f"title||1\ntags||3\nfile|a book.epub|{5 * 50000}\n"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=a", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"a" * 10000, 413),
    ],
)
def test_malformed_forms(http_raw: RawHttp, content_type: str, body: bytes, status: int) -> None:
    answer = http_raw.answer(post("/form", body, f"Content-Type: {content_type}"))
    assert answer.status == status
    assert answer.json["detail"]


def test_bytes_of_a_form_that_come_one_at_a_time(http_raw: RawHttp) -> None:
    body, content_type = multipart("a", b"content", {})
    request = post("/form", body, f"Content-Type: {content_type}")
    answer = http_raw.answer(*(request[i : i + 1] for i in range(len(request))))
    assert answer.text == "file|a|7\n"


def test_uploads_that_were_given_up_leave_no_descriptor(http_server: Server) -> None:
    before = http_server.open_files() + FIRST_USE
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", http_server.port)) as connection:
            connection.sendall(post("/upload", b"x" * 100).replace(b": 100", b": 200", 1))
    wait_until(lambda: http_server.open_files() <= before)
