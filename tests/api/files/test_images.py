"""Images and thumbnails: for whoever has the URL, as long as it is valid, and never anything but an image."""

import asyncio
import errno
import gc
import io
import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from api.files.disk_cache import DiskCache
from api.settings import Settings
from db.formats.decoding import Decoders
from db.identity import tokens, urls
from db.identity.urls import Signer
from db.postgres.engine import Database
from tests.api.files.gallery import SECRET, Gallery, identified, image_bytes
from tests.api.graphql.toy_schema import ToySchema
from tests.api.running_server import RunningServer
from tests.client import Client, serving, token
from tests.waiting import SERVER_TIMEOUTS, wait_until


@pytest.mark.parametrize(
    ("kind", "media"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("BMP", "image/bmp"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("AVIF", "image/avif"),
    ],
)
async def test_serves_the_file_as_the_image_that_it_is(gallery: Gallery, kind: str, media: str) -> None:
    data = image_bytes(kind)
    source = await gallery.add("a/named.html.jpg", data, kind)
    response = await gallery.get(gallery.links.image(source))
    assert (response.status_code, response.content) == (200, data)
    assert response.headers["content-type"] == media
    assert response.headers["content-length"] == str(len(data))
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    assert "immutable" in response.headers["cache-control"]
    assert "private" in response.headers["cache-control"]


async def test_what_a_browser_cannot_show_is_served_as_a_jpeg_and_as_its_original(gallery: Gallery) -> None:
    data = image_bytes("TIFF", orientation=6)
    source = await gallery.add("a.tif", data, "TIFF", width=300)
    shown, original = gallery.links.image(source), gallery.links.original(source, ".tif")
    response = await gallery.get(shown)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(response.content)).size == (200, 300)
    assert response.headers["content-length"] == str(len(response.content))
    assert "sandbox" in response.headers["content-security-policy"]
    part = await gallery.get(shown, range="bytes=2-9")
    assert (part.status_code, part.content) == (206, response.content[2:10])
    assert part.headers["content-range"] == f"bytes 2-9/{len(response.content)}"
    beyond = await gallery.get(shown, range=f"bytes={len(response.content)}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(response.content)}")
    again = await gallery.get(shown, if_none_match=response.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    head = await Client(gallery.client.url).request("HEAD", shown)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(response.content)))
    file = await gallery.get(original)
    assert (file.status_code, file.content, file.headers["content-type"]) == (200, data, "image/tiff")
    assert file.headers["etag"] != response.headers["etag"]
    assert (await gallery.get(shown.replace("/images/", "/originals/"))).status_code == 403
    (gallery.root / "a.tif").unlink()
    assert (await gallery.get(shown)).content == response.content, "it was kept"


@pytest.mark.parametrize("cache_bytes", [1024**3, 0])
async def test_slow_readers_of_a_large_rendition_share_one_file_and_no_memory(
    gallery: Gallery, server: RunningServer, monkeypatch: pytest.MonkeyPatch, cache_bytes: int
) -> None:
    """Each gets it whole, whatever is deleted meanwhile, and also where nothing is cached. Those that leave hold
    nothing, although no garbage is collected."""
    made = os.urandom(1024**2) * 16

    async def rendition(*_: object) -> bytes:
        return made

    def count() -> int:
        return sum(f"{server.settings.data_dir}/thumbnails" in each for each in descriptors())

    monkeypatch.setattr(Decoders, "rendition", rendition)
    monkeypatch.setattr(DiskCache, "max_bytes", cache_bytes, raising=False)
    source = await gallery.add("a.tif", image_bytes("TIFF"), "TIFF", width=300)
    path = gallery.links.image(source)
    url = httpx2.URL(gallery.client.url + path)
    gc.disable()
    try:
        assert (await gallery.get(path, range="bytes=7-8")).content == made[7:9]
        assert (await gallery.get(path, range="bytes=99999999-")).status_code == 416
        await wait_until(lambda: count() == 0)
        assert (await Client(gallery.client.url).request("HEAD", path)).headers["content-length"] == str(len(made))
        tracemalloc.start()
        readers = []
        for _ in range(8):
            reader, writer = await asyncio.open_connection(url.host, url.port, limit=4_096)
            writer.write(b"GET %b HTTP/1.1\r\nhost: %b\r\nconnection: close\r\n\r\n" % (url.raw_path, url.netloc))
            readers.append((reader, writer))
        heads = [await reader.readuntil(b"\r\n\r\n") for reader, _ in readers]
        assert tracemalloc.get_traced_memory()[1] < 2 * len(made)
        assert all(head.startswith(b"HTTP/1.1 200") for head in heads)
        assert count() == 1
        for file in (server.settings.data_dir / "thumbnails").glob("*/*"):
            file.unlink()
        for reader, writer in readers[:2]:
            assert await reader.read(-1) == made
            writer.close()
        for _, writer in readers[2:]:
            writer.transport.abort()
        await wait_until(lambda: count() == 0)
    finally:
        tracemalloc.stop()
        gc.enable()


