"""Storage that is away altogether: everybody is told, soon; nothing is removed; and afterwards all goes on."""

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
    place: UnreliableStorage, outage: Schedule
) -> None:
    await place.fill(images("a/", 20))
    await place.sync()
    before = await place.samples()
    revision = await place.revision()
    await place.store.delete("a/0.png")
    await place.fill(images("b/", 40))
    place.proxy.schedule = outage
    job = await place.sync()
    assert sum(place.proxy.fault_counts.values()) - place.proxy.fault_counts[Fault.PASS] < FEW
    assert (job["status"], job["error"]["code"]) == ("FAILED", "STORAGE_ERROR")
    for secret in (place.proxy.endpoint, place.store.bucket, "planted-secret", "Traceback", "test"):
        assert secret not in job["error"]["message"]
    assert (await place.samples(), await place.revision()) == (before, revision)
    place.proxy.schedule = no_faults
    job = await place.sync()
    assert (job["status"], job["added"], job["removed"]) == ("SUCCEEDED", 40, 1)
    await place.holds()


async def test_a_sync_of_a_store_that_never_answers_is_canceled_at_once(place: UnreliableStorage) -> None:
    await place.fill(images("a/", 45))
    place.proxy.schedule = reading(Fault.LOST_REQUEST)
    place.proxy.timed_out.clear()
    query = "mutation ($id: ID!) { syncDataset(input: {datasetId: $id}) { job { id } } }"
    job = (await place.client.execute(query, place.me))["syncDataset"]["job"]["id"]
    await wait_until(lambda: place.proxy.fault_counts[Fault.LOST_REQUEST] > 0)
    await place.client.execute(CANCEL, {"input": {"jobId": job}})
    assert (await place.ended())["status"] == "CANCELED"


async def test_what_seems_to_have_vanished_is_not_asked_for_any_longer_than_the_sync(place: UnreliableStorage) -> None:
    """The listing lacks them, and the store does not answer whether they are there: nothing is removed."""
    await place.fill(images("a/", 45))
    await place.sync()
    before = await place.samples()
    for path in before:
        await place.store.delete(path)
    place.proxy.schedule = lambda request: Fault.LOST_REQUEST if request.operation == "head" else Fault.PASS
    job = await place.sync()
    assert (job["status"], job["error"]["code"]) == ("FAILED", "STORAGE_ERROR")
    assert [task for task in asyncio.all_tasks() if "S3" in str(task.get_coro())] == [], "somebody still asks"
    assert await place.samples() == before
    place.proxy.schedule = no_faults
    assert (await place.sync(removeMany=True))["removed"] == 45


async def test_an_upload_to_a_store_that_never_answers_ends_in_time(place: UnreliableStorage) -> None:
    files = {f"{number}.png": image_bytes() for number in range(90)}
    place.proxy.schedule = always(Fault.LOST_REQUEST)
    before = await place.revision()
    results = await sent(place, files)
    assert place.proxy.fault_counts[Fault.LOST_REQUEST] < FEW
    assert {result["error"]["code"] for result in results.values()} == {"STORAGE_ERROR"}
    assert await place.revision() == before
    assert await place.objects() == {}


async def test_a_deletion_in_a_store_that_never_answers_ends_in_time(place: UnreliableStorage) -> None:
    await place.fill(images("a/", 45))
    await place.sync()
    place.proxy.schedule = always(Fault.LOST_REQUEST)
    query = """mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) {
        deleted deletedSources failedSources { path } } }"""
    values = {"datasetId": place.dataset, "select": {"all": True}, "deleteSources": True}
    told = await place.client.execute(query, {"input": values})
    assert place.proxy.fault_counts[Fault.LOST_REQUEST] < FEW
    assert (told["deleteSamples"]["deleted"], told["deleteSamples"]["deletedSources"]) == (45, 0)
    assert len(told["deleteSamples"]["failedSources"]) == 45
    await place.deletions_end()
    assert await place.objects() == {}


async def test_questions_are_answered_while_storage_is_silent(place: UnreliableStorage) -> None:
    await place.fill({"a.png": image_bytes(size=(40, 30))})
    await place.sync()
    place.proxy.schedule = always(Fault.LOST_REQUEST)
    place.proxy.timed_out.clear()
    upload = asyncio.create_task(sent(place, {f"{number}.png": image_bytes() for number in range(20)}))
    await wait_until(lambda: place.proxy.fault_counts[Fault.LOST_REQUEST] > 0)
    told = await place.client.execute(URLS, place.me)
    await place.label(["a.png"], "cat")
    assert not upload.done()
    place.proxy.timed_out.set()
    [sample] = told["node"]["samples"]["nodes"]
    async with httpx2.AsyncClient(timeout=TIMEOUT) as browser:
        assert (await browser.get(sample["thumbnailUrl"])).status_code == 503
    await upload


async def test_a_workers_end_does_not_wait_for_storage(place: UnreliableStorage) -> None:
    """Deletions that are being tried again are given up, and found by the next worker."""
    from tests.api.test_worker import working

    await place.fill(images("a/", 30))
    await place.sync()
    place.proxy.schedule = always(Fault.LOST_REQUEST)
    values = {"datasetId": place.dataset, "select": {"all": True}, "deleteSources": True}
    query = "mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) { deleted } }"
    await place.client.execute(query, {"input": values})
    place.proxy.timed_out.clear()
    asked = place.proxy.fault_counts[Fault.LOST_REQUEST]
    async with working(place.database, place.settings.data_dir, s3=place.settings.s3):
        await place.retry_at_once()
        await wait_until(lambda: place.proxy.fault_counts[Fault.LOST_REQUEST] > asked)
    place.proxy.timed_out.set()
    await place.deletions_end()


async def test_an_image_comes_whole_or_is_seen_to_be_broken(place: UnreliableStorage) -> None:
    data = image_bytes(size=(900, 900)) + bytes(400_000)
    await place.put("a.png", data)
    await place.sync()
    url = (await place.client.execute(URLS, place.me))["node"]["samples"]["nodes"][0]["imageUrl"]
    through_us = place.settings.with_changes(s3=place.settings.s3.with_changes(links=False), worker=False)
    async with serving(through_us) as other, httpx2.AsyncClient(timeout=TIMEOUT) as browser:
        url = url.replace(place.client.url, other)
        place.proxy.schedule = lambda request: (
            Fault.CUT_WITHIN if request.operation == "get" and request.number % 3 else Fault.PASS
        )
        image = await browser.get(url)
        assert (image.status_code, image.content == data) == (200, True)
        assert place.proxy.fault_counts[Fault.CUT_WITHIN] > 0
        place.proxy.schedule = reading(Fault.LOST_REQUEST)
        assert (await browser.get(url)).status_code == 503
        place.proxy.schedule = always(Fault.CUT_BEFORE)
        assert (await browser.get(url)).status_code == 503
