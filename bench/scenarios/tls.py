"""TLS beside nginx: one certificate (ECDSA P-256), TLS 1.3 with the same cipher and key exchange,
two loops or workers each, no access log; small answers have bodies of equal length.

wrk loads kept-alive connections and downloads. Handshakes come from `openssl s_time`: a connection,
an answer, the end. That costs more at the client than at the server, and both share the machine's
cores: so handshakes are told for each second of processor time that the server used. The table has
both measures of everything. What is downloaded is a stream of our HTTP layer's
(tests/integration/http_server.c) and a file of nginx's, which lies in memory.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import Bench, Row, Server, ServerOptions, Table, free_port, number, output_of, ratio
from load import allow_files, handshakes, idle_connections, wrk
from support.tls import Authority, Certificate
from usage import memory_bytes, processor_seconds

PATH = "/api/health/live"
BODY = '{"status":"ok"}\n'
CONNECTIONS, DOWNLOADS = 64, 8
DOWNLOAD_MB = 4
IDLE_CONNECTIONS = 5000
RATIO_MINIMUM = 0.9
IDLE_MAXIMUM = 1.1
WARM_UP_SECONDS = 1

NGINX_CONFIGURATION = """
daemon off; worker_processes 2; worker_rlimit_nofile 20000;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 10000; }}
http {{
    access_log off; server_tokens off; sendfile on; open_file_cache max=10;
    keepalive_requests 1000000000; keepalive_timeout 600;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {certificate.cert}; ssl_certificate_key {certificate.key};
    ssl_protocols TLSv1.3; ssl_session_cache shared:sessions:10m;
    server {{
        listen 127.0.0.1:{plain} reuseport; listen 127.0.0.1:{tls} ssl reuseport; root {folder};
        location = {path} {{ default_type application/json; return 200 '{body}'; }}
    }}
}}
"""


@dataclass(frozen=True)
class Side:
    """One port of a server, and the session of processes behind it."""

    session: int
    port: int
    download: str = ""  # a path


@dataclass(frozen=True)
class Sides:
    """Those of one kind of server."""

    plain: Side
    tls: Side
    files: Side


@dataclass(frozen=True)
class Speed:
    """Of one measurement: a second, and a second of the server's processor time."""

    rate: float
    by_processor: float


@dataclass(frozen=True)
class Measure:
    """What is counted, on which side of a server, under which load (seconds → a second)."""

    name: str
    unit: str
    side: Callable[[Sides], Side]
    load: Callable[[Side, int], float]
    by_processor: bool = False  # this is what is judged

    def row(self, speeds: Sequence[tuple[Speed, Speed]]) -> Row:
        rounds = [
            [one.by_processor if self.by_processor else one.rate for one in pair] for pair in speeds
        ]
        per = "processor second" if self.by_processor else "s"
        return ratio(f"{self.name}, {self.unit}/{per}", rounds, RATIO_MINIMUM)


def keep_asking(scheme: str) -> Callable[[Side, int], float]:
    return lambda side, seconds: wrk(
        f"{scheme}://127.0.0.1:{side.port}{PATH}", CONNECTIONS, seconds
    )


def shake(resumed: bool) -> Callable[[Side, int], float]:
    return lambda side, seconds: handshakes(side.port, PATH, seconds, resumed)


def fetch(side: Side, seconds: int) -> float:
    """Megabytes."""
    url = f"https://127.0.0.1:{side.port}{side.download}"
    return wrk(url, DOWNLOADS, seconds) * DOWNLOAD_MB


KEPT = f"GET {PATH}, {CONNECTIONS} connections"
MEASURES = (
    Measure(f"{KEPT}, TLS", "requests", lambda sides: sides.tls, keep_asking("https")),
    Measure(f"{KEPT}, plain", "requests", lambda sides: sides.plain, keep_asking("http")),
    Measure("full, with one answer", "handshakes", lambda sides: sides.tls, shake(False), True),
    Measure("resumed, with one answer", "handshakes", lambda sides: sides.tls, shake(True), True),
    Measure(f"download, {DOWNLOADS} connections, TLS", "MB", lambda sides: sides.files, fetch),
)


def run(bench: Bench) -> list[Row]:
    allow_files(IDLE_CONNECTIONS + 2000)
    authority = Authority(bench.work / "tls")
    certificate = authority.issue("server")
    rows, lines = [], []
    with our_sides(bench, authority, certificate) as ours, nginx(bench, certificate) as theirs:
        check_alike(ours, theirs, authority.context())
        rows.append(idle_memory(ours.tls, theirs.tls, authority.context()))
        for measure in MEASURES:
            speeds = compare(bench, measure, measure.side(ours), measure.side(theirs))
            rows.append(measure.row(speeds))
            lines.append([measure.name, *figures(speeds, 0), *figures(speeds, 1)])
            bench.say(f"{rows[-1].name}: {rows[-1].value:.2f}")
    head = ["", "ours /s", "µs of processor each", "nginx /s", "µs each"]
    bench.tables.append(Table("## Rates, and what one costs the server", head, lines))
    bench.tables.append(Table("## Versions", ["", ""], versions()))
    return rows


