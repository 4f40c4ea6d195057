"""A request with a key is carried out once, whichever transport it uses."""

import asyncio

import pytest

from db.postgres.engine import Database
from tests.api.graphql.test_websocket import greeted
from tests.client import Client, Failed, token

COUNT = "mutation { count }"


async def test_the_first_answer_is_given_again(client: Client) -> None:
    first = await client.post(COUNT, headers={"idempotency-key": "k"})
    again = await client.post(COUNT, headers={"idempotency-key": "k"})
    assert again.content == first.content
    assert await client.execute(COUNT) != first.json()["data"]


async def test_the_key_may_come_in_the_extensions_and_over_a_socket(client: Client) -> None:
    key = {"idempotencyKey": "k"}
    first = (await client.post(COUNT, headers={"idempotency-key": "k"})).json()
    assert (await client.request(json={"query": COUNT, "extensions": key})).json() == first
    async with greeted(client) as socket:
        await socket.subscribe("1", COUNT, extensions=key)
        assert (await socket.receive())["payload"] == first


async def test_many_at_once_get_one_answer(client: Client) -> None:
    answers = await asyncio.gather(*(client.post(COUNT, headers={"idempotency-key": "k"}) for _ in range(8)))
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("other", ["mutation { labelSamples }", "mutation Named { count }", "mutation { count } "])
async def test_the_key_of_another_request_is_a_conflict(client: Client, other: str) -> None:
    await client.execute(COUNT, headers={"idempotency-key": "k"})
    with pytest.raises(Failed) as refused:
        await client.execute(other, headers={"idempotency-key": "k"})
    assert refused.value.codes == ["CONFLICT"]


async def test_two_tokens_may_use_one_key(client: Client, database: Database) -> None:
    bob = Client(client.url, await token(database, name="bob"))
    first = await client.execute(COUNT, headers={"idempotency-key": "k"})
    assert await bob.execute(COUNT, headers={"idempotency-key": "k"}) != first


async def test_a_failure_that_may_pass_is_not_kept(client: Client) -> None:
    query = "mutation { failOnce }"
    answers = [(await client.post(query, headers={"idempotency-key": "k"})).json() for _ in range(3)]
    assert {"data": {"failOnce": "well"}} in answers
    assert answers[-1] == {"data": {"failOnce": "well"}}


async def test_a_query_needs_no_keeping(client: Client) -> None:
    assert await client.execute("{ hello }", headers={"idempotency-key": "k"}) == {"hello": "hello world"}
    assert await client.execute("{ who }", headers={"idempotency-key": "k"}) == {"who": "ann"}
