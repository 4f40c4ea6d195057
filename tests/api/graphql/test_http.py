"""GraphQL over HTTP: what the graphql-http audits ask of a server, and what a hostile body must not do."""

from collections.abc import AsyncIterator

import httpx2
import orjson
import pytest
from graphql import get_introspection_query

from api.graphql.negotiation import EVENTS, JSON, RESPONSE
from api.settings import Settings
from db.postgres.engine import Database
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token
from tests.waiting import LIMITS

HELLO = "{ hello }"


def media(response: httpx2.Response) -> str:
    return str(response.headers["content-type"]).partition(";")[0]


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (RESPONSE, RESPONSE),
        (f"{RESPONSE}; charset=utf-8, {JSON}; charset=utf-8", RESPONSE),
        (f"{RESPONSE},{JSON};q=0.9", RESPONSE),
        (f"{RESPONSE};q=0.5,{JSON}", JSON),
        (f"{RESPONSE}, application/graphql+json, {JSON}, {EVENTS}, multipart/mixed", RESPONSE),
        ("text/html,*/*;q=0.1", JSON),
    ],
)
async def test_negotiates_the_media_type(client: Client, accept: str | None, answered: str) -> None:
    response = await client.post(HELLO, headers={"accept": accept} if accept else {"accept": ""})
    assert (response.status_code, media(response)) == (200, answered)
    assert response.headers["content-type"].endswith("charset=utf-8")
    assert response.json() == {"data": {"hello": "hello world"}}


async def test_refuses_a_client_that_takes_nothing_we_have(client: Client) -> None:
    response = await client.post(HELLO, headers={"accept": "image/png"})
    assert response.status_code == 406
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE"])
async def test_names_the_methods_that_it_takes(client: Client, method: str) -> None:
    response = await client.request(method, json={"query": HELLO})
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST, PUT, DELETE")


async def test_answers_a_query_by_get(client: Client) -> None:
    query = "query Q($n: String) { hello(name: $n) }"
    parameters = {"query": query, "variables": '{"n": "you"}', "operationName": "Q", "extensions": ""}
    response = await client.request("GET", params=parameters)
    assert response.json() == {"data": {"hello": "hello you"}}


async def test_takes_an_empty_parameter_of_get_for_an_absent_one(client: Client) -> None:
    response = await client.request("GET", params={"query": HELLO, "variables": "", "operationName": ""})
    assert response.json() == {"data": {"hello": "hello world"}}


