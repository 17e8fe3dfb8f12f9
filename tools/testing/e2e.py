"""The pages in a real browser (Node's test runner, Playwright, Chromium), and their types."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testing.builds import folder
from testing.context import Context, Result, tail

SUMMARY = re.compile(r"^# (pass|fail|cancelled|skipped) (\d+)", re.MULTILINE)
E2E_TIMEOUT_S = 900
FAILURE_LINES = 150


def e2e(context: Context) -> Result:
    path = context.root / "tests" / "e2e"
    result = Result()
    if not (path / "package.json").exists():
        return result
    log = context.logs / "e2e-install.log"
    if not is_installed(path):
        # npm alone sees the caller's environment: proxies and registries are set there.
        status = context.run(["npm", "ci"], log, dict(os.environ), cwd=path)
        if status != 0:
            result.add("npm ci", False, tail(log))
            return result
    log = context.logs / "e2e-types.log"
    status = context.run(["npm", "run", "--silent", "types"], log, cwd=path)
    result.add("types of the pages", status == 0, tail(log))
    result.merge(browser(context, path))
    return result


def is_installed(path: Path) -> bool:
    """npm writes node_modules/.package-lock.json last."""
    installed = path / "node_modules" / ".package-lock.json"
    lock = path / "package-lock.json"
    return installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime


def browser(context: Context, path: Path) -> Result:
    """Each file has a server and a browser of its own: as many at a time as there are cores."""
    result = Result()
    with ThreadPoolExecutor(context.jobs) as pool:
        files = sorted(path.glob("*.test.js"))
        for one in pool.map(lambda file: run_file(context, file), files):
            result.merge(one)
    return result


def run_file(context: Context, file: Path) -> Result:
    name = file.name.removesuffix(".test.js")
    log = context.logs / f"e2e-{name}.log"
    status = context.run(
        ["node", "--test", "--test-reporter=tap", file.name],
        log,
        {"BH_BUILD": str(folder(context, "release"))},
        timeout_s=E2E_TIMEOUT_S,
        cwd=file.parent,
    )
    counts = {key: int(count) for key, count in SUMMARY.findall(log.read_text(errors="replace"))}
    failed = counts.get("fail", 0) + counts.get("cancelled", 0)
    result = Result(passed=counts.get("pass", 0), skipped=counts.get("skipped", 0))
    if status != 0 or failed:
        result.add(f"e2e {name}", False, tail(log, FAILURE_LINES))
        result.failed_more = max(failed - 1, 0)
    return result
