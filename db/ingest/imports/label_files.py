"""The label files that a manifest's lines point to: PASCAL VOC, beside the manifest or anywhere that may be read."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from db.errors import DomainError, StorageError
from db.formats.names import LabelNameRule, excerpt
from db.formats.shapes import Raster, to_json
from db.formats.sidecars import VOC, Sidecar
from db.ingest.imports.entries import LabelFile, ParsedAnnotation
from db.ingest.imports.locations import ReadableLocations, location
from db.storage import RootMissing

AT_ONCE: Final = 8  # label files in memory at once

UNSIZED: Final = "The size of the image is not known, so no shape can be put on it; sync, and import again."


@dataclass(frozen=True, slots=True)
class Read:
    """What a label file says of its image. `marks` None: nothing that can be used."""

    marks: tuple[ParsedAnnotation, ...] | None
    hard: bool = False
    problems: tuple[str, ...] = ()
    refused_names: tuple[tuple[str, str, int], ...] = ()  # with the sentence that says why, and how often each stands


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """Reads them, some at a time. `beside`: the folder that the manifest lies in."""

    reach: ReadableLocations
    kind: str
    beside: str
    rule: LabelNameRule = "STANDARD"
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def read(self, file: LabelFile, raster: Raster | None) -> Read:
        """`raster`: the image's, where it is known."""
        if raster is None:
            return Read(None, problems=(UNSIZED,))
        name = file.location.rpartition("/")[2]
        try:
            async with self.slots:
                data = await self._data(file)
                said = await asyncio.to_thread(VOC.parse, data, self.rule)
        except DomainError as refused:
            return Read(None, problems=(f"{excerpt(name)}: {refused.message}",))
        placed = said.on(kind=self.kind, raster=raster)
        problems = tuple(f"{excerpt(name)}:{problem.line}: {problem.message}" for problem in placed.told)
        names = tuple(
            (each, f"{excerpt(name)}:{first.line}: {first.message}", count)
            for each, (first, count) in said.refused_names.items()
        )
        return Read(_marks(said, placed, file), bool(placed.hard), problems, names)

    async def _data(self, file: LabelFile) -> bytes:
        """Where the line says; or else beside the manifest, for files that were moved together with it."""
        first: DomainError | None = None
        for where in self._locations(file.location):
            try:
                return (await self.reach.head(where, length=VOC.max_bytes + 1)).data
            except RootMissing as refused:
                first = first or StorageError(refused.message)
            except DomainError as refused:
                first = first or refused
        assert first is not None
        raise first

    def _locations(self, text: str) -> Iterator[str]:
        yield location(text, beside=self.beside)
        parts = text.split("/")
        yield location(f"{self.beside}{'/'.join(parts[-2:])}")
        yield location(f"{self.beside}{parts[-1]}")


def _marks(said: Sidecar, placed: Sidecar, file: LabelFile) -> tuple[ParsedAnnotation, ...] | None:
    """The marks that can be where they are, each with its author."""
    if placed.marks is None or said.marks is None:
        return None
    authors = dict.fromkeys((mark.line for mark in said.marks), file.author)
    if len(file.authors) == len(said.marks):
        authors = {mark.line: author for mark, author in zip(said.marks, file.authors, strict=True)}
    return tuple(
        ParsedAnnotation(
            mark.label,
            authors[mark.line],
            file.confidence if mark.confidence is None else mark.confidence,
            None if mark.shape is None else to_json(mark.shape),
            file.colors.get(mark.label),
            file.shortcuts.get(mark.label),
            mark.attributes.to_json(),
        )
        for mark in placed.marks
    )


def together(marks: tuple[ParsedAnnotation, ...] | None, files: list[Read]) -> tuple[ParsedAnnotation, ...] | None:
    """What a line and its files say; None where nobody says anything that can be used."""
    found = [each for each in (marks, *(file.marks for file in files)) if each is not None]
    useless = files and all(file.marks is None for file in files) and not marks
    return None if marks is None or useless else tuple(mark for each in found for mark in each)
