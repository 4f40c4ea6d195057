"""GraphQL over server-sent events, in the distinct connections mode."""

import asyncio

import httpx2
import orjson
import pytest

from api.settings import Settings
from db.identity import tokens
from db.identity.tokens import Scope
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


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription A { counter(to: 1) } subscription B { counter(to: 1) }", "OPERATION_RESOLUTION_FAILURE"),
        ("subscription ($to: Int!) { counter(to: $to) }", "BAD_USER_INPUT"),
        ("subscription { " + "counter(to: 1) " * 10 + "}", "QUERY_TOO_COSTLY"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_a_refused_operation_is_a_stream_of_its_errors(
    url: str, database: Database, query: str, code: str
) -> None:
    """A client takes any other answer for a broken connection, and tries again for half a minute."""
    client = Client(url, await token(database))
    assert_refused(await client.request("GET", params={"query": query}, headers=EVENTS), code)
    assert_refused(await client.post(query, headers=EVENTS), code)


def assert_refused(response: httpx2.Response, code: str) -> None:
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    (event, body), last = frames(response.text)
    assert (event, last) == ("next", ("complete", None))
    assert isinstance(body, dict)
    assert [error["extensions"]["code"] for error in body["errors"]] == [code]
    assert "data" not in body


async def test_a_mutation_that_the_scope_does_not_reach_is_a_stream_of_its_answer(url: str, database: Database) -> None:
    client = Client(url, await token(database, Scope.READ))
    (event, body), last = frames((await client.post("mutation { deleteDataset }", headers=EVENTS)).text)
    assert (event, last) == ("next", ("complete", None))
    assert isinstance(body, dict)
    assert body["data"] == {"deleteDataset": None}
    assert [error["extensions"]["code"] for error in body["errors"]] == ["FORBIDDEN"]


async def test_what_is_wrong_with_the_request_itself_keeps_its_status(client: Client, url: str) -> None:
    assert (await Client(url).post("subscription { counter(to: 1) }", headers=EVENTS)).status_code == 401
    assert (
        await client.request(content=b"{", headers=EVENTS | {"content-type": "application/json"})
    ).status_code == 400
    assert (await client.request("PATCH", headers=EVENTS)).status_code == 405
    assert (await client.request(content=b"x", headers=EVENTS | {"content-type": "text/plain"})).status_code == 415


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
