"""suggestAnnotations and decideSuggestions: what models suggest, what people decide, and the records of the models."""

import asyncio
from typing import Any

import pytest

from db.history.transactions import write
from db.identity.tokens import Scope
from db.labelling.samples.label import LabelWith, label
from db.labelling.samples.selection import Selection
from db.labelling.suggestions.decide import DecideWith
from db.labelling.suggestions.decide import decide as decide_in
from db.labelling.suggestions.models import ModelName
from db.labelling.suggestions.suggest import SampleSuggestions, Suggestion, SuggestWith
from db.labelling.suggestions.suggest import suggest as suggest_in
from db.postgres.sql import connection_of
from tests.db.concurrency import overlapping
from tests.db.dataset_rows import ANN, BOB
from tests.schema.annotation_fixture import box
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.suggestion_fixture import (
    FIRST,
    OTHER,
    SECOND,
    annotation_ids,
    annotations,
    decide,
    of_sample,
    records,
    suggest,
    undo,
)


async def label_samples(client: DatasetClient, names: list[str], mode: str, *positions: int) -> Any:
    select = {"ids": client.ids(*positions)}
    values: dict[str, Any] = {"datasetId": client.dataset, "select": select, "labels": names, "mode": mode}
    return await client.mutate("labelSamples", "changedCount change { id }", **values)


@pytest.mark.portable
async def test_a_model_suggests_and_people_decide(client: DatasetClient) -> None:
    model = client.as_somebody("model")
    payload = await suggest(model, of_sample(client, 0, cat=0.9, dog=0.05), of_sample(client, 1, dog=0.6))
    assert (payload["matchedCount"], payload["changedCount"], payload["suggestedCount"]) == (2, 2, 3)
    assert (payload["change"]["kind"], payload["change"]["actor"]) == ("SUGGEST_ANNOTATIONS", "model")
    assert payload["change"]["summary"] == "`resnet` 1 suggested annotations of 2 samples"
    assert [sample["state"] for sample in payload["samples"]] == ["PENDING", "PENDING"]
    assert await annotations(client, 0) == [("cat", False, 0.9, "resnet 1"), ("dog", False, 0.05, "resnet 1")]
    assert await records(client) == {"resnet 1": (3, 0, 0, 0)}

    accepted = await decide(client, "ACCEPT", minConfidence=0.5)
    assert (accepted["suggestionCount"], accepted["sampleCount"]) == (2, 2)
    assert accepted["change"]["summary"] == "Accepted 2 suggestions on 2 samples"
    assert {sample["labeledBy"] for sample in accepted["samples"] if sample["labels"]} == {"ann"}
    rejected = await decide(client, "REJECT", 0, 1)
    assert (rejected["suggestionCount"], rejected["change"]["kind"]) == (1, "DECIDE_SUGGESTIONS")
    assert await annotations(client, 0) == [("cat", True, 0.9, "resnet 1")]
    assert await records(client) == {"resnet 1": (0, 2, 1, 0)}
    assert (await decide(client, "REJECT"))["change"] is None
    await client.check()


async def test_what_is_suggested_again_is_no_change_and_what_is_not_repeated_goes(client: DatasetClient) -> None:
    given = of_sample(client, 0, cat=0.9, dog=0.2)
    first = await suggest(client, given)
    again = await suggest(client, given)
    assert (again["change"], again["suggestedCount"], again["dataset"]) == (None, 2, first["dataset"])
    ids = await annotation_ids(client, 0)
    await suggest(client, of_sample(client, 0, cat=0.8))
    assert await annotations(client, 0) == [("cat", False, 0.8, "resnet 1")]
    assert await annotation_ids(client, 0) == ids[:1]
    await suggest(client, of_sample(client, 0, dog=0.4), replace=False)
    assert [name for name, *_ in await annotations(client, 0)] == ["cat", "dog"]
    await suggest(client, of_sample(client, 0, dog=0.7), model=SECOND)  # a new version speaks for the old one
    await suggest(client, of_sample(client, 0, dog=0.3), model=OTHER)
    assert await annotations(client, 0) == [("dog", False, 0.7, "resnet 2"), ("dog", False, 0.3, "clip 1")]
    withdrawn = await suggest(client, of_sample(client, 0), model=SECOND)
    assert withdrawn["samples"][0]["state"] == "PENDING"
    await suggest(client, of_sample(client, 0), model=OTHER)
    assert await annotations(client, 0) == []
    assert await records(client) == {"resnet 1": (0, 0, 0, 0), "resnet 2": (0, 0, 0, 0), "clip 1": (0, 0, 0, 0)}
    await client.check()


