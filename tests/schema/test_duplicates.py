"""Dataset.duplicates by looks: groups of hashes, beside plain Python that compares each with each."""

import random
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import pytest

from db.embeddings.looks import LookHasher, add, united
from db.errors import StorageError
from db.formats.images import UnreadableImage
from db.postgres.engine import Database
from tests.schema.embedding_fixture import execute
from tests.schema.mutation_fixture import DatasetClient, create_client

GROUPS = """query ($d: ID!, $distance: Int, $first: Int, $after: String) { dataset(by: {id: $d}) {
    duplicates(by: LOOKS, maxDistance: $distance, first: $first, after: $after) { totalCount unhashedCount
        pageInfo { hasNextPage endCursor } nodes { sampleCount samples(first: 100) { id } } } } }"""


def signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def distance(one: int, other: int) -> int:
    return ((one ^ other) & (1 << 64) - 1).bit_count()


def components(hashes: Mapping[str, int], most: int) -> set[frozenset[str]]:
    """The groups of several that steps of at most so many bits connect."""
    groups = {id: {id} for id in hashes}
    for one, other in combinations(hashes, 2):
        if distance(hashes[one], hashes[other]) <= most and groups[one] is not groups[other]:
            groups[one] |= groups[other]
            for id in groups[other]:
                groups[id] = groups[one]
    return {frozenset(group) for group in groups.values() if len(group) > 1}


def drawn(source: random.Random, count: int) -> list[int]:
    """Hashes of which many are copies of others, with up to three bits changed."""
    found = [source.getrandbits(64)]
    while len(found) < count:
        copy = source.choice(found) if source.random() < 0.7 else source.getrandbits(64)
        for bit in source.sample(range(64), source.choice((0, 1, 1, 2, 2, 3))):
            copy ^= 1 << bit
        found.append(copy)
    return [signed(each) for each in found]


async def store(client: DatasetClient, hashes: Mapping[int, int | None]) -> None:
    """Of sources; in a dataset that was just made, those have the numbers of the samples."""
    async with client.direct.database.writing() as session:
        await add(session, client.dataset_rows.id, hashes)


async def sources(client: DatasetClient) -> dict[str, int]:
    async with client.direct.database.reading() as connection:
        rows = await connection.fetch("SELECT id, source_id FROM sample WHERE dataset_id = $1", client.dataset_rows.id)
    return {f"Sample:{row['id']}": row["source_id"] for row in rows}


async def groups(client: DatasetClient, most: int = 2, **page: Any) -> Any:
    variables = {"d": client.dataset, "distance": most, "first": 100, **page}
    found = (await client.direct.execute(GROUPS, variables))["dataset"]["duplicates"]
    for node in found["nodes"]:
        assert node["sampleCount"] == len(node["samples"])
    return {**found, "nodes": [frozenset(each["id"] for each in node["samples"]) for node in found["nodes"]]}


@pytest.mark.portable
@pytest.mark.parametrize("seed", range(2))
async def test_groups_are_those_that_small_steps_connect(database: Database, tmp_path: Any, seed: int) -> None:
    source = random.Random(seed)
    client = await create_client(database, tmp_path, samples=90)
    by_sample = await sources(client)
    hashes = dict(zip(by_sample, drawn(source, len(by_sample)), strict=True))
    order = source.sample(list(hashes), len(hashes))
    while order:  # in portions, as the worker does
        portion, order = order[: (size := source.randint(1, 30))], order[size:]
        await store(client, {by_sample[id]: hashes[id] for id in portion})
    found = await groups(client)
    for most in (0, 1, 2):
        found = await groups(client, most)
        assert set(found["nodes"]) == components(hashes, most)
        assert (found["totalCount"], found["unhashedCount"]) == (len(found["nodes"]), 0)
    first = await groups(client, first=2)
    assert first["pageInfo"]["hasNextPage"]
    following = await groups(client, after=first["pageInfo"]["endCursor"])
    assert first["nodes"] + following["nodes"] == found["nodes"]
    largest = max(found["nodes"], key=len)
    gone = sorted(largest)[1:]
    await client.mutate("deleteSamples", "change { id }", datasetId=client.dataset, select={"ids": gone})
    assert set((await groups(client))["nodes"]) == set(found["nodes"]) - {largest}


async def test_datasets_have_groups_of_their_own(client: DatasetClient, database: Database, tmp_path: Any) -> None:
    (tmp_path / "other").mkdir()
    await execute(database, "DELETE FROM token")
    other = await create_client(database, tmp_path / "other", samples=2, name="other")
    for each in (client, other):
        await store(each, dict(zip((await sources(each)).values(), (5, 7), strict=False)))
    assert [len(group) for group in (await groups(client))["nodes"]] == [2]
    assert (await groups(client))["unhashedCount"] == 4
    assert (await groups(other))["nodes"] == [frozenset(other.ids(0, 1))]
    answer = await client.direct.answer(GROUPS, {"d": client.dataset, "distance": 3})
    assert answer["errors"][0]["extensions"]["code"] == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("links", "expected"),
    [([], {}), ([(1, 1)], {}), ([(2, 1), (3, 2)], {2: 1, 3: 1}), ([(5, 4), (3, 2), (4, 3)], {5: 2, 4: 2, 3: 2})],
)
def test_what_is_connected_becomes_one(links: Iterable[tuple[int, int]], expected: dict[int, int]) -> None:
    assert united(links) == expected


class FakeDecoders:
    """What an image looks like is in its text."""

    async def difference_hash(self, data: bytes) -> int:
        if data == b"brokn":
            raise UnreadableImage("It is broken.")
        return 0 if data == b"image" else 1


class FakeStore:
    def __init__(self) -> None:
        self.files = {f"{number:06}.jpg": b"image" for number in range(6)}
        self.files |= {"000001.jpg": b"brokn", "000002.jpg": b"other"}
        self.away = {"000003.jpg"}
        self.reads = 0

    async def read(self, path: str) -> bytes:
        self.reads += 1
        if path in self.away:
            raise StorageError("Storage is away.")
        return self.files[path]


async def test_a_worker_hashes_the_images_of_datasets_that_want_it(client: DatasetClient, database: Database) -> None:
    await execute(database, "UPDATE source SET size = 5")
    await execute(database, "UPDATE source SET size = 6 WHERE path = '000004.jpg'")
    files = FakeStore()
    hasher = LookHasher(database, database.url, lambda _: files, FakeDecoders(), 5)  # type: ignore[arg-type,return-value]
    assert await hasher.sweep() == 0
    payload = await client.mutate(
        "updateDataset", "dataset { comparesLooks }", datasetId=client.dataset, comparesLooks=True
    )
    assert payload == {"dataset": {"comparesLooks": True}}
    assert await hasher.sweep() == 5  # the file that is too large counts as one without a hash
    found = await groups(client)
    assert found["nodes"] == [frozenset(client.ids(0, 2, 5))]
    assert found["unhashedCount"] == 1
    assert await hasher.sweep() == 0
    assert files.reads == 5
    files.away, hasher.retry_at = set(), {}
    assert await hasher.sweep() == 1
    assert await hasher.sweep() == 0
    assert files.reads == 6
    assert (await groups(client))["unhashedCount"] == 0
    assert (await groups(client))["nodes"] == [frozenset(client.ids(0, 2, 3, 5))]
