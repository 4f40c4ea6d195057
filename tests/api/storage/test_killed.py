"""A server that is killed in the middle of an upload, and the one that is started after it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx2
import pytest

from tests.api.storage.test_uploads import sent
from tests.api.storage.unreliable import UnreliableStorage
from tests.conftest import ROOT
from tests.db.dataset_fixture import image_bytes
from tests.fault_proxy import Fault, Request, Schedule, no_faults
from tests.s3 import free_port
from tests.waiting import TIMEOUT, TIMEOUT_VARIABLES, wait_until

NAMES = ["a.png", "b.png", "c.png", "d.png"]


@asynccontextmanager
async def server(
    remote: UnreliableStorage,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, UnreliableStorage]]:
    """`python -m api serve`, a process of its own; killed at the end if it still lives."""
    port, s3 = free_port(), remote.settings.s3
    environment = os.environ | {
        "DATABASE_URL": remote.database.url,
        "LABELGRAPH_DATA": str(remote.settings.data_dir),
        "LABELGRAPH_S3_ENDPOINT": s3.endpoint or "",
        "LABELGRAPH_S3_ACCESS_KEY": s3.access_key or "",
        "LABELGRAPH_S3_SECRET_KEY": s3.secret_key or "",
        "LABELGRAPH_S3_ADDRESSING": "path",
        "LABELGRAPH_S3_READ": str(TIMEOUT),
        "LABELGRAPH_S3_DEADLINE": str(TIMEOUT),
        **TIMEOUT_VARIABLES,
    }
    command = [sys.executable, "-m", "api", "serve", "--port", str(port), "--no-worker"]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE)
    there = replace(remote, client=replace(remote.client, url=f"http://127.0.0.1:{port}"))

    async def is_ready() -> bool:
        with suppress(httpx2.TransportError):
            return (await there.client.request("GET", "/readyz")).status_code == 200
        return False

    try:
        await wait_until(is_ready)
        yield process, there
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def kill_midway(
    remote: UnreliableStorage,
    process: asyncio.subprocess.Process,
    schedule: Schedule,
    request: Awaitable[object],
    is_midway: Callable[[], Awaitable[bool]],
) -> None:
    """Kill the server when the store has fallen silent in the middle of a request. No row is written by then."""
    before = await remote.revision()
    remote.proxy.schedule = schedule
    remote.proxy.timed_out.clear()
    pending = asyncio.ensure_future(request)

    async def is_silent() -> bool:
        return remote.proxy.fault_counts[Fault.LOST_RESPONSE] == 1 and await is_midway()

    await wait_until(is_silent)
    process.kill()
    with pytest.raises(httpx2.TransportError):
        await pending
    remote.proxy.schedule = no_faults
    assert (await remote.revision(), await remote.samples()) == (before, {})


def silent_at(name: str, operation: str, number: int) -> Schedule:
    """The store does it, and is not heard again."""
    failing = Request(operation, f"set/{name}", number)
    return lambda request: Fault.LOST_RESPONSE if request == failing else Fault.PASS


WRITTEN = ("d.png", "head", 2)  # all objects are written, and the last one is looked at
MIDWAY = ("b.png", "put", 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "key", "on_conflict", "synced"),
    [(WRITTEN, "once", "RENAME", True), (MIDWAY, "once", "RENAME", False), (MIDWAY, "", "ERROR", False)],
    ids=["keyed, after a sync", "keyed", "without a key"],
)
async def test_a_killed_upload_is_found_or_repeated_and_never_doubled(
    remote: UnreliableStorage, moment: tuple[str, str, int], key: str, on_conflict: str, synced: bool
) -> None:
    files = {name: image_bytes() for name in NAMES}

    async def is_midway() -> bool:
        return len(await remote.objects()) == len(files)

    async with server(remote) as (process, there):
        upload = sent(there, files, key=key, onConflict=on_conflict)
        await kill_midway(remote, process, silent_at(*moment), upload, is_midway)
    if synced:
        assert (await remote.sync())["addedCount"] == len(files)
    async with server(remote) as (_, there):
        results = await sent(there, files, key=key, onConflict=on_conflict)
        again = await sent(there, files, key=key, onConflict=on_conflict) if key else results
    assert again == results
    assert {result["sample"]["path"] for result in results.values()} == set(NAMES)
    assert await remote.objects() == {name: len(data) for name, data in files.items()}
    assert (await remote.sync())["addedCount"] == 0
    assert sorted(await remote.samples()) == NAMES
    await remote.holds()
