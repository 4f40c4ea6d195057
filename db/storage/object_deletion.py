"""Deleting the objects of deleted sources. The intent is committed with the rows, and carried out here until that
succeeds: right after the commit by the request, later by a worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import asyncpg

from db.errors import DomainError
from db.formats.sidecars.pairing import sidecar_stems
from db.postgres import sql
from db.postgres.engine import Database
from db.storage.errors import ObjectChanged
from db.storage.objects import Store

OpenStore = Callable[[str], Store]

SQL: Final = sql.load(__file__)
BATCH: Final = 200  # with all paths of possible sidecars a few requests to S3, of a thousand keys each
SIDECAR_SUFFIXES: Final = (".txt", ".TXT", ".xml", ".XML")  # a sync reads them in any case; these are in use
MAX_FAILURES: Final = 1_000  # that are reported of a change
SIDECAR_REMAINS: Final = "The image is deleted, but its label file is not yet; the server tries again."


@dataclass(frozen=True, slots=True)
class Failure:
    """An object that is still there, and why."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """How many objects are gone, and which are not yet, or were replaced and left alone."""

    deleted: int
    failures: tuple[Failure, ...]


@dataclass(slots=True)
class Attempt:
    """At an intent. `final`: it is not tried again."""

    intent: asyncpg.Record
    error: str | None = None
    final: bool = True


async def delete_objects(
    database: Database, open_store: OpenStore, *, change_id: int | None = None, dataset_id: int | None = None
) -> DeletionResult:
    """Delete the objects of one change, of one dataset, or all that are due."""
    deleted, failures, last = 0, list[Failure](), 0
    while True:
        async with database.writing() as session:
            values = {"change_id": change_id, "dataset_id": dataset_id, "max_items": BATCH}
            intents = await sql.run(session, SQL.claim, after=last, **values)
        if not intents:
            return DeletionResult(deleted, tuple(failures))
        last = max(intent["id"] for intent in intents)
        attempts = await _delete_images(open_store, intents)
        await _finish(database, open_store, attempts)
        deleted += sum(attempt.error is None for attempt in attempts)
        failures += [Failure(each.intent["path"], each.error) for each in attempts if each.error is not None]


async def result_of(database: Database, change_id: int) -> DeletionResult:
    """The result of a change's deletions so far, whoever carried them out, with its first failures."""
    async with database.reading() as reader:
        row = await sql.first(reader, SQL.result, change_id=change_id, max_failures=MAX_FAILURES)
    assert row is not None
    return DeletionResult(row["deleted"], tuple(Failure(*failure) for failure in row["failures"]))


async def _delete_images(open_store: OpenStore, intents: Sequence[asyncpg.Record]) -> list[Attempt]:
    """Input path by input path, of each as many at once as its store takes. An image that is gone is not deleted again
    because of its sidecar: a file at its path by now is another's, and may have the same content."""

    def input_path(intent: asyncpg.Record) -> str:
        return str(intent["input_path"])

    attempts = [Attempt(intent) for intent in intents if intent["gone"]]
    for root, group in groupby(sorted((each for each in intents if not each["gone"]), key=input_path), input_path):
        present = list(group)
        results: Sequence[bool | DomainError]
        try:
            results = await open_store(root).delete_many([(intent["path"], intent["etag"]) for intent in present])
        except DomainError as failed:
            results = [failed] * len(present)
        for intent, outcome in zip(present, results, strict=True):
            if isinstance(outcome, DomainError):
                attempts.append(Attempt(intent, outcome.message, final=isinstance(outcome, ObjectChanged)))
            else:  # deleted, or gone already
                attempts.append(Attempt(intent))
    return attempts


async def _finish(database: Database, open_store: OpenStore, attempts: Sequence[Attempt]) -> None:
    """First the sources, then the sidecars that no image needs any more, and only then are the intents done: until an
    image's sidecar is deleted, both are tried again."""
    done = [attempt for attempt in attempts if attempt.error is None]
    async with database.writing() as session:
        await sql.run(session, SQL.mark_gone, ids=sorted(attempt.intent["source_id"] for attempt in done))
    for dataset_id, input_path in sorted({(each.intent["dataset_id"], each.intent["input_path"]) for each in done}):
        of_dataset = [attempt for attempt in done if attempt.intent["dataset_id"] == dataset_id]
        images = sorted({attempt.intent["path"] for attempt in of_dataset})
        remaining = await _delete_sidecars(database, open_store, dataset_id, input_path, images)
        for attempt in of_dataset:
            if attempt.intent["path"] in remaining:
                attempt.error, attempt.final = SIDECAR_REMAINS, False
    async with database.writing() as session:
        await sql.run(
            session,
            SQL.finish,
            ids=[attempt.intent["id"] for attempt in attempts],
            errors=[attempt.error for attempt in attempts],
            finals=[attempt.final for attempt in attempts],
        )


async def _delete_sidecars(
    database: Database, open_store: OpenStore, dataset_id: int, input_path: str, images: Sequence[str]
) -> set[str]:
    """Delete the label files of these images that no other image uses: they would label whatever takes the images'
    paths. Returns the images whose label files may remain. All possible paths are deleted: to look for the files first
    would cost several requests for each image."""
    possible = {path: (image, served) for image in images for path, served in sidecar_stems(image).items()}
    stems = sorted({stem for _, served in possible.values() for stem in served})
    async with database.reading() as reader:
        unused = {row["stem"] for row in await sql.run(reader, SQL.unused_stems, dataset_id=dataset_id, stems=stems)}
    sidecars = {
        path + suffix: image
        for path, (image, served) in possible.items()
        if unused.issuperset(served)
        for suffix in SIDECAR_SUFFIXES
    }
    try:
        remaining = await open_store(input_path).discard(list(sidecars))
    except DomainError:
        remaining = list(sidecars)
    return {sidecars[path] for path in remaining}
