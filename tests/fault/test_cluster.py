"""`make cluster`: two servers behind HAProxy, a primary with its replica, and Redis, as the guide
has it; what clients notice when parts of it die. The tests share one cluster, in this order."""

from __future__ import annotations

import http.client
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.http import JsonClient
from support.http_layer import wait_until
from support.postgres import server_folder
from support.process import sanitizer_report

SECONDS = 60.0
END = "that was all"
BOOKS = 4


class Cluster:
    """tools/cluster in a folder, and a shell beside it as the guide's reader has one."""

    def __init__(self, root: Path, binary: Path, folder: Path) -> None:
        self.folder = folder
        self.tool = f"{root}/tools/cluster --folder {folder}"
        self.output = (folder / "output").open("w+")
        self.process = subprocess.Popen(
            [*self.tool.split(), "--binary", binary],
            stdout=self.output,
            stderr=self.output,
            start_new_session=True,
        )
        wait_until(lambda: "Ctrl-C ends" in self.told() or self.process.poll() is not None, SECONDS)
        assert self.process.poll() is None, self.told()
        self.shell = subprocess.Popen(
            ["bash"],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines = (folder / "env").read_text().splitlines()
        self.env = dict(line.split("=", 1) for line in lines)

    def told(self) -> str:
        return (self.folder / "output").read_text()

    def port(self, name: str) -> int:
        found = re.search(r":(\d+)(/|$)", self.env[name].replace("//", ""))
        assert found
        return int(found.group(1))

    def type(self, commands: str) -> str:
        """Runs them in the shell, as they stand in the guide; returns what it printed."""
        local = commands.replace("build/cluster/", f"{self.folder}/")
        local = local.replace("tools/cluster ", f"{self.tool} ")
        assert self.shell.stdin and self.shell.stdout
        self.shell.stdin.write(f"{local}\necho; echo {END} $?\n")
        self.shell.stdin.flush()
        printed = ""
        while END not in printed:
            line = self.shell.stdout.readline()
            assert line, f"the shell has ended:\n{printed}"
            printed += line
        text, _, status = printed.rpartition(END)
        assert status.strip() == "0", f"{commands}\n{printed}"
        return text

    def pids(self) -> list[int]:
        return [int(path.read_text()) for path in self.folder.glob("*.pid")]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def finish(self) -> None:
        """Ctrl-C: every child has ended, and no server has lost its head."""
        pids = self.pids()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(SECONDS) == 0, self.told()
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        for name in ("one", "two"):
            assert not sanitizer_report(self.log(name))

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(SECONDS)
        self.output.close()


@pytest.fixture(scope="module")
def cluster(root: Path, tomehub_binary: Path) -> Iterator[Cluster]:
    with server_folder() as folder:
        cluster = Cluster(root, tomehub_binary, folder)
        try:
            yield cluster
        finally:
            cluster.close()


def blocks(root: Path) -> list[str]:
    guide = (root / "docs" / "guide" / "cluster.md").read_text()
    return re.findall(r"^```sh\n(.*?)^```$", guide, re.M | re.S)


class Load:
    """Clients that write and read through HAProxy, each its own book, and must always find what
    they have written, whichever server answers."""

    READS = ("/api/content/{chunk}", "/api/books/{book}", "/api/search?q=clover&book_id={book}")

    def __init__(self, port: int) -> None:
        self.port = port
        self.over = threading.Event()
        self.reads = self.writes = 0
        self.failed_reads: list[str] = []
        self.failed_writes: list[str] = []
        self.old: list[str] = []
        with JsonClient(port) as client:
            self.books = [client.ingest_text("0", f"Clover {n}.") for n in range(BOOKS)]

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """A new connection now and then; 0: none, or it broke off."""
        try:
            with JsonClient(self.port) as client:
                answer = client.send(method, path, body) if body else client.get(path)
                return answer.status, answer.text
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)

    def run(self, book: int) -> None:
        dice = random.Random(book)
        value = 0
        while not self.over.is_set():
            value += 1
            path = f"/api/books/{book}"
            status, text = self.ask("PATCH", path, {"title": f"<{value}>"})
            self.writes += 1
            if status != 200:
                self.failed_writes.append(f"{status} {text}")
                continue
            for read in dice.sample(self.READS, 2):
                path = read.format(book=book, chunk=book << 20)
                status, text = self.ask("GET", path)
                self.reads += 1
                if status != 200:
                    self.failed_reads.append(f"{path}: {status} {text}")
                elif f"<{value}>" not in text:
                    self.old.append(f"{path}: no <{value}> in {text}")
            self.over.wait(dice.random() * 0.1)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.run, args=(book,)) for book in self.books]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()

    def go_on(self, count: int = 40) -> None:
        """Until so many more requests were answered."""
        wanted = self.reads + count
        wait_until(lambda: self.reads >= wanted, SECONDS)


