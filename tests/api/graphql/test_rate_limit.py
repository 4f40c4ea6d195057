"""A token may send so many operations a second, over every protocol."""

from collections.abc import AsyncIterator

import pytest

from api.limits.rates import BURST_SECONDS, OperationRate
from api.settings import Limits, Settings
from db.postgres.engine import Database
from schema.errors import Refused
from tests.api.graphql.test_sse import EVENTS, frames
from tests.api.graphql.test_websocket import opened
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token


@pytest.fixture
async def slow(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """Of a server that lets a token send three operations, and the next after an hour."""

    class Slow(OperationRate):
        def __init__(self, per_second: int) -> None:
            super().__init__(per_second)
            self._operations.rate, self._operations.burst = 1 / 3_600, 3.0

    monkeypatch.setattr("api.app.OperationRate", Slow)
    async with serving(settings, ToySchema()) as url:
        yield Client(url, await token(database))


async def test_a_token_that_sends_too_much_is_told_when_to_go_on_and_others_notice_nothing(
    slow: Client, database: Database
) -> None:
    for _ in range(3):
        assert await slow.execute("{ hello }") == {"hello": "hello world"}
    for _ in range(3):
        answer = await slow.post("mutation { count }")
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        [error] = answer.json()["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert error["extensions"]["details"]["retryAfter"] == int(answer.headers["retry-after"])
    other = Client(slow.url, await token(database))
    assert await other.execute("mutation { count }") == {"count": 1}  # nothing was done before


async def test_event_streams_are_refused_with_the_same_status_so_that_clients_try_again(slow: Client) -> None:
    for _ in range(3):
        response = await slow.post("subscription { counter(to: 1) }", headers=EVENTS)
        assert frames(response.text) == [("next", {"data": {"counter": 1}}), ("complete", None)]
    refused = await slow.post("subscription { counter(to: 1) }", headers=EVENTS)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_a_socket_stays_open_and_its_operation_is_refused(slow: Client) -> None:
    async with opened(slow) as socket:
        await socket.greet({"token": slow.token})
        for number in range(3):
            await socket.subscribe(str(number), "{ hello }")
            assert (await socket.receive())["type"] == "next"
            assert (await socket.receive())["type"] == "complete"
        await socket.subscribe("3", "{ hello }")
        message = await socket.receive()
        assert (message["type"], message["id"]) == ("error", "3")
        assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        await socket.send({"type": "ping"})
        assert (await socket.receive())["type"] == "pong"


def test_a_page_may_send_very_many_at_once() -> None:
    rate, burst = OperationRate(Limits().token_operations), BURST_SECONDS * Limits().token_operations
    assert burst >= 3_000
    for _ in range(burst):
        rate.spend("page")
    for _ in range(burst):
        rate.spend("other")


def test_what_is_refused_costs_nothing() -> None:
    rate = OperationRate(1)
    rate._operations.rate = 1e-9
    for _ in range(BURST_SECONDS):
        rate.spend("one")
    for _ in range(100):
        with pytest.raises(Refused):
            rate.spend("one")
    assert rate._operations.left("one") > -1


def test_without_a_limit_any_number_is_taken() -> None:
    rate = OperationRate(0)
    for _ in range(100_000):
        rate.spend("one")
