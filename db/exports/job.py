"""An export: the records of its samples, put into files by its format, in the store that it is for.

    files of images          in the order of the images' numbers; each is whole, and noted, before the next begins
    documents                about many images; they grow on this machine's disk while images are written, and come last

All is made in one pass. A worker that takes over begins behind the last whole file: it makes the documents anew, from
the records alone, and no image is read twice. What comes out is the same, byte by byte: the samples are fixed, and an
image that was missing once is remembered as missing. Memory does not grow with the number of samples.

Storage that fails is tried again, then the job fails and says why.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg

from db import jobs
from db.concurrency_limits import gather_or_cancel, one_ahead
from db.errors import DomainError, Invalid, NotFound, StorageError
from db.exports import selection
from db.exports.images import Images, Missing
from db.exports.packing import File, Group, Spools, next_piece, packer
from db.exports.records import ExportedSample, Records
from db.exports.requests import DEFAULT_FILE, STAGING
from db.formats.archives import Entry
from db.formats.datasets import FORMATS
from db.formats.datasets.format import Format, Loss
from db.formats.datasets.records import SPLITS, DatasetFacts
from db.identity.urls import Signer
from db.jobs import Batch, Claim, LabelWarning
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store, Stores
from db.storage.locations import is_bucket

SQL: Final = sql.load(__file__)
LIFETIME: Final = timedelta(days=7)  # of files in the server's own store, and of links
AT_ONCE: Final = 16  # single files written at a time
COMMIT: Final = 1_000  # single files between two commits, about
NO_SPLIT: Final = Loss("NO_SPLIT", "Images whose usage is not TRAIN, EVAL or TEST are left out: they are in no split.")
NOTHING: Final = Loss("NOTHING", "The export has no image: the filter or the version has none, or all are left out.")
SUFFIXES: Final = {"ZIP": ".zip", "TAR": ".tar"}


async def run(database: Database, job: Claim, stores: Stores, secret: bytes, folder: Path) -> None:
    """Write the export of a job. `folder`: of temporary files."""
    if job.checkpoint.get("is_finished"):
        return
    await selection.begin(database, job)
    async with database.reading() as reader:
        export = await sql.first(reader, SQL.export, job_id=job.id)
    if export is None:
        raise NotFound("The dataset was deleted.", code="DATASET_NOT_FOUND")
    facts, labels = selection.facts_of(job, export)
    links = None
    if facts.images == "LINKS":
        signer = Signer(secret, int(LIFETIME.total_seconds()))
        links = signer.links(job.arguments["base"], job.arguments["token_id"], time.time())
    records = Records(database, job.id, export["revision"], labels, links)
    try:
        target, source = stores.open(export["location"]), stores.open(facts.input_path)
    except Invalid as error:
        raise StorageError("The server's owner does not allow the export's folder, or the input path.") from error
    format_ = FORMATS[export["format"]](facts)
    try:
        if export["is_temporary"]:
            await source.stat(STAGING)  # an input path that is away is not made anew
        with Writing(database, job, export, format_, records, target, source, folder) as writing:
            await writing.write()
    except (ObjectMissing, RootMissing) as error:
        raise StorageError("The export's folder cannot be opened, or the server may not write there.") from error
    await writing.finish()
    if not is_bucket(export["location"]):  # a bucket shows nothing that is not whole
        with suppress(DomainError):
            async for _ in target.pages():  # removes what killed writers have left
                pass


@dataclass(frozen=True, slots=True)
class _Read:
    """Samples of a series, with the bytes of their images where these are to be written."""

    series: int
    samples: Sequence[ExportedSample]
    data: Sequence[bytes | None]
    is_new: Sequence[bool]


class Writing:
    """One attempt. `series` and `after`: up to and with which number all files are whole; `begun` as it begins."""

    def __init__(
        self,
        database: Database,
        job: Claim,
        export: asyncpg.Record,
        format_: Format,
        records: Records,
        target: Store,
        source: Store,
        folder: Path,
    ) -> None:
        self.database, self.job, self.export, self.format, self.records = database, job, export, format_, records
        self.facts: DatasetFacts = format_.facts
        self.target, self.folder = target, folder
        self.series: int = job.checkpoint["series"]
        self.after: int = job.checkpoint["after"]
        self.begun = (self.series, self.after)
        self.in_series: int = job.checkpoint.get("in_series", 0)  # files that the series has already
        self.count: int = job.checkpoint.get("files", 0)
        self.images = Images(source, Missing.load(job.checkpoint.get("missing")))
        self.image_count = self.annotation_count = self.left_out_count = 0
        self.is_divided = format_.has_splits and self.facts.is_split

    def __enter__(self) -> "Writing":
        self.spools = Spools(self.format.documents, self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        self.spools.close()

    async def write(self) -> None:
        async with aclosing(self._batches()) as batches:
            if self.export["packing"] == "FILES" and self.format.shard_suffix is None:
                await self._write_single_files(batches)
            else:
                await self._write_packed(batches)
        if self.export["packing"] == "FILES":
            for group in await asyncio.to_thread(self._rest, self._leading()):
                if self._is_new(group.series, group.number):
                    await self._write_document(group)

    async def finish(self) -> None:
        """Note what came of it, with what the format could not say."""
        losses = self.format.losses

        async def note(batch: Batch) -> None:
            left_out = self.left_out_count
            for loss, count in losses.counts.items():
                batch.warn_label(LabelWarning(loss.code, losses.first[loss], loss.message, count))
            if self.is_divided:
                row = await sql.first(batch.connection, SQL.no_split, job_id=self.job.id, usages=list(SPLITS))
                if row is not None and row["count"]:
                    batch.warn_label(LabelWarning(NO_SPLIT.code, row["path"], NO_SPLIT.message, row["count"]))
                    left_out += row["count"]
            if not self.image_count:
                batch.warn_label(LabelWarning(NOTHING.code, "", NOTHING.message))
            batch.warnings = self.images.warnings
            await sql.run(
                batch.connection,
                SQL.finish,
                job_id=self.job.id,
                images=self.image_count,
                annotations=self.annotation_count,
                left_out=left_out,
                missing=self.images.missing.count,
                lifetime=LIFETIME,
            )
            batch.totals["scanned"] = self.image_count
            batch.checkpoint = {"is_finished": True}

        await jobs.in_batch(self.database, self.job, note)

    # -- what is written, in order

    async def _batches(self) -> AsyncGenerator[list[Group], None]:
        """Images with their own files, then, for archives, the files about all. Those that earlier attempts have
        written are only added to the documents."""
        async with aclosing(one_ahead(self._reads())) as reads:
            async for read in reads:
                groups = await asyncio.to_thread(self._groups, read)
                progress = min(0.99, read.samples[-1].number / max(self.facts.image_count, 1))
                self.job.report(progress=progress, scanned=self.image_count)
                if groups:
                    yield groups
        if self.export["packing"] != "FILES":
            rest = await asyncio.to_thread(self._rest, ())  # the others are in front, in each archive
            if groups := [group for group in rest if self._is_new(group.series, group.number)]:
                yield groups

    async def _reads(self) -> AsyncGenerator[_Read, None]:
        """The samples in order, with the bytes of images that are new in this attempt."""
        is_included = self.facts.images == "INCLUDED"
        for index, series in enumerate(self.format.series()):
            usages = series.usages if series.usages is not None else frozenset(SPLITS) if self.is_divided else None
            async for page in self.records.pages(usages):
                for batch in self.images.divided(page) if is_included else [page]:
                    is_new = [self._is_new(index, sample.number) for sample in batch]
                    data = await self.images.read(batch, is_new) if is_included else [None] * len(batch)
                    yield _Read(index, batch, data, is_new)

    def _is_new(self, series: int, number: int) -> bool:
        return (series, number) > self.begun

    def _groups(self, read: _Read) -> list[Group]:
        """Those to be written. Every image that is part of the export is added to the documents."""
        groups = []
        for sample, data, new in zip(read.samples, read.data, read.is_new, strict=True):
            image = sample.image
            if image is None and new:
                self.images.miss(sample, "Its size and format are not known; sync the dataset. The image is left out.")
            if image is None or sample.number in self.images.missing:
                continue
            if not self.format.takes(image):
                self.left_out_count += 1
                continue
            self.image_count += 1
            self.annotation_count += len(image.annotations)
            self.spools.add(image)
            if not new:
                continue
            entries = [Entry(file.path, file.data) for file in self.format.files(image)]
            if data is not None and self.format.shard_suffix is None:
                paths = (self.format.image_path(image), *self.format.copies(image))
                entries[:0] = [Entry(path, data, is_compressed=True) for path in paths]
            groups.append(Group(read.series, sample.number, tuple(entries), image, data))
        return groups

    def _leading(self) -> tuple[Entry, ...]:
        """The files about the whole dataset that are known before its images."""
        return tuple(Entry(file.path, file.data) for file in self.format.static_files())

    def _rest(self, leading: Sequence[Entry]) -> list[Group]:
        """The documents, and the files about the whole dataset."""
        entries = [*self.spools.finish(), *leading]
        entries += [Entry(file.path, file.data) for file in self.format.final_files()]
        first, series = self.facts.image_count + 1, len(self.format.series()) - 1
        return [Group(series, number, (entry,)) for number, entry in enumerate(entries, first)]

    # -- archives and shards

    async def _write_packed(self, batches: AsyncIterator[list[Group]]) -> None:
        queue: deque[Group] = deque()
        while queue or (queue := deque(await anext(batches, None) or ())):
            await self._write_packed_file(queue, batches)
        if not self.count:  # nothing at all: an empty one says so
            await self._write_packed_file(queue, batches)

    async def _write_packed_file(self, queue: deque[Group], batches: AsyncIterator[list[Group]]) -> None:
        series = queue[0].series if queue else 0
        self.in_series = self.in_series if series == self.series else 0
        name = self.format.shard_name(self.format.series()[series], self.in_series)
        suffix = self.format.shard_suffix or SUFFIXES[self.export["packing"]]
        with ExitStack() as stack:
            made = packer(self.export["packing"], self.format, self.format.series()[series], self.folder, stack)
            limit = self.facts.options.max_file_bytes or DEFAULT_FILE
            leading = Group(series, 0, self._leading() if self.format.shard_suffix is None else ())
            file = File(made, leading, queue, series, limit, self.format.max_shard_images)

            async def pieces() -> AsyncIterator[bytes]:
                making, has_more = file.pieces(), True
                while has_more:
                    piece, has_more = await asyncio.to_thread(next_piece, making)
                    if piece:
                        yield piece
                    if has_more and not queue:
                        more = await anext(batches, None)
                        queue.extend(more or ())

            await self._write_file(f"{name}{suffix}", pieces(), lambda: (series, file.last), in_series=True)

    # -- single files

    async def _write_single_files(self, batches: AsyncIterator[list[Group]]) -> None:
        written = 0
        async for groups in batches:
            entries = [entry for group in groups for entry in group.entries]
            for start in range(0, len(entries), AT_ONCE):
                await gather_or_cancel(self._write_single_file(entry) for entry in entries[start : start + AT_ONCE])
            written += len(entries)
            if written >= COMMIT:
                self.series, self.after, written = groups[-1].series, groups[-1].number, 0
                await self._commit(self._advance)

    async def _write_single_file(self, entry: Entry) -> None:
        """An earlier attempt may have written it already."""
        data = entry.data
        assert isinstance(data, bytes)
        try:
            await self.target.write(entry.path, data)
        except ObjectExists:
            if await self.target.read(entry.path, length=len(data) + 1) != data:
                await self.target.replace(entry.path, data)

    async def _write_document(self, group: Group) -> None:
        [entry] = group.entries

        async def pieces() -> AsyncIterator[bytes]:
            made = iter((entry.data,) if isinstance(entry.data, bytes) else entry.data.pieces())
            while piece := await asyncio.to_thread(next, made, b""):
                yield piece

        await self._write_file(entry.path, pieces(), lambda: (group.series, group.number))

    # -- any file

    async def _write_file(
        self, path: str, pieces: AsyncIterator[bytes], position: Any, *, in_series: bool = False
    ) -> None:
        """Write a file and note it, with the position up to which everything is written then. One of this name was
        written by an attempt that died before it could note it."""
        object_ = f"{self.export['folder']}-{self.count}" if self.export["is_temporary"] else path
        digest, size = hashlib.sha256(), 0

        async def hashed() -> AsyncIterator[bytes]:
            nonlocal size
            async with aclosing(pieces):  # type: ignore[type-var]
                async for piece in pieces:
                    digest.update(piece)
                    size += len(piece)
                    yield piece

        await self.target.discard([object_])
        try:
            await self.target.write_stream(object_, hashed())
        except ObjectExists as error:
            raise StorageError("Somebody else writes files in the export's folder.") from error
        self.series, self.after = position()
        self.count += 1
        self.in_series += in_series

        async def note(batch: Batch) -> None:
            values = {"path": path, "object": object_, "size": size, "sha256": digest.hexdigest()}
            await sql.run(batch.connection, SQL.add_file, job_id=self.job.id, **values)
            await self._advance(batch)

        await self._commit(note)

    async def _commit(self, work: Callable[[Batch], Awaitable[None]]) -> None:
        written = 0

        async def counted(batch: Batch) -> None:
            nonlocal written
            await work(batch)
            written = len(batch.warnings)

        await jobs.in_batch(self.database, self.job, counted)
        del self.images.warnings[:written]  # images that were read since may have added others

    async def _advance(self, batch: Batch) -> None:
        batch.warnings = list(self.images.warnings)
        batch.checkpoint = {
            "series": self.series,
            "after": self.after,
            "in_series": self.in_series,
            "files": self.count,
            "missing": self.images.missing.dump(),
        }
