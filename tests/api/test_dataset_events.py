"""`datasetEvents` over server-sent events, resumed at another server after the first was killed."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from db.identity.tokens import Scope
from db.postgres.engine import Database
from tests.client import Client, token
from tests.conftest import ROOT
from tests.db.dataset_rows import make
from tests.db.test_dataset_events import TURNS, Writers
from tests.waiting import TIMEOUT, TIMEOUT_VARIABLES

LISTENS = re.compile(r"(http://\S+)/graphql")
FOLLOW = """subscription ($d: ID!, $a: String) { datasetEvents(datasetId: $d, after: $a) {
    ... on ChangeEvent { change { revision } } ... on JobEvent { status job { id } }
    ... on VersionPublishedEvent { versionId version { id } } } }"""
CURSOR = "query ($d: ID!) { dataset(by: {id: $d}) { eventCursor } }"
EVENTS = TURNS * (2 * 3 + 1 + 1)


@asynccontextmanager
async def server(database: Database, data_dir: Path) -> AsyncIterator[str]:
    """The URL of a server in a process of its own, which is killed in the end."""
    command = ("serve", "--port", "0", "--no-worker", "--data", str(data_dir))
    environment = os.environ | {"DATABASE_URL": database.url, "PYTHONUNBUFFERED": "1", **TIMEOUT_VARIABLES}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api", *command), cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if listens := LISTENS.search(line.decode()):
                yield listens[1]
                break
        else:
            pytest.fail("the server did not start")
    finally:
        process.kill()
        await process.communicate()


@dataclass(slots=True)
class Page:
    """A client that follows a dataset and remembers the id of the last event."""

    token: str
    dataset: str
    after: str | None
    last_event_id: str | None = None
    found: list[dict[str, Any]] = field(default_factory=list)

    async def follow(self, url: str, count: int) -> None:
        """Until it has so many events in all."""
        headers = {"authorization": f"Bearer {self.token}", "accept": "text/event-stream"}
        if self.last_event_id is not None:
            headers["last-event-id"] = self.last_event_id
        body = {"query": FOLLOW, "variables": {"d": self.dataset, "a": self.after}}
        async with (
            asyncio.timeout(TIMEOUT),
            httpx2.AsyncClient(timeout=TIMEOUT) as http,
            http.stream("POST", f"{url}/graphql", json=body, headers=headers) as response,
        ):
            buffer = ""
            async for text in response.aiter_text():
                *frames, buffer = (buffer + text).split("\n\n")
                for frame in frames:
                    self._take(frame)
                if len(self.found) >= count:
                    return
        pytest.fail("the stream ended")

    def _take(self, frame: str) -> None:
        if frame != ":":
            event, id, data = frame.split("\n")
            assert event == "event: next"
            self.last_event_id = id.removeprefix("id: ")
            self.found.append(json.loads(data.removeprefix("data: "))["data"]["datasetEvents"])


async def test_pages_miss_nothing_and_get_nothing_twice_when_servers_are_killed(
    database: Database, tmp_path: Path
) -> None:
    number = (await make(database, name="pets")).id
    dataset, writers = f"Dataset:{number}", Writers(database, number)
    ann = await token(database)
    bob = await token(database, Scope.READ, dataset_ids=[number])
    pages: list[Page] = []
    work: asyncio.Future[Any] = asyncio.Future()
    for part in range(1, 4):
        async with server(database, tmp_path / "data") as url:
            if not pages:
                after = (await Client(url, ann).execute(CURSOR, {"d": dataset}))["dataset"]["eventCursor"]
                pages = [Page(who, dataset, after) for who in (ann, bob)]
                work = asyncio.gather(writers.run_jobs(), writers.run_jobs(), writers.publish(), writers.change())
            await asyncio.gather(*(page.follow(url, EVENTS * part // 3) for page in pages))
    await work
    async with database.reading() as connection:
        rows = await connection.fetch(
            "SELECT kind, subject_id, detail FROM dataset_event WHERE dataset_id = $1 ORDER BY number", number
        )
    expected = [
        {"versionId": f"Version:{row['subject_id']}", "version": {"id": f"Version:{row['subject_id']}"}}
        if row["kind"] == "VERSION_PUBLISHED"
        else {"status": row["detail"], "job": {"id": f"ManifestJob:{row['subject_id']}"}}
        for row in rows
    ]
    for page in pages:
        assert [event for event in page.found if "change" not in event] == expected
        changes = [event["change"]["revision"] for event in page.found if "change" in event]
        assert changes == list(range(1, TURNS + 1))


async def test_last_event_id_is_a_cursor_of_the_dataset(database: Database, client: Client) -> None:
    number = (await make(database, name="pets")).id
    body = {"query": FOLLOW, "variables": {"d": f"Dataset:{number}", "a": None}}
    headers = {"accept": "text/event-stream", "last-event-id": "7"}
    response = await client.request(json=body, headers=headers)
    assert "INVALID_CURSOR" in response.text
    assert "\nid:" not in response.text
