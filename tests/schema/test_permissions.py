"""Every root field against every scope, from the schema itself: a new mutation is refused to labellers until said."""

from typing import Any

import pytest
import sqlalchemy
from graphql import GraphQLInputObjectType, GraphQLObjectType, OperationDefinitionNode, get_named_type, parse

from db.history.changes import lock_dataset
from db.identity.tokens import Identity, Scope
from schema import build_schema
from schema.execution.document_limits import DocumentLimits
from schema.execution.documents import Document, Documents
from schema.inputs.limits import InputLimits
from schema.permissions import WITH_DRY_RUN, forbidden_fields
from tests.schema.mutation_fixture import DatasetClient

SCHEMA = build_schema()._schema
LABELLING = {
    "undoChange",
    "labelSamples",
    "replaceSampleLabel",
    "updateSamples",
    "annotateSamples",
    "suggestAnnotations",
    "decideSuggestions",
    "createLabels",
    "updateLabel",
    "putEmbeddings",
}
READING = {"exportDataset", "cancelJob"}


def fields(root: GraphQLObjectType | None) -> list[str]:
    assert root is not None
    return sorted(root.fields)


def admits(document: Document, scope: Scope) -> bool:
    return not forbidden_fields(document, Identity("ann", scope, token_id=1), {})


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
    may_label = {Scope.LABEL, Scope.MANAGE} if field in LABELLING else {Scope.MANAGE}
    assert admitted == (set(Scope) if field in READING else may_label)


def test_every_field_that_labellers_may_use_is_there() -> None:
    assert set(fields(SCHEMA.mutation_type)) >= LABELLING


def test_a_refusal_names_each_field_once() -> None:
    documents = Documents(SCHEMA)
    text = (
        'mutation { a: deleteDataset(input: {datasetId: "1"}) { deletedDatasetId } ...F } '
        'fragment F on Mutation { b: deleteDataset(input: {datasetId: "1"}) { deletedDatasetId } }'
    )
    forbidden = forbidden_fields(documents.prepare(text), Identity("ann", Scope.LABEL, token_id=1), {})
    assert {key: error.path for key, error in forbidden.items()} == {"a": ["a"], "b": ["b"]}


# -- dry runs ---------------------------------------------------------------------------------------------------------

SAMPLES = 'datasetId: "Dataset:1", select: {all: true}'
INPUT = "mutation ($i: DeleteSamplesInput!) { deleteSamples(input: $i) { __typename } }"
FLAG = f"mutation ($d: Boolean) {{ deleteSamples(input: {{{SAMPLES}, dryRun: $d}}) {{ __typename }} }}"
DEFAULT = FLAG.replace("Boolean", "Boolean = true")
LITERAL = f"mutation {{ deleteSamples(input: {{{SAMPLES}, dryRun: true}}) {{ __typename }} }}"
SELECTED = {"datasetId": "Dataset:1", "select": {"all": True}}


def test_every_mutation_with_a_dry_run_is_known() -> None:
    assert SCHEMA.mutation_type is not None
    inputs = {name: get_named_type(field.args["input"].type) for name, field in SCHEMA.mutation_type.fields.items()}
    found = {
        name for name, each in inputs.items() if isinstance(each, GraphQLInputObjectType) and "dryRun" in each.fields
    }
    found.remove("importAnnotations")  # is a job, for which syncs and other imports wait: it needs the scope manage
    assert found == WITH_DRY_RUN


@pytest.mark.parametrize(
    ("text", "variables", "admitted"),
    [
        (LITERAL, {}, True),
        (LITERAL.replace("dryRun: true", "dryRun: false"), {}, False),
        (LITERAL.replace("dryRun: true", "dryRun: null"), {}, False),
        (LITERAL.replace(", dryRun: true", ""), {}, False),
        (INPUT, {"i": {**SELECTED, "dryRun": True}}, True),
        (INPUT, {"i": {**SELECTED, "dryRun": False}}, False),
        (INPUT, {"i": {**SELECTED, "dryRun": None}}, False),
        (INPUT, {"i": {**SELECTED, "dryRun": 1}}, False),
        (INPUT, {"i": {**SELECTED, "dryRun": "true"}}, False),
        (INPUT, {"i": SELECTED}, False),
        (INPUT, {"i": [{**SELECTED, "dryRun": True}]}, False),
        (INPUT, {"i": None}, False),
        (INPUT, {}, False),
        (FLAG, {"d": True}, True),
        (FLAG, {"d": False}, False),
        (FLAG, {"d": None}, False),
        (FLAG, {}, False),
        (DEFAULT, {}, True),
        (DEFAULT, {"d": None}, False),
        (DEFAULT, {"d": False}, False),
    ],
)
def test_a_dry_run_needs_the_scope_to_read(text: str, variables: dict[str, Any], admitted: bool) -> None:
    document = Documents(SCHEMA).prepare(text)
    for scope in (Scope.READ, Scope.LABEL):
        assert admitted is not bool(forbidden_fields(document, Identity("ann", scope, token_id=1), variables))


