"""Who may do what: every route as everybody, on both databases; and no secret in any log."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.http import Answer, JsonClient
from support.issuer import AUDIENCE, ISSUER, Issuer, key_set, serving
from support.process import CommandResult
from support.server import Server

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = {
    "GET /",
    "GET /tomehub/{path...}",
    "GET /shared/{path...}",
    "GET /livez",
    "GET /readyz",
    "GET /api/health/live",
    "GET /api/health/ready",
}
Command = Callable[..., CommandResult]


def all_routes() -> list[tuple[str, str]]:
    """Every (method, pattern) of the router's table, so that none can be forgotten."""
    text = (ROOT / "services/tomehub/routes.c").read_text()
    table = text[
        text.index("static struct bh_route routes[]") : text.index("int tome_routes_create")
    ]
    found = re.findall(r'\.method = "(\w+)",\s*\.pattern = "([^"]+)"', table)
    assert len(found) == table.count(".handler =") >= 30
    return found


ROUTES = all_routes()
GUARDED = [(method, path) for method, path in ROUTES if f"{method} {path}" not in PUBLIC]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Another key that calls itself by the same name."""
    return Issuer(tmp_path_factory.mktemp("stranger"))


class Keys:
    """`tomehub keys`, and every secret it gave."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.secrets: list[str] = []

    def create(self, *arguments: str) -> tuple[str, str]:
        """(id, key)"""
        result = self.command("keys", "create", "--json", *arguments)
        assert result.status == 0, result.stderr
        made = json.loads(result.stdout)
        self.secrets.append(made["key"])
        return made["id"], made["key"]

    def key(self, user: str, scopes: str = "read,write") -> str:
        return self.create("--user", user, "--scopes", scopes)[1]


@pytest.fixture
def keys(command: Command) -> Keys:
    return Keys(command)


def shows(text: str, secret: str) -> bool:
    """Whether `text` holds the secret, or a good part of it."""
    parts = (secret, secret[-21:-1], secret[20:60]) if len(secret) > 60 else ()
    return any(part in text for part in parts)


@pytest.fixture
def server(
    start_tomehub: Callable[..., Server], issuer: Issuer, tmp_path: Path, keys: Keys
) -> Iterator[Server]:
    """Takes keys and tokens, logs all it can; its log must hold no secret at the end."""
    path = tmp_path / "keys.json"
    path.write_text(key_set(issuer))
    started = start_tomehub(
        AUTH="keys,jwt",
        JWT_ISSUER=ISSUER,
        JWT_AUDIENCE=AUDIENCE,
        JWT_KEYS=path,
        LOG_LEVEL="debug",
        SLOW_QUERY_SECONDS="0.000001",
    )
    yield started
    log = started.log()
    for secret in keys.secrets:
        assert not shows(log, secret)


def ask(
    server: Server, method: str, path: str, credential: str | None, body: bytes | None = None
) -> Answer:
    headers = {"content_type": "application/json"} if body is not None else {}
    if credential is not None:
        headers["authorization"] = f"Bearer {credential}"
    with JsonClient(server.port) as client:
        return client.request(method, path, body, **headers)


def post(server: Server, path: str, value: object, credential: str | None) -> Answer:
    return ask(server, "POST", path, credential, json.dumps(value).encode())


class Library:
    """A book of a user's, and what leads to it."""

    def __init__(self, server: Server, credential: str, word: str) -> None:
        value = {"title": f"Book of {word}", "author": f"By{word}", "tags": [f"tag{word}"]}
        value["text"] = f"The {word} stands here. It is a {word} that nobody else has."
        answer = post(server, "/api/ingest?wait=true", value, credential)
        assert answer.status == 200, answer.text
        self.word = word
        self.book_id = int(answer.json["book_id"])
        self.job_id = int(answer.json["job_id"])
        found = ask(server, "GET", f"/api/search?q={word}&page_size=5", credential)
        assert found.json["total_count"] == 1, found.text
        self.content_id = int(found.json["results"][0]["id"])
        concepts = ask(server, "GET", "/api/concepts", credential).json["concepts"]
        self.concept_id = int(concepts[0]["id"]) if concepts else 1

    def path(self, pattern: str) -> str:
        """A route's path that leads to this book."""
        values = {"{id}": str(self.book_id), "{n}": "1", "{job_id}": str(self.job_id)}
        if "/content/" in pattern:
            values["{id}"] = str(self.content_id)
        if "/concepts/" in pattern:
            values["{id}"] = str(self.concept_id)
        for name, value in values.items():
            pattern = pattern.replace(name, value)
        return pattern.replace("{path...}", "index.html")

    def request(self, method: str, pattern: str) -> tuple[str, str, bytes | None]:
        """A good request for a route."""
        bodies: dict[str, object] = {
            "/api/content/batch": {"ids": [self.content_id]},
            "/api/ingest": {"title": "t", "text": f"Something of {self.word} anew."},
            "/api/books/{id}": {"title": "stolen"},
        }
        path = self.path(pattern)
        if method == "GET" and "/search" in pattern:
            return method, f"{path}?q={self.word}&facets=true", None
        if method in ("POST", "PATCH"):
            body = bodies.get(pattern, {"query": self.word})
            return method, path, json.dumps(body).encode()
        return method, path, None


