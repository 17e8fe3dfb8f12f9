"""`make cluster`: two servers behind HAProxy, a primary with its replica, and Redis, as the guide
has it; what clients notice when parts of it die. The tests share one cluster, in this order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.http import JsonClient
from support.http_layer import wait_until
from support.own_writes import BOOKS, OwnWrites
from support.postgres import server_folder
from support.process import sanitizer_report

SECONDS = 60.0
END = "that was all"


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


FAULTS = {
    "a worker": "kill -9 $(pgrep -P $(cat build/cluster/one.pid))",
    "a server": "kill -9 $(cat build/cluster/two.pid) $(pgrep -P $(cat build/cluster/two.pid))",
    "the server comes back": "tools/cluster start two",
    "a server leaves": "two=$(cat build/cluster/two.pid); kill $two; tail --pid=$two -f /dev/null",
    "it comes back": "tools/cluster start two",
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
    load = OwnWrites(cluster.port("URL"))
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
            for number in range(20)  # while one is made, another may come back
        ]
    assert min(remaining) < remaining[0], remaining


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
    load = OwnWrites(cluster.port("URL"))
    with load.running():
        load.go_on()
    assert not (load.failed_reads or load.failed_writes or load.old)
    cluster.finish()
