"""Looking at what the lines name: images, where they lie, and label files. No row is written, and no lock is held."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import asyncpg
from pydantic import TypeAdapter

from db.errors import DomainError, Invalid
from db.formats.images import ImageLimits
from db.formats.shapes import Raster, checked, from_json, to_json
from db.ingest.imports.copying import Copier
from db.ingest.imports.entries import Entry, ParsedAnnotation
from db.ingest.imports.label_files import UNSIZED, LabelFiles, together
from db.ingest.imports.options import Options
from db.ingest.sync.inspection import Image, Item, Outcome, inspect
from db.jobs import Claim
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import RootMissing, Store

SQL: Final = sql.load(__file__, "merging.sql")

ENTRY: Final = TypeAdapter(Entry)
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """A line and what it names. `image` None: its sample is there already, and was not looked at. `refused`: why it
    can be no sample. `marks` None: nothing was said about labels that could be used."""

    position: int
    path: str
    entry: Entry
    image: Image | None = None
    marks: tuple[ParsedAnnotation, ...] | None = None
    hard: bool | None = None
    refused: str | None = None
    warnings: tuple[str, ...] = ()
    refused_names: tuple[tuple[str, str, int], ...] = ()  # of label files: with the sentence, and how often it stands


@dataclass(frozen=True, slots=True)
class Inspector:
    """Of one import, into a dataset of type `kind`."""

    database: Database
    job: Claim
    options: Options
    kind: str
    store: Store
    caps: ImageLimits
    copier: Copier
    files: LabelFiles

    async def look(self, rows: Sequence[asyncpg.Record]) -> list[Seen]:
        """Raises RootMissing when the input path is away."""
        known = await self._known([row["path"] for row in rows])
        pictures = await self._images([row for row in rows if row["path"] not in known and self._is_here(row)])
        return list(await asyncio.gather(*(self._one(row, known, pictures) for row in rows)))

    def _is_here(self, row: asyncpg.Record) -> bool:
        """Whether an image at its path is the one that is meant: so it is below the input path, and with `sourceRoot`.
        Others are compared."""
        return row["origin"] is None or self.options.source_root is not None

    async def _known(self, paths: list[str]) -> dict[str, Raster | None]:
        async with self.database.reading() as connection:
            rows = await connection.fetch(SQL.facts, self.job.dataset_id, paths)
        return {row["path"]: _raster(row) for row in rows}

    async def _images(self, rows: Sequence[asyncpg.Record]) -> dict[str, Image]:
        items = [Item(row["position"], "NEW", row["path"], 0, NEVER, None, None, None, None) for row in rows]
        return {
            found.item.path: found.image for found in await inspect(self.store, items, kind=self.kind, caps=self.caps)
        }

    async def _one(
        self, row: asyncpg.Record, known: Mapping[str, Raster | None], pictures: Mapping[str, Image]
    ) -> Seen:
        seen = Seen(row["position"], row["path"], ENTRY.validate_json(row["entry"]), pictures.get(row["path"]))
        is_gone = seen.image is not None and seen.image.outcome is Outcome.GONE
        try:
            if row["origin"] is not None and (is_gone or not self._is_here(row)):
                path, image = await self.copier.bring(row["origin"], row["path"])
                seen = replace(seen, path=path, image=image)
            else:
                _expect_image(seen.image)
            return await self._with_labels(seen, known.get(seen.path))
        except RootMissing:
            raise
        except DomainError as refused:
            return replace(seen, refused=refused.message)

    async def _with_labels(self, seen: Seen, known: Raster | None) -> Seen:
        facts = seen.image.facts if seen.image is not None else None
        raster = known if facts is None else Raster(facts.width, facts.height, facts.orientation)
        read = [await self.files.read(file, raster) for file in seen.entry.files]
        marks, problems = self._placed(seen.entry.marks, raster)
        warnings = (*problems, *(problem for file in read for problem in file.problems))
        if seen.image is not None:
            warnings = (*seen.image.warnings, *warnings)
        hard = True if seen.entry.hard is None and any(file.hard for file in read) else seen.entry.hard
        refused = tuple(name for file in read for name in file.refused_names)
        marks = self._wanted(together(marks, read))
        return replace(seen, marks=marks, hard=hard, warnings=warnings, refused_names=refused)

    def _placed(
        self, marks: tuple[ParsedAnnotation, ...] | None, raster: Raster | None
    ) -> tuple[tuple[ParsedAnnotation, ...] | None, tuple[str, ...]]:
        """Marks whose shapes, if any, can be on an image of this size; and what is wrong with the others."""
        if marks is None or all(mark.shape is None for mark in marks):
            return marks, ()
        if raster is None:
            return tuple(mark for mark in marks if mark.shape is None) or None, (UNSIZED,)
        placed, problems = list[ParsedAnnotation](), list[str]()
        for mark in marks:
            try:
                placed.append(self._drawn(mark, *raster.size))
            except Invalid as refused:
                problems.append(refused.message)
        return tuple(placed) if placed else None, tuple(problems)

    def _drawn(self, mark: ParsedAnnotation, width: int, height: int) -> ParsedAnnotation:
        if mark.shape is None:
            return mark
        shape = checked(from_json(mark.shape), kind=self.kind, width=width, height=height)
        return replace(mark, shape=to_json(shape))

    def _wanted(self, marks: tuple[ParsedAnnotation, ...] | None) -> tuple[ParsedAnnotation, ...] | None:
        """Without the labels that are not imported, and each label of the whole image once."""
        found = [mark for mark in marks or () if self.options.wants(mark.name)]
        whole = {mark.name: mark for mark in reversed(found) if mark.shape is None}
        kept = tuple(mark for mark in found if mark.shape is not None or whole[mark.name] is mark)
        return None if marks is None or (marks and not kept) else kept


def _raster(row: asyncpg.Record) -> Raster | None:
    return Raster(row["width"], row["height"], row["orientation"] or 1) if row["width"] else None


def _expect_image(image: Image | None) -> None:
    match image:
        case None | Image(outcome=Outcome.READ):
            return
        case Image(outcome=Outcome.GONE):
            raise Invalid("There is no such file, or it is gone.")
        case _:
            raise Invalid(image.problem)
