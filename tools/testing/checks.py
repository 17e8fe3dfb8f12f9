"""The source checks, tools/check-*: each one counts as a test."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testing.context import Context, Result, tail

CHECK_LINES = 200
CHECK_TIMEOUT_S = 3600  # on a busy machine, beside other stages


def checks(context: Context) -> Result:
    """As many at a time as there are cores; those that take long use all of them at last."""
    result = Result()
    with ThreadPoolExecutor(context.jobs) as pool:
        paths = sorted((context.root / "tools").glob("check-*"))
        for one in pool.map(lambda path: run_check(context, path), paths):
            result.merge(one)
    return result


def run_check(context: Context, path: Path) -> Result:
    log = context.logs / f"{path.name}.log"
    status = context.run([path], log, timeout_s=CHECK_TIMEOUT_S)
    result = Result()
    result.add(path.name, status == 0, tail(log, CHECK_LINES))
    return result
