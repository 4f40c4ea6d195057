"""Postgres killed, stopped, full and cut off under a server: it comes back, and so does all that depends on it."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from api import embedded_postgres, worker
from api.embedded_postgres import supervisor
from api.settings import Settings, Timeouts
from db import jobs
from db.ingest import sync
from db.jobs import Claim, queue
from db.postgres import engine, migrations
from db.postgres.engine import Database, driver_url
from tests.client import Client, Failed, serving, token
from tests.conftest import FAST, ROOT
from tests.db.dataset_fixture import image_bytes

SAFE = FAST | {"synchronous_commit": "on"}  # what is committed survives a killed process, if not a killed machine
TIMEOUT = 120.0  # seconds for what takes a few; nothing here is measured by the clock
CREATE = """mutation ($name: String!, $path: String!, $sync: Boolean!) {
    createDataset(input: {name: $name, inputPath: $path, syncNow: $sync}) { dataset { id } job { id } } }"""
LABEL = """mutation ($id: ID!, $name: String!) {
    createLabels(input: {datasetId: $id, labels: [{name: $name}]}) { labels { name } } }"""
LABELS = "query ($id: ID!) { dataset(by: {id: $id}) { labels { name } } }"
SHOWN = "query ($id: ID!) { dataset(by: {id: $id}) { samples { nodes { imageUrl thumbnailUrl } } } }"
REQUEST = "mutation ($input: RequestUploadsInput!) { requestUploads(input: $input) { uploads { url } } }"
FOLLOW = "subscription ($id: ID!) { datasetChanges(datasetId: $id) { summary } }"
JOBS = "{ datasets(first: 50) { nodes { jobs { nodes { status error { code message } } } } } }"
SYNC = "mutation ($id: ID!) { syncDataset(input: {datasetId: $id}) { job { id } } }"
JOB = "query ($id: ID!) { node(id: $id) { ... on SyncJob { status } } }"
UPLOAD = """mutation ($id: ID!, $file: Upload!) {
    uploadSamples(input: {datasetId: $id, files: [$file]}) { results { sample { path } error { code } } } }"""


@dataclass(frozen=True, slots=True)
class House:
    """A server with a worker, on an embedded Postgres of its own."""

    client: Client
    database: Database
    data_dir: Path
    images: Path

    @property
    def postmaster(self) -> int:
        """The number of the running Postgres, 0 while there is none."""
        return supervisor.server(self.data_dir / "postgres" / "cluster") or 0

    def processes(self) -> list[int]:
        """Postgres with all its children."""
        cluster = self.data_dir / "postgres" / "cluster"
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and (entry / "cwd").samefile(cluster):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    async def kill(self) -> None:
        """`kill -9`, and nothing more: until another one takes connections."""
        killed = self.postmaster
        assert killed
        os.kill(killed, signal.SIGKILL)
        await wait_until(lambda: self.postmaster not in (0, killed))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Postgres is there, and does nothing."""
        processes = self.processes()
        assert processes
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)

    async def create(self, name: str, images: int, *, sync: bool = True) -> str:
        folder = self.images / name
        folder.mkdir(exist_ok=True)
        for number in range(images):
            (folder / f"{number}.png").write_bytes(image_bytes())
        values = {"name": name, "path": str(folder), "sync": sync}
        made = await self.client.execute(CREATE, values, headers={"idempotency-key": name})
        return str(made["createDataset"]["dataset"]["id"])


@asynccontextmanager
async def housed(folder: Path, **settings: Any) -> AsyncIterator[House]:
    images = folder / "images"
    images.mkdir()
    async with embedded_postgres.postgres(folder, options=SAFE) as url:
        await migrations.upgrade(url)
        ready = Settings(database_url=url, data_dir=folder, allowed_roots=(images,), **settings)
        async with engine.connect(url) as database:
            text = await token(database)
            async with serving(ready) as served:
                yield House(Client(served, text, TIMEOUT), database, folder, images)


async def wait_until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)


def ready(house: House) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return (await house.client.request("GET", "/readyz")).status_code == 200

    return look


