"""Limits that two servers share through Redis, and what is left of them when it dies, stands still,
forgets the script or is not Redis."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.http import JsonClient
from support.http_layer import metric, wait_until
from support.redis import Redis
from support.ports import free_port
from support.server import Server
from support.tcp_proxy import TcpProxy

DOWN_LINE = "this server's own limits serve"
BACK_LINE = "The rate limits are shared again"


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = Redis()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def start_limited(start_tomehub: Callable[..., Server]) -> Callable[..., Server]:
    def start(redis_url: str, wait: str = "5s", **settings: object) -> Server:
        return start_tomehub(
            RATE_LIMIT_ENABLED="on",
            RATE_LIMIT_REDIS_WAIT=wait,  # this machine may be busy
            REDIS_URL=redis_url,
            ACCESS_LOG="off",
            **settings,
        )

    return start


def breaker(server: Server) -> float:
    """0 closed, 1 half-open, 2 open."""
    return metric(server, 'breaker_state{dependency="redis",class="command"}')


def searches(server: Server, count: int) -> list[int]:
    """The statuses of so many searches in a row."""
    with JsonClient(server.port) as client:
        return [client.get("/api/search", q="word").status for _ in range(count)]


def is_shared(server: Server) -> bool:
    """Whether the next search is decided by Redis."""
    before = metric(server, "rate_limit_fallbacks_total")
    searches(server, 1)
    return metric(server, "rate_limit_fallbacks_total") == before


def test_two_servers_share_one_limit_exactly(
    redis: Redis, start_limited: Callable[..., Server]
) -> None:
    servers = [start_limited(redis.url, RATE_LIMIT_SEARCH="60/hour") for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: searches(servers[n % 2], 15), range(8)))
    flat = [status for each in statuses for status in each]
    assert len(flat) == 120 and set(flat) == {200, 429}
    assert flat.count(200) == 60
    # What the limits refused was charged to none of them.
    with JsonClient(servers[0].port) as client:
        answer = client.get("/api/books")
        assert 1000 - 61 <= int(answer.headers["x-ratelimit-remaining"]) < 1000
    for server in servers:
        assert metric(server, "rate_limit_fallbacks_total") == 0
        assert metric(server, 'rate_limit_requests_total{limit="search",outcome="allowed"}') > 0
    assert "bulkhead:rate:{127.0.0.1}:search" in redis.command("KEYS", "*")
    # Keys do not stay longer than the debt they keep.
    ttl = redis.command("PTTL", "bulkhead:rate:{127.0.0.1}:search")
    assert 0 < int(ttl.split("\r\n")[0][1:]) <= 3600_000


def test_a_forgotten_script_is_sent_again(
    redis: Redis, start_limited: Callable[..., Server]
) -> None:
    server = start_limited(redis.url, RATE_LIMIT_SEARCH="5/hour")
    assert searches(server, 2) == [200, 200]
    redis.command("SCRIPT", "FLUSH")
    assert searches(server, 4) == [200, 200, 200, 429]
    assert metric(server, "rate_limit_fallbacks_total") == 0


def test_the_local_limit_serves_when_redis_is_killed(
    redis: Redis, start_limited: Callable[..., Server]
) -> None:
    servers = [start_limited(redis.url, RATE_LIMIT_SEARCH="20/hour") for _ in range(2)]
    assert searches(servers[0], 6) == [200] * 6
    redis.kill()
    # Each server has its own limit now; the first knows what it has let through before.
    assert searches(servers[0], 20).count(200) == 14
    assert searches(servers[1], 25).count(200) == 20
    for server in servers:
        assert breaker(server) == 2
        assert metric(server, "rate_limit_fallbacks_total") >= 20
        assert server.log().count(DOWN_LINE) == 1
    redis.start()
    wait_until(lambda: is_shared(servers[0]) and is_shared(servers[1]), 20)
    assert all(server.log().count(BACK_LINE) == 1 for server in servers)
    wait_until(lambda: breaker(servers[0]) == breaker(servers[1]) == 0, 20)
    # Redis has forgotten; from here on both count to one limit again.
    redis.command("FLUSHALL")
    both = searches(servers[0], 12) + searches(servers[1], 12)
    assert both.count(200) == 20


def test_a_redis_that_stands_still_holds_nobody_up(
    redis: Redis, start_limited: Callable[..., Server]
) -> None:
    server = start_limited(
        redis.url, wait="5ms", RATE_LIMIT_SEARCH=100_000, RATE_LIMIT_GLOBAL=100_000
    )
    wait_until(lambda: is_shared(server), 20)
    begun = time.monotonic()
    assert searches(server, 60) == [200] * 60
    usual_s = time.monotonic() - begun
    redis.stop()
    begun = time.monotonic()
    assert searches(server, 60) == [200] * 60
    # Had each waited for the client's time-out of 500 ms, this were half a minute more.
    assert time.monotonic() - begun < 15 + 2 * usual_s
    assert metric(server, 'rate_limit_store_errors_total{reason="timeout"}') >= 1
    assert DOWN_LINE in server.log()
    wait_until(lambda: searches(server, 1) == [200] and breaker(server) == 2, 20)
    redis.resume()
    wait_until(lambda: is_shared(server), 20)
    wait_until(lambda: breaker(server) == 0, 20)
    assert BACK_LINE in server.log()


def test_a_redis_that_is_slow_is_left_alone(
    redis: Redis, start_limited: Callable[..., Server]
) -> None:
    """It answers, too late for everybody, and is never silent for long enough to be given up."""
    with TcpProxy(redis.port) as proxy:
        server = start_limited(
            f"redis://127.0.0.1:{proxy.port}/0",
            wait="5ms",
            RATE_LIMIT_SEARCH=100_000,
            RATE_LIMIT_GLOBAL=100_000,
            BREAKER_WINDOW=4,
            BREAKER_OPEN="1s",
            BREAKER_PROBES=1,
        )
        with JsonClient(server.port) as client:
            words = itertools.count()

            def state_after_asking() -> float:
                assert client.get("/api/search", q=f"word{next(words)}").status == 200
                return breaker(server)

            wait_until(lambda: state_after_asking() == 0, 30)
            proxy.delay_s = 0.02
            wait_until(lambda: state_after_asking() == 2, 30)
            assert "redis, command: of the last" in server.log()
            proxy.delay_s = 0.0
            wait_until(lambda: state_after_asking() == 0, 30)
            assert "redis, command: works again" in server.log()


@pytest.mark.parametrize("reply", ["set", "nobody"])
def test_whatever_else_is_wrong_the_local_limit_serves(
    redis: Redis, start_limited: Callable[..., Server], reply: str
) -> None:
    url = redis.url
    if reply == "nobody":
        url = f"redis://127.0.0.1:{free_port()}"
    else:  # a value of another type
        redis.command("SADD", "bulkhead:rate:{127.0.0.1}:search", "member")
    server = start_limited(url, RATE_LIMIT_SEARCH="3/hour")
    assert searches(server, 5) == [200, 200, 200, 429, 429]
    reason = "error" if reply == "set" else "unavailable"
    assert metric(server, f'rate_limit_store_errors_total{{reason="{reason}"}}') >= 1
    assert server.log().count(DOWN_LINE) == 1


def test_a_wrong_value_or_clock_does_not_lock_anybody_out(
    redis: Redis, start_limited: Callable[..., Server]
) -> None:
    server = start_limited(redis.url, RATE_LIMIT_SEARCH="2/second")
    redis.command("SET", "bulkhead:rate:{127.0.0.1}:search", "9999999999999999")
    assert searches(server, 1) == [429]
    redis.command("SET", "bulkhead:rate:{127.0.0.1}:search", "nonsense")
    assert searches(server, 2) == [200, 200]
