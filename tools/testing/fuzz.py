"""Fuzzers: every libFuzzer target first replays its seeds, then looks for new inputs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from testing.builds import folder
from testing.context import Context, Result, tail

INPUT_TIMEOUT_S = 10
MEMORY_MB = 2048


def fuzz(context: Context) -> Result:
    """Runs each target for the time given, as many at a time as there are cores. What is learnt
    stays in build/fuzz-corpus/; an input that breaks a target stays in build/test-logs/."""
    targets = sorted(folder(context, "fuzz").glob("tests/fuzz/fuzz_*"))
    result = Result()
    with ThreadPoolExecutor(context.jobs) as pool:
        programs = [path for path in targets if path.is_file()]
        for one in pool.map(lambda program: run_target(context, program), programs):
            result.merge(one)
    return result


def run_target(context: Context, program: Path) -> Result:
    name = program.name.removeprefix("fuzz_")
    sources = context.root / "tests" / "fuzz"
    learnt = context.root / "build" / "fuzz-corpus" / name
    learnt.mkdir(parents=True, exist_ok=True)
    folders = [learnt]
    if (sources / "corpus" / name).is_dir():
        folders.append(sources / "corpus" / name)
    dictionary = sources / f"{name}.dict"
    options = [
        f"-max_total_time={context.fuzz_seconds}",
        f"-timeout={INPUT_TIMEOUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={context.logs}/fuzz-{name}-",
        "-print_final_stats=1",
    ]
    if dictionary.exists():
        options.append(f"-dict={dictionary}")
    log = context.logs / f"fuzz-{name}.log"
    timeout_s = context.fuzz_seconds + 120
    status = context.run([program, *options, *folders], log, timeout_s=timeout_s)
    result = Result()
    result.add(f"fuzz {name}", status == 0, tail(log))
    return result
