"""Reading what the lines name: images, where they are, and label files. An image from elsewhere is copied below the
input path: the object first, its row after, and never over another. No row is written, and no lock is held."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import asyncpg
from pydantic import TypeAdapter

from db.errors import DomainError, Invalid
from db.formats import images
from db.formats.annotations import ParsedAnnotation
from db.formats.images import ImageLimits
from db.formats.names import label_name
from db.formats.paths import stem
from db.formats.patterns import Exclusion
from db.formats.shapes import Raster, validated
from db.ingest.entry import Entry, Notice, NoticeKind
from db.ingest.images import (
    MIB,
    InspectedImage,
    Outcome,
    as_if_written,
    inspect_images,
    is_cut,
    object_with,
    write_new,
)
from db.ingest.imports.label_files import UNSIZED, LabelFiles
from db.ingest.imports.locations import ReadableLocations
from db.ingest.imports.manifest_lines import ManifestLine
from db.ingest.imports.named_labels import NamedLabels
from db.ingest.imports.options import Options
from db.jobs import Claim, LabelWarning
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectExists, RootMissing, Store, StoredObject

SQL: Final = sql.load(__file__)
STORED: Final = TypeAdapter(ManifestLine)
COPIES_AT_ONCE: Final = 4  # images in memory at once
MAX_NAMES: Final = 1_000  # tried for an image whose own is taken
EXCLUDED: Final = "It is no sample yet, and the dataset excludes its path."
Annotations = tuple[ParsedAnnotation, ...]


async def known_rasters(database: Database, dataset_id: int, paths: Sequence[str]) -> dict[str, Raster | None]:
    """The images of the samples that there are at these paths; None, where their size is not known."""
    async with database.reading() as connection:
        known = await sql.run(connection, SQL.rasters, dataset_id=dataset_id, paths=paths)
    return {
        row["path"]: Raster(row["width"], row["height"], row["orientation"] or 1) if row["width"] else None
        for row in known
    }


@dataclass(frozen=True, slots=True)
class Inspector:
    """Of one import of a manifest, into a dataset of type `kind`."""

    database: Database
    job: Claim
    options: Options
    kind: str
    store: Store
    limits: ImageLimits
    locations: ReadableLocations
    files: LabelFiles
    exclude: Exclusion
    labels: NamedLabels
    copies: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(COPIES_AT_ONCE))

    async def inspect(self, rows: Sequence[asyncpg.Record]) -> list[Entry]:
        """Raises RootMissing when the input path is away."""
        rasters = await known_rasters(self.database, self.job.dataset_id, [row["path"] for row in rows])
        unknown = [row["path"] for row in rows if row["path"] not in rasters and self._is_below(row)]
        found = await inspect_images(self.store, [StoredObject(path, 0, 0, None) for path in unknown], self.limits)
        return list(await asyncio.gather(*(self._entry(row, rasters, found.get(row["path"])) for row in rows)))

    def _is_below(self, row: asyncpg.Record) -> bool:
        """Whether an image at its path is the one that is meant: so it is below the input path, and with `sourceRoot`.
        Others are compared."""
        return row["origin"] is None or self.options.source_root is not None

    async def _entry(
        self, row: asyncpg.Record, rasters: Mapping[str, Raster | None], image: InspectedImage | None
    ) -> Entry:
        location = f"{self.options.file_name}:{row['position']}"
        line = STORED.validate_json(row["entry"])
        entry = Entry(row["position"], row["path"], location, image, hard=line.hard, usage=line.usage)
        self.labels.see(each.label for each in line.annotations or ())
        is_gone = image is not None and image.outcome is Outcome.GONE
        kind: NoticeKind = "CONTENT"
        try:
            if row["path"] not in rasters and self.exclude.match(row["path"]):
                kind = "IMAGE_EXCLUDED"
                raise Invalid(EXCLUDED)
            if row["origin"] is not None and (is_gone or not self._is_below(row)):
                path, image = await self._bring(row["origin"], row["path"])
                entry = replace(entry, path=path, image=image)
            elif is_gone:
                kind = "IMAGE_MISSING"
                raise Invalid("There is no such file, or it is gone.")
            elif image is not None and image.outcome is not Outcome.READ:
                kind = "IMAGE_UNREADABLE"
                raise Invalid(image.problem)
            return await self._with_labels(entry, line, rasters.get(entry.path))
        except RootMissing:
            raise
        except DomainError as refused:
            self.labels.is_whole = self.labels.is_whole and not line.files
            return replace(entry, refused=refused.message, refused_as=kind)

    async def _bring(self, origin: str, path: str) -> tuple[str, InspectedImage]:
        """The image at `origin`, and the path that it has now: that of an object with its very content, or of a new
        one, such as `a-1.jpg`. Raises StorageError, Invalid."""
        front = stem(path)
        async with self.copies:
            data = await self.locations.read(origin, length=self.limits.size + 1)
            if len(data) > self.limits.size:
                raise Invalid(f"Images of at most {self.limits.size / MIB:g} MiB are accepted.", code="FILE_TOO_LARGE")
            form = images.kind(data)
            if form is not None and form not in self.limits.formats:
                raise Invalid(images.not_taken(form, self.limits.formats), code="UNSUPPORTED_FORMAT")
            facts = await asyncio.to_thread(images.facts, data, self.limits.pixels, self.limits.side)
            is_damaged = await is_cut(data, self.limits)
            for number in range(MAX_NAMES):
                candidate = f"{front}-{number}{path[len(front) :]}" if number else path
                stored = await self._stored_as(candidate, path, data)
                if stored is not None:
                    image = InspectedImage.of(stored, facts)
                    return candidate, image.as_damaged() if is_damaged else image
        raise ObjectExists

    async def _stored_as(self, candidate: str, path: str, data: bytes) -> StoredObject | None:
        """The image as it is there now: written, or found. It is not written where another line, a deletion or an
        upload has the path; nor where there is a sample, though its file may be gone."""
        async with self.database.reading() as connection:
            ids = {"job_id": self.job.id, "dataset_id": self.job.dataset_id}
            rows = await sql.run(connection, SQL.claims, **ids, path=candidate)
        if sum(not row["is_sample"] for row in rows) > (candidate == path):
            return None
        if any(row["is_sample"] for row in rows):
            return await object_with(self.store, candidate, data)
        if not self.options.dry_run:
            return await write_new(self.store, candidate, data)
        return await as_if_written(self.store, candidate, data)

    async def _with_labels(self, entry: Entry, line: ManifestLine, raster: Raster | None) -> Entry:
        problems: list[str] = []
        if entry.image is not None:
            problems += entry.image.warnings
            facts = entry.image.facts
            raster = raster if facts is None else Raster(facts.width, facts.height, facts.orientation)
        files = [await self.files.read(file, raster) for file in line.files]
        for file in files:
            self.labels.see(each.label for each in file.annotations or ())
            self.labels.is_whole = self.labels.is_whole and file.annotations is not None and not file.problems
        annotations = self._drawable(line.annotations, raster, problems)
        if files and not annotations and all(file.annotations is None for file in files):
            annotations = None
        if annotations is not None:
            of_files = (each for file in files for each in file.annotations or ())
            annotations = self._included((*annotations, *of_files))
        problems += [problem for file in files for problem in file.problems]
        refused = [
            LabelWarning(name, entry.location, message, count)
            for file in files
            for name, message, count in file.refused_names
        ]
        notices = [Notice("CONTENT", f"{entry.location}: {problem}") for problem in problems]
        notices += [Notice("LABEL_NAME", f"{each.path}: {each.message}", each.count) for each in refused]
        return replace(
            entry,
            annotations=annotations,
            hard=True if line.hard is None and any(file.hard for file in files) else line.hard,
            warnings=tuple((entry.location, problem) for problem in problems),
            notices=tuple(notices),
            refused_names=tuple(refused),
        )

    def _drawable(
        self, annotations: Annotations | None, raster: Raster | None, problems: list[str]
    ) -> Annotations | None:
        """Those whose shapes, if any, can be on an image of this size; and what is wrong with the others."""
        if annotations is None or all(each.shape is None for each in annotations):
            return annotations
        if raster is None:
            problems.append(UNSIZED)
            return tuple(each for each in annotations if each.shape is None) or None
        found = list[ParsedAnnotation]()
        for each in annotations:
            try:
                shape = each.shape and validated(each.shape, kind=self.kind, width=raster.width, height=raster.height)
                found.append(replace(each, shape=shape))
            except Invalid as refused:
                problems.append(refused.message)
        return tuple(found) or None

    def _included(self, annotations: Annotations) -> Annotations | None:
        """The labels that are imported, under their names here, and each label of the whole image once. None: nothing
        is left."""
        mapped = {old: label_name(new, self.files.rule) for old, new in (self.options.mapped or {}).items()}
        found = [
            replace(each, label=mapped.get(each.label, each.label))
            for each in annotations
            if self.options.includes(each.label)
        ]
        whole = {each.label: each for each in reversed(found) if each.shape is None}
        found = [each for each in found if each.shape is not None or whole[each.label] is each]
        if annotations and not found:
            return None
        if not self.options.confirm_suggestions:
            return tuple(found)
        return tuple(replace(each, author=each.author and replace(each.author, confirmed=True)) for each in found)