def ask_for(
    server: Server, library: Library, method: str, pattern: str, credential: str | None
) -> Answer:
    """A good request for a route, with any credential."""
    _, path, body = library.request(method, pattern)
    return ask(server, method, path, credential, body)


def used_and_revoked(server: Server, keys: Keys) -> str:
    """A key that the server knew as a good one a moment ago."""
    identity, key = keys.create("--user", "ann", "--scopes", "read,write,admin")
    assert ask(server, "GET", "/metrics", key).status == 200
    assert keys.command("keys", "revoke", identity).status == 0
    deadline = time.monotonic() + 20
    while ask(server, "GET", "/metrics", key).status == 200:
        assert time.monotonic() < deadline
    return key


def bad_credentials(
    server: Server, issuer: Issuer, stranger: Issuer, keys: Keys
) -> dict[str, str | None]:
    now = int(time.time())
    identity, revoked = keys.create("--user", "ann")
    assert keys.command("keys", "revoke", identity).status == 0
    expired = issuer.token(exp=now - 3600)
    good = keys.key("ann")
    bad = {
        "nobody": None,
        "empty": "",
        "no key": "bhk_0123456789ab_" + "0" * 64,
        "half a key": good[:40],
        "another secret": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "revoked": revoked,
        "revoked a moment ago": used_and_revoked(server, keys),
        "garbage": "a.b.c",
        "alg none": issuer.unsigned(),
        "alg None, signed": issuer.unsigned("None", expired.split(".")[2]),
        "no alg": issuer.unsigned(""),
        "HS256 by the public key": issuer.by_public_key(),
        "another signer": stranger.token(),
        "no such key id": stranger.token({"kid": "two"}),
        "its own key": stranger.token({"kid": "two", "jwk": stranger.jwk()}),
        "another algorithm of the key": issuer.token({"alg": "ES256"}),
        "critical": issuer.token({"crit": ["exp"]}),
        "expired": expired,
        "not yet": issuer.token(nbf=now + 3600),
        "from the future": issuer.token(iat=now + 3600),
        "another audience": issuer.token(aud="another-library"),
        "another issuer": issuer.token(iss="https://securetoken.google.com/another"),
        "no subject": issuer.token(sub=None),
        "empty subject": issuer.token(sub=""),
        "no end": issuer.token(exp=None),
    }
    keys.secrets += [text for text in bad.values() if text and len(text) > 60]
    return bad


def test_every_route_refuses_whoever_is_not_known(
    server: Server, issuer: Issuer, stranger: Issuer, keys: Keys
) -> None:
    ann = Library(server, keys.key("ann"), "quokka")
    bad = bad_credentials(server, issuer, stranger, keys)
    for name, credential in bad.items():
        for method, pattern in GUARDED:
            answer = ask_for(server, ann, method, pattern, credential)
            assert answer.status == 401, (name, method, pattern, answer.text)
            assert answer.headers["www-authenticate"].startswith("Bearer realm="), name
            assert "quokka" not in answer.text
            told = answer.text + str(answer.headers)
            assert not shows(told, credential or ""), (name, told)
    for method, pattern in ROUTES:
        if f"{method} {pattern}" in PUBLIC:
            answer = ask(server, method, ann.path(pattern), None)
            assert answer.status in (200, 404) and "quokka" not in answer.text, pattern
    shown = [
        ask(server, "GET", path, keys.key("ann", "admin")).text
        for path in ("/metrics", "/api/admin/queries?durations=true", "/api/health")
    ]
    assert not [secret for secret in keys.secrets if shows("".join(shown), secret)]


