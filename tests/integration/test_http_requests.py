"""The HTTP layer: what it takes, what it refuses, and how it answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import pytest

from support.http import RawHttp
from support.http_layer import chunks, counts, get, metric, post, post_chunks, wait_until
from support.server import Server

BASE = b"GET /api/health/live HTTP/1.1\r\nHost: test\r\n"

REFUSED: dict[str, tuple[bytes, int]] = {
    "length and coding": (
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "repeated length": (BASE + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    "conflicting length": (BASE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    "signed length": (BASE + b"Content-Length: +5\r\n\r\nhello", 400),
    "length list": (BASE + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    "hexadecimal length": (BASE + b"Content-Length: 0x5\r\n\r\nhello", 400),
    "unknown coding": (BASE + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "odd coding": (BASE + b"Transfer-Encoding: xchunked\r\n\r\n", 400),
    "coding twice": (
        BASE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "coding with blank in name": (BASE + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "coding on 1.0": (
        b"POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "bare LF": (b"GET /api/health/live HTTP/1.1\nHost: test\n\n", 400),
    "bare LF in the middle": (BASE + b"X-A: b\nX-B: c\r\n\r\n", 400),
    "bare CR": (BASE + b"X-A:\rzContent-Length: 5\r\n\r\n", 400),
    "NUL": (BASE + b"X-A: \0\r\n\r\n", 400),
    "folded field": (BASE + b"X-A: b\r\n c\r\n\r\n", 400),
    "blank before the colon": (BASE + b"X-A : b\r\n\r\n", 400),
    "no Host": (b"GET /api/health/live HTTP/1.1\r\n\r\n", 400),
    "Host twice": (BASE + b"Host: test\r\n\r\n", 400),
    "malformed Host": (b"GET /api/health/live HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "version 2": (b"GET /api/health/live HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "no version": (b"GET /api/health/live\r\n\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "authority-form": (b"GET test:80 HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "CONNECT": (b"CONNECT test:80 HTTP/1.1\r\nHost: test\r\n\r\n", 501),
    "asterisk with GET": (b"GET * HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "fragment": (b"GET /echo#a HTTP/1.1\r\nHost: test\r\n\r\n", 400),
    "unknown expectation": (BASE + b"Expect: something\r\n\r\n", 417),
    "long head": (BASE + b"X-A: " + b"a" * 20000 + b"\r\n\r\n", 431),
    "many fields": (BASE + b"X-A: b\r\n" * 101 + b"\r\n", 431),
    "long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "long target without end": (b"GET /" + b"a" * 20000, 414),
    "chunk size that is no number": (post_chunks("/echo", b"x\r\n\r\n"), 400),
    "chunk size too large": (post_chunks("/echo", b"fffffffffffffffff\r\n"), 400),
    "chunk ended by LF": (post_chunks("/echo", b"1\na\n0\n\n"), 400),
    "long chunk extension": (post_chunks("/echo", b"1;" + b"a" * 300 + b"\r\na\r\n"), 400),
    "malformed chunk, streamed": (post_chunks("/upload", b"3\r\nabcd\r\n"), 400),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("split", [False, True], ids=["whole", "in two"])
def test_ambiguous_requests_are_refused_and_the_connection_ends(
    http_raw: RawHttp, name: str, split: bool
) -> None:
    request, status = REFUSED[name]
    cut = len(request) // 2 if split else 0
    with http_raw.connect() as connection:
        connection.send(request[:cut])
        connection.send(request[cut:] + get("/items/1/smuggled"))
        answer = connection.read_answer()
        assert answer.status == status
        assert answer.headers["connection"] == "close"
        assert b"smuggled" not in connection.read_to_end()
    assert answer.headers["content-type"] == "application/json"
    body = answer.json
    assert body["error"] and body["detail"] and body["request_id"]
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "target",
    [
        b"/echo?q=%zz",
        b"/echo?q=%4",
        b"/echo?q=%00",
        b"/%00",
        b"/echo?q=%ff",
        b"/echo?q=\xff",
        b"/%c0%af",
    ],
)
def test_malformed_urls_are_refused(http_raw: RawHttp, target: bytes) -> None:
    with http_raw.connect() as connection:
        connection.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n" + get("/echo?q=1"))
        assert connection.read_answer().status == 400
        assert connection.read_answer().json["q"] == "1"


def test_a_bare_cr_at_a_read_boundary_does_not_make_a_field(http_raw: RawHttp) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nX-A:\rzContent-Length: 5\r\n\r\nhello"
    for cut in range(1, len(head)):
        answer = http_raw.answer(head[:cut], head[cut:])
        assert answer.status == 400, cut


def test_refusals_are_counted(http_server: Server) -> None:
    name = 'http_requests_refused_total{reason="bare_lf"}'
    before = metric(http_server, name)
    RawHttp(http_server.port).answer(b"GET / HTTP/1.1\n")
    assert metric(http_server, name) == before + 1


def test_a_request_is_understood_however_it_is_cut(http_raw: RawHttp) -> None:
    request = post("/echo?q=a", b"hello", "X-Test: x")
    for cut in range(1, len(request)):
        answer = http_raw.answer(request[:cut], request[cut:])
        assert answer.json["body"] == "hello", cut


def test_request_byte_by_byte(http_raw: RawHttp) -> None:
    request = post_chunks("/echo", chunks(b"hel", b"lo"))
    answer = http_raw.answer(*(request[i : i + 1] for i in range(len(request))))
    assert answer.json["body"] == "hello"


def test_forms_of_targets(http_raw: RawHttp) -> None:
    absolute = b"GET http://other:81/echo?q=1 HTTP/1.1\r\nHost: test\r\n\r\n"
    answer = http_raw.answer(absolute)
    assert (answer.json["path"], answer.json["q"]) == ("/echo", "1")
    assert answer.json["host"] == "other:81"
    options = http_raw.answer(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
    assert options.status == 204
    assert "GET" in options.headers["allow"]


def test_queries_and_parameters_are_decoded(http_raw: RawHttp) -> None:
    assert http_raw.answer(get("/echo?x=1&q=a+b%2Bc%26&q=2")).json["q"] == "a b+c&"
    assert http_raw.answer(get("/echo?q=\xc4\xb1")).json["q"] == "ı"
    assert http_raw.answer(get("/echo")).json.get("q") is None
    assert http_raw.answer(get("/items/7/a%20b+c")).text == "a b+c"
    for number in ("0", "1001", "-1", "+1", "1.5", "x", "9" * 1000, "%31x", ""):
        assert http_raw.answer(get(f"/items/{number}/x")).status in (404, 422), number
    assert http_raw.answer(get("/items/%31/x")).status == 200


def test_fields_of_one_name_are_joined(http_raw: RawHttp) -> None:
    answer = http_raw.answer(get("/echo", "X-Test: a", "x-test:b", "X-TEST:  c\t"))
    assert answer.json["x"] == "a, b, c"


def test_what_is_not_routed(http_raw: RawHttp) -> None:
    missing = http_raw.answer(get("/nowhere"))
    assert missing.status == 404
    with http_raw.connect() as connection:
        connection.send(b"DELETE /echo HTTP/1.1\r\nHost: test\r\n\r\n")
        answer = connection.read_answer()
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"
        connection.send(b"OPTIONS /echo HTTP/1.1\r\nHost: test\r\n\r\n")
        answer = connection.read_answer()
        assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")
        connection.send(b"BREW /echo HTTP/1.1\r\nHost: test\r\n\r\n")
        assert connection.read_answer().status == 501


def test_head_is_get_without_the_body(http_raw: RawHttp) -> None:
    with http_raw.connect() as connection:
        for path in ("/api/health/live", "/stream?bytes=100000", "/nowhere", "/body?bytes=5000"):
            connection.send(get(path).replace(b"GET", b"HEAD", 1))
            head = connection.read_answer(to_head=True)
            connection.send(get(path))
            whole = connection.read_answer()
            assert head.status == whole.status
            assert head.headers.get("content-length") == whole.headers.get("content-length")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(http_raw: RawHttp, status: int) -> None:
    with http_raw.connect() as connection:
        connection.send(get(f"/status?code={status}") + get("/api/health/live"))
        answer = connection.read_answer()
        assert answer.status == status
        assert "content-length" not in answer.headers
        assert connection.read_answer().json == {"status": "ok"}


def test_fields_of_every_answer(http_raw: RawHttp) -> None:
    answer = http_raw.answer(get("/status"))
    assert re.fullmatch(r"\d+\.\d{6}", answer.headers["x-response-time"])
    assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])
    assert answer.headers["x-extra"] == "1"
    assert parsedate_to_datetime(answer.headers["date"]).tzinfo is not None
    slow = http_raw.answer(get("/wait?ms=50"))
    assert 0.05 <= float(slow.headers["x-response-time"]) < 5


def test_request_ids(http_raw: RawHttp) -> None:
    taken = http_raw.answer(get("/nowhere", "X-Request-ID: Job-7._x"))
    assert taken.headers["x-request-id"] == "Job-7._x"
    assert taken.json["request_id"] == "Job-7._x"
    for unfit in ("a b", "a" * 65, "<x>", "", "é"):
        answer = http_raw.answer(get("/nowhere", f"X-Request-ID: {unfit}"))
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"]), unfit
    ids = [http_raw.answer(get("/status")).headers["x-request-id"] for _ in range(20)]
    assert len(set(ids)) == len(ids)


def test_keep_alive_by_version_and_field(http_raw: RawHttp) -> None:
    live = "/api/health/live"
    assert b"Connection: close" in http_raw.exchange(get(live, "Connection: close"))
    old = http_raw.exchange(get(live, version="1.0"))
    assert b"Connection: close" in old and old.startswith(b"HTTP/1.1 200")
    with http_raw.connect() as connection:
        for _ in range(3):
            connection.send(get(live, "Connection: keep-alive", version="1.0"))
            assert connection.read_answer().headers["connection"] == "keep-alive"
    with http_raw.connect() as connection:
        for _ in range(3):
            connection.send(get(live))
            assert "connection" not in connection.read_answer().headers


def test_http_1_0_without_host_is_served(http_raw: RawHttp) -> None:
    assert b"200 OK" in http_raw.exchange(b"GET /api/health/live HTTP/1.0\r\n\r\n")


def test_http_1_0_streams_end_with_the_connection(http_raw: RawHttp) -> None:
    data = http_raw.exchange(get("/stream?bytes=300000", "Connection: keep-alive", version="1.0"))
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert b"Connection: close" in head
    assert body == b"x" * 300000


def test_pipelined_requests_are_answered_in_order(http_raw: RawHttp) -> None:
    paths = ["/wait?ms=80", "/echo?q=1", "/wait?ms=10", "/stream?bytes=70000", "/echo?q=2"] * 5
    with http_raw.connect() as connection:
        connection.send(b"".join(get(path) for path in paths))
        for path in paths:
            answer = connection.read_answer()
            if path.startswith("/echo"):
                assert answer.json["q"] == path[-1]
            else:
                assert answer.body in (b"waited", b"x" * 70000)


def test_more_pipelined_requests_than_the_buffer_holds(http_raw: RawHttp) -> None:
    with http_raw.connect() as connection:
        connection.send(get("/wait?ms=200"))
        for number in range(600):
            connection.send(get(f"/echo?q={number}", "X-Test: " + "x" * 100))
        assert connection.read_answer().body == b"waited"
        for number in range(600):
            assert connection.read_answer().json["q"] == str(number)


def test_pipelined_bodies(http_raw: RawHttp) -> None:
    with http_raw.connect() as connection:
        requests = [
            post("/size", b"a" * 5),
            post("/size", b"b" * 60000),
            post_chunks("/size", chunks(b"c" * 30000, b"d")),
            post("/upload", b"e" * 50000),
            post_chunks("/upload", chunks(b"f", b"g" * 40000)),
            post("/nowhere", b"h" * 10),
            get("/echo?q=last"),
        ]
        connection.send(b"".join(requests))
        sizes = [connection.read_answer().text for _ in range(5)]
        assert sizes == ["5", "60000", "30001", "50000", "40001"]
        assert connection.read_answer().status == 404
        assert connection.read_answer().json["q"] == "last"


def test_counts_of_handlers_start_at_zero(http_server: Server) -> None:
    assert counts(http_server) == {"waiting": 0, "canceled": 0, "streamed": 0}


def test_handlers_that_give_no_answer(http_server: Server) -> None:
    raw = RawHttp(http_server.port)
    assert raw.answer(get("/nothing")).status == 500
    failure = raw.answer(get("/failure"))
    assert failure.status == 500
    assert "input/output" not in failure.text
    assert "a handler gave no answer" in http_server.log()
    late = raw.answer(get("/short?ms=5000"))
    assert late.status == 503
    assert int(late.headers["retry-after"]) > 0
    assert 0.2 <= float(late.headers["x-response-time"]) < 2


def test_requests_are_counted_by_route_pattern(http_server: Server) -> None:
    raw = RawHttp(http_server.port)
    for number in range(5):
        raw.answer(get(f"/items/{number + 1}/x"))
    raw.answer(get("/secret-path"))
    # An answer is counted after it was sent, perhaps on another loop than the one asked here.
    wait_until(lambda: 'endpoint="unmatched",status="404"' in raw.answer(get("/metrics")).text)
    text = raw.answer(get("/metrics")).text
    labels = 'method="GET",endpoint="/items/{id}/{name}",status="200"'
    assert f"api_requests_total{{{labels}}} 5" in text
    assert "secret-path" not in text
    assert 'api_request_duration_seconds_count{endpoint="/items/{id}/{name}"} 5' in text


def test_access_log(start_http: Callable[..., Server]) -> None:
    server = start_http(ACCESS_LOG=1)
    RawHttp(server.port).answer(get("/echo?q=private", "X-Request-ID: the-id"))
    line = server.wait_log(r"access: .*the-id.*").group()
    assert "/echo" in line and "private" not in line and " 200 " in line


def test_json_of_errors_is_json_whatever_the_path(http_raw: RawHttp) -> None:
    answer = http_raw.answer(get('/"\\<>{}'))
    assert answer.status == 404
    json.loads(answer.body)
