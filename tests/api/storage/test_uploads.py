"""Uploads while storage fails: what was answered is so, and what was refused left no row; the next sync finds its
object, if there is one."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from tests.api.storage.unreliable import SEEDS, UnreliableStorage
from tests.api.uploads.upload_client import UploadClient
from tests.db.dataset_fixture import image_bytes
from tests.fault_proxy import Fault, Request, Schedule, no_faults, random_faults


def uploader(remote: UnreliableStorage) -> UploadClient:
    return UploadClient(remote.client, remote.store, remote.settings, remote.dataset)


def on(operation: str, fault: Fault) -> Schedule:
    return lambda request: fault if request.operation == operation else Fault.PASS


async def sent(remote: UnreliableStorage, files: dict[str, bytes], **more: Any) -> dict[str, Any]:
    """Results by the names that were sent; only whole files are uploaded here, so an error is one for each."""
    answer = await uploader(remote).answer(*files.items(), **more)
    if "errors" in answer:
        return {name: {"sample": None, "error": answer["errors"][0]["extensions"]} for name in files}
    results = answer["data"]["uploadSamples"]["results"]
    return dict(zip(files, results, strict=True))


@SEEDS
async def test_every_upload_with_storage_faults_is_taken_or_refused_and_its_repetition_takes_it(
    remote: UnreliableStorage, seed: int
) -> None:
    chance = random.Random(seed)
    await remote.fill({f"{number}.png": b"a stranger's" for number in range(3)})
    files = [(f"{number % 12}.png", image_bytes()) for number in range(24)]  # each name twice, each content once
    remote.proxy.schedule = random_faults(seed, share=0.25)
    taken: dict[bytes, dict[str, Any]] = {}
    left = files
    for attempt in range(12):
        remote.proxy.schedule = remote.proxy.schedule if attempt < 10 else no_faults
        chance.shuffle(left)
        for batch in _batches(left):
            before = await remote.revision()
            results = await sent(remote, batch, onConflict="RENAME")
            done = {name: result["sample"] for name, result in results.items() if result["sample"]}
            assert {result["error"]["code"] for result in results.values() if result["error"]} <= {"STORAGE_ERROR"}
            assert await remote.revision() - before == bool(done)
            taken |= {batch[name]: sample for name, sample in done.items()}
        left = [(name, data) for name, data in files if data not in taken]
    assert left == []
    assert (await remote.clean_sync())["addedCount"] == 0, "a repetition left a second object"
    samples = await remote.samples()
    assert {sample["id"]: sample["path"] for sample in taken.values()} == {
        sample["id"]: path for path, sample in samples.items()
    }
    for data, sample in taken.items():
        assert await remote.store.read(sample["path"]) == data
    assert len(await remote.objects()) == len(files) + 3
    await remote.holds()


def _batches(files: Sequence[tuple[str, bytes]]) -> list[dict[str, bytes]]:
    """Of at most five files, none of them twice of a name."""
    batches: list[dict[str, bytes]] = []
    for name, data in files:
        batch = next((batch for batch in batches if name not in batch and len(batch) < 5), None)
        if batch is None:
            batches.append(batch := {})
        batch[name] = data
    return batches


async def test_an_object_whose_answer_was_lost_is_reported_by_the_next_sync(remote: UnreliableStorage) -> None:
    remote.proxy.schedule = on("put", Fault.CUT_AFTER)
    before = await remote.revision()
    results = await sent(remote, {"cat.png": image_bytes()}, labels=[])
    assert results["cat.png"]["error"]["code"] in ("STORAGE_ERROR", "SAMPLE_ALREADY_EXISTS")
    assert await remote.revision() == before
    assert list(await remote.objects()) == ["cat.png"]
    remote.proxy.schedule = no_faults
    assert (await remote.sync())["addedCount"] == 1
    await remote.holds()


async def test_a_put_that_was_cut_once_is_done_once(remote: UnreliableStorage) -> None:
    """The client sends it again by itself, and meets its own object there."""
    data = image_bytes()
    for name, fault in (("a.png", Fault.CUT_AFTER), ("b.png", Fault.LOST_RESPONSE), ("c.png", Fault.CUT_WITHIN)):
        remote.proxy.schedule = _first_put(fault)
        results = await sent(remote, {name: data})
        assert results[name]["sample"]["path"] == name
    assert sorted(await remote.objects()) == ["a.png", "b.png", "c.png"]
    await remote.holds()


def _first_put(fault: Fault) -> Schedule:
    def decide(request: Request) -> Fault:
        return fault if (request.operation, request.number) == ("put", 1) else Fault.PASS

    return decide


async def test_our_own_object_that_cannot_be_read_is_not_taken_for_a_strangers(
    remote: UnreliableStorage,
) -> None:
    """Or its repetition would be stored again, under another name."""
    data = image_bytes()
    await remote.put("cat.png", data)  # left behind by an answer that was lost
    remote.proxy.schedule = on("get", Fault.SLOW_DOWN)
    results = await sent(remote, {"cat.png": data}, onConflict="RENAME")
    assert results["cat.png"]["error"]["code"] == "STORAGE_ERROR"
    remote.proxy.schedule = no_faults
    results = await sent(remote, {"cat.png": data}, onConflict="RENAME")
    assert results["cat.png"]["sample"]["path"] == "cat.png"
    assert list(await remote.objects()) == ["cat.png"]


async def test_one_key_with_storage_faults_is_one_upload(remote: UnreliableStorage) -> None:
    """A client that lost the server's answer repeats it while requests fail."""
    files = {f"{number}.png": image_bytes() for number in range(4)}
    remote.proxy.schedule = random_faults(5, share=0.3)
    answers = await asyncio.gather(*(sent(remote, files, key="once", onConflict="RENAME") for _ in range(3)))
    remote.proxy.schedule = no_faults
    last = await sent(remote, files, key="once", onConflict="RENAME")
    assert answers[-1] == last or any(answer == last for answer in answers)
    await remote.sync()
    assert len(await remote.samples()) == len(await remote.objects()) == len(files)
    await remote.holds()
