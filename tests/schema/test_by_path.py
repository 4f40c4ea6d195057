"""Samples that are named by their paths, where an id may be."""

from typing import Any

import pytest

from db.postgres import sql
from tests.schema.mutation_fixture import DatasetClient

LABELLED = "matchedCount changedCount notFoundIds notFoundPaths samples { path } change { kind }"
PATHS = ["000002.jpg", "none.jpg", "000000.jpg", "000002.jpg", "a\x00b"]


@pytest.mark.parametrize("field", ["labelSamples", "updateSamples", "replaceSampleLabel"])
async def test_samples_are_selected_by_their_paths(client: DatasetClient, field: str) -> None:
    if field == "replaceSampleLabel":
        everything: dict[str, Any] = {"datasetId": client.dataset, "select": {"all": True}}
        await client.mutate("labelSamples", "change { id }", labels=["cat"], **everything)
    more: dict[str, dict[str, Any]] = {
        "labelSamples": {"labels": ["dog"]},
        "updateSamples": {"isHard": True},
        "replaceSampleLabel": {"from": "cat", "to": "dog"},
    }
    payload = await client.mutate(field, LABELLED, datasetId=client.dataset, select={"paths": PATHS}, **more[field])
    assert payload["change"] is not None
    assert (payload["matchedCount"], payload["changedCount"]) == (2, 2)
    assert (payload["notFoundIds"], payload["notFoundPaths"]) == ([], ["none.jpg", "a\x00b"])
    assert [each["path"] for each in payload["samples"]] == ["000002.jpg", "000000.jpg"]
    await client.check()


async def test_samples_are_deleted_by_their_paths(client: DatasetClient) -> None:
    fields = "deletedSampleCount notFoundPaths"
    payload = await client.mutate("deleteSamples", fields, datasetId=client.dataset, select={"paths": PATHS[:3]})
    assert payload == {"deletedSampleCount": 2, "notFoundPaths": ["none.jpg"]}
    assert (await client.labelled()).keys() == {1, 3, 4, 5}


async def test_no_paths_too_many_and_unknown_ones_are_refused_or_listed(client: DatasetClient) -> None:
    input_: dict[str, Any] = {"datasetId": client.dataset, "labels": ["cat"]}
    assert (await client.refused("labelSamples", select={"paths": []}, **input_))["code"] == "EMPTY_SELECTION"
    many = [f"{number}.jpg" for number in range(1_001)]
    assert (await client.refused("labelSamples", select={"paths": many}, **input_))["code"] == "VALIDATION_FAILED"
    refused = await client.refused("labelSamples", select={"paths": PATHS[:3]}, expectedCount=3, **input_)
    assert refused["code"] == "COUNT_MISMATCH"
    payload = await client.mutate("labelSamples", LABELLED, select={"paths": ["none.jpg"]}, **input_)
    assert (payload["matchedCount"], payload["notFoundPaths"], payload["change"]) == (0, ["none.jpg"], None)


async def test_a_path_is_found_in_either_form_of_unicode(client: DatasetClient) -> None:
    composed, decomposed = "caf\u00e9.jpg", "cafe\u0301.jpg"
    for stored, given in ((composed, decomposed), (decomposed, composed)):
        async with client.direct.database.writing() as session:
            connection = await sql.connection_of(session)
            for table in ("source", "sample"):
                await connection.execute(
                    f"UPDATE {table} SET path = $1 WHERE path IN ('000000.jpg', $2)", stored, given
                )
        payload = await client.mutate(
            "labelSamples", LABELLED, datasetId=client.dataset, select={"paths": [given]}, labels=["cat"]
        )
        assert [each["path"] for each in payload["samples"]] == [stored]


async def test_samples_are_annotated_by_their_paths(client: DatasetClient) -> None:
    edits = [
        {"path": "000003.jpg", "add": [{"label": "cat"}]},
        {"sampleId": client.ids(1)[0], "add": [{"label": "dog"}]},
        {"path": "none.jpg", "add": [{"label": "cat"}]},
        {"sampleId": "Sample:999", "add": [{"label": "cat"}]},
    ]
    payload = await client.mutate("annotateSamples", LABELLED, datasetId=client.dataset, samples=edits)
    assert (payload["matchedCount"], payload["changedCount"]) == (2, 2)
    assert (payload["notFoundIds"], payload["notFoundPaths"]) == (["Sample:999"], ["none.jpg"])
    assert [each["path"] for each in payload["samples"]] == ["000003.jpg", "000001.jpg"]
    assert await client.labelled() == {0: [], 1: ["dog"], 2: [], 3: ["cat"], 4: [], 5: []}


@pytest.mark.parametrize("edit", [{}, {"sampleId": "Sample:1", "path": "000000.jpg"}])
async def test_a_sample_is_annotated_by_one_of_the_two(client: DatasetClient, edit: dict[str, str]) -> None:
    edits = [edit | {"add": [{"label": "cat"}]}]
    refused = await client.refused("annotateSamples", datasetId=client.dataset, samples=edits)
    assert refused["code"] == "VALIDATION_FAILED"
