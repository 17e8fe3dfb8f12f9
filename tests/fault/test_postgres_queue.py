"""500 and 5,000 users on 40 connections: a long line is a wait, not an error, and nobody
overtakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.postgres import Postgres
from support.process import run_command

CONNECTIONS = 40
LOOPS = 2


@pytest.mark.parametrize("users, rounds", [(500, 10), (5000, 2)])
def test_everybody_is_served_in_turn(
    postgres: Postgres, build_dir: Path, tmp_path: Path, users: int, rounds: int
) -> None:
    program = build_dir / "tests" / "fault" / "db_queue"
    arguments = (postgres.url(), LOOPS, users, CONNECTIONS, rounds)
    result = run_command(program, tmp_path, arguments, {})
    assert result.status == 0, result.stderr
    print(result.stdout)  # the waits
    told = {key: int(value) for key, value in (word.split("=") for word in result.stdout.split())}
    assert told["served"] == users * rounds and told["failed"] == 0, result.stderr
    assert told["wrong"] == 0 and told["overtaken"] == 0, told
    assert told["connections"] <= CONNECTIONS
    assert told["longest_wait_us"] > 0
