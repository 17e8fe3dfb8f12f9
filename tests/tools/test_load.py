"""People at a server: what is counted of them; the load checkpoints and the soak, in short."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.postgres import server_folder

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from harness import Bench  # noqa: E402
from scenarios.checkpoints import settings  # noqa: E402
from scenarios.soak import growth  # noqa: E402
from users import Crowd, Deed, come  # noqa: E402


class Library(BaseHTTPRequestHandler):
    """Answers as /api/ingest, /stream, /full and the like of TomeHub do."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, str, str]] = []

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        name = self.headers["X-Forwarded-For"]
        self.seen.append((name, self.path, body, self.headers.get("Accept", "")))
        if self.path.startswith("/stream"):
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            last = '"error"' if "broken" in self.path else '"complete"'
            for text in ('{"status":"answer"}\n', f'{{"status":{last}}}\n', ""):
                self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
            return
        self.send_response(503 if self.path == "/full" else 200)
        answer = b'{"book_id":77}'
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Retry-After" if self.path == "/full" else "X-Cache", "hit")
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


class Listener(ThreadingHTTPServer):
    request_queue_size = 128  # all come at once


@pytest.fixture
def library() -> Iterator[ThreadingHTTPServer]:
    Library.seen.clear()
    server = Listener(("127.0.0.1", 0), Library)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_people_get_is_counted_by_kind(
    library: ThreadingHTTPServer, tmp_path: Path, build_dir: Path
) -> None:
    deeds = [
        Deed(1, "note", ('POST /ingest {"title":"Note {n}"}', "GET /books/{book}")),
        Deed(1, "stream", ("EVENTS /stream", "GET /read")),
        Deed(1, "broken", ("GET /stream?broken", "GET /never")),
        Deed(1, "full", ("GET /full",)),
    ]
    bench = Bench(tmp_path, build_dir, 1, 1)
    server = cast(Any, SimpleNamespace(port=library.server_port))
    told: list[dict[str, int]] = []
    outcome = come(bench, server, deeds, Crowd(20, 1000, 0, 1, 50), told.append)
    good, bad = ("note", "stream"), ("broken", "full")
    for kind in good + bad:
        found = outcome.kinds[kind]
        assert found.done > 0 and found.failed == (found.done if kind in bad else 0)
        assert kind in bad or 0 < found.p50 <= found.p95 <= found.p99
    assert outcome.refused == outcome.kinds["full"].done and outcome.broken == 0
    assert outcome.hits > 0 and outcome.misses == 0 and told[-1]["users"] == 20
    paths = {path for _, path, _, _ in Library.seen}
    assert paths == {"/ingest", "/books/77", "/stream", "/read", "/stream?broken", "/full"}
    bodies = [body for _, path, body, _ in Library.seen if path == "/ingest"]
    assert len(set(bodies)) == len(bodies)
    assert len({name for name, _, _, _ in Library.seen}) == 20
    accepted = {path for _, path, _, accept in Library.seen if accept == "text/event-stream"}
    assert accepted == {"/stream"}


def test_growth_is_that_of_the_fitted_line() -> None:
    assert growth([100.0] * 50) == 0
    assert growth([100.0 + second / 10 for second in range(101)]) == pytest.approx(100 / 10.5)
    assert abs(growth([100.0, 110.0] * 50)) < 1


def test_each_stage_switches_off_less() -> None:
    off = {
        stage: [name for name, value in settings(stage).items() if value == "off"]
        for stage in ("old", "A", "B", "C", "D")
    }
    assert "RATE_LIMIT_ENABLED" in off["old"] and "RATE_LIMIT_ENABLED" not in off["A"]
    assert "CACHE_ENABLED" in off["A"] and "CACHE_ENABLED" not in off["B"]
    assert "MAX_CONCURRENT_STREAMS" in settings("B") and "ADMISSION_ENABLED" in off["C"]
    assert off["D"] == [] and "MAX_CONCURRENT_STREAMS" not in settings("D")


def short_run(folder: Path, *arguments: str) -> str:
    command = [str(ROOT / "bench" / "run"), *arguments, "--no-save", "--work", str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=600)
    missed = "MISSED" in process.stdout
    assert process.returncode == int(missed), process.stdout + process.stderr
    return str(process.stdout)


def test_a_short_soak(tmp_path: Path, build_dir: Path) -> None:
    """How fast it is depends on the machine; what must be there does not."""
    assert build_dir == ROOT / "build" / "release"
    output = short_run(tmp_path, "soak", "--seconds", "6")
    for kind in ("ingest", "read", "search", "stream"):
        assert f" | {kind} " in output, output
    assert "growth while 200 are there" in output


def test_a_short_row_of_the_checkpoints(build_dir: Path) -> None:
    assert build_dir == ROOT / "build" / "release"
    with server_folder() as folder:
        output = short_run(folder, "checkpoints", "--users", "50", "--seconds", "1")
    rows = [line.split("|") for line in output.splitlines() if line.startswith("| 50    |")]
    by_stage = {row[2].strip(): [field.strip() for field in row] for row in rows}
    assert set(by_stage) == {"old", "A", "D"}, output
    assert by_stage["A"][4] == "0.0%", output
    assert float(by_stage["A"][12]) > 3, output  # statements for a request
    assert "/api/health, failures" in output
