"""Filters find a path whichever form of Unicode it is written in, there or in the filter; what is stored stays as the
file system says."""

from itertools import product
from typing import Any, Literal
from unicodedata import normalize

import pytest

from db.postgres.sql import connection_of
from tests.schema.mutation_fixture import DatasetClient

DIRECTORY, NAME = "Möbel/Stühle", "café-Ångström.jpg"
Form = Literal["NFC", "NFD"]
BOTH: tuple[Form, ...] = ("NFC", "NFD")
FORMS = [
    f"{normalize(first, 'Möbel')}/{normalize(second, 'Stühle')}/{normalize(third, NAME)}"
    for first, second, third in product(BOTH, repeat=3)
]
OTHERS = ["Mobel/Stuhle/cafe-Angstrom.jpg", "cafe.jpg", "Möbel/x.jpg"]

QUERY = """query ($id: ID!, $filter: SampleFilter!) { dataset(by: {id: $id}) {
    samples(filter: $filter, first: 20, orderBy: {field: PATH}) { totalCount nodes { path } }
    currentVersion { samples(filter: $filter, first: 20) { totalCount nodes { path } } } } }"""


@pytest.fixture
async def written(client: DatasetClient) -> DatasetClient:
    paths = [*FORMS, *OTHERS]
    async with client.direct.database.writing() as session:
        connection = await connection_of(session)
        for table in ("source", "sample"):
            more = ("id", "dataset_id", "path", "etag", "size", "modified_at")
            if table == "sample":
                more = ("id", "dataset_id", "path", "source_id", "created_at", "since")
            values = "id, dataset_id, path" + (", 'e', 1, now()" if table == "source" else ", id, now(), 1")
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(more)}) SELECT {values}"
                " FROM unnest($2::text[]) WITH ORDINALITY AS p (path, n), LATERAL (SELECT 1000 + n AS id, $1::bigint AS"
                " dataset_id) k",
                client.dataset_rows.id,
                paths,
            )
    await client.mutate("publishVersion", "version { id }", datasetId=client.dataset)
    return client


async def found(client: DatasetClient, filter_: dict[str, Any]) -> set[str]:
    """The same in the working set, in the version, and for a mutation."""
    data = (await client.direct.execute(QUERY, {"id": client.dataset, "filter": filter_}))["dataset"]
    live, published = data["samples"], data["currentVersion"]["samples"]
    paths = {node["path"] for node in live["nodes"]}
    assert paths == {node["path"] for node in published["nodes"]}
    deletion = await client.mutate(
        "deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"filter": filter_}, dryRun=True
    )
    assert live["totalCount"] == published["totalCount"] == deletion["deletedSampleCount"] == len(paths)
    return paths


@pytest.mark.parametrize("form", BOTH)
async def test_every_criterion_compares_in_nfc(written: DatasetClient, form: Form) -> None:
    def input_(text: str) -> str:
        return normalize(form, text)

    every = set(FORMS)
    for filter_ in (
        {"fileName": {"eq": input_(NAME)}},
        {"fileName": {"contains": input_("É-Å")}},
        {"path": {"contains": input_("stühle/CAFÉ")}},
        {"path": {"directory": input_(DIRECTORY)}},
        {"path": {"directory": input_("Möbel/"), "recursive": True, "contains": "ngstr"}},
        {"not": {"not": {"path": {"directory": input_(DIRECTORY)}}}},
        {"or": [{"path": {"directory": input_(DIRECTORY)}}]},
    ):
        assert await found(written, filter_) == every, filter_
    assert await found(written, {"path": {"directory": input_("Möbel")}}) == {"Möbel/x.jpg"}
    assert await found(written, {"path": {"directory": input_("Möbel"), "recursive": True}}) == every | {"Möbel/x.jpg"}
    assert await found(written, {"fileName": {"eq": "cafe.jpg"}}) == {"cafe.jpg"}
    assert await found(written, {"path": {"directory": "Mobel/Stuhle"}}) == {OTHERS[0]}
    assert await found(written, {"fileName": {"contains": "cafe"}}) == {OTHERS[0], "cafe.jpg"}


async def test_a_name_is_given_back_as_it_is_stored(written: DatasetClient) -> None:
    assert await found(written, {"path": {"directory": DIRECTORY}}) == set(FORMS)
    query = "query ($id: ID!) { node(id: $id) { ... on Sample { path fileName directory } } }"
    sample = (await written.direct.execute(query, {"id": f"Sample:{1000 + len(FORMS)}"}))["node"]
    assert sample["path"] == FORMS[-1]
    assert sample["fileName"] == FORMS[-1].rpartition("/")[2]


async def test_indexes_serve_both_forms(written: DatasetClient) -> None:
    """A directory in another form is found by the small index of paths that are not in NFC."""
    async with written.direct.database.reading() as reader:
        await reader.execute("SET enable_seqscan = off")
        plan = await reader.fetch(
            "EXPLAIN SELECT id FROM sample WHERE dataset_id = 1 AND composed(path) <> path"
            " AND composed(path) >= 'Möbel/' AND composed(path) < 'Möbel0'"
        )
        await reader.execute("RESET enable_seqscan")
    assert any("sample_decomposed" in row[0] for row in plan)
