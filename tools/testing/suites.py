"""Suites run by pytest: integration, fault, end to end, and the tools' own."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from testing.builds import fixed_addresses, folder
from testing.context import PYTHON, Context, Result, tail

NO_TESTS_COLLECTED = 5
SUITE_TIMEOUT_S = 1500
FAILURE_LINES = 120


def pytest(context: Context, path: str, variant: str = "release", *options: str) -> Result:
    """Runs the tests under a folder against the programs of a variant."""
    name = f"{path.replace('/', '-')}-{variant}"
    log = context.logs / f"{name}.log"
    report = context.logs / f"{name}.xml"
    report.unlink(missing_ok=True)
    python = [*fixed_addresses(variant), PYTHON]
    command = [*python, "-m", "pytest", path, "-q", "--tb=short", f"--junitxml={report}"]
    status = context.run(
        [*command, *options],
        log,
        {"BH_BUILD": str(folder(context, variant))},
        timeout_s=SUITE_TIMEOUT_S,
    )
    result = Result()
    if status == NO_TESTS_COLLECTED:
        return result
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
