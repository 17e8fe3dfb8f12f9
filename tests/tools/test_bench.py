"""The bench's arithmetic, its corpus, and the rows it gives to the bare FTS5 loop."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from corpus import Library  # noqa: E402
from comparison import comparable  # noqa: E402
from harness import Table, at_most, interleave, number, percentile, ratio, table  # noqa: E402
from library import index_statement, write_index_rows  # noqa: E402
from load import handshakes, idle_connections, wrk_requests  # noqa: E402
from postgres import latencies_ms  # noqa: E402
from shared_data import Ids, Requests  # noqa: E402
from support.server import Server, ServerOptions  # noqa: E402
from support.tls import Authority, Certificate  # noqa: E402
from usage import memory_bytes, processor_seconds  # noqa: E402

CREATE = "CREATE VIRTUAL TABLE chunks_fts USING fts5 (body, stems, content = '', columnsize = 0)"
DOCUMENTS = {(4 << 20) + 1: ("one two two", "on"), (4 << 20) + 2: ("", ""), 7: ("zwölf two", "")}


def test_percentile_is_by_nearest_rank() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.95) == 95
    assert percentile(values, 1.0) == 100
    assert percentile([3.0], 0.95) == 3


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    row = ratio("x", [[90, 100], [10, 20], [95, 100]], 0.85)
    assert row.value == pytest.approx(0.9)
    assert row.ok and not ratio("x", [[80, 100]], 0.85).ok


def test_a_bound_is_kept_at_the_bound() -> None:
    assert at_most("x", 60, "MB", 60).ok
    assert not at_most("x", 60.1, "MB", 60).ok


def test_rounds_alternate() -> None:
    calls: list[str] = []

    def side(name: str, value: float) -> float:
        calls.append(name)
        return value

    rounds = interleave(2, lambda: side("ours", 1), lambda: side("limit", 2))
    assert rounds == [[1, 2], [1, 2]]
    assert calls == ["ours", "limit", "limit", "ours"]


def test_a_missed_bound_is_marked() -> None:
    text = table([at_most("memory", 61, "MB", 60), ratio("speed", [[9, 10]], 0.85)])
    assert "MISSED" in text.splitlines()[2]
    assert "0.90 ×" in text.splitlines()[3]


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (123456.0, 12.345, 0.0, None)] == [
        "123,456",
        "12.3",
        "0",
        "",
    ]


def test_books_are_the_same_every_time() -> None:
    text = Library().text(3, words=2000)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest.startswith("b536531e7adc9ff4")
    words = text.lower().replace(".", "").split()
    assert len(words) == 2000
    assert words.count("the") > 50


def index(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute(CREATE)
    return connection


def test_index_rows_come_back_as_they_went_in(tmp_path: Path, build_dir: Path) -> None:
    source, rows, target = (tmp_path / name for name in ("source.db", "rows", "target.db"))
    with index(source) as connection:
        for rowid, columns in DOCUMENTS.items():
            insert = "INSERT INTO chunks_fts (rowid, body, stems) VALUES (?, ?, ?)"
            connection.execute(insert, (rowid, *columns))
    assert write_index_rows(source, rows) == 2  # the empty one leaves no trace
    program = build_dir / "bench" / "fts_insert"
    command = [str(program), str(rows), str(target), *index_statement(source)]
    assert subprocess.run(command, capture_output=True, text=True).stdout.startswith("2 ")
    vocabulary = [instances(path) for path in (source, target)]
    assert vocabulary[0] == vocabulary[1]
    assert len(vocabulary[0]) == 6


def instances(path: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE VIRTUAL TABLE temp.words USING fts5vocab('main', 'chunks_fts', 'instance')"
        )
        return list(connection.execute("SELECT * FROM words ORDER BY 1, 2, 3, 4"))


def test_the_bare_query_tells_rows_and_time(tmp_path: Path, build_dir: Path) -> None:
    with index(tmp_path / "x.db") as connection:
        connection.execute("INSERT INTO chunks_fts (rowid, body) VALUES (1, 'one two'), (2, 'two')")
    (tmp_path / "queries").write_text('"two"\n"none"\n')
    statement = "SELECT rowid FROM chunks_fts WHERE chunks_fts MATCH ?1 ORDER BY rank LIMIT 50"
    program = str(build_dir / "bench" / "fts_query")
    command = [program, str(tmp_path / "x.db"), statement, str(tmp_path / "queries")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in output.splitlines()] == ["2", "0"]


def test_tables_are_markdown() -> None:
    text = str(Table("## x", ["", "req/s"], [["ours", "12,345"]]))
    assert text.splitlines() == ["## x", "", "|      | req/s  |", "| ---- | ------ |"] + [
        "| ours | 12,345 |"
    ]


def asked(folder: Path) -> Requests:
    return Requests(folder, Ids(440, 0, 227), [[1, 2], [3]], ["one", "two words"])


def test_pgbench_draws_ids_that_exist(tmp_path: Path) -> None:
    statement = tmp_path / "content.sql"
    statement.write_text("-- $1 owner, $2 chunk.\nSELECT $2 FROM c WHERE owner = $1;\n")
    script = asked(tmp_path).script("content", statement, ("1", "?"))
    assert script.files[0].read_text() == (
        "\\set book random(1, 440)\n\\set id :book * 1048576 + random(0, 227)\n"
        "SELECT :id FROM c WHERE owner = 1;\n"
    )


def test_pgbench_sends_the_same_batches_and_searches(tmp_path: Path) -> None:
    statement = tmp_path / "statement.sql"
    statement.write_text("SELECT $1;\n")
    for route, values in ("batch", ["{1,2}", "{3}"]), ("search", ["one", "two words"]):
        script = asked(tmp_path).script(route, statement, ("?",))
        assert list(script.variables.values()) == values
        assert [path.read_text() for path in script.files] == [
            f"SELECT :{route}{number};\n" for number in range(2)
        ]


def test_latencies_are_read_from_pgbench_logs(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("0 1 1500 0 1700000000 5\n1 1 250 0 1700000000 9\n")
    assert latencies_ms([tmp_path / "log"]) == [1.5, 0.25]


def test_a_wrong_count_is_no_answer_to_a_search() -> None:
    hit = {"id": 1, "score": 0.5, "content": "x"}
    right = {"results": [hit], "total_count": 1}
    ours = {"results": [hit | {"id": 2, "snippet": "x"}], "total_count": 1, "did_you_mean": None}
    expected, found = comparable(right, ours, ours=True)
    assert expected == found  # another order and more fields are ours to choose
    for wrong in (ours | {"total_count": 2}, ours | {"results": []}, ours | {"results": [{}]}):
        expected, found = comparable(right, wrong, ours=True)
        assert expected != found


class Recorder(BaseHTTPRequestHandler):
    """Answers 200, to /fail 500, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    seen: set[tuple[str, str, bytes]] = set()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.add((self.command, self.path, body))
        self.send_response(500 if self.path == "/fail" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_wrk_sends_every_request_of_the_file_and_counts_failures(tmp_path: Path) -> None:
    lines = tmp_path / "requests"
    lines.write_text('GET /a?q=x+y\nPOST /b {"ids": [1, 2]}\n')
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        load = wrk_requests(server.server_port, lines, connections=2, seconds=1)
        assert Recorder.seen == {("GET", "/a?q=x+y", b""), ("POST", "/b", b'{"ids": [1, 2]}')}
        assert load.failed == 0 and load.rate > 1 and 0 < load.p50 <= load.p95 <= load.p99
        lines.write_text("GET /fail\n")
        assert wrk_requests(server.server_port, lines, connections=2, seconds=1).failed > 0
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_handshakes_are_made_anew_or_resumed(
    tmp_path: Path, build_dir: Path, authority: Authority, certificate: Certificate
) -> None:
    program = build_dir / "tests" / "integration" / "http_server"
    files = {"TLS_CERT": str(certificate.cert), "TLS_KEY": str(certificate.key)}
    server = Server(ServerOptions(program, tmp_path, files, (), tls_ca=authority.ca))
    path = server.options.ready_path
    try:
        server.start()
        for resumed in (False, True):
            assert handshakes(server.port, path, 1, resumed) > 0
        with idle_connections(server.port, 3, path, authority.context()):
            assert 1e6 < memory_bytes(server.pid) < 1e9
        assert processor_seconds(server.pid) > 0
        server.finish()
    finally:
        server.kill()
