"""Storage that cannot be reached: every request says so, soon; nothing is removed; and afterwards all goes on."""

import asyncio

import httpx2
import pytest

from tests.api.storage.test_uploads import sent
from tests.api.storage.unreliable import UnreliableStorage, images
from tests.client import serving
from tests.db.dataset_fixture import image_bytes
from tests.fault_proxy import Fault, Request, Schedule, always, no_faults
from tests.waiting import TIMEOUT, wait_until

CANCEL = "mutation ($input: CancelJobInput!) { cancelJob(input: $input) { job { id } } }"
URLS = """query ($id: ID!) { node(id: $id) { ... on Dataset { samples { nodes { imageUrl thumbnailUrl } } } } }"""
# Requests that wait for a store that is away: as many at once as there are slots, and those who came before all of them
# had failed. This bounds how long anybody waits, each for as long as the settings say.
FEW = 130


def reading(fault: Fault) -> Schedule:
    """The listing works, and no object can be read."""

    def decide(request: Request) -> Fault:
        return fault if request.operation == "get" else Fault.PASS

    return decide


OUTAGES: dict[str, Schedule] = {
    "connections are cut": always(Fault.CUT_BEFORE),
    "nothing is answered": always(Fault.LOST_REQUEST),
    "SlowDown for ever": always(Fault.SLOW_DOWN),
    "objects cannot be read": reading(Fault.LOST_REQUEST),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES.keys())
async def test_a_sync_fails_soon_with_a_sentence_and_the_next_one_recovers(
    remote: UnreliableStorage, outage: Schedule
) -> None:
    await remote.fill(images("a/", 20))
    await remote.sync()
    before = await remote.samples()
    revision = await remote.revision()
    await remote.store.delete("a/0.png")
    await remote.fill(images("b/", 40))
    remote.proxy.schedule = outage
    job = await remote.sync()
    assert sum(remote.proxy.fault_counts.values()) - remote.proxy.fault_counts[Fault.PASS] < FEW
    assert (job["status"], job["error"]["code"]) == ("FAILED", "STORAGE_ERROR")
    for secret in (remote.proxy.endpoint, remote.store.bucket, "planted-secret", "Traceback", "test"):
        assert secret not in job["error"]["message"]
    assert (await remote.samples(), await remote.revision()) == (before, revision)
    remote.proxy.schedule = no_faults
    job = await remote.sync()
    assert (job["status"], job["addedCount"], job["removedCount"]) == ("SUCCEEDED", 40, 1)
    await remote.holds()


async def test_a_sync_of_a_store_that_never_answers_is_canceled_at_once(remote: UnreliableStorage) -> None:
    await remote.fill(images("a/", 45))
    remote.proxy.schedule = reading(Fault.LOST_REQUEST)
    remote.proxy.timed_out.clear()
    query = "mutation ($id: ID!) { syncDataset(input: {datasetId: $id}) { job { id } } }"
    job = (await remote.client.execute(query, remote.me))["syncDataset"]["job"]["id"]
    await wait_until(lambda: remote.proxy.fault_counts[Fault.LOST_REQUEST] > 0)
    await remote.client.execute(CANCEL, {"input": {"jobId": job}})
    assert (await remote.ended())["status"] == "CANCELED"


async def test_what_seems_to_have_vanished_is_not_asked_for_any_longer_than_the_sync(
    remote: UnreliableStorage,
) -> None:
    """The listing lacks them, and the store does not answer whether they are there: nothing is removed."""
    await remote.fill(images("a/", 45))
    await remote.sync()
    before = await remote.samples()
    for path in before:
        await remote.store.delete(path)
    remote.proxy.schedule = lambda request: Fault.LOST_REQUEST if request.operation == "head" else Fault.PASS
    job = await remote.sync()
    assert (job["status"], job["error"]["code"]) == ("FAILED", "STORAGE_ERROR")
    assert [task for task in asyncio.all_tasks() if "S3" in str(task.get_coro())] == [], "somebody still asks"
    assert await remote.samples() == before
    remote.proxy.schedule = no_faults
    assert (await remote.sync(removeMany=True))["removedCount"] == 45


