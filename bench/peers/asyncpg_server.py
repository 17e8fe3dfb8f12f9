#!/usr/bin/python3
"""The peer on FastAPI and asyncpg: two processes with a pool of 20 each, no response models."""

from __future__ import annotations

from typing import Any

import asyncpg
from fastapi import FastAPI, Response

from fastapi_common import PAGE_SIZE, Batch, fields, missing, quoted, serve, statement

POOL_SIZE = 20
CONTENT, BATCH, SEARCH, HEALTH = map(statement, ("content", "batch", "search", "health"))

app = FastAPI()
pool: Any = None


def answer(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="application/json")


@app.on_event("startup")
async def connect() -> None:
    global pool
    pool = await asyncpg.create_pool(min_size=POOL_SIZE, max_size=POOL_SIZE)  # PGHOST, PGPORT …


@app.get("/api/content/{id}")
async def content(id: int) -> Response:
    row = await pool.fetchrow(CONTENT, id)
    return answer(f"{{{fields(row)}}}") if row else answer('{"error":"Not Found"}', 404)


@app.post("/api/content/batch")
async def batch(body: Batch) -> Response:
    rows = await pool.fetch(BATCH, body.ids)
    items = ",".join([f"{{{fields(row)}}}" for row in rows])
    left = ",".join(map(str, missing(body.ids, [row[0] for row in rows])))
    return answer(f'{{"items":[{items}],"missing":[{left}]}}')


@app.get("/api/search")
async def search(q: str) -> Response:
    rows = await pool.fetch(SEARCH, q)
    total = rows[0][14] if rows else 0
    results = ",".join([f'{{{fields(row)},"score":{row[13]}}}' for row in rows])
    return answer(
        f'{{"query":{quoted(q)},"match":"all","results":[{results}],"total_count":{total},'
        f'"page":1,"page_size":{PAGE_SIZE},"total_pages":{-(-total // PAGE_SIZE)},'
        f'"has_next":{"true" if total > PAGE_SIZE else "false"}}}'
    )


@app.get("/api/health")
async def health() -> Response:
    await pool.fetchval(HEALTH)
    return answer('{"status":"ok"}')


if __name__ == "__main__":
    serve(app)
