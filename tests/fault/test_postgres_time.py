"""Clocks that jump and networks that are slow, under load (db_load)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.postgres_load import Load
from support.tcp_proxy import TcpProxy

HOURS = 3600


def faketime_library() -> Path:
    found = list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "no libfaketime here; install faketime (tools/deps test)"
    return found[0]


def test_clock_jumps(
    load_url: str, start_load: Callable[..., Load], tmp_path: Path, sanitizer: str
) -> None:
    """Somebody sets the machine's clock by hours: nobody's time-out, age or turn depends on it."""
    if sanitizer != "none":
        pytest.skip("a sanitizer's runtime library must come first, libfaketime too")
    offset = tmp_path / "offset"

    def set_clock(hours: int) -> None:
        """How far it is off from now on; in one step, for whoever reads it."""
        new = tmp_path / "new"
        new.write_text(f"{hours * HOURS:+d}")
        new.rename(offset)

    set_clock(0)
    settings = {
        "LD_PRELOAD": str(faketime_library()),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    load = start_load(load_url, settings=settings, deadline_s=30)
    before = load.now()
    for hours in (5, -7, 30, 0):
        set_clock(hours)
        load.wait_for_ok(300)
        off_s = load.now()["clock_s"] - time.time()
        assert abs(off_s - hours * HOURS) < 60, "the jump has not arrived"
    last = load.finish()
    assert load.failed() == 0, load.errors
    # The pools may have grown meanwhile and the loops have given each other a few; four times all
    # would be many more.
    assert last["connected"] - before["connected"] <= load.most_connections


def test_latency(proxy: TcpProxy, load_url: str, start_load: Callable[..., Load]) -> None:
    """The network becomes slow, and quick again: everybody gets an answer, on the same
    connections."""
    load = start_load(load_url, deadline_s=30)
    for delay_s in (0.005, 0.05, 0.1):
        proxy.delay_s = delay_s
        load.wait_for_ok(200)
    proxy.delay_s = 0.0
    load.wait_for_ok(1000)
    last = load.finish()
    assert load.failed() == 0, load.errors
    # Loops give each other places, each by closing a connection and opening another.
    assert last["connected"] <= 3 * load.most_connections
