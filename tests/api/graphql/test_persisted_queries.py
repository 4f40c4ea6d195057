"""Automatic persisted queries: a document is sent once, and afterwards only its hash; over every protocol."""

import hashlib
from itertools import count
from typing import Any

import orjson
import pytest

from api.graphql.negotiation import JSON, RESPONSE
from api.graphql.parameters import Parameters
from api.graphql.persisted_queries import OVERHEAD, SHARE, PersistedQueries
from api.settings import Settings
from db.identity.tokens import Scope
from db.postgres.engine import Database
from schema.errors import Refused
from tests.api.graphql.test_sse import EVENTS, frames
from tests.api.graphql.test_websocket import opened
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token

NOT_FOUND = {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
NUMBERS = count()


def hashed(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()


def by_hash(document: str, **more: object) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hashed(document)}}, **more}


@pytest.fixture
def query() -> str:
    """One that no other test has sent."""
    return f'query Q($n: String = "{next(NUMBERS)}") {{ hello(name: $n) }}'


@pytest.mark.parametrize("accept", [JSON, RESPONSE])
async def test_a_hash_that_is_unknown_is_answered_so_that_clients_send_the_document(
    client: Client, query: str, accept: str
) -> None:
    headers = {"accept": accept}
    unknown = await client.request(json=by_hash(query), headers=headers)
    assert (unknown.status_code, unknown.json()) == (200, {"errors": [NOT_FOUND]})
    first = await client.request(json=by_hash(query, query=query, variables={"n": "a"}), headers=headers)
    assert first.json() == {"data": {"hello": "hello a"}}
    again = await client.request(json=by_hash(query, variables={"n": "b"}), headers=headers)
    assert again.json() == {"data": {"hello": "hello b"}}


async def test_a_query_by_get_needs_its_hash_only(client: Client, query: str) -> None:
    parameters = {"extensions": orjson.dumps(by_hash(query)["extensions"]).decode(), "variables": '{"n": "a"}'}
    browser = {"accept": "text/html,*/*;q=0.8"}
    unknown = await client.request("GET", params=parameters, headers=browser)
    assert (unknown.status_code, unknown.json()) == (200, {"errors": [NOT_FOUND]})
    await client.request("GET", params=parameters | {"query": query})
    again = await client.request("GET", params=parameters)
    assert again.json() == {"data": {"hello": "hello a"}}


async def test_a_mutation_is_not_executed_by_get_by_its_hash_either(client: Client) -> None:
    mutation = "mutation Other { deleteDataset }"
    assert (await client.request(json=by_hash(mutation, query=mutation))).json() == {
        "data": {"deleteDataset": "deleted"}
    }
    extensions = orjson.dumps(by_hash(mutation)["extensions"]).decode()
    response = await client.request("GET", params={"extensions": extensions})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_hash_and_files_of_a_form(client: Client, query: str) -> None:
    form = {"operations": (None, orjson.dumps(by_hash(query, query=query))), "map": (None, b"{}")}
    response = await client.request(files=form, headers={"graphql-require-preflight": "1"})
    assert "data" in response.json()
    assert "data" in (await client.request(json=by_hash(query))).json()


async def test_event_streams_take_hashes(client: Client) -> None:
    subscription = "subscription BySse { counter(to: 1) }"
    unknown = await client.request(json=by_hash(subscription), headers=EVENTS)
    assert frames(unknown.text) == [("next", {"errors": [NOT_FOUND]}), ("complete", None)]
    for body in (by_hash(subscription, query=subscription), by_hash(subscription)):
        response = await client.request(json=body, headers=EVENTS)
        assert frames(response.text) == [("next", {"data": {"counter": 1}}), ("complete", None)]


@pytest.mark.parametrize("absent", [{}, {"query": ""}, {"query": None}])
async def test_sockets_take_hashes(client: Client, query: str, absent: dict[str, object]) -> None:
    async with opened(client) as socket:
        await socket.greet({"token": client.token})
        await socket.send({"id": "1", "type": "subscribe", "payload": by_hash(query, **absent)})
        assert await socket.receive() == {"id": "1", "type": "error", "payload": [NOT_FOUND]}
        for id_, body in (("1", by_hash(query, query=query)), ("2", by_hash(query, **absent))):
            await socket.send({"id": id_, "type": "subscribe", "payload": body})
            assert (await socket.receive())["payload"]["data"]["hello"]
            assert await socket.receive() == {"id": id_, "type": "complete"}


async def test_the_hash_of_another_document_is_refused_and_nothing_is_kept(client: Client, query: str) -> None:
    other = "{ hello who }"
    response = await client.request(json=by_hash(other, query=query))
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    for unknown in (other, query):
        assert (await client.request(json=by_hash(unknown))).json() == {"errors": [NOT_FOUND]}


