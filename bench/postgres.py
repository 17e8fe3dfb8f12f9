"""A PostgreSQL of the bench's own, with settings for speed that lose no data; its data stay between
runs. pgbench, the limit of what is measured on it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import Bench, free_port, percentile
from load import THREADS, Load

Command = list[str | Path]

USER = "postgres"  # also of the system: PostgreSQL refuses to run as root
DATABASE = "bench"
SETTINGS = {
    "shared_buffers": "2GB",
    "work_mem": "32MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "4GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
}
START_SECONDS = 60.0
STOP_SECONDS = 60.0
IDLE_SECONDS = 60.0
IDLE_POLLS = 10  # in a row, so that a gap between two queries is not taken for the end
POLL_SECONDS = 0.02


def program(name: str) -> Path:
    """One of PostgreSQL's own programs, of the newest version there is."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4])
    )
    if not versions:
        raise SystemExit(f"bench/run: no {name}; `tools/deps test` installs PostgreSQL")
    return versions[-1]


class Postgres:
    """One running server, reached by its Unix socket."""

    def __init__(self, folder: Path, sockets: Path, port: int) -> None:
        self.folder = folder
        self.sockets = sockets
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What libpq and every other client reads."""
        return {
            "PGHOST": str(self.sockets),
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGDATABASE": DATABASE,
        }

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        settings = SETTINGS | {"port": str(self.port), "unix_socket_directories": self.sockets}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        with (self.folder.parent / "postgres.log").open("wb") as log:
            self.process = subprocess.Popen(
                [program("postgres"), "-D", self.folder, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.sockets,
                start_new_session=True,  # Ctrl-C is for us, not for it
                **as_postgres(),
            )
        deadline = time.monotonic() + START_SECONDS
        ready: Command = [program("pg_isready"), "-q", "-h", self.sockets, "-p", str(self.port)]
        while subprocess.run(ready).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                text = (self.folder.parent / "postgres.log").read_text(errors="replace")
                raise SystemExit(f"bench/run: PostgreSQL does not start:\n{text[-2000:]}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, nothing is lost."""
        if self.process is None or self.process.poll() is not None:
            return
        os.kill(self.process.pid, signal.SIGINT)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, signal.SIGQUIT)
            self.process.wait(STOP_SECONDS)

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


def as_postgres() -> dict[str, Any]:
    """Arguments of Popen that make root the user postgres; nobody else needs to change."""
    return {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def running(bench: Bench) -> Iterator[Postgres]:
    """A server on build/bench/postgres/data, made if it is not there; ended at the end."""
    folder = bench.work / "postgres" / "data"
    sockets = Path(tempfile.mkdtemp(prefix="bulkhead-bench-"))  # a socket's path must be short
    try:
        folder.parent.mkdir(exist_ok=True)
        for path in (folder.parent, sockets):
            if os.geteuid() == 0:
                shutil.chown(path, USER, USER)
        if not (folder / "PG_VERSION").exists():
            initialize(folder, sockets)
        server = Postgres(folder, sockets, free_port())
        server.start()
        try:
            if not server.query(
                f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'", "postgres"
            ):
                server.query(f"CREATE DATABASE {DATABASE}", "postgres")
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def initialize(folder: Path, cwd: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    command: Command = [program("initdb"), "-D", folder, "-U", USER, "-A", "trust"]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=cwd,
        **as_postgres(),
    )
    if process.returncode != 0:
        raise SystemExit(f"bench/run: initdb failed:\n{process.stderr.strip()}")


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
