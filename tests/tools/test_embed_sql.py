"""tools/embed_sql.py: what it makes compiles and says what the files say; ambiguity stops it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Embed = Callable[[], subprocess.CompletedProcess[str]]

PROGRAM = """
#include "x_sql.h"
#include <stdio.h>
int main(void)
{
    for (unsigned i = 0; i != X_SQL_STATEMENT_COUNT; i++)
        printf("%u %s%s%s|%s|%s\\n", x_sql_statements[i].index, x_sql_statements[i].name,
               x_sql_statements[i].is_slow ? " slow" : "",
               x_sql_statements[i].needs_primary ? " primary" : "",
               x_sql_statements[i].sqlite ? x_sql_statements[i].sqlite : "-",
               x_sql_statements[i].postgres ? x_sql_statements[i].postgres : "-");
    for (unsigned i = 0; i != X_SQL_MIGRATION_COUNT; i++)
        printf("%u %s|%s\\n", x_sql_migrations[i].version, x_sql_migrations[i].name,
               x_sql_migrations[i].sqlite);
}
"""


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    (folder / "sqlite" / "migrations").mkdir(parents=True)
    return folder


@pytest.fixture
def embed(root: Path, tmp_path: Path, sql: Path) -> Embed:
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                root / "tools" / "embed_sql.py",
                *("--symbol", "x_sql"),
                *("--depfile", tmp_path / "x.d"),
                *(sql, tmp_path / "x_sql.h", tmp_path / "x_sql.c"),
            ],
            capture_output=True,
            text=True,
        )

    return run


def compiled_output(root: Path, tmp_path: Path) -> str:
    (tmp_path / "main.c").write_text(PROGRAM)
    flags = ["-Wall", "-Wextra", "-Werror", f"-I{root / 'include'}"]
    files = [tmp_path / "main.c", tmp_path / "x_sql.c"]
    subprocess.run(["gcc", *flags, *files, "-o", tmp_path / "main"], check=True)
    return subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout.decode()


def test_texts_come_through(root: Path, tmp_path: Path, sql: Path, embed: Embed) -> None:
    (sql / "sqlite" / "b.sql").write_text(
        "-- What it is for.\n\n--\nSELECT \"a\", 'x;\\y', '??='\n  FROM t; \n"
    )
    (sql / "sqlite" / "a.sql").write_text("SELECT 'İ1' -- stays;\n")
    (sql / "postgres").mkdir()
    (sql / "postgres" / "b.sql").write_text("SELECT 2;")
    (sql / "postgres" / "c.sql").write_text("SELECT 3")
    (sql / "sqlite" / "migrations" / "0001_one.sql").write_text("-- One.\nCREATE TABLE a(b);\n;")
    assert embed().returncode == 0
    assert compiled_output(root, tmp_path) == (
        "0 a|SELECT 'İ1' -- stays;|-\n"
        "1 b|SELECT \"a\", 'x;\\y', '??='\n  FROM t|SELECT 2\n"
        "2 c|-|SELECT 3\n"
        "1 0001_one|CREATE TABLE a(b);\n;\n"
    )
    assert "#define X_SQL_B (x_sql_statements[1])" in (tmp_path / "x_sql.h").read_text()


def test_marks_come_through(root: Path, tmp_path: Path, sql: Path, embed: Embed) -> None:
    (sql / "postgres").mkdir()
    (sql / "sqlite" / "a.sql").write_text("-- slow: it counts.\n-- primary: it locks.\nSELECT 1")
    (sql / "sqlite" / "b.sql").write_text("SELECT 1")
    (sql / "postgres" / "b.sql").write_text("-- What for.\n-- primary: it decides.\nSELECT 1")
    (sql / "sqlite" / "c.sql").write_text("-- slow:\nSELECT 1\n-- primary: too late")
    assert embed().returncode == 0
    assert [line.split("|")[0] for line in compiled_output(root, tmp_path).splitlines()][:3] == [
        "0 a slow primary",
        "1 b primary",
        "2 c",
    ]


def test_empty_folder(root: Path, tmp_path: Path, sql: Path, embed: Embed) -> None:
    assert embed().returncode == 0
    assert compiled_output(root, tmp_path) == ""


def test_nothing_is_written_when_nothing_changed(tmp_path: Path, sql: Path, embed: Embed) -> None:
    (sql / "sqlite" / "a.sql").write_text("SELECT 1")
    embed()
    before = (tmp_path / "x_sql.c").stat().st_mtime_ns
    (sql / "sqlite" / "a.sql").write_text("-- A comment changes nothing.\nSELECT 1")
    assert embed().returncode == 0
    assert (tmp_path / "x_sql.c").stat().st_mtime_ns == before


def test_folders_are_watched(tmp_path: Path, sql: Path, embed: Embed) -> None:
    (sql / "sqlite" / "a.sql").write_text("SELECT 1")
    embed()
    watched = (tmp_path / "x.d").read_text().replace("\\\n", " ").split()
    for path in sql, sql / "sqlite", sql / "sqlite" / "a.sql", sql / "sqlite" / "migrations":
        assert str(path) in watched


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.sql", b"SELECT 1; SELECT 2", "more than one statement"),
        ("a.sql", b"-- only a comment\n", "holds no SQL"),
        ("a.sql", b"", "holds no SQL"),
        ("a.sql", b"SELECT '\xff'", "not UTF-8"),
        ("a.sql", b"SELECT \0", "NUL byte"),
        ("A-b.sql", b"SELECT 1", "lower case"),
        ("migrations/0002_x.sql", b"SELECT 1", "0001 is due"),
        ("migrations/one.sql", b"SELECT 1", "NNNN_what_it_does"),
    ],
)
def test_refusals(sql: Path, embed: Embed, name: str, content: bytes, message: str) -> None:
    (sql / "sqlite" / name).write_bytes(content)
    result = embed()
    assert result.returncode == 1
    assert name in result.stderr or Path(name).stem in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
