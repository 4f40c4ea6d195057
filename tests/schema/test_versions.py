"""Publishing, reading, comparing, switching, deleting: what a client sees of versions."""

import asyncio
from typing import Any

import pytest

from db.history import changes, versions
from db.history.transactions import write
from db.postgres import sql
from tests.client import Failed
from tests.schema.mutation_fixture import DatasetClient

PUBLISH = "version { id name description isCurrent createdBy parent { name } status manifestPath statistics { total } }"
VERSION = """query ($v: ID!, $f: SampleFilter, $o: SampleOrder! = OLDEST) { node(id: $v) { ... on Version {
    name labels { id name sampleCount } statistics { total labeled unlabeled pending }
    samples(first: 100, filter: $f, orderBy: $o) { totalCount nodes {
        id path state usage labels { name } sourceAvailable revision
        annotations { label { name } labeledBy } } } } } }"""
DATASET = """query ($d: ID!) { dataset(by: {id: $d}) { revision hasUnpublishedChanges currentVersion { name }
    versions { totalCount nodes { name isCurrent parent { name } } } labels { id name sampleCount }
    statistics { total labeled } } }"""
COMPARE = """query ($d: ID!, $b: ID!, $h: ID) { dataset(by: {id: $d}) { compare(base: $b, head: $h) {
    added removed relabeled changes { totalCount nodes { kind labelsAdded labelsRemoved sample { id } } } } } }"""


async def publish(client: DatasetClient, **input: Any) -> dict[str, Any]:
    payload = await client.mutate("publishVersion", PUBLISH, datasetId=client.dataset, **input)
    return payload["version"]  # type: ignore[no-any-return]


async def label(client: DatasetClient, names: list[str], *positions: int, mode: str = "ADD") -> str:
    """The id of the change; empty if nothing changed."""
    payload = await client.mutate(
        "labelSamples",
        "change { id }",
        datasetId=client.dataset,
        select={"ids": client.ids(*positions)},
        labels=names,
        mode=mode,
    )
    return str((payload["change"] or {"id": ""})["id"])


async def read(client: DatasetClient, version: dict[str, Any], **variables: Any) -> Any:
    return (await client.direct.execute(VERSION, {"v": version["id"], **variables}))["node"]


async def dataset(client: DatasetClient) -> Any:
    return (await client.direct.execute(DATASET, {"d": client.dataset}))["dataset"]


async def test_a_version_gets_the_next_default_name_and_becomes_current(client: DatasetClient) -> None:
    first = await publish(client)
    second = await publish(client, description="the second")
    assert (first["name"], first["parent"], first["status"]) == ("V001", None, "NORMAL")
    assert (second["name"], second["parent"]["name"], second["description"]) == ("V002", "V001", "the second")
    assert (second["isCurrent"], second["createdBy"], second["statistics"]["total"]) == (True, "ann", 6)
    found = await dataset(client)
    assert found["currentVersion"] == {"name": "V002"}
    assert [each["name"] for each in found["versions"]["nodes"]] == ["V002", "V001"]
    assert found["revision"] == 1


async def test_default_names_are_never_given_twice_and_skip_those_that_are_taken(client: DatasetClient) -> None:
    first = await publish(client)
    await publish(client, name="V002")
    await client.mutate("deleteVersion", "deletedVersionId", versionId=first["id"])
    third = await publish(client)
    await client.mutate("deleteVersion", "deletedVersionId", versionId=third["id"])
    assert (third["name"], (await publish(client))["name"]) == ("V003", "V004")


@pytest.mark.parametrize("name", ["", "a b", "x" * 33, "é", "a\n", "../V1"])
async def test_a_bad_name_is_refused(client: DatasetClient, name: str) -> None:
    assert (await client.refused("publishVersion", datasetId=client.dataset, name=name))["code"] == "INVALID_NAME"


async def test_a_name_that_is_taken_is_refused(client: DatasetClient) -> None:
    await publish(client, name="猫-1")
    refused = await client.refused("publishVersion", datasetId=client.dataset, name="猫-1")
    assert (refused["code"], refused["modelartsCode"]) == ("VERSION_ALREADY_EXISTS", "ModelArts.4371")


async def test_a_dataset_without_samples_is_not_published(client: DatasetClient) -> None:
    await client.mutate("deleteSamples", "deleted", datasetId=client.dataset, select={"all": True})
    assert (await client.refused("publishVersion", datasetId=client.dataset))["code"] == "EMPTY_VERSION"


