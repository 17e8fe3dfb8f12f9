"""A PostgreSQL of the bench's own, with settings for speed that lose no data; its data stay between
runs. pgbench, the limit of what is measured on it."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import support.postgres
from harness import Bench, percentile
from load import THREADS, Load
from support.postgres import program

Command = list[str | Path]

USER = "postgres"
DATABASE = "bench"
SETTINGS = {
    "shared_buffers": "2GB",
    "work_mem": "32MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "4GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_connections": "200",
    # What tests do without:
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum_naptime": "60s",
}
IDLE_SECONDS = 60.0
IDLE_POLLS = 10  # in a row, so that a gap between two queries is not taken for the end
POLL_SECONDS = 0.02


class Postgres(support.postgres.Postgres):
    """The tests' server with durability, a database of ours, and data that are there already."""

    def make_data(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            super().make_data()

    @property
    def environment(self) -> dict[str, str]:
        """What libpq and every other client reads: the Unix socket."""
        return {
            "PGHOST": str(self.folder),
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGDATABASE": DATABASE,
        }

    def socket_url(self, database: str = DATABASE, user: str = USER) -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self.folder))}&port={self.port}"

    def psql(self, *arguments: str | Path, database: str = DATABASE) -> list[str]:
        command: Command = [program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", *arguments]
        process = subprocess.run(
            command,
            env=os.environ | self.environment | {"PGDATABASE": database},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if process.returncode != 0:
            raise RuntimeError(f"psql: {process.stderr.strip()}")
        return process.stdout.splitlines()

    def query(self, statement: str, database: str = DATABASE) -> list[str]:
        """The rows, their columns separated by |."""
        return self.psql("-c", statement, database=database)

    def copy_in(self, statement: str) -> subprocess.Popen[str]:
        """A COPY … FROM STDIN that reads what is written to its stdin."""
        return subprocess.Popen(
            [program("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env=os.environ | self.environment,
            stdin=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def session(self) -> Iterator[Session]:
        process = subprocess.Popen(
            [program("psql"), "-XqAt"],
            env=os.environ | self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Session(process)
        finally:
            process.communicate("\\q\n")

    def wait_idle(self) -> None:
        """Until no client's statement has been running for a while."""
        deadline = time.monotonic() + IDLE_SECONDS
        idle = 0
        with self.session() as session:
            while idle < IDLE_POLLS:
                idle = 0 if session.active() else idle + 1
                if time.monotonic() > deadline:
                    raise RuntimeError(f"statements still run {IDLE_SECONDS:.0f} s after the load")
                time.sleep(POLL_SECONDS)


class Session:
    """An open psql, for what is asked many times: an answer takes well below a millisecond."""

    ACTIVE = """SELECT count(*) FROM pg_stat_activity
        WHERE state <> 'idle' AND backend_type = 'client backend' AND pid <> pg_backend_pid();"""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, statement: str) -> str:
        """The first column of a statement that returns one row."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{statement}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def active(self) -> int:
        """How many other clients' statements or transactions are under way."""
        return int(self.ask(self.ACTIVE))


@contextmanager
def running(bench: Bench, **settings: str) -> Iterator[Postgres]:
    """A server on build/bench/postgres, made if it is not there; ended at the end."""
    server = Postgres(bench.work / "postgres")
    try:
        server.start(**SETTINGS | settings)
        own_database(server, DATABASE)
        yield server
    finally:
        server.stop()


def own_database(server: Postgres, name: str) -> str:
    """The URL of another database of the server's, made if it is not there."""
    if not server.query(f"SELECT 1 FROM pg_database WHERE datname = '{name}'", USER):
        server.create(name)
    return server.socket_url(name)


# ---- pgbench ----


@dataclass(frozen=True)
class Script:
    """Statements for pgbench: one of the files, drawn at random, is one transaction."""

    files: tuple[Path, ...]
    variables: dict[str, str]  # values of :name in the files; prepared as parameters
    sampling: float  # the share of transactions whose latency is written down


def pgbench(server: Postgres, script: Script, clients: int, seconds: int) -> Load:
    with tempfile.TemporaryDirectory(prefix="bulkhead-pgbench-") as folder:
        command: Command = [program("pgbench"), "-n", "-M", "prepared"]
        command += ["-c", str(clients), "-j", str(min(clients, THREADS)), "-T", str(seconds)]
        command += ["--log", f"--log-prefix={folder}/log", f"--sampling-rate={script.sampling}"]
        command += [f"-D{name}={value}" for name, value in script.variables.items()]
        command += [f"-f{path}" for path in script.files]
        environment = os.environ | server.environment
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
        match = re.search(r"^tps = ([\d.]+)", process.stdout, re.MULTILINE)
        failed = re.search(r"number of failed transactions: (\d+)", process.stdout)
        if process.returncode != 0 or not match or (failed and failed.group(1) != "0"):
            raise RuntimeError(f"pgbench: {process.stdout[-500:]}{process.stderr[-1500:]}")
        times = latencies_ms(sorted(Path(folder).glob("log*")))
    p50, p95, p99 = (percentile(times, share) for share in (0.5, 0.95, 0.99))
    return Load(float(match.group(1)), p50, p95, p99)


def latencies_ms(logs: Sequence[Path]) -> list[float]:
    """The third column of pgbench's log is a transaction's time in microseconds."""
    return [int(line.split()[2]) / 1e3 for path in logs for line in path.open()]
