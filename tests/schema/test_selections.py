"""Selections that mutations write to: a value that is missing never selects more than was meant."""

import asyncio
from typing import Any

import pytest

from tests.schema.mutation_fixture import DatasetClient

DECLARED = {"$l": "$l: LabelFilter", "$s": "$s: SampleState"}
WITHOUT_CRITERION: tuple[dict[str, Any], ...] = (
    {},
    {"path": {}},
    {"path": {"directory": "", "recursive": True}},
    {"path": {"contains": ""}},
    {"fileName": {}},
    {"fileName": {"contains": ""}},
    {"createdAt": {}},
    {"labeledAt": {}},
    {"path": {"startsWith": ""}},
    {"width": {}},
    {"annotationCount": {}},
    {"not": {}},
    {"not": {"not": {}}},
    {"and": [{}]},
    {"or": [{}]},
    {"or": [{"isHard": True}, {}]},
    {"and": [{"or": [{"state": "LABELED"}, {"not": {}}]}]},
)
WITHOUT_VALUE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"state": None}, "state"),
    ({"isHard": None, "state": "UNLABELED"}, "isHard"),
    ({"usage": None, "isHard": False}, "usage"),
    ({"labels": None, "isHard": False}, "labels"),
    ({"labels": {"names": [], "match": "NONE"}}, "labels.names"),
    ({"labels": {"names": []}, "isHard": False}, "labels.names"),
    ({"labels": {"ids": []}, "isHard": False}, "labels.ids"),
    ({"ids": [], "isHard": False}, "ids"),
    ({"path": {"in": []}, "isHard": False}, "path.in"),
    ({"suggestions": None, "isHard": False}, "suggestions"),
    ({"width": {"min": None}, "isHard": False}, "width.min"),
    ({"changedSince": None, "isHard": False}, "changedSince"),
    ({"isSourceAvailable": None, "isHard": False}, "isSourceAvailable"),
    ({"labeledBy": [], "isHard": False}, "labeledBy"),
    ({"createdAt": {"from": None}, "isHard": False}, "createdAt.from"),
    ({"createdAt": {"preset": None, "to": "2099-01-01T00:00:00Z"}}, "createdAt.preset"),
    ({"fileName": {"eq": None}}, "fileName.eq"),
    ({"fileName": {"eq": "000001.jpg", "contains": None}}, "fileName.contains"),
    ({"path": {"directory": None, "contains": "1"}}, "path.directory"),
    ({"path": None, "isHard": False}, "path"),
    ({"and": [], "isHard": False}, "and"),
    ({"or": [], "isHard": False}, "or"),
    ({"not": None, "isHard": False}, "not"),
    ({"and": [{"isHard": False}, {"labels": {"names": []}}]}, "and.1.labels.names"),
    ({"or": [{"isHard": False}, {"not": {"labeledBy": None}}]}, "or.1.not.labeledBy"),
)
WRITES: dict[str, dict[str, Any]] = {
    "deleteSamples": {"deleteSources": True},
    "labelSamples": {"labels": [], "mode": "SET"},
    "replaceSampleLabel": {"from": "cat", "to": "dog"},
    "updateSamples": {"isHard": True},
}


@pytest.mark.parametrize("field", WRITES)
async def test_a_filter_without_a_criterion_is_refused_unless_its_count_is_given(
    client: DatasetClient, field: str
) -> None:
    await client.mutate("labelSamples", "changedCount", datasetId=client.dataset, select={"all": True}, labels=["cat"])
    input_ = {"datasetId": client.dataset, **WRITES[field]}
    dry = [{}, {"dryRun": True}] if field == "deleteSamples" else [{}]
    for filter_ in WITHOUT_CRITERION:
        for more in dry:
            error = await client.refused(field, **input_, select={"filter": filter_}, **more)
            assert (error["code"], error["details"]["path"]) == ("VALIDATION_FAILED", "select.filter"), filter_
    error = await client.refused(field, **input_, select={"filter": {}}, expectedCount=5)
    assert (error["code"], error["details"]) == ("COUNT_MISMATCH", {"expected": 5, "actual": 6})
    payload = await client.mutate(field, "change { kind }", **input_, select={"filter": {}}, expectedCount=6)
    assert payload["change"] is not None


@pytest.mark.parametrize("field", WRITES)
@pytest.mark.parametrize(("filter_", "path"), WITHOUT_VALUE)
async def test_null_or_an_empty_list_is_refused_with_its_path(
    client: DatasetClient, field: str, filter_: dict[str, Any], path: str
) -> None:
    input_ = {"datasetId": client.dataset, **WRITES[field], "select": {"filter": filter_}}
    for more in ({}, {"expectedCount": 6}, {"expectedCount": 0}):
        error = await client.refused(field, **input_, **more)
        assert (error["code"], error["details"]["path"]) == ("VALIDATION_FAILED", f"select.filter.{path}")


def deletion(filter_: str) -> str:
    declared = " ".join(text for name, text in DECLARED.items() if name in filter_)
    return f"""mutation ($d: ID!, $dry: Boolean! = false, {declared}) {{
        deleteSamples(input: {{datasetId: $d, select: {{filter: {filter_}}}, dryRun: $dry}}) {{
            deletedSampleCount }} }}"""