def test_no_route_shows_another_users_rows(server: Server, issuer: Issuer, keys: Keys) -> None:
    """Bob asks for all that is Ann's, by key and by token: it is as if it did not exist."""
    anns_key = keys.key("ann")
    ann = Library(server, anns_key, "quokka")
    book_before = ask(server, "GET", ann.path("/api/books/{id}"), anns_key).json
    by_token = issuer.token(sub="bob")
    keys.secrets.append(by_token)
    for bob in (keys.key("bob", "read,write,admin"), by_token):
        for method, pattern in GUARDED:
            answer = ask_for(server, ann, method, pattern, bob)
            text = answer.text.replace('"query":"quokka"', "").replace("q=quokka", "")
            assert "Book of quokka" not in text and "nobody else" not in text, (pattern, text)
            assert "Byquokka" not in text and "tagquokka" not in text, (pattern, text)
            if re.search(r"\{(id|job_id)\}", pattern):
                assert answer.status == 404, (method, pattern, text)
                missing = ask(
                    server,
                    method,
                    re.sub(r"\d{2,}|\d+", "999", ann.path(pattern)),
                    bob,
                    ann.request(method, pattern)[2],
                )
                assert missing.status == 404  # just as for what does not exist
            if pattern == "/api/content/batch":
                assert answer.json == {"items": [], "missing": [ann.content_id]}
        replaced = post(
            server, "/api/ingest", {"title": "t", "text": "x", "book_id": ann.book_id}, bob
        )
        assert replaced.status in (404, 422), replaced.text
    assert ask(server, "GET", ann.path("/api/books/{id}"), anns_key).json == book_before
    assert ask(server, "GET", "/api/search?q=quokka", anns_key).json["total_count"] == 1


def test_the_same_document_is_each_users_own(server: Server, keys: Keys) -> None:
    ann, bob = keys.key("ann"), keys.key("bob")
    first, second = Library(server, ann, "numbat"), Library(server, bob, "numbat")
    assert first.book_id != second.book_id
    assert ask(server, "DELETE", first.path("/api/books/{id}"), ann).status == 204
    assert ask(server, "GET", "/api/search?q=numbat", ann).json["total_count"] == 0
    assert ask(server, "GET", "/api/search?q=numbat", bob).json["total_count"] == 1
    spelt = ask(server, "GET", "/api/search?q=numbatt", ann).json
    assert not spelt.get("did_you_mean") and spelt["total_count"] == 0


def test_scopes(server: Server, issuer: Issuer, keys: Keys) -> None:
    writer = keys.key("ann")
    ann = Library(server, writer, "quoll")
    reader, admin = keys.key("ann", "read"), keys.key("ann", "admin")
    tokens = {"reads": issuer.token(scope="openid read"), "nothing": issuer.token(scope="openid")}
    keys.secrets += tokens.values()
    for method, pattern in GUARDED:
        request = ann.request(method, pattern)
        is_operators = "/health" in pattern or "/admin/" in pattern or pattern == "/metrics"
        is_read = method == "GET" or "/search" in pattern or pattern == "/api/content/batch"
        for credential, may_read, may_admin in (
            (reader, True, False),
            (tokens["reads"], True, False),
            (tokens["nothing"], False, False),
            (admin, False, True),
        ):
            allowed = may_admin if is_operators else may_read and is_read
            if allowed:
                continue  # what the other tests do
            answer = ask(server, *request[:2], credential, request[2])
            assert answer.status == 403, (method, pattern, answer.text)
            assert "insufficient_scope" in answer.headers["www-authenticate"]
    assert ask(server, "GET", "/metrics", admin).status == 200
    assert ask(server, "GET", ann.path("/api/books/{id}"), reader).status == 200
    assert ask(server, "GET", "/metrics", writer).status == 403


def test_a_key_works_at_once_and_a_revoked_one_no_more(server: Server, keys: Keys) -> None:
    identity, key = keys.create("--name", "laptop")
    assert ask(server, "GET", "/api/books", key).status == 200  # nobody told the server
    with JsonClient(server.port) as client:
        assert client.request("GET", "/api/books", x_api_key=key).status == 200
        both = client.request("GET", "/api/books", x_api_key=key, authorization=f"Bearer {key}")
        assert both.status == 401
        basic = client.request("GET", "/api/books", authorization=f"Basic {key}")
        assert basic.status == 401
        assert client.request("GET", "/api/books", x_api_key=f"{key} ").status == 200  # OWS
    assert keys.command("keys", "revoke", identity).status == 0
    deadline = time.monotonic() + 20
    while ask(server, "GET", "/api/books", key).status == 200:
        assert time.monotonic() < deadline
    assert ask(server, "GET", "/api/books", key).json["detail"] == "the API key was revoked"
    assert keys.command("keys", "revoke", identity).status == 1
    listed = keys.command("keys", "list", "--json").stdout
    assert key not in listed and key.split("_")[2] not in listed
    rows = {row["id"]: row for row in map(json.loads, listed.splitlines())}
    assert rows[identity]["name"] == "laptop" and rows[identity]["revoked_at"]