async def test_an_unknown_dataset_or_version_is_not_found(client: DatasetClient) -> None:
    assert (await client.refused("publishVersion", datasetId="Dataset:99"))["code"] == "DATASET_NOT_FOUND"
    assert (await client.refused("deleteVersion", versionId="Version:99"))["code"] == "VERSION_NOT_FOUND"
    assert (await client.refused("setCurrentVersion", versionId="nonsense"))["code"] == "VERSION_NOT_FOUND"
    assert (await client.direct.execute(VERSION, {"v": "Version:99"}))["node"] is None


async def test_a_token_confined_to_other_datasets_sees_no_version(client: DatasetClient) -> None:
    version = await publish(client)
    stranger = client.confined_to(99)
    assert (await stranger.direct.execute(VERSION, {"v": version["id"]}))["node"] is None
    answer = await stranger.direct.answer(
        "mutation ($v: ID!) { deleteVersion(input: {versionId: $v}) { deletedVersionId } }", {"v": version["id"]}
    )
    assert answer["errors"][0]["extensions"]["code"] == "VERSION_NOT_FOUND"


async def test_a_version_answers_as_on_the_day_it_was_published(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1, 2)
    await label(client, ["dog"], 2, 3)
    version = await publish(client)
    before = await read(client, version)
    await client.mutate("renameLabel", "affectedSamples", labelId=client.label("cat"), name="Feline")
    await client.mutate("deleteLabels", "deletedSamples", labelIds=[client.label("dog")], mode="LABEL_AND_SAMPLES")
    await label(client, ["Feline"], 4, 5)
    await client.mutate("deleteSamples", "deleted", datasetId=client.dataset, select={"ids": client.ids(0, 4)})
    assert await read(client, version) == before
    assert [each["name"] for each in before["labels"]] == ["cat", "dog"]
    assert [each["sampleCount"] for each in before["labels"]] == [3, 2]
    assert before["statistics"] == {"total": 6, "labeled": 4, "unlabeled": 2, "pending": 0}


async def test_samples_of_a_version_whose_files_are_gone_say_so(client: DatasetClient) -> None:
    version = await publish(client)
    deleted = await client.mutate(
        "deleteSamples",
        "warnings { sampleCount versions { name } }",
        datasetId=client.dataset,
        select={"ids": client.ids(1)},
        deleteSources=True,
    )
    async with client.direct.database.writing() as session:
        await sql.run(session, "UPDATE source SET status = 'GONE' WHERE path = '000001.jpg'")
    assert deleted["warnings"] == [{"sampleCount": 1, "versions": [{"name": "V001"}]}]
    found = await read(client, version)
    assert [each["sourceAvailable"] for each in found["samples"]["nodes"]] == [True, False, True, True, True, True]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ({"labels": {"names": ["cat"]}}, [0, 1, 2]),
        ({"labels": {"names": ["cat", "dog"], "match": "ALL"}}, [2]),
        ({"labels": {"names": ["cat", "dog"], "match": "NONE"}}, [4, 5]),
        ({"labels": {"names": ["Feline"]}}, []),
        ({"labels": {"names": ["Feline", "cat"], "match": "ALL"}}, []),
        ({"state": "LABELED"}, [0, 1, 2, 3]),
        ({"usage": "TRAIN"}, [0, 1, 2, 3]),
        ({"usage": "EVAL"}, []),
        ({"not": {"usage": "TRAIN"}}, [4, 5]),
        ({"fileName": {"contains": "3.JP"}}, [3]),
        ({"fileName": {"eq": "000004.jpg"}}, [4]),
        ({"path": {"contains": "00005"}}, [5]),
        ({"labeledBy": ["ann"]}, [0, 1, 2, 3]),
        ({"labeledBy": ["bob"]}, []),
        ({"hard": True}, []),
        ({"createdAt": {"to": "2026-01-01T00:01:00Z"}}, [0, 1]),
        ({"or": [{"labels": {"names": ["dog"]}}, {"state": "UNLABELED"}]}, [2, 3, 4, 5]),
    ],
)
async def test_a_version_is_filtered_as_the_working_set_was(
    client: DatasetClient, wanted: dict[str, Any], positions: list[int]
) -> None:
    await label(client, ["cat"], 0, 1, 2)
    await label(client, ["dog"], 2, 3)
    version = await publish(client)
    await client.mutate("renameLabel", "affectedSamples", labelId=client.label("cat"), name="Feline")
    await label(client.as_somebody("bob"), ["dog"], 0, 1, 2, 3, 4, mode="SET")
    await client.mutate("deleteSamples", "deleted", datasetId=client.dataset, select={"ids": client.ids(3, 5)})
    for order in ("OLDEST", "PATH"):
        samples = (await read(client, version, f=wanted, o=order))["samples"]
        assert [each["id"] for each in samples["nodes"]] == client.ids(*positions)
        assert samples["totalCount"] == len(positions)


