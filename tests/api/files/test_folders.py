"""Folders that are not allowed, links that lead out of them, and disks that hang."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.storage.disks import THREADS
from tests.api.files.gallery import Gallery, image_bytes
from tests.api.graphql.toy_schema import ToySchema
from tests.api.running_server import RunningServer
from tests.client import Client, serving
from tests.waiting import SERVER_TIMEOUTS, TIMEOUT, wait_until


async def test_links_lead_nowhere(gallery: Gallery, tmp_path: Path) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    secret = tmp_path / "secret"
    secret.write_bytes(b"hunter2")
    (gallery.root / "a.jpg").unlink()
    (gallery.root / "a.jpg").symlink_to(secret)
    response = await gallery.get(gallery.links.image(source))
    assert response.status_code in (404, 503)
    assert b"hunter2" not in response.content


async def test_a_root_that_is_allowed_no_more_shows_nothing_and_says_which_setting_allows_it(
    gallery: Gallery, server: RunningServer, tmp_path: Path
) -> None:
    source = await gallery.add("a.jpg", image_bytes())
    async with serving(server.settings.with_changes(allowed_roots=(tmp_path / "other",)), ToySchema()) as url:
        for link in (gallery.links.image(source), gallery.links.thumbnail(source, 64)):
            response = await Client(url).request("GET", link)
            assert (response.status_code, response.headers["content-type"]) == (404, "text/plain; charset=utf-8")
            assert "--allow-root" in response.text
            assert str(gallery.root) not in response.text


class HungOpen:
    """`os.open` of one file name does not return until it is let."""

    def __init__(self, name: str) -> None:
        self.name, self.open = name, os.open
        self.end = threading.Event()

    def __call__(self, path: Any, *arguments: Any, **more: Any) -> int:
        if str(path).endswith(self.name):
            self.end.wait(TIMEOUT)
        return self.open(path, *arguments, **more)


@pytest.fixture
def hung(monkeypatch: pytest.MonkeyPatch) -> Iterator[HungOpen]:
    made = HungOpen("hung.jpg")
    monkeypatch.setattr(os, "open", made)
    yield made
    made.end.set()


@pytest.mark.parametrize("kind", ["image", "thumbnail"])
async def test_a_file_whose_disk_hangs_is_503_and_holds_up_nothing_else(
    gallery: Gallery, server: RunningServer, hung: HungOpen, kind: str
) -> None:
    hung.end.set()
    source = await gallery.add("hung.jpg", image_bytes())
    hung.end.clear()
    path = gallery.links.image(source) if kind == "image" else gallery.links.thumbnail(source, 64)
    settings = server.settings.with_changes(timeouts=SERVER_TIMEOUTS.with_changes(disk=0.2))
    async with serving(settings, ToySchema()) as url:
        client = Client(url, gallery.client.token)
        waiting = await asyncio.gather(*(client.request("GET", path) for _ in range(3 * THREADS)))
        assert {response.status_code for response in waiting} == {503}
        assert {response.headers["retry-after"] for response in waiting} == {"2"}
        assert (await client.request("GET", "/healthz")).status_code == 200  # while every thread of the disk waits
        assert await client.execute("{ hello }") == {"hello": "hello world"}
        hung.end.set()

        async def answers() -> bool:
            return (await client.request("GET", path)).status_code == 200

        await wait_until(answers)
