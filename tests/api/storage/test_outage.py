"""Storage that is away altogether: everybody is told, soon; nothing is removed; and afterwards all goes on."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from tests.api.storage.stormy import Stormy, images
from tests.api.storage.test_uploads import sent
from tests.api.test_worker import until
from tests.chaos import Fate, Passing, Schedule, always, calm
from tests.client import serving
from tests.db.world import picture

CANCEL = "mutation ($input: CancelJobInput!) { cancelJob(input: $input) { job { id } } }"
URLS = """query ($id: ID!) { node(id: $id) { ... on Dataset { samples { nodes { imageUrl thumbnailUrl } } } } }"""
LONG = 30.0  # seconds; what is promised is that few wait, which is counted: a machine may be slow
FEW = 130  # requests: of as many at once as there are slots, and those who came before all of them had failed


async def timed(work: Awaitable[Any]) -> tuple[Any, float]:
    began = time.monotonic()
    return await work, time.monotonic() - began


def reading(fate: Fate) -> Schedule:
    """The listing works, and no object can be read."""

    def decide(passing: Passing) -> Fate:
        return fate if passing.operation == "get" else Fate.PASS

    return decide


OUTAGES: dict[str, Schedule] = {
    "connections are cut": always(Fate.CUT_BEFORE),
    "nothing is answered": always(Fate.DEAF),
    "SlowDown for ever": always(Fate.SLOW_DOWN),
    "objects cannot be read": reading(Fate.DEAF),
}


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES.keys())
async def test_a_sync_fails_soon_with_a_sentence_and_the_next_one_recovers(place: Stormy, outage: Schedule) -> None:
    await place.fill(images("a/", 20))
    await place.sync()
    before = await place.samples()
    revision = await place.revision()
    await place.store.delete("a/0.png")
    await place.fill(images("b/", 40))
    place.road.schedule = outage
    job, seconds = await timed(place.sync())
    assert seconds < LONG
    assert sum(place.road.met.values()) - place.road.met[Fate.PASS] < FEW
    assert (job["status"], job["error"]["code"]) == ("FAILED", "STORAGE_ERROR")
    for secret in (place.road.endpoint, place.store.bucket, "planted-secret", "Traceback", "test"):
        assert secret not in job["error"]["message"]
    assert (await place.samples(), await place.revision()) == (before, revision)
    place.road.schedule = calm
    job = await place.sync()
    assert (job["status"], job["added"], job["removed"]) == ("SUCCEEDED", 40, 1)
    await place.holds()


async def test_a_sync_of_a_store_that_never_answers_is_canceled_at_once(place: Stormy) -> None:
    await place.fill(images("a/", 45))
    place.road.schedule = reading(Fate.DEAF)
    query = "mutation ($id: ID!) { syncDataset(input: {datasetId: $id}) { job { id } } }"
    job = (await place.client.execute(query, place.me))["syncDataset"]["job"]["id"]

    async def waits() -> bool:
        return place.road.met[Fate.DEAF] > 0

    await until(waits)
    await place.client.execute(CANCEL, {"input": {"jobId": job}})
    ended, seconds = await timed(place.ended())
    assert ended["status"] == "CANCELED"
    assert seconds < 5


async def test_what_seems_to_have_vanished_is_not_asked_for_any_longer_than_the_sync(place: Stormy) -> None:
    """The listing lacks them, and the store does not answer whether they are there: nothing is removed."""
    await place.fill(images("a/", 45))
    await place.sync()
    before = await place.samples()
    for path in before:
        await place.store.delete(path)
    place.road.schedule = lambda passing: Fate.DEAF if passing.operation == "head" else Fate.PASS
    job, seconds = await timed(place.sync())
    assert (job["status"], job["error"]["code"], seconds < LONG) == ("FAILED", "STORAGE_ERROR", True)
    await asyncio.sleep(0.2)
    asked = place.road.met[Fate.DEAF]
    await asyncio.sleep(1.5)
    assert place.road.met[Fate.DEAF] == asked
    assert await place.samples() == before
    place.road.schedule = calm
    assert (await place.sync())["removed"] == 45


async def test_an_upload_to_a_store_that_never_answers_ends_in_time(place: Stormy) -> None:
    files = {f"{number}.png": picture() for number in range(90)}
    place.road.schedule = always(Fate.DEAF)
    before = await place.revision()
    results, seconds = await timed(sent(place, files))
    assert seconds < LONG
    assert place.road.met[Fate.DEAF] < FEW
    assert {result["error"]["code"] for result in results.values()} == {"STORAGE_ERROR"}
    assert await place.revision() == before
    assert await place.objects() == {}


async def test_a_deletion_in_a_store_that_never_answers_ends_in_time(place: Stormy) -> None:
    await place.fill(images("a/", 45))
    await place.sync()
    place.road.schedule = always(Fate.DEAF)
    query = """mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) {
        deleted deletedSources failedSources { path } } }"""
    values = {"datasetId": place.dataset, "select": {"all": True}, "deleteSources": True}
    told, seconds = await timed(place.client.execute(query, {"input": values}))
    assert seconds < LONG
    assert place.road.met[Fate.DEAF] < FEW
    assert (told["deleteSamples"]["deleted"], told["deleteSamples"]["deletedSources"]) == (45, 0)
    assert len(told["deleteSamples"]["failedSources"]) == 45
    await place.deletions_end()
    assert await place.objects() == {}


async def test_questions_are_answered_while_storage_is_silent(place: Stormy) -> None:
    await place.fill({"a.png": picture(size=(40, 30))})
    await place.sync()
    place.road.schedule = always(Fate.DEAF)
    upload = asyncio.create_task(sent(place, {f"{number}.png": picture() for number in range(20)}))
    await asyncio.sleep(0.1)
    told = await place.client.execute(URLS, place.me)
    await place.label(["a.png"], "cat")
    assert not upload.done()
    [sample] = told["node"]["samples"]["nodes"]
    async with httpx2.AsyncClient() as browser:
        thumbnail, seconds = await timed(browser.get(sample["thumbnailUrl"], timeout=LONG))
    assert (thumbnail.status_code, seconds < LONG) == (503, True)
    await upload


async def test_a_workers_end_does_not_wait_for_storage(place: Stormy) -> None:
    """Deletions that are being tried again are given up, and found by the next worker."""
    from tests.api.test_worker import working

    await place.fill(images("a/", 30))
    await place.sync()
    place.road.schedule = always(Fate.DEAF)
    values = {"datasetId": place.dataset, "select": {"all": True}, "deleteSources": True}
    query = "mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) { deleted } }"
    await place.client.execute(query, {"input": values})
    settings = replace(place.settings, s3=replace(place.settings.s3, read=30.0, deadline=60.0))
    began = time.monotonic()
    async with working(place.database, settings.data_dir, s3=settings.s3):
        await place.retry_at_once()
        await asyncio.sleep(3)
    assert time.monotonic() - began < 25
    await place.deletions_end()


async def test_an_image_comes_whole_or_is_seen_to_be_broken(place: Stormy) -> None:
    data = picture(size=(900, 900)) + bytes(400_000)
    await place.put("a.png", data)
    await place.sync()
    url = (await place.client.execute(URLS, place.me))["node"]["samples"]["nodes"][0]["imageUrl"]
    through_us = replace(place.settings, s3=replace(place.settings.s3, links=False), worker=False)
    async with serving(through_us) as other, httpx2.AsyncClient() as browser:
        url = url.replace(place.client.url, other)
        place.road.schedule = lambda passing: (
            Fate.CUT_WITHIN if passing.operation == "get" and passing.number % 3 else Fate.PASS
        )
        image = await browser.get(url, timeout=LONG)
        assert (image.status_code, image.content == data) == (200, True)
        assert place.road.met[Fate.CUT_WITHIN] > 0
        place.road.schedule = reading(Fate.DEAF)
        with pytest.raises(httpx2.HTTPError):
            await browser.get(url, timeout=LONG)
        place.road.schedule = always(Fate.CUT_BEFORE)
        assert (await browser.get(url, timeout=LONG)).status_code == 503
