"""putEmbeddings, samples(near) and Sample.similar, beside plain Python that compares all vectors."""

import asyncio
from itertools import chain
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import false

from db import jobs
from db.datasets import purge
from db.embeddings import indexes
from db.postgres import pgvector
from db.postgres.engine import Database, driver_url
from db.queries import nearest
from tests.schema.embedding_fixture import MODEL, NEAR, PUT, Embedded, drawn, embedded, execute, is_same
from tests.schema.mutation_fixture import DatasetClient, create_client
from tests.schema.version_fixture import publish

FEATURES = "{ serverInfo { features } }"
SIMILAR = """query ($id: ID!, $first: Int, $model: ModelInput) { node(id: $id) { ... on Sample {
    similar(first: $first, model: $model) { distance sample { id } } } } }"""


@pytest.fixture
async def pictures(database: Database, tmp_path: Path) -> Embedded:
    return await embedded(database, tmp_path)


async def similar(client: DatasetClient, id: str, first: int | None = 5, **more: Any) -> list[tuple[float, str]]:
    data = await client.direct.execute(SIMILAR, {"id": id, "first": first, **more})
    return [(each["distance"], each["sample"]["id"]) for each in data["node"]["similar"]]


async def test_the_nearest_are_found_of_all_and_of_those_that_match(pictures: Embedded) -> None:
    ids, asked = list(pictures.vectors), drawn(1_000)
    found = await pictures.find({"vector": asked})
    assert is_same(found["edges"], pictures.nearest(asked))
    assert (found["totalCount"], len(found["edges"])) == (57, 57)
    labelled = await pictures.find({"vector": asked, "model": MODEL}, filter={"labels": {"names": ["cat"]}})
    assert is_same(labelled["edges"], pictures.nearest(asked, ids[::3]))
    assert labelled["totalCount"] == 19
    few = await pictures.find({"sampleId": ids[7]}, filter={"ids": ids[5:9]}, first=2)
    assert is_same(few["edges"], pictures.nearest(pictures.vectors[ids[7]], ids[5:9]))
    assert few["edges"][0][1] == ids[7]
    assert few["pageInfo"]["hasNextPage"]
    assert (await pictures.find({"vector": asked}, filter={"usage": "TEST"}))["edges"] == []


async def test_pages_follow_each_other(pictures: Embedded) -> None:
    asked, pages, after = drawn(1_001), [], None
    while True:
        page = await pictures.find({"vector": asked}, first=20, after=after)
        pages.append(page["edges"])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert [len(each) for each in pages] == [20, 20, 17]
    assert is_same(list(chain.from_iterable(pages)), pictures.nearest(asked))
    query = """query ($d: ID!, $near: NearInput, $before: String) { dataset(by: {id: $d}) {
        samples(near: $near, last: 3, before: $before, filter: {state: LABELED}) {
            edges { node { id } } facets { states { value count } labels { count } } } } }"""
    labelled = await pictures.find({"vector": asked}, filter={"state": "LABELED"})
    cursor = (await pictures.find({"vector": asked}, filter={"state": "LABELED"}, first=5))["pageInfo"]["endCursor"]
    variables = {"d": pictures.client.dataset, "near": {"vector": asked}, "before": cursor}
    data = (await pictures.client.direct.execute(query, variables))["dataset"]["samples"]
    assert [each["node"]["id"] for each in data["edges"]] == [id for _, id in labelled["edges"][1:4]]
    assert data["facets"] == {"states": [{"value": "LABELED", "count": 19}], "labels": [{"count": 19}]}


