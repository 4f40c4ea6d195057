"""Health checks, which need no token: is the process alive, and can it take traffic?"""

import asyncio
from functools import cache
from typing import Final

import asyncpg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.runtime import runtime
from db.errors import DomainError
from db.postgres import migrations

DATABASE_SECONDS: Final = 2.0
HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}

expected_revision = cache(migrations.head)


async def healthz(_: Request) -> Response:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "ok"}, headers=HEADERS)


async def readyz(request: Request) -> Response:
    """200 when the database answers and is migrated, and the worker works, if this process has one; 503, with the
    reason in a word, otherwise."""
    process = runtime(request.scope)
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            revision = await migrations.current(process.database)
    except (DomainError, TimeoutError, asyncpg.PostgresError):
        return _not_ready("database")
    if revision != expected_revision():
        return _not_ready("migrations")
    if process.worker is not None and not process.worker.is_alive:
        return _not_ready("worker")
    return JSONResponse({"status": "ready"}, headers=HEADERS)


def _not_ready(reason: str) -> Response:
    return JSONResponse({"status": "not ready", "reason": reason}, status_code=503, headers=HEADERS)
