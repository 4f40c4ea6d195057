"""graphql-transport-ws, spoken by a raw client: every rule of the protocol, and what a hostile client must not do."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from api.settings import Settings
from db.identity import tokens
from db.postgres.engine import Database
from tests.api.graphql.test_slow import hasty
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token
from tests.waiting import TIMEOUT

PROTOCOL = Subprotocol("graphql-transport-ws")
INIT = {"type": "connection_init"}


@dataclass(slots=True)
class Socket:
    raw: ClientConnection

    async def send(self, *messages: object) -> None:
        for message in messages:
            await self.raw.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT):
            message: dict[str, Any] = json.loads(await self.raw.recv())
            return message

    async def closing(self) -> int:
        """The code with which the server closes, whatever it sends before."""
        async with asyncio.timeout(TIMEOUT):
            try:
                while True:
                    await self.raw.recv()
            except ConnectionClosed:
                assert self.raw.close_code is not None
                return self.raw.close_code

    async def greet(self, payload: object) -> None:
        await self.send({"type": "connection_init", "payload": payload})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, operation: str, query: str, **more: object) -> None:
        await self.send({"id": operation, "type": "subscribe", "payload": {"query": query, **more}})


@asynccontextmanager
async def opened(
    client: Client, *, protocols: Sequence[Subprotocol] = (PROTOCOL,), **more: Any
) -> AsyncIterator[Socket]:
    address = client.url.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=protocols, max_size=None, open_timeout=TIMEOUT, **more) as raw:
        yield Socket(raw)


@asynccontextmanager
async def greeted(client: Client) -> AsyncIterator[Socket]:
    async with opened(client) as socket:
        await socket.greet({"Authorization": f"Bearer {client.token}"})
        yield socket


async def test_pushes_what_a_subscription_gives_and_completes_it(client: Client) -> None:
    async with greeted(client) as socket:
        await socket.subscribe("1", "subscription ($n: Int!) { counter(to: $n) }", variables={"n": 2})
        assert [await socket.receive() for _ in range(3)] == [
            {"id": "1", "type": "next", "payload": {"data": {"counter": 1}}},
            {"id": "1", "type": "next", "payload": {"data": {"counter": 2}}},
            {"id": "1", "type": "complete"},
        ]


async def test_answers_queries_and_mutations_too(client: Client) -> None:
    async with greeted(client) as socket:
        await socket.subscribe("q", "{ who raw }")
        assert (await socket.receive())["payload"] == {"data": {"who": "ann", "raw": {"ready": "text"}}}
        assert await socket.receive() == {"id": "q", "type": "complete"}
        await socket.subscribe("q", "mutation { deleteDataset }")
        assert (await socket.receive())["payload"] == {"data": {"deleteDataset": "deleted"}}


@pytest.mark.parametrize("spelling", ["Authorization", "authorization", "token", "bare"])
async def test_takes_the_token_from_the_first_message(client: Client, spelling: str) -> None:
    payloads = {"token": {"token": client.token}, "bare": {"authorization": client.token}}
    async with opened(client) as socket:
        await socket.greet(payloads.get(spelling, {spelling: f"Bearer {client.token}"}))


async def test_takes_the_token_from_the_handshake_too(client: Client) -> None:
    async with opened(client, additional_headers=client.headers) as socket:
        await socket.send(INIT)
        assert await socket.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize(("payload", "code"), [(None, 4401), ({}, 4401), ({"token": "lg_x"}, 4403), ([1], 4401)])
async def test_refuses_a_socket_without_a_valid_token(client: Client, payload: object, code: int) -> None:
    async with opened(client) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.closing() == code


MALFORMED = [
    "null",
    "1",
    '"text"',
    "[]",
    "{",
    "",
    b"\x00\xff",
    b'{"type": "ping"}',
    {"type": 1},
    {"no": "type"},
    {"type": "start", "id": "1"},
    {"type": "subscribe", "payload": {"query": "{ hello }"}},
    {"type": "subscribe", "id": 1, "payload": {"query": "{ hello }"}},
    {"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}},
    {"type": "subscribe", "id": "1" * 129, "payload": {"query": "{ hello }"}},
    {"type": "subscribe", "id": "1"},
    {"type": "subscribe", "id": "1", "payload": {"query": 1}},
    {"type": "complete"},
    "[" * 20_000,
    '{"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": "' + "x" * 65_537 + '"}}',
]


@pytest.mark.parametrize("message", MALFORMED, ids=lambda message: str(message)[:60])
async def test_closes_on_what_is_no_message(client: Client, message: object) -> None:
    async with greeted(client) as socket:
        await socket.send(message)
        assert await socket.closing() in (4400, 1009)


async def test_a_closed_socket_leaves_the_server_well(client: Client) -> None:
    async with greeted(client) as socket:
        await socket.subscribe("1", "subscription { forever }")
        await socket.receive()
    assert await client.execute("{ hello }") == {"hello": "hello world"}


async def test_waits_only_so_long_for_the_first_message(settings: Settings, database: Database) -> None:
    async with hasty(settings, database, socket_init=0.3) as client, opened(client) as socket:
        assert await socket.closing() == 4408


async def test_a_ping_does_not_prolong_the_wait(settings: Settings, database: Database) -> None:
    async with hasty(settings, database, socket_init=0.3) as client, opened(client) as socket:
        await socket.send({"type": "ping"})
        assert await socket.closing() == 4408


@pytest.mark.parametrize(
    ("message", "code"),
    [(INIT, 4429), ({"id": "1", "type": "subscribe", "payload": {"query": "subscription { forever }"}}, 4409)],
)
async def test_refuses_to_be_told_twice(client: Client, message: dict[str, Any], code: int) -> None:
    async with greeted(client) as socket:
        await socket.subscribe("1", "subscription { forever }")
        await socket.receive()
        await socket.send(message)
        assert await socket.closing() == code


async def test_refuses_operations_before_the_greeting(client: Client) -> None:
    async with opened(client) as socket:
        await socket.subscribe("1", "{ hello }")
        assert await socket.closing() == 4401


async def test_speaks_no_other_protocol(client: Client) -> None:
    async with opened(client, protocols=[Subprotocol("graphql-ws")]) as socket:
        assert await socket.closing() == 4406


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: Int!) { limit(n: $n) }", "BAD_USER_INPUT"),
        ("subscription ($n: Int!) { counter(to: $n) }", "BAD_USER_INPUT"),
    ],
)
async def test_an_invalid_operation_is_an_error_message_and_the_socket_stays(
    client: Client, query: str, code: str
) -> None:
    async with greeted(client) as socket:
        await socket.subscribe("1", query)
        message = await socket.receive()
        assert (message["type"], message["id"]) == ("error", "1")
        assert message["payload"][0]["extensions"]["code"] == code
        await socket.subscribe("1", "{ hello }")
        assert (await socket.receive())["payload"] == {"data": {"hello": "hello world"}}


async def test_a_defect_in_a_stream_is_reported_without_its_text(client: Client) -> None:
    async with greeted(client) as socket:
        await socket.subscribe("1", "subscription { broken }")
        messages = [await socket.receive(), await socket.receive()]
        assert messages[0]["payload"] == {"data": {"broken": 1}}
        assert "INTERNAL_ERROR" in json.dumps(messages)
        assert "hunter2" not in json.dumps(messages)


async def test_completes_what_the_client_wants_no_more(client: Client) -> None:
    async with greeted(client) as socket:
        await socket.subscribe("1", "subscription { forever }")
        await socket.receive()
        await socket.send({"id": "1", "type": "complete"}, {"id": "unknown", "type": "complete"}, {"type": "ping"})
        while (message := await socket.receive())["type"] == "next":
            pass
        assert message == {"type": "pong"}
        await socket.subscribe("1", "{ hello }")
        assert (await socket.receive())["payload"] == {"data": {"hello": "hello world"}}


async def test_runs_only_so_many_operations_on_one_socket(client: Client) -> None:
    async with greeted(client) as socket:
        for number in range(4):
            await socket.subscribe(str(number), "subscription { forever }")
        while (message := await socket.receive())["type"] == "next":
            pass
        assert (message["type"], message["id"]) == ("error", "3")
        assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_gives_a_token_only_so_many_sockets(client: Client) -> None:
    async with greeted(client), greeted(client), greeted(client), greeted(client), opened(client) as fifth:
        await fifth.send({"type": "connection_init", "payload": {"token": client.token}})
        assert await fifth.closing() == 4429
    async with greeted(client):
        pass


async def test_closes_open_sockets_within_seconds_of_a_revocation(client: Client, database: Database) -> None:
    async with greeted(client) as socket:
        await socket.subscribe("1", "subscription { forever }")
        await socket.receive()
        async with database.writing() as session:
            await tokens.revoke(session, "ann")
        async with asyncio.timeout(TIMEOUT):
            assert await socket.closing() == 4403


async def test_welcomes_pages_of_its_own_origin_and_of_those_that_are_allowed(
    settings: Settings, database: Database
) -> None:
    async with serving(settings.with_changes(allowed_origins=("https://ui.example",)), ToySchema()) as url:
        client = Client(url, await token(database))
        for origin in (url, "https://ui.example"):
            async with opened(client, origin=Origin(origin)) as socket:
                await socket.greet({"token": client.token})
        with pytest.raises(InvalidStatus) as refused:
            async with opened(client, origin=Origin("https://evil.example")):
                pass
        assert refused.value.response.status_code == 403


async def test_a_stopping_server_sends_its_sockets_elsewhere(settings: Settings, database: Database) -> None:
    text = await token(database)
    patient = settings.timeouts.with_changes(mutation=10 * TIMEOUT)  # so long a stopping server would wait
    settings = settings.with_changes(timeouts=patient)
    async with asyncio.timeout(TIMEOUT), AsyncExitStack() as stack:
        async with serving(settings, ToySchema()) as url:
            socket = await stack.enter_async_context(greeted(Client(url, text)))
            await socket.subscribe("1", "subscription { forever }")
            await socket.receive()
        assert await socket.closing() == 1012