def descriptors() -> Iterator[str]:
    """What this process has open."""
    for each in Path("/dev/fd").iterdir():
        with suppress(OSError):
            yield str(each.readlink())


async def test_a_rendition_that_fits_on_no_disk_is_503(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(DiskCache, "add", lambda *_: None)
    monkeypatch.setattr(DiskCache, "open_uncached", full)
    source = await gallery.add("a.tif", image_bytes("TIFF"), "TIFF", width=300)
    response = await gallery.get(gallery.links.image(source))
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


async def test_a_large_image_is_served_as_large_as_browsers_show_it(gallery: Gallery) -> None:
    data = image_bytes("PNG", size=(16_400, 5))
    source = await gallery.add("a.png", data, "PNG", width=16_400)
    response = await gallery.get(gallery.links.image(source))
    assert Image.open(io.BytesIO(response.content)).size == (16_384, 5)
    assert (await gallery.get(gallery.links.original(source, ".png"))).content == data
    beyond = await gallery.add("b.png", image_bytes("PNG", size=(20_001, 1)), "PNG", width=20_001)
    assert (await gallery.get(gallery.links.image(beyond))).status_code == 422


async def test_a_browser_learns_that_it_has_the_image_already(gallery: Gallery) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    for url in (gallery.links.image(source), gallery.links.thumbnail(source, 64)):
        first = await gallery.get(url)
        again = await gallery.get(url, if_none_match=f'"other", {first.headers["etag"]}')
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=5-999999999", 206, slice(5, None)),
        ("bytes=0-", 200, slice(None)),
        ("bytes=-", 200, slice(None)),
        ("bytes=1-2,5-6", 200, slice(None)),
        ("lines=1-2", 200, slice(None)),
        ("bytes=999999999-", 416, slice(0, 0)),
        ("bytes=9-3", 416, slice(0, 0)),
        ("bytes=-0", 416, slice(0, 0)),
    ],
)
async def test_serves_a_range(gallery: Gallery, asked: str, status: int, part: slice) -> None:
    data = image_bytes()
    source = await gallery.add("a.jpg", data)
    response = await gallery.get(gallery.links.image(source), range=asked)
    assert (response.status_code, response.content) == (status, data[part])
    if status == 206:
        assert response.headers["content-range"].endswith(f"/{len(data)}")
    if status == 416:
        assert response.headers["content-range"] == f"bytes */{len(data)}"


async def test_serves_the_whole_when_the_range_is_of_another_content(gallery: Gallery) -> None:
    data = image_bytes()
    source = await gallery.add("a.jpg", data)
    response = await gallery.get(gallery.links.image(source), range="bytes=0-9", if_range='"older"')
    assert (response.status_code, response.content) == (200, data)


async def test_reports_the_size_without_the_content(gallery: Gallery) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    response = await Client(gallery.client.url).request("HEAD", gallery.links.image(source))
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) == len(image_bytes())


@pytest.mark.parametrize(("size", "longest"), [(64, 64), (256, 256), (1, 16), (5_000, 300)])
async def test_makes_a_thumbnail_of_that_longest_side(gallery: Gallery, size: int, longest: int) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    response = await gallery.get(gallery.links.thumbnail(source, size))
    assert response.headers["content-type"] == "image/jpeg"
    assert max(Image.open(io.BytesIO(response.content)).size) == longest


async def test_a_thumbnail_stands_upright(gallery: Gallery) -> None:
    source = await gallery.add("a.jpg", image_bytes(orientation=6))
    response = await gallery.get(gallery.links.thumbnail(source, 90))
    assert Image.open(io.BytesIO(response.content)).size == (60, 90)


