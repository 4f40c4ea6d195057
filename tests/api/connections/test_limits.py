"""What one connection, address or token may take of the server."""

import asyncio
from contextlib import AsyncExitStack

from api.connections.open_connections import network_of
from api.settings import Settings
from db.postgres.engine import Database
from tests.api.connections.raw_connection import GET, SLOW, TIMEOUT, limited, post, query, raw_connection
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token


async def test_an_address_has_a_limit_of_connections(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, address_connections=3), ToySchema()) as url, AsyncExitStack() as stack:
        client = Client(url, await token(database))
        for _ in range(3):
            raw = await stack.enter_async_context(raw_connection(url, "127.0.0.2"))
            raw.writer.write(post(client, b"", length=100))
        for _ in range(20):  # refused, however often
            async with raw_connection(url, "127.0.0.2") as refused:
                assert await refused.status() == 429
        async with raw_connection(url, "127.0.0.3") as other, raw_connection(url) as local:
            for raw in (other, local):
                raw.writer.write(GET)
                assert await raw.status() == 200


async def test_an_idle_connection_makes_room_for_a_new_one(settings: Settings) -> None:
    async with serving(limited(settings, address_connections=3), ToySchema()) as url, AsyncExitStack() as stack:
        raws = [await stack.enter_async_context(raw_connection(url, "127.0.0.2")) for _ in range(3)]
        for raw in raws:
            raw.writer.write(GET)
            assert await raw.status() == 200
        raws[0].writer.write(GET)  # no longer the one that waits longest
        await raws[0].reader.readexactly(len(b'{"status":"ok"}'))
        assert await raws[0].status() == 200
        async with raw_connection(url, "127.0.0.2") as fourth:
            fourth.writer.write(GET)
            assert await fourth.status() == 200
        await raws[1].closed()
        for raw in (raws[0], raws[2]):
            await raw.reader.readexactly(len(b'{"status":"ok"}'))
            raw.writer.write(GET)
            assert await raw.status() == 200


async def test_a_full_server_closes_idle_connections_before_it_refuses(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, connections=2), ToySchema()) as url, AsyncExitStack() as stack:
        client = Client(url, await token(database))
        idle, busy = [await stack.enter_async_context(raw_connection(url)) for _ in range(2)]
        idle.writer.write(GET)
        assert await idle.status() == 200
        busy.writer.write(post(client, b"", length=100))
        third = await stack.enter_async_context(raw_connection(url))
        third.writer.write(post(client, b"", length=100))
        await idle.closed()
        async with raw_connection(url) as fourth:
            assert await fourth.status() == 503


async def test_a_client_behind_a_proxy_has_a_limit_of_its_own(settings: Settings, database: Database) -> None:
    origin = "https://ui.example"
    settings = limited(settings.with_changes(allowed_origins=(origin,)), address_connections=2)
    async with serving(settings, ToySchema()) as url, AsyncExitStack() as stack:
        client = Client(url, await token(database))
        for _ in range(2):
            raw = await stack.enter_async_context(raw_connection(url))
            raw.writer.write(post(client, b"", "X-Forwarded-For: 10.0.0.9", "Expect: 100-continue", length=100))
            assert await raw.status() == 100
        for address, status in (("10.0.0.9", 429), ("10.0.0.8", 200)):
            async with raw_connection(url) as raw:
                raw.writer.write(post(client, query("{ hello }"), f"X-Forwarded-For: {address}"))
                assert await raw.status() == status
        page = {"origin": origin, "x-forwarded-for": "10.0.0.9"}
        refused = await client.post("{ hello }", headers=page)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.headers["access-control-allow-origin"] == origin


async def test_addresses_of_one_customer_count_as_one() -> None:
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::9")
    assert network_of("2001:db8:1:2::9") != network_of("2001:db8:1:3::9")
    assert network_of("::ffff:10.0.0.9") == network_of("10.0.0.9") == "10.0.0.9"


async def test_a_token_has_a_limit_of_requests(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, token_requests=2), ToySchema()) as url, AsyncExitStack() as stack:
        client, other = Client(url, await token(database)), Client(url, await token(database))
        for _ in range(2):
            raw = await stack.enter_async_context(raw_connection(url))
            raw.writer.write(post(client, b"", "Expect: 100-continue", length=100))
            assert await raw.status() == 100
        answer = await client.post("{ hello }")
        assert answer.status_code == 429
        assert answer.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert await other.execute("{ hello }") == {"hello": "hello world"}


async def test_a_token_uses_at_most_half_of_the_database(settings: Settings, database: Database) -> None:
    """More operations of it wait; those of others do not."""
    patient = settings.with_changes(pool_size=4, timeouts=settings.timeouts.with_changes(query=600.0))
    toy = ToySchema()
    async with serving(patient, toy) as url:
        client, other = Client(url, await token(database), TIMEOUT), Client(url, await token(database), TIMEOUT)
        running = [asyncio.create_task(client.execute(SLOW)) for _ in range(2)]
        async with asyncio.timeout(TIMEOUT):
            while toy.slow < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        waiting = asyncio.create_task(client.execute("{ hello }"))
        assert await other.execute("{ hello }") == {"hello": "hello world"}
        assert not waiting.done()
        toy.end.set()
        await asyncio.gather(*running, waiting)
