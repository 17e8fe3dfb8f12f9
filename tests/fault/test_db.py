"""Faults of the disk, of processes and of files, met by the SQLite driver (through db_fault)."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path

import pytest

from support.process import environment, sanitizer_report

MEGABYTE = 1024 * 1024


class Running:
    """One db_fault process; its output is read line by line."""

    def __init__(self, binary: Path, arguments: tuple[object, ...], **options: object) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [binary, *map(str, arguments)],
            env=environment({}, binary.parent),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,  # type: ignore[call-overload]
        )
        self.values: dict[str, str] = {}

    def wait_for(self, key: str) -> str:
        """Reads until `key` has a value."""
        assert self.process.stdout
        for line in self.process.stdout:
            name, _, value = line.rstrip("\n").partition("=")
            self.values[name] = value
            if name == key:
                return value
        raise AssertionError(f"ended without {key}: {self.values} {self.errors()}")

    def go(self) -> None:
        """The line the program waits for."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def errors(self) -> str:
        assert self.process.stderr
        return self.process.stderr.read()

    def finish(self) -> dict[str, str]:
        """Waits for the end; returns all it told."""
        output, errors = self.process.communicate(timeout=60)
        assert not sanitizer_report(errors), errors
        for line in output.splitlines():
            name, _, value = line.partition("=")
            self.values[name] = value
        return self.values

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


Start = Callable[..., Running]


@pytest.fixture
def start(build_dir: Path) -> Iterator[Start]:
    """Starts db_fault with these arguments; whatever still runs at the end is killed."""
    running: list[Running] = []

    def start_one(*arguments: object, **options: object) -> Running:
        program = Running(build_dir / "tests" / "fault" / "db_fault", arguments, **options)
        running.append(program)
        return program

    yield start_one
    for program in running:
        if program.process.poll() is None:
            program.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


