"""Heads of requests, and bodies that are answered before their end."""

import asyncio

import pytest

from tests.api.connections.raw_connection import CHUNK, GET, TIMEOUT, post, query, raw_connection
from tests.client import Client

CHUNKED = (
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer TOKEN\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
UNFINISHED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
ENDLESS = {
    "a header": (UNFINISHED + b"X: ", CHUNK, 431),
    "a header's name": (UNFINISHED, CHUNK, 431),
    "a URL": (b"GET /", CHUNK, 414),
    "many headers": (UNFINISHED, b"X: a\r\n" * 1_000, 431),
    "a trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nX: ", CHUNK, 431),
    "many trailers": (CHUNKED + b"0\r\n", b"X: a\r\n" * 1_000, 431),
    "a chunk's extension": (CHUNKED + b"2;", CHUNK, 431),
    "blank lines": (b"", b"\r\n" * 1_000, 431),
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_a_head_that_never_ends_is_refused_and_closed(client: Client, what: str) -> None:
    first, rest, status = ENDLESS[what]
    async with raw_connection(client.url) as raw:
        raw.writer.write(first.replace(b"TOKEN", str(client.token).encode()))
        sending = asyncio.create_task(raw.flood(rest))
        assert await raw.status() == status
        await raw.closed()
        await sending


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431), (5_000, 431)])
async def test_a_head_of_64_kib_is_taken_and_a_larger_one_refused(client: Client, more: int, status: int) -> None:
    head = UNFINISHED + b"X: %b\r\n\r\n"
    async with raw_connection(client.url) as raw:
        raw.writer.write(head % (b"a" * (64 * 1024 - len(head % b"") + more)))
        assert await raw.status() == status


async def test_a_body_of_many_small_chunks_is_taken(client: Client) -> None:
    body = query('{ hello(name: "' + "x" * 50_000 + '") }')
    async with raw_connection(client.url) as raw:
        raw.writer.write(CHUNKED.replace(b"TOKEN", str(client.token).encode()))
        raw.writer.write(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n")
        assert await raw.status() == 200


async def test_a_trailer_is_no_header(client: Client) -> None:
    body = query("{ who }")
    async with raw_connection(client.url) as raw:
        raw.writer.write(CHUNKED.replace(b"Authorization: Bearer TOKEN\r\n", b""))
        raw.writer.write(
            b"%x\r\n%b\r\n0\r\nAuthorization: Bearer %b\r\n\r\n" % (len(body), body, str(client.token).encode())
        )
        assert await raw.status() == 401


async def test_an_unread_body_is_not_read_for_ever(url: str) -> None:
    async with raw_connection(url) as raw:
        raw.writer.write(b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000000\r\n\r\n")
        assert await raw.status() == 405
        await asyncio.wait_for(raw.flood(CHUNK), TIMEOUT)
        sending = asyncio.create_task(raw.send_without_end(CHUNK))
        await raw.closed()
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
async def test_a_client_that_still_sends_is_not_cut_off_before_the_end_of_its_body(
    client: Client, case: str, connection: str
) -> None:
    """A connection that is closed while bytes come is reset, and its client may lose the response."""
    path, header, status = EARLY[case]
    name = header.partition(":")[0]
    head = post(client, b"", f"Connection: {connection}", path=path, length=len(BODY)).split(b"\r\n")
    lines = [line for line in head if not line.startswith(name.encode())]
    async with raw_connection(client.url) as raw, asyncio.timeout(TIMEOUT):
        raw.writer.write(b"\r\n".join([lines[0], header.encode(), *lines[1:]]))
        response = await raw.head()
        assert int(response.split()[1]) == status
        raw.writer.write(BODY)
        await raw.writer.drain()
        if b"connection: close" in response:
            assert b"HTTP/1.1" not in await raw.reader.read(), "it ends, without an error"
        else:
            raw.writer.write(GET)
            assert b"HTTP/1.1 200" in await raw.reader.readuntil(b'{"status":"ok"}')


async def test_a_bad_end_of_a_body_that_was_answered_closes(client: Client) -> None:
    async with raw_connection(client.url) as raw:
        raw.writer.write(CHUNKED.replace(b"Authorization: Bearer TOKEN", b"Connection: close"))
        assert await raw.status() == 401
        raw.writer.write(b"no number\r\n")
        async with asyncio.timeout(TIMEOUT):
            assert b"HTTP/1.1" not in await raw.reader.read()


@pytest.mark.parametrize("first", [b"", b"2\r\n{}\r\n"])
async def test_what_is_no_body_is_refused_and_not_asked_for(
    client: Client, caplog: pytest.LogCaptureFixture, first: bytes
) -> None:
    """Nothing is written behind a refusal, which ends the connection."""
    head = CHUNKED.replace(b"TOKEN", str(client.token).encode()).replace(b"Host:", b"Expect: 100-continue\r\nHost:")
    async with raw_connection(client.url) as raw, raw_connection(client.url) as other, asyncio.timeout(TIMEOUT):
        other.writer.write(post(client, query("{ hello }")))  # the token is known then: bodies are read at once
        await other.reader.readuntil(b"}}")
        raw.writer.write(head + first + b"no number\r\n")
        answer = await raw.reader.read()
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"100 Continue" not in answer
        other.writer.write(GET)
        assert b"HTTP/1.1 200" in await other.reader.readuntil(b'{"status":"ok"}')
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("upgrade", ["h2c", "h2c, websocket", "TLS/1.0"])
async def test_an_upgrade_that_is_not_made_is_ignored(client: Client, upgrade: str) -> None:
    """Java's client asks for HTTP/2 so. What follows is the request's body, and no other request."""
    more = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAEAAEAA")
    for text, status in ((query("{ hello }"), 200), (GET, 400), (b"", 400)):
        sent = post(client, text, *more)
        for cut in (0, len(sent) - len(text) - 1, len(sent) - 1):
            async with raw_connection(client.url) as raw, asyncio.timeout(TIMEOUT):
                raw.writer.write(sent[:cut])
                await asyncio.sleep(0.01)
                raw.writer.write(sent[cut:] + post(client, query("{ last: hello }"), "Connection: close"))
                answers = await raw.reader.read()
                assert [int(each[:3]) for each in answers.split(b"HTTP/1.1 ")[1:]] == [status, 200]
                assert b'"last"' in answers


async def test_a_tunnel_is_refused(client: Client) -> None:
    async with raw_connection(client.url) as raw:
        raw.writer.write(b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n" + GET)
        assert await raw.status() == 400
        await raw.closed()
