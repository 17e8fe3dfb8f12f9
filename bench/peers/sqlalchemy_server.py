#!/usr/bin/python3
"""The peer on FastAPI and SQLAlchemy's asyncio engine over asyncpg: two processes, pool 20 + 10
with pre-ping, a session a request, columns instead of entities, no response models."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text
from sqlalchemy import bindparam, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSON, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import sessionmaker

from fastapi_common import PAGE_SIZE, Batch, missing, serve

POOL_SIZE = 20
POOL_OVERFLOW = 10

schema = MetaData(schema="peers")
books = Table(
    "books",
    schema,
    Column("id", BigInteger, primary_key=True),
    *(Column(name, Text) for name in ("title", "author", "source_type", "page_kind")),
    Column("tags", JSON),
    Column("metadata", JSON),
)
chunks = Table(
    "chunks",
    schema,
    Column("id", BigInteger, primary_key=True),
    Column("book_id", BigInteger),
    Column("chapter", Text),
    Column("page_number", Integer),
    Column("page_label", Text),
    Column("paragraph", Integer),
    Column("content", Text),
    Column("words", TSVECTOR),
)
COLUMNS = (
    chunks.c.id,
    chunks.c.book_id,
    books.c.title,
    books.c.author,
    books.c.source_type,
    chunks.c.chapter,
    chunks.c.page_number,
    chunks.c.page_label,
    books.c.page_kind,
    chunks.c.paragraph,
    chunks.c.content,
    books.c.tags,
    books.c.metadata,
)

joined = chunks.join(books, books.c.id == chunks.c.book_id)


def content_query() -> Any:
    return select(*COLUMNS).select_from(joined).where(chunks.c.id == bindparam("id"))


def batch_query() -> Any:
    wanted = (
        func.unnest(cast(bindparam("ids"), ARRAY(BigInteger)))
        .table_valued("id", with_ordinality="position", name="wanted")
        .render_derived()
    )
    return (
        select(*COLUMNS)
        .select_from(joined.join(wanted, wanted.c.id == chunks.c.id))
        .order_by(wanted.c.position)
    )


def search_query() -> Any:
    """The statement of sql/search.sql."""
    query = func.plainto_tsquery(literal_column("'english'"), bindparam("q", type_=Text))
    query = query.column_valued("query")
    score = cast(func.ts_rank_cd(chunks.c.words, query), DOUBLE_PRECISION).label("score")
    best = (
        select(chunks.c.id, score, func.count().over().label("total"))
        .where(chunks.c.words.op("@@")(query))
        .order_by(score.desc(), chunks.c.id)
        .limit(PAGE_SIZE)
        .cte("best")
    )
    return (
        select(*COLUMNS, best.c.score, best.c.total)
        .select_from(joined.join(best, best.c.id == chunks.c.id))
        .order_by(best.c.score.desc(), chunks.c.id)
    )


# Built once: building them anew takes about as long as running them.
CONTENT, BATCH, SEARCH = content_query(), batch_query(), search_query()
HEALTH = select(1)

app = FastAPI()
engine = create_async_engine(
    "postgresql+asyncpg://",  # PGHOST, PGPORT …
    pool_size=POOL_SIZE,
    max_overflow=POOL_OVERFLOW,
    pool_pre_ping=True,
)
Session = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


@app.get("/api/content/{id}")
async def content(id: int) -> JSONResponse:
    async with Session() as session:
        row = (await session.execute(CONTENT, {"id": id})).mappings().one_or_none()
    return JSONResponse(dict(row)) if row else JSONResponse({"error": "Not Found"}, 404)


@app.post("/api/content/batch")
async def batch(body: Batch) -> JSONResponse:
    async with Session() as session:
        found = await session.execute(BATCH, {"ids": body.ids})
        items = [dict(row) for row in found.mappings()]
    left = missing(body.ids, [item["id"] for item in items])
    return JSONResponse({"items": items, "missing": left})


@app.get("/api/search")
async def search(q: str) -> JSONResponse:
    async with Session() as session:
        found = await session.execute(SEARCH, {"q": q})
        results = [dict(row) for row in found.mappings()]
    total = [result.pop("total") for result in results][0] if results else 0
    return JSONResponse(
        {
            "query": q,
            "match": "all",
            "results": results,
            "total_count": total,
            "page": 1,
            "page_size": PAGE_SIZE,
            "total_pages": -(-total // PAGE_SIZE),
            "has_next": total > PAGE_SIZE,
        }
    )


@app.get("/api/health")
async def health() -> JSONResponse:
    async with Session() as session:
        await session.execute(HEALTH)
    return JSONResponse({"status": "ok"})


if __name__ == "__main__":
    serve(app)
