"""Deleting source files while storage fails: what was to be deleted is deleted in the end, and nothing else ever is."""

from typing import Any

from tests.api.storage.unreliable import SEEDS, UnreliableStorage, images
from tests.db.dataset_fixture import image_bytes
from tests.fault_proxy import Fault, Request, Schedule, no_faults, random_faults

DELETE = """mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) {
    deletedSampleCount deletedSourceCount failedSources { path message } dataset { statistics { totalCount } } } }"""
DELETE_LABELS = """mutation ($input: DeleteLabelsInput!) { deleteLabels(input: $input) {
    deletedSampleCount deletedSourceCount failedSources { path message } dataset { statistics { totalCount } } } }"""
LABELS = "query ($id: ID!) { node(id: $id) { ... on Dataset { labels { id name } } } }"


async def synced(remote: UnreliableStorage, number: int = 30) -> list[str]:
    """The paths of a dataset whose every image has a sidecar, and by it one of four labels."""
    files = images("a/", number)
    texts = {f"{path[:-4]}.txt": f"label-{index % 4}".encode() for index, path in enumerate(files)}
    await remote.fill(files | texts)
    await remote.clean_sync()
    assert sum(job["addedCount"] for job in remote.jobs) == number
    return list(files)


async def delete(remote: UnreliableStorage, paths: list[str]) -> dict[str, Any]:
    samples = await remote.samples()
    selection = {"ids": [samples[path]["id"] for path in paths]}
    values = {"datasetId": remote.dataset, "select": selection, "deleteSources": True}
    return dict((await remote.client.execute(DELETE, {"input": values}))["deleteSamples"])


def with_texts(paths: list[str]) -> set[str]:
    return {*paths, *(f"{path[:-4]}.txt" for path in paths)}


@SEEDS
async def test_what_is_deleted_with_storage_faults_is_gone_after_them_and_nothing_else(
    remote: UnreliableStorage, seed: int
) -> None:
    paths = await synced(remote)
    remote.proxy.schedule = random_faults(seed, share=0.3)
    left = paths
    while len(left) > 15:
        deleted, left = left[:5], left[5:]
        result = await delete(remote, deleted)
        assert result["deletedSampleCount"] == 5
        assert result["deletedSourceCount"] + len(result["failedSources"]) == 5
        assert {failure["path"] for failure in result["failedSources"]} <= set(deleted)
        assert result["dataset"]["statistics"]["totalCount"] == len(left)
    assert with_texts(left) <= set(await remote.objects()), "a file that nobody asked to delete is gone"
    assert (await remote.sync())["addedCount"] == 0
    await remote.deletions_end()
    assert set(await remote.objects()) == with_texts(left)
    job = await remote.clean_sync()
    assert (job["addedCount"], job["removedCount"], job["updatedCount"]) == (0, 0, 0)
    assert sorted(await remote.samples()) == sorted(left)
    await remote.holds()


@SEEDS
async def test_labels_deleted_with_their_files_with_storage_faults(remote: UnreliableStorage, seed: int) -> None:
    paths = await synced(remote)
    await remote.label(paths[4:8], "label-0", "label-1")
    remote.proxy.schedule = random_faults(seed + 100, share=0.3)
    labels = (await remote.client.execute(LABELS, remote.me))["node"]["labels"]
    [label_id] = [label["id"] for label in labels if label["name"] == "label-0"]
    values = {"labelIds": [label_id], "mode": "LABEL_SAMPLES_AND_SOURCES"}
    result = (await remote.client.execute(DELETE_LABELS, {"input": values}))["deleteLabels"]
    gone = [path for index, path in enumerate(paths) if index % 4 == 0 and index not in range(4, 8)]
    assert result["deletedSampleCount"] == result["deletedSourceCount"] + len(result["failedSources"]) == len(gone)
    await remote.deletions_end()
    left = [path for path in paths if path not in gone]
    assert set(await remote.objects()) == with_texts(left)
    assert (await remote.clean_sync())["addedCount"] == 0
    assert sorted(await remote.samples()) == sorted(left)
    await remote.holds()


async def test_a_sidecar_that_resists_is_tried_again(remote: UnreliableStorage) -> None:
    """Or it would label whatever is put at the image's path."""
    image = image_bytes()
    await remote.fill({"a0.png": image, "a0.txt": b"cat"})
    await remote.sync()
    remote.proxy.schedule = lambda request: (
        Fault.SLOW_DOWN if request.operation == "delete_many" and request.number > 1 else Fault.PASS
    )
    result = await delete(remote, ["a0.png"])
    [failure] = result["failedSources"]
    assert (result["deletedSampleCount"], result["deletedSourceCount"], failure["path"]) == (1, 0, "a0.png")
    assert "label file" in failure["message"]
    assert list(await remote.objects()) == ["a0.txt"]
    await remote.put("a0.png", image)
    await remote.deletions_end()
    assert list(await remote.objects()) == ["a0.png"], "an equal one was put at its path since, which nobody deleted"
    assert (await remote.sync())["addedCount"] == 1
    assert await remote.labels() == {"a0.png": []}


async def test_deletions_while_storage_is_down_are_reported_and_made_up_for(remote: UnreliableStorage) -> None:
    paths = await synced(remote, 8)
    remote.proxy.schedule = lambda _: Fault.CUT_BEFORE
    result = await delete(remote, paths[:6])
    assert (result["deletedSampleCount"], result["deletedSourceCount"], len(result["failedSources"])) == (6, 0, 6)
    for failure in result["failedSources"]:
        assert "cannot be reached" in failure["message"]
        assert remote.proxy.endpoint not in failure["message"]
    assert set(await remote.objects()) == with_texts(paths)
    await remote.deletions_end()
    assert set(await remote.objects()) == with_texts(paths[6:])


async def test_a_deletion_whose_answer_was_lost_is_a_deletion(remote: UnreliableStorage) -> None:
    paths = await synced(remote, 6)
    for fault, deleted in (
        (Fault.CUT_AFTER, paths[:2]),
        (Fault.CUT_WITHIN, paths[2:4]),
        (Fault.LOST_RESPONSE, paths[4:]),
    ):
        remote.proxy.schedule = _once(fault)
        result = await delete(remote, deleted)
        assert remote.proxy.fault_counts[fault] == 1
        assert (result["deletedSourceCount"], result["failedSources"]) == (2, [])
    remote.proxy.schedule = no_faults
    assert await remote.objects() == {}


def _once(fault: Fault) -> Schedule:
    """The first request that deletes meets it."""
    seen: list[Request] = []

    def decide(request: Request) -> Fault:
        if request.operation != "delete_many" or seen:
            return Fault.PASS
        seen.append(request)
        return fault

    return decide
