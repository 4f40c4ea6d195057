"""The label files that a manifest's lines point to: PASCAL VOC, next to the manifest or anywhere that may be read."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Final

from db.errors import DomainError
from db.formats.annotations import ParsedAnnotation
from db.formats.names import LabelNameRule, excerpt
from db.formats.shapes import Raster
from db.formats.sidecars import VOC
from db.ingest.imports.locations import ReadableLocations, location_of
from db.ingest.imports.manifest_lines import LabelFile

AT_ONCE: Final = 8  # label files in memory at once

UNSIZED: Final = "The size of the image is not known, so it cannot have shapes; sync, and import again."


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """What a label file says of its image. `annotations` None: nothing that can be used."""

    annotations: tuple[ParsedAnnotation, ...] | None
    hard: bool = False
    problems: tuple[str, ...] = ()
    refused_names: tuple[tuple[str, str, int], ...] = ()  # with the sentence that says why, and how often each occurs


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """Reads them, some at a time. `folder`: the one that the manifest is in."""

    locations: ReadableLocations
    kind: str
    folder: str
    rule: LabelNameRule = "STANDARD"
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def read(self, file: LabelFile, raster: Raster | None) -> ParsedFile:
        """`raster`: the image's, where it is known."""
        if raster is None:
            return ParsedFile(None, problems=(UNSIZED,))
        name = excerpt(file.location.rpartition("/")[2])
        try:
            async with self.slots:
                data = await self._data(file)
                parsed = await asyncio.to_thread(VOC.parse, data, self.rule)
        except DomainError as refused:
            return ParsedFile(None, problems=(f"{name}: {refused.message}",))
        valid = parsed.on(kind=self.kind, raster=raster)
        problems = tuple(f"{name}:{problem.line}: {problem.message}" for problem in valid.reported)
        refused_names = tuple(
            (each, f"{name}:{first.line}: {first.message}", count)
            for each, (first, count) in parsed.refused_names.items()
        )
        if parsed.annotations is None or valid.annotations is None:
            return ParsedFile(None, bool(valid.hard), problems, refused_names)
        authors = dict.fromkeys((each.line for each in parsed.annotations), file.author)
        if len(file.authors) == len(parsed.annotations):
            authors = {each.line: author for each, author in zip(parsed.annotations, file.authors, strict=True)}
        annotations = tuple(
            replace(
                each,
                author=authors[each.line],
                confidence=file.confidence if each.confidence is None else each.confidence,
                color=file.colors.get(each.label),
                shortcut=file.shortcuts.get(each.label),
            )
            for each in valid.annotations
        )
        return ParsedFile(annotations, bool(valid.hard), problems, refused_names)

    async def _data(self, file: LabelFile) -> bytes:
        """Where the line says; or else next to the manifest, for files that were moved together with it."""
        parts = file.location.split("/")
        first: DomainError | None = None
        for text in (file.location, f"{self.folder}{'/'.join(parts[-2:])}", f"{self.folder}{parts[-1]}"):
            location = location_of(text, folder=self.folder)
            try:
                return await self.locations.read(location, length=VOC.max_bytes + 1)
            except DomainError as refused:
                first = first or refused
        assert first is not None
        raise first
