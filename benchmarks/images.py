"""Thumbnails that are in no cache, of photographs of 12 megapixels, compared with Pillow in two processes."""

import shutil
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from benchmarks import pictures, servers
from benchmarks.hand import thumbnails
from benchmarks.load import get
from benchmarks.runner import Bench, Measure, Row
from benchmarks.sync import create_dataset, sync

MAX_PHOTOS: Final = 48
CLIENTS: Final = 8
SIZE: Final = 256
URLS: Final = """query ($id: ID!, $size: Int!) {
    node(id: $id) { ... on Dataset { samples(first: 100) { nodes { thumbnailUrl(size: $size) } } } } }"""


async def run(bench: Bench) -> None:
    photos, caches = bench.data / "photos", [bench.data / "thumbnails", bench.data / "thumbnails_by_hand"]
    pictures.write_photos(photos, min(MAX_PHOTOS, bench.rows // 100), 4_000, 3_000)

    async def empty_caches() -> None:
        for folder in caches:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    async with (
        servers.copied(await servers.migrated(bench.postgres, "bench_empty")) as url,
        servers.labelgraph(url, bench.data, "--allow-root", str(photos)) as ours,
        thumbnails.decoders() as decoders,
    ):
        dataset_id = await create_dataset(ours, "photos", str(photos))
        await sync(ours, dataset_id)
        answer = await ours.ask(ours.graphql(URLS, {"id": dataset_id, "size": SIZE}))
        urls = [urlsplit(each["thumbnailUrl"]) for each in answer["node"]["samples"]["nodes"]]
        requests = [get(f"{url.path}?{url.query}") for url in urls]

        async def thumbnail() -> Measure:
            return await ours.measure(iter(requests), connections=CLIENTS)

        by_hand = partial(thumbnails.measure, decoders, sorted(photos.iterdir())[: len(urls)], caches[1], SIZE)
        name = f"thumbnails, cold, 12 MP to {SIZE}"
        await bench.run(Row(name, "1/s", thumbnail, by_hand, goal=0.9, before=empty_caches, warm_up=True))
