"""labelSamples, replaceSampleLabel, deleteSamples, as clients see them."""

import asyncio
import dataclasses
from typing import Any

import pytest

from db.jobs import events
from schema.mutations import sources
from tests.db.dataset_rows import make
from tests.schema.mutation_fixture import DatasetClient
from tests.waiting import TIMEOUT

LABELLING = """
    matchedCount changedCount unchangedCount notFoundIds samples { id state labels { name } labeledBy }
    change { id revision kind actor summary isUndoable }
    dataset { revision statistics { totalCount labeledCount unlabeledCount pendingCount }
    labels { name sampleCount annotationCount } }
"""
DELETION = """
    deletedSampleCount deletedSourceCount notFoundIds failedSources { path message }
    impacts { sampleCount sharedSourceCount datasets { name } }
    change { kind isUndoable } dataset { statistics { totalCount } }
"""
EVERYTHING: dict[str, Any] = {"all": True}


async def label(client: DatasetClient, select: Any, *labels: str, **more: Any) -> Any:
    input_ = {"datasetId": client.dataset, "select": select, "labels": list(labels), **more}
    return await client.mutate("labelSamples", LABELLING, **input_)


async def test_labels_samples_by_id_and_tells_what_became_of_each(client: DatasetClient) -> None:
    one, two = client.ids(0, 1)
    payload = await label(client, {"ids": [two, "Sample:999", one, "x", two]}, "cat")
    assert (payload["matchedCount"], payload["changedCount"], payload["unchangedCount"]) == (2, 2, 0)
    assert payload["notFoundIds"] == ["Sample:999", "x"]
    assert payload["samples"] == [
        {"id": id, "state": "LABELED", "labels": [{"name": "cat"}], "labeledBy": "ann"} for id in (two, one)
    ]
    change = payload["change"]
    assert (change["revision"], change["kind"], change["actor"]) == (2, "LABEL_SAMPLES", "ann")
    assert (change["summary"], change["isUndoable"]) == ("Added `cat` to 2 samples", True)
    assert payload["dataset"]["statistics"] == {
        "totalCount": 6,
        "labeledCount": 2,
        "unlabeledCount": 4,
        "pendingCount": 0,
    }
    assert payload["dataset"]["labels"] == [
        {"name": "cat", "sampleCount": 2, "annotationCount": 2},
        {"name": "dog", "sampleCount": 0, "annotationCount": 0},
    ]
    await client.check()


async def test_labelling_again_changes_nothing_and_says_so(client: DatasetClient) -> None:
    await label(client, {"ids": client.ids(0, 1)}, "cat")
    payload = await label(client.as_somebody("bob"), {"ids": client.ids(1, 2)}, "cat", "cat")
    assert (payload["matchedCount"], payload["changedCount"], payload["unchangedCount"]) == (2, 1, 1)
    again = await label(client, {"ids": client.ids(1, 2)}, "cat")
    assert (again["changedCount"], again["unchangedCount"], again["change"], again["dataset"]["revision"]) == (
        0,
        2,
        None,
        3,
    )
    assert [sample["labeledBy"] for sample in again["samples"]] == ["ann", "bob"]


async def test_add_keeps_set_replaces_and_remove_takes_off(client: DatasetClient) -> None:
    first = {"ids": client.ids(0)}
    await label(client, first, "cat")
    await label(client, first, "dog")
    assert (await client.labelled())[0] == ["cat", "dog"]
    await label(client, first, "dog", mode="SET")
    assert (await client.labelled())[0] == ["dog"]
    await label(client, first, "cat", mode="REMOVE")
    payload = await label(client, first, "dog", "cat", mode="REMOVE")
    assert payload["samples"][0] == {"id": first["ids"][0], "state": "UNLABELED", "labels": [], "labeledBy": None}
    await client.check()


async def test_set_keeps_who_put_the_labels_that_stay(client: DatasetClient) -> None:
    first = {"ids": client.ids(0)}
    await label(client, first, "cat")
    await label(client.as_somebody("bob"), first, "cat", "dog", mode="SET")
    query = (
        "query ($id: ID!) { node(id: $id) { ... on Sample { labeledBy annotations { label { name } labeledBy } } } }"
    )
    data = await client.direct.execute(query, {"id": first["ids"][0]})
    assert data["node"] == {
        "labeledBy": "bob",
        "annotations": [
            {"label": {"name": "cat"}, "labeledBy": "ann"},
            {"label": {"name": "dog"}, "labeledBy": "bob"},
        ],
    }


