"""Publishing, reading, comparing, switching, deleting: what a client sees of versions."""

import asyncio
from typing import Any

import pytest

from db.history import changes, versions
from db.history.transactions import write
from db.postgres import sql
from tests.client import Failed
from tests.schema.mutation_fixture import Stage

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


async def publish(stage: Stage, **input: Any) -> dict[str, Any]:
    payload = await stage.do("publishVersion", PUBLISH, datasetId=stage.dataset, **input)
    return payload["version"]  # type: ignore[no-any-return]


async def label(stage: Stage, names: list[str], *places: int, mode: str = "ADD") -> str:
    """The id of the change; empty if nothing changed."""
    payload = await stage.do(
        "labelSamples",
        "change { id }",
        datasetId=stage.dataset,
        select={"ids": stage.ids(*places)},
        labels=names,
        mode=mode,
    )
    return str((payload["change"] or {"id": ""})["id"])


async def read(stage: Stage, version: dict[str, Any], **variables: Any) -> Any:
    return (await stage.direct.execute(VERSION, {"v": version["id"], **variables}))["node"]


async def dataset(stage: Stage) -> Any:
    return (await stage.direct.execute(DATASET, {"d": stage.dataset}))["dataset"]


async def test_a_version_gets_the_next_default_name_and_becomes_current(stage: Stage) -> None:
    first = await publish(stage)
    second = await publish(stage, description="the second")
    assert (first["name"], first["parent"], first["status"]) == ("V001", None, "NORMAL")
    assert (second["name"], second["parent"]["name"], second["description"]) == ("V002", "V001", "the second")
    assert (second["isCurrent"], second["createdBy"], second["statistics"]["total"]) == (True, "ann", 6)
    found = await dataset(stage)
    assert found["currentVersion"] == {"name": "V002"}
    assert [each["name"] for each in found["versions"]["nodes"]] == ["V002", "V001"]
    assert found["revision"] == 1


async def test_default_names_are_never_given_twice_and_skip_those_that_are_taken(stage: Stage) -> None:
    first = await publish(stage)
    await publish(stage, name="V002")
    await stage.do("deleteVersion", "deletedVersionId", versionId=first["id"])
    third = await publish(stage)
    await stage.do("deleteVersion", "deletedVersionId", versionId=third["id"])
    assert (third["name"], (await publish(stage))["name"]) == ("V003", "V004")


@pytest.mark.parametrize("name", ["", "a b", "x" * 33, "é", "a\n", "../V1"])
async def test_a_bad_name_is_refused(stage: Stage, name: str) -> None:
    assert (await stage.refused("publishVersion", datasetId=stage.dataset, name=name))["code"] == "INVALID_NAME"


async def test_a_name_that_is_taken_is_refused(stage: Stage) -> None:
    await publish(stage, name="猫-1")
    refused = await stage.refused("publishVersion", datasetId=stage.dataset, name="猫-1")
    assert (refused["code"], refused["modelartsCode"]) == ("VERSION_ALREADY_EXISTS", "ModelArts.4371")


async def test_a_dataset_without_samples_is_not_published(stage: Stage) -> None:
    await stage.do("deleteSamples", "deleted", datasetId=stage.dataset, select={"all": True})
    assert (await stage.refused("publishVersion", datasetId=stage.dataset))["code"] == "EMPTY_VERSION"


async def test_an_unknown_dataset_or_version_is_not_found(stage: Stage) -> None:
    assert (await stage.refused("publishVersion", datasetId="Dataset:99"))["code"] == "DATASET_NOT_FOUND"
    assert (await stage.refused("deleteVersion", versionId="Version:99"))["code"] == "VERSION_NOT_FOUND"
    assert (await stage.refused("setCurrentVersion", versionId="nonsense"))["code"] == "VERSION_NOT_FOUND"
    assert (await stage.direct.execute(VERSION, {"v": "Version:99"}))["node"] is None