def test_the_key_opens_this_machines_own_library(
    server: Server, command: Command, keys: Keys, tmp_path: Path
) -> None:
    """A key without a user is for the library that commands and a server without keys work on."""
    path = tmp_path / "own.txt"
    path.write_text("The bilby is at home here.")
    assert command("ingest", path).status == 0
    key = keys.create()[1]
    assert ask(server, "GET", "/api/search?q=bilby", key).json["total_count"] == 1
    assert ask(server, "GET", "/api/search?q=bilby", keys.key("ann")).json["total_count"] == 0
    admin = keys.create("--scopes", "admin")[1]
    shown = command("profile", "--duration", "1", PORT=server.port, API_KEY=admin)
    assert shown.status == 0, shown.stderr
    secrets = {"API_KEY": admin, "ANSWER_API_KEY": "sk-of-the-provider"}
    secrets["REDIS_URL"] = "redis://:of-redis@127.0.0.1/0"
    result = command("config", **secrets)
    assert result.status == 0 and "ANSWER_API_KEY=***" in result.stdout
    told = result.stdout + result.stderr
    assert not any(secret in told for secret in (admin, "sk-of-the-provider", "of-redis"))


@pytest.mark.sqlite
def test_tokens_keys_are_renewed_and_outlive_their_source(
    start_tomehub: Callable[..., Server], tmp_path: Path, issuer: Issuer
) -> None:
    newer = Issuer(tmp_path, "newer")
    with serving(key_set(issuer)) as source:
        server = start_tomehub(
            AUTH="jwt", JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE, JWT_KEYS=source.url
        )
        assert ask(server, "GET", "/api/books", issuer.token()).status == 200
        asked = source.asked
        source.status = 500  # the source is down: those known stay
        assert ask(server, "GET", "/api/books", issuer.token(sub="eve")).status == 200
        assert source.asked == asked
        source.status, source.text = 200, key_set(newer)
        deadline = time.monotonic() + 30  # not asked again too soon
        token = newer.token()
        while ask(server, "GET", "/api/books", token).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # Also a token that was verified before is refused once its key is gone.
        assert ask(server, "GET", "/api/books", issuer.token()).status == 401
    assert ask(server, "GET", "/api/books", newer.token(sub="eve")).status == 200


def test_unknown_keys_do_not_make_queries(server: Server, keys: Keys) -> None:
    """A crowd with keys of its own making asks the database ten times a second at most."""
    admin = keys.create("--scopes", "admin")[1]

    def loads() -> float:
        text = ask(server, "GET", "/metrics", admin).text
        pattern = r'auth_loads_total\{[^}]*what="api_keys"[^}]*\} (\d+)'
        return sum(float(value) for value in re.findall(pattern, text))

    before, start = loads(), time.monotonic()
    with JsonClient(server.port) as client:
        for number in range(12):
            key = f"bhk_{number:012x}_" + "ab" * 32
            assert client.request("GET", "/api/books", x_api_key=key).status == 401
    seconds = time.monotonic() - start
    assert loads() - before <= seconds * 11 + 2


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"HOST": "0.0.0.0"}, "there is no authentication"),
        ({"HOST": "::"}, "there is no authentication"),
        ({"AUTH": "jwt"}, "needs JWT_ISSUER, JWT_AUDIENCE and JWT_KEYS"),
        ({"AUTH": "password"}, "AUTH"),
        (
            {"AUTH": "jwt", "JWT_ISSUER": "i", "JWT_AUDIENCE": "a", "JWT_KEYS": "/no/such/file"},
            "/no/such/file",
        ),
        (
            {
                "AUTH": "jwt",
                "JWT_ISSUER": "i",
                "JWT_AUDIENCE": "a",
                "JWT_KEYS": "http://a.example/k",
            },
            "https",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_settings_that_are_refused(command: Command, settings: dict[str, str], said: str) -> None:
    result = command("serve", "--no-supervisor", PORT=0, **settings)
    assert result.status == 1 and said in result.stderr, result.stderr


@pytest.mark.sqlite
@pytest.mark.parametrize("settings", [{"AUTH": "keys"}, {"ALLOW_UNAUTHENTICATED": "true"}])
def test_settings_that_may_be_reached(
    start_tomehub: Callable[..., Server], settings: dict[str, str]
) -> None:
    server = start_tomehub(HOST="0.0.0.0", **settings)
    expected = 401 if "AUTH" in settings else 200
    assert ask(server, "GET", "/api/books", None).status == expected