@pytest.mark.parametrize(
    "persisted",
    [
        {},
        [],
        "x",
        {"version": 1},
        {"version": 2, "sha256Hash": "0" * 64},
        {"version": 1, "sha256Hash": "0" * 63},
        {"version": 1, "sha256Hash": "g" * 64},
        {"version": 1, "sha256Hash": 0},
    ],
)
async def test_a_malformed_hash_is_refused(client: Client, persisted: object) -> None:
    response = await client.request(json={"query": "{ hello }", "extensions": {"persistedQuery": persisted}})
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")


async def test_a_hash_in_capitals_is_the_same(client: Client, query: str) -> None:
    body = by_hash(query, query=query)
    body["extensions"]["persistedQuery"]["sha256Hash"] = hashed(query).upper()
    assert "data" in (await client.request(json=body)).json()
    assert "data" in (await client.request(json=by_hash(query))).json()


@pytest.mark.parametrize("refused", ["{ nothing }", "{", "{ tree { " + "tree { " * 30 + "leaf" + " }" * 30 + " } }"])
async def test_a_document_that_is_refused_is_not_kept(client: Client, refused: str) -> None:
    first = await client.request(json=by_hash(refused, query=refused))
    assert first.json()["errors"][0]["extensions"]["code"] != "PERSISTED_QUERY_NOT_FOUND"
    assert (await client.request(json=by_hash(refused))).json() == {"errors": [NOT_FOUND]}


async def test_a_hash_gives_no_more_rights_than_its_document(client: Client, database: Database, url: str) -> None:
    mutation = "mutation Rights { deleteDataset }"
    assert "data" in (await client.request(json=by_hash(mutation, query=mutation))).json()
    reader = Client(url, await token(database, Scope.READ))
    response = await reader.request(json=by_hash(mutation))
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert (await Client(url).request(json=by_hash(mutation))).status_code == 401


async def test_a_mutation_by_its_hash_is_the_same_request_as_by_its_text(client: Client) -> None:
    mutation, key = "mutation Counted { count }", {"idempotency-key": "counted"}
    bodies: list[dict[str, object]] = [by_hash(mutation, query=mutation), by_hash(mutation), {"query": mutation}]
    answers = [await client.request(json=body, headers=key) for body in bodies]
    assert [answer.json() for answer in answers] == [answers[0].json()] * 3
    assert "data" in answers[0].json()


async def test_a_server_that_keeps_none_says_so(settings: Settings, database: Database, query: str) -> None:
    without = settings.with_changes(limits=settings.limits.with_changes(persisted_queries=0))
    async with serving(without, ToySchema()) as url:
        client = Client(url, await token(database))
        for body in (by_hash(query), by_hash(query, query=query), by_hash(query)):
            answer = await client.request(json=body)
            assert answer.status_code == 200
            if "query" not in body:
                [error] = answer.json()["errors"]
                assert error["message"] == "PersistedQueryNotSupported"
                assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_SUPPORTED"


def params(text: str, *, with_text: bool = True) -> Parameters:
    return Parameters(text if with_text else None, document_id=hashed(text))


def is_kept(persisted: PersistedQueries, text: str) -> bool:
    try:
        return persisted.source(params(text, with_text=False)) == text
    except Refused:
        return False


def test_a_token_that_sends_thousands_displaces_its_own_only() -> None:
    persisted = PersistedQueries(SHARE * 10 * (OVERHEAD + 10))  # ten of ten bytes for each token
    for number in range(30):
        persisted.add(params(f"other {number:04}"), token_id=number % 3)
    for number in range(5_000):
        persisted.add(params(f"flood {number:04}"), token_id=9)
    assert all(is_kept(persisted, f"other {number:04}") for number in range(30))
    assert [number for number in range(5_000) if is_kept(persisted, f"flood {number:04}")] == [*range(4_990, 5_000)]


def test_what_is_used_stays_and_the_whole_is_bounded() -> None:
    persisted = PersistedQueries(SHARE * 10 * (OVERHEAD + 10))
    persisted.add(params("other used"), token_id=-1)
    for number in range(5_000):
        persisted.add(params(f"flood {number:04}"), token_id=number)
        assert is_kept(persisted, "other used")
    kept = sum(is_kept(persisted, f"flood {number:04}") for number in range(5_000))
    assert kept == SHARE * 10 - 1


def test_a_document_that_is_larger_than_a_share_is_not_kept() -> None:
    persisted = PersistedQueries(SHARE * 1_000)
    persisted.add(params("x" * 1_000), token_id=1)
    assert not is_kept(persisted, "x" * 1_000)
