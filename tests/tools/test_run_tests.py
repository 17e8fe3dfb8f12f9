"""What tools/run-tests counts: cases of unit programs, pytest items, builds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from testing.context import Context, Result  # noqa: E402
from testing.suites import pytest as run_pytest  # noqa: E402
from testing.unit import count_cases  # noqa: E402


@pytest.mark.parametrize(
    "output, status, passed, failed",
    [
        ("1..2\nok 1 - a\nok 2 - b\n", 0, 2, 0),
        ("1..2\nok 1 - a\nnot ok 2 - b\n", 1, 1, 1),
        ("1..3\nok 1 - a\n", -11, 1, 2),  # crashed after the first
        ("1..1\nok 1 - a\n1..1\nok 1 - b\n", 0, 2, 0),  # two groups
        ("1..1\nok 1 - a\n", 66, 1, 1),  # a leak, reported at the end
        ("no cases\n", 0, 1, 0),
        ("no cases\n", 1, 0, 1),
        ("1..2\nok 1 - a\n", 0, 1, 1),  # ended early
    ],
)
def test_cases_are_counted(
    tmp_path: Path, output: str, status: int, passed: int, failed: int
) -> None:
    log = tmp_path / "log"
    log.write_text(output)
    result = count_cases("x", status, log)
    assert (result.passed, result.failed) == (passed, failed)


def context(root: Path) -> Context:
    return Context(root, fuzz_seconds=1)


@pytest.mark.parametrize(
    "body, passed, failed, skipped",
    [
        ("def test_a(): pass\ndef test_b(): assert False\ndef test_c(): assert False\n", 1, 2, 0),
        ("import pytest\ndef test_a(): pytest.skip('why')\ndef test_b(): pass\n", 1, 0, 1),
        ("import nothing_like_this\n", 0, 1, 0),
        ("", 0, 0, 0),
    ],
)
def test_pytest_items_are_counted(
    tmp_path: Path, body: str, passed: int, failed: int, skipped: int
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(body)
    result = run_pytest(context(tmp_path), "tests")
    assert (result.passed, result.failed, result.skipped) == (passed, failed, skipped)


def test_side_by_side_and_alone_add_up(tmp_path: Path) -> None:
    body = """
import pytest
@pytest.mark.alone
def test_a(): pass
def test_b(): assert False
@pytest.mark.parametrize("number", range(5))
def test_c(number): pass
"""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(body)
    result = run_pytest(context(tmp_path), "tests", workers=2)
    assert (result.passed, result.failed) == (6, 1)
    assert "assert False" in result.failures[0][1]
    (tmp_path / "tests" / "test_y.py").write_text("import nothing_like_this")
    assert run_pytest(context(tmp_path), "tests", workers=2).failed == 1


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ["sh", "-c", "echo started; sleep 1000 & wait"]
    assert context(tmp_path).run(command, log, timeout_s=0.5) < 0
    assert log.read_text().startswith("started\n")
    assert "timed out" in log.read_text()


def test_results_add_up() -> None:
    total = Result()
    total.add("a", True, "")
    total.add("b", False, "why")
    total.merge(Result(passed=3, failed_more=2))
    assert (total.passed, total.failed) == (4, 3)


def test_an_unknown_stage_is_an_error() -> None:
    command = [str(ROOT / "tools" / "run-tests"), "unitt"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 2
    assert "unitt" in process.stderr
