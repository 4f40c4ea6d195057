"""Facets: the samples of a list, counted by their values; and counts that are kept, compared with counting."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from random import Random
from typing import Any

import pytest
from graphql import GraphQLInputObjectType

from db.postgres.sql import connection_of
from schema.inputs.limits import SEARCH
from tests.schema.annotation_fixture import BOX, annotate, box, edit_of, new, suggest
from tests.schema.mutation_fixture import DatasetClient, schema
from tests.schema.read_fixture import ReadFixture
from tests.schema.sample_data import DIRECTORIES, NOW
from tests.schema.version_fixture import answer_in_version, label, publish

FACETS = """facets {
    states { value count } labels { count label { id name sampleCount } } labelers { value count }
    directories { value count } below: directories(under: $under) { value count } usages { value count } hardCount }"""
OF_DATASET = f"""query ($id: ID!, $filter: SampleFilter, $under: String) {{
    dataset(by: {{id: $id}}) {{ samples(filter: $filter) {{ totalCount {FACETS} }} }} }}"""
OF_VERSION = f"""query ($id: ID!, $filter: SampleFilter, $under: String) {{
    node(id: $id) {{ ... on Version {{ samples(filter: $filter) {{ totalCount {FACETS} }} }} }} }}"""
FILTERS: Mapping[str, list[Any]] = {
    "ids": [["Sample:1", "Sample:7", "Sample:9"]],
    "state": ["LABELED", "UNLABELED", "PENDING"],
    "labels": [
        *({"names": names} for names in (["cat"], ["Cat"], ["unused"], ["nobody"], ["cat", "狗"], ["cat", "cat"], [])),
        *({"names": ["cat", "dog-1"], "match": match} for match in ("ANY", "ALL", "NONE")),
        *({"names": ["cat"], "match": match} for match in ("ALL", "NONE")),
        *({"names": ["cat", "nobody"], "match": match} for match in ("ANY", "ALL", "NONE")),
        *({"ids": ids} for ids in (["Label:1"], ["Label:1", "Label:2"], ["Label:6"], ["Label:99"], ["Sample:1"])),
        {"ids": ["Label:1"], "names": ["cat"]},
    ],
    "createdAt": [{"preset": "WITHIN_1_MONTH"}],
    "addedAt": [{"to": NOW.isoformat()}],
    "labeledAt": [{"from": NOW.isoformat()}],
    "fileName": [{"contains": "i"}],
    "path": [{"contains": "cat"}, *({"directory": each.rstrip("/"), "recursive": True} for each in DIRECTORIES)],
    "labeledBy": [["ann"], ["ann", "猫"]],
    "isHard": [True, False],
    "usage": ["TRAIN"],
    "isDamaged": [True, False],
    "isSourceAvailable": [True],
    "width": [{"eq": 640}],
    "height": [{"min": 641}],
    "size": [{"max": 2_500_000}],
    "format": ["PNG"],
    "annotationCount": [{"min": 2}],
    "changedSince": [3],
    "suggestions": [{}, {"models": [{"name": "res\\net", "modelVersion": "1"}]}, {"disagreesWithLabels": True}],
    "and": [[{"isHard": False}, {"state": "LABELED"}]],
    "or": [[{"isHard": True}, {"usage": "EVAL"}], []],
    "not": [{"path": {"startsWith": "c"}}],
}


async def facets(reads: ReadFixture, selected: str, variables: Mapping[str, Any] | None = None) -> Any:
    source = f'{{ dataset(by: {{name: "pets"}}) {{ samples(first: 0) {{ facets {{ {selected} }} }} }} }}'
    return (await reads.data(source, variables))["dataset"]["samples"]["facets"]


# -- what they count --------------------------------------------------------------------------------------------------


def test_every_kind_of_filter_is_in_these_tests() -> None:
    declared = schema()._schema.type_map["SampleFilter"]
    assert isinstance(declared, GraphQLInputObjectType)
    assert FILTERS.keys() == declared.fields.keys()


@pytest.mark.parametrize("kind", ["nothing", *FILTERS])
async def test_facets_of_any_filter_are_as_python_counts_them(reads: ReadFixture, kind: str) -> None:
    filters: list[Any] = [{kind: value} for value in FILTERS[kind]] if kind in FILTERS else [None, {}]
    for filter_ in filters:
        for under in (None, "", "cats", "/cats/", "Gro\u0308ße", "no\x00ne", "猫/none"):
            variables = {"id": "Dataset:1", "filter": filter_, "under": under}
            found = await reads.data(OF_DATASET, variables)
            assert found == reads.expected_answer(OF_DATASET, variables), (filter_, under)


async def test_a_change_has_the_facets_of_its_samples(reads: ReadFixture) -> None:
    source = f"query ($id: ID!, $under: String) {{ node(id: $id) {{ ... on Change {{ samples {{ {FACETS} }} }} }} }}"
    for change in [f"Change:{row['id']}" for row in reads.tables.rows["change"]]:
        variables = {"id": change, "under": "cats"}
        assert await reads.data(source, variables) == reads.expected_answer(source, variables)


async def test_a_version_keeps_the_facets_that_it_was_published_with(client: DatasetClient) -> None:
    await client.mutate("createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": "owl"}])
    await label(client, ["cat"], 0, 1, 2)
    await label(client.as_somebody("bob"), ["dog", "owl"], 2, 3)
    hard: dict[str, Any] = {"select": {"ids": client.ids(1, 3)}, "isHard": True}
    await client.mutate("updateSamples", "changedCount", datasetId=client.dataset, **hard)
    filters: list[Any] = [
        None,
        {"labels": {"names": ["cat"]}},
        {"labels": {"names": ["dog", "owl"]}},
        {"labeledBy": ["bob"]},
    ]
    filters += [{"isHard": True}, {"state": "LABELED"}, {"path": {"startsWith": "00000"}}, {"not": {"isHard": True}}]
    version = (await publish(client))["id"]
    expected = [await read(client, OF_DATASET, client.dataset, filter_) for filter_ in filters]

    await client.mutate(
        "renameLabel", "affectedSampleCount", labelId=client.label("cat"), name="dog", onConflict="MERGE"
    )
    await client.mutate("deleteLabels", "deletedSampleCount", labelIds=[client.label("dog")], mode="LABEL_ONLY")
    everything: dict[str, Any] = {"datasetId": client.dataset, "select": {"all": True}}
    await client.mutate("labelSamples", "changedCount", **everything, labels=["owl"], mode="SET")
    await client.mutate("updateSamples", "changedCount", **everything, isHard=True)
    await client.mutate(
        "deleteSamples", "deletedSampleCount", datasetId=client.dataset, select={"ids": client.ids(0, 4)}
    )
    for filter_, before in zip(filters, expected, strict=True):
        found = await read(client, OF_VERSION, version, filter_)
        used_for_training = found["facets"].pop("usages")
        labelled = [each["count"] for each in before["facets"]["states"] if each["value"] == "LABELED"]
        assert [each["count"] for each in used_for_training] == labelled
        assert before["facets"].pop("usages") == []
        assert found == answer_in_version(before, version), filter_


async def read(client: DatasetClient, source: str, id: str, filter_: Any) -> Any:
    data = await client.direct.execute(source, {"id": id, "filter": filter_})
    [owner] = data.values()
    return owner["samples"]


# -- lists ------------------------------------------------------------------------------------------------------------


async def test_the_most_frequent_values_come_first_and_no_more_than_are_requested(reads: ReadFixture) -> None:
    everything = (await facets(reads, "directories(first: 100) { value count }"))["directories"]
    assert everything == sorted(everything, key=lambda each: (-each["count"], each["value"].encode()))
    counts = [each["count"] for each in everything]
    assert len(set(counts)) < len(counts)  # some have as many
    for first in (0, 1, 3):
        found = await facets(reads, f"directories(first: {first}) {{ value count }}")
        assert found["directories"] == everything[:first]


async def test_fifty_values_are_listed_by_default(client: DatasetClient) -> None:
    names = [f"n{number:02}" for number in range(60)]
    await client.mutate(
        "labelSamples", "changedCount", datasetId=client.dataset, select={"all": True}, labels=names, createMissing=True
    )
    for filter_ in (None, {"state": "LABELED"}):
        found = await read(client, OF_DATASET, client.dataset, filter_)
        assert [each["label"]["name"] for each in found["facets"]["labels"]] == names[:50]


@pytest.mark.parametrize("first", [-1, 101])
async def test_a_length_out_of_its_bounds_is_refused(reads: ReadFixture, first: int) -> None:
    source = (
        f'{{ dataset(by: {{name: "pets"}}) {{ samples {{ facets {{ labelers(first: {first}) {{ count }} }} }} }} }}'
    )
    [error] = (await reads.run(source))["errors"]
    assert error["extensions"] == {"code": "VALIDATION_FAILED", "details": {"most": 100}}
    assert error["path"] == ["dataset", "samples", "facets", "labelers"]


async def test_a_directory_longer_than_any_path_is_refused(reads: ReadFixture) -> None:
    answer = await reads.run(OF_DATASET, {"id": "Dataset:1", "under": "é" * 513})
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"


async def test_a_value_selects_as_many_samples_as_it_counts(reads: ReadFixture) -> None:
    """What a page does when somebody clicks on it."""
    found = await facets(
        reads,
        """states { value count } labels { label { id } count } labelers { value count } usages { value count }
        top: directories { value count } below: directories(under: "cats") { value count }""",
    )
    filters: dict[str, Any] = {
        "states": lambda each: {"state": each["value"]},
        "labels": lambda each: {"labels": {"ids": [each["label"]["id"]]}},
        "labelers": lambda each: {"labeledBy": [each["value"]]},
        "usages": lambda each: {"usage": each["value"]},
        "top": lambda each: {"path": {"directory": each["value"], "recursive": True}},
    }
    for facet, values in found.items():
        assert values, facet
        for each in values:
            filter_ = filters[facet if facet in filters else "top"](each)
            samples = await reads.data(OF_DATASET, {"id": "Dataset:1", "filter": filter_})
            assert samples["dataset"]["samples"]["totalCount"] == each["count"], (facet, each)


async def test_labels_are_counted_however_many_are_on_a_sample_and_however_large_their_ids(
    client: DatasetClient,
) -> None:
    """Three small ids are grouped by in another way than more or larger ones, and than many in the mean."""
    names = [f"n{number}" for number in range(6)]
    await client.mutate(
        "createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": each} for each in names[:4]]
    )
    async with client.direct.database.writing() as session:
        connection = await connection_of(session)
        await connection.execute("ALTER TABLE label ALTER COLUMN id RESTART WITH 2097151")  # the largest of the small
    await client.mutate(
        "createLabels", "labels { id }", datasetId=client.dataset, labels=[{"name": each} for each in names[4:]]
    )
    few = ([names[0], names[4]], [names[0], names[5]], [names[5]], [names[1]], names[:4])
    for on_samples in (few, (*few, names)):  # the second time, many in the mean
        for position, on_sample in enumerate(on_samples):
            await label(client, on_sample, position)
        expected = Counter(name for on_sample in on_samples for name in on_sample)
        for filter_ in ({"state": "LABELED"}, {"changedSince": -1}, {"and": [{"state": "LABELED"}]}):
            found = await read(client, OF_DATASET, client.dataset, filter_)
            assert {each["label"]["name"]: each["count"] for each in found["facets"]["labels"]} == expected, filter_


# -- counts that are kept ---------------------------------------------------------------------------------------------

SAME_COUNTS = """query ($id: ID!, $a: [ID!], $b: [ID!]) { dataset(by: {id: $id}) {
    kept: samples(filter: {labels: {ids: $a}}) { totalCount }
    counted: samples(filter: {and: [{labels: {ids: $a}}]}) { totalCount }
    keptB: samples(filter: {labels: {ids: $b}}) { totalCount }
    countedB: samples(filter: {and: [{labels: {ids: $b}}]}) { totalCount }
    all: samples { facets { ...Kept } }
    matched: samples(filter: {changedSince: -1}) { facets { ...Kept } }
} } fragment Kept on SampleFacets { states { value count } labels { count label { id name } } }"""


async def same_counts(client: DatasetClient) -> tuple[int, int]:
    """What two labels count, which is what counting their samples gives in the same statement."""
    variables = {"id": client.dataset, "a": [client.label("cat")], "b": [client.label("dog")]}
    found = (await client.direct.execute(SAME_COUNTS, variables))["dataset"]
    assert found["kept"] == found["counted"]
    assert found["keptB"] == found["countedB"]
    assert found["all"] == found["matched"]
    return found["kept"]["totalCount"], found["keptB"]["totalCount"]


async def test_the_count_of_a_label_is_that_of_its_samples_while_others_label(client: DatasetClient) -> None:
    is_done = asyncio.Event()

    async def work(random: Random) -> None:
        for step in range(30):
            if step % 10 == 9:
                merged = {"labelId": client.label("dog"), "name": "cat", "onConflict": "MERGE"}
                payload = await client.mutate("renameLabel", "change { id }", **merged)
                await client.mutate("undoChange", "change { id }", changeId=payload["change"]["id"])
            positions = random.sample(range(6), 3)
            mode = random.choice(("ADD", "SET", "REMOVE"))
            await label(client, random.choice((["cat"], ["dog"], ["cat", "dog"])), *positions, mode=mode)

    async def seen() -> AsyncIterator[tuple[int, int]]:
        while not is_done.is_set():
            yield await same_counts(client)

    async def watch() -> set[tuple[int, int]]:
        return {counts async for counts in seen()}

    watching = asyncio.create_task(watch())
    await work(Random(1))
    is_done.set()
    assert len(await watching) > 3
    await same_counts(client)


async def test_suggestions_do_not_count_before_they_are_confirmed(boxes: DatasetClient) -> None:
    suggested = await suggest(boxes, 0, "cat", BOX)
    await annotate(
        boxes, edit_of(boxes, 1, add=[new("cat", box()), new("cat", box(20))]), edit_of(boxes, 2, add=[new("dog")])
    )
    await suggest(boxes, 2, "cat", BOX)
    assert await same_counts(boxes) == (1, 1)
    await annotate(boxes, edit_of(boxes, 0, update=[{"id": suggested}]))
    assert await same_counts(boxes) == (2, 1)


async def test_a_label_that_is_gone_or_elsewhere_counts_nothing(reads: ReadFixture) -> None:
    elsewhere = next(row["id"] for row in reads.tables.rows["label"] if row["dataset_id"] == 4)
    for label_filter in ({"names": ["nobody"]}, {"ids": ["Label:99999"]}, {"ids": [f"Label:{elsewhere}"]}):
        variables = {"id": "Dataset:1", "filter": {"labels": label_filter}}
        assert (await reads.data(OF_DATASET, variables))["dataset"]["samples"]["totalCount"] == 0


# -- what they cost ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selected", "searches", "values"),
    [
        ("states { value count }", 1, 1 + 50 * 2),
        ("labels(first: 3) { count label { id name } }", 1, 1 + 3 * 4),
        ("hardCount __typename a: hardCount", 2, 3),
        ("directories { value } ... on SampleFacets { labelers { value } }", 2, 2 * (1 + 50)),
    ],
)
def test_each_facet_costs_a_search_whatever_page_is_requested(selected: str, searches: int, values: int) -> None:
    source = f"""{{ node(id: "") {{ ... on Version {{
        samples(first: 100) {{ nodes {{ path }} ...Counted facets {{ ...Some }} }} }} }} }}
        fragment Counted on SampleConnection {{ facets {{ ...Some }} }}
        fragment Some on SampleFacets {{ {selected} }}"""
    document = schema().documents.prepare(source)
    assert document.cost({}) == 2 + 100 * 2 + 2 * (1 + searches * SEARCH + values)
