"""A TCP proxy that can stop forwarding: what a network does that has lost a cable."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from types import TracebackType

CHUNK = 65536


class TcpProxy:
    """Forwards connections to a port of 127.0.0.1 and remembers when each came.

    `black_hole(True)` keeps all connections open and forwards nothing more in either direction;
    what comes meanwhile stays unread. `freeze()` does so for ever to the connections there are, and
    not to later ones. `drop()` resets them all. `delay_s`: how long each byte is
    on its way, in either direction.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.connected_at: list[float] = []
        self.delay_s = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self._hole = threading.Event()
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._frozen: set[tuple[socket.socket, socket.socket]] = set()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._listener.close()
        self.drop()

    def black_hole(self, active: bool) -> None:
        if active:
            self._hole.set()
        else:
            self._hole.clear()

    def freeze(self) -> None:
        with self._lock:
            self._frozen.update(self._pairs)

    def drop(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def connects_between(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at in self.connected_at)

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connected_at.append(time.monotonic())
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port), timeout=30)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._pairs.append(pair := (client, server))
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            self._copy(selector, pair)
        client.close()
        server.close()

    def _copy(
        self, selector: selectors.BaseSelector, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        """Until either side is done."""
        late: deque[tuple[float, socket.socket, bytes]] = deque()  # when it is due, oldest first
        while not self._ending.is_set():
            if self._hole.is_set() or pair in self._frozen:
                time.sleep(0.01)
                continue
            wait_s = max(0.0, late[0][0] - time.monotonic()) if late else 0.05
            ready = selector.select(min(wait_s, 0.05))
            try:
                for key, _ in ready:
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    data = source.recv(CHUNK)
                    if not data:
                        return
                    late.append((time.monotonic() + self.delay_s, key.data, data))
                while late and late[0][0] <= time.monotonic():
                    _, target, data = late.popleft()
                    target.sendall(data)
            except OSError:
                return
