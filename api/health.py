"""Two questions of whoever runs the server, answered without a token: is the process alive, and may it have traffic?"""

import asyncio
from functools import cache

import asyncpg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.runtime import runtime
from db import migrations
from db.errors import DomainError

PATIENCE = 2.0  # seconds
HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


async def healthz(_: Request) -> Response:
    """200 as long as the process answers at all."""
    return JSONResponse({"status": "ok"}, headers=HEADERS)


async def readyz(request: Request) -> Response:
    """200 when the database answers and is migrated; 503, with the reason in a word, otherwise."""
    reason = await _not_ready(request)
    if reason is None:
        return JSONResponse({"status": "ready"}, headers=HEADERS)
    return JSONResponse({"status": "not ready", "reason": reason}, status_code=503, headers=HEADERS)


async def _not_ready(request: Request) -> str | None:
    try:
        async with asyncio.timeout(PATIENCE), runtime(request.scope).database.reading() as connection:
            found = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return "migrations"
    except (DomainError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return "database"
    return None if found == _head() else "migrations"


@cache
def _head() -> str:
    return migrations.head()
