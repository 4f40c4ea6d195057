"""Postgres killed or stopped under a server: every request is answered, and all of them work again afterwards."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from api.settings import Settings, Timeouts
from tests.api.database_lost.embedded_server import (
    JOBS,
    LABELS,
    EmbeddedServer,
    all_jobs_are,
    codes,
    create_label,
    embedded_server,
    is_ready,
    request_label,
)
from tests.client import NO_DATABASE, serving
from tests.conftest import ROOT
from tests.db.dataset_fixture import image_bytes
from tests.waiting import wait_until

SHOWN = "query ($id: ID!) { dataset(by: {id: $id}) { samples { nodes { imageUrl thumbnailUrl } } } }"
REQUEST = "mutation ($input: RequestUploadsInput!) { requestUploads(input: $input) { results { url } } }"
FOLLOW = "subscription ($id: ID!) { datasetChanges(datasetId: $id) { summary } }"
UPLOAD = """mutation ($id: ID!, $file: Upload!) {
    uploadSamples(input: {datasetId: $id, files: [$file]}) { results { sample { path } error { code } } } }"""


async def test_while_postgres_is_stopped_every_request_is_unavailable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    timeouts = Timeouts(query=2.0, mutation=3.0, connect=1.0)
    async with embedded_server(tmp_path, timeouts=timeouts) as server:
        pets = await server.create("pets", 0, sync=False)
        await server.client.execute(LABELS, {"id": pets})
        with server.stopped():
            responses = await asyncio.gather(*(send_requests(server, pets, f"n{n}") for n in range(3)))
        for answers in responses:
            for response in answers:
                assert response.status_code == 503, response.text
                assert response.headers["retry-after"]
                assert codes(response.json()) == {"UNAVAILABLE"}
        await wait_until(is_ready(server))
        for n in range(3):
            await create_label(server.client, pets, f"n{n}")
        found = await server.client.execute(LABELS, {"id": pets})
        assert [each["name"] for each in found["dataset"]["labels"]] == ["n0", "n1", "n2"]
    assert "internal error" not in caplog.text


@contextmanager
def postgres_killed(server: EmbeddedServer) -> Iterator[None]:
    """Postgres is dead, and nobody starts it again yet."""
    postmaster = server.postmaster
    supervisor_pid = int(Path("/proc", str(postmaster), "stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(supervisor_pid, signal.SIGSTOP)
    os.kill(postmaster, signal.SIGKILL)
    try:
        yield
    finally:
        os.kill(supervisor_pid, signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.parametrize("outage", [EmbeddedServer.stopped, postgres_killed], ids=["stopped", "refused"])
async def test_files_sockets_and_commands_are_unavailable_too_and_subscriptions_resume(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, outage: Callable[[EmbeddedServer], AbstractContextManager[None]]
) -> None:
    timeouts = Timeouts(query=2.0, mutation=3.0, connect=1.0)
    async with embedded_server(tmp_path, timeouts=timeouts) as server:
        pets = await server.create("pets", 1)
        await wait_until(all_jobs_are(server, "SUCCEEDED", 1))
        shown = await server.client.execute(SHOWN, {"id": pets})
        [sample] = shown["dataset"]["samples"]["nodes"]
        urls = [sample["imageUrl"], sample["thumbnailUrl"]]
        data = image_bytes()
        files = [{"key": "k", "fileName": "new.png", "size": len(data)}]
        requested = await server.client.execute(REQUEST, {"input": {"datasetId": pets, "files": files}})
        [upload] = requested["requestUploads"]["results"]
        async with following_changes(server, pets) as changes:
            await create_label(server.client, pets, "before")
            assert await anext(changes) == "Created `before`"
            with outage(server):
                responses = await asyncio.gather(
                    *(server.client.request("GET", url) for url in urls),
                    server.client.request("PUT", upload["url"], content=data),
                )
                stream = await server.client.post(FOLLOW, {"id": pets}, headers={"accept": "text/event-stream"})
                code, command = await asyncio.gather(
                    closing_code(server.client.url), command_line(server, "token", "list")
                )
            assert [(response.status_code, response.headers["retry-after"]) for response in responses] == [
                (503, "2")
            ] * 3
            assert "UNAVAILABLE" in stream.text  # by 503, or as the only event: its token may be known still
            assert code == 1013
            assert command[0] == 1
            assert "cannot be used" in command[1]
            assert "Traceback" not in command[1]
            await wait_until(is_ready(server))
            await create_label(server.client, pets, "after")
            assert await anext(changes) == "Created `after`"
        for url in urls:
            assert (await server.client.request("GET", url)).status_code == 200
        assert (await server.client.request("PUT", upload["url"], content=data)).status_code == 200
    assert [record for record in caplog.records if record.levelno > logging.WARNING] == []


@asynccontextmanager
async def following_changes(server: EmbeddedServer, dataset: str) -> AsyncIterator[AsyncIterator[str]]:
    """The summaries of the dataset's changes, from an open socket."""
    async with authenticated_socket(server.client.url, server.client.token) as socket:
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
async def authenticated_socket(url: str, token: str | None) -> AsyncIterator[ClientConnection]:
    address = url.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "connection_init", "payload": {"token": token}}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        yield socket