async def test_a_token_confined_to_other_datasets_sees_no_version(stage: Stage) -> None:
    version = await publish(stage)
    stranger = stage.confined_to(99)
    assert (await stranger.direct.execute(VERSION, {"v": version["id"]}))["node"] is None
    answer = await stranger.direct.answer(
        "mutation ($v: ID!) { deleteVersion(input: {versionId: $v}) { deletedVersionId } }", {"v": version["id"]}
    )
    assert answer["errors"][0]["extensions"]["code"] == "VERSION_NOT_FOUND"


async def test_a_version_answers_as_on_the_day_it_was_published(stage: Stage) -> None:
    await label(stage, ["cat"], 0, 1, 2)
    await label(stage, ["dog"], 2, 3)
    version = await publish(stage)
    before = await read(stage, version)
    await stage.do("renameLabel", "affectedSamples", labelId=stage.label("cat"), name="Feline")
    await stage.do("deleteLabels", "deletedSamples", labelIds=[stage.label("dog")], mode="LABEL_AND_SAMPLES")
    await label(stage, ["Feline"], 4, 5)
    await stage.do("deleteSamples", "deleted", datasetId=stage.dataset, select={"ids": stage.ids(0, 4)})
    assert await read(stage, version) == before
    assert [each["name"] for each in before["labels"]] == ["cat", "dog"]
    assert [each["sampleCount"] for each in before["labels"]] == [3, 2]
    assert before["statistics"] == {"total": 6, "labeled": 4, "unlabeled": 2, "pending": 0}


async def test_samples_of_a_version_whose_files_are_gone_say_so(stage: Stage) -> None:
    version = await publish(stage)
    deleted = await stage.do(
        "deleteSamples",
        "warnings { sampleCount versions { name } }",
        datasetId=stage.dataset,
        select={"ids": stage.ids(1)},
        deleteSources=True,
    )
    async with stage.direct.database.writing() as session:
        await sql.run(session, "UPDATE source SET status = 'GONE' WHERE path = '000001.jpg'")
    assert deleted["warnings"] == [{"sampleCount": 1, "versions": [{"name": "V001"}]}]
    found = await read(stage, version)
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
    stage: Stage, wanted: dict[str, Any], places: list[int]
) -> None:
    await label(stage, ["cat"], 0, 1, 2)
    await label(stage, ["dog"], 2, 3)
    version = await publish(stage)
    await stage.do("renameLabel", "affectedSamples", labelId=stage.label("cat"), name="Feline")
    await label(stage.as_somebody("bob"), ["dog"], 0, 1, 2, 3, 4, mode="SET")
    await stage.do("deleteSamples", "deleted", datasetId=stage.dataset, select={"ids": stage.ids(3, 5)})
    for order in ("OLDEST", "PATH"):
        samples = (await read(stage, version, f=wanted, o=order))["samples"]
        assert [each["id"] for each in samples["nodes"]] == stage.ids(*places)
        assert samples["totalCount"] == len(places)