FAULTS = {
    "a worker": "kill -9 $(pgrep -P $(cat build/cluster/one.pid))",
    "a server": "kill -9 $(cat build/cluster/two.pid) $(pgrep -P $(cat build/cluster/two.pid))",
    "the server comes back": "tools/cluster start two",
    "a restart": '(cd build/cluster/one && "$TOMEHUB" restart)',
    "Redis": "kill -9 $(cat build/cluster/redis.pid)",
    "Redis comes back": "tools/cluster start redis",
    "the replica": "kill -9 $(cat build/cluster/replica.pid)",
    "the replica comes back": "tools/cluster start replica",
    "the replica stands still": 'psql -qAtc "SELECT pg_wal_replay_pause()" "$REPLICA"',
    "the replica goes on": 'psql -qAtc "SELECT pg_wal_replay_resume()" "$REPLICA"',
}


def test_what_clients_notice_of_faults(cluster: Cluster) -> None:
    """Nothing, but for the writes that were in hand of what was killed."""
    cluster.type(". build/cluster/env")
    load = Load(cluster.port("URL"))
    failed = {}
    with load.running():
        load.go_on()
        for name, commands in FAULTS.items():
            before = len(load.failed_writes)
            cluster.type(commands)
            load.go_on()
            failed[name] = load.failed_writes[before:]
    assert not load.failed_reads, load.failed_reads[:3]
    assert not load.old, load.old[:3]
    for name in ("a worker", "a server"):
        assert len(failed.pop(name)) <= BOOKS, load.failed_writes
    assert not any(failed.values()), failed


def test_the_address_is_the_clients_not_the_proxys(cluster: Cluster) -> None:
    """What a client claims to be counts for nothing."""
    with JsonClient(cluster.port("URL")) as client:
        remaining = [
            int(
                client.request(
                    "POST",
                    "/api/ingest",
                    b"no form",
                    x_forwarded_for=f"203.0.113.{number}",
                    content_type="application/json",
                ).headers["x-ratelimit-remaining"]
            )
            for number in range(3)
        ]
    assert remaining[0] > remaining[1] > remaining[2]


def gives_what_it_kept(cluster: Cluster) -> bool:
    with JsonClient(cluster.port("URL")) as client:
        answer = client.get("/api/search", q="speckled")
        assert answer.status in (200, 503) and "application/json" in answer.headers["content-type"]
        return answer.headers.get("x-cache") == "degraded"


def test_every_command_of_the_guide(cluster: Cluster, root: Path) -> None:
    """In the order of the page, in one shell, on a cluster that runs."""
    make, *others = blocks(root)
    assert make == "make cluster\n"
    remaining, loads = [], 0
    for block in others:
        printed = cluster.type(block)
        if "primary.pid" in block:
            wait_until(lambda: gives_what_it_kept(cluster), SECONDS)
        remaining += re.findall(r"x-ratelimit-remaining: (\d+)", printed, re.I)
        if re.search(r"\bload(;|$)", block, re.M):
            assert re.findall(r"^ *(\d+) (\d{3})$", printed, re.M) == [("100", "200")], printed
            loads += 1
    assert loads == 7
    assert int(remaining[1]) == int(remaining[0]) - 1
    assert printed.startswith("t\n")  # the old primary follows
    load = Load(cluster.port("URL"))
    with load.running():
        load.go_on()
    assert not (load.failed_reads or load.failed_writes or load.old)
    cluster.finish()