async def test_a_suggestion_without_a_confidence_has_0(client: DatasetClient) -> None:
    """As in filters and orders; imports bring such."""
    async with client.direct.database.writing() as session:
        connection = await connection_of(session)
        await connection.execute(
            """INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, origin, confirmed, since)
            VALUES ($1, $2, $3, 'ann', 'IMPORT', false, 1)""",
            client.dataset_rows.id,
            client.dataset_rows.samples[0],
            client.dataset_rows.labels["cat"],
        )
    counts = [
        (await decide(client, "REJECT", *positions, dryRun=True, **bounds))["suggestionCount"]
        for bounds in ({"minConfidence": 0}, {"maxConfidence": 0.1}, {"minConfidence": 0.1})
        for positions in ((), (0,))
    ]
    assert counts == [1, 1, 1, 1, 0, 0]


async def test_decided_suggestions_are_not_made_again(client: DatasetClient) -> None:
    given = of_sample(client, 0, cat=0.9, dog=0.2)
    await suggest(client, given)
    await decide(client, "ACCEPT", labels=["cat"])
    rejection = await decide(client, "REJECT", labels=["dog"])
    again = await suggest(client, given)
    assert (again["suggestedCount"], again["keptCount"], again["rejectedBeforeCount"]) == (0, 1, 1)
    assert again["change"] is None
    other = await suggest(client, given, model=SECOND)
    assert (other["suggestedCount"], other["keptCount"], other["rejectedBeforeCount"]) == (1, 1, 0)
    await suggest(client, of_sample(client, 0), model=SECOND)

    undone = await undo(client, rejection["change"]["id"])
    assert await records(client) == {"resnet 2": (0, 0, 0, 0), "resnet 1": (1, 1, 0, 0)}
    await undo(client, undone["change"]["id"])
    assert await records(client) == {"resnet 2": (0, 0, 0, 0), "resnet 1": (0, 1, 1, 0)}
    await client.check()


async def test_an_undo_brings_a_suggestion_back_beside_that_of_another_model_alone(client: DatasetClient) -> None:
    withdrawn = []
    for position in range(3):
        await suggest(client, of_sample(client, position, cat=0.6))
        withdrawn.append((await suggest(client, of_sample(client, position)))["change"]["id"])
    await suggest(client, of_sample(client, 0, cat=0.9), model=OTHER)
    again = await suggest(client, of_sample(client, 1, cat=0.7))
    confirmed = await label_samples(client, ["cat"], "ADD", 2)

    await undo(client, withdrawn[0])
    assert await annotations(client, 0) == [("cat", False, 0.6, "resnet 1"), ("cat", False, 0.9, "clip 1")]
    for change, later in zip(withdrawn[1:], (again, confirmed), strict=True):
        refused = await client.refused("undoChange", changeId=change)
        assert (refused["code"], refused["details"]["changes"]) == ("CONFLICT", [later["change"]["id"]])
    await client.check()


async def test_models_that_agree_are_right_together(client: DatasetClient) -> None:
    await suggest(client, of_sample(client, 0, cat=0.6))
    await suggest(client, of_sample(client, 0, cat=0.9), model=OTHER)
    accepted = await decide(client, "ACCEPT", models=[FIRST])
    assert accepted["suggestionCount"] == 1
    assert await annotations(client, 0) == [("cat", True, 0.6, "resnet 1")]
    assert await records(client) == {"resnet 1": (0, 1, 0, 0), "clip 1": (0, 1, 0, 0)}
    taken = await label_samples(client, ["cat"], "REMOVE", 0)
    assert await records(client) == {"resnet 1": (0, 0, 1, 0), "clip 1": (0, 0, 1, 0)}
    await undo(client, taken["change"]["id"])
    assert await records(client) == {"resnet 1": (0, 1, 0, 0), "clip 1": (0, 1, 0, 0)}
    await undo(client, accepted["change"]["id"])
    assert await records(client) == {"resnet 1": (1, 0, 0, 0), "clip 1": (1, 0, 0, 0)}
    await client.check()