async def test_pages_of_a_version_hold_each_sample_once_while_others_label(stage: Stage) -> None:
    version = await publish(stage)
    query = """query ($v: ID!, $a: String) { node(id: $v) { ... on Version {
        samples(first: 2, after: $a) { nodes { id } pageInfo { hasNextPage endCursor } } } } }"""
    found: list[str] = []
    cursor, page = None, {}
    for place in range(3):
        page = (await stage.direct.execute(query, {"v": version["id"], "a": cursor}))["node"]["samples"]
        found += [each["id"] for each in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"]
        await label(stage, ["cat"], place, 5 - place)
    assert found == stage.ids(5, 4, 3, 2, 1, 0)
    assert not page["pageInfo"]["hasNextPage"]


async def test_many_versions_are_read_with_their_samples_in_one_statement(stage: Stage) -> None:
    for place in range(3):
        await label(stage, ["cat"], place)
        await publish(stage)
    query = """query ($d: ID!) { dataset(by: {id: $d}) { currentVersion { name samples { totalCount } }
        versions { nodes { name samples(filter: {labels: {names: ["cat"]}}) {
            totalCount nodes { labels { name } } } } } } }"""
    found = (await stage.direct.execute(query, {"d": stage.dataset}))["dataset"]
    assert found["currentVersion"] == {"name": "V003", "samples": {"totalCount": 6}}
    assert [each["samples"]["totalCount"] for each in found["versions"]["nodes"]] == [3, 2, 1]
    assert found["versions"]["nodes"][0]["samples"]["nodes"][0]["labels"] == [{"name": "cat"}]


async def test_whether_there_are_unpublished_changes_is_told(stage: Stage) -> None:
    assert (await dataset(stage))["hasUnpublishedChanges"]
    await publish(stage)
    assert not (await dataset(stage))["hasUnpublishedChanges"]
    change = await label(stage, ["cat"], 0)
    assert (await dataset(stage))["hasUnpublishedChanges"]
    await stage.do("undoChange", "change { id }", changeId=change)
    assert not (await dataset(stage))["hasUnpublishedChanges"]


async def test_deleting_the_current_version_leaves_none_and_children_without_a_parent(stage: Stage) -> None:
    first, second = await publish(stage), await publish(stage)
    payload = await stage.do(
        "deleteVersion", "deletedVersionId dataset { currentVersion { name } }", versionId=first["id"]
    )
    assert payload == {"deletedVersionId": first["id"], "dataset": {"currentVersion": {"name": "V002"}}}
    assert (await dataset(stage))["versions"]["nodes"] == [{"name": "V002", "isCurrent": True, "parent": None}]
    await stage.do("deleteVersion", "deletedVersionId", versionId=second["id"])
    found = await dataset(stage)
    assert (found["currentVersion"], found["hasUnpublishedChanges"], found["statistics"]["total"]) == (None, True, 6)


# -- switching --------------------------------------------------------------------------------------------------------


async def test_switching_brings_back_samples_labels_names_and_ids(stage: Stage) -> None:
    await label(stage, ["cat"], 0, 1)
    version = await publish(stage)
    before = await dataset(stage)
    await stage.do("renameLabel", "affectedSamples", labelId=stage.label("cat"), name="Feline")
    await stage.do("createLabels", "labels { id }", datasetId=stage.dataset, labels=[{"name": "cat"}])
    await label(stage, ["cat"], 1, 2, mode="SET")
    await stage.do("deleteLabels", "deletedSamples", labelIds=[stage.label("dog")], mode="LABEL_ONLY")
    await stage.do("deleteSamples", "deleted", datasetId=stage.dataset, select={"ids": stage.ids(0)})
    payload = await stage.do(
        "setCurrentVersion",
        "dataset { revision hasUnpublishedChanges }",
        versionId=version["id"],
        onUnpublished="DISCARD",
    )
    assert payload["dataset"] == {"revision": 8, "hasUnpublishedChanges": False}
    after = await dataset(stage)
    assert {**after, "revision": 0} == {**before, "revision": 0}
    assert await stage.labelled() == {0: ["cat"], 1: ["cat"], 2: [], 3: [], 4: [], 5: []}
    await stage.check()


async def test_switching_is_refused_while_there_are_unpublished_changes(stage: Stage) -> None:
    version = await publish(stage)
    await label(stage, ["cat"], 0)
    refused = await stage.refused("setCurrentVersion", versionId=version["id"])
    assert (refused["code"], refused["details"]["revision"]) == ("UNPUBLISHED_CHANGES", 2)


async def test_switching_twice_changes_nothing_the_second_time(stage: Stage) -> None:
    version = await publish(stage)
    await label(stage, ["cat"], 0)
    await publish(stage)
    for _ in range(2):
        payload = await stage.do("setCurrentVersion", "dataset { revision }", versionId=version["id"])
        assert payload["dataset"]["revision"] == 3


async def test_a_switch_is_undone_with_what_the_working_set_was_based_on(stage: Stage) -> None:
    version = await publish(stage)
    await label(stage, ["cat"], 0)
    await publish(stage)
    await stage.do("setCurrentVersion", "dataset { revision }", versionId=version["id"])
    query = "query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 1) { nodes { id kind } } } }"
    [change] = (await stage.direct.execute(query, {"d": stage.dataset}))["dataset"]["changes"]["nodes"]
    assert change["kind"] == "SET_CURRENT_VERSION"
    await stage.do("undoChange", "change { id }", changeId=change["id"])
    found = await dataset(stage)
    assert (found["currentVersion"], found["hasUnpublishedChanges"]) == ({"name": "V002"}, False)
    assert (await stage.labelled())[0] == ["cat"]


async def test_publishing_and_switching_wait_for_a_sync(stage: Stage) -> None:
    version = await publish(stage)
    payload = await stage.do("syncDataset", "job { id }", datasetId=stage.dataset)
    for field, input in (
        ("publishVersion", {"datasetId": stage.dataset}),
        ("setCurrentVersion", {"versionId": version["id"]}),
    ):
        refused = await stage.refused(field, **input)
        assert (refused["code"], refused["details"]["jobId"]) == ("DATASET_BUSY", payload["job"]["id"])


# -- splitting --------------------------------------------------------------------------------------------------------

USAGE = "version { id samples(first: 100, orderBy: OLDEST) { nodes { id usage labels { name } } } }"


async def split(stage: Stage, ratio: float, seed: int = 0) -> dict[str, str | None]:
    payload = await stage.do(
        "publishVersion", USAGE, datasetId=stage.dataset, split={"trainRatio": ratio, "seed": seed}
    )
    return {each["id"]: each["usage"] for each in payload["version"]["samples"]["nodes"]}


async def test_a_split_is_exact_stratified_and_the_same_for_a_seed(stage: Stage) -> None:
    await label(stage, ["cat"], 0, 1)
    await label(stage, ["dog"], 2, 3)
    found = await split(stage, 0.5, seed=7)
    cats, dogs = [found[id] for id in stage.ids(0, 1)], [found[id] for id in stage.ids(2, 3)]
    assert (sorted(map(str, cats)), sorted(map(str, dogs))) == (["EVAL", "TRAIN"], ["EVAL", "TRAIN"])
    assert [found[id] for id in stage.ids(4, 5)] == [None, None]
    assert await split(stage, 0.5, seed=7) == found
    assert {tuple((await split(stage, 0.5, seed=seed)).values()) for seed in range(8)} != {tuple(found.values())}


@pytest.mark.parametrize(("ratio", "usage"), [(0, "EVAL"), (1, "TRAIN")])
async def test_a_split_may_leave_a_side_empty_when_asked_to(stage: Stage, ratio: float, usage: str) -> None:
    await label(stage, ["cat"], 0)
    assert (await split(stage, ratio))[stage.ids(0)[0]] == usage


async def test_a_label_on_one_sample_cannot_be_split(stage: Stage) -> None:
    await label(stage, ["cat"], 0, 1)
    await label(stage, ["dog"], 2)
    refused = await stage.refused("publishVersion", datasetId=stage.dataset, split={"trainRatio": 0.8})
    assert (refused["code"], refused["details"]["labels"]) == ("SPLIT_CONDITIONS_NOT_MET", ["dog"])


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
async def test_a_ratio_outside_of_its_bounds_is_refused(stage: Stage, ratio: float) -> None:
    refused = await stage.refused("publishVersion", datasetId=stage.dataset, split={"trainRatio": ratio})
    assert refused["code"] == "VALIDATION_FAILED"


# -- comparing --------------------------------------------------------------------------------------------------------


async def test_versions_and_the_working_set_are_compared_in_both_directions(stage: Stage) -> None:
    await label(stage, ["cat"], 0, 1)
    first = await publish(stage)
    await label(stage, ["dog"], 1, mode="SET")
    await stage.do("deleteSamples", "deleted", datasetId=stage.dataset, select={"ids": stage.ids(0)})
    second = await publish(stage)
    relabeled = {"kind": "RELABELED", "sample": {"id": stage.ids(1)[0]}}
    gone = {"sample": {"id": stage.ids(0)[0]}}
    forth = (await stage.direct.execute(COMPARE, {"d": stage.dataset, "b": first["id"], "h": second["id"]}))["dataset"]
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
    back = (await stage.direct.execute(COMPARE, {"d": stage.dataset, "b": second["id"], "h": first["id"]}))["dataset"]
    assert back["compare"]["changes"]["nodes"] == [
        {"kind": "ADDED", "labelsAdded": ["cat"], "labelsRemoved": [], **gone},
        {"labelsAdded": ["cat"], "labelsRemoved": ["dog"], **relabeled},
    ]
    working = (await stage.direct.execute(COMPARE, {"d": stage.dataset, "b": first["id"], "h": None}))["dataset"]
    assert working == forth
    same = (await stage.direct.execute(COMPARE, {"d": stage.dataset, "b": first["id"], "h": first["id"]}))["dataset"]
    assert same["compare"]["changes"] == {"totalCount": 0, "nodes": []}


async def test_what_was_changed_and_changed_back_is_no_difference(stage: Stage) -> None:
    await label(stage, ["cat"], 0)
    version = await publish(stage)
    await label(stage, ["dog"], 0, mode="SET")
    await label(stage, ["cat"], 0, mode="SET")
    await stage.do("renameLabel", "affectedSamples", labelId=stage.label("cat"), name="Feline")
    found = (await stage.direct.execute(COMPARE, {"d": stage.dataset, "b": version["id"]}))["dataset"]["compare"]
    assert (found["added"], found["removed"], found["relabeled"]) == (0, 0, 0)


async def test_changes_of_a_comparison_come_page_by_page_and_by_kind(stage: Stage) -> None:
    version = await publish(stage)
    await label(stage, ["cat"], 0, 1, 2)
    query = """query ($d: ID!, $b: ID!, $a: String) { dataset(by: {id: $d}) { compare(base: $b) {
        changes(first: 2, after: $a, kind: RELABELED) { nodes { sample { id } } pageInfo { hasNextPage endCursor } }
        removed: changes(kind: REMOVED) { totalCount } } } }"""
    values = {"d": stage.dataset, "b": version["id"]}
    first = (await stage.direct.execute(query, values))["dataset"]["compare"]
    assert first["removed"] == {"totalCount": 0}
    assert first["changes"]["pageInfo"]["hasNextPage"]
    cursor = first["changes"]["pageInfo"]["endCursor"]
    second = (await stage.direct.execute(query, {**values, "a": cursor}))["dataset"]["compare"]
    ids = [each["sample"]["id"] for page in (first, second) for each in page["changes"]["nodes"]]
    assert ids == stage.ids(0, 1, 2)


async def test_comparing_with_an_unknown_version_is_refused(stage: Stage) -> None:
    with pytest.raises(Failed) as failed:
        await stage.direct.execute(COMPARE, {"d": stage.dataset, "b": "Version:99"})
    assert failed.value.codes == ["VERSION_NOT_FOUND"]


# -- together ---------------------------------------------------------------------------------------------------------


async def test_a_version_never_holds_half_an_operation(stage: Stage) -> None:
    """Each operation labels samples 0 and 1 alike, so in every version they are alike."""
    ids = stage.dataset_rows.id

    async def work(names: list[str]) -> None:
        for turn in range(15):
            await label(stage, [names[turn % 2]], 0, 1, mode="SET")

    async def publishing() -> list[int]:
        made = []
        for _ in range(15):
            outcome = await write(
                stage.direct.database,
                lambda session: versions.publish(session, ids, by=stage.direct.identity),
                versions.Published,
            )
            made.append(outcome.version)
        return made

    _, _, made = await asyncio.gather(work(["cat", "dog"]), work(["dog", "cat"]), publishing())
    for version in made:
        found = await read(stage, {"id": f"Version:{version}"})
        first, second = found["samples"]["nodes"][:2]
        assert first["labels"] == second["labels"]
        carrying = {name["name"]: name["sampleCount"] for name in found["labels"]}
        assert sum(carrying.values()) == found["statistics"]["labeled"] in (0, 2)
    await stage.check()


async def test_a_retried_publication_is_carried_out_once(stage: Stage) -> None:
    first = await stage.do("publishVersion", "version { name }", key="k1", datasetId=stage.dataset)
    again = await stage.do("publishVersion", "version { name }", key="k1", datasetId=stage.dataset)
    assert first == again
    assert (await dataset(stage))["versions"]["totalCount"] == 1


LOOKS = """query ($d: ID!, $b: ID!, $h: ID) { dataset(by: {id: $d}) { hasUnpublishedChanges
    compare(base: $b, head: $h) { added removed relabeled edited
        labels { labelId before { name color shortcut } after { name color } } } } }"""


async def looked_at(stage: Stage, base: str, head: str | None = None) -> Any:
    return (await stage.direct.execute(LOOKS, {"d": stage.dataset, "b": base, "h": head}))["dataset"]


async def test_what_became_of_labels_is_told_by_a_comparison_in_both_directions(stage: Stage) -> None:
    await label(stage, ["cat"], 0)
    first = await publish(stage)
    cat, dog = stage.label("cat"), stage.label("dog")
    await stage.do("updateLabel", "label { id }", labelId=cat, color="#00ff00", shortcut="c")
    await stage.do("deleteLabels", "affectedSamples", labelIds=[dog], mode="LABEL_ONLY")
    made = await stage.do("createLabels", "labels { id }", datasetId=stage.dataset, labels=[{"name": "bird"}])
    second = await publish(stage)
    plain, green = {"name": "cat", "color": None}, {"name": "cat", "color": "#00ff00"}
    forth = (await looked_at(stage, first["id"], second["id"]))["compare"]
    assert [forth[name] for name in ("added", "removed", "relabeled", "edited")] == [0, 0, 0, 0]
    assert forth["labels"] == [
        {"labelId": cat, "before": plain | {"shortcut": None}, "after": green},
        {"labelId": dog, "before": {"name": "dog", "color": None, "shortcut": None}, "after": None},
        {"labelId": made["labels"][0]["id"], "before": None, "after": {"name": "bird", "color": None}},
    ]
    back = (await looked_at(stage, second["id"], first["id"]))["compare"]["labels"]
    assert back[0] == {"labelId": cat, "before": green | {"shortcut": "c"}, "after": plain}
    assert (await looked_at(stage, second["id"]))["compare"]["labels"] == []
    assert (await looked_at(stage, first["id"]))["compare"]["labels"] == forth["labels"]


@pytest.mark.parametrize("deed", ["color", "rename", "made", "deleted", "labels", "mark", "nothing"])
async def test_unpublished_changes_and_the_comparison_with_the_version_agree(stage: Stage, deed: str) -> None:
    await label(stage, ["cat"], 0)
    version = await publish(stage)
    cat, dog = stage.label("cat"), stage.label("dog")
    match deed:
        case "color":
            await stage.do("updateLabel", "label { id }", labelId=cat, color="#00ff00")
        case "rename":
            await stage.do("renameLabel", "affectedSamples", labelId=cat, name="Feline")
        case "made":
            await stage.do("createLabels", "labels { id }", datasetId=stage.dataset, labels=[{"name": "bird"}])
        case "deleted":
            await stage.do("deleteLabels", "affectedSamples", labelIds=[dog], mode="LABEL_ONLY")
        case "labels":
            await label(stage, ["dog"], 0)
        case "mark":
            async with stage.direct.database.writing() as session:
                change = await changes.record(session, stage.dataset_rows.id, kind="IMPORT", actor="ann", summary="x")
                statement = "UPDATE sample SET hard = true, since = :since WHERE id = :id"
                await sql.run(session, statement, since=change.revision, id=stage.dataset_rows.samples[1])
    found = await looked_at(stage, version["id"])
    differs = any(found["compare"][name] for name in ("added", "removed", "relabeled", "edited", "labels"))
    assert found["hasUnpublishedChanges"] == differs == (deed != "nothing")