def jobs_are(house: House, status: str, count: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        answer = (await house.client.post(JOBS)).json()
        if not answer.get("data"):
            assert codes(answer) == {"UNAVAILABLE"}
            return False
        found = [job for dataset in answer["data"]["datasets"]["nodes"] for job in dataset["jobs"]["nodes"]]
        assert all(job["error"] is None for job in found), found
        return [job["status"] for job in found] == [status] * count

    return look


def codes(answer: dict[str, Any]) -> set[str]:
    return {error["extensions"]["code"] for error in answer.get("errors", ())}


async def test_jobs_go_on_however_often_postgres_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with housed(tmp_path) as house:
        for number in range(6):
            await house.create(f"d{number}", 40)
        for number in range(12):
            await house.kill()
            if number % 3:  # else the next kill meets it in the middle of everything
                await wait_until(ready(house))
            if number < 6:
                async with asyncio.timeout(TIMEOUT):
                    await _surely(house, f"late{number}")
        await wait_until(jobs_are(house, "SUCCEEDED", 12))
        await wait_until(ready(house))
    assert "internal error" not in caplog.text
    assert "reference" not in caplog.text


async def test_a_job_that_kills_postgres_each_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "LONGEST_RETRY", worker.RETRY)
    async with housed(tmp_path) as house:
        begun, run = 0, sync.run

        async def kills(database: Database, job: Claim, *arguments: Any) -> None:
            nonlocal begun
            if job.dataset_id != fatal:
                await run(database, job, *arguments)
                return
            begun += 1
            async with database.reading() as connection:
                await asyncio.gather(connection.execute("SELECT pg_sleep(3600)"), house.kill())

        monkeypatch.setattr(sync, "run", kills)
        monkeypatch.setattr(queue, "MAX_CLAIMS", 6)
        pets = await house.create("pets", 0, sync=False)
        fatal = int(pets.partition(":")[2])
        started = await house.client.execute(SYNC, {"id": pets})
        job = started["syncDataset"]["job"]["id"]

        async def given_up() -> bool:
            answer = (await house.client.post(JOB, {"id": job})).json()
            if not answer.get("data"):
                assert codes(answer) == {"UNAVAILABLE"}
                return False
            return bool(answer["data"]["node"]["status"] == "FAILED")

        await wait_until(given_up)
        assert begun == 6
        await _surely(house, "others")


async def _surely(house: House, name: str) -> None:
    """As a client does: again with the same key, until it is answered."""
    while True:
        try:
            await house.create(name, 5)
        except Failed as failed:
            if set(failed.codes) != {"UNAVAILABLE"}:
                raise
            await asyncio.sleep(0.1)
        else:
            return