async def test_labelling_decides_suggestions_too(client: DatasetClient) -> None:
    await suggest(client, *(of_sample(client, position, cat=0.6, dog=0.3) for position in range(4)))
    await label_samples(client, ["cat"], "SET", 0)
    assert await records(client) == {"resnet 1": (6, 1, 0, 1)}
    await label_samples(client, ["cat"], "ADD", 1)
    assert await records(client) == {"resnet 1": (5, 2, 0, 1)}
    await label_samples(client, ["cat"], "REMOVE", 2)
    await label_samples(client, [], "SET", 2)
    assert await records(client) == {"resnet 1": (3, 2, 2, 1)}
    _, dog = await annotation_ids(client, 3)
    edit = {"sampleId": client.ids(3)[0], "update": [{"id": dog, "label": "bird"}]}
    values: dict[str, Any] = {"datasetId": client.dataset, "samples": [edit], "createMissing": True}
    await client.mutate("annotateSamples", "change { id }", **values)
    assert await annotations(client, 3) == [("cat", False, 0.6, "resnet 1"), ("bird", True, None, None)]
    assert await records(client) == {"resnet 1": (2, 2, 2, 2)}
    await client.check()


async def test_shapes_are_suggested_and_confirmed_as_they_are(boxes: DatasetClient) -> None:
    one = {"label": "cat", "confidence": 0.5, "shape": box()}
    given = [one, {**one, "confidence": 0.75}, {"label": "cat", "confidence": 1.0, "shape": box(50)}]
    samples = [{"path": "000000.jpg", "annotations": given}]
    payload = await suggest(boxes, *samples)
    assert payload["suggestedCount"] == 2
    assert await annotations(boxes, 0) == [("cat", False, 0.75, "resnet 1"), ("cat", False, 1.0, "resnet 1")]
    await suggest(boxes, *samples, model=OTHER)
    first, *_ = await annotation_ids(boxes, 0)
    edit = {"sampleId": boxes.ids(0)[0], "update": [{"id": first, "shape": box(11)}]}
    await boxes.mutate("annotateSamples", "change { id }", datasetId=boxes.dataset, samples=[edit])
    assert await records(boxes) == {"resnet 1": (1, 0, 0, 1), "clip 1": (2, 0, 0, 0)}
    await decide(boxes, "ACCEPT", maxConfidence=0.9)
    assert await records(boxes) == {"resnet 1": (1, 0, 0, 1), "clip 1": (1, 1, 0, 0)}
    again = await suggest(boxes, *samples)
    assert (again["suggestedCount"], again["rejectedBeforeCount"], again["keptCount"]) == (1, 0, 1)
    await boxes.check()


async def test_who_may_label_suggests_decides_and_undoes_it(client: DatasetClient) -> None:
    labeller = client.with_scope(Scope.LABEL)
    made = await suggest(labeller, of_sample(client, 0, cat=0.9))
    decided = await decide(labeller, "ACCEPT")
    assert decided["change"]["isUndoableByViewer"]
    other = labeller.as_somebody("bob")
    answer = await other.direct.answer(
        "mutation ($c: ID!) { undoChange(input: {changeId: $c}) { change { id } } }", {"c": decided["change"]["id"]}
    )
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    await undo(labeller, decided["change"]["id"])
    await undo(labeller, made["change"]["id"])
    assert await annotations(client, 0) == []
    assert (await decide(client.with_scope(Scope.READ), "ACCEPT", dryRun=True))["suggestionCount"] == 0