async def test_each_sample_has_similar_ones_in_its_own_state(pictures: Embedded) -> None:
    client, ids = pictures.client, list(pictures.vectors)
    others = [id for id in ids if id != ids[4]]
    assert is_same(await similar(client, ids[4]), pictures.nearest(pictures.vectors[ids[4]], others))
    assert len(await similar(client, ids[4], None)) == 10
    assert await similar(client, client.ids(59)[0]) == []
    version = await publish(client)
    await client.mutate("deleteSamples", "change { id }", datasetId=client.dataset, select={"ids": ids[:40]})
    left = [id for id in others if id not in ids[:40]]
    assert is_same(await similar(client, ids[50]), pictures.nearest(pictures.vectors[ids[50]], {*left} - {ids[50]}))
    number = version["id"].partition(":")[2]
    found = await similar(client, f"{ids[4]}@{number}")
    assert all(id.endswith(f"@{number}") for _, id in found)
    found = [(far, id.partition("@")[0]) for far, id in found]
    assert is_same(found, pictures.nearest(pictures.vectors[ids[4]], others))
    query = """query ($v: ID!, $near: NearInput) { node(id: $v) { ... on Version {
        samples(near: $near, first: 7, filter: {state: LABELED}) { totalCount edges { distance node { id } } } } } }"""
    data = await client.direct.execute(query, {"v": version["id"], "near": {"sampleId": ids[4]}})
    page = data["node"]["samples"]
    found = [(edge["distance"], edge["node"]["id"].partition("@")[0]) for edge in page["edges"]]
    assert is_same(found, pictures.nearest(pictures.vectors[ids[4]], ids[::3]))
    assert page["totalCount"] == 19


async def test_what_cannot_be_asked_is_refused(pictures: Embedded) -> None:
    client, [gone] = pictures.client, pictures.client.ids(0)
    await client.mutate("deleteSamples", "change { id }", datasetId=client.dataset, select={"ids": [gone]})
    asked = [
        ({}, "VALIDATION_FAILED"),
        ({"sampleId": client.ids(1)[0], "vector": drawn(1)}, "VALIDATION_FAILED"),
        ({"vector": drawn(1, 23)}, "VALIDATION_FAILED"),
        ({"vector": []}, "VALIDATION_FAILED"),
        ({"vector": [0.0] * 24}, "VALIDATION_FAILED"),
        ({"vector": [1e38] * 24}, "VALIDATION_FAILED"),
        ({"vector": [float("nan")] * 24}, "BAD_USER_INPUT"),
        ({"vector": drawn(1), "model": {"name": "clip", "modelVersion": "2"}}, "NOT_FOUND"),
        ({"vector": drawn(1), "model": {"name": "clip\0", "modelVersion": "1"}}, "NOT_FOUND"),
        ({"sampleId": client.ids(59)[0]}, "NOT_FOUND"),
        ({"sampleId": gone}, "SAMPLE_NOT_FOUND"),
        ({"sampleId": "nonsense"}, "SAMPLE_NOT_FOUND"),
    ]
    for near, code in asked:
        query = "query ($d: ID!, $near: NearInput) { dataset(by: {id: $d}) { samples(near: $near) { totalCount } } }"
        answer = await client.direct.answer(query, {"d": client.dataset, "near": near})
        assert {error["extensions"]["code"] for error in answer["errors"]} == {code}, (near, answer)
    assert (await client.direct.answer(SIMILAR, {"id": client.ids(1)[0], "first": 101}))["errors"]
    unknown = {"id": client.ids(1)[0], "model": {"name": "other", "modelVersion": "1"}}
    [error] = (await client.direct.answer(SIMILAR, unknown))["errors"]
    assert error["extensions"]["code"] == "NOT_FOUND"


async def test_an_order_is_ignored_and_a_model_has_one_name(pictures: Embedded) -> None:
    query = """query ($d: ID!, $near: NearInput, $first: Int, $by: SampleOrderInput!) { dataset(by: {id: $d}) {
        samples(near: $near, first: $first, orderBy: $by) { edges { distance node { id } } } } }"""
    asked = drawn(1_000)
    found = await pictures.find({"vector": asked}, query, by={"field": "PATH", "direction": "DESC"})
    assert is_same(found["edges"], pictures.nearest(asked)), "as `orderBy` says: it is ignored with `near`"
    ids = pictures.client.ids(0)
    for name in (" \u202e ", " clip", "clip\n", "", "x" * 257, "\0"):
        for model in ({"name": name, "modelVersion": "1"}, {"name": "clip", "modelVersion": name}):
            given = {"datasetId": pictures.client.dataset, "model": model}
            samples = [{"sampleId": ids[0], "vector": asked}]
            assert (await pictures.client.refused("putEmbeddings", samples=samples, **given))["code"] == "INVALID_NAME"
    await pictures.put({ids[0]: asked}, {"name": "e\u0301", "modelVersion": "1"})
    for name in ("\xe9", "e\u0301"):
        near = {"vector": asked, "model": {"name": name, "modelVersion": "1"}}
        assert (await pictures.find(near))["totalCount"] == 1
    model = {"name": "e\u0301", "modelVersion": "1"}
    deleted = await pictures.client.mutate(
        "deleteEmbeddings", "deletedCount", datasetId=pictures.client.dataset, model=model
    )
    assert deleted["deletedCount"] == 1


