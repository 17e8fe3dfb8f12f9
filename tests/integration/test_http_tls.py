"""The HTTP layer under TLS: the same bytes as without, and peers that break the handshake."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from support.http import Answer, RawConnection, RawHttp
from support.http_layer import chunks, get, has_plain_memory, post, post_chunks, wait_until
from support.server import Server
from support.tls import Authority, Certificate, TlsConnection, receive_buffer

Start = Callable[..., Server]


@pytest.fixture
def start(start_http: Start, authority: Authority, certificate: Certificate) -> Start:
    """Starts the test server under TLS."""

    def start_tls(**settings: object) -> Server:
        files = {"TLS_CERT": certificate.cert, "TLS_KEY": certificate.key}
        return start_http(tls_ca=authority.ca, **files, **settings)

    return start_tls


@pytest.fixture
def server(start: Start) -> Server:
    return start()


@pytest.fixture
def context(authority: Authority) -> ssl.SSLContext:
    return authority.context()


def ask(server: Server, context: ssl.SSLContext, *pieces: bytes) -> Answer:
    with TlsConnection(server.port, context) as connection:
        for piece in pieces:
            connection.send(piece)
        return connection.read_answer()


def metric(server: Server, context: ssl.SSLContext, name: str) -> float:
    for line in ask(server, context, get("/metrics")).text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no metric {name}")


def handshakes(server: Server, context: ssl.SSLContext, how: str) -> float:
    return metric(server, context, f'http_tls_handshakes_total{{result="{how}"}}')


def wait_connections(server: Server, context: ssl.SSLContext, count: int) -> None:
    """Until so many are open, that of the one who asks included."""
    wait_until(lambda: metric(server, context, "http_connections_open") == count, 20)


def client_hello(context: ssl.SSLContext) -> bytes:
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


# ---- What clients want


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_and_resumption(
    server: Server, context: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with TlsConnection(server.port, context) as first:
        for number in range(3):
            first.send(post("/echo", b"body %d" % number))
            assert first.read_answer().json["body"] == f"body {number}"
        assert first.tls.selected_alpn_protocol() == "http/1.1"
        assert first.tls.version() == version.name.replace("_", ".")
        cipher = first.tls.cipher()
        assert cipher and ("GCM" in cipher[0] or "CHACHA20" in cipher[0])
        session = first.tls.session
    with TlsConnection(server.port, context, session=session) as second:
        assert second.tls.session_reused
        second.send(get("/api/health/live"))
        assert second.read_answer().status == 200
    assert handshakes(server, context, "resumed") == 1


def test_pipelined_and_cut_anywhere(server: Server, context: ssl.SSLContext) -> None:
    requests = b"".join(post("/echo", b"%d" % number * 50) for number in range(20))
    with TlsConnection(server.port, context) as connection:
        for at in range(0, len(requests), 37):  # each piece a record of its own
            connection.send(requests[at : at + 37])
        bodies = [connection.read_answer().json["body"] for _ in range(20)]
    assert bodies == [str(number) * 50 for number in range(20)]


def test_bodies_both_ways(server: Server, context: ssl.SSLContext) -> None:
    sent = bytes(range(256)) * 8_000
    with TlsConnection(server.port, context) as connection:
        connection.send(post("/upload?pause=1", sent))  # not beside the reading: ssl has no lock
        assert connection.read_answer().body == b"%d" % len(sent)
        connection.send(post_chunks("/upload", chunks(sent[:70_000], sent[:5])))
        assert connection.read_answer().body == b"70005"
        connection.send(post("/size", sent))
        assert connection.read_answer().body == b"%d" % len(sent)
        for path in ("/stream?bytes=2000000&piece=70001", "/body?bytes=2000000"):
            connection.send(get(path))
            body = connection.read_answer().body
            assert len(body) == 2_000_000 and set(body) <= {ord("x"), ord("y")}


def test_large_ones_by_curl(server: Server, authority: Authority, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 200_000)
    curl = ["curl", "--silent", "--show-error", "--fail", "--cacert", str(authority.ca)]
    url = f"https://localhost:{server.port}"
    sent = ["--data-binary", f"@{large}", f"{url}/upload"]
    assert subprocess.check_output([*curl, *sent]) == b"51200000"
    for path in ("/stream?bytes=51200000&piece=70001", "/body?bytes=51200000"):
        body = subprocess.check_output([*curl, url + path])
        assert len(body) == 51_200_000 and not body.strip(b"xy")


def test_close_is_told(server: Server, context: ssl.SSLContext) -> None:
    """Without close_notify, reading on would raise: nothing told the end from a cut."""
    with TlsConnection(server.port, context) as connection:
        connection.send(get("/body?bytes=3000000", "Connection: close"))
        assert len(connection.read_answer().body) == 3_000_000
        assert connection.read_some() == b""
    with TlsConnection(server.port, context) as connection:  # an end after lingering
        connection.send(post("/unread", b"x" * 100_000)[:60_000])
        assert connection.read_answer().status == 422
        assert connection.read_some() == b""
    with TlsConnection(server.port, context) as connection:  # a cut one is not told
        connection.send(get("/aborted"))
        with pytest.raises((ConnectionError, ssl.SSLError)):
            connection.read_answer()
            connection.read_answer()


def test_common_clients(server: Server, authority: Authority, tmp_path: Path) -> None:
    curl = ["curl", "--silent", "--show-error", "--cacert", str(authority.ca)]
    url = f"https://localhost:{server.port}"
    answer = subprocess.check_output([*curl, f"{url}/echo?q=a", f"{url}/echo?q=b"])
    assert [json.loads(part + b"}")["q"] for part in answer.split(b"}")[:2]] == ["a", "b"]
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"localhost:{server.port}", "-CAfile", authority.ca],
        input=b"",
        capture_output=True,
        check=True,
        cwd=tmp_path,
    ).stdout
    assert b"Verification: OK" in shown and b"TLSv1.3" in shown


# ---- Slow ones


def test_slow_reader_is_bounded(start: Start, context: ssl.SSLContext) -> None:
    server = start(WRITE_TIMEOUT=60000)
    before = server.rss_bytes()
    readers = [receive_buffer(server.port, context, 4096) for _ in range(20)]
    try:
        for reader in readers:
            reader.sendall(get("/stream?bytes=50000000&piece=50000"))
            assert reader.recv(1)

        def streamed() -> int:
            return int(ask(server, context, get("/counts")).json["streamed"])

        last = -1
        while last != (last := streamed()):
            threading.Event().wait(0.2)
        # What a stream may have ahead: 256 KiB, what is encrypted, and the kernel's buffers.
        assert last < len(readers) * 4_000_000
        if has_plain_memory(server):
            assert server.rss_bytes() - before < len(readers) * 1_500_000
    finally:
        for reader in readers:
            reader.close()
    wait_connections(server, context, 1)


def test_reader_without_progress_is_cut(start: Start, context: ssl.SSLContext) -> None:
    server = start(WRITE_TIMEOUT=300)
    with receive_buffer(server.port, context, 4096) as reader:
        reader.sendall(get("/stream?bytes=50000000&piece=50000"))
        name = 'http_connection_timeouts_total{waiting_for="reader"}'
        wait_until(lambda: metric(server, context, name) == 1, 20)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_slow_handshake_ends_at_the_heads_deadline(
    start: Start, context: ssl.SSLContext, share: float
) -> None:
    server = start(HEAD_TIMEOUT=300)
    hello = client_hello(context)
    with RawConnection(server.port) as connection:
        connection.send(hello[: int(len(hello) * share)])
        connection.read_to_end()
    assert handshakes(server, context, "too_slow") == 1


# ---- Hostile ones


def test_plain_http_is_told(server: Server, context: ssl.SSLContext) -> None:
    answer = RawHttp(server.port).answer(get("/"))
    assert answer.status == 400 and "https://" in answer.json["detail"]
    body = RawHttp(server.port).answer(post("/upload", b"x" * 500_000))
    assert body.status == 400
    assert handshakes(server, context, "plain_http") == 2


def test_tls_on_a_plain_port_is_closed(http_server: Server, context: ssl.SSLContext) -> None:
    for cut in (3, 100, None):
        with RawConnection(http_server.port) as connection:
            connection.send(client_hello(context)[:cut])
            assert connection.read_to_end() == b""
    http_server.wait_log("TLS_CERT_FILE")


def test_garbage(server: Server, context: ssl.SSLContext) -> None:
    hello = client_hello(context)
    damaged = bytearray(hello)
    damaged[40:60] = bytes(20)
    damaged[5] = 77
    for garbage in (
        bytes(range(256)),
        b"\x16\x03\x01\xff\xff" + bytes(20_000),
        b"\x16\x03\x01\x00\x00" * 5_000,
        bytes(damaged),
        hello + b"\x17\x03\x03\x00\x05hello",
        b"get / HTTP/1.1\r\n\r\n",
    ):
        with RawConnection(server.port) as connection:
            connection.send(garbage)
            connection.end_sending()
            assert b"HTTP" not in connection.read_to_end()
    assert handshakes(server, context, "refused") + handshakes(server, context, "abandoned") == 6
    server.wait_log("a TLS handshake with 127.0.0.1 failed: ")
    assert server.log().count("a TLS handshake with") <= 2  # one a loop in ten seconds
    wait_connections(server, context, 1)


def test_damaged_record_after_the_handshake(server: Server, context: ssl.SSLContext) -> None:
    with TlsConnection(server.port, context) as connection:
        connection.send(get("/api/health/live"))
        assert connection.read_answer().status == 200
        socket.socket.sendall(connection.tls, b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError, match="(?i)bad.record.mac"):
            connection.read_some()


def test_weak_ones_are_refused(server: Server, authority: Authority) -> None:
    old = authority.context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    weak = authority.context()
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("AES128-SHA:ECDHE-ECDSA-AES128-SHA")
    stranger = authority.context()
    stranger.set_alpn_protocols(["h2"])
    for context in (old, weak, stranger):
        with pytest.raises(ssl.SSLError):
            TlsConnection(server.port, context).read_some()
    assert handshakes(server, authority.context(), "refused") == 3


def test_renegotiation_is_refused(server: Server, authority: Authority) -> None:
    process = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-connect", f"localhost:{server.port}"],
        input=b"R\n",
        capture_output=True,
        timeout=20,
    )
    assert b"no renegotiation" in process.stderr
    assert ask(server, authority.context(), get("/api/health/live")).status == 200


def test_handshakes_cut_off_midway(server: Server, context: ssl.SSLContext) -> None:
    hello = client_hello(context)
    held = []
    for number in range(200):
        connection = RawConnection(server.port)
        connection.send(hello[: number * 4] if number % 3 else hello)
        if number % 2:
            linger = struct.pack("ii", 1, 0)
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        held.append(connection)
    for connection in held:
        connection.socket.close()
    wait_connections(server, context, 1)
    assert handshakes(server, context, "abandoned") == 200


def test_drain_waits_for_answers(server: Server, context: ssl.SSLContext) -> None:
    with TlsConnection(server.port, context) as waiting, TlsConnection(
        server.port, context
    ) as idle:
        idle.send(get("/api/health/live"))
        assert idle.read_answer().status == 200
        waiting.send(get("/wait?ms=500"))
        wait_until(lambda: b'"waiting":1' in ask(server, context, get("/counts")).body)
        server.terminate()
        assert idle.read_some() == b""
        answer = waiting.read_answer()
        assert answer.status == 200 and answer.headers["connection"] == "close"
    assert server.wait_exit() == 0
