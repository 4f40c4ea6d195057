"""Uploads that are repeated, under the same key or not."""

import asyncio
import json
from typing import Any

import pytest

from db.errors import StorageError
from db.history import idempotency
from db.storage import LocalStore, StoredObject
from tests.api.uploads.upload_client import LOCAL_ONLY, UploadClient
from tests.db.dataset_fixture import image_bytes


async def test_what_a_crash_left_behind_is_taken_up_by_the_repetition(uploader: UploadClient) -> None:
    data = image_bytes()
    await uploader.store.write("cat.png", data)  # the object was written, and the rows were not
    assert await uploader.codes(("cat.png", data)) == [None]


async def test_the_same_request_is_carried_out_once(uploader: UploadClient) -> None:
    data = image_bytes()
    first = await uploader.answer(("cat.png", data), key="k1", onConflict="RENAME")
    assert await uploader.answer(("cat.png", data), key="k1", onConflict="RENAME") == first
    assert await uploader.listed() == ["cat.png"]
    other = await uploader.answer(("cat.png", image_bytes()), key="k1", onConflict="RENAME")
    assert other["errors"][0]["extensions"]["code"] == "CONFLICT"


async def test_of_two_with_one_key_the_slower_knows_the_quicker_ones_file(
    uploader: UploadClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever noted a name first may be the last to write under it, when the other has made a sample of it."""
    noted, done, note = asyncio.Event(), asyncio.Event(), idempotency.note

    async def slowly(*arguments: Any) -> bool:
        is_first = not noted.is_set()
        again = await note(*arguments)
        noted.set()
        if is_first:
            await done.wait()
        return again

    monkeypatch.setattr(idempotency, "note", slowly)
    file = ("cat.png", image_bytes())
    slower = asyncio.create_task(uploader.answer(file, key="once", onConflict="RENAME"))
    await noted.wait()
    quicker = await uploader.answer(file, key="once", onConflict="RENAME")
    done.set()
    assert await slower == quicker
    assert await uploader.listed() == ["cat.png"]


@LOCAL_ONLY
async def test_what_storage_refused_is_tried_again_under_the_same_key_and_the_rest_is_left_alone(
    uploader: UploadClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failing = LocalStore.write, True

    async def fails_for_one(self: LocalStore, path: str, data: bytes) -> StoredObject:
        if failing and path == "dog.png":
            raise StorageError("The store could not do it.")
        return await write(self, path, data)

    monkeypatch.setattr(LocalStore, "write", fails_for_one)
    files = [("cat.png", image_bytes()), ("dog.png", image_bytes()), ("bad.png", b"no image")]
    first = await uploader.answer(*files, key="k", labels=["cat"])
    codes = [result["error"] and result["error"]["code"] for result in first["data"]["uploadSamples"]["results"]]
    assert codes == [None, "STORAGE_ERROR", "UNSUPPORTED_FORMAT"]
    cat = first["data"]["uploadSamples"]["results"][0]["sample"]["id"]
    await uploader.client.execute(REMOVE, {"dataset": uploader.dataset, "ids": [cat]})
    failing = False
    for _ in range(2):
        again = (await uploader.answer(*files, key="k", labels=["cat"]))["data"]["uploadSamples"]
        cat_result, dog_result, bad_result = again["results"]
        assert (cat_result["sample"]["id"], cat_result["sample"]["labels"]) == (cat, [])
        assert [label["name"] for label in dog_result["sample"]["labels"]] == ["cat"]
        assert bad_result["error"]["code"] == "UNSUPPORTED_FORMAT"
        assert again["dataset"]["revision"] == 4  # labels made, uploaded, unlabelled, uploaded the rest
    assert await uploader.listed() == ["cat.png", "dog.png"]


REMOVE = """mutation ($dataset: ID!, $ids: [ID!]!) {
    labelSamples(input: {datasetId: $dataset, select: {ids: $ids}, labels: ["cat"], mode: REMOVE}) { changedCount } }"""


@LOCAL_ONLY
async def test_an_input_path_that_was_away_is_no_answer_for_a_day(uploader: UploadClient) -> None:
    assert isinstance(uploader.store, LocalStore)
    root, files = uploader.store.root, [("cat.png", image_bytes())]
    root.rmdir()
    root.write_text("in the way")
    first = await uploader.answer(*files, key="k")
    assert "STORAGE_ERROR" in json.dumps(first)
    root.unlink()
    root.mkdir()
    [result] = (await uploader.answer(*files, key="k"))["data"]["uploadSamples"]["results"]
    assert result["sample"]["path"] == "cat.png"
