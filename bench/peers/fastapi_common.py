"""What the two FastAPI peers share: the statements, JSON put together by hand, the processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from json import encoder
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

PROCESSES = 2
PAGE_SIZE = 50
quoted: Callable[[str], str] = getattr(encoder, "encode_basestring")  # C; no stub knows it


class Batch(BaseModel):
    ids: list[int]


def statement(name: str) -> str:
    return (Path(os.environ["PEERS_SQL"]) / f"{name}.sql").read_text()


def fields(row: Sequence[Any]) -> str:
    """The chunk's fields, without the braces around them; columns as the statements have them."""
    return (
        f'"id":{row[0]},"book_id":{row[1]},"title":{quoted(row[2])},"author":{quoted(row[3])},'
        f'"source_type":{quoted(row[4])},"chapter":{quoted(row[5])},"page_number":{row[6]},'
        f'"page_label":{quoted(row[7])},"page_kind":{quoted(row[8])},"paragraph":{row[9]},'
        f'"content":{quoted(row[10])},"tags":{row[11]},"metadata":{row[12]}'
    )


def missing(ids: list[int], found: list[int]) -> list[int]:
    """The ids asked for that were not found; both in the order asked."""
    at, left = 0, []
    for id in ids:
        if at < len(found) and found[at] == id:
            at += 1
        else:
            left.append(id)
    return left


def serve(app: FastAPI) -> None:
    """Serves in PROCESSES processes that share the port by SO_REUSEPORT: the kernel gives each its
    share of the connections, as uvicorn's own workers, which race for them, do not get it."""
    for _ in range(PROCESSES - 1):
        if os.fork() == 0:
            break
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", int(os.environ["PORT"])))
    config = uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, ws="none")
    uvicorn.Server(config).run(sockets=[listener])
