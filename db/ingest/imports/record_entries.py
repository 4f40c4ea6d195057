"""Entries of what a reader found: each with its image, and with the labels that are imported, under the names that they
have here. No row is written, and no lock is held."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from db.errors import DomainError
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets.reading import SLACK, ImageRecord, Problem
from db.formats.images import ImageLimits
from db.formats.names import LabelNameRefused, LabelNameRule, label_name, nfc
from db.formats.paths import path_parts
from db.formats.patterns import Exclusion
from db.formats.shapes import Raster, extent, scaled
from db.ingest.decide import path_end
from db.ingest.entry import Entry, Notice, NoticeKind
from db.ingest.images import InspectedImage, Outcome, inspect_images
from db.ingest.imports.contained import BroughtImage, ContainedImages
from db.ingest.imports.entries import EXCLUDED, known_rasters
from db.ingest.imports.label_files import UNSIZED
from db.ingest.imports.options import Options
from db.ingest.imports.records import STORED, notice_of
from db.jobs import Claim, LabelWarning
from db.postgres.engine import Database
from db.storage import Store, StoredObject

MATCHED: Final[Mapping[str, NoticeKind]] = {"PATH_END": "MATCHED_BY_PATH_END", "NAME": "MATCHED_BY_NAME"}
MISSING: Final = "There is no sample with this path, and no file below the input path."
AMBIGUOUS: Final = "Several images have a file of this name, or several lines mean the same image."


@dataclass(frozen=True, slots=True)
class RecordInspector:
    """Of one import, into a dataset of type `kind`."""

    database: Database
    job: Claim
    options: Options
    kind: str
    store: Store
    limits: ImageLimits
    rule: LabelNameRule
    exclude: Exclusion
    images: ContainedImages | None = None  # where these are to be stored

    async def inspect(self, rows: Sequence[asyncpg.Record]) -> list[Entry]:
        """Raises RootMissing when the input path is away; StorageError, when an image cannot be brought."""
        lines = [(row, STORED.validate_json(row["entry"])) for row in rows]
        brought: dict[int, BroughtImage] = {}
        if self.images is not None:
            contained = [line for line in lines if line[0]["origin"] is not None]
            images = await self.images.bring(contained)
            brought = {row["position"]: image for (row, _), image in zip(contained, images, strict=True)}
        others = [row for row in rows if row["position"] not in brought]
        known = [row["path"] for row in others if row["path"] is not None]
        rasters = await known_rasters(self.database, self.job.dataset_id, known)
        paths = dict.fromkeys(path for row in others for path in self._possible(row))
        found = await inspect_images(self.store, [StoredObject(path, 0, 0, None) for path in paths], self.limits)
        return [
            self._brought(row, record, brought[row["position"]])
            if row["position"] in brought
            else self._entry(row, record, rasters, found)
            for row, record in lines
        ]

    def _brought(self, row: asyncpg.Record, record: ImageRecord, brought: BroughtImage) -> Entry:
        entry = Entry(row["position"], brought.path, record.location, brought.image, usage=record.usage)
        if brought.image is None or brought.image.facts is None:
            return replace(entry, refused=brought.refused, refused_as=brought.refused_as)
        if brought.path == row["path"]:
            entry = self._noticed(entry, row, record)
        facts = brought.image.facts
        return self._with_labels(entry, record, Raster(facts.width, facts.height, facts.orientation))

    def _noticed(self, entry: Entry, row: asyncpg.Record, record: ImageRecord) -> Entry:
        """With the notice that its sample was found by less than its path."""
        if row["matched"] not in MATCHED:
            return entry
        message = f"{record.location}: `{path_end(record.path)}` is `{path_end(entry.path)}`."
        return replace(entry, notices=(Notice(MATCHED[row["matched"]], message),))

    def _possible(self, row: asyncpg.Record) -> list[str]:
        """Paths of which a file may be there that is no sample yet. A file at the very path goes before samples whose
        paths are only alike."""
        if row["is_stem"] or row["matched"] == "PATH":
            return []
        return [path for path in row["candidates"][: row["exact"]] if _is_path(path)]

    def _entry(
        self,
        row: asyncpg.Record,
        record: ImageRecord,
        rasters: Mapping[str, Raster | None],
        found: Mapping[str, InspectedImage],
    ) -> Entry:
        path = next((path for path in self._possible(row) if found[path].outcome is not Outcome.GONE), row["path"])
        image = found.get(path)
        entry = Entry(row["position"], path or row["candidates"][0], record.location, image, usage=record.usage)
        if path is None:
            if row["matched"] == "AMBIGUOUS":
                return replace(entry, refused=AMBIGUOUS, refused_as="IMAGE_AMBIGUOUS")
            return replace(entry, refused=MISSING, refused_as="IMAGE_MISSING")
        if image is not None and self.exclude.match(path):
            return replace(entry, refused=EXCLUDED, refused_as="IMAGE_EXCLUDED")
        if image is not None and image.outcome is not Outcome.READ:
            return replace(entry, refused=image.problem, refused_as="IMAGE_UNREADABLE")
        raster = rasters.get(path)
        if image is not None and image.facts is not None:
            raster = Raster(image.facts.width, image.facts.height, image.facts.orientation)
        else:
            entry = self._noticed(entry, row, record)
        return self._with_labels(entry, record, raster)

    def _with_labels(self, entry: Entry, record: ImageRecord, raster: Raster | None) -> Entry:
        problems = [Problem(entry.location, text) for text in (entry.image.warnings if entry.image is not None else ())]
        beyond = _beyond(record, raster)
        if raster is not None:
            record = record.on(raster, kind=self.kind, beyond=self.options.out_of_bounds)
        elif any(each.shape is not None for each in record.annotations or ()):
            rest = tuple(each for each in record.annotations or () if each.shape is None)
            record = replace(record, annotations=rest or None)
            problems.append(Problem(entry.location, UNSIZED))
        problems += record.problems
        annotations, refused = self._included(record)
        notices = [*entry.notices, *(notice_of(each) for each in problems)]
        notices += [Notice("LABEL_NAME", f"{each.path}: {each.message}", each.count) for each in refused]
        if beyond:
            notices.append(Notice("SHAPE_BEYOND_IMAGE", f"{entry.location}: `{path_end(entry.path)}`", beyond))
        return replace(
            entry,
            annotations=annotations,
            hard=record.hard,
            warnings=tuple((each.location, each.message) for each in problems),
            notices=tuple(notices),
            refused_names=tuple(refused),
        )

    def _included(self, record: ImageRecord) -> tuple[tuple[ParsedAnnotation, ...] | None, list[LabelWarning]]:
        """The annotations that are imported, under the names that their labels have here, and each label of the whole
        image once. None: nothing is left."""
        if record.annotations is None:
            return None, []
        found: list[ParsedAnnotation] = []
        refused: list[LabelWarning] = []
        whole: set[str] = set()
        for each in record.annotations:
            name = nfc(each.label)
            if not self.options.includes(name):
                continue
            try:
                label = label_name((self.options.mapped or {}).get(name, name), self.rule)
            except LabelNameRefused as problem:
                location = f"{record.within}{each.line}" if each.line and record.within else record.location
                refused.append(LabelWarning(problem.name, location, problem.message))
                continue
            if each.shape is not None or label not in whole:
                found.append(self._confirmed(replace(each, label=label)))
            if each.shape is None:
                whole.add(label)
        return (tuple(found) if found or not record.annotations else None), _counted(refused)

    def _confirmed(self, annotation: ParsedAnnotation) -> ParsedAnnotation:
        if annotation.author is None or not self.options.confirm_suggestions:
            return annotation
        return replace(annotation, author=replace(annotation.author, confirmed=True))


def _beyond(record: ImageRecord, raster: Raster | None) -> int:
    """How many shapes reach further beyond the image than tools round."""
    if raster is None:
        return 0
    width, height = record.size or raster.size
    count = 0
    for each in record.annotations or ():
        if each.shape is not None and getattr(each.shape, "points", True):
            shape = scaled(each.shape, width, height) if record.is_relative else each.shape
            left, top, right, bottom = extent(shape)
            count += left < -SLACK or top < -SLACK or right > width + SLACK or bottom > height + SLACK
    return count


def _counted(refused: Sequence[LabelWarning]) -> list[LabelWarning]:
    """Each name once."""
    counts = Counter(each.name for each in refused)
    first = {each.name: each for each in reversed(refused)}
    return [replace(each, count=counts[name]) for name, each in first.items()]


def _is_path(path: str) -> bool:
    try:
        path_parts(path)
    except DomainError:
        return False
    return True
