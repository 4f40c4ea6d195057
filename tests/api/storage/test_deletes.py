"""Deleting source files while storage fails: what was to be deleted is deleted in the end, and nothing else ever is."""

from typing import Any

from tests.api.storage.unreliable import SEEDS, UnreliableStorage, images
from tests.db.dataset_fixture import image_bytes
from tests.fault_proxy import Fault, Request, Schedule, no_faults, random_faults

DELETE = """mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) {
    deleted deletedSources failedSources { path message } dataset { statistics { total } } } }"""
DELETE_LABELS = """mutation ($input: DeleteLabelsInput!) { deleteLabels(input: $input) {
    deletedSamples deletedSources failedSources { path message } dataset { statistics { total } } } }"""
LABELS = "query ($id: ID!) { node(id: $id) { ... on Dataset { labels { id name } } } }"


async def synced(place: UnreliableStorage, number: int = 30) -> list[str]:
    """The paths of a dataset whose every image has a sidecar, and by it one of four labels."""
    files = images("a/", number)
    texts = {f"{path[:-4]}.txt": f"label-{index % 4}".encode() for index, path in enumerate(files)}
    await place.fill(files | texts)
    await place.clean_sync()
    assert sum(job["added"] for job in place.jobs) == number
    return list(files)


async def delete(place: UnreliableStorage, paths: list[str]) -> dict[str, Any]:
    samples = await place.samples()
    chosen = {"ids": [samples[path]["id"] for path in paths]}
    values = {"datasetId": place.dataset, "select": chosen, "deleteSources": True}
    return dict((await place.client.execute(DELETE, {"input": values}))["deleteSamples"])


def with_texts(paths: list[str]) -> set[str]:
    return {*paths, *(f"{path[:-4]}.txt" for path in paths)}


@SEEDS
async def test_what_is_deleted_in_a_storm_is_gone_after_it_and_nothing_else(
    place: UnreliableStorage, seed: int
) -> None:
    paths = await synced(place)
    place.proxy.schedule = random_faults(seed, share=0.3)
    left = paths
    while len(left) > 15:
        chosen, left = left[:5], left[5:]
        told = await delete(place, chosen)
        assert told["deleted"] == 5
        assert told["deletedSources"] + len(told["failedSources"]) == 5
        assert {failure["path"] for failure in told["failedSources"]} <= set(chosen)
        assert told["dataset"]["statistics"]["total"] == len(left)
    assert with_texts(left) <= set(await place.objects()), "a file that nobody asked to delete is gone"
    assert (await place.sync())["added"] == 0
    await place.deletions_end()
    assert set(await place.objects()) == with_texts(left)
    job = await place.clean_sync()
    assert (job["added"], job["removed"], job["updated"]) == (0, 0, 0)
    assert sorted(await place.samples()) == sorted(left)
    await place.holds()


@SEEDS
async def test_labels_deleted_with_their_files_in_a_storm(place: UnreliableStorage, seed: int) -> None:
    paths = await synced(place)
    await place.label(paths[4:8], "label-0", "label-1")
    place.proxy.schedule = random_faults(seed + 100, share=0.3)
    labels = (await place.client.execute(LABELS, place.me))["node"]["labels"]
    [chosen] = [label["id"] for label in labels if label["name"] == "label-0"]
    values = {"labelIds": [chosen], "mode": "LABEL_SAMPLES_AND_SOURCES"}
    told = (await place.client.execute(DELETE_LABELS, {"input": values}))["deleteLabels"]
    gone = [path for index, path in enumerate(paths) if index % 4 == 0 and index not in range(4, 8)]
    assert told["deletedSamples"] == told["deletedSources"] + len(told["failedSources"]) == len(gone)
    await place.deletions_end()
    left = [path for path in paths if path not in gone]
    assert set(await place.objects()) == with_texts(left)
    assert (await place.clean_sync())["added"] == 0
    assert sorted(await place.samples()) == sorted(left)
    await place.holds()


async def test_a_sidecar_that_resists_is_tried_again(place: UnreliableStorage) -> None:
    """Or it would label whatever takes the image's place."""
    image = image_bytes()
    await place.fill({"a0.png": image, "a0.txt": b"cat"})
    await place.sync()
    place.proxy.schedule = lambda request: (
        Fault.SLOW_DOWN if request.operation == "delete_many" and request.number > 1 else Fault.PASS
    )
    told = await delete(place, ["a0.png"])
    [failure] = told["failedSources"]
    assert (told["deleted"], told["deletedSources"], failure["path"]) == (1, 0, "a0.png")
    assert "label file" in failure["message"]
    assert list(await place.objects()) == ["a0.txt"]
    await place.put("a0.png", image)
    await place.deletions_end()
    assert list(await place.objects()) == ["a0.png"], "its equal was put in its place since, and nobody let go of that"
    assert (await place.sync())["added"] == 1
    assert await place.labels() == {"a0.png": []}


async def test_deletions_while_storage_is_down_are_told_and_made_up_for(place: UnreliableStorage) -> None:
    paths = await synced(place, 8)
    place.proxy.schedule = lambda _: Fault.CUT_BEFORE
    told = await delete(place, paths[:6])
    assert (told["deleted"], told["deletedSources"], len(told["failedSources"])) == (6, 0, 6)
    for failure in told["failedSources"]:
        assert "cannot be reached" in failure["message"]
        assert place.proxy.endpoint not in failure["message"]
    assert set(await place.objects()) == with_texts(paths)
    await place.deletions_end()
    assert set(await place.objects()) == with_texts(paths[6:])


async def test_a_deletion_whose_answer_was_lost_is_a_deletion(place: UnreliableStorage) -> None:
    paths = await synced(place, 6)
    for fault, chosen in (
        (Fault.CUT_AFTER, paths[:2]),
        (Fault.CUT_WITHIN, paths[2:4]),
        (Fault.LOST_RESPONSE, paths[4:]),
    ):
        place.proxy.schedule = _once(fault)
        told = await delete(place, chosen)
        assert place.proxy.fault_counts[fault] == 1
        assert (told["deletedSources"], told["failedSources"]) == (2, [])
    place.proxy.schedule = no_faults
    assert await place.objects() == {}


def _once(fault: Fault) -> Schedule:
    """The first request that deletes meets it."""
    seen: list[Request] = []

    def decide(request: Request) -> Fault:
        if request.operation != "delete_many" or seen:
            return Fault.PASS
        seen.append(request)
        return fault

    return decide
