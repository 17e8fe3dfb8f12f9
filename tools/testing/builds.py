"""The Meson build folders under build/: release, sanitizers, fuzzers."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from testing.context import Context, Result, tail

MESON = "/usr/bin/meson"
SANITIZED = ("-Dwerror=true", "-Doptimization=1", "-Dc_args=-g1")  # lines are enough for a stack
VARIANTS: dict[str, tuple[str, ...]] = {
    "release": ("-Dwhole_program=true",),
    "asan": (*SANITIZED, "-Db_sanitize=address,undefined"),
    "tsan": (*SANITIZED, "-Db_sanitize=thread"),
    "fuzz": (*SANITIZED, "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfuzz=true"),
}
ENVIRONMENTS = {
    "asan": {"CC_LD": "gold"},  # a program for each unit test: gold links in half of ld's time
    "tsan": {"CC_LD": "gold"},
    "fuzz": {"CC": "clang"},
}
COMPLAINT = re.compile(r"^.*(?:error|warning|undefined reference): .*$", re.MULTILINE)
COMPLAINTS_SHOWN = 40


def folder(context: Context, variant: str) -> Path:
    return context.root / "build" / variant


def build(context: Context, variant: str) -> Result:
    """Configures a variant if it is new and builds it; a compiler warning is a failure."""
    log = context.logs / f"build-{variant}.log"
    path = folder(context, variant)
    status = configure(context, variant, log)
    if status == 0:
        status = context.run(["ninja", "-C", path], log, timeout_s=1800)
    complaints = COMPLAINT.findall(log.read_text(errors="replace"))
    result = Result()
    is_clean = status == 0 and not complaints
    result.add(f"build {variant}", is_clean, "\n".join(complaints[:COMPLAINTS_SHOWN]) or tail(log))
    return result


def configure(context: Context, variant: str, log: Path) -> int:
    """Sets the folder up if it is new; `make build` may have made it without the tests."""
    path = folder(context, variant)
    if not (path / "build.ninja").exists():
        command: list[str | Path] = [MESON, "setup", path, *VARIANTS[variant]]
        return context.run(command, log, ENVIRONMENTS.get(variant))
    options = json.loads((path / "meson-info" / "intro-buildoptions.json").read_text())
    if any(option["name"] == "tests" and not option["value"] for option in options):
        return context.run([MESON, "configure", path, "-Dtests=true"], log)
    return 0


def fixed_addresses(variant: str) -> list[str]:
    """ThreadSanitizer's map of memory does not fit where kernels randomise addresses widely."""
    if variant != "tsan":
        return []
    command = ["setarch", "--addr-no-randomize"]
    can = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    return command if can else []
