"""A server that reads from a standby, as its clients notice it: over HTTP, and after an event."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from api.observation import gauges
from api.settings import Settings
from db.identity.tokens import Scope
from db.postgres import engine, migrations
from db.postgres.engine import Database
from tests.api.graphql.test_websocket import greeted
from tests.client import Client, serving, token
from tests.db.dataset_rows import make
from tests.standby import Pair, pair
from tests.waiting import LIMITS, SERVER_TIMEOUTS, TIMEOUT, wait_until

LABEL = """mutation ($d: ID!, $name: String!) {
    createLabels(input: {datasetId: $d, labels: [{name: $name}]}) { change { revision } } }"""
REVISION = "query ($d: ID!) { dataset(by: {id: $d}) { revision } }"
FOLLOW = "subscription ($d: ID!) { datasetChanges(datasetId: $d) { revision } }"
READERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'labelgraph' AND query LIKE '%AS read'"
TOKENS = "SELECT count(*) FROM token"
POSITION = "labelgraph-position"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("pair")) as servers:
        asyncio.run(migrations.upgrade(servers.primary.url))
        yield servers


@pytest.fixture
async def database(servers: Pair) -> AsyncIterator[Database]:
    async with engine.connect(servers.primary.url, LIMITS) as database:
        yield database


@asynccontextmanager
async def reading_there(servers: Pair, folder: Path, dataset: str, text: str, *, others: int = 0) -> AsyncIterator[str]:
    """The URL of a server that reads from the standby by now, as so many others do."""

    async def readers(count: int) -> bool:
        return bool(await servers.standby.value(READERS) == count)

    settings = Settings(
        database_url=servers.primary.url,
        read_urls=(servers.standby.url,),
        read_lag=TIMEOUT,
        timeouts=SERVER_TIMEOUTS,
        data_dir=folder,
        worker=False,
    )

    async def has_read() -> bool:
        await revision(Client(url, text), dataset)
        return await readers(others + 1)

    await wait_until(lambda: readers(others))
    async with serving(settings) as url:
        await wait_until(has_read)
        yield url


async def revision(client: Client, dataset: str, **headers: str) -> int:
    found = await client.execute(REVISION, {"d": dataset}, headers=headers)
    return int(found["dataset"]["revision"])


async def test_a_token_reads_its_own_writes_and_a_position_carries_them_to_others(
    servers: Pair, database: Database, tmp_path: Path
) -> None:
    dataset = f"Dataset:{(await make(database, name='pets')).id}"
    ann, bob = await token(database), await token(database, Scope.READ)
    async with (
        reading_there(servers, tmp_path, dataset, bob) as one,
        reading_there(servers, tmp_path, dataset, bob, others=1) as other,
        servers.standby.paused(),
    ):
        labelled = await Client(one, ann).post(LABEL, {"d": dataset, "name": "cat"})
        assert labelled.json() == {"data": {"createLabels": {"change": {"revision": 1}}}}
        position = labelled.headers[POSITION]
        assert await revision(Client(one, ann), dataset) == 1
        assert await revision(Client(one, bob), dataset) == 0
        assert await revision(Client(other, ann), dataset) == 0
        assert await revision(Client(other, ann), dataset, **{POSITION: position}) == 1
        read = await Client(one, bob).post(REVISION, {"d": dataset}, headers={POSITION: position})
        assert read.json() == {"data": {"dataset": {"revision": 1}}}
        assert read.headers[POSITION] >= position
        assert await revision(Client(other, bob), dataset, **{POSITION: read.headers[POSITION]}) == 1
        wrong = await Client(one, bob).post(REVISION, {"d": dataset}, headers={POSITION: "0/16B3748"})
        assert wrong.status_code == 400
        assert "16 hexadecimal digits" in wrong.json()["errors"][0]["message"]


async def test_whoever_reads_because_of_an_event_sees_what_it_is_about(
    servers: Pair, database: Database, tmp_path: Path
) -> None:
    dataset = f"Dataset:{(await make(database, name='birds')).id}"
    ann, bob = await token(database), await token(database, Scope.READ)
    async with reading_there(servers, tmp_path, dataset, bob) as url, greeted(Client(url, bob)) as socket:
        await socket.subscribe("1", FOLLOW, variables={"d": dataset})
        async with servers.standby.paused():
            for number in range(1, 4):
                await Client(url, ann).execute(LABEL, {"d": dataset, "name": f"label{number}"})
                event = (await socket.receive())["payload"]
                assert event == {"data": {"datasetChanges": {"revision": number}}}
                assert await revision(Client(url, bob), dataset) == number


async def test_queries_are_answered_while_the_primary_is_down(
    servers: Pair, database: Database, tmp_path: Path
) -> None:
    dataset = f"Dataset:{(await make(database, name='fish')).id}"
    ann, bob = await token(database), await token(database, Scope.READ)
    async with reading_there(servers, tmp_path, dataset, bob) as url:
        await wait_until(lambda: has_tokens(servers))
        with servers.primary.down():
            assert await revision(Client(url, ann), dataset) == 0
            answer = (await Client(url, ann).post(LABEL, {"d": dataset, "name": "cat"})).json()
            assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        await wait_until(lambda: is_labelled(Client(url, ann), dataset))
        assert await revision(Client(url, ann), dataset) == 1


async def test_metrics_say_how_far_behind_a_standby_is_and_whether_it_gets_queries(
    servers: Pair, database: Database
) -> None:
    limits = replace(LIMITS, lag=0.1)
    async with engine.connect(servers.primary.url, limits, standbys=[servers.standby.url]) as reading:

        async def shown() -> tuple[float, float]:
            samples = [sample for family in await gauges.of_database(reading) for sample in family.samples]
            [lag] = (sample for sample in samples if sample.name == "labelgraph_standby_lag_seconds")
            [used] = (sample for sample in samples if sample.name == "labelgraph_standby_in_use")
            assert lag.labels == used.labels == {"standby": f"1 (a socket, {make_url(servers.standby.url).database})"}
            return lag.value, used.value

        async def is_used() -> bool:
            return await shown() == (0, 1)

        async def is_left_out() -> bool:
            lag, used = await shown()
            return lag > limits.lag and not used

        await wait_until(is_used)
        async with servers.standby.paused():
            await make(database, name="late")
            await wait_until(is_left_out)
        await wait_until(is_used)


async def has_tokens(servers: Pair) -> bool:
    return bool(await servers.standby.value(TOKENS) == await servers.primary.value(TOKENS))


async def is_labelled(client: Client, dataset: str) -> bool:
    return "errors" not in (await client.post(LABEL, {"d": dataset, "name": "cat"})).json()