async def test_pages_of_a_version_hold_each_sample_once_while_others_label(client: DatasetClient) -> None:
    version = await publish(client)
    query = """query ($v: ID!, $a: String) { node(id: $v) { ... on Version {
        samples(first: 2, after: $a) { nodes { id } pageInfo { hasNextPage endCursor } } } } }"""
    found: list[str] = []
    cursor, page = None, {}
    for position in range(3):
        page = (await client.direct.execute(query, {"v": version["id"], "a": cursor}))["node"]["samples"]
        found += [each["id"] for each in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"]
        await label(client, ["cat"], position, 5 - position)
    assert found == client.ids(5, 4, 3, 2, 1, 0)
    assert not page["pageInfo"]["hasNextPage"]


async def test_many_versions_are_read_with_their_samples_in_one_statement(client: DatasetClient) -> None:
    for position in range(3):
        await label(client, ["cat"], position)
        await publish(client)
    query = """query ($d: ID!) { dataset(by: {id: $d}) { currentVersion { name samples { totalCount } }
        versions { nodes { name samples(filter: {labels: {names: ["cat"]}}) {
            totalCount nodes { labels { name } } } } } } }"""
    found = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]
    assert found["currentVersion"] == {"name": "V003", "samples": {"totalCount": 6}}
    assert [each["samples"]["totalCount"] for each in found["versions"]["nodes"]] == [3, 2, 1]
    assert found["versions"]["nodes"][0]["samples"]["nodes"][0]["labels"] == [{"name": "cat"}]


async def test_whether_there_are_unpublished_changes_is_told(client: DatasetClient) -> None:
    assert (await dataset(client))["hasUnpublishedChanges"]
    await publish(client)
    assert not (await dataset(client))["hasUnpublishedChanges"]
    change = await label(client, ["cat"], 0)
    assert (await dataset(client))["hasUnpublishedChanges"]
    await client.mutate("undoChange", "change { id }", changeId=change)
    assert not (await dataset(client))["hasUnpublishedChanges"]


async def test_deleting_the_current_version_leaves_none_and_children_without_a_parent(client: DatasetClient) -> None:
    first, second = await publish(client), await publish(client)
    payload = await client.mutate(
        "deleteVersion", "deletedVersionId dataset { currentVersion { name } }", versionId=first["id"]
    )
    assert payload == {"deletedVersionId": first["id"], "dataset": {"currentVersion": {"name": "V002"}}}
    assert (await dataset(client))["versions"]["nodes"] == [{"name": "V002", "isCurrent": True, "parent": None}]
    await client.mutate("deleteVersion", "deletedVersionId", versionId=second["id"])
    found = await dataset(client)
    assert (found["currentVersion"], found["hasUnpublishedChanges"], found["statistics"]["total"]) == (None, True, 6)


# -- switching --------------------------------------------------------------------------------------------------------


async def test_switching_brings_back_samples_labels_names_and_ids(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    version = await publish(client)
    before = await dataset(client)
    await client.mutate("renameLabel", "affectedSamples", labelId=client.label("cat"), name="Feline")
    await client.mutate("createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": "cat"}])
    await label(client, ["cat"], 1, 2, mode="SET")
    await client.mutate("deleteLabels", "deletedSamples", labelIds=[client.label("dog")], mode="LABEL_ONLY")
    await client.mutate("deleteSamples", "deleted", datasetId=client.dataset, select={"ids": client.ids(0)})
    payload = await client.mutate(
        "setCurrentVersion",
        "dataset { revision hasUnpublishedChanges }",
        versionId=version["id"],
        onUnpublished="DISCARD",
    )
    assert payload["dataset"] == {"revision": 8, "hasUnpublishedChanges": False}
    after = await dataset(client)
    assert {**after, "revision": 0} == {**before, "revision": 0}
    assert await client.labelled() == {0: ["cat"], 1: ["cat"], 2: [], 3: [], 4: [], 5: []}
    await client.check()