# ---- The sides ----


@contextmanager
def our_sides(bench: Bench, authority: Authority, certificate: Certificate) -> Iterator[Sides]:
    layer = bench.binaries / "tests" / "integration" / "http_server"
    folder = bench.work / "empty"
    secret = {"TLS_CERT": str(certificate.cert), "TLS_KEY": str(certificate.key)}
    options = ServerOptions(layer, folder, secret, arguments=(), tls_ca=authority.ca)
    with ExitStack() as stack:

        def side(server: Server) -> Side:
            stack.callback(server.kill)
            size = DOWNLOAD_MB * 1_000_000
            return Side(server.pid, server.port, f"/stream?bytes={size}&piece=65536")

        plain = side(bench.server(folder))
        settings = certificate.settings | {"HTTP_IDLE_TIMEOUT": "600s"}  # as nginx
        tls = side(bench.server_with(bench.work / "tls-empty", settings, authority.ca))
        files = Server(options)
        files.start()
        yield Sides(plain, tls, side(files))


@contextmanager
def nginx(bench: Bench, certificate: Certificate) -> Iterator[Sides]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if not program:
        raise SystemExit("bench/run: tls needs nginx-light; run `tools/deps bench`")
    folder = bench.work / "nginx"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)  # its workers are not root
    (folder / "download").write_bytes(b"x" * (DOWNLOAD_MB * 1_000_000))
    plain, tls = free_port(), free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        NGINX_CONFIGURATION.format(
            folder=folder, certificate=certificate, plain=plain, tls=tls, path=PATH, body=BODY
        )
    )
    arguments = ("-p", str(folder), "-c", str(configuration), "-e", str(folder / "error.log"))
    settings = {"PORT": str(plain)}
    server = Server(ServerOptions(Path(program), folder, settings, arguments, ready_path=PATH))
    try:
        server.start()
        secure = Side(server.pid, tls, "/download")
        yield Sides(Side(server.pid, plain), secure, secure)
        server.finish()
    finally:
        server.kill()


def check_alike(ours: Sides, theirs: Sides, context: ssl.SSLContext) -> None:
    """Ends the run unless both speak the same TLS to the same client."""
    spoken = {spoken_by(side.port, context) for side in (ours.tls, ours.files, theirs.tls)}
    if len(spoken) != 1:
        raise RuntimeError(f"they do not speak the same: {spoken}")


def spoken_by(port: int, context: ssl.SSLContext) -> tuple[str, str, int] | None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            return connection.cipher()


# ---- Measuring ----


def compare(bench: Bench, measure: Measure, ours: Side, theirs: Side) -> list[tuple[Speed, Speed]]:
    """One pair a round, every second one in the other order."""
    pairs = []
    for side in (ours, theirs):
        measure.load(side, WARM_UP_SECONDS)
    for turn in range(bench.rounds):
        sides = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
        found = {side: speed(measure, side, bench.seconds) for side in sides}
        pairs.append((found[ours], found[theirs]))
    return pairs


def speed(measure: Measure, side: Side, seconds: int) -> Speed:
    used, begun = processor_seconds(side.session), time.monotonic()
    rate = measure.load(side, seconds)
    count = rate * (time.monotonic() - begun)
    return Speed(rate, count / (processor_seconds(side.session) - used))


def figures(speeds: list[tuple[Speed, Speed]], side: int) -> list[str]:
    """Medians: the rate, and microseconds of processor time for one."""
    return [
        number(statistics.median(pair[side].rate for pair in speeds)),
        number(statistics.median(1e6 / pair[side].by_processor for pair in speeds)),
    ]


def idle_memory(ours: Side, theirs: Side, context: ssl.SSLContext) -> Row:
    """What kept connections add, before there was any load."""
    grown = []
    for side in (ours, theirs):
        before = memory_bytes(side.session)
        with idle_connections(side.port, IDLE_CONNECTIONS, PATH, context):
            grown.append((memory_bytes(side.session) - before) / 1e6)
    name = f"{IDLE_CONNECTIONS:,} idle TLS connections, MB more"
    return Row(name, grown[0] / grown[1], "×", IDLE_MAXIMUM, False, grown[0], grown[1])


def versions() -> list[list[str]]:
    package = ("dpkg-query", "-Wf", "${Version}")
    return [[name, output_of(*package, name)] for name in ("nginx-light", "libssl3", "wrk")]