async def test_an_upload_to_a_store_that_never_answers_ends_in_time(remote: UnreliableStorage) -> None:
    files = {f"{number}.png": image_bytes() for number in range(90)}
    remote.proxy.schedule = always(Fault.LOST_REQUEST)
    before = await remote.revision()
    results = await sent(remote, files)
    assert remote.proxy.fault_counts[Fault.LOST_REQUEST] < FEW
    assert {result["error"]["code"] for result in results.values()} == {"STORAGE_ERROR"}
    assert await remote.revision() == before
    assert await remote.objects() == {}


async def test_a_deletion_in_a_store_that_never_answers_ends_in_time(remote: UnreliableStorage) -> None:
    await remote.fill(images("a/", 45))
    await remote.sync()
    remote.proxy.schedule = always(Fault.LOST_REQUEST)
    query = """mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) {
        deletedSampleCount deletedSourceCount failedSources { path } } }"""
    values = {"datasetId": remote.dataset, "select": {"all": True}, "deleteSources": True}
    answer = await remote.client.execute(query, {"input": values})
    assert remote.proxy.fault_counts[Fault.LOST_REQUEST] < FEW
    assert (answer["deleteSamples"]["deletedSampleCount"], answer["deleteSamples"]["deletedSourceCount"]) == (45, 0)
    assert len(answer["deleteSamples"]["failedSources"]) == 45
    await remote.deletions_end()
    assert await remote.objects() == {}


async def test_questions_are_answered_while_storage_is_silent(remote: UnreliableStorage) -> None:
    await remote.fill({"a.png": image_bytes(size=(40, 30))})
    await remote.sync()
    remote.proxy.schedule = always(Fault.LOST_REQUEST)
    remote.proxy.timed_out.clear()
    upload = asyncio.create_task(sent(remote, {f"{number}.png": image_bytes() for number in range(20)}))
    await wait_until(lambda: remote.proxy.fault_counts[Fault.LOST_REQUEST] > 0)
    answer = await remote.client.execute(URLS, remote.me)
    await remote.label(["a.png"], "cat")
    assert not upload.done()
    remote.proxy.timed_out.set()
    [sample] = answer["node"]["samples"]["nodes"]
    async with httpx2.AsyncClient(timeout=TIMEOUT) as browser:
        assert (await browser.get(sample["thumbnailUrl"])).status_code == 503
    await upload


async def test_a_workers_end_does_not_wait_for_storage(remote: UnreliableStorage) -> None:
    """Deletions that are being tried again are given up, and found by the next worker."""
    from tests.api.test_worker import working

    await remote.fill(images("a/", 30))
    await remote.sync()
    remote.proxy.schedule = always(Fault.LOST_REQUEST)
    values = {"datasetId": remote.dataset, "select": {"all": True}, "deleteSources": True}
    query = "mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) { deletedSampleCount } }"
    await remote.client.execute(query, {"input": values})
    remote.proxy.timed_out.clear()
    asked = remote.proxy.fault_counts[Fault.LOST_REQUEST]
    async with working(remote.database, remote.settings.data_dir, s3=remote.settings.s3):
        await remote.retry_at_once()
        await wait_until(lambda: remote.proxy.fault_counts[Fault.LOST_REQUEST] > asked)
    remote.proxy.timed_out.set()
    await remote.deletions_end()


async def test_an_image_comes_whole_or_is_seen_to_be_broken(remote: UnreliableStorage) -> None:
    data = image_bytes(size=(900, 900)) + bytes(400_000)
    await remote.put("a.png", data)
    await remote.sync()
    url = (await remote.client.execute(URLS, remote.me))["node"]["samples"]["nodes"][0]["imageUrl"]
    through_us = remote.settings.with_changes(s3=remote.settings.s3.with_changes(links=False), worker=False)
    async with serving(through_us) as other, httpx2.AsyncClient(timeout=TIMEOUT) as browser:
        url = url.replace(remote.client.url, other)
        remote.proxy.schedule = lambda request: (
            Fault.CUT_WITHIN if request.operation == "get" and request.number % 3 else Fault.PASS
        )
        image = await browser.get(url)
        assert (image.status_code, image.content == data) == (200, True)
        assert remote.proxy.fault_counts[Fault.CUT_WITHIN] > 0
        remote.proxy.schedule = reading(Fault.LOST_REQUEST)
        assert (await browser.get(url)).status_code == 503
        remote.proxy.schedule = always(Fault.CUT_BEFORE)
        assert (await browser.get(url)).status_code == 503
