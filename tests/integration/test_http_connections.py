"""The HTTP layer: deadlines, slow and leaving clients, limits, drain."""

from __future__ import annotations

import http.client
import re
import resource
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.http import RawConnection, RawHttp
from support.http_layer import counts, get, has_plain_memory, metric, wait_until
from support.process import run_command
from support.server import Server

MEGABYTE = 1 << 20
HANDLER_SECONDS = 20  # what a handler takes whose client leaves: nobody waits for its end


def seconds_until_closed(connection: RawConnection) -> float:
    start = time.monotonic()
    connection.read_to_end()
    return time.monotonic() - start


# ---- Accepting ----


def served_by_loop(port: int, connections: int) -> dict[bytes, int]:
    """Of connections that come one by one, each of which asks something."""
    served: dict[bytes, int] = {}
    with ExitStack() as stack:
        for _ in range(connections):
            connection = stack.enter_context(RawHttp(port).connect())
            connection.send(get("/loop"))
            loop = connection.read_answer().body
            served[loop] = served.get(loop, 0) + 1
    return served


@pytest.mark.parametrize("loops", [2, 3])
def test_loops_share_connections_that_come_one_by_one(
    start_http: Callable[..., Server], loops: int
) -> None:
    """Also where the loop that served the last one is awake, and so the first to see the next. A
    loop that the machine keeps from running for a moment gets fewer: then it is tried again."""
    each = 30
    served: dict[bytes, int] = {}
    for _ in range(5):
        served = served_by_loop(start_http(LOOPS=loops).port, each * loops)
        if len(served) == loops and max(served.values()) <= each * 6 / 5:
            return
    raise AssertionError(served)


# ---- Deadlines ----


def test_a_silent_client_is_closed(start_http: Callable[..., Server]) -> None:
    server = start_http(HEAD_TIMEOUT=300)
    with RawHttp(server.port).connect() as connection:
        assert seconds_until_closed(connection) > 0.2
    assert metric(server, 'http_connection_timeouts_total{waiting_for="head"}') == 1


def test_a_dripping_head_does_not_push_its_deadline(start_http: Callable[..., Server]) -> None:
    server = start_http(HEAD_TIMEOUT=400)
    with RawHttp(server.port).connect(timeout=0.05) as connection:
        start = time.monotonic()
        answer = b""
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ")
        while not answer and time.monotonic() - start < 60:
            connection.send(b"a")
            try:
                answer = connection.read_some()
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answer
        assert time.monotonic() - start > 0.3


def test_an_idle_client_is_closed(start_http: Callable[..., Server]) -> None:
    server = start_http(IDLE_TIMEOUT=2000)
    with RawHttp(server.port).connect() as connection:
        for _ in range(3):
            connection.send(get("/api/health/live"))
            assert connection.read_answer().status == 200
            time.sleep(0.8)  # all three are longer than the time-out
        assert connection.read_to_end() == b""


def test_the_second_request_has_a_deadline_of_its_own(start_http: Callable[..., Server]) -> None:
    server = start_http(HEAD_TIMEOUT=1000)
    with RawHttp(server.port).connect() as connection:
        connection.send(get("/wait?ms=1200"))
        assert connection.read_answer().status == 200
        connection.send(b"GET / HT")
        start = time.monotonic()
        assert connection.read_answer().status == 408
        assert time.monotonic() - start > 0.5


# ---- Slow readers ----


def test_a_stalled_reader_stops_production_and_resumes(http_server: Server) -> None:
    size = 60 * MEGABYTE
    before = http_server.rss_bytes()
    with RawHttp(http_server.port).connect() as connection:
        connection.send(get(f"/stream?bytes={size}&piece=5000", "Connection: close"))
        last = -1
        while (streamed := counts(http_server)["streamed"]) != last:
            last = streamed
            time.sleep(0.1)
        kernel = 12 * MEGABYTE  # what its two socket buffers may hold
        assert last < kernel
        if has_plain_memory(http_server):
            assert http_server.rss_bytes() - before < 2 * MEGABYTE
        got = 0
        while more := connection.read_some():
            got += more.count(b"x")
    assert size <= got <= size + 10  # and those in the head
    assert counts(http_server)["streamed"] == size


