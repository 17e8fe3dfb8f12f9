"""Unit tests: cmocka programs of one build folder, each case counted."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from testing.builds import MESON, fixed_addresses, folder
from testing.context import Context, Result, tail

PLAN = re.compile(r"^1\.\.(\d+)", re.MULTILINE)
OK = re.compile(r"^ok \d+", re.MULTILINE)
SKIP = re.compile(r"^(?:not )?ok \d+ # SKIP", re.MULTILINE)
PROGRAM_TIMEOUT_S = 300
# These start no thread, and would take more than a second under ThreadSanitizer.
PURE = (
    "base_buf_number",
    "base_json",
    "db_pool_grid",
    "db_pool_pool",
    "db_pool_simulation",
    "overload_admission_simulation",
    "tomehub_chunker",
    "tomehub_markdown",
    "tomehub_query",
    "tomehub_text",
)


def unit(context: Context, variant: str) -> Result:
    """Runs every unit test program of a variant, as many at a time as there are cores."""
    path = folder(context, variant)
    introspection = subprocess.run(
        [MESON, "introspect", "--tests", path], capture_output=True, check=True
    )
    tests = [t for t in json.loads(introspection.stdout) if "bulkhead:unit" in t["suite"]]
    if variant == "tsan":
        tests = [t for t in tests if t["name"] not in PURE]
    result = Result()
    with ThreadPoolExecutor(context.jobs) as pool:
        for one in pool.map(lambda test: run_program(context, variant, test), tests):
            result.merge(one)
    return result


def run_program(context: Context, variant: str, test: dict[str, Any]) -> Result:
    log = context.logs / f"unit-{variant}-{test['name']}.log"
    command = [*fixed_addresses(variant), *test["cmd"]]
    environment = {"CMOCKA_MESSAGE_OUTPUT": "TAP", **test["env"]}
    status = context.run(
        command,
        log,
        environment,
        timeout_s=PROGRAM_TIMEOUT_S,
        cwd=Path(test["workdir"]) if test["workdir"] else None,
    )
    return count_cases(f"{test['name']} ({variant})", status, log)


def count_cases(name: str, status: int, log: Path) -> Result:
    """Counts the cases of one program's TAP output. A program that ends early fails the cases it
    did not come to; one without TAP counts as a single case."""
    text = log.read_text(errors="replace")
    planned = sum(int(count) for count in PLAN.findall(text))
    skipped = len(SKIP.findall(text))
    passed = len(OK.findall(text)) - len(re.findall(r"^ok \d+ # SKIP", text, re.MULTILINE))
    result = Result(passed=passed, skipped=skipped)
    failed = max(planned - passed - skipped, 0)
    if planned == 0 and status == 0:
        result.passed = 1
    elif status != 0 or failed:
        ending = f"\nended with status {status}"
        result.failures.append((name, tail(log) + ending))
        result.failed_more = max(failed - 1, 0)
    return result
