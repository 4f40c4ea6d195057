"""Scripts that put files into storage themselves, while it fails: they repeat everything until all is done."""

import asyncio
from typing import Any

import httpx2
import pytest

from db.ingest.uploads.files import STAGING
from tests.api.staged_uploads import COMPLETE, REQUEST, StagedUploads
from tests.api.storage.test_killed import kill_midway, server, silent_at
from tests.api.storage.test_outage import FEW
from tests.api.storage.unreliable import SEEDS, UnreliableStorage
from tests.db.dataset_fixture import image_bytes
from tests.fault_proxy import Fault, always, no_faults, random_faults
from tests.waiting import TIMEOUT


def script(remote: UnreliableStorage) -> StagedUploads:
    return StagedUploads(
        "s3",
        remote.client,
        remote.store,
        remote.settings,
        remote.database,
        remote.dataset,
    )


async def put(upload: dict[str, Any], data: bytes) -> None:
    """Once; whether it came about is not known."""
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
            await http.put(upload["url"], content=data)
    except httpx2.TransportError:
        return


async def once(remote: UnreliableStorage, files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """All three steps, as far as they go; the samples, by key."""
    upload_input = [{"key": key, "fileName": f"{int(key) % 8}.png", "size": len(data)} for key, data in files.items()]
    asked = await script(remote).answer(
        REQUEST, files=upload_input, onConflict="RENAME", labels=["x"], createMissing=True
    )
    requested = asked["data"]["requestUploads"]["results"]
    assert [upload["error"] for upload in requested] == [None] * len(requested)
    await asyncio.gather(*(put(upload, files[upload["key"]]) for upload in requested if upload["url"]))
    done = await script(remote).answer(COMPLETE, keys=list(files))
    results = done["data"]["completeUploads"]["results"]
    assert {one["error"]["code"] for one in results if one["error"]} <= {"STORAGE_ERROR", "NOT_FOUND"}
    return {one["key"]: one["sample"] for one in results if one["sample"]}


@SEEDS
async def test_a_script_under_faults_ends_as_without_them(remote: UnreliableStorage, seed: int) -> None:
    await remote.fill({f"{number}.png": b"a stranger's" for number in range(3)})
    files = {str(number): image_bytes() for number in range(16)}
    remote.proxy.schedule = random_faults(seed, share=0.25)
    done: dict[str, dict[str, Any]] = {}
    for attempt in range(8):
        remote.proxy.schedule = remote.proxy.schedule if attempt < 6 else no_faults
        found = await once(remote, files)
        assert {key: sample["id"] for key, sample in done.items()}.items() <= {
            key: sample["id"] for key, sample in found.items()
        }.items()
        done = found
        if attempt == 2:
            await remote.sync()
    assert done.keys() == files.keys()
    assert (await remote.sync())["addedCount"] == 0, "a repetition left a second object"
    samples = await remote.samples()
    assert {sample["id"] for sample in done.values()} == {sample["id"] for sample in samples.values()}
    assert {tuple(names) for names in (await remote.labels()).values()} == {("x",)}
    for key, sample in done.items():
        assert await remote.store.read(sample["path"]) == files[key]
    objects = [path for path in await remote.objects() if not path.startswith(STAGING)]
    assert len(objects) == len(files) + 3
    await remote.holds()


@pytest.mark.slow
@pytest.mark.parametrize("synced", [False, True], ids=["at once", "after a sync"])
async def test_a_killed_completion_is_done_by_the_next(remote: UnreliableStorage, synced: bool) -> None:
    """All files are at their places, and no row is written."""
    files = dict(zip("0123", (image_bytes() for _ in range(4)), strict=True))
    names = [f"{number}.png" for number in files]
    requested = await script(remote).request(
        *({"key": key, "fileName": f"{key}.png", "size": len(data)} for key, data in files.items())
    )
    await asyncio.gather(*(put(upload, files[upload["key"]]) for upload in requested))

    async def is_midway() -> bool:
        return set(names) <= (await remote.objects()).keys()

    async with server(remote) as (process, there):
        await kill_midway(remote, process, silent_at("3.png", "head", 2), script(there).complete(*files), is_midway)
    if synced:
        assert (await remote.sync())["addedCount"] == len(files)
    async with server(remote) as (_, there):
        results = (await script(there).complete(*files))["results"]
        assert (await script(there).complete(*files))["results"] == results
    assert [result["sample"]["path"] for result in results] == names
    assert sorted(await remote.objects()) == names
    assert (await remote.sync())["addedCount"] == 0
    assert sorted(await remote.samples()) == names
    await remote.holds()


@pytest.mark.slow
async def test_storage_that_is_away_is_reported_soon(remote: UnreliableStorage) -> None:
    files = {str(number): image_bytes() for number in range(100)}
    for fault in (Fault.CUT_BEFORE, Fault.LOST_REQUEST):
        remote.proxy.schedule = always(fault)
        before = sum(remote.proxy.fault_counts.values())
        assert await once(remote, files) == {}
        assert sum(remote.proxy.fault_counts.values()) - before < len(files) + FEW, (
            "the script's own, and few of the server's"
        )
    remote.proxy.schedule = no_faults
    assert (await once(remote, files)).keys() == files.keys()
    await remote.holds()