@pytest.mark.parametrize("mode", ["ADD", "REMOVE"])
async def test_an_empty_list_of_labels_never_clears_but_with_set(client: DatasetClient, mode: str) -> None:
    await label(client, EVERYTHING, "cat")
    payload = await label(client, EVERYTHING, mode=mode)
    assert (payload["changedCount"], payload["change"]) == (0, None)
    payload = await label(client, EVERYTHING, mode="SET")
    assert (payload["changedCount"], payload["change"]["summary"]) == (6, "Removed all labels from 6 samples")


async def test_labels_by_the_filter_that_lists_and_shows_the_newest_first(client: DatasetClient) -> None:
    await label(client, {"ids": client.ids(0, 5)}, "dog")
    payload = await label(client, {"filter": {"state": "UNLABELED", "fileName": {"contains": "00000"}}}, "cat")
    assert (payload["matchedCount"], payload["changedCount"]) == (4, 4)
    assert [sample["id"] for sample in payload["samples"]] == client.ids(4, 3, 2, 1)
    assert payload["notFoundIds"] == []
    again = await label(client, {"filter": {"state": "UNLABELED"}}, "cat")
    assert (again["matchedCount"], again["change"]) == (0, None)
    await client.check()


async def test_a_filter_over_more_than_a_page_shows_a_hundred(client: DatasetClient) -> None:
    many = await make(client.direct.database, samples=1500, labels=("cat",), name="many")
    input_: dict[str, Any] = {"datasetId": f"Dataset:{many.id}", "select": EVERYTHING, "labels": ["cat"]}
    payload = await client.mutate("labelSamples", "matchedCount changedCount samples { id }", **input_)
    assert (payload["matchedCount"], payload["changedCount"], len(payload["samples"])) == (1500, 1500, 100)
    assert payload["samples"][0]["id"] == f"Sample:{many.samples[-1]}"


async def test_makes_missing_labels_when_asked_to(client: DatasetClient) -> None:
    payload = await label(client, {"ids": client.ids(0)}, "bird", "cat", createMissing=True)
    assert sorted(each["name"] for each in payload["samples"][0]["labels"]) == ["bird", "cat"]
    unmade = await label(client, {"ids": ["Sample:0"]}, "fish", createMissing=True)
    assert [each["name"] for each in unmade["dataset"]["labels"]] == ["cat", "dog", "bird"]


async def test_guards_refuse_and_say_what_is(client: DatasetClient) -> None:
    await label(client, {"ids": client.ids(0)}, "cat")
    input_ = {"datasetId": client.dataset, "select": EVERYTHING, "labels": ["dog"]}
    counted = await client.refused("labelSamples", **input_, expectedCount=5)
    assert (counted["code"], counted["details"]) == ("COUNT_MISMATCH", {"expected": 5, "actual": 6})
    known = await client.refused("labelSamples", **input_, expectedRevision=1)
    assert known["code"] == "CONFLICT"
    assert known["details"]["revision"] == 2
    query = "query ($id: ID!) { nodes(ids: [$id]) { ... on Change { revision } } }"
    [change] = known["details"]["changes"]
    assert await client.direct.execute(query, {"id": change}) == {"nodes": [{"revision": 2}]}
    payload = await label(client, EVERYTHING, "dog", expectedCount=6, expectedRevision=2)
    assert payload["changedCount"] == 6


