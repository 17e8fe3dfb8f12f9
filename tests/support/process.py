"""Programs under test: their environment, their end, and what sanitizers said of them."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

SANITIZER_REPORT = re.compile(
    r"(?:ERROR|WARNING): \w*Sanitizer|SUMMARY: \w*Sanitizer|: runtime error: |assertion failed"
)
ROOT = Path(__file__).resolve().parent.parent.parent


def busy() -> float:
    """What a time limit is multiplied by: how many want each of the machine's cores, 1 at least.
    The load average lags behind; that other workers run tests is known at once."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1), 2.0 * (workers - 1))


def environment(settings: dict[str, str], home: Path) -> dict[str, str]:
    """A small environment for a program under test: nothing of the developer's own leaks in."""
    suppressions = ROOT / "tests" / "tsan.supp"
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=0:exitcode=66",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": f"exitcode=66:suppressions={suppressions}",
        **settings,
    }


def sanitizer_report(text: str) -> str:
    """From the first sanitizer report or failed assertion in `text` to its end; "" if none."""
    match = SANITIZER_REPORT.search(text)
    return text[match.start() :] if match else ""


def processes_of_session(session: int) -> list[str]:
    """`pid name` of each live process of a session, zombies not counted."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        name = text[text.index("(") + 1 : text.rindex(")")]
        state, _, _, its_session = text[text.rindex(")") + 2 :].split()[:4]
        if int(its_session) == session and state not in "ZX":
            found.append(f"{stat.parent.name} {name}")
    return found


@dataclass(frozen=True)
class CommandResult:
    """What a command printed and how it ended."""

    status: int
    stdout: str
    stderr: str


def run_command(
    binary: Path,
    directory: Path,
    arguments: tuple[object, ...],
    settings: dict[str, str],
    timeout: float = 240,
    stdin: bytes = b"",
) -> CommandResult:
    """Runs `binary` in `directory` until it ends; a sanitizer report fails the test."""
    process = subprocess.run(
        [binary, *map(str, arguments)],
        cwd=directory,
        env=environment(settings, directory),
        input=stdin,
        capture_output=True,
        timeout=timeout,
    )
    stderr = process.stderr.decode(errors="replace")
    report = sanitizer_report(stderr)
    assert not report, report
    return CommandResult(process.returncode, process.stdout.decode(errors="replace"), stderr)