def test_a_reader_that_never_reads_is_closed(start_http: Callable[..., Server]) -> None:
    server = start_http(WRITE_TIMEOUT=400)
    for path in (f"/stream?bytes={80 * MEGABYTE}", f"/body?bytes={30 * MEGABYTE}"):
        name = 'http_connection_timeouts_total{waiting_for="reader"}'
        before = metric(server, name)
        with RawHttp(server.port).connect() as connection:
            connection.send(get(path))
            wait_until(lambda: metric(server, name) == before + 1)
            with pytest.raises(ConnectionError):
                connection.read_answer()
    assert counts(server)["canceled"] == 1


@pytest.mark.alone
def test_a_slow_reader_that_reads_on_is_served(start_http: Callable[..., Server]) -> None:
    server = start_http(WRITE_TIMEOUT=500)
    size = 16 * MEGABYTE
    with RawHttp(server.port).connect() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.send(get(f"/body?bytes={size}"))
        got = 0
        start = time.monotonic()
        while time.monotonic() - start < 2:
            got += len(connection.socket.recv(100000))
            time.sleep(0.02)
        assert got < size, "too fast to tell anything"
        while got < size:
            more = len(connection.read_some())
            assert more, "closed in mid-answer"
            got += more


def slow_reader(server: Server) -> RawConnection:
    """Of whom the system takes little ahead."""
    connection = RawHttp(server.port).connect()
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return connection


def test_a_reader_that_takes_too_little_is_closed(start_http: Callable[..., Server]) -> None:
    """It never stops reading, but would take minutes for what takes others a moment."""
    server = start_http(WRITE_TIMEOUT=400, SEND_RATE=1000000)
    name = 'http_connection_timeouts_total{waiting_for="reader"}'
    with slow_reader(server) as connection:
        connection.send(get(f"/body?bytes={30 * MEGABYTE}"))

        def is_cut() -> bool:
            time.sleep(0.02)
            try:
                return connection.socket.recv(2000) == b""
            except ConnectionResetError:
                return True

        wait_until(is_cut)
    assert metric(server, name) == 1


def test_answers_that_nobody_takes_have_their_bound(start_http: Callable[..., Server]) -> None:
    """Past it the readers that have got on least lately are broken off, the others are not."""
    bound, size, count = 8 * MEGABYTE, 2 * MEGABYTE, 30
    server = start_http(UNSENT_MAXIMUM=bound, LOOPS=1)
    readers = [slow_reader(server) for _ in range(count)]
    for number, reader in enumerate(readers, 1):
        reader.send(get(f"/body?bytes={size}", "Connection: close"))
        wait_until(lambda: metric(server, 'api_requests_total{method="GET",endpoint="/body",'
                                  'status="200"}') == number)  # fmt: skip
        assert metric(server, "http_unsent_bytes") < bound + size
    dropped = int(metric(server, "http_unsent_dropped_total"))
    assert count - 6 <= dropped <= count - 3
    if has_plain_memory(server):
        assert server.peak_bytes() < 80 * MEGABYTE
    assert len(readers[-1].read_answer().body) == size
    with pytest.raises(ConnectionError):
        readers[0].read_answer()
    for reader in readers:
        reader.socket.close()
    wait_until(lambda: metric(server, "http_unsent_bytes") == 0)


def test_a_stream_has_its_request_s_deadline(start_http: Callable[..., Server]) -> None:
    server = start_http(REQUEST_TIMEOUT=300)
    with RawHttp(server.port).connect() as connection:
        connection.send(get("/events?ms=60000"))
        with pytest.raises((ConnectionError, ValueError)):
            connection.read_answer()


@pytest.mark.alone
def test_a_slow_reader_does_not_use_up_its_stream_s_time(start_http: Callable[..., Server]) -> None:
    server = start_http(REQUEST_TIMEOUT=1000)
    size = 16 * MEGABYTE
    with RawHttp(server.port).connect() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.send(get(f"/stream?bytes={size}&piece=100000"))
        start = time.monotonic()
        got = connection.socket.recv(100000).count(b"x")
        while time.monotonic() - start < 2:  # longer than the request may take
            got += connection.socket.recv(100000).count(b"x")
            time.sleep(0.05)
        assert got < size, "too fast to tell anything"
        while got < size:
            more = connection.read_some()
            assert more, "closed in mid-answer"
            got += more.count(b"x")


# ---- Leaving clients ----