async def test_executes_no_mutation_by_get(client: Client) -> None:
    response = await client.request("GET", params={"query": "mutation { deleteDataset }"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"])
async def test_takes_only_json_in_utf_8(client: Client, kind: str) -> None:
    response = await client.request(content=orjson.dumps({"query": HELLO}), headers={"content-type": kind})
    assert response.status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"1",
        b'"x"',
        b"[]",
        b'[{"query": "{ hello }"}]',
        b"{",
        b"{}",
        b'{"query": ""}',
        b'{"query": "\xff"}',
        b'{"query": {"a": 1}}',
        b'{"query": 0}',
        b'{"query": ["{ hello }"]}',
        b'{"query": "{ hello }", "operationName": 1}',
        b'{"query": "{ hello }", "operationName": {}}',
        b'{"query": "{ hello }", "variables": "x"}',
        b'{"query": "{ hello }", "variables": [1]}',
        b'{"query": "{ hello }", "variables": 0}',
        b'{"query": "{ hello }", "extensions": false}',
        b'{"query": "{ hello }", "extensions": {"idempotencyKey": 1}}',
        b'{"query": "{ hello }", "extensions": {"idempotencyKey": "a b"}}',
        b'{"query": "{ hello }", "variables": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"query": "{ hello }", "variables": {"a": ' + b'{"a":' * 65 + b"1" + b"}" * 66 + b"}",
        b'{"query": "{ hello }", "variables": {"n": "\\ud800"}}',
    ],
)
async def test_distinguishes_a_malformed_request_from_a_failed_one(client: Client, body: bytes) -> None:
    response = await client.request(content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400
    answer = response.json()
    assert list(answer) == ["errors"]
    assert answer["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert answer["errors"][0]["message"].endswith(".")


async def test_reads_a_very_long_number_without_falling_over(client: Client) -> None:
    body = b'{"query": "query ($n: Int!) { limit(n: $n) }", "variables": {"n": ' + b"9" * 5_000 + b"}}"
    response = await client.request(content=body, headers={"content-type": "application/json"})
    assert response.status_code in (200, 400)
    assert response.json()["errors"][0]["extensions"]["code"] in ("BAD_USER_INPUT", "BAD_REQUEST")


@pytest.mark.parametrize(
    "body",
    [
        {"query": "query ($n: String) { hello(name: $n) }", "variables": {"n": "a\0b"}},
        {"query": '{ hello(name: "a\\u0000b") }'},
        {"query": '{ hello(name: "a\\u{0}b") }'},
    ],
)
async def test_takes_no_text_that_postgres_cannot_keep(client: Client, body: dict[str, object]) -> None:
    response = await client.request(json=body)
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("parameter", ["variables", "operationName", "extensions"])
async def test_takes_null_for_an_absent_parameter(client: Client, parameter: str) -> None:
    response = await client.request(json={"query": HELLO, parameter: None})
    assert response.json() == {"data": {"hello": "hello world"}}


FAULTS = [
    ("{", "GRAPHQL_PARSE_FAILED"),
    ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
    ("query A { hello } query B { hello }", "OPERATION_RESOLUTION_FAILURE"),
    ("fragment A on Query { hello }", "GRAPHQL_VALIDATION_FAILED"),
    ("query ($n: Int!) { limit(n: $n) }", "BAD_USER_INPUT"),
    ("{ limit(n: 99999999999) }", "GRAPHQL_VALIDATION_FAILED"),
    ("{ tree { " + "tree { " * 30 + "leaf" + " }" * 30 + " } }", "QUERY_TOO_COSTLY"),
]


@pytest.mark.parametrize(("accept", "status"), [(JSON, 200), (RESPONSE, 400)])
@pytest.mark.parametrize(("query", "code"), FAULTS)
async def test_refuses_a_document_before_it_runs(
    client: Client, accept: str, status: int, query: str, code: str
) -> None:
    response = await client.post(query, headers={"accept": accept})
    assert response.status_code == status
    assert "data" not in response.json()
    assert response.json()["errors"][0]["extensions"]["code"] == code


async def test_runs_the_operation_that_is_named(client: Client) -> None:
    query = 'query A { hello } query B { hello(name: "b") }'
    response = await client.request(json={"query": query, "operationName": "B"})
    assert response.json() == {"data": {"hello": "hello b"}}


async def test_refuses_a_body_by_its_length_and_while_it_streams(client: Client) -> None:
    async def large() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b" " * 10_000

    headers = {"content-type": "application/json"}
    declared = await client.request(content=b" " * 64_001, headers=headers)
    streamed = await client.request(content=large(), headers=headers)
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert declared.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_reads_a_body_of_exactly_the_limit(client: Client) -> None:
    body = orjson.dumps({"query": HELLO}).ljust(64_000)
    response = await client.request(content=body, headers={"content-type": "application/json"})
    assert response.json() == {"data": {"hello": "hello world"}}


async def test_stops_what_takes_too_long(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query alone has little time; Postgres, which is asked about the token, has more."""
    monkeypatch.setattr("api.app.database_limits", lambda _: LIMITS)
    async with serving(settings.with_changes(timeouts=settings.timeouts.with_changes(query=0.3)), ToySchema()) as url:
        response = await Client(url, await token(database)).post("{ slow(seconds: 1e9) }")
    assert response.json()["errors"][0]["extensions"]["code"] == "QUERY_TOO_COSTLY"


async def test_an_operation_may_move_its_deadline(client: Client) -> None:
    """As a change of many samples does, to a later time. Nothing else would end this one."""
    response = await client.post("mutation { overdue }")
    assert response.json()["errors"][0]["extensions"]["code"] == "QUERY_TOO_COSTLY"


async def test_passes_compiled_text_through_untouched(client: Client) -> None:
    assert await client.execute("{ raw }") == {"raw": {"ready": "text"}}


async def test_hands_the_idempotency_key_on(client: Client) -> None:
    assert await client.execute("{ key }") == {"key": None}
    assert await client.execute("{ key }", headers={"idempotency-key": "k-1"}) == {"key": "k-1"}
    response = await client.request(json={"query": "{ key }", "extensions": {"idempotencyKey": "k-2"}})
    assert response.json() == {"data": {"key": "k-2"}}
    refused = await client.post("{ key }", headers={"idempotency-key": "k" * 256})
    assert refused.status_code == 400


async def test_reports_a_refusal_with_its_code_and_details(client: Client) -> None:
    answer = (await client.post("{ refused hello }")).json()
    assert answer["data"] == {"refused": None, "hello": "hello world"}
    assert answer["errors"] == [
        {
            "message": "Somebody else was first.",
            "locations": [{"line": 1, "column": 3}],
            "path": ["refused"],
            "extensions": {"code": "CONFLICT", "details": {"revision": 7}},
        }
    ]


async def test_hides_a_defect_behind_a_reference(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    response = await client.post("{ broken }")
    error = response.json()["errors"][0]
    assert "hunter2" not in response.text
    assert error["extensions"]["code"] == "INTERNAL_ERROR"
    assert error["extensions"]["reference"] in error["message"]
    assert [record.getMessage() for record in caplog.records if error["extensions"]["reference"] in record.getMessage()]
    assert len([record for record in caplog.records if record.name == "labelgraph.errors"]) == 1


async def test_serves_the_schema_and_says_that_it_lives(stranger: Client) -> None:
    schema = await stranger.request("GET", "/schema.graphql")
    assert schema.text.startswith("scalar Raw") or "type Query" in schema.text
    assert (await stranger.request("GET", "/healthz")).status_code == 200
    assert (await stranger.request("GET", "/readyz")).json() == {"status": "ready"}


async def test_answers_what_graphiql_asks_about_the_schema(client: Client) -> None:
    query = get_introspection_query(specified_by_url=True, schema_description=True, input_value_deprecation=True)
    assert (await client.execute(query))["__schema"]["queryType"]["name"] == "Query"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf8",
        "application/json;charset=UTF-8",
        'application/json; charset="Utf8"',
        "application/json; charset=utf_8",
        "application/json; odata=verbose",
        "Application/JSON; odata=verbose; charset=utf-8",
    ],
)
async def test_takes_the_body_under_every_name_of_utf_8(client: Client, content_type: str) -> None:
    answer = await client.request(content=b'{"query": "{ hello }"}', headers={"content-type": content_type})
    assert answer.json() == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=latin-1", "application/json; charset=utf-8; charset=utf-16", "text/json", "text/plain"],
)
async def test_refuses_another_encoding(client: Client, content_type: str) -> None:
    answer = await client.request(content=b'{"query": "{ hello }"}', headers={"content-type": content_type})
    assert answer.status_code == 415


async def test_a_byte_order_mark_is_no_part_of_the_body(client: Client) -> None:
    mark, headers = b"\xef\xbb\xbf", {"content-type": "application/json"}
    answer = await client.request(content=mark + b'{"query": "{ hello }"}', headers=headers)
    assert answer.json() == {"data": {"hello": "hello world"}}
    twice = await client.request(content=mark * 2 + b'{"query": "{ hello }"}', headers=headers)
    assert twice.status_code == 400
    files = {"operations": (None, mark + b'{"query": "{ hello }"}'), "map": (None, mark + b"{}")}
    form = await client.request(files=files, headers={"graphql-require-preflight": "1"})
    assert form.json() == {"data": {"hello": "hello world"}}
