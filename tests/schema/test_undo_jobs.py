"""Undoing all that an import did, at once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from db import jobs
from db.identity.tokens import Scope
from db.ingest import imports
from db.ingest.merge import merge_all
from db.storage import Stores
from db.storage.locations import AllowedLocations
from tests.db.dataset_fixture import WORKER, image_bytes
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.test_undo import facts, label, mutate, undo


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change for each line."""
    monkeypatch.setattr("db.ingest.imports.stages.BATCH", 1)


async def run(client: DatasetClient) -> None:
    """Run the job that is due, as a worker does."""
    claim = await jobs.claim(client.direct.database, WORKER)
    assert claim is not None
    await imports.run(client.direct.database, claim, Stores(AllowedLocations((client.root.resolve(),))))
    await jobs.finish(client.direct.database, claim, "SUCCEEDED")


async def start(client: DatasetClient, *positions: int, name: str = "cat", existing: str = "OVERWRITE") -> str:
    """An import, queued, of a label on each of these samples."""
    lines = [
        {"source": f"{client.root}/images/{position:06}.jpg", "annotation": [{"name": name}]} for position in positions
    ]
    manifest = client.root / "V001.manifest"
    manifest.write_text("\n".join(map(json.dumps, lines)))
    input: dict[str, Any] = {"datasetId": client.dataset, "path": str(manifest), "existing": existing}
    payload = await client.mutate("importManifest", "job { id }", **input)
    return str(payload["job"]["id"])


async def imported(client: DatasetClient, *positions: int, name: str = "cat") -> str:
    job = await start(client, *positions, name=name)
    await run(client)
    return job


async def undo_job(client: DatasetClient, job: str) -> str:
    return await mutate(client, "undoChange", jobId=job)


async def changes(client: DatasetClient) -> list[tuple[str, str, bool]]:
    """Kinds, summaries, and whether each is undone; the latest first."""
    query = """query ($d: ID!) { dataset(by: {id: $d}) {
        changes(first: 50) { nodes { kind summary undoneBy { id } } } } }"""
    nodes = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["changes"]["nodes"]
    return [(node["kind"], node["summary"], node["undoneBy"] is not None) for node in nodes]


async def test_undoes_all_changes_of_an_import_as_one_and_redoes_them(client: DatasetClient) -> None:
    await label(client, ["dog"], 0, 1)
    before = await facts(client)
    job = await imported(client, 0, 1, 2, name="bird")
    after = await facts(client)
    undone = await undo_job(client, job)
    assert await facts(client) == before
    assert (await changes(client))[:4] == [
        ("UNDO", "Undid: Import, 3 changes", False),
        *[("IMPORT", "Import: 1 updated", True)] * 3,
    ]
    redone = await undo(client, undone)
    assert await facts(client) == after
    assert (await changes(client))[0][1] == "Redid: Import, 3 changes"
    await undo_job(client, job)
    assert await facts(client) == before
    assert redone
    await client.check()


async def test_images_that_an_import_has_stored_are_no_samples_any_more(client: DatasetClient) -> None:
    for name in ("cat/1.png", "dog/2.png"):
        (client.root / "set" / name).parent.mkdir(parents=True)
        (client.root / "set" / name).write_bytes(image_bytes())
    input: dict[str, Any] = {"datasetId": client.dataset, "path": f"{client.root}/set", "images": "STORE"}

    async def imported_set(**more: Any) -> tuple[str, dict[str, Any]]:
        job = (await client.mutate("importAnnotations", "job { id }", **input, **more))["job"]["id"]
        await run(client)
        query = "query ($id: ID!) { node(id: $id) { ... on ImportJob { addedCount notices { kind } } } }"
        return job, (await client.direct.execute(query, {"id": job}))["node"]

    before = await facts(client)
    job, counts = await imported_set()
    assert counts == {"addedCount": 2, "notices": []}
    await undo_job(client, job)
    assert await facts(client) == before
    _, counts = await imported_set()
    assert counts == {"addedCount": 0, "notices": [{"kind": "SAMPLE_DELETED"}]}
    _, counts = await imported_set(restoreRemoved=True)
    assert counts == {"addedCount": 2, "notices": []}
    await client.check()


