"""A Redis server for tests: a free port on 127.0.0.1, in memory alone."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time

from support.ports import free_port

START_SECONDS = 90.0


class Redis:
    """One server. `kill`, `stop`, `resume` and `start` may follow each other; the port stays."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        program = shutil.which("redis-server")
        assert program, "no redis-server here; install redis-server (tools/deps test)"
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self.process.poll() is None, "Redis has ended"
            assert time.monotonic() < deadline, "Redis does not start"
            time.sleep(0.005)

    def answers(self) -> bool:
        try:
            return self.command("PING").startswith("+PONG")
        except OSError:
            return False

    def command(self, *words: str) -> str:
        """Sends one command; returns its reply as it comes."""
        text = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), 60) as connection:
            connection.sendall(text.encode() + b"*1\r\n$4\r\nQUIT\r\n")
            reply = b""
            while more := connection.recv(65536):
                reply += more
        return reply.decode()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(START_SECONDS)
        self.process = None

    def stop(self) -> None:
        """The process stands still; its system still takes connections and bytes."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)