async def test_switching_is_refused_while_there_are_unpublished_changes(client: DatasetClient) -> None:
    version = await publish(client)
    await label(client, ["cat"], 0)
    refused = await client.refused("setCurrentVersion", versionId=version["id"])
    assert (refused["code"], refused["details"]["revision"]) == ("UNPUBLISHED_CHANGES", 2)


async def test_switching_twice_changes_nothing_the_second_time(client: DatasetClient) -> None:
    version = await publish(client)
    await label(client, ["cat"], 0)
    await publish(client)
    for _ in range(2):
        payload = await client.mutate("setCurrentVersion", "dataset { revision }", versionId=version["id"])
        assert payload["dataset"]["revision"] == 3


async def test_a_switch_is_undone_with_what_the_working_set_was_based_on(client: DatasetClient) -> None:
    version = await publish(client)
    await label(client, ["cat"], 0)
    await publish(client)
    await client.mutate("setCurrentVersion", "dataset { revision }", versionId=version["id"])
    query = "query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 1) { nodes { id kind } } } }"
    [change] = (await client.direct.execute(query, {"d": client.dataset}))["dataset"]["changes"]["nodes"]
    assert change["kind"] == "SET_CURRENT_VERSION"
    await client.mutate("undoChange", "change { id }", changeId=change["id"])
    found = await dataset(client)
    assert (found["currentVersion"], found["hasUnpublishedChanges"]) == ({"name": "V002"}, False)
    assert (await client.labelled())[0] == ["cat"]


async def test_publishing_and_switching_wait_for_a_sync(client: DatasetClient) -> None:
    version = await publish(client)
    payload = await client.mutate("syncDataset", "job { id }", datasetId=client.dataset)
    for field, input in (
        ("publishVersion", {"datasetId": client.dataset}),
        ("setCurrentVersion", {"versionId": version["id"]}),
    ):
        refused = await client.refused(field, **input)
        assert (refused["code"], refused["details"]["jobId"]) == ("DATASET_BUSY", payload["job"]["id"])


# -- splitting --------------------------------------------------------------------------------------------------------

USAGE = "version { id samples(first: 100, orderBy: OLDEST) { nodes { id usage labels { name } } } }"


async def split(client: DatasetClient, ratio: float, seed: int = 0) -> dict[str, str | None]:
    payload = await client.mutate(
        "publishVersion", USAGE, datasetId=client.dataset, split={"trainRatio": ratio, "seed": seed}
    )
    return {each["id"]: each["usage"] for each in payload["version"]["samples"]["nodes"]}