async def test_what_others_did_in_between_stays(client: DatasetClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await start(client, 0, 1, 2)
    merge = merge_all
    done = 0

    async def merge_and_label(*arguments: Any, read: Callable[[int], Any], **more: Any) -> None:
        async def read_and_label(position: int) -> Any:
            nonlocal done
            entries = await read(position)
            if entries:
                done += 1
                await label(client.as_somebody("bob"), ["dog"], 2 + done)
            return entries

        await merge(*arguments, read=read_and_label, **more)

    monkeypatch.setattr("db.ingest.imports.stages.merge_all", merge_and_label)
    await run(client)
    assert done == 3
    await undo_job(client, job)
    assert await client.labelled() == {0: [], 1: [], 2: [], 3: ["dog"], 4: ["dog"], 5: ["dog"]}
    await client.check()


async def test_is_refused_as_a_whole_where_a_later_change_is_in_the_way(client: DatasetClient) -> None:
    job = await imported(client, 0, 1, 2)
    later = await label(client.as_somebody("bob"), [], 0, mode="SET")
    refused = await client.refused("undoChange", jobId=job)
    assert (refused["code"], refused["details"]["changes"]) == ("CONFLICT", [later])
    assert await client.labelled() == {0: [], 1: ["cat"], 2: ["cat"], 3: [], 4: [], 5: []}
    await undo(client, later)
    await undo_job(client, job)
    assert await client.labelled() == {position: [] for position in range(6)}


async def test_changes_that_were_undone_before_stay_undone(client: DatasetClient) -> None:
    job = await imported(client, 0, 1, 2)
    query = "query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 2) { nodes { id } } } }"
    nodes = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["changes"]["nodes"]
    await undo(client, nodes[1]["id"])  # that of the second line
    await label(client, ["dog"], 1, mode="SET")
    await undo_job(client, job)
    assert await client.labelled() == {0: [], 1: ["dog"], 2: [], 3: [], 4: [], 5: []}
    refused = await client.refused("undoChange", jobId=job)
    assert (refused["code"], refused["details"]["changes"]) == ("CONFLICT", [])
    await client.check()


async def test_a_label_that_the_import_made_and_others_use_is_in_the_way(client: DatasetClient) -> None:
    job = await imported(client, 0, 1, name="bird")
    later = await label(client, ["bird"], 4)
    refused = await client.refused("undoChange", jobId=job)
    assert refused["details"]["changes"] == [later]


async def test_the_working_set_is_that_of_its_version_again(client: DatasetClient) -> None:
    await client.mutate("publishVersion", "version { id }", datasetId=client.dataset, name="V1")
    job = await imported(client, 0, 1, 2)
    await undo_job(client, job)
    query = "query ($d: ID!) { dataset(by: {id: $d}) { hasUnpublishedChanges } }"
    assert not (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["hasUnpublishedChanges"]
    job = await imported(client, 0, 1, 2)
    await label(client, ["dog"], 5)
    await undo_job(client, job)
    assert (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["hasUnpublishedChanges"]


async def test_many_changes_are_undone_in_several_spans(client: DatasetClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("db.history.undo.MAX_SPAN", 2)
    before = await facts(client)
    job = await imported(client, 0, 1, 2, 3, 4, name="bird")
    await undo_job(client, job)
    assert await facts(client) == before
    await client.check()


async def test_refuses_what_is_no_job_that_can_be_undone(client: DatasetClient) -> None:
    job = await start(client, 0)
    refused = await client.refused("undoChange", jobId=job)
    assert (refused["code"], refused["details"]["jobId"]) == ("DATASET_BUSY", job)
    await run(client)
    labeler = client.with_scope(Scope.LABEL)
    assert (await labeler.refused("undoChange", jobId=job))["code"] == "FORBIDDEN"
    query = "mutation ($input: UndoChangeInput!) { undoChange(input: $input) { change { id } } }"
    answer = await client.confined_to(999).direct.answer(query, {"input": {"jobId": job}})
    assert answer["errors"][0]["extensions"]["code"] == "JOB_NOT_FOUND"
    for wrong in ("ImportJob:999", job.replace("Import", "Sync"), job.replace("Import", "Manifest"), "x"):
        assert (await client.refused("undoChange", jobId=wrong))["code"] == "JOB_NOT_FOUND"
    nothing = await imported(client, 0)
    assert (await client.refused("undoChange", jobId=nothing))["code"] == "VALIDATION_FAILED"
    assert (await client.refused("undoChange"))["code"] == "VALIDATION_FAILED"
    assert (await client.refused("undoChange", jobId=job, changeId="Change:1"))["code"] == "VALIDATION_FAILED"
