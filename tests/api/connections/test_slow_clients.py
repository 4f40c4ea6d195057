"""Clients that do not read."""

import asyncio
from contextlib import AsyncExitStack

from starlette.types import Receive, Scope, Send

from api.settings import Settings
from tests.api.connections.raw_connection import GET, TIMEOUT, answer, raw_connection, serving_app

LARGE = b"x" * 32 * 1024 * 1024


async def test_a_client_that_reads_nothing_is_disconnected(settings: Settings) -> None:
    started = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await answer(send, LARGE)

    changed = settings.with_changes(timeouts=settings.timeouts.with_changes(write=0.4))
    async with serving_app(app, changed) as (server, url), AsyncExitStack() as stack:
        for _ in range(5):
            raw = await stack.enter_async_context(raw_connection(url))
            raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
            raw.writer.write(GET)
        async with asyncio.timeout(TIMEOUT):
            await started.wait()
            while server.server_state.connections or server.server_state.tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_client_that_reads_slowly_gets_all(settings: Settings) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, LARGE)

    changed = settings.with_changes(timeouts=settings.timeouts.with_changes(write=1.0))
    async with serving_app(app, changed) as (_, url), raw_connection(url) as raw:
        raw.writer.write(GET)
        assert await raw.status() == 200
        received = 0
        async with asyncio.timeout(TIMEOUT * 2):
            while received < len(LARGE):
                received += len(await raw.reader.readexactly(len(LARGE) // 32))
                await asyncio.sleep(0.1)