@pytest.mark.parametrize("path", ["/wait?ms=20000", "/events?ms=20000"])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_leaves_cancels_its_handler(
    http_server: Server, path: str, leave: str
) -> None:
    with RawHttp(http_server.port).connect() as connection:
        connection.send(get(path))
        if path.startswith("/events"):
            connection.read_some()
        else:
            wait_until(lambda: counts(http_server)["waiting"] == 1)
        assert counts(http_server)["canceled"] == 0
        if leave == "close":
            connection.socket.close()
        else:
            connection.reset()
        took = wait_until(lambda: counts(http_server)["canceled"] == 1)
        assert took < HANDLER_SECONDS / 2
    assert metric(http_server, "http_requests_abandoned_total") == 1


def test_a_client_that_leaves_after_pipelining_is_noticed(http_server: Server) -> None:
    with RawHttp(http_server.port).connect() as connection:
        connection.send(get("/wait?ms=20000") + get("/wait?ms=20000") * 10)
        wait_until(lambda: counts(http_server)["waiting"] == 1)
        connection.socket.close()
        took = wait_until(lambda: counts(http_server)["canceled"] == 1)
        assert took < HANDLER_SECONDS / 2
    assert counts(http_server)["waiting"] == 0


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_leaves_behind_more_than_is_read_is_noticed(
    http_server: Server, leave: str
) -> None:
    with RawHttp(http_server.port).connect() as connection:
        connection.send(get("/wait?ms=20000") + get("/wait?ms=20000") * 2000)
        wait_until(lambda: counts(http_server)["waiting"] == 1)
        if leave == "close":
            connection.socket.close()
        else:
            connection.reset()
        took = wait_until(lambda: counts(http_server)["canceled"] == 1)
        assert took < HANDLER_SECONDS / 2


def test_a_client_that_only_ends_its_sending_gets_prompt_answers(http_server: Server) -> None:
    raw = RawHttp(http_server.port)
    with raw.connect() as connection:
        connection.send(get("/api/health/live") + get("/wait?ms=10") + get("/echo?q=last"))
        connection.end_sending()
        assert connection.read_answer().status == 200
        assert connection.read_answer().body == b"waited"
        assert connection.read_answer().json["q"] == "last"
        assert connection.read_to_end() == b""
    with raw.connect() as connection:
        connection.send(get("/wait?ms=20000"))
        connection.end_sending()
        assert seconds_until_closed(connection) < HANDLER_SECONDS / 2


def test_a_silent_stream_has_a_heartbeat(start_http: Callable[..., Server]) -> None:
    server = start_http(HEARTBEAT=50)
    with RawHttp(server.port).connect() as connection:
        connection.send(get("/events?ms=60000&beat=1"))
        data = b""
        while data.count(b"5\r\nbeat\n\r\n") < 3:
            data += connection.read_some()
        assert data.split(b"\r\n\r\n", 1)[1].startswith(b"6\r\nfirst\n\r\n5\r\nbeat\n")
    wait_until(lambda: counts(server)["canceled"] == 1)
    whole = RawHttp(server.port).answer(get("/events?ms=200&beat=1")).text
    assert re.fullmatch(r"first\n(beat\n)+second\n", whole)
    with RawHttp(server.port).connect() as connection:
        connection.send(get("/events?ms=200&beat=1").replace(b"GET", b"HEAD"))
        connection.send(get("/api/health/live"))
        connection.read_answer(to_head=True)
        assert connection.read_answer().status == 200  # no beat was in between


def test_no_heartbeat_comes_within_a_write(start_http: Callable[..., Server]) -> None:
    server = start_http(HEARTBEAT=10)
    size = 6 * MEGABYTE
    with slow_reader(server) as connection:
        connection.send(get(f"/stream?bytes={size}&piece=700000&beat=1", "Connection: close"))
        for _ in range(20):
            connection.pending += connection.socket.recv(50000)
            time.sleep(0.02)
        body = connection.read_answer().body
    assert body.replace(b"x", b"") == b"" and len(body) == size


def test_an_aborted_stream_is_seen_as_broken(http_raw: RawHttp) -> None:
    for version in ("1.1", "1.0"):
        with http_raw.connect() as connection:
            connection.send(get("/aborted", version=version))
            with pytest.raises((ConnectionError, ValueError)):
                connection.read_answer()
                raise ConnectionError if connection.socket.recv(1) == b"" else AssertionError


def test_events_arrive_while_the_handler_waits(http_raw: RawHttp) -> None:
    with http_raw.connect() as connection:
        connection.send(get("/events?ms=20000"))
        start = time.monotonic()
        data = b""
        while b"first\n" not in data:
            data += connection.read_some()
        assert time.monotonic() - start < HANDLER_SECONDS / 2


# ---- Limits ----


