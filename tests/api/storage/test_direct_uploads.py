"""Uploads that go straight to a store at the end of a bad road: every step repeated until it is done, and done once."""

from contextlib import suppress

import httpx2

from tests.api.direct import Script, wanted
from tests.api.storage.stormy import SEEDS, Stormy
from tests.chaos import calm, storm
from tests.db.world import picture

ROUNDS = 12


@SEEDS
async def test_a_script_that_repeats_itself_in_a_storm_uploads_each_file_once(place: Stormy, seed: int) -> None:
    script = Script("s3", place.client, place.store, place.settings, place.database, place.dataset)
    files = {f"{number}.png": picture() for number in range(24)}
    place.road.schedule = storm(seed, share=0.25)
    done: dict[str, str] = {}
    for number in range(ROUNDS):
        if number == ROUNDS - 2:
            place.road.schedule = calm
        left = {name: data for name, data in files.items() if name not in done}
        for ticket in await script.request(*(wanted(name, data) for name, data in left.items())) if left else ():
            assert ticket["error"] is None
            if ticket["url"] is not None:
                with suppress(httpx2.TransportError):
                    await script.put(ticket, left[ticket["key"]])
        results = (await script.complete(*left))["results"] if left else []
        told = {result["key"]: result["sample"]["id"] for result in results if result["sample"]}
        assert not told.keys() & done.keys()
        done |= told
    assert done.keys() == files.keys()
    job = await place.sync()
    assert (job["status"], job["added"], job["removed"]) == ("SUCCEEDED", 0, 0)
    assert {path: sample["id"] for path, sample in (await place.samples()).items()} == done
    assert await script.listed() == sorted(files)
    for name, data in files.items():
        assert await place.store.read(name) == data
