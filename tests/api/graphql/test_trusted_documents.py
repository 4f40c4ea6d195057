"""Trusted documents: named by ids, and with `trusted_only` the only ones."""

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.__main__ import parser, settings_of
from api.command_errors import CommandError
from api.graphql.trusted_documents import TrustedDocuments
from api.settings import BadSetting, Settings
from db.postgres.engine import Database
from tests.api.graphql.test_persisted_queries import by_hash, hashed
from tests.api.graphql.test_sse import EVENTS, frames
from tests.api.graphql.test_websocket import opened
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token

HELLO = "query Hello($n: String) { hello(name: $n) }"
WHO = "query Who { who }"
COUNT = "subscription Count { counter(to: 1) }"
PREFIXED = "query Prefixed { hello }"
MD5 = hashlib.md5(WHO.encode(), usedforsecurity=False).hexdigest()
APOLLO = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [{"id": hashed(COUNT), "name": "Count", "type": "subscription", "body": COUNT}],
}
OTHER = "{ hello }"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file, and a manifest of each kind."""
    folder = tmp_path / "documents"
    (folder / "queries").mkdir(parents=True)
    (folder / "queries" / "hello.graphql").write_text(HELLO + "\n")
    (folder / "relay.json").write_text(json.dumps({MD5: WHO}))
    (folder / "codegen.json").write_text(json.dumps({f"sha256:{hashed(PREFIXED)}": PREFIXED}))
    (folder / "apollo.json").write_text(json.dumps(APOLLO))
    (folder / "README.md").write_text("no document")
    return folder


@pytest.fixture(params=[False, True], ids=["others too", "only"])
async def trusting(
    request: pytest.FixtureRequest, settings: Settings, database: Database, folder: Path
) -> AsyncIterator[tuple[Client, bool]]:
    changed = settings.with_changes(trusted_documents=folder, trusted_only=request.param)
    async with serving(changed, ToySchema()) as url:
        yield Client(url, await token(database)), request.param


def code(answer: dict[str, list[dict[str, dict[str, str]]]]) -> str:
    return answer["errors"][0]["extensions"]["code"]


async def test_documents_are_named_by_hash_or_by_the_key_of_a_manifest(trusting: tuple[Client, bool]) -> None:
    client, only = trusting
    variables = {"n": "you"}
    for id_ in (hashed(HELLO), hashed(HELLO + "\n"), f"sha256:{hashed(HELLO)}"):
        answer = await client.request(json={"documentId": id_, "variables": variables})
        assert answer.json() == {"data": {"hello": "hello you"}}
    assert (await client.request(json=by_hash(HELLO, variables=variables))).json() == {"data": {"hello": "hello you"}}
    assert "data" in (await client.request(json={"documentId": f"sha256:{hashed(PREFIXED)}"})).json()
    assert "data" in (await client.request(json=by_hash(PREFIXED))).json()
    assert "data" in (await client.request("GET", params={"documentId": MD5})).json()
    assert (
        "data"
        in (await client.request(json={"extensions": {"persistedQuery": {"version": 1, "sha256Hash": MD5}}})).json()
    )
    unknown = await client.request(json={"documentId": "unknown"})
    assert code(unknown.json()) == ("DOCUMENT_NOT_TRUSTED" if only else "PERSISTED_QUERY_NOT_FOUND")


async def test_other_documents_are_executed_only_where_they_may_be(trusting: tuple[Client, bool]) -> None:
    client, only = trusting
    assert "data" in (await client.post(HELLO)).json()
    assert "data" in (await client.request(json={"query": f"\n{WHO} ", "documentId": hashed(f"\n{WHO} ")})).json()
    answers = [
        await client.post(OTHER),
        await client.request("GET", params={"query": OTHER}),
        await client.request(json=by_hash(OTHER, query=OTHER)),
        await client.request(json=by_hash(OTHER)),
        await client.request(
            files={"operations": (None, json.dumps({"query": OTHER})), "map": (None, "{}")},
            headers={"graphql-require-preflight": "1"},
        ),
        await client.post("{ __schema { queryType { name } } }"),
        await client.post(OTHER + " " * 40_000),
    ]
    for answer in answers:
        if only:
            assert code(answer.json()) == "DOCUMENT_NOT_TRUSTED"
        else:
            assert "data" in answer.json()


async def test_a_text_under_the_id_of_another_is_refused(trusting: tuple[Client, bool]) -> None:
    client, _ = trusting
    answer = await client.request(json={"query": HELLO, "documentId": MD5})
    assert (answer.status_code, code(answer.json())) == (400, "BAD_REQUEST")


async def test_streams_and_sockets_take_ids_too(trusting: tuple[Client, bool]) -> None:
    client, only = trusting
    response = await client.request(json={"documentId": hashed(COUNT)}, headers=EVENTS)
    assert frames(response.text) == [("next", {"data": {"counter": 1}}), ("complete", None)]
    async with opened(client) as socket:
        await socket.greet({"token": client.token})
        await socket.send({"id": "1", "type": "subscribe", "payload": {"documentId": hashed(COUNT)}})
        assert (await socket.receive())["payload"] == {"data": {"counter": 1}}
        assert (await socket.receive())["type"] == "complete"
        await socket.subscribe("2", OTHER)
        message = await socket.receive()
        assert message["type"] == ("error" if only else "next")


@pytest.mark.parametrize("id_", [1, {}, [], "", "x" * 257, True])
async def test_a_malformed_id_is_refused(client: Client, id_: object) -> None:
    answer = await client.request(json={"query": OTHER, "documentId": id_})
    assert (answer.status_code, code(answer.json())) == (400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "1",
        '{"name": "package", "files": []}',
        '{"format": "apollo-persisted-query-manifest", "version": 2, "operations": []}',
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "x"}]}',
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"body": "{ a }"}]}',
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": ["x"]}',
    ],
)
def test_a_file_that_is_no_manifest_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "some.json").write_text(content)
    with pytest.raises(CommandError, match=r"some\.json is no manifest of trusted documents: it should be"):
        TrustedDocuments.read(tmp_path, only=False)


def test_what_cannot_be_listed_is_said_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="does not exist"):
        TrustedDocuments.read(tmp_path / "nowhere", only=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match="There are no trusted documents in"):
        TrustedDocuments.read(tmp_path / "empty", only=False)
    (folder / "second.json").write_text(json.dumps({MD5: HELLO}))
    with pytest.raises(CommandError, match=f"Two documents have the id {MD5}"):
        TrustedDocuments.read(folder, only=False)
    (folder / "second.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(CommandError, match="cannot be read"):
        TrustedDocuments.read(folder, only=False)


def test_only_trusted_documents_need_some(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("LABELGRAPH_TRUSTED_ONLY", "true")
    with pytest.raises(BadSetting, match="LABELGRAPH_TRUSTED_ONLY needs LABELGRAPH_TRUSTED_DOCUMENTS"):
        Settings.from_environment()
    arguments = parser().parse_args(["serve", "--trusted-documents", str(folder)])
    assert settings_of(arguments).trusted_documents == folder
    monkeypatch.delenv("LABELGRAPH_TRUSTED_ONLY")
    arguments = parser().parse_args(["serve", "--trusted-documents", str(folder), "--trusted-only"])
    assert settings_of(arguments).trusted_only