@pytest.mark.parametrize(
    "error", [asyncpg.InternalClientError("got result for unknown protocol state 3"), ZeroDivisionError()]
)
async def test_a_worker_that_fails_in_any_way_begins_anew(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    attempts, claim = 0, jobs.claim

    async def fails_twice(database: Database, worker: int) -> Claim | None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise error
        return await claim(database, worker)

    monkeypatch.setattr(jobs, "claim", fails_twice)
    monkeypatch.setattr(worker, "RETRY", 0.01)
    stop, pulse = asyncio.Event(), worker.Pulse(last=float("-inf"))
    working = asyncio.create_task(
        worker.run(database, Settings(data_dir=tmp_path, database_url=database.url), stop=stop, pulse=pulse)
    )
    await wait_until(lambda: pulse.is_alive)
    stop.set()
    await working
    assert attempts >= 3
    assert caplog.text.count("begins anew") == 2


async def test_readyz_says_that_the_worker_does_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SILENCE", 3.0)
    async with housed(tmp_path) as house:
        await wait_until(ready(house))
        await _do(house.database, "ALTER TABLE job RENAME COLUMN due_at TO elsewhere")

        async def says_worker() -> bool:
            response = await house.client.request("GET", "/readyz")
            return response.status_code == 503 and response.json()["reason"] == "worker"

        await wait_until(says_worker)
        await _do(house.database, "ALTER TABLE job RENAME COLUMN elsewhere TO due_at")
        await wait_until(ready(house))
        await house.create("pets", 3)
        await wait_until(jobs_are(house, "SUCCEEDED", 1))


async def test_a_postgres_that_stands_still_is_told_as_such_at_every_door(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    timeouts = Timeouts(query=2.0, mutation=3.0, connect=1.0)
    async with housed(tmp_path, timeouts=timeouts) as house:
        pets = await house.create("pets", 0, sync=False)
        await house.client.execute(LABELS, {"id": pets})
        with house.stopped():
            asked = await asyncio.gather(*(asks(house, pets, f"n{n}") for n in range(3)))
        for answers in asked:
            for response in answers:
                assert response.status_code == 503, response.text
                assert response.headers["retry-after"]
                assert codes(response.json()) == {"UNAVAILABLE"}
        await wait_until(ready(house))
        for n in range(3):
            await label(house.client, pets, f"n{n}")
        found = await house.client.execute(LABELS, {"id": pets})
        assert [each["name"] for each in found["dataset"]["labels"]] == ["n0", "n1", "n2"]
    assert "internal error" not in caplog.text


@contextmanager
def absent(house: House) -> Iterator[None]:
    """Postgres is dead, and nobody starts it again meanwhile."""
    postmaster = house.postmaster
    keeper = int(Path("/proc", str(postmaster), "stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(keeper, signal.SIGSTOP)
    os.kill(postmaster, signal.SIGKILL)
    try:
        yield
    finally:
        os.kill(keeper, signal.SIGCONT)


@pytest.mark.parametrize("outage", [House.stopped, absent], ids=["stopped", "refused"])
async def test_doors_that_are_no_queries_are_unavailable_too_and_subscriptions_resume(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, outage: Callable[[House], AbstractContextManager[None]]
) -> None:
    timeouts = Timeouts(query=2.0, mutation=3.0, connect=1.0)
    async with housed(tmp_path, timeouts=timeouts) as house:
        pets = await house.create("pets", 1)
        await wait_until(jobs_are(house, "SUCCEEDED", 1))
        shown = await house.client.execute(SHOWN, {"id": pets})
        [sample] = shown["dataset"]["samples"]["nodes"]
        urls = [sample["imageUrl"], sample["thumbnailUrl"]]
        data = image_bytes()
        files = [{"key": "k", "fileName": "new.png", "size": len(data)}]
        asked = await house.client.execute(REQUEST, {"input": {"datasetId": pets, "files": files}})
        [ticket] = asked["requestUploads"]["uploads"]
        async with following(house, pets) as changes:
            await label(house.client, pets, "before")
            assert await anext(changes) == "Created `before`"
            with outage(house):
                told = await asyncio.gather(
                    *(house.client.request("GET", url) for url in urls),
                    house.client.request("PUT", ticket["url"], content=data),
                )
                stream = await house.client.post(FOLLOW, {"id": pets}, headers={"accept": "text/event-stream"})
                code, command = await asyncio.gather(
                    closing_code(house.client.url), command_line(house, "token", "list")
                )
            assert [(response.status_code, response.headers["retry-after"]) for response in told] == [(503, "2")] * 3
            assert "UNAVAILABLE" in stream.text  # by 503, or as the only event: its token may be known still
            assert code == 1013
            assert command[0] == 1
            assert "cannot be used" in command[1]
            assert "Traceback" not in command[1]
            await wait_until(ready(house))
            await label(house.client, pets, "after")
            assert await anext(changes) == "Created `after`"
        for url in urls:
            assert (await house.client.request("GET", url)).status_code == 200
        assert (await house.client.request("PUT", ticket["url"], content=data)).status_code == 200
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


@asynccontextmanager
async def following(house: House, dataset: str) -> AsyncIterator[AsyncIterator[str]]:
    """The summaries of the dataset's changes, from an open socket."""
    async with greeted(house.client.url, house.client.token) as socket:
        payload = {"query": FOLLOW, "variables": {"id": dataset}}
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))

        async def summaries() -> AsyncIterator[str]:
            async for text in socket:
                message = json.loads(text)
                assert message["type"] == "next", message
                assert "errors" not in message["payload"], message
                yield message["payload"]["data"]["datasetChanges"]["summary"]

        yield summaries()


@asynccontextmanager
async def greeted(url: str, token: str | None) -> AsyncIterator[ClientConnection]:
    address = url.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "connection_init", "payload": {"token": token}}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        yield socket


async def closing_code(url: str) -> int:
    """With which a socket is closed whose token nobody knows yet."""
    with pytest.raises(ConnectionClosed) as closed:
        async with greeted(url, "lg_" + "a" * 43):
            pass
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def command_line(house: House, *arguments: str) -> tuple[int | None, str]:
    """How a command ends, and what it says."""
    environment = os.environ | {"DATABASE_URL": house.database.url, "LABELGRAPH_TIMEOUT_CONNECT": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api", *arguments), cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_every_door_survives_a_killed_postgres_and_calls_it_unavailable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with housed(tmp_path) as house:
        pets, made, stop = await house.create("pets", 0, sync=False), [], asyncio.Event()

        async def script(who: int) -> None:
            number = 0
            while not stop.is_set():
                name = f"s{who}-{number}"
                [answer, *_] = await asks(house, pets, name)
                assert codes(answer.json()) <= {"UNAVAILABLE"}, answer.text
                if not codes(answer.json()):
                    made.append(name)
                    number += 1

        scripts = [asyncio.create_task(script(who)) for who in range(4)]
        for _ in range(4):
            enough = len(made) + 3
            await wait_until(partial(_has, made, enough))
            await house.kill()
        stop.set()
        await asyncio.gather(*scripts)
        found = await house.client.execute(LABELS, {"id": pets})
        names = [each["name"] for each in found["dataset"]["labels"]]
        assert sorted(names) == sorted(set(names))
        assert set(made) <= set(names)
    assert "internal error" not in caplog.text


def _has(made: list[str], enough: int) -> bool:
    return len(made) > enough


async def asks(house: House, dataset: str, name: str) -> list[httpx2.Response]:
    """A keyed mutation, a query and an upload, beside one another."""
    preflight = {"graphql-require-preflight": "true", "idempotency-key": f"upload-{name}"}
    operations = {"query": UPLOAD, "variables": {"id": dataset, "file": None}}
    form = {"operations": json.dumps(operations), "map": '{"0": ["variables.file"]}'}
    uploading = house.client.request(data=form, files=[("0", (f"{name}.png", image_bytes()))], headers=preflight)
    return list(await asyncio.gather(_label(house.client, dataset, name), house.client.post(JOBS), uploading))


async def _label(client: Client, dataset: str, name: str) -> httpx2.Response:
    return await client.post(LABEL, {"id": dataset, "name": name}, headers={"idempotency-key": f"label-{name}"})


async def label(client: Client, dataset: str, name: str) -> None:
    answer = (await _label(client, dataset, name)).json()
    assert answer == {"data": {"createLabels": {"labels": [{"name": name}]}}}


async def test_a_socket_is_closed_for_a_while_when_its_token_cannot_be_looked_up(tmp_path: Path) -> None:
    timeouts = Timeouts(connect=0.5)
    settings = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        data_dir=tmp_path,
        secret="known",
        worker=False,
        timeouts=timeouts,
    )
    async with serving(settings) as url:
        assert await closing_code(url) == 1013


@pytest.mark.parametrize("state", ["53100", "53200", "53300", "57P03", "58030"])
async def test_a_database_without_room_is_unavailable_and_no_defect(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    settings = Settings(database_url=database.url, data_dir=tmp_path, allowed_roots=(tmp_path,), worker=False)
    async with serving(settings) as url:
        client = Client(url, await token(database), TIMEOUT)
        values = {"name": "pets", "path": str(tmp_path), "sync": False}
        pets = (await client.execute(CREATE, values))["createDataset"]["dataset"]["id"]
        await _do(
            database,
            f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '{state}'; END $$""",
        )
        await _do(database, "CREATE TRIGGER refuse BEFORE INSERT ON label FOR EACH ROW EXECUTE FUNCTION refuse()")
        response = await _label(client, pets, "cat")
        assert (response.status_code, codes(response.json())) == (503, {"UNAVAILABLE"})
        await _do(database, "DROP TRIGGER refuse ON label")
        await label(client, pets, "cat")
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


async def test_a_database_that_takes_no_writes_is_unavailable(database: Database, tmp_path: Path) -> None:
    settings = Settings(
        database_url=database.url, data_dir=tmp_path, allowed_roots=(tmp_path,), worker=False, secret="known"
    )
    text = await token(database)
    name = database.url.partition("?")[0].rpartition("/")[2]
    await _do(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with serving(settings) as url:
        client = Client(url, text, TIMEOUT)
        assert (await client.execute("{ datasets { totalCount } }")) == {"datasets": {"totalCount": 0}}
        values = {"name": "pets", "path": str(tmp_path), "sync": False}
        response = await client.post(CREATE, values, headers={"idempotency-key": "k"})
        assert (response.status_code, codes(response.json())) == (503, {"UNAVAILABLE"})


async def test_connections_that_were_cut_are_replaced_before_anybody_notices(
    database: Database, tmp_path: Path
) -> None:
    settings = Settings(database_url=database.url, data_dir=tmp_path, allowed_roots=(tmp_path,), worker=False)
    async with serving(settings) as url:
        client = Client(url, await token(database), TIMEOUT)
        values = {"name": "pets", "path": str(tmp_path), "sync": False}
        pets = (await client.execute(CREATE, values))["createDataset"]["dataset"]["id"]
        for number in range(3):
            await _do(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            assert await client.execute(LABELS, {"id": pets})
            await label(client, pets, f"cat{number}")


async def _do(database: Database, statement: str) -> None:
    connection = await asyncpg.connect(driver_url(database.url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
