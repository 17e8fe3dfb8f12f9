"""The Meson build folders under build/: release, sanitizers, fuzzers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from testing.context import Context, Result, tail

MESON = "/usr/bin/meson"
SANITIZED = ("-Dwerror=true", "-Doptimization=1")
VARIANTS: dict[str, tuple[str, ...]] = {
    "release": (),
    "asan": (*SANITIZED, "-Db_sanitize=address,undefined"),
    "tsan": (*SANITIZED, "-Db_sanitize=thread"),
    "fuzz": (*SANITIZED, "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfuzz=true"),
}
COMPILERS = {"fuzz": "clang"}


def folder(context: Context, variant: str) -> Path:
    return context.root / "build" / variant


def build(context: Context, variant: str) -> Result:
    """Configures a variant if it is new and builds it; a compiler warning is a failure."""
    path = folder(context, variant)
    log = context.logs / f"build-{variant}.log"
    name = f"build {variant}"
    result = Result()
    if not (path / "build.ninja").exists():
        compiler = {"CC": COMPILERS[variant]} if variant in COMPILERS else None
        status = context.run([MESON, "setup", path, *VARIANTS[variant]], log, compiler)
        if status != 0:
            result.add(name, False, tail(log))
            return result
    status = context.run(["ninja", "-C", path], log, timeout_s=1800)
    is_clean = status == 0 and " warning: " not in log.read_text(errors="replace")
    result.add(name, is_clean, tail(log))
    return result


def fixed_addresses(variant: str) -> list[str]:
    """ThreadSanitizer's map of memory does not fit where kernels randomise addresses widely."""
    if variant != "tsan":
        return []
    command = ["setarch", "--addr-no-randomize"]
    can = subprocess.run([*command, "true"], capture_output=True).returncode == 0
    return command if can else []
