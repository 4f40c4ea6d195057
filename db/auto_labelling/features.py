"""What the network makes of images, kept under the hashes of their contents: no image is read or looked at twice."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from db.auto_labelling.batches import Batches
from db.auto_labelling.image_bytes import ImageBytes, open_images
from db.auto_labelling.job_samples import JobSample, LabelledDataset
from db.auto_labelling.models import BUILT_IN_NAME
from db.concurrency_limits import gather_or_cancel
from db.embeddings import vectors
from db.errors import ModelUnavailable
from db.formats.decoding import Decoders
from db.formats.images import UnreadableImage
from db.jobs import Batch
from db.labelling.suggestions.models import ModelName
from db.postgres import sql
from db.storage import Stores
from db.vision import LAST, SIDE, VisionUnavailable

if TYPE_CHECKING:
    from db.vision.features import Network

SQL: Final = sql.load(__file__)


@dataclass(slots=True)
class Found:
    """By the samples' numbers: the packed features, or why there are none."""

    features: dict[int, bytes] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Features:
    """Those of one dataset's images, by one network, which is opened when an image has none. `read_count`: images that
    were read for this job."""

    batches: Batches
    images: ImageBytes
    decoders: Decoders
    name: str
    read_count: int = 0
    network: "Network | None" = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # of the network, which takes a whole core

    async def of(self, samples: Sequence[JobSample]) -> Found:
        """Those of images that nobody has looked at yet are kept before this returns."""
        async with self.batches.database.reading() as reader:
            values = {"dataset_id": self.batches.job.dataset_id, "network": self.name}
            rows = await sql.run(reader, SQL.kept, contents=[each.content for each in samples], **values)
        kept = {row["content"]: row["vector"] for row in rows}
        found = Found({each.number: kept[each.content] for each in samples if each.content in kept})
        async for part in self.images.parts([each for each in samples if each.content not in kept]):
            looked = await gather_or_cancel(self._look(data) for _, data in part)
            new: dict[str, bytes] = {}
            for (sample, _), result in zip(part, looked, strict=True):
                if isinstance(result, bytes):
                    found.features[sample.number] = new[sample.content] = result
                else:
                    found.problems[sample.number] = result
            await self._keep(new)
        await self._keep_embeddings(
            {each.source_id: found.features[each.number] for each in samples if each.number in found.features}
        )
        return found

    async def _look(self, data: bytes | str) -> bytes | str:
        """Packed features, or a sentence."""
        if isinstance(data, str):
            return data
        try:
            pixels = await self.decoders.square(data, SIDE)
        except UnreadableImage as refused:
            return refused.message
        async with self.turn:
            if self.network is None:
                self.network = await asyncio.to_thread(_opened)
            return await asyncio.to_thread(_packed, self.network, pixels)

    async def _keep(self, new: dict[str, bytes]) -> None:
        self.read_count += len(new)

        async def keep(batch: Batch) -> None:
            values = {"dataset_id": self.batches.job.dataset_id, "network": self.name}
            await sql.run(batch.connection, SQL.keep, contents=list(new), vectors=list(new.values()), **values)
            batch.totals["scanned"] = self.read_count

        if new:
            await self.batches.commit(keep)

    async def _keep_embeddings(self, features: Mapping[int, bytes]) -> None:
        """What similar images are found by, of sources that have none yet."""
        dataset_id, model = self.batches.job.dataset_id, ModelName(BUILT_IN_NAME, self.name)
        async with self.batches.database.reading() as reader:
            sources = await vectors.lacking(reader, dataset_id, model, LAST, list(features))
        if not sources:
            return
        found = await asyncio.to_thread(_embeddings, [features[each] for each in sources])
        new = dict(zip(sources, found, strict=True))
        await self.batches.commit(lambda batch: vectors.add(batch.session, dataset_id, model, new))


def _opened() -> "Network":
    """Raises ModelUnavailable."""
    from db.vision.features import open_network

    try:
        return open_network()
    except VisionUnavailable as error:
        raise ModelUnavailable(error.message) from error


def _packed(network: "Network", pixels: bytes) -> bytes:
    from db.vision.features import pack

    return pack(network.features(pixels))


def _embeddings(packed: Sequence[bytes]) -> list[list[float]]:
    from db.vision.features import embedding, unpack

    found: list[list[float]] = embedding(unpack(packed)).tolist()
    return found


async def open_features(batches: Batches, dataset: LabelledDataset, stores: Stores, decoders: Decoders) -> Features:
    """Raises StorageError."""
    from db.vision.features import NAME

    images = open_images(dataset, stores)
    async with batches.database.writing() as session:
        await sql.count(session, SQL.forget_others, dataset_id=dataset.id, network=NAME)
    return Features(batches, images, decoders, NAME, dataset.read)
