"""Two questions of whoever runs the server, answered without a token: is the process alive, and may it have traffic?"""

import asyncio
from functools import cache

import asyncpg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.runtime import runtime
from db.errors import DomainError
from db.postgres import migrations

PATIENCE = 2.0  # seconds
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


async def healthz(_: Request) -> Response:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "ok"}, headers=HEADERS)


async def readyz(request: Request) -> Response:
    """200 when the database answers and is migrated, and the worker works, if this process has one; 503, with the
    reason in a word, otherwise."""
    reason = await _not_ready(request)
    if reason is None:
        return JSONResponse({"status": "ready"}, headers=HEADERS)
    return JSONResponse({"status": "not ready", "reason": reason}, status_code=503, headers=HEADERS)


async def _not_ready(request: Request) -> str | None:
    process = runtime(request.scope)
    try:
        async with asyncio.timeout(PATIENCE), process.database.reading() as connection:
            found = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return "migrations"
    except (DomainError, TimeoutError, asyncpg.PostgresError):
        return "database"
    if found != _head():
        return "migrations"
    return None if process.worker is None or process.worker.is_alive else "worker"


@cache
def _head() -> str:
    return migrations.head()
