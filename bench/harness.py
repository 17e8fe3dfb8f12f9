"""What the scenarios share: rows with their required bound, machine notes, results on disk."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # servers and clients of tests/support

from support.ports import free_port  # noqa: E402
from support.process import processes_of_session  # noqa: E402
from support.server import Server, ServerOptions  # noqa: E402


@dataclass(frozen=True)
class Row:
    """One figure. `ours` and `limit` are medians over the rounds of one run; `value`, their ratio
    or the figure itself, must be at least (or at most) `bound`."""

    name: str
    value: float
    unit: str  # "×" for a ratio
    bound: float
    at_least: bool
    ours: float | None = None
    limit: float | None = None
    rounds: list[list[float]] = field(default_factory=list)  # [ours, limit] of each

    @property
    def ok(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def required(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {number(self.bound)} {self.unit}"


@dataclass(frozen=True)
class Table:
    """Figures beside the rows, without a bound."""

    title: str
    head: list[str]
    lines: list[list[str]]

    def __str__(self) -> str:
        return f"{self.title}\n\n{aligned([self.head, *self.lines])}"


def number(value: float | None) -> str:
    """Three significant digits, thousands grouped."""
    if value is None:
        return ""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def ratio(name: str, rounds: list[list[float]], bound: float) -> Row:
    """The median of the rounds' own ratios: what slows a whole round slows both sides of it."""
    ours, limit = (statistics.median(r[side] for r in rounds) for side in (0, 1))
    value = statistics.median(r[0] / r[1] for r in rounds)
    return Row(name, value, "×", bound, True, ours, limit, rounds)


def at_most(name: str, value: float, unit: str, bound: float) -> Row:
    return Row(name, value, unit, bound, False, ours=value)


def at_least(name: str, value: float, unit: str, bound: float) -> Row:
    return Row(name, value, unit, bound, True, ours=value)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def interleave(
    rounds: int, ours: Callable[[], float], limit: Callable[[], float]
) -> list[list[float]]:
    """Measures the two in turn, and in the other order every second round."""
    results = []
    for index in range(rounds):
        if index % 2 == 0:
            first = ours()
            results.append([first, limit()])
        else:
            first = limit()
            results.append([ours(), first])
    return results


@dataclass(frozen=True)
class Bench:
    """Folders and options of one run."""

    work: Path  # scratch files, kept between runs: build/bench
    binaries: Path  # of the release build
    rounds: int
    seconds: int  # of one measurement
    database: str = "sqlite"  # or "postgres", where a scenario runs on either
    users: tuple[int, ...] = ()  # how many people, where a scenario has rows by that; none: all
    tables: list[Table] = field(default_factory=list)  # what the scenario found besides rows

    @property
    def tomehub(self) -> Path:
        return self.binaries / "services" / "tomehub" / "tomehub"

    def limit(self, name: str) -> Path:
        return self.binaries / "bench" / name

    def server(self, folder: Path, **settings: str) -> Server:
        """A TomeHub on the library in `folder`, started and ready. It keeps no answers unless told
        to: what is measured elsewhere is what it does for each."""
        return self.server_with(folder, settings)

    def server_with(
        self, folder: Path, settings: dict[str, str], tls_ca: Path | None = None
    ) -> Server:
        """The same; `tls_ca` as in ServerOptions."""
        folder.mkdir(parents=True, exist_ok=True)
        defaults = {"LOG_LEVEL": "warning", "ACCESS_LOG": "off", "CACHE_ENABLED": "off"}
        server = Server(ServerOptions(self.tomehub, folder, defaults | settings, tls_ca=tls_ca))
        server.start()
        return server

    def say(self, text: str) -> None:
        print(f"    {text}", file=sys.stderr, flush=True)


__all__ = ["ROOT", "Bench", "Row", "Server", "ServerOptions", "Table", "at_least", "at_most"]
__all__ += [
    "free_port",
    "interleave",
    "number",
    "percentile",
    "output_of",
    "processes_of_session",
    "ratio",
]


def output_of(*command: str) -> str:
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return process.stdout.strip().split("\n")[0]


def machine() -> dict[str, str]:
    """Where it was measured."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": output_of("git", "describe", "--always", "--dirty"),
        "cpu": cpu,
        "cores": str(os.cpu_count()),
        "memory": f"{memory_kb / 1024**2:.0f} GiB",
        "kernel": platform.release(),
        "compiler": output_of("gcc", "--version"),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def table(rows: list[Row]) -> str:
    """The rows as Markdown, aligned so that they read well on a terminal too."""
    head = ["", "ours", "limit", "value", "required", ""]
    cells = [head] + [
        [
            row.name,
            number(row.ours),
            number(row.limit),
            f"{row.value:.2f} ×" if row.unit == "×" else f"{number(row.value)} {row.unit}".strip(),
            row.required.strip(),
            "ok" if row.ok else "MISSED",
        ]
        for row in rows
    ]
    return aligned(cells)


def aligned(cells: list[list[str]]) -> str:
    """Markdown; the first line is the head."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |"
        for line in cells
    ]
    lines.insert(1, "| " + " | ".join("-" * max(width, 3) for width in widths) + " |")
    return "\n".join(lines)


def save(
    name: str, description: str, notes: dict[str, str], rows: list[Row], tables: list[Table]
) -> Path:
    """Writes bench/results/<date>-<name>.md and .json; returns the former."""
    folder = ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{notes['date'][:10]}-{name}.md"
    machine_lines = "\n".join(f"- {key}: {value}" for key, value in notes.items())
    figures = "\n\n".join([table(rows), *map(str, tables)])
    path.write_text(f"# {name}\n\n{description.strip()}\n\n{figures}\n\n{machine_lines}\n")
    values = [asdict(row) | {"ok": row.ok} for row in rows]
    content: dict[str, object] = {"name": name, "machine": notes, "rows": values}
    if tables:
        content["tables"] = [asdict(one) for one in tables]
    path.with_suffix(".json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path
