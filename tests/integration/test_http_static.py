"""Static files: embedding, validators, encodings, security headers."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from support.http import Answer, RawHttp
from support.http_layer import get

SITE = Path(__file__).resolve().parent / "site"
CSS = (SITE / "shared" / "base.css").read_bytes()


def fetch(raw: RawHttp, path: str, *fields: str) -> Answer:
    return raw.answer(get(path, *fields))


def test_the_index_is_the_root_and_carries_a_strict_policy(http_raw: RawHttp) -> None:
    answer = fetch(http_raw, "/")
    assert answer.body == (SITE / "index.html").read_bytes()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert fetch(http_raw, "/site/index.html").status == 404


def test_files_keep_their_path(http_raw: RawHttp) -> None:
    answer = fetch(http_raw, "/site/shared/base.css")
    assert (answer.status, answer.body) == (200, CSS)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    for path in ("/site/shared", "/site/shared/", "/site/../site/shared/base.css", "/site/%62"):
        assert fetch(http_raw, path).status == 404, path


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.000, *", "br"),
        ("br;q=0, *;q=0.1", "gzip"),
        ("*;q=0", None),
        ("deflate", None),
        ("gzip, deflate, br, zstd", "br"),
        ("brx", None),
        ("br;;q=0", None),
    ],
)
def test_encodings_are_negotiated(http_raw: RawHttp, accept: str, coding: str | None) -> None:
    answer = fetch(http_raw, "/site/shared/base.css", f"Accept-Encoding: {accept}")
    assert answer.status == 200
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers.get("content-encoding") == coding
    if coding == "gzip":
        assert gzip.decompress(answer.body) == CSS
    elif coding == "br":
        command = ["brotli", "--decompress", "--stdout", "-"]
        assert subprocess.run(command, input=answer.body, stdout=-1, check=True).stdout == CSS
    else:
        assert answer.body == CSS


def test_what_does_not_shrink_is_not_encoded(http_raw: RawHttp) -> None:
    answer = fetch(http_raw, "/site/shared/tiny.txt", "Accept-Encoding: gzip, br")
    assert (answer.body, answer.headers.get("content-encoding")) == (b"tiny", None)


def test_validators(http_raw: RawHttp) -> None:
    path = "/site/shared/base.css"
    plain = fetch(http_raw, path).headers["etag"]
    coded = fetch(http_raw, path, "Accept-Encoding: gzip").headers["etag"]
    assert plain != coded
    for match in (plain, f"W/{plain}", f'"x", {plain}', "*"):
        answer = fetch(http_raw, path, f"If-None-Match: {match}")
        assert (answer.status, answer.body) == (304, b""), match
        assert answer.headers["etag"] == plain
    for match in ('"x"', coded, plain.strip('"')):
        assert fetch(http_raw, path, f"If-None-Match: {match}").status == 200, match


def test_head_of_a_file(http_raw: RawHttp) -> None:
    with http_raw.connect() as connection:
        connection.send(get("/site/shared/base.css").replace(b"GET", b"HEAD") + get("/status"))
        answer = connection.read_answer(to_head=True)
        assert answer.headers["content-length"] == str(len(CSS))
        assert connection.read_answer().body == b"body"


def embed(root: Path, site: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    script = root / "tools" / "embed_static.py"
    outputs = (site.parent / "out.h", site.parent / "out.c")
    command: list[str | Path] = ["/usr/bin/python3", script, "--symbol", "s", "--root", site]
    return subprocess.run([*command, *options, *outputs, "."], stderr=subprocess.PIPE)


def test_the_generator_refuses_what_it_does_not_know(root: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.exe").write_bytes(b"")
    refused = embed(root, site)
    assert refused.returncode == 1
    assert b"no content type for .exe" in refused.stderr
    (site / "a.exe").rename(site / "a.txt")
    assert embed(root, site).returncode == 0
    assert b"is not among the files" in embed(root, site, "--index", "index.html").stderr


def test_the_generator_makes_the_same_output_twice(root: Path, tmp_path: Path) -> None:
    outputs = []
    for name in ("one", "two"):
        site = tmp_path / name / "site"
        site.mkdir(parents=True)
        (site / "a.js").write_text("let a = 1;\n" * 100)
        assert embed(root, site).returncode == 0
        outputs.append((site.parent / "out.c").read_bytes())
    assert outputs[0] == outputs[1]
