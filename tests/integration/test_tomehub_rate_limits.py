"""What one client may ask for: quotas told on every answer, refusals that tell when to come back,
and who counts as one client."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.http import Answer, JsonClient
from support.http_layer import metric
from support.server import Server

pytestmark = pytest.mark.sqlite

FIELDS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@pytest.fixture
def limited(start_tomehub: Callable[..., Server]) -> Callable[..., JsonClient]:
    """A client of a server with limits: `limited(RATE_LIMIT_SEARCH="3/hour")`."""

    def start(**settings: object) -> JsonClient:
        return JsonClient(start_tomehub(**({"RATE_LIMIT_ENABLED": "on"} | settings)).port)

    return start


def search(client: JsonClient, **headers: str) -> Answer:
    return client.request("GET", "/api/search?q=word", None, **headers)


def remaining(answer: Answer) -> int:
    return int(answer.headers["x-ratelimit-remaining"])


def assert_refused(answer: Answer, quota: str) -> int:
    """Returns the seconds it asks to wait."""
    assert answer.status == 429
    assert answer.headers["content-type"] == "application/json"
    seconds = int(answer.headers["retry-after"])
    assert answer.json == {
        "error": "Rate limit exceeded",
        "detail": quota,
        "retry_after": seconds,
    }
    return seconds


def test_every_limited_answer_tells_the_quota(limited: Callable[..., JsonClient]) -> None:
    client = limited(RATE_LIMIT_GLOBAL="50/hour", RATE_LIMIT_SEARCH="5/hour")
    answers = [
        client.get("/api/books"),
        client.get("/api/books/12345"),
        client.get("/api/books", page=0),
        client.get("/api/export"),
        client.post("/api/content/batch", {"ids": []}),
    ]
    assert [answer.status for answer in answers[:4]] == [200, 404, 422, 200]
    for used, answer in enumerate(answers, 1):
        assert answer.headers["x-ratelimit-limit"] == "50"
        assert remaining(answer) == 50 - used
        assert 0 < int(answer.headers["x-ratelimit-reset"]) - time.time() <= used * 72 + 2
        assert answer.headers["ratelimit-policy"] == '"global";q=50;w=3600'
        match = re.fullmatch(r'"global";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
        assert match and int(match[1]) == 50 - used
        assert used * 72 - 10 < int(match[2]) <= used * 72
    answer = search(client)
    assert answer.headers["x-ratelimit-limit"] == "5" and remaining(answer) == 4
    assert answer.headers["ratelimit-policy"] == '"global";q=50;w=3600, "search";q=5;w=3600'
    assert answer.headers["ratelimit"].startswith('"global";r=44;t=')
    assert ', "search";r=4;t=' in answer.headers["ratelimit"]


def test_refuses_past_the_quota_and_tells_when_to_come_back(
    limited: Callable[..., JsonClient]
) -> None:
    client = limited(RATE_LIMIT_SEARCH="2/second", RATE_LIMIT_GLOBAL="100/hour")
    answers, refused = [search(client)], list[Answer]()
    while len(refused) < 10:
        answers.append(search(client))
        assert answers[-1].status in (200, 429) and len(answers) < 90
        refused = [answer for answer in answers if answer.status == 429]
    seconds = assert_refused(refused[-1], "2 per 1 second")
    assert 1 <= seconds <= 2
    assert remaining(refused[-1]) == 0
    match = re.search(r'"search";r=0;t=(\d+)', refused[-1].headers["ratelimit"])
    assert match and int(match[1]) <= seconds
    # Refused searches did not use up the global limit.
    books = client.get("/api/books")
    assert remaining(books) == 100 - (len(answers) - len(refused)) - 1
    time.sleep(seconds)
    assert search(client).status == 200


def test_the_global_limit_refuses_searches_too(limited: Callable[..., JsonClient]) -> None:
    client = limited(RATE_LIMIT_GLOBAL="2/hour", RATE_LIMIT_SEARCH="5/hour")
    assert [search(client).status for _ in range(3)] == [200, 200, 429]
    answer = search(client)
    assert_refused(answer, "2 per 1 hour")
    assert answer.headers["x-ratelimit-limit"] == "2"
    assert '"search";r=3;' in answer.headers["ratelimit"]


def test_uploads_have_a_limit_of_their_own(limited: Callable[..., JsonClient]) -> None:
    client = limited(RATE_LIMIT_INGEST="1/hour")
    client.ingest_text("First", "some words")
    answer = client.post("/api/ingest?wait=true", {"title": "Second", "text": "more words"})
    assert_refused(answer, "1 per 1 hour")
    large = client.upload("/api/ingest", "big.txt", b"x" * 3_000_000)
    assert_refused(large, "1 per 1 hour")
    with JsonClient(client.connection.port) as other:
        assert search(other).json["total_count"] == 0
        assert len(other.get("/api/books").json["books"]) == 1


def test_health_operators_and_the_page_are_not_counted(limited: Callable[..., JsonClient]) -> None:
    client = limited(RATE_LIMIT_GLOBAL="1/hour")
    for path in ("/api/health", "/readyz", "/livez", "/metrics", "/api/admin/queries", "/") * 3:
        answer = client.get(path)
        assert answer.status == 200
        assert not any(field in answer.headers for field in (*FIELDS, "ratelimit"))
    assert client.get("/api/books").status == 200
    assert client.get("/api/books").status == 429


def test_dry_run_counts_and_refuses_nothing(start_tomehub: Callable[..., Server]) -> None:
    server = start_tomehub(
        RATE_LIMIT_ENABLED="on", RATE_LIMIT_DRY_RUN="on", RATE_LIMIT_SEARCH="2/hour"
    )
    with JsonClient(server.port) as client:
        answers = [search(client) for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 5
    assert [remaining(answer) for answer in answers] == [1, 0, 0, 0, 0]

    def count(outcome: str) -> float:
        return metric(server, f'rate_limit_requests_total{{limit="search",outcome="{outcome}"}}')

    assert (count("allowed"), count("dry_run"), count("limited")) == (2, 3, 0)
    assert metric(server, "rate_limit_entries") == 2  # of the global table and of the searches'


def test_off_means_off(limited: Callable[..., JsonClient]) -> None:
    client = limited(RATE_LIMIT_ENABLED="off", RATE_LIMIT_SEARCH="1/hour")
    for _ in range(3):
        answer = search(client)
        assert answer.status == 200 and "ratelimit" not in answer.headers


Requester = Callable[..., Answer]


@pytest.fixture
def ask(limited: Callable[..., JsonClient], command: Callable[..., Any]) -> Callable[..., Any]:
    """`ask(RATE_LIMIT_REFUSED="3/hour")`: a server that wants keys; gives a function that asks for
    the books, and two keys for it, one for reading and one for operators."""

    def start(**settings: object) -> tuple[Requester, str, str]:
        client = limited(AUTH="keys", **settings)

        def make_key(scope: str) -> str:
            return str(command("keys", "create", "--scopes", scope).stdout.strip())

        def request(key: str | None, method: str = "GET", path: str = "/api/books", **headers: str
                    ) -> Answer:  # fmt: skip
            if key is not None:
                headers["authorization"] = f"Bearer {key}"
            return client.request(method, path, None, **headers)

        return request, make_key("read"), make_key("admin")

    return start


def test_refused_logins_are_counted_by_address(ask: Callable[..., Any]) -> None:
    request, key, _ = ask(RATE_LIMIT_REFUSED="3/hour", RATE_LIMIT_GLOBAL="50/hour")
    wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
    for used, bad in enumerate((None, wrong, "a.b.c"), 1):
        answer = request(bad)
        assert answer.status == 401 and remaining(answer) == 3 - used
        assert answer.headers["ratelimit-policy"] == '"refused";q=3;w=3600'
    for bad, path in ((wrong, "/api/books"), (None, "/metrics"), (None, "/api/health")):
        answer = request(bad, path=path)
        assert 1200 <= assert_refused(answer, "3 per 1 hour") <= 1502
        assert "www-authenticate" not in answer.headers
    # Whoever has a good key is served all along, by their own quota; and what is public stays so.
    assert [remaining(request(key)) for _ in range(3)] == [49, 48, 47]
    assert request(None, path="/").status == request(None, path="/readyz").status == 200


def test_a_missing_scope_counts_to_its_user(ask: Callable[..., Any]) -> None:
    """Also on routes on which nothing else is counted."""
    request, key, admin = ask(RATE_LIMIT_GLOBAL="4/hour", RATE_LIMIT_REFUSED="1/hour")
    for method, path in (("GET", "/metrics"), ("DELETE", "/api/books/1")) * 2:
        assert request(key, method, path).status == 403
    assert_refused(request(key, path="/metrics"), "4 per 1 hour")
    assert_refused(request(key), "4 per 1 hour")
    assert request(admin, path="/metrics").status == 200
    assert request(None).status == 401


def test_refused_logins_of_a_household_count_together(ask: Callable[..., Any]) -> None:
    request, key, _ = ask(RATE_LIMIT_REFUSED="2/hour", TRUSTED_PROXIES="127.0.0.1")
    addresses = ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:2::3", "2001:db8:1:3::1")
    statuses = [request(None, X_Forwarded_For=address).status for address in addresses]
    assert statuses == [401, 401, 429, 401]
    assert request(key, X_Forwarded_For=addresses[2]).status == 200


def test_dry_run_refuses_logins_by_401_alone(ask: Callable[..., Any]) -> None:
    request, _, _ = ask(RATE_LIMIT_REFUSED="1/hour", RATE_LIMIT_DRY_RUN="on")
    assert [request(None).status for _ in range(3)] == [401] * 3


def client_count(client: JsonClient, *values: str, field: str = "X_Forwarded_For") -> list[int]:
    """The searches left after one search for each header value."""
    return [remaining(search(client, **{field: value})) for value in values]


def test_nobody_chooses_an_address(limited: Callable[..., JsonClient]) -> None:
    """Without trusted proxies the headers mean nothing."""
    client = limited(RATE_LIMIT_SEARCH="50/hour")
    assert client_count(client, "192.0.2.1", "192.0.2.2", "unknown") == [49, 48, 47]
    assert client_count(client, "for=192.0.2.1", field="Forwarded") == [46]


def test_a_trusted_proxy_tells_who_the_client_is(limited: Callable[..., JsonClient]) -> None:
    client = limited(RATE_LIMIT_SEARCH="50/hour", TRUSTED_PROXIES="10.0.0.0/8, 127.0.0.1")
    assert client_count(client, "192.0.2.1", "192.0.2.1", "192.0.2.2") == [49, 48, 49]
    # Behind a second proxy; with addresses that the client wrote; one that cannot be read.
    assert client_count(client, "192.0.2.1, 10.1.1.1", "198.51.100.1, 192.0.2.1") == [47, 46]
    assert client_count(client, "192.0.2.1, garbage", "a" * 3000, "") == [49, 48, 47]
    # One household of IPv6.
    households = ("2001:db8:1:2::1", "[2001:db8:1:2:ffff::9]:443", "2001:db8:1:3::1")
    assert client_count(client, *households) == [49, 48, 49]
    # The other header comes from the client: it is not read.
    assert client_count(client, "for=192.0.2.99", field="Forwarded") == [46]


def test_proxies_may_write_forwarded(limited: Callable[..., JsonClient]) -> None:
    client = limited(
        RATE_LIMIT_SEARCH="50/hour",
        TRUSTED_PROXIES="127.0.0.1",
        TRUSTED_PROXY_HEADER="forwarded",
    )
    values = ("for=192.0.2.1;proto=https", 'for="[2001:db8::1]:80"', "for=x, for=192.0.2.1")
    assert client_count(client, *values, field="Forwarded") == [49, 49, 48]
    assert client_count(client, "192.0.2.1") == [49]


@pytest.mark.parametrize(
    "setting,value",
    [
        ("RATE_LIMIT_GLOBAL", "0"),
        ("RATE_LIMIT_SEARCH", "100/day"),
        ("RATE_LIMIT_INGEST", "ten"),
        ("RATE_LIMIT_REFUSED", "off"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXY_HEADER", "x-real-ip"),
        ("REDIS_URL", "http://127.0.0.1"),
    ],
)
def test_a_wrong_setting_stops_the_start(
    command: Callable[..., Any], setting: str, value: str
) -> None:
    result = command("serve", **{setting: value})
    assert result.status == 1
    assert setting in result.stderr and len(result.stderr.strip().splitlines()) == 1
