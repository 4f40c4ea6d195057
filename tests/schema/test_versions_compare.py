"""Comparing versions with each other and with the working set."""

from typing import Any

import pytest

from db.history import changes
from db.postgres import sql
from tests.client import Failed
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.version_fixture import COMPARE, in_version, label, publish


async def test_versions_and_the_working_set_are_compared_in_both_directions(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    first = await publish(client)
    await label(client, ["dog"], 1, mode="SET")
    await client.mutate("deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"ids": client.ids(0)})
    second = await publish(client)
    old, new = ([in_version(id, version["id"]) for id in client.ids(0, 1)] for version in (first, second))
    relabeled, gone = {"kind": "RELABELED", "sample": {"id": new[1]}}, {"sample": {"id": old[0]}}
    forth = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": first["id"], "h": second["id"]}))[
        "dataset"
    ]
    assert forth["comparison"] == {
        "addedCount": 0,
        "removedCount": 1,
        "relabeledCount": 1,
        "changes": {
            "totalCount": 2,
            "nodes": [
                {"kind": "REMOVED", "addedLabelNames": [], "removedLabelNames": ["cat"], **gone},
                {"addedLabelNames": ["dog"], "removedLabelNames": ["cat"], **relabeled},
            ],
        },
    }
    back = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": second["id"], "h": first["id"]}))["dataset"]
    assert back["comparison"]["changes"]["nodes"] == [
        {"kind": "ADDED", "addedLabelNames": ["cat"], "removedLabelNames": [], **gone},
        {"addedLabelNames": ["cat"], "removedLabelNames": ["dog"], **relabeled, "sample": {"id": old[1]}},
    ]
    working = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": first["id"], "h": None}))["dataset"]
    assert working["comparison"]["changes"]["nodes"][1]["sample"] == {"id": client.ids(1)[0]}
    working["comparison"]["changes"]["nodes"][1]["sample"] = relabeled["sample"]
    assert working == forth
    same = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": first["id"], "h": first["id"]}))["dataset"]
    assert same["comparison"]["changes"] == {"totalCount": 0, "nodes": []}


async def test_what_was_changed_and_changed_back_is_no_difference(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    version = await publish(client)
    await label(client, ["dog"], 0, mode="SET")
    await label(client, ["cat"], 0, mode="SET")
    await client.mutate("renameLabel", "affectedSampleCount", labelId=client.label("cat"), name="Feline")
    found = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": version["id"]}))["dataset"]["comparison"]
    assert (found["addedCount"], found["removedCount"], found["relabeledCount"]) == (0, 0, 0)


async def test_changes_of_a_comparison_come_page_by_page_and_by_kind(client: DatasetClient) -> None:
    version = await publish(client)
    await label(client, ["cat"], 0, 1, 2)
    query = """query ($d: ID!, $b: ID!, $a: String) { dataset(by: {id: $d}) { comparison(baseId: $b) {
        changes(first: 2, after: $a, kind: RELABELED) { nodes { sample { id } } pageInfo { hasNextPage endCursor } }
        removed: changes(kind: REMOVED) { totalCount } } } }"""
    values = {"d": client.dataset, "b": version["id"]}
    first = (await client.direct.execute(query, values))["dataset"]["comparison"]
    assert first["removed"] == {"totalCount": 0}
    assert first["changes"]["pageInfo"]["hasNextPage"]
    cursor = first["changes"]["pageInfo"]["endCursor"]
    second = (await client.direct.execute(query, {**values, "a": cursor}))["dataset"]["comparison"]
    ids = [each["sample"]["id"] for page in (first, second) for each in page["changes"]["nodes"]]
    assert ids == client.ids(0, 1, 2)


async def test_comparing_with_an_unknown_version_is_refused(client: DatasetClient) -> None:
    with pytest.raises(Failed) as failed:
        await client.direct.execute(COMPARE, {"d": client.dataset, "b": "Version:99"})
    assert failed.value.codes == ["VERSION_NOT_FOUND"]


LABELS = """query ($d: ID!, $b: ID!, $h: ID) { dataset(by: {id: $d}) { hasUnpublishedChanges
    comparison(baseId: $b, headId: $h) { addedCount removedCount relabeledCount editedCount
        labels { before { id name color shortcut } after { id name color } } } } }"""


async def compared(client: DatasetClient, base: str, head: str | None = None) -> Any:
    return (await client.direct.execute(LABELS, {"d": client.dataset, "b": base, "h": head}))["dataset"]


async def test_what_became_of_labels_is_reported_by_a_comparison_in_both_directions(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    first = await publish(client)
    cat, dog = client.label("cat"), client.label("dog")
    await client.mutate("updateLabel", "label { id }", labelId=cat, color="#00ff00", shortcut="c")
    await client.mutate("deleteLabels", "affectedSampleCount", labelIds=[dog], mode="LABEL_ONLY")
    made = await client.mutate("createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": "bird"}])
    second = await publish(client)

    def of(label: str, version: dict[str, Any], name: str, color: str | None = None) -> dict[str, Any]:
        return {"id": in_version(label, version["id"]), "name": name, "color": color}

    forth = (await compared(client, first["id"], second["id"]))["comparison"]
    assert [forth[name] for name in ("addedCount", "removedCount", "relabeledCount", "editedCount")] == [0, 0, 0, 0]
    assert forth["labels"] == [
        {"before": of(cat, first, "cat") | {"shortcut": None}, "after": of(cat, second, "cat", "#00ff00")},
        {"before": of(dog, first, "dog") | {"shortcut": None}, "after": None},
        {"before": None, "after": of(made["labels"][0]["id"], second, "bird")},
    ]
    back = (await compared(client, second["id"], first["id"]))["comparison"]["labels"]
    changed = of(cat, second, "cat", "#00ff00") | {"shortcut": "c"}
    assert back[0] == {"before": changed, "after": of(cat, first, "cat")}
    assert (await compared(client, second["id"]))["comparison"]["labels"] == []
    now = (await compared(client, first["id"]))["comparison"]["labels"]
    assert now[0] == forth["labels"][0] | {"after": {"id": cat, "name": "cat", "color": "#00ff00"}}
    assert now[1] == forth["labels"][1]


@pytest.mark.parametrize("operation", ["color", "rename", "made", "deleted", "labels", "mark", "nothing"])
async def test_unpublished_changes_and_the_comparison_with_the_version_agree(
    client: DatasetClient, operation: str
) -> None:
    await label(client, ["cat"], 0)
    version = await publish(client)
    cat, dog = client.label("cat"), client.label("dog")
    match operation:
        case "color":
            await client.mutate("updateLabel", "label { id }", labelId=cat, color="#00ff00")
        case "rename":
            await client.mutate("renameLabel", "affectedSampleCount", labelId=cat, name="Feline")
        case "made":
            await client.mutate("createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": "bird"}])
        case "deleted":
            await client.mutate("deleteLabels", "affectedSampleCount", labelIds=[dog], mode="LABEL_ONLY")
        case "labels":
            await label(client, ["dog"], 0)
        case "mark":
            async with client.direct.database.writing() as session:
                change = await changes.record(session, client.dataset_rows.id, kind="IMPORT", actor="ann", summary="x")
                statement = "UPDATE sample SET hard = true, since = :since WHERE id = :id"
                await sql.run(session, statement, since=change.revision, id=client.dataset_rows.samples[1])
    found = await compared(client, version["id"])
    differs = any(
        found["comparison"][name] for name in ("addedCount", "removedCount", "relabeledCount", "editedCount", "labels")
    )
    assert found["hasUnpublishedChanges"] == differs == (operation != "nothing")
