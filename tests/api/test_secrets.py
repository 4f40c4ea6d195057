"""Secrets of the server's owner are shown to nobody: not to clients, not in a log, not in the database.

A real process, with the most verbose log, whose store refuses it in the words of real stores: with
the access key, the signature and what was signed.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy.engine import make_url

from db.postgres.engine import Database, connect
from tests.client import Client, token
from tests.compose import ROOT
from tests.db.dataset_fixture import image_bytes
from tests.fake_s3 import BUCKET, FakeS3, Request, fake_s3, http
from tests.waiting import LIMITS, TIMEOUT

ACCESS, SECRET, SESSION = "PLANTEDACCESSKEY", "planted/secret+key", "planted-session-token"
PASSWORD, MASTER = "planted-db-password", "planted-master-secret"
LINKED = (SECRET, PASSWORD, MASTER)  # a store's own link names the access key and the session: S3 will have it so
ALL = (ACCESS, SESSION, *LINKED)

CREATE = """mutation ($input: CreateDatasetInput!) { createDataset(input: $input) { dataset { id } } }"""
SYNC = "mutation ($id: ID!) { syncDataset(input: {datasetId: $id}) { job { id } } }"
DELETE = """mutation ($id: ID!) { deleteSamples(input: {datasetId: $id, select: {all: true}, deleteSources: true}) {
    deletedSampleCount failedSources { path message } } }"""
LOOK = """query ($id: ID!) { node(id: $id) { ... on Dataset { inputPath
    jobs(first: 5) { nodes { status error { code message } ... on SyncJob { warnings { nodes { path message } } } } }
    samples { nodes { id path imageUrl thumbnailUrl } } } } }"""


def turned_away(request: Request) -> bytes:
    """As stores say it, and worse: whatever they were sent comes back."""
    sent = "".join(f"<Header>{name}: {value}</Header>" for name, value in request.headers.items())
    text = (
        f"<?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code><Message>{ACCESS} {SECRET}</Message>"
        f"<AWSAccessKeyId>{ACCESS}</AWSAccessKeyId><StringToSign>{SESSION}</StringToSign>{sent}</Error>"
    )
    return http(403, text.encode(), {"Content-Type": "application/xml", "x-amz-request-id": SECRET})


@dataclass(slots=True)
class Talk:
    """A client that writes down every word of every answer."""

    client: Client
    heard: list[str] = field(default_factory=list)

    async def ask(self, query: str, id: str | None = None, **more: Any) -> Any:
        answer = await self.client.post(query, {"id": id} if id else more.pop("variables"), timeout=TIMEOUT, **more)
        self.note(answer)
        return answer.json()["data"]

    async def get(self, url: str) -> httpx2.Response:
        answer = await Client(self.client.url).request("GET", url, timeout=TIMEOUT)
        self.note(answer)
        return answer

    def note(self, answer: httpx2.Response) -> None:
        headers = {name: value for name, value in answer.headers.items() if name != "location"}
        self.heard.append(f"{answer.status_code} {headers} {answer.text}")

    async def synced(self, id: str) -> str:
        """How the last sync ended."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                job = (await self.ask(LOOK, id))["node"]["jobs"]["nodes"][0]
                if job["status"] not in ("QUEUED", "RUNNING"):
                    return str(job["status"])
                await asyncio.sleep(0.1)


@asynccontextmanager
async def serving(database: Database, endpoint: str, folder: Path) -> AsyncIterator[str]:
    """`python -m api serve`; what it says goes to `folder/log`."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": make_url(database.url).set(password=PASSWORD).render_as_string(hide_password=False),
        "LABELGRAPH_SECRET": MASTER,
        "LABELGRAPH_DATA": str(folder),
        "LABELGRAPH_PORT": "0",
        "LABELGRAPH_LOG_LEVEL": "debug",
        "LABELGRAPH_S3_ENDPOINT": endpoint,
        "LABELGRAPH_S3_ADDRESSING": "path",
        "LABELGRAPH_S3_ACCESS_KEY": ACCESS,
        "LABELGRAPH_S3_SECRET_KEY": SECRET,
        "LABELGRAPH_S3_SESSION_TOKEN": SESSION,
    }
    with (folder / "log").open("wb") as log:
        command = (sys.executable, "-u", "-m", "api", "serve")
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(TIMEOUT):
            while "serves http://" not in (said := (folder / "log").read_text()):  # noqa: ASYNC110 (a file)
                await asyncio.sleep(0.05)
        yield said.partition("serves ")[2].partition("/graphql")[0]
    finally:
        process.terminate()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Outputs:
    heard: list[str]
    links: list[str]
    log: str
    rows: str
    token: str


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[Database]:
    """It is migrated by the server, whose log then has lines of the level debug."""
    async with connect(empty_database_url, LIMITS) as database:
        yield database


@pytest.fixture
async def outputs(database: Database, tmp_path: Path) -> Outputs:
    """All that came of a dataset whose store lets us in first, and turns us away then."""
    objects = {"a.png": image_bytes(size=(50, 40)), "b.png": image_bytes()}
    async with fake_s3(objects) as store, serving(database, store.endpoint, tmp_path) as url:
        talk = Talk(Client(url, await token(database)))
        links = await _used(talk, store)
    rows = await _rows(database)
    assert talk.client.token is not None
    return Outputs(talk.heard, links, (tmp_path / "log").read_text(), rows, talk.client.token)


async def _used(talk: Talk, store: FakeS3) -> list[str]:
    """The store's links that a client was given."""
    given = {"input": {"name": "d", "inputPath": f"s3://{BUCKET}/"}}
    made = await talk.ask(CREATE, variables=given, headers={"idempotency-key": "once"})
    id = made["createDataset"]["dataset"]["id"]
    assert await talk.synced(id) == "SUCCEEDED"
    samples = (await talk.ask(LOOK, id))["node"]["samples"]["nodes"]
    links = [(await talk.get(sample["imageUrl"])).headers["location"] for sample in samples]
    store.answer = turned_away
    await talk.ask(SYNC, id, headers={"idempotency-key": "twice"})
    assert await talk.synced(id) == "FAILED"
    for sample in samples:
        assert (await talk.get(sample["thumbnailUrl"])).status_code == 503
    deleted = await talk.ask(DELETE, id, headers={"idempotency-key": "thrice"})
    assert [failure["path"] for failure in deleted["deleteSamples"]["failedSources"]] == ["a.png", "b.png"]
    await talk.ask(LOOK, id)
    await talk.get("/readyz")
    return links


async def _rows(database: Database) -> str:
    """Every row of every table, as a dump has it."""
    async with database.reading() as connection:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [row[0] for name in names for row in await connection.fetch(f'SELECT t::text FROM "{name[0]}" t')]
    return "\n".join(rows)


def within(text: str, secrets: tuple[str, ...]) -> list[str]:
    """Those of the secrets that a text contains, as they are or as bytes in hexadecimal digits."""
    return [secret for secret in secrets if secret in text or secret.encode().hex() in text]


async def test_secrets_reach_no_client_no_log_and_no_table(outputs: Outputs) -> None:
    assert within("\n".join(outputs.heard), ALL) == []
    assert within("\n".join(outputs.links), LINKED) == []
    assert within(outputs.log, (*ALL, outputs.token, "X-Amz-Signature")) == []
    assert within(outputs.rows, (*ALL, outputs.token)) == []
    assert "refuses access to this server" in outputs.rows, "the store's refusal was seen"
    assert '"level":"debug"' in outputs.log