async def test_a_dry_run_and_a_wrong_count_change_nothing(client: DatasetClient) -> None:
    await suggest(client, of_sample(client, 0, cat=0.9, dog=0.5), of_sample(client, 1, cat=0.5))
    before = await client.revision()
    dry = await decide(client, "REJECT", labels=["cat"], dryRun=True)
    assert (dry["suggestionCount"], dry["sampleCount"], dry["change"]) == (2, 2, None)
    assert await client.revision() == before
    values = {"datasetId": client.dataset, "select": {"filter": {"state": "PENDING"}}, "decision": "ACCEPT"}
    refused = await client.refused("decideSuggestions", **values, expectedCount=2)
    assert (refused["code"], refused["details"]) == ("COUNT_MISMATCH", {"expected": 2, "actual": 3})
    assert (await decide(client, "ACCEPT", expectedCount=3))["suggestionCount"] == 3


async def test_the_same_key_decides_and_suggests_once(client: DatasetClient) -> None:
    given = of_sample(client, 0, cat=0.9)
    assert await suggest(client, given, key="s") == await suggest(client, given, key="s")
    first = await decide(client, "REJECT", key="d")
    await suggest(client, given, model=SECOND)
    assert (await decide(client, "REJECT", key="d"))["change"]["id"] == first["change"]["id"]
    assert await records(client) == {"resnet 2": (1, 0, 0, 0), "resnet 1": (0, 0, 1, 0)}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no sample": ({"samples": []}, "EMPTY_SELECTION"),
    "a model without a name": ({"model": {"name": "", "modelVersion": "1"}}, "INVALID_NAME"),
    "a version with a line break": ({"model": {"name": "a", "modelVersion": "1\n"}}, "INVALID_NAME"),
    "an unknown label": ({"annotations": [{"label": "bird", "confidence": 1}]}, "LABEL_NOT_FOUND"),
    "too sure": ({"annotations": [{"label": "cat", "confidence": 1.01}]}, "VALIDATION_FAILED"),
    "a shape in a classification": (
        {"annotations": [{"label": "cat", "confidence": 1, "shape": box()}]},
        "VALIDATION_FAILED",
    ),
    "no label": ({"annotations": [{"confidence": 1}]}, "VALIDATION_FAILED"),
    "neither id nor path": ({"samples": [{"annotations": []}]}, "VALIDATION_FAILED"),
}


@pytest.mark.parametrize("wrong", REFUSED)
async def test_refuses_what_cannot_be_suggested(client: DatasetClient, wrong: str) -> None:
    given, code = REFUSED[wrong]
    samples = [{"sampleId": client.ids(0)[0], "annotations": given.get("annotations", [])}]
    values = {"datasetId": client.dataset, "model": FIRST, "samples": samples} | {
        name: value for name, value in given.items() if name != "annotations"
    }
    refused = await client.refused("suggestAnnotations", **values)
    assert refused["code"] == code


async def test_refuses_decisions_about_what_is_not_there(client: DatasetClient) -> None:
    values = {"datasetId": client.dataset, "select": {"all": True}, "decision": "ACCEPT"}
    refused = await client.refused("decideSuggestions", **values, models=[FIRST])
    assert (refused["code"], refused["details"]) == ("NOT_FOUND", FIRST)
    assert (await client.refused("decideSuggestions", **values, labels=["bird"]))["code"] == "LABEL_NOT_FOUND"
    assert (await client.refused("decideSuggestions", **values, minConfidence=2))["code"] == "VALIDATION_FAILED"
    above = {"minConfidence": 0.9, "maxConfidence": 0.1}
    assert (await client.refused("decideSuggestions", **values, **above))["code"] == "VALIDATION_FAILED"
    missing = {"path": "x", "annotations": []}
    payload = await suggest(client, of_sample(client, 0, bird=0.5), missing, createMissing=True)
    assert (payload["suggestedCount"], payload["notFoundPaths"]) == (1, ["x"])


