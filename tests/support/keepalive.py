"""Many keep-alive clients that ask without a pause, and notice every answer they do not get."""

from __future__ import annotations

import asyncio
import ssl
import threading
from types import TracebackType


class KeepAliveLoad:
    """`count` connections, each sending its next request when it has the answer, in a thread of
    their own from `with` on. A connection the server closes *with* an answer is made anew."""

    def __init__(self, port: int, path: str, count: int, tls: ssl.SSLContext | None = None) -> None:
        self.port, self.count, self.tls = port, count, tls
        self.request = f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
        self.answers = 0
        self.failures: list[str] = []  # requests without a whole answer of status 200
        self.refused = 0  # connections that could not be made
        self.reconnected = 0
        self.is_over = False
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> KeepAliveLoad:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.is_over = True
        self.thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(self.count)))

    async def _client(self) -> None:
        while not self.is_over:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
            except OSError:
                self.refused += 1
                await asyncio.sleep(0.02)
                continue
            try:
                await self._converse(reader, writer)
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                self.failures.append(repr(error))
            finally:
                writer.close()
            self.reconnected += 1

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self.is_over:
            writer.write(self.request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            await reader.readexactly(int(fields["content-length"]))
            if " 200 " not in head.split("\r\n")[0]:
                raise ValueError(head.split("\r\n")[0])
            self.answers += 1
            if fields.get("connection") == "close":
                return
