"""GraphQL over server-sent events in the single connection mode: one stream for the answers of many operations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
import orjson
import pytest

from api.settings import Settings
from db.identity import tokens
from db.postgres.engine import Database
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token
from tests.waiting import TIMEOUT, wait_until

HEADER = "x-graphql-event-stream-token"
EVENTS = {"accept": "text/event-stream"}


@dataclass(slots=True)
class Stream:
    """An open stream, and the requests for it."""

    client: Client
    token: str
    texts: AsyncIterator[str]
    buffer: str = ""

    async def next(self) -> tuple[str, Any]:
        """The next event with its data; ("", None) at the end."""
        while True:
            frame, found, rest = self.buffer.partition("\n\n")
            if not found:
                text = await asyncio.wait_for(anext(self.texts, None), TIMEOUT)
                if text is None:
                    return "", None
                self.buffer += text
                continue
            self.buffer = rest
            if frame != ":":
                event, data = frame.split("\n")
                return event.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))

    async def start(self, query: str, operation: object = "1", **more: Any) -> httpx2.Response:
        return await start(self.client, self.token, query, operation, **more)

    async def stop(self, operation: str) -> int:
        url = f"/graphql?operationId={operation}"
        return (await self.client.request("DELETE", url, headers={HEADER: self.token})).status_code


async def start(client: Client, stream: str, query: str, operation: object = "1", **more: Any) -> httpx2.Response:
    body = {"query": query, "extensions": {"operationId": operation}}
    return await client.request(json=body, headers={HEADER: stream} | more)


async def reserve(client: Client) -> str:
    response = await client.request("PUT")
    assert response.status_code == 201, response.text
    assert response.headers["content-type"].startswith("text/plain")
    return response.text


@asynccontextmanager
async def opened(client: Client, reserved: str | None = None) -> AsyncIterator[Stream]:
    """Opened as browsers do, without other credentials than the token of the stream."""
    stream = reserved or await reserve(client)
    url = f"{client.url}/graphql?token={stream}"
    async with httpx2.AsyncClient(timeout=TIMEOUT) as http, http.stream("GET", url, headers=EVENTS) as response:
        assert response.status_code == 200, response.status_code
        yield Stream(client, stream, response.aiter_text())


async def is_gone(client: Client, stream: str) -> bool:
    return (await start(client, stream, "subscription { forever }")).status_code == 404


async def test_the_answers_of_many_operations_come_over_one_stream(client: Client) -> None:
    async with opened(client) as stream:
        assert (await stream.start("{ hello }", "q")).status_code == 202
        assert await stream.next() == ("next", {"id": "q", "payload": {"data": {"hello": "hello world"}}})
        assert await stream.next() == ("complete", {"id": "q"})
        await asyncio.gather(*(stream.start("subscription { counter(to: 2) }", name) for name in "ab"))
        found = [await stream.next() for _ in range(6)]
    for name in "ab":
        own = [(event, data) for event, data in found if data["id"] == name]
        counts = [data["payload"]["data"]["counter"] for event, data in own if event == "next"]
        assert (counts, own[-1]) == ([1, 2], ("complete", {"id": name}))


async def test_what_is_started_before_the_stream_is_open_waits_for_it(client: Client) -> None:
    reserved = await reserve(client)
    assert (await start(client, reserved, "subscription { counter(to: 1) }")).status_code == 202
    async with opened(client, reserved) as stream:
        assert await stream.next() == ("next", {"id": "1", "payload": {"data": {"counter": 1}}})
        assert await stream.next() == ("complete", {"id": "1"})


async def test_an_operation_is_stopped_and_its_id_is_free(client: Client) -> None:
    async with opened(client) as stream:
        await stream.start("subscription { forever }")
        assert await stream.next() == ("next", {"id": "1", "payload": {"data": {"forever": 1}}})
        assert (await stream.start("{ hello }")).status_code == 409
        assert await stream.stop("1") == 200
        assert await stream.stop("1") == 200
        assert (await stream.start("{ who }")).status_code == 202
        while (event := await stream.next())[1]["payload"]["data"] != {"who": "ann"}:
            assert event[1]["payload"]["data"].keys() == {"forever"}


async def test_a_stream_is_opened_once(client: Client) -> None:
    async with opened(client) as stream:
        response = await client.request("GET", headers=EVENTS | {HEADER: stream.token})
        assert response.status_code == 409
    nobody = await client.request("GET", headers=EVENTS | {HEADER: "nonsense"})
    assert nobody.status_code == 404


async def test_a_stream_is_that_of_the_token_that_reserved_it(client: Client, database: Database, url: str) -> None:
    other = Client(url, await token(database))
    async with opened(client) as stream:
        assert (await start(other, stream.token, "{ hello }")).status_code == 404
        assert (await start(Client(url), stream.token, "{ hello }")).status_code == 401
        assert (await other.request("DELETE", headers={HEADER: stream.token})).status_code == 404
    assert (await Client(url).request("PUT")).status_code == 401


async def test_what_is_refused_starts_nothing(client: Client) -> None:
    async with opened(client) as stream:
        for operation in (None, "", 7, "x" * 129):
            assert (await stream.start("{ hello }", operation)).status_code == 400
        refused = await stream.start("subscription { nothing }")
        assert refused.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        assert (await stream.start("{ hello }", accept="text/plain")).status_code == 406
        await stream.start("{ who }", "last")
        assert await stream.next() == ("next", {"id": "last", "payload": {"data": {"who": "ann"}}})


async def test_a_stream_has_so_many_operations_and_a_token_so_many_streams(client: Client, settings: Settings) -> None:
    async with opened(client) as stream:
        for number in range(settings.limits.subscriptions):
            assert (await stream.start("subscription { forever }", str(number))).status_code == 202
        assert (await stream.start("{ hello }", "more")).status_code == 429
        for _ in range(settings.limits.sockets - 1):
            await reserve(client)
        assert (await client.request("PUT")).status_code == 429


async def test_an_address_has_so_many_streams_and_one_that_is_not_opened_is_given_up(
    settings: Settings, database: Database
) -> None:
    limits = settings.limits.with_changes(address_connections=3)
    timeouts = settings.timeouts.with_changes(socket_init=0.3)
    async with serving(settings.with_changes(limits=limits, timeouts=timeouts), ToySchema()) as url:
        clients = [Client(url, await token(database)) for _ in range(3)]
        statuses: set[int] = set()
        async with asyncio.timeout(TIMEOUT):
            while statuses != {201, 429}:
                statuses |= {(await client.request("PUT")).status_code for client in clients}
        reserved = ""
        async with asyncio.timeout(TIMEOUT):
            while not reserved:
                response = await clients[0].request("PUT")
                reserved = response.text if response.status_code == 201 else ""
        await wait_until(partial(is_gone, clients[0], reserved))


async def test_a_stream_whose_token_was_revoked_is_not_opened(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved = await reserve(client)
    assert (await start(client, reserved, "{ hello }")).status_code == 202
    async with database.writing() as session:
        await tokens.revoke(session, "ann")
    monkeypatch.setattr("api.auth.CACHE_SECONDS", 0)
    response = await Client(client.url).request("GET", f"/graphql?token={reserved}", headers=EVENTS)
    assert response.status_code == 401
    assert "hello" not in response.text


@pytest.mark.parametrize("is_opened", [True, False])
async def test_nothing_starts_on_a_stream_that_ends_while_the_request_comes_in(
    settings: Settings, database: Database, is_opened: bool
) -> None:
    timeouts = settings.timeouts.with_changes(socket_init=TIMEOUT if is_opened else 0.3)
    async with serving(settings.with_changes(timeouts=timeouts), ToySchema()) as url:
        client = Client(url, await token(database))
        reserved = await reserve(client)

        async def body() -> AsyncIterator[bytes]:
            yield b'{"query": "subscription { forever }", '
            if is_opened:
                async with opened(client, reserved):
                    pass
            await wait_until(partial(is_gone, client, reserved))
            yield b'"extensions": {"operationId": "late"}}'

        headers = {HEADER: reserved, "content-type": "application/json"}
        assert (await client.request(content=body(), headers=headers)).status_code == 404


@pytest.mark.parametrize("revoked", [True, False])
async def test_a_stream_ends_with_its_token_and_frees_its_seat_when_the_client_goes(
    client: Client, database: Database, settings: Settings, revoked: bool
) -> None:
    for _ in range(settings.limits.sockets + 2):
        async with opened(client) as stream:
            await stream.start("subscription { forever }")
            assert (await stream.next())[0] == "next"
            if revoked:
                async with database.writing() as session:
                    await tokens.revoke(session, "ann")
                while (await stream.next())[0]:
                    pass
                return
        await wait_until(partial(is_gone, client, stream.token))