@pytest.mark.parametrize(
    ("input_", "code", "details"),
    [
        ({"select": {"ids": []}}, "EMPTY_SELECTION", {}),
        ({"select": {"ids": ["Sample:1"] * 1001}}, "VALIDATION_FAILED", {"most": 1000, "given": 1001}),
        ({"labels": ["bird", "cat", "fish"]}, "LABEL_NOT_FOUND", {"names": ["bird", "fish"]}),
        ({"labels": ["bird"], "mode": "REMOVE"}, "LABEL_NOT_FOUND", {"names": ["bird"]}),
        ({"labels": ["a\0b"]}, "LABEL_NOT_FOUND", {"names": ["a\\x00b"]}),
        ({"labels": ["\ud800"]}, "LABEL_NOT_FOUND", {"names": ["\\ud800"]}),
        ({"labels": ["a b"], "createMissing": True}, "INVALID_NAME", {"name": "a b"}),
        ({"labels": ["a"] * 101}, "VALIDATION_FAILED", {"most": 100}),
        ({"datasetId": "Dataset:999"}, "DATASET_NOT_FOUND", {}),
        ({"datasetId": "Sample:1"}, "DATASET_NOT_FOUND", {}),
        ({"datasetId": "\ud800"}, "DATASET_NOT_FOUND", {}),
        ({"select": {"filter": {"createdAt": {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}}}},
         "VALIDATION_FAILED", {"path": "createdAt"}),
    ],
)  # fmt: skip
async def test_what_labelling_refuses(
    client: DatasetClient, input_: dict[str, Any], code: str, details: dict[str, Any]
) -> None:
    usual = {"datasetId": client.dataset, "select": {"ids": client.ids(0)}, "labels": ["cat"]}
    refused = await client.refused("labelSamples", **(usual | input_))
    assert (refused["code"], refused.get("details", {})) == (code, details)


async def test_nested_filters_select_what_they_list(client: DatasetClient) -> None:
    await label(client, {"ids": client.ids(0, 1)}, "cat")
    filter_ = {
        "or": [
            {"and": [{"labels": {"names": ["cat"]}}, {"not": {"path": {"contains": "000000"}}}]},
            {"fileName": {"eq": "000004.jpg"}},
        ],
        "createdAt": {"from": "2025-12-31T00:00:00Z"},
        "isHard": False,
    }
    payload = await label(client, {"filter": filter_}, "dog")
    assert [sample["id"] for sample in payload["samples"]] == client.ids(4, 1)
    never = await label(client, {"filter": {"createdAt": {"preset": "WITHIN_1_DAY"}, "usage": "TRAIN"}}, "dog")
    assert never["matchedCount"] == 0


async def test_hostile_filter_texts_select_nothing(client: DatasetClient) -> None:
    for text in ("\0", "\ud800", "%", "_", "\\", "'; DROP TABLE sample; --", "x" * 1024):
        payload = await label(client, {"filter": {"fileName": {"contains": text}, "labeledBy": [text]}}, "cat")
        assert payload["matchedCount"] == 0
    select = {"filter": {"fileName": {"contains": "x" * 1025}}}
    error = await client.refused("labelSamples", datasetId=client.dataset, select=select, labels=["cat"])
    assert (error["code"], error["details"]) == ("VALIDATION_FAILED", {"most": 1024})


async def test_samples_of_another_dataset_are_not_found(client: DatasetClient) -> None:
    other = await make(client.direct.database, samples=1, name="other", input_path="/elsewhere")
    payload = await label(client, {"ids": [f"Sample:{other.samples[0]}"]}, "cat")
    assert (payload["matchedCount"], payload["notFoundIds"]) == (0, [f"Sample:{other.samples[0]}"])


async def test_a_confined_token_meets_no_other_dataset(client: DatasetClient) -> None:
    input_ = {"datasetId": client.dataset, "select": EVERYTHING, "labels": ["cat"]}
    answer = await client.confined_to(999).direct.answer(
        "mutation ($input: LabelSamplesInput!) { labelSamples(input: $input) { matchedCount } }", {"input": input_}
    )
    assert answer["errors"][0]["extensions"]["code"] == "DATASET_NOT_FOUND"


async def test_a_key_given_again_gets_the_same_outcome(client: DatasetClient) -> None:
    input_ = {"datasetId": client.dataset, "select": {"ids": [*client.ids(0), "x"]}, "labels": ["cat"]}
    first = await client.mutate("labelSamples", LABELLING, key="k", **input_)
    assert await client.mutate("labelSamples", LABELLING, key="k", **input_) == first
    assert (first["changedCount"], first["notFoundIds"]) == (1, ["x"])


