"""A balancer for tests: each connection goes to the next of its servers, round and round. One that
refuses it is passed over for the one after it; nothing else is tried twice."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections import Counter
from functools import partial
from types import TracebackType

from support.ports import free_port

HELD = 64 * 1024  # bytes, in each direction, of what a slow reader does not take


class Side(asyncio.Protocol):
    """One end of a connection: what comes in here goes out at the other end."""

    transport: asyncio.Transport
    other: Side | None = None  # None: nobody is there yet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.other, "a server does not speak first"
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other:
            self.other.transport.close()


class ServerSide(Side):
    """Counts its end."""

    def __init__(self, balancer: Balancer, port: int) -> None:
        self.balancer, self.port = balancer, port

    def connection_lost(self, error: Exception | None) -> None:
        self.balancer.ended[self.port] += 1
        super().connection_lost(error)


class Balancer:
    """In a thread of its own from `with` on."""

    def __init__(self, servers: list[int]) -> None:
        self.port = free_port()
        self.servers = servers
        self.turns = itertools.cycle(range(len(servers)))
        self.given: Counter[int] = Counter()  # connections each server has taken
        self.ended: Counter[int] = Counter()  # those of them that have ended
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run)
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, HELD)  # of its connections
        self.listener.setblocking(False)

    def __enter__(self) -> Balancer:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.listener.close()

    def run(self) -> None:
        serving = self.loop.create_task(self.serve())
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(serving, return_exceptions=True))
        self.loop.close()

    async def serve(self) -> None:
        joining: set[asyncio.Task[None]] = set()
        while True:
            client, _ = await self.loop.sock_accept(self.listener)
            task = self.loop.create_task(self.join(client))
            joining.add(task)
            task.add_done_callback(joining.discard)

    async def join(self, client: socket.socket) -> None:
        """Both ends, once a server has taken it."""
        server = await self.connect()
        if server is None:
            client.close()
            return
        side = Side()
        side.other = server
        await self.loop.connect_accepted_socket(lambda: side, client)
        server.other = side
        if server.transport.is_closing():
            side.transport.close()

    async def connect(self) -> ServerSide | None:
        """To the next server that takes it; None: none of them does."""
        turn = next(self.turns)
        for port in self.servers[turn:] + self.servers[:turn]:
            try:
                transport, side = await self.loop.create_connection(
                    partial(ServerSide, self, port), "127.0.0.1", port
                )
            except OSError:
                continue
            own: socket.socket = transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD)
            self.given[port] += 1
            return side
        return None
