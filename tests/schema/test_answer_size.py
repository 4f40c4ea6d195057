"""Answers that would be too long are stopped in the database, before they take its memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.settings import Limits, Settings
from benchmarks import attack_requests
from benchmarks.attack_requests import Operation
from db.errors import DomainError
from db.postgres import engine, sql
from db.postgres.engine import Database
from schema.execution.messages import Request
from tests.client import Direct
from tests.schema.mutation_fixture import DatasetClient, create_client

LABELS = 10_000
MIB = 1024 * 1024


@pytest.fixture
async def full(database: Database, tmp_path: Path) -> DatasetClient:
    """A dataset of 100 samples and 10,000 labels, all of which are on each of the three newest samples."""
    client = await create_client(database, tmp_path, samples=100)
    async with client.direct.database.writing() as session:
        statement = """INSERT INTO label (dataset_id, name, since)
            SELECT :dataset, 'n' || n, 1 FROM generate_series(1, :count::int) n"""
        await sql.run(session, statement, dataset=client.dataset_rows.id, count=LABELS)
        statement = """UPDATE sample SET label_ids = ARRAY(SELECT id FROM label ORDER BY id), state = 'LABELED'
            WHERE id = ANY(:ids)"""
        await sql.run(session, statement, ids=client.dataset_rows.samples[-3:])
        statement = """INSERT INTO annotation
                (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, since, shape)
            SELECT dataset_id, id, unnest(label_ids), 'ann', now(), 'MANUAL', 1,
                   '{"type": "BoundingBox", "xMin": 1, "yMin": 2, "xMax": 3, "yMax": 4}'
            FROM sample WHERE label_ids <> '{}'"""
        await sql.run(session, statement)
    return client


def limited(client: DatasetClient, answer: int, database: Database | None = None) -> Direct:
    settings = Settings(limits=Limits(answer=answer))
    return replace(client.direct, settings=settings, database=database or client.direct.database)


async def dataset_name(client: DatasetClient) -> str:
    async with client.direct.database.reading() as reader:
        return str(await reader.fetchval("SELECT name FROM dataset WHERE id = $1", client.dataset_rows.id))


def attacks(name: str) -> dict[str, Operation]:
    def nested(inner: str) -> Operation:
        return attack_requests.nested_lists(name, inner, depth=1)

    aliases = " ".join(f"a{n}: name b{n}: color" for n in range(40))
    shape = "shape { ... on BoundingBox { xMin yMin xMax yMax } }"
    return {
        "labels in pages of pages": attack_requests.nested_lists(name),
        "labels in a page": nested("labels { id name color shortcut sampleCount annotationCount }"),
        "aliases of one list": attack_requests.aliased_lists(name),
        "aliases of a label": nested(f"labels {{ {aliases} }}"),
        "annotations": nested(f"samples(first: 100) {{ nodes {{ annotations {{ id label {{ name }} {shape} }} }} }}"),
        "labels of samples": nested(f"samples(first: 100) {{ nodes {{ labels {{ {aliases} }} }} }}"),
        "edges": nested("samples(first: 100) { edges { node { a: labels { id name } b: labels { id name } } } }"),
    }


async def test_what_repeats_a_long_list_takes_no_memory_to_speak_of(full: DatasetClient) -> None:
    """The highest the memory of the one connection ever was; it was 2 GB for the first of these without the limit."""
    limits = replace(full.direct.database.limits, readers=1)
    async with engine.connect(full.direct.database.url, limits) as database:
        direct = limited(full, 16 * MIB, database)
        async with database.reading() as reader:
            peak = Path(f"/proc/{await reader.fetchval('SELECT pg_backend_pid()')}/status")
        for name, (source, variables) in attacks(await dataset_name(full)).items():
            document = direct.schema.documents.prepare(source)  # its cost, which assumes short lists, is not asked
            with pytest.raises(DomainError, match="too large"):
                await direct.schema.run(Request(document, variables), direct.context())
            assert _highest(peak) < 400 * MIB, name


def _highest(status: Path) -> int:
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


async def test_an_answer_as_long_as_it_may_be_is_given(full: DatasetClient) -> None:
    source = "query ($n: String!) { dataset(by: {name: $n}) { labels { name } } }"
    variables = {"n": await dataset_name(full)}
    whole = await full.direct.execute(source, variables)
    names = whole["dataset"]["labels"]
    items = sum(len('{"name":""}') + len(each["name"]) for each in names)
    assert await limited(full, items).execute(source, variables) == whole
    with pytest.raises(DomainError, match="too large"):
        await limited(full, items - 1).answer(source, variables)


@pytest.mark.parametrize(
    "field",
    [
        "labels { name }",
        "samples(first: 1) { nodes { labels { name } } }",
        "samples(first: 1) { edges { node { annotations { id } } } }",
        "samples(last: 1, orderBy: {field: CREATED_AT}) { nodes { path } edges { node { labels { id } } } }",
        'a: samples(first: 1) { nodes { labels { id } } } b: label(name: "n1") { id }',
    ],
)
async def test_lists_are_stopped_wherever_they_lie(full: DatasetClient, field: str) -> None:
    source = f"query ($n: String!) {{ dataset(by: {{name: $n}}) {{ {field} }} }}"
    variables = {"n": await dataset_name(full)}
    assert await limited(full, 16 * MIB).execute(source, variables)
    with pytest.raises(DomainError, match="too large"):
        await limited(full, 50_000).answer(source, variables)


async def test_what_is_read_after_a_mutation_is_bounded_too(full: DatasetClient) -> None:
    """The mutation is done, and its answer says why there is no more of it."""
    source = """mutation ($input: LabelSamplesInput!) { labelSamples(input: $input) {
        changedCount samples { dataset { labels { id name } } } } }"""
    input_: dict[str, Any] = {"datasetId": full.dataset, "select": {"ids": full.ids(98, 99)}, "labels": ["cat"]}
    answer = await limited(full, 300_000).answer(source, {"input": input_})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["QUERY_TOO_COSTLY"]