@pytest.mark.parametrize(
    ("filter_", "variables", "answer"),
    [
        ("{labels: $l}", {}, "VALIDATION_FAILED"),
        ("{labels: $l}", {"l": None}, "VALIDATION_FAILED"),
        ("{labels: $l, state: $s}", {"l": None, "s": "UNLABELED"}, "VALIDATION_FAILED"),
        ("{labels: $l, state: $s}", {"s": "LABELED"}, 0),
        ("{labels: $l, state: $s}", {"s": "UNLABELED"}, 6),
        ("{or: [{labels: $l}, {state: $s}]}", {"s": "LABELED"}, "VALIDATION_FAILED"),
        ("{labels: $l, state: LABELED}", {"l": {"names": ["cat"], "match": "NONE"}}, 0),
    ],
)
async def test_a_variable_that_is_left_out_is_no_criterion_and_null_is_refused(
    client: DatasetClient, filter_: str, variables: dict[str, Any], answer: object
) -> None:
    source = deletion(filter_)
    for dry in (True, False):
        input_ = {"d": client.dataset, "dry": dry, **variables}
        found = await client.direct.answer(source, input_)
        outcome = found["errors"][0]["extensions"]["code"] if "errors" in found else found["data"]["deleteSamples"]
        assert outcome in (answer, {"deletedSampleCount": answer})


async def test_a_variable_whose_default_is_null_is_null(client: DatasetClient) -> None:
    source = deletion("{labels: $l, isHard: false}").replace("$l: LabelFilter", "$l: LabelFilter = null")
    found = await client.direct.answer(source, {"d": client.dataset})
    [error] = found["errors"]
    assert error["extensions"]["details"]["path"] == "select.filter.labels"


@pytest.mark.parametrize("field", WRITES)
async def test_all_selects_every_sample_and_takes_only_true(client: DatasetClient, field: str) -> None:
    await client.mutate("labelSamples", "changedCount", datasetId=client.dataset, select={"all": True}, labels=["cat"])
    input_ = {"datasetId": client.dataset, **WRITES[field]}
    error = await client.refused(field, **input_, select={"all": False})
    assert (error["code"], error["details"]["path"]) == ("VALIDATION_FAILED", "select.all")
    mismatch = await client.refused(field, **input_, select={"all": True}, expectedCount=7)
    assert mismatch["code"] == "COUNT_MISMATCH"
    for two in ({"all": True, "ids": client.ids(0)}, {"all": True, "filter": {"isHard": False}}, {"all": None}):
        assert (await client.refused(field, **input_, select=two))["code"] == "BAD_USER_INPUT"
    payload = await client.mutate(field, "change { summary }", **input_, select={"all": True}, expectedCount=6)
    assert "6 samples" in payload["change"]["summary"]


async def test_the_count_is_of_the_samples_as_they_are_locked(client: DatasetClient) -> None:
    """Two that expect all six: the second waits, then finds none of them."""
    input_ = {"datasetId": client.dataset, "select": {"filter": {}}, "expectedCount": 6}
    source = "mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) { deletedSampleCount } }"
    answers = await asyncio.gather(*(client.direct.answer(source, {"input": input_}) for _ in range(2)))
    codes = sorted(each["errors"][0]["extensions"]["code"] if "errors" in each else "done" for each in answers)
    assert codes == ["COUNT_MISMATCH", "done"]


async def test_in_a_query_null_and_empty_lists_are_no_condition_but_an_empty_or_matches_nothing(
    client: DatasetClient,
) -> None:
    await client.mutate(
        "labelSamples", "changedCount", datasetId=client.dataset, select={"ids": client.ids(0)}, labels=["cat"]
    )
    source = """query ($d: ID!, $f: SampleFilter) { dataset(by: {id: $d}) { samples(filter: $f) { totalCount } } }"""

    async def count(filter_: dict[str, Any] | None) -> int:
        found = await client.direct.execute(source, {"d": client.dataset, "f": filter_})
        return int(found["dataset"]["samples"]["totalCount"])

    nothing = [each for each, path in WITHOUT_VALUE if path != "or" and each.get("state") is None]
    nothing = [each for each in nothing if "fileName" not in each and "path" not in each]
    nothing += [{"labels": {"names": [], "match": match}} for match in ("ANY", "ALL", "NONE")]
    for filter_ in (None, *nothing):
        assert await count(filter_) == 6, filter_
    assert await count({"or": []}) == 0
    assert await count({"state": "LABELED", "labels": {"names": []}, "labeledBy": []}) == 1
    assert await count({"not": {"labels": {"names": []}}}) == 0


async def test_what_deleting_would_do_is_asked_of_all_as_well(client: DatasetClient) -> None:
    source = """query ($d: ID!, $s: SampleSelectionInput!) { dataset(by: {id: $d}) { deleteImpact(select: $s) {
        sampleCount } } }"""
    found = await client.direct.execute(source, {"d": client.dataset, "s": {"all": True}})
    assert found["dataset"]["deleteImpact"] == {"sampleCount": 6}
    refused = await client.direct.answer(source, {"d": client.dataset, "s": {"all": False}})
    assert refused["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"
