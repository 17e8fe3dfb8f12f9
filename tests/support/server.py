"""A server under test: started on a free port of 127.0.0.1, watched, ended by its pid."""

from __future__ import annotations

import http.client
import os
import re
import signal
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from support.ports import free_port
from support.process import environment, processes_of_session, sanitizer_report

START_SECONDS = 90.0
STOP_SECONDS = 90.0
POLL_SECONDS = 0.005


@dataclass
class ServerOptions:
    """How to start it. `ready` False: do not wait until it is ready. Without a supervisor unless
    told otherwise (`SUPERVISOR="on"`), so that its pid is that of the process that serves."""

    binary: Path
    directory: Path
    settings: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("serve",)
    ready: bool = True
    ready_path: str = "/api/health/ready"
    tls_ca: Path | None = None  # it serves under TLS; who signed its certificate


class Server:
    """One server process. Its standard output and error go to `log_path`."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.port = int(options.settings.get("PORT", 0)) or free_port()
        self.log_path = options.directory.parent / f"server-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.was_killed = False

    @property
    def pid(self) -> int:
        assert self.process, "not started"
        return self.process.pid

    def workers(self) -> list[int]:
        """Process ids of a supervisor's children."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    @property
    def url(self) -> str:
        return f"{'https' if self.options.tls_ca else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the process and, unless told otherwise, waits until it is ready."""
        defaults = {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATABASE_URL": f"sqlite:{self.options.directory / 'library.db'}",
            "LOG_FORMAT": "text",
            "SUPERVISOR": "off",
            "RATE_LIMIT_ENABLED": "off",  # tests and benches are no honest clients
        }
        self.was_killed = False
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [self.options.binary, *self.options.arguments],
                cwd=self.options.directory,
                env=environment(defaults | self.options.settings, self.options.directory),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self.options.ready:
            self.wait_ready()

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Returns once the ready endpoint answers 200; fails if the process ends before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.process.poll() if self.process else None
            assert status is None, f"the server ended with {status}:\n{self.log()}"
            if self._answers_ready():
                return
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"not ready within {seconds} s:\n{self.log()}")

    def _answers_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if self.options.tls_ca:
            context = ssl.create_default_context(cafile=self.options.tls_ca)
            connection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=30, context=context
            )
        try:
            connection.request("GET", self.options.ready_path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def log(self) -> str:
        """Everything it printed so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_log(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        """Waits until the log holds `pattern`, and returns the match."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            match = re.search(pattern, self.log())
            if match:
                return match
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"{pattern!r} not logged within {seconds} s:\n{self.log()}")

    def rss_bytes(self) -> int:
        """Resident memory of the process itself."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak_bytes(self) -> int:
        """The most resident memory the process ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        assert match, status
        return int(match.group(1)) * 1024

    def open_files(self) -> int:
        """How many file descriptors it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def terminate(self) -> None:
        """Sends SIGTERM and returns at once."""
        if self.is_running():
            os.kill(self.pid, signal.SIGTERM)

    def wait_exit(self, seconds: float = STOP_SECONDS) -> int:
        """Waits for its end and returns the exit status (negative: the signal)."""
        assert self.process, "not started"
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.log()}") from None

    def kill(self) -> None:
        """Ends it and its children with SIGKILL, as a power cut would."""
        if self.process and (self.is_running() or processes_of_session(self.pid)):
            self.was_killed = True
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait(STOP_SECONDS)
            # A child that was about to run another program may hold the listener for a moment yet.
            deadline = time.monotonic() + STOP_SECONDS
            while processes_of_session(self.pid) and time.monotonic() < deadline:
                time.sleep(0.001)

    def finish(self) -> None:
        """The end of the test: SIGTERM, exit status 0, no process left, no sanitizer report."""
        if self.process is None:
            return
        if self.is_running():
            self.terminate()
            status = self.wait_exit()
            assert status == 0, f"exit status {status} after SIGTERM:\n{self.log()}"
        left = [] if self.was_killed else processes_of_session(self.pid)
        assert not left, f"left running after the server's end: {left}"
        report = sanitizer_report(self.log())
        assert not report, report
