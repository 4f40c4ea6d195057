"""The whole server, as a stock client meets it: the real schema over HTTP, with a worker inside."""

import asyncio
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gql import Client as Gql
from gql import gql
from gql.transport.websockets import WebsocketsTransport
from PIL import Image

from api.settings import Settings
from db.postgres.engine import Database
from tests.api.graphql.toy_schema import ToySchema
from tests.client import NO_DATABASE, Client, serving, token
from tests.waiting import SERVER_TIMEOUTS, TIMEOUT

CREATE = """
    mutation ($path: String!) {
      createDataset(input: {name: "pets", inputPath: $path}) { dataset { id } job { id status } }
    }
"""
PAGE = """
    query ($id: ID!) {
      dataset(by: {id: $id}) {
        revision
        statistics { totalCount labeledCount unlabeledCount }
        samples(first: 100, orderBy: {field: PATH}) {
          nodes { id path state labels { name } imageUrl thumbnailUrl(size: 32) urlExpiresAt }
        }
      }
    }
"""
LABEL = """
    mutation ($id: ID!, $filter: SampleFilter!) {
      labelSamples(input: {datasetId: $id, select: {filter: $filter}, labels: ["cat"], createMissing: true}) {
        matchedCount changedCount unchangedCount dataset { statistics { labeledCount } } change { summary }
      }
    }
"""


def images(folder: Path, count: int) -> str:
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (40 + number, 30), (number * 20, 80, 120)).save(folder / f"{number}.png")
    (folder / "0.txt").write_text("dog\n")
    return str(folder.resolve())


async def followed(client: Client, dataset_id: str) -> list[dict[str, Any]]:
    """Every step of the dataset's sync, to its end."""
    address = client.url.replace("http", "ws") + "/graphql"
    timeouts: dict[str, Any] = dict.fromkeys(("connect_timeout", "ack_timeout", "close_timeout"), TIMEOUT)
    transport = WebsocketsTransport(address, init_payload={"Authorization": f"Bearer {client.token}"}, **timeouts)
    query = gql("subscription ($id: ID!) { syncProgress(datasetId: $id) { status progress addedCount } }")
    query.variable_values = {"id": dataset_id}
    async with asyncio.timeout(TIMEOUT), Gql(transport=transport) as session:
        return [data["syncProgress"] async for data in session.subscribe(query)]


async def test_a_directory_becomes_a_labelled_dataset(client: Client, tmp_path: Path) -> None:
    created = await client.execute(CREATE, {"path": images(tmp_path / "pets", 6)})
    dataset_id = created["createDataset"]["dataset"]["id"]
    steps = await followed(client, dataset_id)
    assert steps[-1] == {"status": "SUCCEEDED", "progress": 1.0, "addedCount": 6}
    dataset = (await client.execute(PAGE, {"id": dataset_id}))["dataset"]
    assert dataset["statistics"] == {"totalCount": 6, "labeledCount": 1, "unlabeledCount": 5}
    assert [sample["path"] for sample in dataset["samples"]["nodes"]] == [f"{number}.png" for number in range(6)]
    labelled = await client.execute(LABEL, {"id": dataset_id, "filter": {"state": "UNLABELED"}})
    assert labelled["labelSamples"]["changedCount"] == 5
    assert labelled["labelSamples"]["dataset"] == {"statistics": {"labeledCount": 6}}
    for sample in (await client.execute(PAGE, {"id": dataset_id}))["dataset"]["samples"]["nodes"]:
        assert sample["labels"] == [{"name": "dog" if sample["path"] == "0.png" else "cat"}]
        await sees_images(sample)


async def sees_images(sample: dict[str, Any]) -> None:
    """As an `<img>` tag does: with the URL alone."""
    async with httpx2.AsyncClient(timeout=TIMEOUT) as browser:
        image = await browser.get(sample["imageUrl"])
        thumbnail = await browser.get(sample["thumbnailUrl"])
    assert (image.status_code, image.headers["content-type"]) == (200, "image/png")
    assert (thumbnail.status_code, thumbnail.headers["content-type"]) == (200, "image/jpeg")


async def test_a_repeated_request_with_a_key_makes_one_dataset(client: Client, tmp_path: Path) -> None:
    variables = {"path": images(tmp_path / "pets", 1)}
    first = await client.post(CREATE, variables, headers={"idempotency-key": "once"})
    again = await client.post(CREATE, variables, headers={"idempotency-key": "once"})
    assert first.content == again.content
    assert await client.execute("{ datasets { totalCount } }") == {"datasets": {"totalCount": 1}}


