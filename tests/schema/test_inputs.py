"""Values in variables are counted before they are coerced, and the cost of filters before they are compiled."""

from typing import Any

import pytest

from benchmarks import attack_requests
from benchmarks.attack_requests import Operation
from schema import build_schema
from schema.errors import Refused
from schema.execution.document_limits import DocumentLimits
from schema.execution.documents import Document
from schema.inputs.limits import CRITERION, SEARCH
from tests.schema.mutation_fixture import DatasetClient
from tests.schema.mutation_fixture import schema as usual

QUERY = 'query ($f: SampleFilter) { dataset(by: {name: "x"}) { samples(first: 1, filter: $f) { totalCount } } }'


def refused(operation: Operation, limits: DocumentLimits | None = None) -> dict[str, Any]:
    source, variables = operation
    document = (build_schema(limits) if limits else usual()).documents.prepare(source)
    with pytest.raises(Refused) as found:
        document.cost(variables)
    [error] = found.value.errors
    return {"message": error.message, **(error.extensions or {})}


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (attack_requests.many_annotations(1_001), "input.samples"),
        (attack_requests.many_annotations(), "input.samples"),
        (attack_requests.many_ids(), "ids"),
        (attack_requests.many_filters("x", 1_001), "filter.or"),
        (attack_requests.many_filters("x"), "filter.or"),
    ],
)
def test_a_list_that_is_too_long_is_refused_before_it_is_coerced(operation: Operation, path: str) -> None:
    error = refused(operation)
    assert error["code"] == "VALIDATION_FAILED"
    assert error["message"].startswith(f"`{path}` has ")
    assert error["details"]["given"] > error["details"]["most"]


def test_the_path_leads_through_lists_and_objects() -> None:
    names = {"labels": {"names": ["a"] * 1_001}}
    error = refused((QUERY, {"f": {"and": [{"isHard": True}, {"not": names}]}}))
    assert error["message"].startswith("`f.and.1.not.labels.names` has 1,001 items")
    added = {"sampleId": "Sample:1", "add": [{"label": "a"}] * 10_001}
    source = attack_requests.ANNOTATE
    error = refused((source, {"input": {"datasetId": "Dataset:1", "samples": [added]}}))
    assert error["message"].startswith("`input.samples.0.add` has 10,001 items, and at most 10,000")


@pytest.mark.parametrize(
    "input_", [None, 5, "x", [], {}, [[]], [None], {"or": 3}, {"or": [None, 1, "x", []]}, {"?": []}]
)
def test_what_is_of_another_type_is_left_to_coercion(input_: object) -> None:
    usual().documents.prepare(QUERY).cost({"f": input_})


def test_input_objects_are_counted_together() -> None:
    added = [{"sampleId": "Sample:1", "add": [{"label": "a"}] * 50}] * 20
    operation = (attack_requests.ANNOTATE, {"input": {"datasetId": "Dataset:1", "samples": added}})
    error = refused(operation, DocumentLimits(inputs=1_020))
    assert (error["code"], error["details"]) == ("VALIDATION_FAILED", {"most": 1_020})
    build_schema(DocumentLimits(inputs=1_021)).documents.prepare(operation[0]).cost(operation[1])


async def test_every_bad_value_is_reported_as_one(client: DatasetClient) -> None:
    """The error that there are too many errors, too."""
    for source, variables in (
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": [{}] * 60}),
        (attack_requests.ANNOTATE, {"input": {"datasetId": "Dataset:1", "samples": [{"sampleId": {}}] * 60}}),
    ):
        answer = await client.direct.answer(source, variables)
        codes = {error["extensions"]["code"] for error in answer["errors"]}
        assert codes == {"BAD_USER_INPUT"}
        assert len(answer["errors"]) > 20


# -- what filters cost ------------------------------------------------------------------------------------------------


def cost(source: str, variables: dict[str, Any] | None = None) -> int:
    document: Document = build_schema(DocumentLimits(cost=10**9)).documents.prepare(source)
    return document.cost(variables or {})


@pytest.mark.parametrize(
    ("filter_", "literal", "criteria", "searches"),
    [
        ({}, "{}", 0, 0),
        ({"isHard": True}, "{isHard: true}", 1, 0),
        ({"path": {"contains": "a"}}, '{path: {contains: "a"}}', 2, 1),
        ({"fileName": {"contains": "a", "eq": "b"}}, '{fileName: {contains: "a", eq: "b"}}', 3, 2),
        ({"or": [{"isHard": True}, {"not": {"path": {"contains": "a"}}}]},
         '{or: [{isHard: true}, {not: {path: {contains: "a"}}}]}', 5, 1),
    ],
)  # fmt: skip
def test_criteria_and_searches_cost_the_same_in_variables_and_in_the_document(
    filter_: dict[str, Any], literal: str, criteria: int, searches: int
) -> None:
    plain = cost(QUERY, {})
    expected = plain + criteria * CRITERION + searches * SEARCH
    assert cost(QUERY, {"f": filter_}) == expected
    written = QUERY.replace("query ($f: SampleFilter)", "query").replace("$f", literal)
    assert cost(written) == expected


def test_a_variable_costs_at_each_place_where_it_is_used() -> None:
    either = QUERY.replace("filter: $f", "filter: {or: [$f, $f, $f]}").replace("$f: SampleFilter", "$f: SampleFilter!")
    once, thrice = cost(QUERY, {"f": {"isHard": True}}), cost(either, {"f": {"isHard": True}})
    assert thrice == once + 2 * CRITERION + CRITERION
    below = "query ($f: SampleFilter) { datasets(first: 50) { nodes { samples(filter: $f) { totalCount } } } }"
    assert cost(below, {"f": {"isHard": True}}) - cost(below) == 50 * CRITERION


def test_the_cost_of_one_filter_is_not_taken_for_that_of_another() -> None:
    document = usual().documents.prepare(QUERY)
    small, large = {"isHard": True}, {"or": [{"path": {"contains": "a"}}] * 90}
    assert document.cost({"f": small}) < 2_000
    with pytest.raises(Refused):
        document.cost({"f": large})
    assert document.cost({"f": small}) < 2_000


@pytest.mark.parametrize("operation", [attack_requests.many_searches("x"), attack_requests.many_parts("x")])
def test_a_filter_that_costs_too_much_is_refused(operation: Operation) -> None:
    assert refused(operation)["code"] == "QUERY_TOO_COSTLY"


def test_filters_of_mutations_cost_as_well() -> None:
    source = "mutation ($input: DeleteSamplesInput!) { deleteSamples(input: $input) { deletedSampleCount } }"
    filter_ = {"or": [{"path": {"contains": "a"}}] * 90}
    input_ = {"datasetId": "Dataset:1", "select": {"filter": filter_}}
    assert refused((source, {"input": input_}))["code"] == "QUERY_TOO_COSTLY"


def test_lists_without_pages_count_as_ten() -> None:
    one = cost('{ dataset(by: {name: "x"}) { labels { name } } }')
    assert one == 1 + 1 + 10
    deep = attack_requests.nested_lists("x", depth=3)
    assert refused(deep)["code"] == "QUERY_TOO_COSTLY"
