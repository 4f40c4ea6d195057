"""Every root field against every scope, from the schema itself: a new mutation is refused to labellers until said."""

import pytest
from graphql import GraphQLObjectType, OperationDefinitionNode, parse

from db.identity.tokens import Identity, Scope
from schema import build_schema
from schema.errors import Refused
from schema.execution.document_limits import DocumentLimits
from schema.execution.documents import Document, Documents
from schema.inputs.limits import InputLimits
from schema.permissions import authorize

SCHEMA = build_schema()._schema
LABELLING = {"labelSamples", "replaceSampleLabel", "updateSamples", "annotateSamples", "createLabels", "updateLabel"}


def fields(root: GraphQLObjectType | None) -> list[str]:
    assert root is not None
    return sorted(root.fields)


def admits(document: Document, scope: Scope) -> bool:
    try:
        authorize(document, Identity("ann", scope, token_id=1))
    except Refused:
        return False
    return True


def prepared(kind: str, field: str) -> Document:
    """Permission is checked before arguments are: a document of the field alone will do, unvalidated."""
    ast = parse(f"{kind} {{ alias: {field} }}")
    (operation,) = ast.definitions
    assert isinstance(operation, OperationDefinitionNode)
    inputs = InputLimits(SCHEMA, items=1, objects=1)
    return Document("", ast, operation, fragments={}, limits=DocumentLimits(), inputs=inputs)


@pytest.mark.parametrize("field", fields(SCHEMA.query_type))
def test_everybody_reads(field: str) -> None:
    assert all(admits(prepared("query", field), scope) for scope in Scope)


@pytest.mark.parametrize("field", fields(SCHEMA.subscription_type))
def test_everybody_follows(field: str) -> None:
    assert all(admits(prepared("subscription", field), scope) for scope in Scope)


@pytest.mark.parametrize("field", fields(SCHEMA.mutation_type))
def test_who_may_change_what(field: str) -> None:
    admitted = {scope for scope in Scope if admits(prepared("mutation", field), scope)}
    assert admitted == ({Scope.LABEL, Scope.MANAGE} if field in LABELLING else {Scope.MANAGE})


def test_every_field_that_labellers_may_use_is_there() -> None:
    assert set(fields(SCHEMA.mutation_type)) >= LABELLING


def test_a_refusal_names_each_field_once() -> None:
    documents = Documents(SCHEMA)
    text = (
        'mutation { a: deleteDataset(input: {datasetId: "1"}) { deletedDatasetId } ...F } '
        'fragment F on Mutation { b: deleteDataset(input: {datasetId: "1"}) { deletedDatasetId } }'
    )
    with pytest.raises(Refused) as refused:
        authorize(documents.prepare(text), Identity("ann", Scope.LABEL, token_id=1))
    assert [error.path for error in refused.value.errors] == [["a"], ["b"]]
