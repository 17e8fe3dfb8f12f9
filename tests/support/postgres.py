#!/usr/bin/python3
"""A PostgreSQL server for tests: its own data folder, a free port on 127.0.0.1, no durability.

As a program it runs another one with the server's address in TEST_POSTGRES_URL:

    tests/support/postgres.py PROGRAM [ARGUMENT ...]
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a program

from support.ports import free_port  # noqa: E402

Command = list[str | Path]
START_SECONDS = 90.0
SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
shared_buffers = 64MB
max_connections = 100
autovacuum_naptime = 5s
log_min_messages = warning
"""


def program(name: str) -> Path:
    """The newest installed PostgreSQL's program."""
    found = [*Path("/usr/lib/postgresql").glob(f"[0-9]*/bin/{name}")]
    if found:
        return max(found, key=lambda path: int(path.parent.parent.name))
    in_path = shutil.which(name)
    assert in_path, f"no {name} here; install postgresql (tools/deps test)"
    return Path(in_path)


def demote() -> tuple[Callable[[], None] | None, int | None]:
    """PostgreSQL refuses root: what a child does before it becomes initdb or postgres."""
    if os.geteuid() != 0:
        return None, None
    user = pwd.getpwnam("postgres")

    def become() -> None:
        os.setgid(user.pw_gid)
        os.setgroups([])
        os.setuid(user.pw_uid)

    return become, user.pw_uid


@contextmanager
def server_folder() -> Iterator[Path]:
    """A temporary folder that the server's user may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="test-postgres-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


class Postgres:
    """One server. `stop`, `kill` and `start` may follow each other; the port and data stay."""

    def __init__(self, folder: Path, template: Path | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.become, self.owner = demote()
        folder.mkdir(exist_ok=True)
        if self.owner is not None:
            os.chown(folder, self.owner, -1)
        if template:
            subprocess.run(["cp", "-a", template, self.data], check=True)
        else:
            self.make_data()

    def make_data(self) -> None:
        command: Command = [program("initdb"), "-D", self.data, "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, preexec_fn=self.become)
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write(SETTINGS)

    def start(self, **settings: object) -> None:
        """Starts the server and waits until it takes connections."""
        options = [f"-c{name}={value}" for name, value in settings.items()]
        with (self.folder / "log").open("ab") as log:
            command: Command = [program("postgres"), "-D", self.data]
            command += ["-p", str(self.port), "-k", self.folder, *options]
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self.become,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            assert self.process.poll() is None, f"PostgreSQL has ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"PostgreSQL does not start:\n{self.log()}"
            time.sleep(0.02)

    def is_ready(self) -> bool:
        command: Command = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command).returncode == 0

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Runs it in psql; returns the rows, a line each, columns parted by |."""
        command: Command = [program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement]
        result = subprocess.run(
            [*command, self.url(database)], capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Nobody else reads or writes the table meanwhile."""
        with subprocess.Popen(
            [program("psql"), "-XAtq", self.url()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as session:
            assert session.stdin and session.stdout
            session.stdin.write(f"BEGIN; LOCK TABLE {table}; SELECT 'locked';\n")
            session.stdin.flush()
            assert session.stdout.readline() == "locked\n"
            try:
                yield
            finally:
                session.stdin.close()

    def create(self, database: str) -> str:
        """A new, empty database; returns its URL."""
        self.sql(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def replica(self, folder: Path) -> Postgres:
        """A copy in `folder` that follows this server by streaming replication; not started."""
        copy = Postgres.__new__(Postgres)
        copy.folder, copy.data, copy.port, copy.process = folder, folder / "data", free_port(), None
        copy.become, copy.owner = self.become, self.owner
        folder.mkdir()
        if copy.owner is not None:
            os.chown(folder, copy.owner, -1)
        command: Command = [program("pg_basebackup"), "-d", self.url(), "-D", copy.data]
        command += ["-R", "-X", "stream", "-c", "fast", "--no-sync"]
        subprocess.run(command, check=True, preexec_fn=self.become)
        return copy

    def promote(self) -> None:
        """Makes a replica the primary; returns once it is."""
        command: Command = [program("pg_ctl"), "promote", "-D", self.data, "-s"]
        subprocess.run(command, check=True, preexec_fn=self.become)

    def require_password(self, role: str) -> None:
        """From now on this role has to tell one."""
        path = self.data / "pg_hba.conf"
        path.write_text(f"host all {role} all scram-sha-256\n" + path.read_text())
        self.sql("SELECT pg_reload_conf()")

    def use_tls(self, name: str) -> Path:
        """From now on it takes TLS, as a host of that address; returns the certificate to trust."""
        certificate, key = self.data / "server.crt", self.data / "server.key"
        command: Command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
        ]
        command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{name}"]
        command += ["-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, capture_output=True, preexec_fn=self.become)
        key.chmod(0o600)
        self.sql("ALTER SYSTEM SET ssl = on")
        self.sql("SELECT pg_reload_conf()")
        return certificate

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pids(self) -> list[int]:
        """The postmaster and all of its children."""
        assert self.process
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        return [self.process.pid, *map(int, children.stdout.split())]

    def signal_all(self, number: signal.Signals) -> None:
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """SIGKILL for every process of it, as if the machine had lost power."""
        if self.process and self.process.poll() is None:
            self.signal_all(signal.SIGKILL)
            self.process.wait(START_SECONDS)
        self.process = None

    def stop(self) -> None:
        """A fast shutdown: sessions are ended."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None


@contextmanager
def own_server(template: Path | None = None) -> Iterator[Postgres]:
    """A running server in a folder of its own; `template`: a data folder to begin with."""
    with server_folder() as folder:
        server = Postgres(folder / "server", template)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def own_replica(primary: Postgres, **settings: object) -> Iterator[Postgres]:
    """A running streaming replica in a folder of its own."""
    with server_folder() as folder:
        server = primary.replica(folder / "server")
        server.start(**settings)
        try:
            yield server
        finally:
            server.stop()


def main() -> int:
    with own_server() as server:
        environment = {**os.environ, "TEST_POSTGRES_URL": server.url()}
        return subprocess.run(sys.argv[1:], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