def test_connections_past_the_limit_get_503(start_http: Callable[..., Server]) -> None:
    server = start_http(CONNECTIONS_MAXIMUM=20)
    raw = RawHttp(server.port)
    held = [raw.connect()]

    def says(connection: RawConnection, path: str, text: str) -> bool:
        connection.send(get(path))
        return text in connection.read_answer().text

    # The probe that saw the server ready has gone.
    wait_until(lambda: says(held[0], "/metrics", "\nhttp_connections_open 1\n"))
    held += [raw.connect() for _ in range(19)]
    for connection in held[1:]:
        connection.send(get("/wait?ms=60000"))
    wait_until(lambda: says(held[0], "/counts", '"waiting":19,'))
    held[0].send(get("/wait?ms=60000"))
    late = raw.connect()
    answer = late.read_answer()
    assert answer.status == 503
    assert answer.json["error"] == "Service Unavailable"
    assert answer.headers["connection"] == "close"
    assert late.read_to_end() == b""
    for connection in held:
        connection.socket.close()
    wait_until(lambda: is_served(raw))


def is_served(raw: RawHttp) -> bool:
    with raw.connect() as connection:
        connection.send(get("/api/health/live"))
        try:
            return connection.read_answer().status == 200
        except ConnectionError:
            return False


def test_at_the_limit_who_waits_longest_gives_way(start_http: Callable[..., Server]) -> None:
    """Whoever asks is served, however many are there who do not; who is being served stays."""
    server = start_http(CONNECTIONS_MAXIMUM=12, LOOPS=1)
    raw = RawHttp(server.port)
    busy = raw.connect()
    busy.send(get("/wait?ms=60000"))
    wait_until(lambda: counts(server)["waiting"] == 1)
    silent, slow, idle = raw.connect(), raw.connect(), raw.connect()
    slow.send(b"GET /api/health/live HTTP/1.1\r\nHost: ")
    idle.send(get("/api/health/live"))
    assert idle.read_answer().status == 200
    others = [raw.connect() for _ in range(8)]
    for given_way in (silent, slow, idle):
        wait_until(lambda: is_served(raw))
        assert given_way.read_to_end() == b""
        others.append(raw.connect())
    for connection in others:
        connection.socket.close()
    wait_until(lambda: is_served(raw))
    assert metric(server, "http_connections_gave_way_total") >= 3
    busy.end_sending()
    wait_until(lambda: counts(server)["canceled"] == 1)


def start_short_of_descriptors(start_http: Callable[..., Server]) -> tuple[Server, RawHttp]:
    """A server that can open ten files more."""
    server = start_http()
    limit = server.open_files() + 10
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
    return server, RawHttp(server.port)


@pytest.mark.alone
def test_running_out_of_descriptors_neither_spins_nor_stops(
    start_http: Callable[..., Server],
) -> None:
    server, raw = start_short_of_descriptors(start_http)
    held = [raw.connect() for _ in range(30)]
    for connection in held:
        connection.send(get("/wait?ms=1000", "Connection: close"))
    server.wait_log("cannot accept connections")
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as stat:
        before = sum(int(field) for field in stat.read().split()[13:15])
    time.sleep(0.5)
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as stat:
        spent = sum(int(field) for field in stat.read().split()[13:15]) - before
    assert spent < 10, "clock ticks of 10 ms in half a second"
    assert server.log().count("cannot accept connections") < 5
    assert [connection.read_answer().status for connection in held] == [200] * 30


def test_out_of_descriptors_who_asks_for_nothing_gives_way(
    start_http: Callable[..., Server],
) -> None:
    _, raw = start_short_of_descriptors(start_http)
    silent = [raw.connect() for _ in range(15)]
    with raw.connect() as connection:
        connection.send(get("/api/health/live"))
        assert connection.read_answer().status == 200
    assert silent[0].read_to_end() == b""


