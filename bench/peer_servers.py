"""The peers of bench/peers: what they need, how they are built and started."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from harness import Bench, Server, ServerOptions, Table, free_port, output_of
from postgres import Postgres
from shared_data import PEERS
from support.postgres import program

GOPATH = Path("/usr/share/gocode")  # Debian's Go libraries
PGX = GOPATH / "src" / "github.com" / "jackc" / "pgx" / "v4"
PROGRAMS = {"wrk": "wrk", "go": "golang-go", "node": "nodejs", "npm": "npm"}
MODULES = {
    "asyncpg": "python3-asyncpg",
    "fastapi": "python3-fastapi",
    "httptools": "python3-httptools",
    "sqlalchemy": "python3-sqlalchemy",
    "uvicorn": "uvicorn",
    "uvloop": "python3-uvloop",
}
FASTIFY_FILES = ("package.json", "package-lock.json", ".npmrc", "server.mjs")
LISTEN_SECONDS = 20.0
SQLALCHEMY, ASYNCPG = "FastAPI, SQLAlchemy", "FastAPI, asyncpg"
FASTIFY, GO = "Fastify, pg", "Go, pgx"


@dataclass(frozen=True)
class Peer:
    """One server: its command, and how many of its processes listen on the port."""

    name: str
    command: tuple[str, ...]
    listeners: int


def check_needed() -> None:
    """Ends the run when a program or a library is missing, and says which package has it."""
    missing = [package for name, package in PROGRAMS.items() if not shutil.which(name)]
    missing += [name for module, name in MODULES.items() if not importlib.util.find_spec(module)]
    if not PGX.exists():
        missing.append("golang-github-jackc-pgx-v4-dev")
    if missing:
        raise SystemExit(f"bench/run: the peers need {', '.join(missing)}; run `tools/deps bench`")


def build(bench: Bench) -> list[Peer]:
    """Builds the two that have to be built; the work is kept for the next run."""
    check_needed()
    folder = bench.work / "peers"
    folder.mkdir(exist_ok=True)
    python = "/usr/bin/python3"  # Debian's, which has Debian's modules
    return [
        Peer(SQLALCHEMY, (python, str(PEERS / "sqlalchemy_server.py")), 2),
        Peer(ASYNCPG, (python, str(PEERS / "asyncpg_server.py")), 2),
        Peer(FASTIFY, (shutil.which("node") or "", str(install_fastify(folder))), 1),
        Peer(GO, (str(build_go(folder)),), 1),
    ]


def build_go(folder: Path) -> Path:
    binary = folder / "go-server"
    environment = os.environ | {
        "GO111MODULE": "off",  # libraries come from GOPATH, not from the network
        "GOFLAGS": "",
        "GOPATH": str(GOPATH),
        "GOCACHE": str(folder / "go-cache"),
    }
    run_or_end(["go", "build", "-o", str(binary), "."], PEERS / "go", environment)
    return binary


def install_fastify(folder: Path) -> Path:
    """Copies the peer and installs what its lock file names; returns its main file."""
    target = folder / "fastify"
    target.mkdir(exist_ok=True)
    lock, installed = PEERS / "fastify" / "package-lock.json", target / "installed-lock.json"
    for name in FASTIFY_FILES:
        shutil.copy(PEERS / "fastify" / name, target)
    if not installed.exists() or installed.read_bytes() != lock.read_bytes():
        run_or_end(["npm", "ci", "--ignore-scripts", "--loglevel=error"], target, dict(os.environ))
        shutil.copy(lock, installed)
    return target / "server.mjs"


def run_or_end(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if process.returncode != 0:
        text = (process.stderr or process.stdout).strip()[-2000:]
        raise SystemExit(f"bench/run: `{' '.join(command)}` failed:\n{text}")


def versions() -> Table:
    """What was measured."""
    fastify = json.loads((PEERS / "fastify" / "package.json").read_text())["dependencies"]
    pgx = output_of("dpkg-query", "-Wf", "${Version}", "golang-github-jackc-pgx-v4-dev")
    lines = [
        ["PostgreSQL", output_of(str(program("postgres")), "--version")],
        ["Python", ", ".join(f"{name} {version(name)}" for name in MODULES)],
        [
            "Node",
            f"{output_of('node', '--version')}, fastify {fastify['fastify']}, pg {fastify['pg']}",
        ],
        ["Go", f"{output_of('go', 'version')}, pgx {pgx}"],
        ["wrk", output_of("dpkg-query", "-Wf", "${Version}", "wrk")],
    ]
    return Table("## Versions", ["", ""], lines)


@contextmanager
def started(bench: Bench, peer: Peer, database: Postgres) -> Iterator[Server]:
    folder = bench.work / "peers" / "run"
    folder.mkdir(exist_ok=True)
    settings = {"PEERS_SQL": str(PEERS / "sql"), "PORT": str(free_port())}
    server = Server(
        ServerOptions(
            Path(peer.command[0]),
            folder,
            database.environment | settings,
            arguments=peer.command[1:],
            ready_path="/api/health",
        )
    )
    try:
        server.start()
        wait_listeners(server, peer.listeners)
        yield server
    finally:
        server.kill()


def wait_listeners(server: Server, count: int) -> None:
    """The first process may be ready long before the last."""
    deadline = time.monotonic() + LISTEN_SECONDS
    while listeners(server.port) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not {count} listeners on the port:\n{server.log()[-2000:]}")
        time.sleep(0.05)


def listeners(port: int) -> int:
    """How many sockets listen on 127.0.0.1 and this port."""
    place, listening = f"0100007F:{port:04X}", "0A"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1] == place and line[3] == listening for line in lines)