def test_a_default_of_the_whole_input_counts() -> None:
    text = INPUT.replace("!", f"! = {{{SAMPLES}, dryRun: true}}", 1)
    document, reader = Documents(SCHEMA).prepare(text), Identity("ann", Scope.READ, token_id=1)
    assert not forbidden_fields(document, reader, {})
    assert forbidden_fields(document, reader, {"i": SELECTED})


def test_of_two_aliases_each_is_judged_by_its_own_input() -> None:
    text = (
        "mutation ($dry: Boolean, $wet: Boolean) "
        f"{{ a: deleteSamples(input: {{{SAMPLES}, dryRun: $dry}}) {{ __typename }} ...F }} "
        f"fragment F on Mutation {{ b: deleteSamples(input: {{{SAMPLES}, dryRun: $wet}}) {{ __typename }} }}"
    )
    document, reader = Documents(SCHEMA).prepare(text), Identity("ann", Scope.READ, token_id=1)
    assert not forbidden_fields(document, reader, {"dry": True, "wet": True})
    assert list(forbidden_fields(document, reader, {"dry": True, "wet": False})) == ["b"]


async def test_what_is_forbidden_is_null_and_the_other_mutations_are_carried_out(client: DatasetClient) -> None:
    text = """mutation ($label: LabelSamplesInput!, $all: DeleteSamplesInput!) {
        gone: deleteSamples(input: $all) { deletedSampleCount } labelSamples(input: $label) { changedCount }
        would: deleteSamples(input: {datasetId: "none", select: {all: true}, dryRun: true}) { __typename } }"""
    all_samples = {"datasetId": client.dataset, "select": {"all": True}}
    variables = {"label": {**all_samples, "labels": ["cat"]}, "all": all_samples}
    answer = await client.with_scope(Scope.LABEL).direct.answer(text, variables)
    assert answer["data"] == {"gone": None, "labelSamples": {"changedCount": 6}, "would": None}
    codes = {error["path"][0]: error["extensions"]["code"] for error in answer["errors"]}
    assert codes == {"gone": "FORBIDDEN", "would": "DATASET_NOT_FOUND"}
    assert await client.labelled() == {position: ["cat"] for position in range(6)}


async def test_a_reader_is_told_what_would_be_and_nothing_changes(client: DatasetClient) -> None:
    reader, pets = client.with_scope(Scope.READ), {"datasetId": client.dataset}
    every: Any = {"select": {"all": True}, **pets}
    await client.mutate("labelSamples", "changedCount", labels=["cat"], **every)
    deleted = await reader.mutate("deleteSamples", "deletedSampleCount change { id }", dryRun=True, **every)
    assert deleted == {"deletedSampleCount": 6, "change": None}
    cats: Any = {"labelIds": [client.label("cat")], "mode": "LABEL_AND_SAMPLES"}
    found = await reader.mutate("deleteLabels", "deletedSampleCount", dryRun=True, **cats)
    assert found == {"deletedSampleCount": 6}
    new_name = {"labelId": client.label("cat"), "name": "dog", "onConflict": "MERGE"}
    renamed = await reader.mutate("renameLabel", "affectedSampleCount label { name }", dryRun=True, **new_name)
    assert renamed == {"affectedSampleCount": 6, "label": {"name": "dog"}}
    assert (await reader.refused("deleteSamples", **every))["code"] == "FORBIDDEN"
    assert await client.revision() == 2


