"""GraphQL over server-sent events, in the distinct connections mode."""

import asyncio

import httpx2
import orjson
import pytest

from api.settings import Settings
from db.identity import tokens
from db.postgres.engine import Database
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token
from tests.waiting import TIMEOUT, wait_until

EVENTS = {"accept": "text/event-stream"}


def frames(text: str) -> list[tuple[str, object]]:
    """Every event, with its data; the framing is checked on the way."""
    assert "\r" not in text
    assert text.endswith("\n\n")
    found: list[tuple[str, object]] = []
    for frame in text.removesuffix("\n\n").split("\n\n"):
        if frame != ":":
            event, data = frame.split("\n")
            assert event.startswith("event: ")
            assert data.startswith("data:")
            found.append((event.removeprefix("event: "), orjson.loads(data[5:]) if data[5:].strip() else None))
    return found


async def test_streams_a_subscription(client: Client) -> None:
    response = await client.post("subscription { counter(to: 2) }", headers=EVENTS)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert frames(response.text) == [
        ("next", {"data": {"counter": 1}}),
        ("next", {"data": {"counter": 2}}),
        ("complete", None),
    ]


async def test_streams_a_subscription_by_get(client: Client) -> None:
    query = {"query": "subscription { counter(to: 1) }"}
    response = await client.request("GET", params=query, headers=EVENTS)
    assert frames(response.text) == [("next", {"data": {"counter": 1}}), ("complete", None)]


async def test_streams_a_single_answer_to_who_takes_nothing_else(client: Client) -> None:
    response = await client.post("{ hello }", headers=EVENTS)
    assert frames(response.text) == [("next", {"data": {"hello": "hello world"}}), ("complete", None)]


async def test_a_query_of_a_client_that_takes_both_is_plain_json(client: Client) -> None:
    response = await client.post("{ hello }", headers={"accept": "application/json, text/event-stream, */*"})
    assert response.headers["content-type"].startswith("application/json")


async def test_a_subscription_of_a_client_that_takes_no_events_is_refused(client: Client) -> None:
    response = await client.post("subscription { counter(to: 1) }", headers={"accept": "application/json"})
    assert response.status_code == 406


async def test_refuses_an_invalid_operation_before_the_stream(client: Client) -> None:
    response = await client.post("subscription { nothing }", headers=EVENTS)
    assert response.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_reports_a_defect_without_its_text(client: Client) -> None:
    response = await client.post("subscription { broken }", headers=EVENTS)
    assert [event for event, _ in frames(response.text)] == ["next", "next", "complete"]
    assert "hunter2" not in response.text


@pytest.mark.parametrize("revoked", [True, False])
async def test_ends_when_the_token_does_and_frees_its_seat_when_the_client_goes(
    client: Client, database: Database, revoked: bool
) -> None:
    body = {"query": "subscription { forever }"}
    async with httpx2.AsyncClient(base_url=client.url, headers=client.headers | EVENTS, timeout=TIMEOUT) as http:
        async with http.stream("POST", "/graphql", json=body) as response:
            pieces = response.aiter_text()
            assert frames(await anext(pieces))[0] == ("next", {"data": {"forever": 1}})
            if revoked:
                async with database.writing() as session:
                    await tokens.revoke(session, "ann")
                async with asyncio.timeout(TIMEOUT):
                    rest = "".join([piece async for piece in pieces])
                assert "UNAUTHENTICATED" in rest
                assert frames(rest)[-1] == ("complete", None)
        if not revoked:

            async def is_seated() -> bool:
                async with http.stream("POST", "/graphql", json=body) as response:
                    return response.status_code == 200

            for _ in range(4):
                await wait_until(is_seated)


async def test_a_stopping_server_waits_for_no_stream(settings: Settings, database: Database) -> None:
    text = await token(database)
    body, headers = {"query": "subscription { forever }"}, {"authorization": f"Bearer {text}"} | EVENTS
    patient = settings.timeouts.with_changes(mutation=10 * TIMEOUT)  # so long a stopping server would wait
    settings = settings.with_changes(timeouts=patient)
    async with asyncio.timeout(TIMEOUT), httpx2.AsyncClient(headers=headers, timeout=TIMEOUT) as http:
        async with serving(settings, ToySchema()) as url:
            request = http.build_request("POST", f"{url}/graphql", json=body)
            response = await http.send(request, stream=True)
        assert "complete" not in (await response.aread()).decode()