@pytest.mark.parametrize(
    ("samples", "code"),
    [
        ([], "EMPTY_SELECTION"),
        ([{"vector": [1.0, 2.0]}], "VALIDATION_FAILED"),
        ([{"sampleId": 0, "path": "000000.jpg", "vector": [1.0]}], "VALIDATION_FAILED"),
        ([{"sampleId": 0, "vector": []}], "VALIDATION_FAILED"),
        ([{"sampleId": 0, "vector": [0.0, -0.0]}], "VALIDATION_FAILED"),
        ([{"sampleId": 0, "vector": [1e-40]}], "VALIDATION_FAILED"),
        ([{"sampleId": 0, "vector": [1.0, 1e300]}], "VALIDATION_FAILED"),
        ([{"sampleId": 0, "vector": [1.0, float("inf")]}], "BAD_USER_INPUT"),
        ([{"sampleId": 0, "vector": [float("nan"), 1.0]}], "BAD_USER_INPUT"),
        ([{"sampleId": 0, "vector": [1.0] * 4_001}], "VALIDATION_FAILED"),
        ([{"sampleId": 0, "vector": ["1.0"]}], "BAD_USER_INPUT"),
        ([{"sampleId": 0, "vector": [1.0]}, {"sampleId": 1, "vector": [1.0, 2.0]}], "VALIDATION_FAILED"),
        ([{"sampleId": 0, "vector": [1.0]}, {"path": "000000.jpg", "vector": [2.0]}], "VALIDATION_FAILED"),
        ([{"sampleId": 0, "vector": [1.0, 2.0, 3.0]}], "VALIDATION_FAILED"),  # the model has two numbers
        ([{"sampleId": 0, "vector": [1.0, 2.0]}] * 1_001, "VALIDATION_FAILED"),
    ],
)
async def test_vectors_that_cannot_be_compared_are_refused(
    database: Database, tmp_path: Path, samples: Any, code: str
) -> None:
    assert await pgvector.enable(database.url)
    made = Embedded(await create_client(database, tmp_path, samples=2))
    ids = made.client.ids(0, 1)
    await made.put({ids[0]: [3.0, 4.0]})
    given = [{**each, "sampleId": ids[each["sampleId"]]} if "sampleId" in each else each for each in samples]
    dataset = made.client.dataset
    error = await made.client.refused("putEmbeddings", datasetId=dataset, model=MODEL, samples=given)
    assert error["code"] == code
    assert (await made.find({"vector": [3.0, 4.0]}))["edges"] == [(0, ids[0])]


async def test_vectors_are_stored_by_paths_replaced_and_deleted(database: Database, tmp_path: Path) -> None:
    assert await pgvector.enable(database.url)
    made = Embedded(await create_client(database, tmp_path, samples=3))
    client, ids = made.client, made.client.ids(0, 1, 2)
    largest = [1.0, -2.0] * 2_000
    await made.put({ids[0]: largest, ids[1]: [-2.0, 1.0] * 2_000}, {"name": "large", "modelVersion": "a"})
    given = [{"path": "000000.jpg", "vector": [1.0, 0.0]}, {"path": "no.jpg", "vector": [0.0, 1.0]}]
    given += [{"sampleId": ids[2], "vector": [0.0, 5.0]}, {"sampleId": "Sample:999", "vector": [1.0, 1.0]}]
    payload = await client.mutate("putEmbeddings", PUT, datasetId=client.dataset, model=MODEL, samples=given)
    models = [{"name": "large", "modelVersion": "a", "dimension": 4_000, "embeddingCount": 2}]
    models.append({**MODEL, "dimension": 2, "embeddingCount": 2})
    missing = {"notFoundIds": ["Sample:999"], "notFoundPaths": ["no.jpg"]}
    assert payload == {"storedCount": 2, **missing, "dataset": {"embeddingModels": models}}
    oldest = await made.find({"sampleId": ids[0]})
    assert [id for _, id in oldest["edges"]] == ids[:2]
    payload = await made.put({ids[0]: [0.0, 1.0], ids[1]: [1.0, 1.0]})
    assert payload["dataset"]["embeddingModels"][1]["embeddingCount"] == 3
    found = await made.find({"vector": [0.0, 0.5], "model": MODEL})
    assert [(round(far, 3), id) for far, id in found["edges"]] == [(0, ids[0]), (0, ids[2]), (0.293, ids[1])]
    old: dict[str, Any] = {"datasetId": client.dataset, "model": {"name": "large", "modelVersion": "a"}}
    assert (await client.mutate("deleteEmbeddings", "deletedCount", **old))["deletedCount"] == 2
    assert (await client.refused("deleteEmbeddings", **old))["code"] == "NOT_FOUND"
    assert [id for _, id in (await made.find({"sampleId": ids[0]}))["edges"]] == [ids[0], ids[2], ids[1]]
    assert await client.revision() == 1


