"""What one connection, one address or one token may take of the server, seen from the socket."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from api import connections
from api.configuration import server_options
from api.settings import Limits, Settings, Timeouts
from db.identity.tokens import Scope as TokenScope
from db.postgres.engine import Database
from tests.api.graphql.toy_schema import ToySchema
from tests.client import Client, serving, token

TIMEOUT = 60.0  # seconds
PIECE = b"a" * 64 * 1024
SLOW = "{ slow(seconds: 600) }"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
Change = Callable[..., Settings]


@dataclass(slots=True)
class Wire:
    """A connection, spoken to in bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        async with asyncio.timeout(TIMEOUT):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def status(self) -> int:
        return int((await self.head()).split()[1])

    async def closed(self) -> None:
        """Waits until the server has closed, whatever it sends before."""
        async with asyncio.timeout(TIMEOUT):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                return

    async def pour(self, data: bytes) -> None:
        """Sends the same again and again, until the server closes or answers."""
        try:
            while not self.reader.at_eof() and not self.reader._buffer:  # type: ignore[attr-defined]
                self.writer.write(data)
                await self.writer.drain()
        except ConnectionError:
            return


@asynccontextmanager
async def wired(url: str, address: str = "127.0.0.1") -> AsyncIterator[Wire]:
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, data_dir=tmp_path, worker=False)


@pytest.fixture
async def url(settings: Settings) -> AsyncIterator[str]:
    async with serving(settings, ToySchema()) as url:
        yield url


@pytest.fixture
async def client(url: str, database: Database) -> Client:
    return Client(url, await token(database), timeout=TIMEOUT)


def post(client: Client, body: bytes, *more: str, path: str = "/graphql", length: int | None = None) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Authorization: Bearer {client.token}",
        f"Content-Length: {len(body) if length is None else length}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def query(text: str) -> bytes:
    return json.dumps({"query": text}).encode()


# -- heads ------------------------------------------------------------------------------------------------------------