async def test_a_thumbnail_is_made_once_and_kept(gallery: Gallery) -> None:
    source = await gallery.add("a.jpg", image_bytes(size=(250, 170)))
    url = gallery.links.thumbnail(source, 64)
    first, *others = await asyncio.gather(*(gallery.get(url) for _ in range(6)))
    assert {other.content for other in others} == {first.content}
    (gallery.root / "a.jpg").unlink()
    assert (await gallery.get(url)).content == first.content
    assert (await gallery.get(gallery.links.thumbnail(source, 65))).status_code == 404


async def test_a_url_of_an_earlier_server_without_a_suffix_works_until_it_expires(gallery: Gallery) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    for old, new in (
        (gallery.links.signed(f"/images/{source}"), gallery.links.image(source)),
        (gallery.links.signed(f"/thumbnails/{source}/64"), gallery.links.thumbnail(source, 64)),
    ):
        responses = [await gallery.get(url) for url in (old, new)]
        assert [response.status_code for response in responses] == [200, 200]
        assert responses[0].content == responses[1].content


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda url: url.replace(".jpg", ""), 403),
        (lambda url: url.replace(".jpg", ".png"), 403),
        (lambda url: url.replace(".jpg", ".jpg.jpg"), 403),
        (lambda url: url.replace("/images/", "/images/1"), 403),
        (lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"), 403),
        (lambda url: url.replace("?e=", "?e=9"), 403),
        (lambda url: url.replace("&i=", "&i=9"), 403),
        (lambda url: url.partition("?")[0], 404),
        (lambda url: url.partition("&s=")[0], 403),
        (lambda url: url.replace("/images/", "/images/0"), 403),
        (lambda url: url.replace("/images/", "/images/.."), 403),
        (lambda url: url.replace("?e=", "?e=99999999999999999999"), 404),
    ],
)
async def test_refuses_a_url_that_we_did_not_sign(gallery: Gallery, change: object, status: int) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    response = await gallery.get(change(gallery.links.image(source)))  # type: ignore[operator]
    assert (response.status_code, response.content) == (status, b"")


async def test_a_url_dies_with_its_time_and_with_its_token(gallery: Gallery) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    identity = await identified(gallery.database, gallery.client.token or "")
    old = Signer(SECRET.encode(), 3_600).links("", identity.token_id, time.time() - 9_000)
    assert (await gallery.get(old.image(source))).status_code == 403
    async with gallery.database.writing() as session:
        await tokens.revoke(session, identity.name)

    async def is_dead() -> bool:
        return (await gallery.get(gallery.links.image(source))).status_code == 403

    await wait_until(is_dead)


async def test_a_url_shows_only_what_its_token_may_see(gallery: Gallery) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    text = await token(gallery.database, dataset_ids=[gallery.dataset_id + 1])
    stranger = await identified(gallery.database, text)
    links = Signer(SECRET.encode(), 3_600).links("", stranger.token_id, time.time())
    assert (await gallery.get(links.image(source))).status_code == 404


async def test_there_is_nothing_where_there_is_no_image(gallery: Gallery) -> None:
    unreadable = await gallery.add("broken.jpg", b"<html>", None)
    gone = await gallery.add("gone.jpg", image_bytes(size=(31, 21)))
    (gallery.root / "gone.jpg").unlink()
    for source in (unreadable, gone, 999_999):
        for url in (gallery.links.image(source), gallery.links.thumbnail(source, 64)):
            response = await gallery.get(url)
            assert (response.status_code, response.content) == (404, b"")
            assert response.headers["cache-control"] == "no-store"


async def test_a_broken_image_has_no_thumbnail(gallery: Gallery) -> None:
    source = await gallery.add("a.jpg", image_bytes()[:200])
    assert (await gallery.get(gallery.links.thumbnail(source, 64))).status_code == 422


async def test_a_file_that_was_replaced_is_not_cached_as_the_old_one(gallery: Gallery) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    (gallery.root / "a.jpg").write_bytes(image_bytes(size=(30, 20)))
    response = await gallery.get(gallery.links.image(source))
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    assert response.content == image_bytes(size=(30, 20))


async def test_a_secret_of_the_database_serves_all_its_servers(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    settings = Settings(database_url=database_url, timeouts=SERVER_TIMEOUTS, data_dir=tmp_path, worker=False)
    async with serving(settings, ToySchema()):
        pass
    async with database.writing() as session:
        before = await urls.secret(session)
    async with serving(settings, ToySchema()):
        pass
    async with database.writing() as session:
        assert await urls.secret(session) == before
