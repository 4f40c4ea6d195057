"""Compressed answers: for clients that take them, and never what is a stream or an image."""

import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
import zstandard

from api.compression import LARGE_BYTES, MIN_BYTES
from api.settings import Settings
from db.postgres.engine import Database
from tests.api.graphql.toy_schema import ToySchema
from tests.api.test_app import CREATE, PAGE, followed, images
from tests.client import Client, serving, token
from tests.waiting import TIMEOUT

HELLO = "query ($n: String) { hello(name: $n) }"
ANSWER = len('{"data":{"hello":"hello "}}')
DECODERS: Mapping[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": lambda body: zlib.decompress(body, wbits=zlib.MAX_WBITS | 16),
    "zstd": lambda body: zstandard.ZstdDecompressor().decompress(body),
}


@pytest.fixture
async def toy(settings: Settings, database: Database) -> AsyncIterator[Client]:
    async with serving(settings.with_changes(worker=False), ToySchema()) as url:
        yield Client(url, await token(database))


async def raw(
    client: Client, path: str, *, accept: str, body: object = None, browser: bool = False
) -> tuple[httpx2.Response, bytes]:
    """A response, and its body as it was sent."""
    headers = {**client.headers, "accept-encoding": accept} | ({"sec-fetch-mode": "cors"} if browser else {})
    async with (
        httpx2.AsyncClient(base_url=client.url, timeout=TIMEOUT) as http,
        http.stream("POST" if body else "GET", path, headers=headers, json=body) as response,
    ):
        return response, b"".join([chunk async for chunk in response.aiter_raw()])


def asks(size: int) -> dict[str, Any]:
    """A request whose answer has so many bytes."""
    return {"query": HELLO, "variables": {"n": "x" * (size - ANSWER)}}


@pytest.mark.parametrize("size", [MIN_BYTES, LARGE_BYTES - 1, LARGE_BYTES])
@pytest.mark.parametrize("browser", [False, True])
@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        ("zstd", "zstd"),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", ("gzip", "zstd")),
        ("gzip;q=0.8, zstd", "zstd"),
        ("GZIP;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0, zstd;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("br", None),
        ("*", None),
        ("gzip;q=x", None),
        ("", None),
    ],
)
async def test_answers_come_as_the_client_takes_them(
    toy: Client, size: int, accept: str, encoding: str | tuple[str, str] | None, browser: bool
) -> None:
    if isinstance(encoding, tuple):
        encoding = encoding[browser]
    response, body = await raw(toy, "/graphql", accept=accept, body=asks(size), browser=browser)
    assert response.headers.get("content-encoding") == encoding
    assert response.headers["vary"] == "Accept-Encoding, Sec-Fetch-Mode"
    assert int(response.headers["content-length"]) == len(body)
    plain = DECODERS[encoding](body)
    assert len(plain) == size
    assert orjson.loads(plain)["data"]["hello"].startswith("hello xxx")
    assert (len(body) < size / 4) == (encoding is not None)


async def test_what_is_short_and_what_is_refused_comes_as_it_is(toy: Client) -> None:
    for body in (asks(MIN_BYTES - 1), {"query": "{ nothing }"}):
        response, plain = await raw(toy, "/graphql", accept="zstd, gzip", body=body)
        assert "content-encoding" not in response.headers
        assert orjson.loads(plain)


async def test_the_schema_is_compressed(client: Client) -> None:
    response, body = await raw(client, "/schema.graphql", accept="gzip")
    assert response.headers["content-encoding"] == "gzip"
    assert b"type Query" in DECODERS["gzip"](body)


async def test_events_of_a_stream_come_one_by_one_and_plain(toy: Client) -> None:
    headers = {**toy.headers, "accept": "text/event-stream", "accept-encoding": "gzip, zstd"}
    body = {"query": "subscription { forever }"}
    async with (
        httpx2.AsyncClient(base_url=toy.url, timeout=TIMEOUT) as http,
        http.stream("POST", "/graphql", json=body, headers=headers) as response,
    ):
        assert "content-encoding" not in response.headers
        chunks = response.aiter_raw()
        for number in (1, 2, 3):  # it never ends, so nothing waits for its end
            assert f'"forever":{number}}}'.encode() in await anext(chunks)


async def test_where_a_proxy_compresses_this_server_need_not(settings: Settings, database: Database) -> None:
    async with serving(settings.with_changes(worker=False, compression=False), ToySchema()) as url:
        response, body = await raw(Client(url, await token(database)), "/graphql", accept="gzip", body=asks(10_000))
    assert "content-encoding" not in response.headers
    assert len(body) == 10_000


async def test_answers_for_pages_of_other_origins_vary_with_both(settings: Settings, database: Database) -> None:
    allowed = settings.with_changes(worker=False, allowed_origins=("https://a.example", "https://b.example"))
    async with serving(allowed, ToySchema()) as url:
        headers = {"origin": "https://a.example", "accept-encoding": "gzip"}
        response = await Client(url, await token(database)).request(json=asks(10_000), headers=headers)
    assert {each.strip().lower() for each in response.headers["vary"].split(",")} == {
        "origin",
        "accept-encoding",
        "sec-fetch-mode",
    }


async def test_a_page_becomes_small_and_its_images_stay_as_they_are(client: Client, tmp_path: Path) -> None:
    created = await client.execute(CREATE, {"path": images(tmp_path / "pets", 40)})
    dataset_id = created["createDataset"]["dataset"]["id"]
    await followed(client, dataset_id)
    page = {"query": PAGE, "variables": {"id": dataset_id}}
    _, plain = await raw(client, "/graphql", accept="", body=page)
    for encoding, most in (("zstd", 0.25), ("gzip", 0.3)):
        response, body = await raw(client, "/graphql", accept=encoding, body=page)
        assert DECODERS[encoding](body) == plain
        assert len(body) < most * len(plain)
    sample = orjson.loads(plain)["data"]["dataset"]["samples"]["nodes"][0]
    for url in (sample["imageUrl"], sample["thumbnailUrl"]):
        response, body = await raw(client, url.removeprefix(client.url), accept="gzip, zstd")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("image/")
        assert response.headers.keys() & {"content-encoding", "vary"} == set()
        assert body[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0", b"\xff\xd8\xff\xdb")
