"""The command line: each command, its help, its exit codes and its JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.epub import EpubWriter, paragraphs
from support.ingest import text_of
from support.postgres import Postgres
from support.process import CommandResult
from support.server import Server

Command = Callable[..., CommandResult]
COMMANDS = [
    "serve",
    "ingest",
    "search",
    "books",
    "export",
    "config",
    "migrate",
    "check",
    "version",
]


def test_help_of_all(command: Command) -> None:
    result = command("--help")
    assert result.status == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", result.stdout, re.M), name
    assert not re.search(r"^  extract ", result.stdout, re.M)
    assert command().status == 2


@pytest.mark.sqlite
@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each(command: Command, name: str) -> None:
    for option in ("--help", "-h"):
        result = command(name, option)
        assert result.status == 0 and result.stderr == ""
        for part in (f"Usage: tomehub {name}", "Options:", "Examples:", "Exit codes: 0 done, 1 "):
            assert part in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 100


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["serv"], "did you mean serve?"),
        (["frobnicate"], "tomehub --help"),
        (["books", "--jsn"], "did you mean --json?"),
        (["books", "extra"], "too many arguments"),
        (["search"], "needs QUERY"),
        (["search", "two", "words"], "quote"),
        (["search", "x", "--limit", "0"], "from 1 to 1000"),
        (["search", "x", "--limit", "many"], "from 1 to 1000"),
        (["search", ""], "1 to 2000 characters"),
        (["search", "x" * 2001], "1 to 2000 characters"),
        (["books", "--sort", "size"], "title, author or newest"),
        (["books", "--delete", "x"], "takes a number"),
        (["ingest"], "needs PATH"),
        (["ingest", "x.txt", "--type", "LETTER"], "BOOK, ARTICLE, NOTE or HIGHLIGHT"),
        (["version", "--limit"], "unknown option"),
    ],
)
def test_called_wrongly(
    command: Command, library_dir: Path, arguments: list[str], hint: str
) -> None:
    (library_dir / "x.txt").write_text("text")
    result = command(*arguments)
    assert result.status == 2, result
    assert hint in result.stderr and result.stdout == ""
    assert not (library_dir / "library.db").exists()


def test_version(command: Command) -> None:
    assert re.match(r"tomehub \d+\.\d+\.\d+ ", command("version").stdout)
    assert json.loads(command("version", "--json").stdout)["name"] == "tomehub"
    assert command("--version").stdout == command("version").stdout


@pytest.mark.sqlite
def test_settings_files_are_those_of_the_table(command: Command, root: Path) -> None:
    """`tomehub config --example > .env.example` and `--reference` mend a failure."""
    assert command("config", "--example").stdout == (root / ".env.example").read_text()
    reference = (root / "docs" / "reference" / "settings.md").read_text()
    assert command("config", "--reference").stdout == reference


@pytest.mark.sqlite
def test_config_tells_where_from(command: Command, library_dir: Path) -> None:
    (library_dir / ".env").write_text("INGEST_WORKERS=3\n")
    lines = command("config", PORT=7000).stdout.splitlines()
    assert any(re.match(r"PORT=7000 +# .*environment", line) for line in lines)
    assert any(re.match(r"INGEST_WORKERS=3 +# .*\.env", line) for line in lines)
    assert any(re.match(r"HOST=127.0.0.1 +# default", line) for line in lines)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "setting",
    [
        {"PORT": "70000"},
        {"PORT": "many"},
        {"MAX_UPLOAD_MB": "0"},
        {"LOG_LEVEL": "loud"},
        {"SHUTDOWN_TIMEOUT": "soon"},
        {"INGEST_WORKERS": "65"},
        {"DB_POOL_REED_SIZE": "4"},
    ],
)
def test_wrong_settings_stop_every_command(command: Command, setting: dict[str, str]) -> None:
    name = next(iter(setting))
    for arguments in (["config"], ["books"], ["serve"], ["migrate"]):
        result = command(*arguments, **setting)
        assert result.status == 1 and name in result.stderr, result
        assert len(result.stderr.splitlines()) == 1
    checked = command("check", **setting)
    assert checked.status == 1
    assert checked.stdout.splitlines()[0].startswith("FAIL: settings")
    assert checked.stdout.splitlines()[-1] == "Total: 1 | Passed: 0 | Failed: 1"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org"])
def test_only_loopback_is_served(command: Command, host: str) -> None:
    result = command("serve", HOST=host)
    assert result.status == 1
    assert f"HOST={host}" in result.stderr and "authentication" in result.stderr


def test_port_in_use(command: Command, tomehub: Server) -> None:
    result = command("serve", PORT=tomehub.port)
    assert result.status == 1 and str(tomehub.port) in result.stderr


def test_ingest_search_books(command: Command, epub: EpubWriter) -> None:
    chapters = [("The Lagoon", paragraphs("The blue heron stood in the lagoon all morning."))]
    path = epub.write("heron.epub", chapters, title="Waders", author="W. Bird")
    added = command("ingest", path)
    assert added.status == 0, added
    assert re.search(r"^added +/.*heron\.epub \(book 1, 1 pages, 1 chunks\)$", added.stdout, re.M)
    assert re.search(r"^1 added, 0 already there, 0 failed in \d+\.\d s$", added.stdout, re.M)
    assert "1 already there" in command("ingest", path).stdout

    found = command("search", '"blue heron"')
    assert found.status == 0
    assert "Waders, W. Bird" in found.stdout and "The Lagoon, section 1" in found.stdout
    assert "[blue heron]" in found.stdout and "1 hit in 1 book" in found.stdout
    answer = json.loads(command("search", "--json", "heron").stdout)
    assert answer["results"][0]["chapter"] == "The Lagoon" and answer["total_count"] == 1
    none = command("search", "pelican")
    assert none.status == 0 and "Nothing found" in none.stdout

    listed = command("books")
    assert listed.stdout.split(maxsplit=1)[0] == "1" and "Waders, W. Bird" in listed.stdout
    assert json.loads(command("books", "--json").stdout)["title"] == "Waders"
    assert "No such book" in command("books", "--find", "walrus").stdout
    assert command("books", "--delete", "2").status == 1
    assert command("books", "--delete", "1").status == 0
    assert "No books yet" in command("books").stdout
    assert "Nothing found" in command("search", "heron").stdout


def test_ingest_of_folders_and_patterns(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "books"
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for number, name in enumerate(
        ["a.txt", "deep/b.md", "deep/deeper/C.TXT", ".hidden/d.txt", "e.jpg", ".f.txt"]
    ):
        (folder / name).write_text(f"Words of file number {number}.")
    result = command("ingest", folder)
    assert result.status == 0 and "3 added" in result.stdout, result
    again = command("ingest", f"{folder}/*.txt", f"{folder}/deep/*", "--json")
    lines = [json.loads(line) for line in again.stdout.splitlines()]
    assert [line["status"] for line in lines] == ["exists"] * 3
    empty = tmp_path / "empty"
    empty.mkdir()
    nothing = command("ingest", empty)
    assert nothing.status == 1 and "no EPUB" in nothing.stderr


def test_ingest_goes_on_after_a_failure(command: Command, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.epub"
    good.write_text("Good words.")
    bad.write_bytes(b"PK\x03\x04 and no more")
    result = command("ingest", tmp_path / "missing.txt", bad, "/dev/null", good)
    assert result.status == 1
    assert "1 added, 0 already there, 3 failed" in result.stdout
    assert re.search(r"^failed +/.*missing\.txt: .*No such file", result.stdout, re.M)
    assert re.search(r"^failed +/.*bad\.epub: .+", result.stdout, re.M)
    assert re.search(r"^failed +/dev/null: not a file", result.stdout, re.M)
    lines = [json.loads(line) for line in command("ingest", "--json", bad).stdout.splitlines()]
    assert lines[0]["status"] == "failed" and lines[0]["error"]


def test_ingest_with_facts(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "n.txt"
    path.write_text("Some noted words.")
    options = [
        "--title",
        "T",
        "--author",
        "A",
        "--type",
        "NOTE",
        "--tags",
        "x,y",
        "--language",
        "de",
    ]
    assert command("ingest", path, *options).status == 0
    book = json.loads(command("books", "--json").stdout)
    assert (book["title"], book["author"], book["source_type"]) == ("T", "A", "NOTE")
    assert book["tags"] == ["x", "y"] and book["language"] == "de"
    other = tmp_path / "o.txt"
    other.write_text("Other words.")
    assert command("ingest", path, other, "--title", "T").status == 2


def test_a_file_that_is_too_large(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(b"word " * 300000)
    result = command("ingest", path, MAX_UPLOAD_MB=1)
    assert result.status == 1 and "MAX_UPLOAD_MB" in result.stdout


@pytest.mark.sqlite
def test_progress_on_a_terminal(tomehub_binary: Path, library_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(text_of("progressive", 30000))
    master, slave = pty.openpty()
    environment = os.environ | {"DATABASE_URL": f"sqlite:{library_dir / 'library.db'}"}
    process = subprocess.Popen(
        [tomehub_binary, "ingest", path], env=environment, stdout=slave, stderr=slave
    )
    os.close(slave)
    shown = b""
    while select.select([master], [], [], 60)[0]:
        try:
            shown += os.read(master, 65536)
        except OSError:
            break
    assert process.wait() == 0
    os.close(master)
    text = shown.decode()
    assert re.search(r"\r\x1b\[K\[[#.]{24}\] +\d+%  0/1  long\.txt", text), text
    assert text.rstrip().splitlines()[-1].startswith("1 added")


def test_export(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "e.txt"
    path.write_text("Exported words.")
    command("ingest", path)
    lines = [json.loads(line) for line in command("export").stdout.splitlines()]
    assert [line["type"] for line in lines] == ["library", "book", "chunk", "end"]
    assert lines[2]["content"] == "Exported words."


def test_libraries_of_users(command: Command, tmp_path: Path) -> None:
    mine, hers = tmp_path / "mine.txt", tmp_path / "hers.txt"
    mine.write_text("A pelican stood here.")
    hers.write_text("A heron stood here.")
    assert command("keys", "create", "--user", "ann").status == 0
    assert command("ingest", mine).status == 0
    for status in ("added", "exists"):
        lines = command("ingest", "--user", "ann", "--json", hers).stdout.splitlines()
        assert [json.loads(line)["status"] for line in lines] == [status]
    mines: list[str] = []
    anns = ["--user", "ann"]
    for whose, has, lacks in ((mines, "pelican", "heron"), (anns, "heron", "pelican")):
        assert f"[{has}]" in command("search", *whose, has).stdout
        assert "Nothing found" in command("search", *whose, lacks).stdout
        exported = command("export", *whose).stdout
        assert has in exported and lacks not in exported
        assert f"A {has} stood here. [1]" in command("answer", *whose, has).stdout
        assert "does not say" in command("answer", *whose, lacks).stdout
    listed = [json.loads(command("books", *whose, "--json").stdout) for whose in (mines, anns)]
    assert [book["file_name"] for book in listed] == ["mine.txt", "hers.txt"]
    assert command("books", "--delete", listed[1]["id"]).status == 1
    assert command("books", *anns, "--delete", listed[1]["id"]).status == 0
    assert "No books yet" in command("books", *anns).stdout
    assert "[pelican]" in command("search", "pelican").stdout


def test_users_that_do_not_exist(command: Command, tmp_path: Path) -> None:
    """None is made by a slip of the pen, and what is there is told."""
    path = tmp_path / "a.txt"
    path.write_text("Words.")
    calls: list[list[object]] = [
        ["ingest", path],
        ["search", "x"],
        ["answer", "x"],
        ["books"],
        ["export"],
    ]
    for arguments in calls:
        result = command(*arguments, "--user", "anm")
        assert result.status == 1 and result.stdout == "", arguments
        assert 'there is no user "anm"; there are none yet' in result.stderr
        assert "tomehub keys create --user NAME adds one" in result.stderr
    names = ["ann", "bob", "a b", "çelik", "e", "f", "g"]
    for name in names:
        assert command("keys", "create", "--user", name).status == 0
    told = command("books", "--user", "anm").stderr
    assert "; there are a b, ann, bob, e, f, … (tomehub keys" in told
    assert command("books", "--user", "çelik").status == 0
    assert "1 to 1000 bytes" in command("books", "--user", "").stderr


@pytest.mark.sqlite
def test_export_to_a_full_disk(tomehub_binary: Path, library_dir: Path, command: Command) -> None:
    command("migrate")
    environment = os.environ | {"DATABASE_URL": f"sqlite:{library_dir / 'library.db'}"}
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [tomehub_binary, "export"], env=environment, stdout=full, stderr=subprocess.PIPE
        )
    assert result.returncode == 1 and b"standard output" in result.stderr


def test_migrate(command: Command) -> None:
    first = command("migrate")
    assert first.status == 0 and "migrations applied" in first.stdout
    assert "nothing to do" in command("migrate").stdout


def test_check(command: Command, tmp_path: Path) -> None:
    result = command("check")
    assert result.status == 0, result
    lines = result.stdout.splitlines()
    assert all(line.startswith("PASS: ") for line in lines[:-1]) and len(lines) >= 6
    assert lines[-1] == f"Total: {len(lines) - 1} | Passed: {len(lines) - 1} | Failed: 0"
    path = tmp_path / "c.txt"
    path.write_text("Checked words.")
    command("ingest", path)
    assert "rebuilt" in command("check", "--rebuild-index").stdout
    assert "1 hit" in command("search", "checked").stdout


def test_check_pool_beside_max_connections(command: Command, postgres: Postgres) -> None:
    small = command("check", "pool", DATABASE_URL=postgres.url(), DB_POOL_MAX="96")
    assert small.status == 0 and "WARN" not in small.stdout, small.stdout
    large = command("check", "pool", DATABASE_URL=postgres.url(), DB_POOL_MAX="97")
    assert large.status == 0 and large.stdout.count("WARN") == 1, large.stdout
    assert "98 connections may be opened" in large.stdout, large.stdout
    assert "room for 97: lower DB_POOL_MAX" in large.stdout, large.stdout  # of 100, 3 reserved


def test_check_pool(command: Command) -> None:
    result = command("check", "pool")
    lines = result.stdout.splitlines()
    assert result.status == 0 and lines[-1] == "Total: 7 | Passed: 7 | Failed: 0", result
    for told in ("the pool starts", "3 connections at once", "gives up", "overrides", "renew|cycl"):
        assert any(re.search(told, line) for line in lines), told
    narrow = command("check", "pool", DB_POOL_READ_SIZE="1", DB_POOL_MIN="0", DB_POOL_TIMEOUT="7s")
    assert narrow.status == 0 and "1 connections at once" in narrow.stdout
    assert "(DB_POOL_TIMEOUT=8s)" in narrow.stdout
    assert command("check", "pool", "more").status == 2
    assert command("check", "pond").status == 2
    nowhere = command("check", "pool", DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert nowhere.status == 1 and "FAIL: the pool starts" in nowhere.stdout
    assert "start the server" in nowhere.stdout


@pytest.mark.sqlite
def test_check_of_a_damaged_database(command: Command, library_dir: Path) -> None:
    command("migrate")
    database = library_dir / "library.db"
    content = bytearray(database.read_bytes())
    content[4096 : 4096 * 8] = b"\xff" * (4096 * 7)
    database.write_bytes(content)
    result = command("check")
    assert result.status == 1 and "FAIL: " in result.stdout


def test_databases_that_cannot_be_opened(command: Command, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is not a database\n" * 1000)
    for url in ("sqlite:/nowhere/library.db", f"sqlite:{tmp_path / 'text.db'}", "mysql://host/x"):
        for name in ("books", "serve", "migrate"):
            result = command(name, DATABASE_URL=url)
            assert result.status == 1 and result.stderr.strip(), (url, name)