async def test_two_fields_of_one_keyed_request_are_two_units(client: DatasetClient) -> None:
    query = """mutation ($a: LabelSamplesInput!, $b: LabelSamplesInput!) {
        one: labelSamples(input: $a) { changedCount } two: labelSamples(input: $b) { changedCount } }"""
    input_ = {"datasetId": client.dataset, "select": EVERYTHING}
    variables = {"a": {**input_, "labels": ["cat"]}, "b": {**input_, "labels": ["dog"]}}
    for _ in range(2):
        assert await client.direct.execute(query, variables, "k") == {
            "one": {"changedCount": 6},
            "two": {"changedCount": 6},
        }
    assert await client.revision() == 3


async def replace(client: DatasetClient, select: Any, before: str, after: str, **more: Any) -> Any:
    input_ = {"datasetId": client.dataset, "select": select, "from": before, "to": after, **more}
    return await client.mutate("replaceSampleLabel", LABELLING, **input_)


async def test_replaces_a_label_on_the_selected_samples_alone(client: DatasetClient) -> None:
    await label(client, {"ids": client.ids(0, 1, 2)}, "cat")
    await label(client, {"ids": client.ids(1)}, "dog")
    payload = await replace(client.as_somebody("bob"), {"ids": client.ids(0, 1, 4)}, "cat", "dog")
    assert (payload["matchedCount"], payload["changedCount"], payload["unchangedCount"]) == (3, 2, 1)
    assert [sample["labeledBy"] for sample in payload["samples"]] == ["bob", "bob", None]
    labelled = await client.labelled()
    assert [labelled[position] for position in range(5)] == [["dog"], ["dog"], ["cat"], [], []]
    await client.check()


async def test_replacing_a_label_by_itself_or_where_it_is_not_changes_nothing(client: DatasetClient) -> None:
    await label(client, {"ids": client.ids(0)}, "cat")
    for before, after in (("cat", "cat"), ("dog", "cat")):
        payload = await replace(client, EVERYTHING, before, after)
        assert (payload["matchedCount"], payload["changedCount"], payload["change"]) == (6, 0, None)


async def test_replacing_makes_the_new_label_only_when_asked_to(client: DatasetClient) -> None:
    await label(client, EVERYTHING, "cat")
    usual = {"datasetId": client.dataset, "select": EVERYTHING}
    for input_ in ({"from": "bird", "to": "cat", "createMissing": True}, {"from": "cat", "to": "bird"}):
        refused = await client.refused("replaceSampleLabel", **usual, **input_)
        assert (refused["code"], refused["details"]) == ("LABEL_NOT_FOUND", {"names": ["bird"]})
    payload = await replace(client, EVERYTHING, "cat", "bird", createMissing=True)
    assert payload["changedCount"] == 6


async def delete(client: DatasetClient, select: Any, **more: Any) -> Any:
    return await client.mutate("deleteSamples", DELETION, datasetId=client.dataset, select=select, **more)


def files(client: DatasetClient) -> list[int]:
    return sorted(int(file.stem) for file in (client.root / "images").glob("*.jpg"))


async def test_deletes_samples_and_keeps_their_files_as_tombstones(client: DatasetClient) -> None:
    await label(client, EVERYTHING, "cat")
    payload = await delete(client, {"ids": [*client.ids(0, 1), "Sample:999"]})
    assert (payload["deletedSampleCount"], payload["deletedSourceCount"], payload["notFoundIds"]) == (
        2,
        0,
        ["Sample:999"],
    )
    assert payload["change"] == {"kind": "DELETE_SAMPLES", "isUndoable": True}
    assert payload["dataset"]["statistics"]["totalCount"] == 4
    assert files(client) == [0, 1, 2, 3, 4, 5]
    async with client.direct.database.reading() as reader:
        assert await reader.fetchval("SELECT count(*) FROM source WHERE status = 'PRESENT'") == 6
    again = await delete(client, {"ids": client.ids(0)})
    assert (again["deletedSampleCount"], again["change"], again["notFoundIds"]) == (0, None, client.ids(0))
    await client.check()


async def test_deletes_samples_with_their_files_for_good(client: DatasetClient) -> None:
    payload = await delete(client, {"ids": client.ids(2, 4)}, deleteSources=True)
    assert (payload["deletedSampleCount"], payload["deletedSourceCount"], payload["failedSources"]) == (2, 2, [])
    assert payload["impacts"] == []
    assert payload["change"]["isUndoable"] is False
    assert files(client) == [0, 1, 3, 5]