async def closing_code(url: str) -> int:
    """With which a socket is closed whose token nobody knows yet."""
    with pytest.raises(ConnectionClosed) as closed:
        async with authenticated_socket(url, "lg_" + "a" * 43):
            pass
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def command_line(server: EmbeddedServer, *arguments: str) -> tuple[int | None, str]:
    """How a command ends, and what it says."""
    environment = os.environ | {"DATABASE_URL": server.database.url, "LABELGRAPH_TIMEOUT_CONNECT": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api", *arguments), cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.slow
async def test_every_request_survives_a_killed_postgres_or_is_unavailable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with embedded_server(tmp_path) as server:
        pets, created, stop = await server.create("pets", 0, sync=False), [], asyncio.Event()

        async def script(who: int) -> None:
            number = 0
            while not stop.is_set():
                name = f"s{who}-{number}"
                [answer, *_] = await send_requests(server, pets, name)
                assert codes(answer.json()) <= {"UNAVAILABLE"}, answer.text
                if not codes(answer.json()):
                    created.append(name)
                    number += 1

        scripts = [asyncio.create_task(script(who)) for who in range(4)]
        for _ in range(4):
            enough = len(created) + 3
            await wait_until(partial(has_enough, created, enough))
            await server.kill()
        stop.set()
        await asyncio.gather(*scripts)
        found = await server.client.execute(LABELS, {"id": pets})
        names = [each["name"] for each in found["dataset"]["labels"]]
        assert sorted(names) == sorted(set(names))
        assert set(created) <= set(names)
    assert "internal error" not in caplog.text


def has_enough(created: list[str], enough: int) -> bool:
    return len(created) > enough


async def send_requests(server: EmbeddedServer, dataset: str, name: str) -> list[httpx2.Response]:
    """A keyed mutation, a query and an upload at once."""
    preflight = {"graphql-require-preflight": "true", "idempotency-key": f"upload-{name}"}
    operations = {"query": UPLOAD, "variables": {"id": dataset, "file": None}}
    form = {"operations": json.dumps(operations), "map": '{"0": ["variables.file"]}'}
    uploading = server.client.request(data=form, files=[("0", (f"{name}.png", image_bytes()))], headers=preflight)
    return list(await asyncio.gather(request_label(server.client, dataset, name), server.client.post(JOBS), uploading))


async def test_a_socket_is_closed_for_a_while_when_its_token_cannot_be_looked_up(tmp_path: Path) -> None:
    settings = Settings(
        database_url=NO_DATABASE, data_dir=tmp_path, secret="known", worker=False, timeouts=Timeouts(connect=0.5)
    )
    async with serving(settings) as url:
        assert await closing_code(url) == 1013
