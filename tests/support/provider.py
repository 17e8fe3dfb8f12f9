"""An answer provider for tests: a real HTTP server that streams chat completions, well or badly."""

from __future__ import annotations

import json
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any


class Exchange:
    """One request, and what its script may do with the connection."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes, provider: Provider) -> None:
        self.handler = handler
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.path = handler.path
        self.body: dict[str, Any] = json.loads(body)
        self.provider = provider
        self.client_left = threading.Event()

    @property
    def prompt(self) -> str:
        return "\n".join(message["content"] for message in self.body["messages"])

    def head(self, status: int = 200, **headers: str) -> None:
        self.handler.send_response(status)
        self.handler.send_header("Connection", "close")
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def raw(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def event(self, value: object) -> None:
        self.raw(f"data: {json.dumps(value)}\n\n".encode())

    def say(self, text: str) -> None:
        self.event({"choices": [{"index": 0, "delta": {"content": text}}]})

    def begin(self) -> None:
        self.head(content_type="text/event-stream")
        self.event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]})

    def end(self, reason: str = "stop") -> None:
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        self.raw(b"data: [DONE]\n\n")

    def stall(self) -> None:
        """Says nothing until the other side has gone."""
        self.handler.connection.settimeout(60)
        try:
            while self.handler.connection.recv(4096):
                pass
        except OSError:
            pass
        self.client_left.set()


Script = Callable[[Exchange], None]


def says(*pieces: str, reason: str = "stop") -> Script:
    """A good answer in these pieces."""

    def script(exchange: Exchange) -> None:
        exchange.begin()
        for piece in pieces:
            exchange.say(piece)
        exchange.end(reason)

    return script


def refuses(status: int, **headers: str) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.head(status, content_length="0", **headers)

    return script


class Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 256  # streams come by the hundred


class Provider:
    """`scripts` are played one for each request, the last again and again."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.scripts: list[Script] = [says("NOT_IN_LIBRARY")]
        self.exchanges: list[Exchange] = []
        self.lock = threading.Lock()
        self.server = Listener(("127.0.0.1", 0), self.handler())
        self.scheme = "http"
        if certificate:
            self.scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = int(self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"

    def play(self, *scripts: Script) -> None:
        with self.lock:
            self.scripts = list(scripts)
            self.exchanges = []

    def next_script(self, exchange: Exchange) -> Script:
        with self.lock:
            self.exchanges.append(exchange)
            return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    def handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                exchange = Exchange(self, body, provider)
                self.close_connection = True
                try:
                    provider.next_script(exchange)(exchange)
                except OSError:  # the client has gone
                    exchange.client_left.set()

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def make_certificate(folder: Path) -> Path:
    """A certificate that vouches for itself and its key, in one file, for 127.0.0.1."""
    path = folder / "certificate.pem"
    key = folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(path)],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + key.read_text())
    return path
