"""The source checks, tools/check-*: each one counts as a test."""

from __future__ import annotations

from testing.context import Context, Result, tail

CHECK_LINES = 200


def checks(context: Context) -> Result:
    result = Result()
    for path in sorted((context.root / "tools").glob("check-*")):
        log = context.logs / f"{path.name}.log"
        status = context.run([path], log)
        result.add(path.name, status == 0, tail(log, CHECK_LINES))
    return result
