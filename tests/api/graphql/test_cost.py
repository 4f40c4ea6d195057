"""What an operation costs, in the answer of those who ask."""

from typing import Any

import orjson
import pytest

from api.settings import Limits
from tests.api.graphql.test_sse import EVENTS, frames
from tests.api.graphql.test_websocket import opened
from tests.client import Client

ASKS = {"cost": True}
PAGE = "query ($n: Int) { page(first: $n) { nodes { leaf } } }"


def cost(requested: int) -> dict[str, Any]:
    return {"cost": {"requested": requested, "limit": Limits().cost}}


async def test_an_answer_says_what_it_cost(client: Client) -> None:
    for number, requested in ((1, 3), (10, 21)):
        answer = await client.request(json={"query": PAGE, "variables": {"n": number}, "extensions": ASKS})
        assert answer.json() == {"data": {"page": {"nodes": []}}, "extensions": cost(requested)}
    answer = await client.request("GET", params={"query": "{ hello }", "extensions": orjson.dumps(ASKS).decode()})
    assert answer.json() == {"data": {"hello": "hello world"}, "extensions": cost(1)}


@pytest.mark.parametrize("extensions", [None, {}, {"cost": False}, {"cost": 1}, {"cost": "true"}])
async def test_nobody_else_is_told(client: Client, extensions: object) -> None:
    answer = await client.request(json={"query": "{ hello }", "extensions": extensions})
    assert answer.json() == {"data": {"hello": "hello world"}}


async def test_an_answer_with_errors_says_it_too_and_one_that_is_repeated(client: Client) -> None:
    answer = await client.request(json={"query": "{ refused hello }", "extensions": ASKS})
    assert list(answer.json()) == ["errors", "data", "extensions"]
    body = {"query": "mutation { count }", "extensions": ASKS | {"idempotencyKey": "costly"}}
    first, again = [await client.request(json=body) for _ in range(2)]
    assert first.json() == again.json()
    assert first.json()["extensions"] == cost(1)
    without = {"query": "mutation { count }", "extensions": {"idempotencyKey": "costly"}}
    assert (await client.request(json=without)).json() == {"data": first.json()["data"]}


async def test_what_is_refused_has_no_cost(client: Client) -> None:
    answer = await client.request(json={"query": "{ nothing }", "extensions": ASKS})
    assert list(answer.json()) == ["errors"]


async def test_every_event_says_it(client: Client) -> None:
    body = {"query": "subscription { counter(to: 2) }", "extensions": ASKS}
    response = await client.request(json=body, headers=EVENTS)
    expected = [{"data": {"counter": number}, "extensions": cost(1)} for number in (1, 2)]
    assert [data for event, data in frames(response.text) if event == "next"] == expected
    async with opened(client) as socket:
        await socket.greet({"token": client.token})
        await socket.send({"id": "1", "type": "subscribe", "payload": body})
        assert [(await socket.receive())["payload"] for _ in range(2)] == expected
