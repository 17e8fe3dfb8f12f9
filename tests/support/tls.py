"""Certificates of a test's own authority, made by openssl; and raw clients that speak TLS."""

from __future__ import annotations

import socket
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.http import RawConnection

P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
NAMES = "DNS:localhost,IP:127.0.0.1"


def openssl(*arguments: object, days_ago: int = 0) -> None:
    """Runs it with a clock that is so many days behind."""
    clock = ["faketime", "-f", f"-{days_ago}d"] if days_ago else []
    subprocess.run([*clock, "openssl", *map(str, arguments)], check=True, capture_output=True)


@dataclass(frozen=True)
class Certificate:
    """A server's certificate and its key, both PEM files."""

    cert: Path
    key: Path

    @property
    def settings(self) -> dict[str, str]:
        return {"TLS_CERT_FILE": str(self.cert), "TLS_KEY_FILE": str(self.key)}


class Authority:
    """Signs certificates; `ca` is the file that clients trust."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.ca, self.ca_key = directory / "ca.pem", directory / "ca.key"
        openssl(
            *("req", "-x509", *P256, "-keyout", self.ca_key, "-out", self.ca, "-days", 30),
            *("-subj", "/CN=Test CA", "-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def issue(self, name: str, names: str = NAMES, days: int = 90) -> Certificate:
        """A certificate in `name`.pem, its key in `name`.key. `days` negative: it has expired."""
        made = Certificate(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        request, extensions = self.directory / "request.pem", self.directory / "extensions"
        extensions.write_text(f"subjectAltName={names}\n")
        openssl("req", *P256, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
        openssl(
            *("x509", "-req", "-in", request, "-out", made.cert, "-extfile", extensions),
            *("-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial", "-days", max(days, 1)),
            days_ago=1 - days if days < 0 else 0,
        )
        made.key.chmod(0o600)
        return made

    def context(self) -> ssl.SSLContext:
        """A client's that trusts this authority and nobody else."""
        return ssl.create_default_context(cafile=self.ca)


class TlsConnection(RawConnection):
    """One TLS connection to 127.0.0.1; bytes inside it as they are."""

    def __init__(
        self,
        port: int,
        context: ssl.SSLContext,
        timeout: float = 10,
        session: ssl.SSLSession | None = None,
    ) -> None:
        super().__init__(port, timeout)
        self.tls = context.wrap_socket(
            self.socket, server_hostname="localhost", session=session, suppress_ragged_eofs=False
        )
        self.socket = self.tls


def receive_buffer(port: int, context: ssl.SSLContext, size: int) -> ssl.SSLSocket:
    """A TLS connection whose system takes in little ahead of its reader."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    plain.settimeout(20)
    plain.connect(("127.0.0.1", port))
    return context.wrap_socket(plain, server_hostname="localhost")