async def test_a_split_is_exact_stratified_and_the_same_for_a_seed(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    await label(client, ["dog"], 2, 3)
    found = await split(client, 0.5, seed=7)
    cats, dogs = [found[id] for id in client.ids(0, 1)], [found[id] for id in client.ids(2, 3)]
    assert (sorted(map(str, cats)), sorted(map(str, dogs))) == (["EVAL", "TRAIN"], ["EVAL", "TRAIN"])
    assert [found[id] for id in client.ids(4, 5)] == [None, None]
    assert await split(client, 0.5, seed=7) == found
    assert {tuple((await split(client, 0.5, seed=seed)).values()) for seed in range(8)} != {tuple(found.values())}


@pytest.mark.parametrize(("ratio", "usage"), [(0, "EVAL"), (1, "TRAIN")])
async def test_a_split_may_leave_a_side_empty_when_asked_to(client: DatasetClient, ratio: float, usage: str) -> None:
    await label(client, ["cat"], 0)
    assert (await split(client, ratio))[client.ids(0)[0]] == usage


async def test_a_label_on_one_sample_cannot_be_split(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    await label(client, ["dog"], 2)
    refused = await client.refused("publishVersion", datasetId=client.dataset, split={"trainRatio": 0.8})
    assert (refused["code"], refused["details"]["labels"]) == ("SPLIT_CONDITIONS_NOT_MET", ["dog"])


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
async def test_a_ratio_outside_of_its_bounds_is_refused(client: DatasetClient, ratio: float) -> None:
    refused = await client.refused("publishVersion", datasetId=client.dataset, split={"trainRatio": ratio})
    assert refused["code"] == "VALIDATION_FAILED"


# -- comparing --------------------------------------------------------------------------------------------------------


async def test_versions_and_the_working_set_are_compared_in_both_directions(client: DatasetClient) -> None:
    await label(client, ["cat"], 0, 1)
    first = await publish(client)
    await label(client, ["dog"], 1, mode="SET")
    await client.mutate("deleteSamples", "deleted", datasetId=client.dataset, select={"ids": client.ids(0)})
    second = await publish(client)
    relabeled = {"kind": "RELABELED", "sample": {"id": client.ids(1)[0]}}
    gone = {"sample": {"id": client.ids(0)[0]}}
    forth = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": first["id"], "h": second["id"]}))[
        "dataset"
    ]
    assert forth["compare"] == {
        "added": 0,
        "removed": 1,
        "relabeled": 1,
        "changes": {
            "totalCount": 2,
            "nodes": [
                {"kind": "REMOVED", "labelsAdded": [], "labelsRemoved": ["cat"], **gone},
                {"labelsAdded": ["dog"], "labelsRemoved": ["cat"], **relabeled},
            ],
        },
    }
    back = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": second["id"], "h": first["id"]}))["dataset"]
    assert back["compare"]["changes"]["nodes"] == [
        {"kind": "ADDED", "labelsAdded": ["cat"], "labelsRemoved": [], **gone},
        {"labelsAdded": ["cat"], "labelsRemoved": ["dog"], **relabeled},
    ]
    working = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": first["id"], "h": None}))["dataset"]
    assert working == forth
    same = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": first["id"], "h": first["id"]}))["dataset"]
    assert same["compare"]["changes"] == {"totalCount": 0, "nodes": []}


async def test_what_was_changed_and_changed_back_is_no_difference(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    version = await publish(client)
    await label(client, ["dog"], 0, mode="SET")
    await label(client, ["cat"], 0, mode="SET")
    await client.mutate("renameLabel", "affectedSamples", labelId=client.label("cat"), name="Feline")
    found = (await client.direct.execute(COMPARE, {"d": client.dataset, "b": version["id"]}))["dataset"]["compare"]
    assert (found["added"], found["removed"], found["relabeled"]) == (0, 0, 0)


async def test_changes_of_a_comparison_come_page_by_page_and_by_kind(client: DatasetClient) -> None:
    version = await publish(client)
    await label(client, ["cat"], 0, 1, 2)
    query = """query ($d: ID!, $b: ID!, $a: String) { dataset(by: {id: $d}) { compare(base: $b) {
        changes(first: 2, after: $a, kind: RELABELED) { nodes { sample { id } } pageInfo { hasNextPage endCursor } }
        removed: changes(kind: REMOVED) { totalCount } } } }"""
    values = {"d": client.dataset, "b": version["id"]}
    first = (await client.direct.execute(query, values))["dataset"]["compare"]
    assert first["removed"] == {"totalCount": 0}
    assert first["changes"]["pageInfo"]["hasNextPage"]
    cursor = first["changes"]["pageInfo"]["endCursor"]
    second = (await client.direct.execute(query, {**values, "a": cursor}))["dataset"]["compare"]
    ids = [each["sample"]["id"] for page in (first, second) for each in page["changes"]["nodes"]]
    assert ids == client.ids(0, 1, 2)


async def test_comparing_with_an_unknown_version_is_refused(client: DatasetClient) -> None:
    with pytest.raises(Failed) as failed:
        await client.direct.execute(COMPARE, {"d": client.dataset, "b": "Version:99"})
    assert failed.value.codes == ["VERSION_NOT_FOUND"]


# -- together ---------------------------------------------------------------------------------------------------------


async def test_a_version_never_holds_half_an_operation(client: DatasetClient) -> None:
    """Each operation labels samples 0 and 1 alike, so in every version they are alike."""
    ids = client.dataset_rows.id

    async def work(names: list[str]) -> None:
        for turn in range(15):
            await label(client, [names[turn % 2]], 0, 1, mode="SET")

    async def publishing() -> list[int]:
        made = []
        for _ in range(15):
            outcome = await write(
                client.direct.database,
                lambda session: versions.publish(session, ids, by=client.direct.identity),
                versions.Published,
            )
            made.append(outcome.version)
        return made

    _, _, made = await asyncio.gather(work(["cat", "dog"]), work(["dog", "cat"]), publishing())
    for version in made:
        found = await read(client, {"id": f"Version:{version}"})
        first, second = found["samples"]["nodes"][:2]
        assert first["labels"] == second["labels"]
        carrying = {name["name"]: name["sampleCount"] for name in found["labels"]}
        assert sum(carrying.values()) == found["statistics"]["labeled"] in (0, 2)
    await client.check()


async def test_a_retried_publication_is_carried_out_once(client: DatasetClient) -> None:
    first = await client.mutate("publishVersion", "version { name }", key="k1", datasetId=client.dataset)
    again = await client.mutate("publishVersion", "version { name }", key="k1", datasetId=client.dataset)
    assert first == again
    assert (await dataset(client))["versions"]["totalCount"] == 1


LOOKS = """query ($d: ID!, $b: ID!, $h: ID) { dataset(by: {id: $d}) { hasUnpublishedChanges
    compare(base: $b, head: $h) { added removed relabeled edited
        labels { labelId before { name color shortcut } after { name color } } } } }"""


async def looked_at(client: DatasetClient, base: str, head: str | None = None) -> Any:
    return (await client.direct.execute(LOOKS, {"d": client.dataset, "b": base, "h": head}))["dataset"]


async def test_what_became_of_labels_is_told_by_a_comparison_in_both_directions(client: DatasetClient) -> None:
    await label(client, ["cat"], 0)
    first = await publish(client)
    cat, dog = client.label("cat"), client.label("dog")
    await client.mutate("updateLabel", "label { id }", labelId=cat, color="#00ff00", shortcut="c")
    await client.mutate("deleteLabels", "affectedSamples", labelIds=[dog], mode="LABEL_ONLY")
    made = await client.mutate("createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": "bird"}])
    second = await publish(client)
    plain, green = {"name": "cat", "color": None}, {"name": "cat", "color": "#00ff00"}
    forth = (await looked_at(client, first["id"], second["id"]))["compare"]
    assert [forth[name] for name in ("added", "removed", "relabeled", "edited")] == [0, 0, 0, 0]
    assert forth["labels"] == [
        {"labelId": cat, "before": plain | {"shortcut": None}, "after": green},
        {"labelId": dog, "before": {"name": "dog", "color": None, "shortcut": None}, "after": None},
        {"labelId": made["labels"][0]["id"], "before": None, "after": {"name": "bird", "color": None}},
    ]
    back = (await looked_at(client, second["id"], first["id"]))["compare"]["labels"]
    assert back[0] == {"labelId": cat, "before": green | {"shortcut": "c"}, "after": plain}
    assert (await looked_at(client, second["id"]))["compare"]["labels"] == []
    assert (await looked_at(client, first["id"]))["compare"]["labels"] == forth["labels"]