async def test_calls_at_the_same_time_store_all(pictures: Embedded) -> None:
    ids, model = pictures.client.ids(*range(60)), {"name": "other", "modelVersion": "1"}
    calls = [{id: drawn(seed) for id in ids[seed:] + ids[:seed]} for seed in range(0, 60, 10)]
    payloads = await asyncio.gather(*(pictures.put(vectors, model) for vectors in calls))  # type: ignore[arg-type]
    assert [each["storedCount"] for each in payloads] == [60] * 6
    counts = {each["dataset"]["embeddingModels"][1]["embeddingCount"] for each in payloads}
    assert counts == {60}


async def test_a_new_image_has_no_embedding_and_a_purge_leaves_none(pictures: Embedded) -> None:
    client, ids, database = pictures.client, list(pictures.vectors), pictures.client.direct.database
    await execute(
        database,
        """WITH new AS (
            INSERT INTO source (dataset_id, path, etag, size, modified_at)
            SELECT dataset_id, 'new.jpg', 'new', 1, now() FROM sample WHERE id = $1 RETURNING id
        ) UPDATE sample SET source_id = new.id, since = 3 FROM new WHERE sample.id = $1""",
        int(ids[0].partition(":")[2]),
    )
    del pictures.vectors[ids[0]]
    assert is_same((await pictures.find({"vector": drawn(5)}))["edges"], pictures.nearest(drawn(5)))
    assert await similar(client, ids[0]) == []
    await client.mutate("deleteDataset", "deletedDatasetId", datasetId=client.dataset)
    claim = await jobs.claim(database, 7)
    assert claim is not None
    await purge.run(database, claim, client.direct.context().stores.open)
    async with database.reading() as connection:
        for table in ("embedding", "embedding_model", "source"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


@pytest.mark.parametrize("dimension", [24, 600])  # the index is of the vectors themselves, or of a bit a number
async def test_a_large_model_gets_an_index_which_finds_the_same(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dimension: int
) -> None:
    pictures = await embedded(database, tmp_path, dimension=dimension)
    client, ids = pictures.client, list(pictures.vectors)
    assert await indexes.sweep(database, database.url, many=50) == 0  # embeddings have just come in
    await execute(database, "UPDATE embedding_model SET changed_at = now() - interval '1 min'")
    assert await indexes.sweep(database, database.url) == 0  # they are few
    assert await indexes.sweep(database, database.url, many=50) == 1
    assert await indexes.sweep(database, database.url, many=50) == 0
    async with database.reading() as connection, connection.transaction():
        index = f"embedding_of_{await connection.fetchval('SELECT id FROM embedding_model')}"
        vector, model = "(SELECT vector FROM embedding LIMIT 1)", "(SELECT id FROM embedding_model)"
        candidates = f"embedding_candidates({model}, {vector}, 5, round)"
        found = await connection.fetch(f"SELECT round, source_id FROM generate_series(0, 2) round, {candidates}")
        scans = await connection.fetchval(f"SELECT pg_stat_get_xact_numscans('{index}'::regclass)")
        assert ([row["round"] for row in found], scans) == ([*[0] * 5, *[1] * 20, *[2] * 32], 3)
        assert len({row["source_id"] for row in found}) == 57
    filters: list[tuple[Any, list[str]]] = [(None, ids), ({"state": "LABELED"}, ids[::3]), ({"ids": ids[:3]}, ids[:3])]
    for seed in range(2_000, 2_005):
        for filter_, among in filters:
            page = await pictures.find({"vector": drawn(seed, dimension)}, filter=filter_, first=4)
            assert is_same(page["edges"], pictures.nearest(drawn(seed, dimension), among))
    monkeypatch.setattr(nearest, "FEW", 5)
    monkeypatch.setattr(nearest, "LEAST_FILTERED", 0)  # of 18 candidates too few match, so others follow
    if dimension == 24:  # of bits more are compared than there are
        compared = nearest.Nearest._compared

        def among_candidates(self: nearest.Nearest, *where: Any, candidates: Any = None) -> Any:
            return compared(self, *where, *(() if candidates else (false(),)), candidates=candidates)

        monkeypatch.setattr(nearest.Nearest, "_compared", among_candidates)
    page_alone = NEAR.replace("totalCount pageInfo { hasNextPage endCursor }", "")  # so few rows, not the whole list
    page_alone = f"{page_alone} # {dimension}"  # a plan of its own
    for filter_, among in ((None, ids), ({"state": "LABELED"}, ids[::3])):
        page = await pictures.find({"vector": drawn(8, dimension)}, page_alone, filter=filter_, first=4)
        assert is_same(page["edges"], pictures.nearest(drawn(8, dimension), among))
        assert len(page["edges"]) == 4
    monkeypatch.undo()
    half_made = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::text::regclass"
    await execute(database, half_made, index)
    assert is_same(
        (await pictures.find({"vector": drawn(9, dimension)}))["edges"], pictures.nearest(drawn(9, dimension))
    )
    assert await indexes.sweep(database, database.url, many=50) == 1
    await client.mutate("deleteEmbeddings", "deletedCount", datasetId=client.dataset, model=MODEL)
    assert await indexes.sweep(database, database.url, many=50) == 0
    async with database.reading() as connection:
        assert await connection.fetchval("SELECT to_regclass($1)", index) is None


@pytest.mark.portable
async def test_without_pgvector_it_is_said_and_nothing_else_is_refused(client: DatasetClient) -> None:
    """On any Postgres before pgvector is there; and it is picked up later, where it can be had."""
    database, dataset = client.direct.database, client.dataset
    assert (await client.direct.execute(FEATURES))["serverInfo"]["features"] == []
    given = [{"sampleId": client.ids(0)[0], "vector": [1.0, 2.0]}]
    error = await client.refused("putEmbeddings", datasetId=dataset, model=MODEL, samples=given)
    assert (error["code"], error["details"]) == ("FEATURE_UNAVAILABLE", {"feature": "EMBEDDINGS"})
    for field in (
        "samples(near: {vector: [1, 2]}) { totalCount }",
        'sample(path: "000000.jpg") { similar { distance } }',
    ):
        query = f'{{ dataset(by: {{id: "{dataset}"}}) {{ {field} }} }}'
        [error] = (await client.direct.answer(query))["errors"]
        assert error["extensions"]["code"] == "FEATURE_UNAVAILABLE"
    assert await indexes.sweep(database, database.url) == 0
    query = f'{{ dataset(by: {{id: "{dataset}"}}) {{ embeddingModels {{ name }} samples {{ totalCount }} }} }}'
    assert (await client.direct.execute(query))["dataset"] == {"embeddingModels": [], "samples": {"totalCount": 6}}
    if await pgvector.enable(database.url):
        assert await pgvector.enable(database.url)
        assert (await client.direct.execute(FEATURES))["serverInfo"]["features"] == ["EMBEDDINGS"]
        await client.mutate("putEmbeddings", "storedCount", datasetId=dataset, model=MODEL, samples=given)


async def test_a_worker_that_sees_is_a_feature_as_long_as_it_runs(client: DatasetClient, database: Database) -> None:
    connection = await asyncpg.connect(driver_url(database.url))
    try:
        abilities: list[jobs.Ability] = ["VISION"]
        async with jobs.register_worker(connection, abilities):
            assert (await client.direct.execute(FEATURES))["serverInfo"]["features"] == ["VISION"]
        assert (await client.direct.execute(FEATURES))["serverInfo"]["features"] == []
    finally:
        await connection.close()
