"""A large change over HTTP: others follow it as a job, and a client that left gets the answer by its key."""

from typing import Any

import asyncpg
import pytest

from api.settings import Settings
from db.history import transactions
from db.postgres.engine import Database, driver_url
from tests.api.graphql.test_websocket import greeted
from tests.api.test_clients_that_leave import WAITING, kept, over_http
from tests.client import Client, serving, token
from tests.db.dataset_rows import make
from tests.waiting import wait_until

LABEL = """mutation ($d: ID!) {
    labelSamples(input: {datasetId: $d, select: {all: true}, labels: ["cat"]}) {
        matchedCount changedCount change { revision } dataset { revision } } }"""
JOBS = """query ($d: ID!) { dataset(by: {id: $d}) { jobs(filter: {kinds: [LARGE_CHANGE]}, first: 5) { nodes {
    id status progress requestedBy ... on LargeChangeJob { sampleCount change { revision summary } } } } } }"""
FOLLOW = "subscription ($job: ID!) { jobProgress(jobId: $job) { id status progress } }"


async def test_it_is_followed_as_a_job_and_its_lost_answer_is_found_by_the_key(
    settings: Settings, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "KEY_WAIT", 0.0)
    pets = await make(database, samples=5, labels=("cat",))
    variables = {"d": f"Dataset:{pets.id}"}
    body = {"query": LABEL, "variables": variables, "extensions": {"idempotencyKey": "k"}}

    async def job(client: Client) -> dict[str, Any]:
        nodes = (await client.execute(JOBS, variables))["dataset"]["jobs"]["nodes"]
        return nodes[0] if nodes else {}

    server = serving(settings.with_changes(worker=False, large_change=5))
    async with server as url, greeted(client := Client(url, await token(database, name="ann"))) as socket:
        connection = await asyncpg.connect(driver_url(database_url))
        try:
            async with connection.transaction():
                await connection.execute("SELECT FROM dataset WHERE id = $1 FOR NO KEY UPDATE", pets.id)
                async with over_http(client, body):
                    await wait_until(lambda: waits(connection))
                running = await job(client)
                assert running | {"id": ""} == {
                    "id": "",
                    "status": "RUNNING",
                    "progress": 0,
                    "requestedBy": "ann",
                    "sampleCount": 5,
                    "change": None,
                }
                await socket.subscribe("1", FOLLOW, variables={"job": running["id"]})
                states = [progress_of(await socket.receive())]
                assert states[0]["status"] == "RUNNING"
                [error] = (await client.request(json=body)).json()["errors"]
                assert error["extensions"]["code"] == "REQUEST_IN_PROGRESS"
        finally:
            await connection.close()
        while (message := await socket.receive())["type"] == "next":
            states.append(progress_of(message))
        assert (states[-1]["status"], states[-1]["progress"]) == ("SUCCEEDED", 1)
        await wait_until(lambda: kept(database))
        again = (await client.request(json=body)).json()
        payload = {"matchedCount": 5, "changedCount": 5, "change": {"revision": 2}, "dataset": {"revision": 2}}
        assert again == {"data": {"labelSamples": payload}}
        assert (await job(client))["change"] == {"revision": 2, "summary": "Added `cat` to 5 samples"}


def progress_of(message: dict[str, Any]) -> Any:
    return message["payload"]["data"]["jobProgress"]


async def waits(connection: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval(WAITING) == 1)
