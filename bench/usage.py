"""What a server has used: all processes of the session that its first process leads."""

from __future__ import annotations

import os
from pathlib import Path

from harness import processes_of_session


def pids(session: int) -> list[int]:
    return [int(line.split()[0]) for line in processes_of_session(session)]


def memory_bytes(session: int) -> int:
    """Resident; what its processes share is counted once."""
    return sum(map(proportional_bytes, pids(session)))


def proportional_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def processor_seconds(session: int) -> float:
    """In its own code and in the system, since each process began."""
    return sum(map(ticks, pids(session))) / os.sysconf("SC_CLK_TCK")


def ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
