"""HTTP clients for tests: one that speaks JSON, one that sends bytes just as they are."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """One HTTP response; header names in lower case, repeated ones joined by ", "."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def headers_of(pairs: list[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


class JsonClient:
    """A keep-alive client of a server on 127.0.0.1."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def __enter__(self) -> JsonClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.connection.close()

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Header names are given with underscores: `content_type="text/plain"`."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, fields)
        response = self.connection.getresponse()
        return Answer(response.status, headers_of(response.getheaders()), response.read())

    def get(self, path: str, **query: object) -> Answer:
        if query:
            path += "?" + urllib.parse.urlencode(query, doseq=True)
        return self.request("GET", path)

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)

    def send(self, method: str, path: str, value: object) -> Answer:
        """Sends `value` as JSON."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return self.request(method, path, body, content_type="application/json")

    def post(self, path: str, value: object) -> Answer:
        return self.send("POST", path, value)

    def patch(self, path: str, value: object) -> Answer:
        return self.send("PATCH", path, value)

    def upload(
        self, path: str, name: str, content: bytes, fields: Mapping[str, str] | None = None
    ) -> Answer:
        """Sends a file as multipart/form-data, after the other fields."""
        body, content_type = multipart(name, content, fields or {})
        return self.request("POST", path, body, content_type=content_type)

    def ingest_text(self, title: str, text: str, **others: object) -> int:
        """Takes a text into the library, waits until it is searchable, returns its book id."""
        value: dict[str, object] = {"title": title, "text": text} | others
        answer = self.post("/api/ingest?wait=true", value)
        assert answer.status == 200, answer.text
        return int(answer.json["book_id"])


def multipart(name: str, content: bytes, fields: Mapping[str, str]) -> tuple[bytes, str]:
    """(body, Content-Type) of a form with a file."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    disposition = f'form-data; name="file"; filename="{name}"'
    parts.append(
        f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        "Content-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n"
    )
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


class RawConnection:
    """One TCP connection to 127.0.0.1."""

    def __init__(self, port: int, timeout: float = 60) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def end_sending(self) -> None:
        """Sends FIN; answers can still be read."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Closes with RST."""
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def read_some(self) -> bytes:
        """The next bytes; b"" once the server has closed. TimeoutError if nothing comes."""
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def read_to_end(self) -> bytes:
        """Everything until the server closes."""
        data, self.pending = self.pending, b""
        while more := self.read_some():
            data += more
        return data

    def _read_until(self, is_enough: Any) -> None:
        while not is_enough():
            more = self.read_some()
            if not more:
                raise ConnectionError(f"closed after {self.pending[:200]!r}")
            self.pending += more

    def _take(self, size: int) -> bytes:
        self._read_until(lambda: len(self.pending) >= size)
        data, self.pending = self.pending[:size], self.pending[size:]
        return data

    def _take_line(self) -> bytes:
        self._read_until(lambda: b"\r\n" in self.pending)
        line, _, self.pending = self.pending.partition(b"\r\n")
        return line

    def read_answer(self, to_head: bool = False) -> Answer:
        """One whole response (of a HEAD request, if so told). ConnectionError when the server
        closes first."""
        status_line = self._take_line().decode("latin-1")
        pairs = []
        while line := self._take_line().decode("latin-1"):
            name, _, value = line.partition(":")
            pairs.append((name, value.strip()))
        headers = headers_of(pairs)
        status = int(status_line.split(" ")[1])
        if to_head or status in (204, 304) or status < 200:
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, headers, self._read_chunked())
        if "content-length" in headers:
            return Answer(status, headers, self._take(int(headers["content-length"])))
        return Answer(status, headers, self.read_to_end())

    def _read_chunked(self) -> bytes:
        body = b""
        while size := int(self._take_line(), 16):
            body += self._take(size)
            assert self._take(2) == b"\r\n"
        assert self._take_line() == b""
        return body


class RawHttp:
    """Makes raw connections to one server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self, timeout: float = 60) -> RawConnection:
        return RawConnection(self.port, timeout)

    def exchange(self, *pieces: bytes, timeout: float = 60) -> bytes:
        """Sends the pieces, each in a segment of its own, then reads until the server closes."""
        with self.connect(timeout) as connection:
            for piece in pieces:
                connection.send(piece)
            return connection.read_to_end()

    def answer(self, *pieces: bytes, timeout: float = 60) -> Answer:
        """Sends the pieces and reads one response."""
        with self.connect(timeout) as connection:
            for piece in pieces:
                connection.send(piece)
            return connection.read_answer()
