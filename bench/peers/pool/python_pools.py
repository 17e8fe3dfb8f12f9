"""psycopg_pool and SQLAlchemy's QueuePool over connections that do nothing.

    python_pools.py psycopg|sqlalchemy cycle ROUNDS
    python_pools.py psycopg|sqlalchemy spike REQUESTS CONNECT_MS WORK_MS MINIMUM MAXIMUM cold|warm

Prints what pool_cycle prints: nanoseconds of a cycle on one thread; or connections made, and the
median and 99th percentile in milliseconds, with a thread for each request.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Iterator, Protocol

REPEATS = 9


class Pool(Protocol):
    def lease(self) -> AbstractContextManager[Any]:
        ...

    def close(self) -> None:
        ...


class Connects:
    """Counts connections as they are made, each of which takes its time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.count = 0
        self.lock = threading.Lock()

    def one(self) -> None:
        with self.lock:
            self.count += 1
        time.sleep(self.seconds)


class PsycopgPool:
    def __init__(self, connects: Connects, minimum: int, maximum: int, warm: bool) -> None:
        from psycopg.pq import TransactionStatus
        from psycopg_pool import ConnectionPool

        class Info:
            transaction_status = TransactionStatus.IDLE

        class PgConn:
            transaction_status = TransactionStatus.IDLE

        class Stub:
            """What the pool touches of a psycopg connection."""

            info = Info()
            pgconn = PgConn()
            closed = False
            _pool: Any = None

            @classmethod
            def connect(cls, *_args: Any, **_kwargs: Any) -> Stub:
                connects.one()
                return cls()

            def close(self) -> None:
                self.closed = True

            def __enter__(self) -> Stub:
                return self

            def __exit__(self, *_args: Any) -> None:
                """A real one would commit here."""

        stub: Any = Stub
        self.pool = ConnectionPool("", connection_class=stub, min_size=minimum, max_size=maximum)
        if warm:
            self.pool.wait()

    def lease(self) -> AbstractContextManager[Any]:
        return self.pool.connection()

    def close(self) -> None:
        self.pool.close()


class SqlalchemyPool:
    def __init__(self, connects: Connects, minimum: int, maximum: int, warm: bool) -> None:
        from sqlalchemy.pool import QueuePool

        class Stub:
            def rollback(self) -> None:
                ...

            def close(self) -> None:
                ...

        def connect() -> Stub:
            connects.one()
            return Stub()

        self.pool = QueuePool(connect, pool_size=minimum, max_overflow=maximum - minimum)
        if warm:
            held = [self.pool.connect() for _ in range(minimum)]
            for connection in held:
                connection.close()

    @contextmanager
    def lease(self) -> Iterator[Any]:
        connection = self.pool.connect()
        try:
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        self.pool.dispose()


POOLS: dict[str, Callable[[Connects, int, int, bool], Pool]] = {
    "psycopg": PsycopgPool,
    "sqlalchemy": SqlalchemyPool,
}


def cycle(name: str, rounds: int) -> None:
    pool = POOLS[name](Connects(0), 1, 1, True)
    figures = []
    for _ in range(REPEATS):
        begun = time.thread_time_ns()
        for _ in range(rounds):
            with pool.lease():
                pass
        figures.append((time.thread_time_ns() - begun) / rounds)
    print(f"exclusive {statistics.median(figures):.1f}")
    pool.close()


def spike(name: str, arguments: list[str]) -> None:
    requests, connect_ms, work_ms, minimum, maximum = map(int, arguments[:5])
    connects = Connects(connect_ms / 1000)
    times: list[float] = []
    start = threading.Barrier(requests + 1)
    pool: Pool

    def work() -> None:
        start.wait()
        begun = time.monotonic()
        with pool.lease():
            time.sleep(work_ms / 1000)
        times.append((time.monotonic() - begun) * 1000)

    threads = [threading.Thread(target=work) for _ in range(requests)]
    for thread in threads:
        thread.start()
    pool = POOLS[name](connects, minimum, maximum, arguments[5] == "warm")
    start.wait()
    for thread in threads:
        thread.join()
    times.sort()
    print(f"{connects.count} {times[requests // 2]:.1f} {times[(requests * 99 - 1) // 100]:.1f}")
    pool.close()


def main() -> None:
    name, what, *arguments = sys.argv[1:]
    if what == "cycle":
        cycle(name, int(arguments[0]))
    else:
        spike(name, arguments)


main()
