"""An issuer of tokens: a key made by openssl, its key set, tokens good and bad."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ISSUER = "https://securetoken.google.com/test-library"
AUDIENCE = "test-library"


def encode(data: bytes | dict[str, Any]) -> str:
    """Base64url without padding; of JSON for a dict."""
    raw = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """An RSA key named `kid`, in `folder`."""

    def __init__(self, folder: Path, kid: str = "one") -> None:
        self.kid = kid
        self.path = folder / f"{kid}.pem"
        self._openssl("genrsa", "-out", str(self.path), "2048")

    def _openssl(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ["openssl", *arguments]
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout

    def public_pem(self) -> bytes:
        return self._openssl("pkey", "-in", str(self.path), "-pubout")

    def jwk(self) -> dict[str, str]:
        text = self._openssl("rsa", "-in", str(self.path), "-noout", "-modulus").decode()
        modulus = bytes.fromhex(text.strip().removeprefix("Modulus="))
        return {"kty": "RSA", "alg": "RS256", "kid": self.kid, "n": encode(modulus), "e": "AQAB"}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """What a good token says; a claim that is changed to None is left out."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600}
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, head: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token signed by the key, whatever its head says."""
        fields = {"alg": "RS256", "kid": self.kid, "typ": "JWT"} | (head or {})
        text = f"{encode(fields)}.{encode(self.claims(**changes))}"
        signature = self._openssl("dgst", "-sha256", "-sign", str(self.path), given=text.encode())
        return f"{text}.{encode(signature)}"

    def unsigned(self, algorithm: str = "none", signature: str = "") -> str:
        return f"{encode({'alg': algorithm})}.{encode(self.claims())}.{signature}"

    def by_public_key(self) -> str:
        """HS256, with what everybody knows as its secret."""
        text = f"{encode({'alg': 'HS256', 'kid': self.kid})}.{encode(self.claims())}"
        code = hmac.new(self.public_pem(), text.encode(), hashlib.sha256).digest()
        return f"{text}.{encode(code)}"


def key_set(*issuers: Issuer) -> str:
    return json.dumps({"keys": [issuer.jwk() for issuer in issuers]})


class KeyServer:
    """Serves `text`; `asked` counts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked = 0
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                body = outer.text.encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", "public, max-age=3600, must-revalidate")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/keys"


@contextmanager
def serving(text: str) -> Iterator[KeyServer]:
    keys = KeyServer(text)
    thread = threading.Thread(target=keys.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield keys
    finally:
        keys.server.shutdown()
        thread.join()
        keys.server.server_close()
