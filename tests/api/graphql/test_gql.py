"""A stock client, Python's gql, over each of its transports."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from gql import Client as Gql
from gql import gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.async_transport import AsyncTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from tests.client import Client
from tests.waiting import TIMEOUT


def http(client: Client) -> AIOHTTPTransport:
    return AIOHTTPTransport(f"{client.url}/graphql", headers=client.headers)


def websocket(client: Client) -> WebsocketsTransport:
    address = client.url.replace("http", "ws") + "/graphql"
    timeouts: dict[str, Any] = dict.fromkeys(("connect_timeout", "ack_timeout", "close_timeout"), TIMEOUT)
    return WebsocketsTransport(address, init_payload={"Authorization": f"Bearer {client.token}"}, **timeouts)


@pytest.mark.parametrize("transport", [http, websocket])
async def test_asks_and_is_answered(client: Client, transport: Callable[[Client], AsyncTransport]) -> None:
    async with Gql(transport=transport(client), fetch_schema_from_transport=True) as session:
        assert await session.execute(gql("{ who }")) == {"who": "ann"}
        with pytest.raises(TransportQueryError) as refused:
            await session.execute(gql("{ refused }"))
        assert refused.value.errors is not None
        assert refused.value.errors[0]["extensions"]["code"] == "CONFLICT"


async def test_subscribes(client: Client) -> None:
    async with Gql(transport=websocket(client)) as session:
        numbers = [data["counter"] async for data in session.subscribe(gql("subscription { counter(to: 3) }"))]
    assert numbers == [1, 2, 3]


async def test_runs_many_subscriptions_at_once(client: Client) -> None:
    async with Gql(transport=websocket(client)) as session:

        async def collect(to: int) -> list[int]:
            query = gql(f"subscription {{ counter(to: {to}, seconds: 0.01) }}")
            return [data["counter"] async for data in session.subscribe(query)]

        counted = await asyncio.gather(*(collect(to) for to in (1, 2, 3)))
    assert counted == [[1], [1, 2], [1, 2, 3]]


async def test_hears_that_its_token_is_wrong(client: Client) -> None:
    transport = AIOHTTPTransport(f"{client.url}/graphql", headers={"Authorization": "Bearer lg_no"})
    async with Gql(transport=transport) as session:
        with pytest.raises(TransportQueryError) as refused:
            await session.execute(gql("{ who }"))
    assert refused.value.errors is not None
    assert refused.value.errors[0]["extensions"]["code"] == "UNAUTHENTICATED"
