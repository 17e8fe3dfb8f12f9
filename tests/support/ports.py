"""Ports to listen on that nobody else takes, however many tests run at the same time.

The ports lie outside of the range from which clients' ports are taken, and are parted into blocks.
A process that wants ports first takes a block for itself, by binding the block's name in the
kernel's abstract namespace, which is given back when the process ends, however it ends. From its
block it gives out each port in turn, so that one which was just in use comes last.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import socket
from collections.abc import Iterator
from functools import cache

BEGIN, END = 20000, 32000
BLOCK = 400


@cache
def own_block(process: int) -> tuple[socket.socket, Iterator[int]]:
    """What holds this process' block, and the ports of it, round and round."""
    begins = list(range(BEGIN, END, BLOCK))
    random.shuffle(begins)
    for begin in begins:
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            holder.bind(f"\0bulkhead-test-ports-{begin}")
        except OSError as error:
            holder.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        return holder, itertools.cycle(range(begin, begin + BLOCK))
    raise OSError(f"all {len(begins)} blocks of ports are in use: too many tests at a time")


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on, and that no other test will be given."""
    _, ports = own_block(os.getpid())
    for port in itertools.islice(ports, BLOCK):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise OSError(f"no free port among {BLOCK} from {BEGIN} to {END}")
