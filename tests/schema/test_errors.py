"""What a client sees of an error, and what only the log contains."""

import logging

import pytest
from graphql import GraphQLError, Source, build_schema, graphql_sync, parse

from db.errors import Conflict, NotFound
from schema.errors import format_error, log_defect, with_code
from tests.schema.mutation_fixture import DatasetClient

FIELD = parse(Source("{ field }")).definitions[0]


def raised(error: Exception) -> GraphQLError:
    return GraphQLError(str(error), nodes=FIELD, path=["field"], original_error=error)


def test_a_refusal_is_reported_with_code_details_and_the_reference_systems_number() -> None:
    error = NotFound("There is no such label.", code="LABEL_NOT_FOUND", names=["cat"])
    assert format_error(raised(error)) == {
        "message": "There is no such label.",
        "locations": [{"line": 1, "column": 1}],
        "path": ["field"],
        "extensions": {"code": "LABEL_NOT_FOUND", "details": {"names": ["cat"]}, "modelartsCode": "ModelArts.4410"},
    }


def test_a_refusal_is_found_however_deep_it_is_wrapped() -> None:
    wrapped = raised(raised(Conflict("Somebody else was first.")))
    assert format_error(wrapped)["extensions"]["code"] == "CONFLICT"
    assert format_error(wrapped)["message"] == "Somebody else was first."


def test_a_code_that_is_there_already_stays() -> None:
    error = with_code(with_code(GraphQLError("No."), "QUERY_TOO_COSTLY", most=1), "BAD_USER_INPUT")
    assert format_error(error)["extensions"] == {"code": "QUERY_TOO_COSTLY", "details": {"most": 1}}


@pytest.mark.parametrize(
    ("query", "variables"),
    [("query ($n: Int!) { f(n: $n) }", {"n": "x"}), ("query ($n: Int!) { f(n: $n) }", {"n": 2**40})],
)
def test_wrong_input_is_reported_as_such(query: str, variables: dict[str, object]) -> None:
    result = graphql_sync(build_schema("type Query { f(n: Int!): Int }"), query, variable_values=variables)
    assert result.errors
    assert format_error(result.errors[0])["extensions"] == {"code": "BAD_USER_INPUT"}


OPERATIONS = {
    "query": "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
    "mutation": "mutation ($ids: [ID!]!) { deleteLabels(input: {labelIds: $ids, mode: LABEL_ONLY}) { __typename } }",
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("bad", [1, 20, 21, 500])
async def test_however_many_values_are_wrong_that_is_reported_and_no_defect_is_logged(
    client: DatasetClient, caplog: pytest.LogCaptureFixture, operation: str, bad: int
) -> None:
    answer = await client.direct.answer(OPERATIONS[operation], {"ids": [{"no": "id"}] * bad})
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}
    assert caplog.records == []


def test_an_answer_that_does_not_fit_the_schema_is_our_defect(caplog: pytest.LogCaptureFixture) -> None:
    for value in ("hunter2", None, 2**40):
        result = graphql_sync(build_schema("type Query { f: Int! }"), "{ f }", root_value={"f": value})
        assert result.errors
        assert format_error(result.errors[0])["extensions"]["code"] == "INTERNAL_ERROR"


def test_a_defect_is_logged_once_under_its_reference(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("first line\nSELECT secret FROM parameters")
    except ValueError as error:
        body = log_defect(error)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert body["extensions"]["reference"] in record.getMessage()
    assert "ValueError: first line" in record.getMessage()
    assert "test_errors.py" in record.getMessage()
    assert "SELECT" not in record.getMessage()
    assert "first line" not in str(body)
