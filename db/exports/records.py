"""The samples of an export as formats write them, a page at a time, as they were at its revision."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
import orjson

from db.exports.manifests import SQL as HISTORY
from db.formats import images, shapes
from db.formats.annotations import Attributes, Author, ParsedAnnotation
from db.formats.datasets import names
from db.formats.datasets.records import AnnotatedImage, DatasetLabel
from db.formats.shapes import Raster
from db.formats.timestamps import clamped
from db.identity.urls import Links
from db.postgres import sql
from db.postgres.engine import Database

SQL: Final = sql.load(__file__)
PAGE: Final = 500  # samples read at once


@dataclass(frozen=True, slots=True)
class ExportedSample:
    """`image` is None where what the file is like is not known. `source_path`: where its bytes are now."""

    number: int
    path: str
    source_path: str
    etag: str
    size: int
    image: AnnotatedImage | None


@dataclass(frozen=True, slots=True)
class Records:
    """`labels` by id. `links` signs the URLs of images as they are stored; None: there are none."""

    database: Database
    job_id: int
    revision: int
    labels: Mapping[int, DatasetLabel]
    links: Links | None = None

    async def pages(
        self, usages: Collection[str | None] | None, after: int = 0
    ) -> AsyncGenerator[list[ExportedSample], None]:
        """The samples of these usages (None: all) behind a number, in the order of their numbers."""
        names = None if usages is None else [usage or "" for usage in usages]
        while True:
            async with self.database.reading() as reader:
                values = {"job_id": self.job_id, "after": after, "usages": names, "size": PAGE}
                rows = await sql.run(reader, SQL.page, **values)
                sources = await sql.run(reader, SQL.sources, ids=[row["source_id"] for row in rows])
                samples = [row["sample_id"] for row in rows]
                found = await sql.run(reader, HISTORY.annotations, samples=samples, revision=self.revision)
            if rows:
                yield await asyncio.to_thread(self._made, rows, sources, found)
            if len(rows) < PAGE:
                return
            after = rows[-1]["number"]

    def _made(
        self,
        rows: Sequence[asyncpg.Record],
        sources: Sequence[asyncpg.Record],
        annotations: Sequence[asyncpg.Record],
    ) -> list[ExportedSample]:
        of_source = {source["id"]: source for source in sources}
        of_sample: dict[int, list[ParsedAnnotation]] = {row["sample_id"]: [] for row in rows}
        for row in sorted(annotations, key=lambda row: int(row["id"])):
            if (label := self.labels.get(row["label_id"])) is not None:
                of_sample[row["sample_id"]].append(_annotation(row, label))
        return [self._sample(row, of_source[row["source_id"]], of_sample[row["sample_id"]]) for row in rows]

    def _sample(
        self, row: asyncpg.Record, source: asyncpg.Record, annotations: Sequence[ParsedAnnotation]
    ) -> ExportedSample:
        number, path, image = row["number"], row["path"], None
        if source["format"] and source["width"] and source["height"]:
            image = AnnotatedImage(
                id=row["sample_id"],
                number=number,
                path=path,
                file_path=names.file_path(path, number, is_unique=not row["same_stem"]),
                file_name=names.file_name(path, number, is_unique=not row["same_name"]),
                format=source["format"],
                size=source["size"],
                raster=Raster(source["width"], source["height"], source["orientation"] or 1),
                state=row["state"],
                usage=row["usage"],
                is_hard=row["hard"],
                annotations=tuple(annotations),
                url=None if self.links is None else _url(source, self.links),
                etag=source["etag"],
            )
        return ExportedSample(number, path, source["path"], source["etag"], source["size"], image)


def _url(source: asyncpg.Record, links: Links) -> str:
    is_shown = images.is_shown(source["format"], source["width"], source["height"])
    sign = links.image if is_shown else links.original
    return sign(source["id"], images.SUFFIX_OF[source["format"]])


def _annotation(row: asyncpg.Record, label: DatasetLabel) -> ParsedAnnotation:
    return ParsedAnnotation(
        label=label.name,
        shape=None if row["shape"] is None else shapes.from_json(orjson.loads(row["shape"])),
        confidence=row["confidence"],
        attributes=Attributes.from_json(orjson.loads(row["attributes"] or "null")),
        author=Author(row["labeled_by"], clamped(row["labeled_at"]), row["confirmed"]),
        color=label.color,
        shortcut=label.shortcut,
        model=row["model"] and tuple(row["model"]),
    )
