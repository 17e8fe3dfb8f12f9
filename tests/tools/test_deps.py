"""tools/deps with a made-up machine: its own dpkg-query, apt-get, sudo and id first in PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def deps(tmp_path: Path) -> Run:
    """Runs a copy of tools/deps with its own package list: `deps("build", installed="a b")`."""
    tools = tmp_path / "tools"
    tools.mkdir()
    shutil.copy(ROOT / "tools" / "deps", tools)
    (tools / "packages.txt").write_text(
        "# a comment\n\nbuild one # why\nbuild two # why\ntest three # why\n"
        "test four ?sh # never: there is a shell\n"
    )

    def run(*groups: str, installed: str = "", **programs: str) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        known = " ".join(f"'ii  {name}'" for name in installed.split())
        programs = {
            "dpkg-query": f"printf '%s\\n' {known} 'rc  two-removed'; exit 1",
            "id": "echo 0",
            "apt-get": f'echo apt-get "$@" >>{tmp_path}/calls',
            **programs,
        }
        for name, body in programs.items():
            (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{body}\n")
            (folder / name.replace("_", "-")).chmod(0o755)
        return subprocess.run(
            [str(tools / "deps"), *groups],
            env={**os.environ, "PATH": f"{folder}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )

    return run


def calls(tmp_path: Path) -> str:
    path = tmp_path / "calls"
    return path.read_text() if path.exists() else ""


def test_nothing_happens_when_nothing_is_missing(deps: Run, tmp_path: Path) -> None:
    process = deps("build", installed="one two")
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
    assert calls(tmp_path) == ""


def test_missing_packages_are_named_then_installed(deps: Run, tmp_path: Path) -> None:
    process = deps("build", "test", installed="two")
    assert process.returncode == 0
    assert process.stdout == "Installing missing Debian packages: one three\n"
    assert calls(tmp_path).endswith("install -y --no-install-recommends one three\n")


def test_a_group_is_left_alone_when_not_asked_for(deps: Run) -> None:
    assert deps("build", installed="one two").stdout == ""
    assert "three" in deps("build", "test", installed="one two").stdout


def test_sudo_is_used_only_when_not_root(deps: Run, tmp_path: Path) -> None:
    process = deps("build", installed="two", id="echo 1000", sudo='echo sudo; exec "$@"')
    assert process.returncode == 0, process.stderr
    assert "sudo may ask for your password" in process.stdout
    assert "install" in calls(tmp_path)


def test_a_failed_installation_says_so(deps: Run) -> None:
    process = deps("build", installed="two", apt_get="echo E: no such host; exit 100")
    assert process.returncode == 1
    assert "no such host" in process.stderr
    assert "no network" in process.stderr


def test_an_unknown_group_is_an_error(deps: Run) -> None:
    process = deps("bild")
    assert process.returncode == 1
    assert "bild" in process.stderr


def test_every_package_of_the_real_list_has_a_reason() -> None:
    for line in (ROOT / "tools" / "packages.txt").read_text().splitlines():
        words, _, reason = line.partition("#")
        if words.strip():
            assert words.split()[0] in ("build", "test", "bench", "cluster"), line
            assert len(reason.strip()) > 5, line
