"""Requests on one connection, one after the other."""

import asyncio

from starlette.types import Receive, Scope, Send

from api.server_configuration import server_options
from api.settings import Settings
from db.postgres.engine import Database
from tests.api.connections.raw_connection import GET, TIMEOUT, answer, post, query, raw_connection, serving_app
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token


async def test_pipelined_requests_are_started_one_after_the_other(settings: Settings) -> None:
    """While the first is answered none behind it is even looked at, and another client is served."""
    heads, waiting, release = 0, asyncio.Event(), asyncio.Event()

    class Counting(server_options(settings)["http"]):  # type: ignore[misc]
        def on_headers_complete(self) -> None:
            nonlocal heads
            heads += 1
            super().on_headers_complete()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/healthz" and not release.is_set():
            waiting.set()
            await release.wait()
        await answer(send)

    async with (
        serving_app(app, settings, http=Counting) as (_, url),
        raw_connection(url) as many,
        raw_connection(url) as other,
    ):
        many.writer.write(GET * 2_000)
        await asyncio.wait_for(waiting.wait(), TIMEOUT)
        other.writer.write(b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await other.status() == 200
        assert heads == 2
        release.set()
        for _ in range(2_000):
            assert await many.status() == 200


async def test_no_more_than_one_read_of_later_requests_is_buffered(settings: Settings) -> None:
    release = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()
        await answer(send)

    async with serving_app(app, settings) as (server, url), raw_connection(url) as raw:
        sending = asyncio.create_task(raw.flood(GET * 2_000))
        for _ in range(50):
            await asyncio.sleep(0.01)
        (connection,) = server.server_state.connections
        assert len(connection._received) < 1024 * 1024  # type: ignore[union-attr]
        sending.cancel()
        release.set()


async def test_pipelined_bodies_arrive_whole_and_in_order(client: Client) -> None:
    requests = [post(client, query(f'{{ hello(name: "{"x" * number}") }}')) for number in (1, 9_000, 70, 40_000, 5)]
    async with raw_connection(client.url) as raw:
        raw.writer.write(b"".join(requests))
        for number in (1, 9_000, 70, 40_000, 5):
            head = await raw.head()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            assert (await raw.reader.readexactly(length)).count(b"x") == number


async def test_a_kept_connection_outlives_the_time_that_proxies_keep_theirs(settings: Settings) -> None:
    assert server_options(settings)["timeout_keep_alive"] == settings.timeouts.keep_alive >= 75


async def test_a_connection_without_a_request_is_closed(settings: Settings) -> None:
    timeouts = settings.timeouts.with_changes(keep_alive=0.2)
    async with serving(settings.with_changes(timeouts=timeouts), ToySchema()) as url, raw_connection(url) as raw:
        raw.writer.write(GET)
        assert await raw.status() == 200
        await raw.closed()


async def test_a_connection_whose_body_ended_after_the_response_is_closed_too(
    settings: Settings, database: Database
) -> None:
    timeouts = settings.timeouts.with_changes(keep_alive=1.0)
    async with serving(settings.with_changes(timeouts=timeouts), ToySchema()) as url, raw_connection(url) as raw:
        client = Client(url, await token(database))
        raw.writer.write(post(client, b"", path="/none", length=9))
        assert await raw.status() == 404
        raw.writer.write(b"x" * 9)
        await raw.closed()