@pytest.mark.parametrize("field", ["labels", "labelIds", "models"])
async def test_an_empty_list_is_not_every_suggestion(client: DatasetClient, field: str) -> None:
    """As a page sends it whose user took everything out of it."""
    await suggest(client, of_sample(client, 0, cat=0.9))
    values = {"datasetId": client.dataset, "select": {"all": True}, "decision": "ACCEPT", field: []}
    refused = await client.refused("decideSuggestions", **values)
    assert (refused["code"], refused["details"]) == ("EMPTY_SELECTION", {"path": field})
    if field != "models":
        start = {"datasetId": client.dataset, "model": {"builtIn": True}, field: []}
        assert (await client.refused("startAutoLabeling", **start))["code"] == "EMPTY_SELECTION"
    assert (await decide(client, "ACCEPT", labelIds=[], labels=["cat"]))["suggestionCount"] == 1


async def test_a_version_keeps_what_was_suggested(client: DatasetClient) -> None:
    await suggest(client, of_sample(client, 0, cat=0.9), of_sample(client, 1, dog=0.5))
    version = await client.mutate(
        "publishVersion", "version { id labels { name suggestionCount } }", datasetId=client.dataset
    )
    assert version["version"]["labels"] == [
        {"name": "cat", "suggestionCount": 1},
        {"name": "dog", "suggestionCount": 1},
    ]
    await decide(client, "REJECT")
    switch = {"versionId": version["version"]["id"], "onUnpublished": "DISCARD"}
    await client.mutate("setCurrentVersion", "change { id }", **switch)
    assert await annotations(client, 0) == [("cat", False, 0.9, "resnet 1")]
    assert await records(client) == {"resnet 1": (2, 0, 0, 0)}
    await client.check()


async def test_labels_that_merge_and_go_take_their_suggestions_along(client: DatasetClient) -> None:
    await suggest(client, of_sample(client, 0, cat=0.9), of_sample(client, 1, cat=0.9, dog=0.5))
    await decide(client, "REJECT", 0)
    await label_samples(client, ["dog"], "ADD", 1)
    merge = {"labelId": client.label("cat"), "name": "dog", "onConflict": "MERGE"}
    merged = await client.mutate("renameLabel", "change { id }", **merge)
    assert await records(client) == {"resnet 1": (0, 2, 1, 0)}  # both were right: cats are dogs now
    again = await suggest(client, of_sample(client, 0, dog=0.9))
    assert again["rejectedBeforeCount"] == 1
    await undo(client, merged["change"]["id"])
    assert await records(client) == {"resnet 1": (1, 1, 1, 0)}
    deleted = await client.mutate("deleteLabels", "change { id }", labelIds=[client.label("cat")], mode="LABEL_ONLY")
    assert await records(client) == {"resnet 1": (0, 1, 0, 0)}
    await undo(client, deleted["change"]["id"])
    assert await records(client) == {"resnet 1": (1, 1, 1, 0)}
    gone = await client.mutate(
        "deleteSamples", "change { id }", datasetId=client.dataset, select={"ids": client.ids(0)}
    )
    assert await records(client) == {"resnet 1": (1, 1, 0, 0)}
    await undo(client, gone["change"]["id"])
    assert await records(client) == {"resnet 1": (1, 1, 1, 0)}
    await client.check()


MODEL = ModelName("resnet", "1")


async def test_decisions_and_labelling_at_the_same_time_come_one_after_another(client: DatasetClient) -> None:
    rows, database = client.dataset_rows, client.direct.database
    every = Selection(ids=rows.samples)

    def suggesting(confidence: float) -> Any:
        given = [SampleSuggestions(id, [Suggestion("cat", confidence)]) for id in rows.samples]
        return lambda session: suggest_in(session, rows.id, given, SuggestWith(model=MODEL), by=ANN)

    def deciding(decision: Any) -> Any:
        return lambda session: decide_in(session, rows.id, every, DecideWith(decision=decision), by=BOB)

    def labelling(mode: Any) -> Any:
        return lambda session: label(session, rows.id, every, LabelWith(labels=["cat"], mode=mode), by=ANN)

    works = [
        suggesting(0.5),
        suggesting(0.7),
        deciding("ACCEPT"),
        deciding("REJECT"),
        labelling("ADD"),
        labelling("SET"),
    ]
    for first in works:
        for second in works:
            await overlapping(database, first, second)
            await client.check()
        await write(database, labelling("REMOVE"), object)
    await asyncio.gather(*(write(database, work, object) for work in works))
    await client.check()
