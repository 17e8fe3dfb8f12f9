"""What every stage shares: folders, options, running programs with their output in a log."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

TAIL_LINES = 60
PYTHON = "/usr/bin/python3"
SUPPRESSIONS = Path(__file__).resolve().parents[2] / "tests" / "tsan.supp"


@dataclass
class Result:
    """Counts of one stage; `failures`: (name, what it printed)."""

    passed: int = 0
    skipped: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    failed_more: int = 0  # failures whose output stands in an entry of `failures`

    @property
    def failed(self) -> int:
        return len(self.failures) + self.failed_more

    def add(self, name: str, ok: bool, output: str) -> None:
        if ok:
            self.passed += 1
        else:
            self.failures.append((name, output))

    def merge(self, other: Result) -> None:
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures
        self.failed_more += other.failed_more


@dataclass(frozen=True)
class Context:
    root: Path
    fuzz_seconds: int
    jobs: int = os.cpu_count() or 2
    niceness: int = 0  # of the programs it runs

    @property
    def logs(self) -> Path:
        path = self.root / "build" / "test-logs"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def run(
        self,
        command: Sequence[str | Path],
        log: Path,
        extra_environment: dict[str, str] | None = None,
        timeout_s: float = 900,
        cwd: Path | None = None,
    ) -> int:
        """Runs a program, both outputs into `log`; returns its exit status (negative: a signal).

        It gets a session of its own, which is ended as a whole when the time is up."""
        environment = clean_environment() | (extra_environment or {})
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["nice", f"-n{self.niceness}", *command] if self.niceness else command,
                cwd=cwd or self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                return process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                output.write(f"\ntimed out after {timeout_s:.0f} s\n".encode())
                return -signal.SIGKILL
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def clean_environment() -> dict[str, str]:
    """Nothing of the developer's settings reaches a test; sanitizers stop at the first report."""
    kept = ("PATH", "HOME", "TMPDIR", "CC", "CCACHE_DIR", "CCACHE_DISABLE", "NPM_CONFIG_REGISTRY")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "LANG": "C.UTF-8",
        "ASAN_OPTIONS": "detect_leaks=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": f"suppressions={SUPPRESSIONS}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The end of a log; the part people look at first."""
    text = log.read_text(errors="replace").rstrip().split("\n")
    cut = [f"… {len(text) - lines} lines before in {log}"] if len(text) > lines else []
    return "\n".join([*cut, *text[-lines:]])