CHUNKED = (
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer TOKEN\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
BEGUN = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
ENDLESS = {
    "a header": (BEGUN + b"X: ", PIECE, 431),
    "a header's name": (BEGUN, PIECE, 431),
    "a URL": (b"GET /", PIECE, 414),
    "many headers": (BEGUN, b"X: a\r\n" * 1_000, 431),
    "a trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", PIECE, 431),
    "many trailers": (CHUNKED + b"0\r\n", b"X: a\r\n" * 1_000, 431),
    "a chunk's extension": (CHUNKED + b"2;", PIECE, 431),
    "blank lines": (b"", b"\r\n" * 1_000, 431),
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_never_ends_is_refused_and_closed(client: Client, what: str) -> None:
    first, rest, status = ENDLESS[what]
    async with wired(client.url) as wire:
        wire.writer.write(first.replace(b"TOKEN", str(client.token).encode()))
        sending = asyncio.create_task(wire.pour(rest))
        assert await wire.status() == status
        await wire.closed()
        await sending


async def test_a_large_head_is_taken(client: Client) -> None:
    async with wired(client.url) as wire:
        wire.writer.write(BEGUN + b"X: " + b"a" * 60_000 + b"\r\n\r\n")
        assert await wire.status() == 200


async def test_a_body_of_many_small_chunks_is_taken(client: Client) -> None:
    body = query('{ hello(name: "' + "x" * 50_000 + '") }')
    async with wired(client.url) as wire:
        wire.writer.write(CHUNKED.replace(b"TOKEN", str(client.token).encode()))
        wire.writer.write(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        assert await wire.status() == 200


async def test_a_trailer_is_no_header(client: Client) -> None:
    body = query("{ who }")
    async with wired(client.url) as wire:
        wire.writer.write(CHUNKED.replace(b"Authorization: Bearer TOKEN\r\n", b""))
        wire.writer.write(
            b"%x\r\n%b\r\n0\r\nAuthorization: Bearer %b\r\n\r\n" % (len(body), body, str(client.token).encode())
        )
        assert await wire.status() == 401


async def test_a_body_that_nobody_wants_is_not_read_for_ever(url: str) -> None:
    async with wired(url) as wire:
        wire.writer.write(b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n")
        assert await wire.status() == 405
        await asyncio.wait_for(wire.pour(PIECE), TIMEOUT)
        sending = asyncio.create_task(_pour_on(wire))
        await wire.closed()
        await sending


BODY = b"x" * 8 * 1024 * 1024
EARLY = {
    "no token": ("/graphql", "Authorization: none", 401),
    "another type": ("/graphql", "Content-Type: text/plain", 415),
    "too large": ("/graphql", "X: y", 413),
    "no such page": ("/none", "X: y", 404),
    "no such method": ("/healthz", "X: y", 405),
    "no such upload": ("/uploads/none", "X: y", 405),
}


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize("case", EARLY)
async def test_who_still_sends_is_not_cut_off_before_the_end_of_the_body(
    client: Client, case: str, connection: str
) -> None:
    """A connection that is closed while bytes come is reset, and its client may lose the response."""
    path, line, status = EARLY[case]
    name = line.partition(":")[0]
    head = post(client, b"", f"Connection: {connection}", path=path, length=len(BODY)).split(b"\r\n")
    lines = [given for given in head if not given.startswith(name.encode())]
    async with wired(client.url) as wire, asyncio.timeout(TIMEOUT):
        wire.writer.write(b"\r\n".join([lines[0], line.encode(), *lines[1:]]))
        response = await wire.head()
        assert int(response.split()[1]) == status
        wire.writer.write(BODY)
        await wire.writer.drain()
        if b"connection: close" in response:
            assert b"HTTP/1.1" not in await wire.reader.read(), "it ends, without an error"
        else:
            wire.writer.write(GET)
            assert b"HTTP/1.1 200" in await wire.reader.readuntil(b'{"status":"ok"}')


async def test_a_bad_end_of_a_body_that_was_answered_closes(client: Client) -> None:
    async with wired(client.url) as wire:
        wire.writer.write(CHUNKED.replace(b"Authorization: Bearer TOKEN", b"Connection: close"))
        assert await wire.status() == 401
        wire.writer.write(b"no number\r\n")
        async with asyncio.timeout(TIMEOUT):
            assert b"HTTP/1.1" not in await wire.reader.read()


async def _pour_on(wire: Wire) -> None:
    try:
        while True:
            wire.writer.write(PIECE)
            await wire.writer.drain()
    except ConnectionError:
        return


# -- one request after the other --------------------------------------------------------------------------------------


@asynccontextmanager
async def bare(app: Any, settings: Settings, **more: Any) -> AsyncGenerator[tuple[uvicorn.Server, str], None]:
    """An application without ours, behind our protocols, in this event loop."""
    options = server_options(settings) | more
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", **options))
        with server.capture_signals():
            task = asyncio.create_task(server._serve([listener]))
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        try:
            yield server, f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            await task


async def answer(send: Send, body: bytes = b"") -> None:
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def test_pipelined_requests_are_begun_one_after_the_other(settings: Settings) -> None:
    """While the first is answered none behind it is even looked at, and another client is served."""
    heads, waiting, go_on = 0, asyncio.Event(), asyncio.Event()

    class Counting(server_options(settings)["http"]):  # type: ignore[misc]
        def on_headers_complete(self) -> None:
            nonlocal heads
            heads += 1
            super().on_headers_complete()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/healthz" and not go_on.is_set():
            waiting.set()
            await go_on.wait()
        await answer(send)

    async with bare(app, settings, http=Counting) as (_, url), wired(url) as many, wired(url) as other:
        many.writer.write(GET * 2_000)
        await asyncio.wait_for(waiting.wait(), TIMEOUT)
        other.writer.write(b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await other.status() == 200
        assert heads == 2
        go_on.set()
        for _ in range(2_000):
            assert await many.status() == 200


async def test_no_more_is_kept_than_one_read_of_what_comes_too_early(settings: Settings) -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await go_on.wait()
        await answer(send)

    async with bare(app, settings) as (server, url), wired(url) as wire:
        sending = asyncio.create_task(wire.pour(GET * 2_000))
        for _ in range(50):
            await asyncio.sleep(0.01)
        (connection,) = server.server_state.connections
        assert len(connection._received) < 1024 * 1024  # type: ignore[union-attr]
        sending.cancel()
        go_on.set()


async def test_pipelined_bodies_arrive_whole_and_in_order(client: Client) -> None:
    asked = [post(client, query(f'{{ hello(name: "{"x" * number}") }}')) for number in (1, 9_000, 70, 40_000, 5)]
    async with wired(client.url) as wire:
        wire.writer.write(b"".join(asked))
        for number in (1, 9_000, 70, 40_000, 5):
            head = await wire.head()
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            assert (await wire.reader.readexactly(length)).count(b"x") == number


async def test_a_kept_connection_outlives_the_time_that_proxies_keep_theirs(settings: Settings) -> None:
    assert server_options(settings)["timeout_keep_alive"] == settings.timeouts.keep_alive >= 75


async def test_a_connection_without_a_request_is_closed(settings: Settings) -> None:
    timeouts = settings.timeouts.with_changes(keep_alive=0.2)
    async with serving(settings.with_changes(timeouts=timeouts), ToySchema()) as url, wired(url) as wire:
        wire.writer.write(GET)
        assert await wire.status() == 200
        await wire.closed()


async def test_a_connection_whose_body_ended_after_the_response_is_closed_too(
    settings: Settings, database: Database
) -> None:
    timeouts = settings.timeouts.with_changes(keep_alive=1.0)
    async with serving(settings.with_changes(timeouts=timeouts), ToySchema()) as url, wired(url) as wire:
        client = Client(url, await token(database))
        wire.writer.write(post(client, b"", path="/none", length=9))
        assert await wire.status() == 404
        wire.writer.write(b"x" * 9)
        await wire.closed()


# -- clients that do not read -----------------------------------------------------------------------------------------

LARGE = b"x" * 32 * 1024 * 1024


async def test_a_client_that_reads_nothing_is_let_go(settings: Settings) -> None:
    begun = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await answer(send, LARGE)

    changed = settings.with_changes(timeouts=settings.timeouts.with_changes(write=0.4))
    async with bare(app, changed) as (server, url), AsyncExitStack() as stack:
        for _ in range(5):
            wire = await stack.enter_async_context(wired(url))
            wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
            wire.writer.write(GET)
        async with asyncio.timeout(TIMEOUT):
            await begun.wait()
            while server.server_state.connections or server.server_state.tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_client_that_reads_slowly_gets_all(settings: Settings) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, LARGE)

    changed = settings.with_changes(timeouts=settings.timeouts.with_changes(write=1.0))
    async with bare(app, changed) as (_, url), wired(url) as wire:
        wire.writer.write(GET)
        assert await wire.status() == 200
        got = 0
        async with asyncio.timeout(TIMEOUT * 2):
            while got < len(LARGE):
                got += len(await wire.reader.readexactly(len(LARGE) // 32))
                await asyncio.sleep(0.1)


# -- shares -----------------------------------------------------------------------------------------------------------


def limited(settings: Settings, **limits: int) -> Settings:
    return settings.with_changes(limits=settings.limits.with_changes(**limits))


async def test_an_address_has_a_share_of_the_connections(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, address_connections=3), ToySchema()) as url, AsyncExitStack() as stack:
        client = Client(url, await token(database))
        for _ in range(3):
            wire = await stack.enter_async_context(wired(url, "127.0.0.2"))
            wire.writer.write(post(client, b"", length=100))
        for _ in range(20):  # refused, however often
            async with wired(url, "127.0.0.2") as refused:
                assert await refused.status() == 429
        async with wired(url, "127.0.0.3") as other, wired(url) as local:
            for wire in (other, local):
                wire.writer.write(GET)
                assert await wire.status() == 200


async def test_a_connection_that_waits_makes_room_for_one_that_asks(settings: Settings) -> None:
    async with serving(limited(settings, address_connections=3), ToySchema()) as url, AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(wired(url, "127.0.0.2")) for _ in range(3)]
        for wire in wires:
            wire.writer.write(GET)
            assert await wire.status() == 200
        wires[0].writer.write(GET)  # no longer the one that waits longest
        await wires[0].reader.readexactly(len(b'{"status":"ok"}'))
        assert await wires[0].status() == 200
        async with wired(url, "127.0.0.2") as fourth:
            fourth.writer.write(GET)
            assert await fourth.status() == 200
        await wires[1].closed()
        for wire in (wires[0], wires[2]):
            await wire.reader.readexactly(len(b'{"status":"ok"}'))
            wire.writer.write(GET)
            assert await wire.status() == 200


async def test_a_full_server_closes_what_waits_and_refuses_only_then(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, connections=2), ToySchema()) as url, AsyncExitStack() as stack:
        client = Client(url, await token(database))
        idle, busy = [await stack.enter_async_context(wired(url)) for _ in range(2)]
        idle.writer.write(GET)
        assert await idle.status() == 200
        busy.writer.write(post(client, b"", length=100))
        third = await stack.enter_async_context(wired(url))
        third.writer.write(post(client, b"", length=100))
        await idle.closed()
        async with wired(url) as fourth:
            assert await fourth.status() == 503


async def test_a_client_behind_a_proxy_has_a_share_of_its_own(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, address_connections=2), ToySchema()) as url, AsyncExitStack() as stack:
        client = Client(url, await token(database))
        for _ in range(2):
            wire = await stack.enter_async_context(wired(url))
            wire.writer.write(post(client, b"", "X-Forwarded-For: 10.0.0.9", "Expect: 100-continue", length=100))
            assert await wire.status() == 100
        for address, status in (("10.0.0.9", 429), ("10.0.0.8", 200)):
            async with wired(url) as wire:
                wire.writer.write(post(client, query("{ hello }"), f"X-Forwarded-For: {address}"))
                assert await wire.status() == status


async def test_addresses_of_one_customer_count_as_one() -> None:
    assert connections.network_of("2001:db8:1:2:3:4:5:6") == connections.network_of("2001:db8:1:2::9")
    assert connections.network_of("2001:db8:1:2::9") != connections.network_of("2001:db8:1:3::9")
    assert connections.network_of("::ffff:10.0.0.9") == connections.network_of("10.0.0.9") == "10.0.0.9"


async def test_a_token_has_a_share_of_the_requests(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, token_requests=2), ToySchema()) as url, AsyncExitStack() as stack:
        client, other = Client(url, await token(database)), Client(url, await token(database))
        for _ in range(2):
            wire = await stack.enter_async_context(wired(url))
            wire.writer.write(post(client, b"", "Expect: 100-continue", length=100))
            assert await wire.status() == 100
        answer = await client.post("{ hello }")
        assert answer.status_code == 429
        assert answer.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert await other.execute("{ hello }") == {"hello": "hello world"}


