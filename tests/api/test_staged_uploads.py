"""The server's own signed PUT: whom it lets in, and with how much."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from db.identity.tokens import Scope
from db.identity.urls import Signer, secret
from db.postgres.engine import Database
from tests.api.staged_uploads import StagedUploads, open_staged_uploads, upload_input
from tests.client import Client, serving, token
from tests.db.dataset_fixture import image_bytes
from tests.waiting import TIMEOUT


@pytest.fixture
async def script(
    request: pytest.FixtureRequest, database_url: str, database: Database, tmp_path: Path
) -> AsyncIterator[StagedUploads]:
    async with open_staged_uploads("local", request, database, database_url, tmp_path) as script:
        yield script


async def request_upload(script: StagedUploads, name: str, data: bytes) -> dict[str, Any]:
    [ticket] = await script.request(upload_input(name, data))
    return ticket


async def status(url: str, data: Any, method: str = "PUT", **headers: str) -> int:
    async with httpx2.AsyncClient(timeout=TIMEOUT) as http:
        return (await http.request(method, url, content=data, headers=headers)).status_code


async def test_a_url_is_good_for_its_file_alone(script: StagedUploads) -> None:
    data = image_bytes()
    one, two = [(await request_upload(script, name, data))["url"] for name in ("a.png", "b.png")]
    base, _, query = one.partition("?")
    other = two.partition("?")[0]
    wrong = [
        base,
        f"{other}?{query}",
        f"{base}?{query[:-1]}{'0' if query[-1] != '0' else '1'}",
        f"{base}?{query.replace('e=', 'e=9')}",
        f"{base}?{query.replace('i=', 'i=9')}",
        f"{base}?{query.replace('i=', 'i=x')}",
        f"{base}/../a?{query}",
        f"{base[:-1]}?{query}",
        f"{base}%2F..%2Fa?{query}",
    ]
    assert {await status(url, data) for url in wrong} <= {403, 404}
    assert await script.everything() == []
    assert await status(one, data) == 200


async def test_a_url_of_an_image_takes_no_file(script: StagedUploads) -> None:
    data = image_bytes()
    await script.sent({"a.png": data})
    [result] = (await script.complete("a.png"))["results"]
    assert await status(result["sample"]["imageUrl"], data) == 405
    [ticket] = await script.request(upload_input("b.png", data))
    assert await status(ticket["url"], b"", "GET") == 405
    assert await status(ticket["url"], data, "POST") == 405


async def test_a_url_ends_with_its_time(script: StagedUploads, database: Database) -> None:
    ticket = await request_upload(script, "a.png", image_bytes())
    async with database.writing() as session:
        signer = Signer(secret=await secret(session), lifetime=3_600)
    path = urlsplit(ticket["url"]).path
    token_id = int(await database.value("SELECT max(id) FROM token"))
    old = signer.links(script.client.url, token_id, 1_000_000_000.0).upload(path.rpartition("/")[2])
    assert await status(old, image_bytes()) == 403


async def test_a_url_ends_with_its_token(script: StagedUploads, database: Database) -> None:
    data = image_bytes()
    ticket = await request_upload(script, "a.png", data)
    await script.do("UPDATE token SET revoked_at = now()")
    async with serving(script.settings) as fresh:  # one that has not seen the token a second ago
        assert await status(ticket["url"].replace(script.client.url, fresh), data) == 403


async def test_a_url_ends_with_the_completion(script: StagedUploads) -> None:
    data = image_bytes()
    ticket = await request_upload(script, "a.png", data)
    assert [await status(ticket["url"], data) for _ in range(2)] == [200, 200]
    await script.complete("a.png")
    assert await status(ticket["url"], data) == 404
    assert await script.everything() == ["a.png"]


async def test_who_may_only_read_signs_no_upload(script: StagedUploads, database: Database) -> None:
    data = image_bytes()
    ticket = await request_upload(script, "a.png", data)
    await token(database, Scope.LABEL)
    async with database.writing() as session:
        signer = Signer(secret=await secret(session), lifetime=3_600)
    reader = int(await database.value("SELECT max(id) FROM token"))
    name = urlsplit(ticket["url"]).path.rpartition("/")[2]
    assert await status(signer.links(script.client.url, reader, time.time()).upload(name), data) == 403


async def test_exactly_what_was_announced_is_taken(script: StagedUploads) -> None:
    data = image_bytes()
    url = (await request_upload(script, "a.png", data))["url"]

    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 16):
            yield body[start : start + 16]

    assert await status(url, data + b"\0") == 413
    assert await status(url, data[:-1]) == 400
    assert await status(url, pieces(data + b"\0" * 40)) == 413
    assert await status(url, pieces(data[:-1])) == 400
    assert await script.everything() == []
    assert await status(url, pieces(data)) == 200
    assert await script.codes("a.png") == [None]


async def test_too_much_is_refused_while_it_comes(script: StagedUploads) -> None:
    """By then the client has sent a small part of what it would."""
    url = (await request_upload(script, "a.png", image_bytes()))["url"]
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b"\0" * 65_536

    with suppress(httpx2.TransportError):
        assert await status(url, endless()) == 413
    assert sent < 256 * 1024 * 1024
    assert await script.everything() == []


async def test_a_slow_client_is_let_go(script: StagedUploads, database: Database) -> None:
    data = image_bytes()
    ticket = await request_upload(script, "a.png", data)
    timeouts = script.settings.timeouts.with_changes(upload=0.3)
    async with serving(script.settings.with_changes(timeouts=timeouts)) as url:
        host, port = urlsplit(url).hostname, urlsplit(url).port
        reader, writer = await asyncio.open_connection(host, port)
        target = ticket["url"].removeprefix(script.client.url)
        head = f"PUT {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data[:5])
        answer = await asyncio.wait_for(reader.readline(), TIMEOUT)
        writer.close()
    assert answer.split()[1] == b"408"
    assert await script.everything() == []


async def test_pages_of_allowed_origins_may_put(script: StagedUploads) -> None:
    async with serving(script.settings.with_changes(allowed_origins=("https://app.test",))) as url:
        headers = {"origin": "https://app.test", "access-control-request-method": "PUT"}
        answer = await Client(url).request("OPTIONS", "/uploads/x", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://app.test")