@pytest.mark.parametrize("deed", ["color", "rename", "made", "deleted", "labels", "mark", "nothing"])
async def test_unpublished_changes_and_the_comparison_with_the_version_agree(client: DatasetClient, deed: str) -> None:
    await label(client, ["cat"], 0)
    version = await publish(client)
    cat, dog = client.label("cat"), client.label("dog")
    match deed:
        case "color":
            await client.mutate("updateLabel", "label { id }", labelId=cat, color="#00ff00")
        case "rename":
            await client.mutate("renameLabel", "affectedSamples", labelId=cat, name="Feline")
        case "made":
            await client.mutate("createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": "bird"}])
        case "deleted":
            await client.mutate("deleteLabels", "affectedSamples", labelIds=[dog], mode="LABEL_ONLY")
        case "labels":
            await label(client, ["dog"], 0)
        case "mark":
            async with client.direct.database.writing() as session:
                change = await changes.record(session, client.dataset_rows.id, kind="IMPORT", actor="ann", summary="x")
                statement = "UPDATE sample SET hard = true, since = :since WHERE id = :id"
                await sql.run(session, statement, since=change.revision, id=client.dataset_rows.samples[1])
    found = await looked_at(client, version["id"])
    differs = any(found["compare"][name] for name in ("added", "removed", "relabeled", "edited", "labels"))
    assert found["hasUnpublishedChanges"] == differs == (deed != "nothing")