async def test_a_token_takes_half_of_the_database_at_most(settings: Settings, database: Database) -> None:
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


# -- uploads ----------------------------------------------------------------------------------------------------------

FORM = ("Content-Type: multipart/form-data; boundary=x", "GraphQL-Require-Preflight: 1", "Expect: 100-continue")


def form(client: Client) -> bytes:
    return post(client, b"", *FORM, length=5_000_000).replace(b"Content-Type: application/json\r\n", b"")


@pytest.mark.parametrize("scope", [TokenScope.READ, TokenScope.LABEL])
async def test_an_upload_is_refused_before_its_body_is_asked_for(
    url: str, database: Database, scope: TokenScope
) -> None:
    async with wired(url) as wire:
        wire.writer.write(form(Client(url, await token(database, scope))))
        assert await wire.status() == 200
        assert b"FORBIDDEN" in await asyncio.wait_for(wire.reader.read(4096), TIMEOUT)


async def test_uploads_that_do_not_begin_hold_up_nobody(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, uploads=2), ToySchema()) as url, AsyncExitStack() as stack:
        ann, bob = Client(url, await token(database)), Client(url, await token(database), TIMEOUT)
        for _ in range(4):
            wire = await stack.enter_async_context(wired(url))
            wire.writer.write(form(ann))
            assert await wire.status() == 100
        assert await _upload(bob) == 200