async def test_a_reader_starts_and_cancels_a_dry_run_of_a_sync(client: DatasetClient) -> None:
    reader, selection = client.with_scope(Scope.READ), "job { id isDryRun unchangedCount examples { paths } }"
    assert (await reader.refused("syncDataset", datasetId=client.dataset))["code"] == "FORBIDDEN"
    every_file = await reader.refused("syncDataset", datasetId=client.dataset, dryRun=True, verifyContents=True)
    assert (every_file["code"], every_file["details"]["needed"]) == ("FORBIDDEN", "MANAGE")
    job = (await reader.mutate("syncDataset", selection, datasetId=client.dataset, dryRun=True))["job"]
    assert job == {"id": job["id"], "isDryRun": True, "unchangedCount": None, "examples": []}
    started = (
        await client.mutate("syncDataset", "job { id isDryRun dataset { activeJob { id } } }", datasetId=client.dataset)
    )["job"]
    assert started == {"id": started["id"], "isDryRun": False, "dataset": {"activeJob": {"id": started["id"]}}}
    assert (await reader.refused("cancelJob", jobId=started["id"]))["code"] == "FORBIDDEN"
    assert (await reader.mutate("cancelJob", "job { status }", jobId=job["id"])) == {"job": {"status": "CANCELED"}}


async def test_a_dry_run_is_in_nobodys_way(client: DatasetClient) -> None:
    """It neither waits for the locks of those who label, publish or undo, nor takes any."""
    every: Any = {"datasetId": client.dataset, "select": {"all": True}, "dryRun": True}
    cat = {"labelId": client.label("cat"), "name": "new"}
    async with client.direct.database.writing() as session:
        await lock_dataset(session, client.dataset_rows.id, None, exclusive=True)
        for table in ("sample", "label"):
            await session.exec(sqlalchemy.text(f"SELECT id FROM {table} FOR UPDATE"))  # type: ignore[call-overload]
        await client.mutate("deleteSamples", "deletedSampleCount", **every)
        await client.mutate("renameLabel", "affectedSampleCount", dryRun=True, **cat)
        ids: Any = {"labelIds": [client.label("cat")], "mode": "LABEL_ONLY", "dryRun": True}
        await client.mutate("deleteLabels", "affectedSampleCount", **ids)


# -- undoing ----------------------------------------------------------------------------------------------------------


async def change_of(client: DatasetClient, field: str, **input: Any) -> str:
    return str((await client.mutate(field, "change { id }", **input))["change"]["id"])


async def label_by(client: DatasetClient, name: str) -> str:
    selected: Any = {"ids": client.ids(0)}
    return await change_of(client, "labelSamples", datasetId=client.dataset, select=selected, labels=[name])


async def undoable(client: DatasetClient) -> dict[str, bool]:
    query = "query ($d: ID!) { dataset(by: {id: $d}) { changes(first: 100) { nodes { id isUndoableByViewer } } } }"
    data = await client.direct.execute(query, {"d": client.dataset})
    return {node["id"]: node["isUndoableByViewer"] for node in data["dataset"]["changes"]["nodes"]}


async def test_whoever_labels_undoes_his_labelling_and_has_it_back(client: DatasetClient) -> None:
    ann = client.with_scope(Scope.LABEL)
    mine = await label_by(ann, "cat")
    undone = await change_of(ann, "undoChange", changeId=mine)
    assert (await client.labelled())[0] == []
    redone = await change_of(ann, "undoChange", changeId=undone)
    assert (await client.labelled())[0] == ["cat"]
    again = await change_of(ann, "undoChange", changeId=redone)
    assert (await client.labelled())[0] == []
    assert (await undoable(ann))[again]
    created = await change_of(ann, "createLabels", datasetId=client.dataset, labels=[{"name": "bird"}])
    await change_of(ann, "undoChange", changeId=created)
    await client.check()


async def test_what_others_did_stays_forbidden_to_whoever_labels(client: DatasetClient) -> None:
    ann, bob = client.with_scope(Scope.LABEL), client.as_somebody("bob").with_scope(Scope.LABEL)
    mine, others = await label_by(ann, "cat"), await label_by(bob, "dog")
    deleted = await change_of(client, "deleteSamples", datasetId=client.dataset, select={"ids": client.ids(5)})
    by_manager = await change_of(client.as_somebody("boss"), "undoChange", changeId=mine)
    of_deletion = await change_of(client, "undoChange", changeId=deleted)  # by ann's name, when it might manage
    for change in (others, deleted, by_manager, of_deletion):
        refused = await ann.refused("undoChange", changeId=change)
        assert (refused["code"], refused["details"]) == ("FORBIDDEN", {"needed": "MANAGE", "held": "LABEL"})
    allowed = await undoable(ann)
    assert {change for change, may in allowed.items() if may} == {mine}
    assert all((await undoable(client)).values())
    assert not any((await undoable(client.with_scope(Scope.READ))).values())
    assert (await client.with_scope(Scope.READ).refused("undoChange", changeId=mine))["code"] == "FORBIDDEN"
