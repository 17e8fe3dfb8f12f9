"""TomeHub under TLS: wrong files are told, commands find the server, and a new certificate is taken
up without a failed request."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from support.ingest import wait_until
from support.keepalive import KeepAliveLoad
from support.process import CommandResult
from support.server import Server
from support.tls import Authority, Certificate, TlsConnection, openssl

CONNECTIONS = 100
Command = Callable[..., CommandResult]


def shown_serial(server: Server, authority: Authority) -> str:
    """Of the certificate that the server shows."""
    with TlsConnection(server.port, authority.context()) as connection:
        certificate = connection.tls.getpeercert()
    assert certificate
    return str(certificate["serialNumber"])


def copied(certificate: Certificate, directory: Path) -> Certificate:
    """A copy that the test may replace."""
    copy = Certificate(directory / "site.pem", directory / "site.key")
    shutil.copy(certificate.cert, copy.cert)
    shutil.copy(certificate.key, copy.key)
    return copy


# ---- Wrong files


def test_wrong_files_are_told(
    command: Command, authority: Authority, certificate: Certificate, tmp_path: Path
) -> None:
    other = authority.issue("other")
    open_key = tmp_path / "open.key"
    shutil.copy(certificate.key, open_key)
    open_key.chmod(0o644)
    locked, empty = tmp_path / "locked.key", tmp_path / "empty.pem"
    openssl("pkey", "-in", certificate.key, "-out", locked, "-aes128", "-passout", "pass:secret")
    locked.chmod(0o600)
    empty.write_text("")
    empty.chmod(0o600)
    missing = tmp_path / "missing.pem"
    for cert, key, cause in (
        (certificate.cert, "", "TLS_CERT_FILE is set and TLS_KEY_FILE is not"),
        ("", certificate.key, "TLS_KEY_FILE is set and TLS_CERT_FILE is not"),
        (missing, certificate.key, f"cannot open the certificate {missing}: No such file"),
        (certificate.cert, missing, f"cannot open the key {missing}: No such file"),
        (certificate.cert, tmp_path, f"the key {tmp_path} is no file"),
        (certificate.cert, other.key, f"the key {other.key} is not that of the certificate"),
        (certificate.cert, open_key, "open to everybody on this machine: chmod o="),
        (certificate.cert, locked, "has a passphrase, which nobody is there to type"),
        (certificate.cert, empty, f"{empty} holds no private key"),
        (empty, certificate.key, f"{empty} holds no certificate"),
        (certificate.key, certificate.key, f"{certificate.key} holds no certificate"),
    ):
        for supervisor in ("on", "off"):
            files = {"TLS_CERT_FILE": cert, "TLS_KEY_FILE": key}
            result = command("serve", SUPERVISOR=supervisor, PORT=0, **files)
            assert result.status == 1, result
            assert cause in result.stderr, result.stderr
            assert len(result.stderr.splitlines()) == 1, result.stderr


@pytest.mark.parametrize(
    ("days", "told"),
    [(-3, r"expired [23] days ago: clients will refuse it"), (5, r"expires in [45] days")],
)
def test_an_ending_certificate_is_told(
    start_tomehub: Callable[..., Server], authority: Authority, days: int, told: str
) -> None:
    ending = authority.issue("ending", "DNS:localhost", days)
    server = start_tomehub(ready=False, **ending.settings)
    server.wait_log(told)
    server.wait_log("Serving on https://")


# ---- Commands


def test_commands_find_the_server(
    start_tomehub: Callable[..., Server],
    command: Command,
    authority: Authority,
    certificate: Certificate,
) -> None:
    """Whatever names the certificate has: HOST is no name of it."""
    named = authority.issue("named", "DNS:books.example,IP:127.0.0.1")
    server = start_tomehub(SUPERVISOR="on", tls_ca=authority.ca, **named.settings)
    profile = command("profile", "-d", 1, "--json", PORT=server.port, **named.settings)
    assert profile.status == 0, profile.stderr
    assert "queries" in json.loads(profile.stdout)
    assert command("status", PORT=server.port, **named.settings).status == 0
    stranger = command("profile", "-d", 1, PORT=server.port, **certificate.settings)
    assert stranger.status == 1 and "was it replaced without tomehub reload" in stranger.stderr
    plain = command("profile", "-d", 1, PORT=server.port)
    assert plain.status == 1 and "400 Bad Request" in plain.stderr


# ---- A new certificate


def test_a_new_certificate_costs_no_request(
    start_tomehub: Callable[..., Server],
    command: Command,
    authority: Authority,
    certificate: Certificate,
    library_dir: Path,
) -> None:
    site = copied(certificate, library_dir)
    server = start_tomehub(SUPERVISOR="on", ACCESS_LOG="off", tls_ca=authority.ca, **site.settings)
    first = shown_serial(server, authority)
    with KeepAliveLoad(server.port, "/api/books", CONNECTIONS, authority.context()) as load:
        wait_until(lambda: load.answers >= 3 * CONNECTIONS)
        newer = authority.issue("newer")
        shutil.copy(newer.cert, site.cert)
        broken = command("reload", PORT=server.port, **site.settings)
        assert broken.status == 1 and "is not that of the certificate" in broken.stderr
        assert shown_serial(server, authority) == first
        shutil.copy(newer.key, site.key)
        result = command("reload", PORT=server.port, **site.settings)
        assert result.status == 0, result.stderr
        wait_until(lambda: shown_serial(server, authority) != first)  # the old one may take one yet
        before = load.answers
        wait_until(lambda: load.answers >= before + 3 * CONNECTIONS)
    assert load.failures == [] and load.refused == 0
    assert load.reconnected >= CONNECTIONS


def test_resumption_with_a_ticket_of_the_worker_before(
    start_tomehub: Callable[..., Server],
    command: Command,
    authority: Authority,
    certificate: Certificate,
) -> None:
    """Its key is gone: the handshake is a full one, and no failure."""
    server = start_tomehub(SUPERVISOR="on", tls_ca=authority.ca, **certificate.settings)
    context = authority.context()
    request = b"GET /api/health/live HTTP/1.1\r\nHost: test\r\n\r\n"
    with TlsConnection(server.port, context) as connection:
        connection.send(request)
        assert connection.read_answer().status == 200
        session = connection.tls.session
    assert command("restart", PORT=server.port, **certificate.settings).status == 0
    wait_until(lambda: len(server.workers()) == 1)  # the old one takes connections until it leaves
    with TlsConnection(server.port, context, session=session) as connection:
        connection.send(request)
        assert connection.read_answer().status == 200
        assert not connection.tls.session_reused


def test_metrics_tell_of_tls(
    start_tomehub: Callable[..., Server], authority: Authority, certificate: Certificate
) -> None:
    server = start_tomehub(tls_ca=authority.ca, **certificate.settings)
    with pytest.raises(ssl.SSLError):
        TlsConnection(server.port, ssl.create_default_context())
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert plain.recv(1000).startswith(b"HTTP/1.1 400 ")
    with TlsConnection(server.port, authority.context()) as connection:
        connection.send(b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n")
        text = connection.read_answer().text
    assert 'http_tls_handshakes_total{result="refused"} 1\n' in text
    assert 'http_tls_handshakes_total{result="plain_http"} 1\n' in text
    expires = re.search(r"^http_tls_certificate_expires_timestamp_seconds (\S+)$", text, re.M)
    assert expires and float(expires[1]) > 1.7e9
    server.wait_log("does not accept our certificate")