async def test_a_token_takes_half_of_the_uploads_at_most(settings: Settings, database: Database) -> None:
    async with serving(limited(settings, uploads=2), ToySchema()) as url, AsyncExitStack() as stack:
        ann, bob = Client(url, await token(database)), Client(url, await token(database), TIMEOUT)
        for _ in range(2):
            wire = await stack.enter_async_context(wired(url))
            wire.writer.write(form(ann))
            assert await wire.status() == 100
            wire.writer.write(b"--x\r\n")
        assert await _upload(bob) == 200


async def test_an_upload_that_trickles_is_too_slow(settings: Settings, database: Database) -> None:
    """It is held to a rate, however long an upload may take."""
    changed = settings.with_changes(timeouts=settings.timeouts.with_changes(body=0.3, upload=3_600.0))
    async with serving(changed, ToySchema()) as url, wired(url) as wire:
        wire.writer.write(form(Client(url, await token(database))))
        assert await wire.status() == 100
        wire.writer.write(b"--x\r\n")
        assert await wire.status() == 408


async def _upload(client: Client) -> int:
    fields = {"operations": json.dumps({"query": "{ hello }"}), "map": "{}"}
    response = await client.request(
        files={name: (None, value) for name, value in fields.items()}, headers={"graphql-require-preflight": "1"}
    )
    assert response.json() == {"data": {"hello": "hello world"}}
    return response.status_code


def test_the_defaults_leave_room_for_others() -> None:
    limits, timeouts = Limits(), Timeouts()
    assert limits.address_connections * 4 <= limits.connections
    assert limits.token_requests + limits.sockets <= limits.connections // 2
    assert timeouts.write <= timeouts.keep_alive
