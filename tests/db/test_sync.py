"""Sync as its users meet it: what a merge of a directory does to a working set. Each test runs against every store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.engine import Database
from tests.db import world
from tests.db.world import World, picture


@pytest.fixture(params=["local", "memory"])
async def place(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> AsyncIterator[World]:
    yield await (world.local(database, tmp_path) if request.param == "local" else world.memory(database))


async def test_first_sync_makes_samples_with_facts_and_labels(place: World) -> None:
    place.put("a/1.JPG", picture(form="JPEG", size=(30, 20)))
    place.put("a/1.txt", "cat\ndog\n")
    place.put("2.png")
    place.put("notes.md", "not an image")
    job = await place.sync()
    assert await place.labels() == {"a/1.JPG": ["cat", "dog"], "2.png": []}
    sample = await place.sample("a/1.JPG")
    assert (sample["width"], sample["height"], sample["format"], sample["orientation"]) == (30, 20, "JPEG", 1)
    assert (sample["state"], sample["labeled_by"], sample["labeled_origin"]) == ("LABELED", "sync", "SYNC")
    assert await place.counts(job["id"]) == {
        "scanned": 4, "ignored": 1, "added": 2, "updated": 0, "removed": 0, "moved": 0, "skipped": 0,
    }  # fmt: skip
    assert (job["status"], job["progress"]) == ("SUCCEEDED", 1.0)
