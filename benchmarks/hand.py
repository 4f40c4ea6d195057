"""The limit: each question's hand-written statement behind a bare ASGI app. No GraphQL, no identity, no checks."""

import os
from typing import Any

import asyncpg
import orjson
import uvicorn

from benchmarks.questions import QUESTIONS
from db.postgres.engine import driver_url


class App:
    """Answers POST /<number of the question> with the text that Postgres wrote."""

    def __init__(self) -> None:
        self.pool: asyncpg.Pool | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if self.pool is None:
            self.pool = await asyncpg.create_pool(
                driver_url(os.environ["DATABASE_URL"]),
                min_size=10,
                max_size=10,
                server_settings={"jit": "off", "timezone": "UTC"},
            )
        question = QUESTIONS[int(scope["path"][1:])]
        values = orjson.loads((await receive())["body"]).values()
        async with self.pool.acquire() as connection:
            text: str = await connection.fetchval(question.sql, *values)
        body = text.encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        App(), host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning", lifespan="off"
    )
