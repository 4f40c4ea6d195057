"""Labels by their ids, in every mutation that takes names: a label that somebody renamed meanwhile is still meant."""

from typing import Any

import pytest

from tests.schema.mutation_fixture import DatasetClient


def one(client: DatasetClient, position: int) -> dict[str, Any]:
    return {"datasetId": client.dataset, "select": {"ids": client.ids(position)}}


async def test_a_renamed_label_is_put_on_and_replaced_by_its_id_and_not_made_again(client: DatasetClient) -> None:
    cat, dog = client.label("cat"), client.label("dog")
    await client.mutate("renameLabel", "label { id }", labelId=cat, name="Feline")
    await client.mutate("labelSamples", "changedCount", **one(client, 0), labelIds=[cat], createMissing=True)
    await client.mutate("labelSamples", "changedCount", **one(client, 1), labels=["dog"], labelIds=[cat, cat, dog])
    await client.mutate(
        "annotateSamples",
        "changedCount",
        datasetId=client.dataset,
        samples=[{"sampleId": client.ids(2)[0], "add": [{"labelId": cat}, {"label": "Feline"}]}],
        createMissing=True,
    )
    await client.mutate("replaceSampleLabel", "changedCount", **one(client, 0), fromId=cat, toId=dog)
    labelled = await client.labelled()
    assert [labelled[position] for position in range(3)] == [["dog"], ["Feline", "dog"], ["Feline"]]
    names = "query ($d: ID!) { dataset(by: {id: $d}) { labels { name } } }"
    found = (await client.direct.execute(names, {"d": client.dataset}))["dataset"]["labels"]
    assert found == [{"name": "Feline"}, {"name": "dog"}]
    await client.check()


async def test_an_annotation_gets_another_label_by_its_id(client: DatasetClient) -> None:
    await client.mutate("labelSamples", "changedCount", **one(client, 0), labels=["cat"])
    query = "query ($id: ID!) { node(id: $id) { ... on Sample { annotations { id label { name } } } } }"
    sample = client.ids(0)[0]
    [before] = (await client.direct.execute(query, {"id": sample}))["node"]["annotations"]
    update = [{"id": before["id"], "labelId": client.label("dog")}]
    await client.mutate(
        "annotateSamples", "changedCount", datasetId=client.dataset, samples=[{"sampleId": sample, "update": update}]
    )
    [after] = (await client.direct.execute(query, {"id": sample}))["node"]["annotations"]
    assert after == {"id": before["id"], "label": {"name": "dog"}}


@pytest.mark.parametrize("label", ["Label:99", "Sample:1", "cat"])
async def test_an_id_of_no_label_is_refused_also_where_missing_labels_are_made(
    client: DatasetClient, label: str
) -> None:
    sample = client.ids(0)[0]
    for field, input_ in (
        ("labelSamples", {**one(client, 0), "labelIds": [label]}),
        ("replaceSampleLabel", {**one(client, 0), "from": "cat", "toId": label}),
        (
            "annotateSamples",
            {"datasetId": client.dataset, "samples": [{"sampleId": sample, "add": [{"labelId": label}]}]},
        ),
    ):
        assert (await client.refused(field, **input_, createMissing=True))["code"] == "LABEL_NOT_FOUND"


async def test_a_label_of_another_dataset_is_refused(client: DatasetClient) -> None:
    (client.root / "other").mkdir()
    made = await client.mutate(
        "createDataset",
        "dataset { labels { id } }",
        name="other",
        inputPath=str(client.root / "other"),
        labels=[{"name": "cat"}],
        syncNow=False,
    )
    [other] = made["dataset"]["labels"]
    refused = await client.refused("labelSamples", **one(client, 0), labelIds=[other["id"]])
    assert (refused["code"], refused["details"]["ids"]) == ("LABEL_NOT_FOUND", [other["id"]])


@pytest.mark.parametrize(
    "input_", [{}, {"from": "cat"}, {"from": "cat", "fromId": "Label:1", "to": "dog"}, {"from": "cat", "to": None}]
)
async def test_a_label_is_named_either_by_name_or_by_id(client: DatasetClient, input_: dict[str, Any]) -> None:
    refused = await client.refused("replaceSampleLabel", **one(client, 0), **input_)
    assert refused["code"] == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("field", "annotation"),
    [
        ("add", {}),
        ("add", {"label": "cat", "labelId": "Label:1"}),
        ("update", {"id": "Annotation:1", "label": "cat", "labelId": "Label:1"}),
    ],
)
async def test_an_annotation_without_a_label_or_with_two_is_named_by_its_place(
    client: DatasetClient, field: str, annotation: dict[str, Any]
) -> None:
    [first, second] = client.ids(0, 1)
    right = {"id": "Annotation:1", "label": "cat"} if field == "update" else {"label": "cat"}
    samples = [{"sampleId": first, field: [right]}, {"sampleId": second, field: [right, annotation]}]
    refused = await client.refused("annotateSamples", datasetId=client.dataset, samples=samples)
    assert refused["code"] == "VALIDATION_FAILED"
    assert refused["details"] == {"sample": second, "path": f"{field}.1.label"}
