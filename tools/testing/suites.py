"""Suites run by pytest: integration, fault, and the tools' own."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from testing.builds import fixed_addresses, folder
from testing.context import PYTHON, Context, Result, tail

INTERRUPTED = 2
NO_TESTS_COLLECTED = 5
SUITE_TIMEOUT_S = 1500
FAILURE_LINES = 120
SLOWEST_SHOWN = 15


def pytest(
    context: Context, path: str, variant: str = "release", workers: int = 1, *options: str
) -> Result:
    """Runs the tests under a folder against the programs of a variant: first, one after the other,
    those marked `alone`, then the others, `workers` at a time."""
    if workers == 1:
        return run(context, path, variant, *options)[1]
    status, result = run(context, path, variant, "-m", "alone", *options)
    if status != INTERRUPTED:  # a file that cannot be read is told of once
        result.merge(run(context, path, variant, "-m", "not alone", f"-n{workers}", *options)[1])
    return result


def run(context: Context, path: str, variant: str, *options: str) -> tuple[int, Result]:
    """One run of pytest: its exit status and counts."""
    name = f"{path.replace('/', '-')}-{variant}{'-alone' if 'alone' in options else ''}"
    log = context.logs / f"{name}.log"
    report = context.logs / f"{name}.xml"
    report.unlink(missing_ok=True)
    python = [*fixed_addresses(variant), PYTHON]
    command = [*python, "-m", "pytest", path, "-q", "--tb=short", f"--junitxml={report}"]
    command += [f"--durations={SLOWEST_SHOWN}", *options]
    environment = {"BH_BUILD": str(folder(context, variant))}
    status = context.run(command, log, environment, timeout_s=SUITE_TIMEOUT_S)
    return status, Result() if status == NO_TESTS_COLLECTED else read(name, status, log, report)


def read(name: str, status: int, log: Path, report: Path) -> Result:
    """The counts of a run, by its report."""
    result = Result()
    if not report.exists():
        result.add(name, False, tail(log, FAILURE_LINES))
        return result
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        result.skipped += skipped
        result.passed += max(int(suite.get("tests", 0)) - failed - skipped, 0)
        result.failed_more += failed
    if status != 0 or result.failed_more:
        result.failed_more = max(result.failed_more - 1, 0)
        result.add(name, False, tail(log, FAILURE_LINES))
    return result