@pytest.mark.alone
def test_ten_thousand_idle_connections_take_little_memory(
    start_http: Callable[..., Server]
) -> None:
    count = 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 500:
        pytest.skip("the limit of open files is too low on this machine")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    try:
        server = start_http()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (count + 500, hard))
        base = server.rss_bytes()
        held = []
        for number in range(count):
            connection = socket.create_connection(("127.0.0.1", server.port))
            connection.sendall(get("/api/health/live"))
            held.append(connection)
            if number % 100 == 99:
                for waiting in held[-100:]:
                    assert waiting.recv(4096).startswith(b"HTTP/1.1 200")
        rss = server.rss_bytes()
        if has_plain_memory(server):
            assert rss < 60 * MEGABYTE
            assert (rss - base) / count < 1024
        for connection in held[::100]:
            connection.sendall(get("/api/health/live"))
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        for connection in held:
            connection.close()
        wait_until(lambda: metric(server, "http_connections_open") == 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_port_in_use_is_refused_clearly(
    http_server: Server, http_binary: Path, tmp_path: Path
) -> None:
    result = run_command(http_binary, tmp_path, (), {"PORT": str(http_server.port)})
    assert result.status == 1
    assert f"port {http_server.port} on 127.0.0.1 is in use: stop the program" in result.stderr


# ---- Leaving gracefully ----


def test_drain_finishes_what_is_in_flight(http_server: Server) -> None:
    raw = RawHttp(http_server.port)
    busy = raw.connect()
    busy.send(get("/wait?ms=3000"))
    streaming = raw.connect()
    streaming.send(get("/events?ms=500"))
    idle = raw.connect()
    idle.send(get("/api/health/live"))
    idle.read_answer()
    wait_until(lambda: counts(http_server)["waiting"] == 1)
    http_server.terminate()
    assert idle.read_to_end() == b""
    assert not select.select([busy.socket], [], [], 0)[0], "closed before the others end"
    answer = busy.read_answer()
    assert answer.body == b"waited"
    assert answer.headers["connection"] == "close"
    assert busy.read_to_end() == b""
    assert streaming.read_answer().body == b"first\nsecond\n"
    assert http_server.wait_exit() == 0
    with pytest.raises(ConnectionRefusedError):
        raw.connect()


def test_drain_ends_what_does_not_end(start_http: Callable[..., Server]) -> None:
    server = start_http(SHUTDOWN_TIMEOUT=500)
    raw = RawHttp(server.port)
    waiting, stalled = raw.connect(), raw.connect()
    waiting.send(get("/wait?ms=60000"))
    stalled.send(get("/stream?bytes=50000000&piece=50000"))
    assert stalled.read_some().startswith(b"HTTP/1.1 200")
    wait_until(lambda: counts(server)["waiting"] == 1)
    start = time.monotonic()
    server.terminate()
    answer = waiting.read_answer()
    assert answer.status == 503 and "not ready in time" in answer.text
    assert answer.headers["retry-after"] and answer.headers["connection"] == "close"
    assert server.wait_exit() == 0, "who does not read cannot hold it up"
    assert 0.4 < time.monotonic() - start < 30


@pytest.mark.alone
def test_what_waits_in_the_accept_queue_is_served(start_http: Callable[..., Server]) -> None:
    server = start_http(LOOPS=1)
    port = server.port
    raw = RawHttp(port)
    with raw.connect() as blocker:
        blocker.send(get("/spin?ms=1500"))
        time.sleep(0.1)
        waiting = [raw.connect() for _ in range(50)]
        for connection in waiting:
            connection.send(get("/api/health/live"))
        server.terminate()
        for connection in waiting:
            answer = connection.read_answer()
            assert answer.status == 200
            assert answer.headers["connection"] == "close"
        assert blocker.read_answer().status == 200
    assert server.wait_exit() == 0


class Load(threading.Thread):
    """Requests in a loop until the server closes the door; counts what was lost."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.served = 0
        self.lost: list[str] = []

    def run(self) -> None:
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", self.port), 60)
            except (ConnectionRefusedError, ConnectionResetError):
                return  # reset: it knocked between the last look at the queue and the close
            except OSError as error:
                self.lost.append(f"connect: {error}")
                return
            with connection:
                if not self.converse(connection):
                    return

    def converse(self, connection: socket.socket) -> bool:
        """Requests on one connection until the server says close; False: something was lost."""
        while True:
            readable, _, _ = select.select([connection], [], [], 0)
            if readable:
                return True  # closed while idle: no request was on its way
            try:
                connection.sendall(get("/wait?ms=3"))
                response = http.client.HTTPResponse(connection)
                response.begin()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"after {self.served}: {error!r}")
                return False
            self.served += 1
            if response.will_close:
                return True


def test_no_request_is_lost_when_leaving_under_load(http_server: Server) -> None:
    clients = [Load(http_server.port) for _ in range(20)]
    for client in clients:
        client.start()
    wait_until(lambda: sum(client.served for client in clients) > 500)
    http_server.terminate()
    for client in clients:
        client.join(90)
    assert [client.lost for client in clients if client.lost] == []
    assert http_server.wait_exit() == 0
