"""db_load: a program's load on a PostgreSQL database, watched while a test breaks that."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from support.postgres import Postgres
from support.process import busy, environment, sanitizer_report

READ_MAX, WRITE_MAX = 8, 4
CLIENTS = 20  # on each of two loops

Report = dict[str, int]
# What a request is told whose database is away: a service answers 503.
AWAY = {"BH_EUNAVAILABLE", "BH_ETIMEDOUT", "BH_EBUSY"}


@dataclass
class Options:
    cancel_percent: int = 0
    deadline_s: int = 2  # of a request; long where none may fail, however busy the machine is
    read_url: str = ""
    settings: dict[str, str] = field(default_factory=dict)  # of its environment


def reads(server: Postgres) -> int:
    """Transactions the load's database has seen there."""
    return int(server.sql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'load'"))


def wait_for_reads(server: Postgres, more: int) -> None:
    begun, since = reads(server), time.monotonic()
    while reads(server) < begun + more:
        assert time.monotonic() - since < 30 * busy(), f"{reads(server)} after {begun}"
        time.sleep(0.1)


class Load:
    """A running db_load; its reports come in with their time."""

    def __init__(self, binary: Path, url: str, more: Options, slow: float) -> None:
        self.slow = slow
        arguments = [url, 2, CLIENTS, more.cancel_percent, READ_MAX, WRITE_MAX, more.deadline_s]
        self.most_connections = READ_MAX + WRITE_MAX
        if more.read_url:
            arguments.append(more.read_url)
            self.most_connections += READ_MAX
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [binary, *map(str, arguments)],
            env=environment(more.settings, binary.parent),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.reports: list[tuple[float, Report]] = []
        self.errors: list[str] = []
        self._threads = [
            threading.Thread(target=self._read_reports, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_reports(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            assert line.startswith("ok="), line
            words = (word.split("=") for word in line.split())
            self.reports.append((time.monotonic(), {key: int(value) for key, value in words}))

    def _read_errors(self) -> None:
        assert self.process.stderr
        self.errors.extend(self.process.stderr)

    def now(self) -> Report:
        return self.reports[-1][1] if self.reports else {"ok": 0}

    def wait_for_ok(self, more: int, seconds: float = 20) -> float:
        """Until `more` further requests have succeeded; returns when that was."""
        return self.wait_for("ok", more, seconds)

    def wait_for(self, what: str, more: int, seconds: float = 20) -> float:
        """The same for another count of its reports."""
        begun, since = self.now().get(what, 0), time.monotonic()
        while self.now().get(what, 0) < begun + more:
            assert self.process.poll() is None, "".join(self.errors)
            assert (
                time.monotonic() - since < seconds * self.slow * busy()
            ), f"{self.now()} {self.errors}"
            time.sleep(0.005)
        return time.monotonic()

    def failed(self) -> int:
        return sum(value for key, value in self.now().items() if key.startswith("BH_E"))

    def finish(self, errors: set[str] = AWAY) -> Report:
        """Ends it; nothing may have gone to the wrong request, the pool kept its bounds, and
        nobody has met any other errors."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.wait(60 * self.slow * busy()) == 0, "".join(self.errors)
        for thread in self._threads:
            thread.join(10)
        report = sanitizer_report("".join(self.errors))
        assert not report, report
        last = self.now()
        assert last["wrong"] == 0, last
        assert {key for key in last if key.startswith("BH_E")} <= errors, (last, self.errors)
        assert max(one["connections"] for _, one in self.reports) <= self.most_connections
        return last

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
