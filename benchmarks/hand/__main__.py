"""`python -m benchmarks.hand`: each statement is prepared, and one round trip."""

import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import asyncpg
import orjson
import uvicorn
from starlette.requests import Request

from benchmarks import facets
from benchmarks.hand import SQL, sync, uploads
from benchmarks.questions import QUESTIONS
from db.postgres import sql
from db.postgres.engine import driver_url

STATEMENTS: Final[Mapping[str, str]] = {
    **{f"/read/{number}": question.sql for number, question in enumerate(QUESTIONS)},
    **{f"/count/{number}": facets.statement(filter_) for number, filter_ in enumerate(facets.FILTERS)},
    "/label": SQL.label.replace("SELECTED", "sample.id = ANY(:ids::bigint[])"),
    "/label_where": SQL.label.replace(
        "SELECTED",
        "sample.state = 'UNLABELED' AND sample.created_at BETWEEN :from::text::timestamptz AND :to::text::timestamptz",
    ),
    "/label_all": SQL.label.replace("SELECTED", "true"),
    "/delete_label/LABEL_ONLY": SQL.delete_label.replace("GOES", "false"),
    "/delete_label/LABEL_AND_SAMPLES": SQL.delete_label.replace(
        "GOES", "sample.label_ids <> '{}' AND sample.label_ids <@ ARRAY[:label::bigint]"
    ),
    "/annotate": SQL.annotate,
    "/copy_split": SQL.copy_split,
    "/one": SQL.one,
}


async def lives(_pool: asyncpg.Pool, _request: Request) -> str:
    return '{"status":"ok"}'


PROGRAMS: Final[Mapping[str, Callable[[asyncpg.Pool, Request], Coroutine[Any, Any, str]]]] = {
    "/healthz": lives,
    "/upload": uploads.upload,
    "/sync": sync.sync,
}


class App:
    """Answers a POST with the text that Postgres wrote."""

    def __init__(self) -> None:
        self.pool: asyncpg.Pool | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.pool is None:
            self.pool = await _connect()
        path = scope["path"]
        if path in PROGRAMS:
            text = await PROGRAMS[path](self.pool, Request(scope, receive))
        else:
            text = await self._answer(STATEMENTS[path], receive)
        body = text.encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, statement: str, receive: Any) -> str:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        text, values = sql.positional(statement, orjson.loads(body))
        assert self.pool is not None
        async with self.pool.acquire() as connection:
            answer: str | None = await connection.fetchval(text, *values)
        return answer or '{"data":null}'


async def _connect() -> asyncpg.Pool:
    async def prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await connection.set_type_codec("jsonb", encoder=_json, decoder=orjson.loads, schema="pg_catalog")

    settings = {"jit": "off", "timezone": "UTC"}
    url = driver_url(os.environ["DATABASE_URL"])
    return await asyncpg.create_pool(url, min_size=10, max_size=10, init=prepare, server_settings=settings)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


if __name__ == "__main__":
    port = int(os.environ["LABELGRAPH_PORT"])
    uvicorn.run(App(), host="127.0.0.1", port=port, access_log=False, log_level="warning", lifespan="off")
