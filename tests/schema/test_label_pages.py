"""Pages of the samples with one label, which an index of an order by time has, for samples with up to three labels."""

from pathlib import Path

import pytest

from db.postgres.engine import Database
from tests.schema.mutation_fixture import DatasetClient, create_client

NAMES = ("ant", "bee", "cat", "dog", "emu")
LABELS = [NAMES[: 1 + position % 5] for position in range(12)]
SAMPLES = "samples(first: $first, last: $last, after: $after, before: $before, filter: $filter, orderBy: $order)"
PAGE = f"""query ($d: ID!, $first: Int, $last: Int, $after: String, $before: String, $filter: SampleFilter,
                  $order: SampleOrderInput) {{
    dataset(by: {{id: $d}}) {{ {SAMPLES} {{ nodes {{ id path }} pageInfo {{ startCursor endCursor }} }} }}
    datasets {{ nodes {{ {SAMPLES} {{ nodes {{ id path }} }} }} }} }}"""


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> DatasetClient:
    client = await create_client(database, tmp_path, samples=len(LABELS), labels=NAMES)
    for position, labels in enumerate(LABELS):
        select = {"ids": client.ids(position)}
        await client.mutate("labelSamples", "changedCount", datasetId=client.dataset, select=select, labels=labels)
    return client


@pytest.mark.parametrize("field", ["CREATED_AT", "ADDED_AT"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("name", NAMES)
async def test_every_page_has_the_samples_with_the_label_whatever_others_they_have(
    client: DatasetClient, field: str, direction: str, name: str
) -> None:
    everything = {"d": client.dataset, "first": 100, "order": {"field": field, "direction": direction}}
    order = (await client.direct.execute(PAGE, everything))["dataset"]["samples"]["nodes"]
    labelled = {id for id, labels in zip(client.ids(*range(12)), LABELS, strict=True) if name in labels}
    expected = [node["id"] for node in order if node["id"] in labelled]
    for filter_ in ({"names": [name]}, {"ids": [client.label(name)]}):
        for size, cursor, end in (("first", "after", "endCursor"), ("last", "before", "startCursor")):
            asked = {**everything, "first": None, size: 1, "filter": {"labels": filter_}}
            found: list[str] = []
            while len(found) <= len(expected):
                data = await client.direct.execute(PAGE, asked)
                page, [other] = data["dataset"]["samples"], data["datasets"]["nodes"]
                assert page["nodes"] == other["samples"]["nodes"]
                if not page["nodes"]:
                    break
                found += [node["id"] for node in page["nodes"]]
                asked[cursor] = page["pageInfo"][end]
            assert found == (expected if size == "first" else expected[::-1])


@pytest.mark.parametrize("labels", [{"names": ["none"]}, {"ids": ["Label:0"]}, {"ids": ["Label:999"]}, {"ids": ["x"]}])
async def test_no_sample_has_a_label_that_is_unknown(client: DatasetClient, labels: dict[str, list[str]]) -> None:
    page = {"d": client.dataset, "first": 1, "filter": {"labels": labels}}
    assert (await client.direct.execute(PAGE, page))["dataset"]["samples"]["nodes"] == []
