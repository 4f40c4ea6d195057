"""Queries that were read a moment ago: found by their bodies, and answered as if they were read again."""

import asyncio
from itertools import count

import orjson
import pytest

from api.app import create_app
from api.connections.http import RECEIVED
from api.graphql.http import HTTPRequest, _read
from api.graphql.parameters import Parameters, from_body
from api.graphql.recent_queries import MAX_BODY, MAX_BYTES, RecentQueries
from api.runtime import Runtime
from api.settings import Settings
from db.identity.tokens import Identity, Scope
from db.postgres.engine import Database
from schema.execution.documents import Documents
from schema.execution.messages import Request
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token

NUMBERS = count()


@pytest.fixture
def documents() -> Documents:
    return ToySchema().documents


def read(documents: Documents, query: str, **more: object) -> tuple[bytes, Parameters, Request]:
    body = orjson.dumps({"query": query, **more})
    params = from_body(body, 20)
    document = documents.prepare(params.query or "", params.operation_name)
    return body, params, Request(document, params.variables, params.extensions)


def test_a_body_is_known_by_all_of_its_bytes(documents: Documents) -> None:
    recent = RecentQueries(documents)
    first = read(documents, "query Q($n: String) { hello(name: $n) }", variables={"n": "ann"})
    second = read(documents, "query Q($n: String) { hello(name: $n) }", variables={"n": "bob"})
    recent.add(*first)
    recent.add(*second)
    assert recent.find(first[0]) is first[2]
    assert recent.find(second[0]) is second[2]
    assert recent.find(first[0] + b" ") is None


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("mutation { count }", {}),
        ("subscription { counter(to: 1) }", {}),
        ("{ hello }", {"documentId": "1" * 64}),
        ("{ hello }", {"variables": {"unused": "x" * MAX_BODY}}),
    ],
    ids=["mutation", "subscription", "document id", "large"],
)
def test_what_may_mean_something_else_later_is_not_kept(
    documents: Documents, query: str, more: dict[str, object]
) -> None:
    recent = RecentQueries(documents)
    sent = read(documents, query, **more)
    recent.add(*sent)
    assert recent.find(sent[0]) is None


def test_a_query_is_forgotten_with_its_document() -> None:
    documents = Documents(ToySchema().documents._schema, capacity=1)
    recent, known = RecentQueries(documents), read(documents, "{ hello }")
    recent.add(*known)
    read(documents, "{ who }")
    assert recent.find(known[0]) is None


def test_bodies_are_kept_up_to_a_sum_of_bytes(documents: Documents) -> None:
    recent = RecentQueries(documents)
    all_known = [
        read(documents, "{ hello }", variables={"unused": str(number) + "x" * (MAX_BODY - 100)})
        for number in range(MAX_BYTES // MAX_BODY * 2)
    ]
    for known in all_known:
        recent.add(*known)
    found = [recent.find(body) is not None for body, *_ in all_known]
    assert sum(found) * MAX_BODY <= MAX_BYTES + MAX_BODY * 4
    assert found[-1]
    assert not found[0]


async def test_the_same_body_of_another_token_is_answered_to_that_token(settings: Settings, database: Database) -> None:
    query = f'query Q{next(NUMBERS)} {{ who hello(name: "x") }}'
    async with serving(settings, ToySchema()) as url:
        clients = {
            name: Client(url, await token(database, Scope.READ, name=name)) for name in ("ann again", "bob again")
        }
        for _ in range(2):
            for name, each in clients.items():
                assert await each.execute(query) == {"who": name, "hello": "hello x"}
        assert (await Client(url, "lg_" + "x" * 43).post(query)).status_code == 401


async def test_headers_are_checked_however_often_the_body_came(client: Client) -> None:
    for key, data in (("a", {"key": "a"}), ("a b", None), ("b", {"key": "b"})):
        answer = await client.post("{ key }", headers={"idempotency-key": key})
        assert answer.json().get("data") == data


async def test_a_token_that_took_much_waits_for_what_is_known_too(settings: Settings) -> None:
    app = create_app(settings, ToySchema())
    body = b'{"query": "{ hello }"}'

    async def ask(process: Runtime, identity: Identity) -> Request:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        scope = {"type": "http", "method": "POST", "state": {RECEIVED: True}}
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        return await _read(process, HTTPRequest(scope, receive, headers), identity)

    async with app.router.lifespan_context(app) as state:
        assert state is not None
        process: Runtime = state["runtime"]
        greedy, quiet = Identity("greedy", Scope.READ, 1), Identity("quiet", Scope.READ, 2)
        known = await ask(process, greedy)
        assert await ask(process, greedy) is known
        process.read_rate._seconds.spend(greedy.token_id, 1_000.0)
        waiting = asyncio.create_task(ask(process, greedy))
        assert await ask(process, quiet) is known
        await asyncio.sleep(0.05)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