async def test_a_file_that_somebody_replaced_stays_and_is_reported(client: DatasetClient) -> None:
    (client.root / "images" / "000002.jpg").write_bytes(b"another image")
    payload = await delete(client, {"ids": client.ids(1, 2)}, deleteSources=True)
    assert (payload["deletedSampleCount"], payload["deletedSourceCount"]) == (2, 1)
    [failed] = payload["failedSources"]
    assert failed["path"] == "000002.jpg"
    assert files(client) == [0, 2, 3, 4, 5]


async def test_files_that_take_too_long_are_left_to_a_worker(
    client: DatasetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_SECONDS", 0)
    payload = await delete(client, EVERYTHING, deleteSources=True)
    assert (payload["deletedSampleCount"], payload["deletedSourceCount"], payload["failedSources"]) == (6, 0, [])
    async with client.direct.database.reading() as reader:
        assert await reader.fetchval("SELECT count(*) FROM source_deletion WHERE finished_at IS NULL") == 6


async def test_a_dry_run_tells_and_changes_nothing(client: DatasetClient) -> None:
    payload = await delete(client, EVERYTHING, deleteSources=True, dryRun=True, expectedCount=6)
    assert (payload["deletedSampleCount"], payload["deletedSourceCount"], payload["change"]) == (6, 6, None)
    assert payload["dataset"]["statistics"]["totalCount"] == 6
    assert files(client) == [0, 1, 2, 3, 4, 5]


async def test_warns_of_files_that_other_datasets_use(client: DatasetClient) -> None:
    """Above, below and next to it: wherever another input path leads to the same file."""
    images = client.root / "images"
    database = client.direct.database
    await make(database, samples=1, name="same", input_path=str(images))
    await make(database, samples=2, name="above", input_path=str(client.root), directory="images/")
    await make(database, samples=2, name="other", input_path=f"{images}2")
    payload = await delete(client, {"ids": client.ids(0, 1, 2)}, deleteSources=True, dryRun=True)
    [warning] = payload["impacts"]
    assert warning == {"sampleCount": 3, "sharedSourceCount": 2, "datasets": [{"name": "same"}, {"name": "above"}]}
    confined = client.confined_to(client.dataset_rows.id)
    payload = await delete(confined, {"ids": client.ids(0, 1, 2)}, deleteSources=True, dryRun=True)
    assert payload["impacts"] == [{"sampleCount": 3, "sharedSourceCount": 2, "datasets": []}]


async def test_a_deleted_dataset_is_no_longer_warned_of(client: DatasetClient) -> None:
    other = await make(client.direct.database, samples=1, name="same", input_path=str(client.root / "images"))
    await client.mutate("deleteDataset", "deletedDatasetId", datasetId=f"Dataset:{other.id}")
    payload = await delete(client, EVERYTHING, deleteSources=True, dryRun=True)
    assert payload["impacts"] == []


async def test_what_deleting_refuses(client: DatasetClient) -> None:
    usual = {"datasetId": client.dataset}
    empty = await client.refused("deleteSamples", **usual, select={"ids": []})
    assert empty["code"] == "EMPTY_SELECTION"
    counted = await client.refused("deleteSamples", **usual, select=EVERYTHING, expectedCount=5)
    assert counted["code"] == "COUNT_MISMATCH"


async def test_who_follows_the_dataset_hears_of_a_change_without_waiting_for_a_poll(
    client: DatasetClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "POLL", 10 * TIMEOUT)
    async with events.listening(client.direct.database) as heard:
        steps = heard.steps("dataset", client.dataset_rows.id)
        assert await anext(steps) == 1
        await label(
            dataclasses.replace(client, direct=dataclasses.replace(client.direct, events=heard)), EVERYTHING, "cat"
        )
        async with asyncio.timeout(TIMEOUT):
            assert await anext(steps) == 2
        await steps.aclose()


@pytest.mark.parametrize("select", [{}, {"ids": [], "filter": {}}, {"ids": None}])
async def test_a_selection_that_is_not_exactly_one_thing_is_wrong_input(
    client: DatasetClient, select: dict[str, Any]
) -> None:
    error = await client.refused("labelSamples", datasetId=client.dataset, select=select, labels=["cat"])
    assert error["code"] == "BAD_USER_INPUT"