def rows_of(path: Path) -> list[tuple[int, int]]:
    """(writer, number) of all rows, in the order of writing; the file must be sound."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT writer, number FROM rows ORDER BY rowid").fetchall()


def migrated(start: Start, path: Path) -> str:
    """The URL of a new database at version 1."""
    url = f"sqlite:{path}"
    assert start("migrate", url, 1).finish() == {"before": "0", "after": "1"}
    return url


# ---- Disk full ----


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk])
    if mount.returncode != 0:
        pytest.skip("mounting is not permitted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_full_disk(start: Start, small_disk: Path) -> None:
    path = small_disk / "test.db"
    url = migrated(start, path)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(4 * MEGABYTE))
    filler = start("fill", url)
    filler.wait_for("full")
    assert filler.values["error"] == "BH_ENOSPACE", filler.values
    assert "free some space" in filler.values["message"]
    ballast.unlink()
    filler.go()
    values = filler.finish()
    assert filler.process.returncode == 0, values
    assert [number for _, number in rows_of(path)] == [*range(int(values["written"])), -1]


def test_full_quota(start: Start, path: Path) -> None:
    """A write past the limit of file sizes is told like a full disk."""
    url = migrated(start, path)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6 * MEGABYTE, resource.RLIM_INFINITY))

    filler = start("fill", url, preexec_fn=limit, restore_signals=False)
    filler.wait_for("full")
    assert filler.values["error"] == "BH_ENOSPACE", filler.values
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(filler.process.pid, resource.RLIMIT_FSIZE, unlimited)
    filler.go()
    values = filler.finish()
    assert filler.process.returncode == 0, values
    assert [number for _, number in rows_of(path)] == [*range(int(values["written"])), -1]


# ---- SIGKILL ----


def test_killed_in_a_transaction(start: Start, path: Path) -> None:
    url = migrated(start, path)
    hanging = start("hang", url)
    hanging.wait_for("ready")
    hanging.kill()
    assert rows_of(path) == []
    writer = start("write", url, 10, 0, 2000)
    writer.go()
    assert writer.finish()["written"] == "10"
    assert len(rows_of(path)) == 10


def test_killed_in_a_migration(start: Start, path: Path) -> None:
    url = migrated(start, path)
    hanging = start("migrate-hang", url)
    hanging.wait_for("ready")
    hanging.kill()
    with closing(sqlite3.connect(path)) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'more'").fetchall()
    assert start("migrate", url, 2).finish() == {"before": "1", "after": "2"}


def test_killed_at_any_moment(start: Start, path: Path) -> None:
    """What was written stands there without a gap, whenever the process ends."""
    url = migrated(start, path)
    for milliseconds in range(1, 60, 6):
        writer = start("write", url, 1000000, 0, 2000)
        writer.wait_for("ready")
        writer.go()
        time.sleep(milliseconds / 1000)
        writer.kill()
        numbers = [number for pid, number in rows_of(path) if pid == writer.process.pid]
        assert numbers == [*range(len(numbers))]


# ---- Several processes ----


def write_together(start: Start, url: str, writers: int, count: int, hold_ms: int) -> None:
    running = [start("write", url, count, hold_ms, 30000) for _ in range(writers)]
    for writer in running:
        writer.wait_for("ready")
    for writer in running:
        writer.go()
    for writer in running:
        values = writer.finish()
        assert values["written"] == str(count), values


def test_no_write_is_lost(start: Start, path: Path) -> None:
    url = migrated(start, path)
    write_together(start, url, writers=3, count=500, hold_ms=0)
    rows = rows_of(path)
    assert len(rows) == len(set(rows)) == 1500


def test_writers_take_turns(start: Start, path: Path) -> None:
    """A process that writes without pause lets the others in between."""
    url = migrated(start, path)
    write_together(start, url, writers=2, count=20, hold_ms=50)
    runs = [len(list(run)) for _, run in groupby(rows_of(path), key=lambda row: row[0])]
    # The last run is of the writer that is left alone.
    assert max(runs[1:-1], default=99) <= 4, runs


def test_lock_held_too_long(start: Start, path: Path) -> None:
    url = migrated(start, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = start("write", url, 1, 0, 300)
        writer.go()
        values = writer.finish()
        assert values["error"] == "BH_EUNAVAILABLE", values
        assert "another process holds the database's lock" in values["message"]
        other.execute("ROLLBACK")
    assert rows_of(path) == []


# ---- Unusable files ----


def refusal(start: Start, path: Path, **options: object) -> tuple[str, str]:
    """Error and message of opening and migrating `path`."""
    values = start("migrate", f"sqlite:{path}", 1, **options).finish()
    assert "error" in values, values
    assert str(path) in values["message"] or "database" in values["message"], values
    return values["error"], values["message"]


@pytest.mark.parametrize("content", [b"plain text\n" * 1000, bytes(range(256)) * 64])
def test_not_a_database(start: Start, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    error, message = refusal(start, path)
    assert error == "BH_ECORRUPT"
    assert "file is not a database; name another file, or restore this one" in message
    assert path.read_bytes() == content


def test_empty_file_is_a_new_database(start: Start, path: Path) -> None:
    path.touch()
    migrated(start, path)


def test_damaged_database(start: Start, path: Path) -> None:
    migrated(start, path)
    content = bytearray(path.read_bytes())
    content[100:4096] = bytes([0xFF]) * 3996  # the page of the schema
    path.write_bytes(content)
    error, message = refusal(start, path)
    assert error == "BH_ECORRUPT"
    assert "restore the file from a backup" in message


def test_cut_database(start: Start, path: Path) -> None:
    migrated(start, path)
    path.write_bytes(path.read_bytes()[:4096])
    error, message = refusal(start, path)
    assert error == "BH_ECORRUPT", message
    assert "restore the file from a backup" in message


@pytest.fixture
def others_folder() -> Iterator[Path]:
    """A folder that an unprivileged user may enter; tests' own folders are closed to others."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path(f"/tmp/test-db-{os.getpid()}")
    folder.mkdir(mode=0o755)
    yield folder
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def test_read_only_folder(start: Start, others_folder: Path) -> None:
    path = others_folder / "test.db"
    error, message = refusal(start, path, user=65534)
    assert error == "BH_EACCESS"
    assert f'make its folder "{others_folder}" writable for this user' in message
    migrated(start, path)
    path.chmod(0o666)
    error, message = refusal(start, path, user=65534)
    assert error == "BH_EACCESS"
    assert f'make its folder "{others_folder}" writable for this user' in message


def test_read_only_file(start: Start, others_folder: Path) -> None:
    path = others_folder / "test.db"
    migrated(start, path)
    others_folder.chmod(0o777)
    error, message = refusal(start, path, user=65534)
    assert error == "BH_EACCESS"
    assert "make it readable and writable for this user" in message


def test_newer_schema(start: Start, path: Path) -> None:
    url = migrated(start, path)
    assert start("migrate", url, 2).finish()["after"] == "2"
    values = start("migrate", url, 1).finish()
    assert values["error"] == "BH_ECONFLICT"
    assert 'it has migration "0002_more", this program knows 1' in values["message"]
