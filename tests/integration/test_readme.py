"""Every command in the README does what the README says."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from support.server import Server


def commands(readme: str) -> list[str]:
    """The lines of its shell blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line]


def test_readme_commands(
    root: Path,
    tomehub_binary: Path,
    library_dir: Path,
    start_tomehub: Callable[..., Server],
) -> None:
    """Runs them in order beside a fresh server; `make` targets must exist (CI runs them)."""
    server = start_tomehub()
    makefile = (root / "Makefile").read_text()
    environment = os.environ | {"DATABASE_URL": f"sqlite:{library_dir / 'library.db'}"}
    ran = 0
    for command in commands((root / "README.md").read_text()):
        if command.startswith("make "):
            target = command.split()[1]
            assert re.search(rf"^([a-z-]+ )*{target}( [a-z-]+)*:", makefile, re.M), command
            continue
        local = command.replace("build/bin/tomehub", str(tomehub_binary))
        local = local.replace("http://127.0.0.1:5001", server.url)
        done = subprocess.run(
            ["sh", "-c", local],
            cwd=library_dir,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        told = f"{command}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, told
        assert '"error"' not in done.stdout, told
        if "search" in command:
            assert "speckled band" in done.stdout.lower(), told
        ran += 1
    assert ran >= 6