async def test_a_compiled_answer_says_what_it_cost_to_those_who_ask(client: Client) -> None:
    query = "query ($n: Int) { datasets(first: $n) { totalCount nodes { id name } } }"
    for number in (1, 10):
        body = {"query": query, "variables": {"n": number}, "extensions": {"cost": True}}
        answer = (await client.request(json=body)).json()
        assert answer["data"] == {"datasets": {"totalCount": 0, "nodes": []}}
        assert answer["extensions"]["cost"]["requested"] == 1 + number * 4


async def test_lives_without_its_database_and_says_so(tmp_path: Path) -> None:
    settings = Settings(
        database_url=NO_DATABASE, data_dir=tmp_path, secret="known", worker=False, timeouts=SERVER_TIMEOUTS
    )
    async with serving(settings, ToySchema()) as url:
        client = Client(url, "lg_" + "a" * 43)
        assert (await client.request("GET", "/healthz")).status_code == 200
        ready = await client.request("GET", "/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "not ready", "reason": "database"})
        response = await client.post("{ hello }")
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
        assert response.headers["retry-after"]
        assert "127.0.0.1:1" not in response.text
        image = await client.request("GET", "/images/1?e=1&i=1&s=x")
        assert image.status_code == 403


async def test_is_not_ready_before_its_database_is_migrated(empty_database_url: str, tmp_path: Path) -> None:
    settings = Settings(
        database_url=empty_database_url, timeouts=SERVER_TIMEOUTS, data_dir=tmp_path, secret="known", worker=False
    )
    async with serving(settings, ToySchema()) as url:
        ready = await Client(url).request("GET", "/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "migrations")


@pytest.mark.parametrize(("allowed", "answered"), [((), None), (("https://ui.example",), "https://ui.example")])
async def test_pages_of_other_origins_may_call_where_the_settings_say_so(
    settings: Settings, allowed: tuple[str, ...], answered: str | None
) -> None:
    preflight = {
        "origin": "https://ui.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,idempotency-key",
    }
    async with serving(settings.with_changes(allowed_origins=allowed, worker=False), ToySchema()) as url:
        response = await Client(url).request("OPTIONS", headers=preflight)
        assert response.headers.get("access-control-allow-origin") == answered
        assert "access-control-allow-credentials" not in response.headers
        other = await Client(url).request("OPTIONS", headers=preflight | {"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("allowed", ["https://ui.example", "*"])
@pytest.mark.parametrize(
    "requested",
    [
        "authorization,content-type,graphql-require-preflight",
        "apollographql-client-name,traceparent",
        "sentry-trace,x-own",
    ],
)
async def test_pages_of_allowed_origins_may_send_the_headers_that_they_ask_for(
    settings: Settings, database: Database, allowed: str, requested: str
) -> None:
    preflight = {
        "origin": "https://ui.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": requested,
    }
    async with serving(settings.with_changes(allowed_origins=(allowed,), worker=False), ToySchema()) as url:
        client = Client(url, await token(database))
        for path in ("/graphql", "/uploads/x"):
            response = await client.request("OPTIONS", path, headers=preflight)
            assert response.status_code == 200
            assert response.headers["access-control-allow-headers"] == requested
        answer = await client.post("{ hello }", headers={"origin": "https://ui.example", "traceparent": "00-1-1-00"})
        assert answer.headers["access-control-expose-headers"] == "labelgraph-position, retry-after, x-request-id"
        other = await client.request("OPTIONS", headers=preflight | {"origin": "https://evil.example"})
        assert other.status_code == (200 if allowed == "*" else 400)


async def test_urls_begin_with_the_public_address(settings: Settings, database: Database, tmp_path: Path) -> None:
    changed = settings.with_changes(public_url="https://labels.example/base/")
    async with serving(changed) as url:
        client = Client(url, await token(database))
        created = await client.execute(CREATE, {"path": images(tmp_path / "pets", 1)})
        dataset_id = created["createDataset"]["dataset"]["id"]
        await followed(client, dataset_id)
        (sample,) = (await client.execute(PAGE, {"id": dataset_id}))["dataset"]["samples"]["nodes"]
    assert re.match(r"https://labels\.example/base/images/[0-9]+\.png\?", sample["imageUrl"])
    assert re.match(r"https://labels\.example/base/thumbnails/[0-9]+/32\.jpg\?", sample["thumbnailUrl"])
    expiry = datetime.fromisoformat(sample["urlExpiresAt"])
    assert f"?e={expiry.timestamp():.0f}&" in sample["imageUrl"]
