"""Health, metrics, the page, and what every answer carries."""

from __future__ import annotations

import re
from collections.abc import Callable

from support.database import Database
from support.http import JsonClient
from support.server import Server


def test_full(client: JsonClient, database: Database) -> None:
    answer = client.get("/api/health")
    assert answer.status == 200, answer.text
    health = answer.json
    assert health["status"] == "ok" and health["draining"] is False
    assert re.match(r"\d+\.\d+\.\d+", health["version"]) and health["uptime_seconds"] >= 0
    checks = health["checks"]
    assert set(checks) == {"database", "ingest", "disk_space", "memory", "breakers"}
    assert all(check["status"] == "ok" for check in checks.values())
    assert checks["database"]["backend"] == database.name
    assert checks["database"]["answered_ms"] >= 0
    assert checks["ingest"]["workers"] == 2 and checks["ingest"]["queued"] == 0
    assert checks["disk_space"]["free_mb"] > 0
    assert checks["memory"]["process_rss_mb"] > 0


def test_live_and_ready(client: JsonClient) -> None:
    for path in ("/api/health/live", "/livez"):
        answer = client.get(path)
        assert answer.status == 200 and answer.json["status"] == "ok"
    for path in ("/api/health/ready", "/readyz"):
        assert client.get(path).status == 200


def test_figures_of_the_ingest(client: JsonClient) -> None:
    client.ingest_text("T", "Some words.")
    client.upload("/api/ingest?wait=true", "empty.txt", b"")
    figures = client.get("/api/health").json["checks"]["ingest"]
    assert figures["done_since_start"] == 1 and figures["failed_since_start"] == 1


def metric(text: str, name: str) -> float:
    match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    assert match, name
    return float(match.group(1))


def test_metrics(client: JsonClient) -> None:
    client.ingest_text("T", "Some words.")
    client.upload("/api/ingest?wait=true", "empty.txt", b"")
    client.get("/api/books/12345")
    text = client.get("/metrics").text
    assert metric(text, 'ingest_jobs_total{result="done"}') == 1
    assert metric(text, 'ingest_jobs_total{result="failed"}') == 1
    assert metric(text, 'job_execution_seconds_count{job="ingest"}') == 2
    assert metric(text, "job_queue_size") == 0
    assert metric(text, "ingest_chunks_total") == 1
    assert metric(text, "ingest_bytes_total") > 0
    assert 'endpoint="/api/books/{id}"' in text and "12345" not in text


def test_every_answer_is_marked(client: JsonClient) -> None:
    for path in ("/api/health/live", "/api/books/1", "/nowhere", "/"):
        headers = client.get(path).headers
        assert headers["x-request-id"]
        assert 0 <= float(headers["x-response-time"]) < 5


def test_errors_are_json(client: JsonClient) -> None:
    answer = client.get("/api/nowhere")
    assert answer.status == 404
    assert set(answer.json) == {"error", "detail", "request_id"}
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert client.request("PUT", "/api/books/1").status == 405


def test_the_page(client: JsonClient) -> None:
    page = client.get("/")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    assert "default-src" in page.headers["content-security-policy"]
    for path in re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|svg))"', page.text):
        assert client.get(path).status == 200, path
    assert client.get("/tomehub/nothing.js").status == 404
    assert client.get("/tomehub/%2e%2e/shared/dom.js").status in (400, 404)


def test_other_process_counts_in_the_queue(start_tomehub: Callable[..., Server]) -> None:
    """Health looks at the whole database, figures since start are the process's own."""
    first, second = start_tomehub(), start_tomehub()
    with JsonClient(first.port) as one, JsonClient(second.port) as two:
        one.ingest_text("T", "Some words.")
        assert one.get("/api/health").json["checks"]["ingest"]["done_since_start"] == 1
        assert two.get("/api/health").json["checks"]["ingest"]["done_since_start"] == 0
