"""A memory limit of a test's own, and those who use up what is within it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from support.ingest import wait_until
from support.ports import free_port
from support.server import Server

MIB = 1 << 20
CGROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


class MemoryCgroup:
    """A cgroup of the test's own, version 1 or 2."""

    def __init__(self, parent: Path) -> None:
        self.is_first = (parent / "memory.limit_in_bytes").exists()
        self.folder = parent / f"bulkhead-test-{os.getpid()}-{free_port()}"
        self.folder.mkdir()
        self.limit = 0

    @property
    def enter(self) -> str:
        """A shell command."""
        return f"echo $$ >{self.folder}/cgroup.procs"

    def set_limit(self, size: int) -> None:
        self.limit = size
        name = "memory.limit_in_bytes" if self.is_first else "memory.max"
        (self.folder / name).write_text(str(size))

    def used(self) -> int:
        """What cannot be dropped."""
        usage, prefix = (
            ("memory.usage_in_bytes", "total_") if self.is_first else ("memory.current", "")
        )
        stat = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        files = int(stat[prefix + "inactive_file"]) + int(stat[prefix + "active_file"])
        return int((self.folder / usage).read_text()) - files

    def kills(self) -> int:
        name = "memory.oom_control" if self.is_first else "memory.events"
        found = re.search(r"^oom_kill (\d+)", (self.folder / name).read_text(), re.M)
        assert found
        return int(found.group(1))

    def remove(self) -> None:
        wait_until(lambda: not (self.folder / "cgroup.procs").read_text())
        self.folder.rmdir()


class Neighbour:
    """Another process of the cgroup, which takes memory as it is told."""

    PROGRAM = """
import sys
taken = []
for line in sys.stdin:
    taken.append(b"x" * int(line))
    print(flush=True)
"""

    def __init__(self, cgroup: MemoryCgroup) -> None:
        self.process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                f'{cgroup.enter}; exec "$@"',
                "sh",
                sys.executable,
                "-c",
                self.PROGRAM,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.cgroup = cgroup

    def take(self, size: int) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{size}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline(), "it was killed"

    def press(self, server: Server) -> None:
        """Takes memory until the server has done the last step of its ladder; never so much that
        nothing is left for what the server has in hand."""
        deadline = time.monotonic() + 60
        while "heavy work: done" not in server.log():
            assert time.monotonic() < deadline, server.log()
            if self.cgroup.used() < 0.88 * self.cgroup.limit:
                self.take(2 * MIB)
            time.sleep(0.005)

    def leave(self) -> None:
        self.process.communicate()

    def __enter__(self) -> Neighbour:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


class SlowReaders:
    """Clients of the export that read nothing but the beginning."""

    def __init__(self, port: int, count: int) -> None:
        self.sockets = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(count)]
        for one in self.sockets:
            one.sendall(b"GET /api/export HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        self.statuses = Counter(one.recv(4096).split()[1] for one in self.sockets)

    def ends(self) -> set[bytes]:
        """Reads on: the last bytes of each."""
        ends = set()
        for one in self.sockets:
            tail = b""
            while piece := one.recv(1 << 20):
                tail = (tail + piece)[-7:]
            ends.add(tail)
        return ends

    def close(self) -> None:
        for one in self.sockets:
            one.close()
