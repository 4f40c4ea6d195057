"""Syncs while storage fails: nothing is lost or duplicated, and a later one without faults repairs everything."""

import random

from tests.api.storage.unreliable import SEEDS, UnreliableStorage, images
from tests.db.dataset_fixture import image_bytes
from tests.fault_proxy import Fault, no_faults, random_faults

IMAGES = 60
SLOW = Fault.SLOW_DOWN


def bucket() -> dict[str, bytes]:
    """Images in three folders, most with a sidecar; one that is none, one file that is ignored."""
    files = {f"{number % 3}/{path}": data for number, (path, data) in enumerate(images("", IMAGES).items())}
    texts = {f"{path[:-4]}.txt": f"label-{number % 5}\n".encode() for number, path in enumerate(files) if number % 4}
    return files | texts | {"bad.jpg": b"no image", "notes.md": b"ignored"}


@SEEDS
async def test_a_sync_with_storage_faults_and_one_after_them_are_a_clean_one(
    remote: UnreliableStorage, seed: int
) -> None:
    await remote.fill(bucket())
    remote.proxy.schedule = random_faults(seed, share=0.1 + 0.2 * (seed % 2))
    for _ in range(3):
        job = await remote.sync()
        assert job["status"] in ("SUCCEEDED", "FAILED")
        assert job["error"] is None or job["error"]["code"] == "STORAGE_ERROR"
    await remote.clean_sync()
    assert await remote.labels() == await remote.labels(await remote.other())
    assert sum(job["addedCount"] for job in remote.jobs) == IMAGES
    assert sum(job["removedCount"] + job["movedCount"] for job in remote.jobs) == 0
    await remote.holds()


@SEEDS
async def test_what_happened_to_files_is_found_by_syncs_with_storage_faults(
    remote: UnreliableStorage, seed: int
) -> None:
    files = images("a/", 50)
    await remote.fill(files | {f"{path[:-4]}.txt": b"old" for path in files})
    await remote.clean_sync()
    paths = sorted(files)
    random.Random(seed).shuffle(paths)
    moved, vanished, changed, retold = paths[:15], paths[15:25], paths[25:35], paths[35:45]
    await remote.label([*moved[:8], *changed[:5]], "by-hand")
    before = await remote.samples()
    for path in [*moved, *vanished]:
        await remote.store.delete(path)
    await remote.fill({f"b/{path[2:]}": files[path] for path in moved} | {path: image_bytes() for path in changed})
    await remote.fill({f"{path[:-4]}.txt": b"new" for path in retold} | images("c/", 10))

    remote.proxy.schedule = random_faults(seed, share=0.15 + 0.2 * (seed % 2))
    for _ in range(3):
        await remote.sync()
        assert not (before.keys() - set(moved) - set(vanished)) - (await remote.samples()).keys(), "a sample was lost"
    await remote.clean_sync()

    after, labels = await remote.samples(), await remote.labels()
    here = {path: f"b/{path[2:]}" if path in moved else path for path in before if path not in vanished}
    assert {old: after[new]["id"] for old, new in here.items()} == {old: before[old]["id"] for old in here}
    for path in here:
        by_hand = path in moved[:8] or path in changed[:5]
        assert labels[here[path]] == ["by-hand" if by_hand else "new" if path in retold else "old"], path
    assert after.keys() - set(here.values()) == {f"c/{number}.png" for number in range(10)}
    assert sum(job["removedCount"] for job in remote.jobs) == len(vanished)
    assert sum(job["movedCount"] for job in remote.jobs) == len(moved)
    await remote.holds()


async def test_a_file_that_moved_and_cannot_be_read_yet_is_not_a_lost_one(remote: UnreliableStorage) -> None:
    """The store lists it in its new place with the content that it had before, and gives nothing of it."""
    files = images("a/", 3)
    await remote.fill(files)
    await remote.sync()
    await remote.label(["a/0.png"], "by-hand")
    before = (await remote.samples())["a/0.png"]
    await remote.store.delete("a/0.png")
    await remote.put("b/0.png", files["a/0.png"])
    remote.proxy.schedule = lambda request: SLOW if request.key == "set/b/0.png" else Fault.PASS
    job = await remote.sync()
    assert (job["status"], job["removedCount"], job["movedCount"], job["addedCount"]) == ("SUCCEEDED", 0, 1, 0)
    remote.proxy.schedule = no_faults
    job = await remote.sync()
    assert (job["removedCount"], job["movedCount"], job["addedCount"]) == (0, 0, 0)
    after = (await remote.samples())["b/0.png"]
    assert (after["id"], after["labels"]) == (before["id"], before["labels"])


async def test_a_restored_sample_gets_its_labels_once_its_sidecar_can_be_read(
    remote: UnreliableStorage,
) -> None:
    await remote.fill(images("a", 1) | {"a0.txt": b"cat"})
    await remote.sync()
    [sample] = (await remote.samples()).values()
    values = {"datasetId": remote.dataset, "select": {"ids": [sample["id"]]}}
    await remote.client.execute(
        "mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) { deletedSampleCount } }",
        {"input": values},
    )
    remote.proxy.schedule = lambda request: SLOW if request.key == "set/a0.txt" else Fault.PASS
    job = await remote.sync(restoreRemoved=True)
    assert (job["status"], job["addedCount"]) == ("SUCCEEDED", 1)
    assert await remote.labels() == {"a0.png": []}
    remote.proxy.schedule = no_faults
    await remote.sync()
    assert await remote.labels() == {"a0.png": ["cat"]}
