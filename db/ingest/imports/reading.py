"""First stage: the manifest's lines that name an image go into the staging table, each with the path that its sample
has or is to have. Nothing else is written, so a reader that dies begins anew.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import asyncpg
import orjson

from db.errors import Invalid
from db.formats.images import SUFFIX_NAMES, SUFFIXES
from db.formats.names import LabelNameRule, excerpt
from db.formats.paths import suffix
from db.ingest.imports import entries
from db.ingest.imports.entries import Entry
from db.ingest.imports.lines import Line, lines
from db.ingest.imports.locations import ReadableLocations, location
from db.ingest.imports.options import Checkpoint, Options, Stage
from db.jobs import Batch, Claim, clear_label_warnings, in_batch
from db.postgres import sql
from db.postgres.engine import Database

SQL: Final = sql.load(__file__, "merging.sql")

MAX_BYTES: Final = 5 * 1024**3  # of a manifest, as in the reference system
BATCH: Final = 2_000  # lines in a COPY
DOUBTFUL: Final = 1_000  # lines at the start of a file of which none is a manifest's: then it is none
READ: Final = 0.2  # the progress ratio after this stage
COLUMNS: Final = ("job_id", "position", "path", "origin", "entry")
Row = tuple[int, int, str | None, str | None, str]


@dataclass(slots=True)
class Reading:
    """What was read so far. `root`: the folder that all images outside the input path share."""

    job: Claim
    options: Options
    kind: str
    input_path: str
    file_name: str
    rule: LabelNameRule = "STANDARD"
    read: int = 0
    skipped: int = 0
    useful: int = 0
    last: int = 0
    root: str | None = None
    rows: list[Row] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    refused_names: list[tuple[str, str, str]] = field(default_factory=list)  # name, location, message

    def warn(self, number: int, message: str) -> None:
        self.warnings.append((f"{self.file_name}:{number}", message))

    def take(self, batch: Sequence[Line]) -> None:
        for line in batch:
            if line.text is None or line.text.strip():
                self.read += 1
                self.last = line.number
                self._take(line)

    def _take(self, line: Line) -> None:
        try:
            self._stage(line)
            self.useful += 1
        except Invalid as refused:
            self.skipped += 1
            self.warn(line.number, refused.message)

    def _stage(self, line: Line) -> None:
        if line.text is None:
            raise Invalid("The line is too long; lines of at most 4 MiB are read.")
        entry = entries.parse(line.text, self.kind, self.rule)
        where = location(entry.source)
        if suffix(where) not in SUFFIXES:
            raise Invalid(f"`{told(entry.source)}` is not named as an image is: {SUFFIX_NAMES}.")
        path, origin = self._placed(where)
        if origin is not None:
            self.root = _shared(self.root, origin)
        for problem in entry.problems:
            self.warn(line.number, problem)
        for name, message in entry.refused_names:
            self.refused_names.append((name, f"{self.file_name}:{line.number}", message))
        self.rows.append((self.job.id, line.number, path, origin, _kept(entry)))

    def _placed(self, where: str) -> tuple[str | None, str | None]:
        """The path below the input path, if it is known by now; and where the image lies, if not there."""
        if where.startswith(self.input_path):
            return where[len(self.input_path) :], None
        root = self.options.source_root
        if root is None:
            return None, where
        if not where.startswith(root):
            raise Invalid(f"`{told(where)}` does not lie below `sourceRoot`.")
        return where[len(root) :], where


def told(text: str) -> str:
    """A location as it may stand in a message."""
    return excerpt(text) if len(text) <= 40 else f"…{excerpt(text[-40:])}"


def _kept(entry: Entry) -> str:
    return orjson.dumps(entry).decode()


def _shared(root: str | None, origin: str) -> str:
    """The longest folder that both lie below."""
    above = origin[: origin.rindex("/") + 1]
    while root is not None and not above.startswith(root):
        root = root[: root.rstrip("/").rfind("/") + 1]
    return above if root is None else root


async def read(
    database: Database, job: Claim, reach: ReadableLocations, options: Options, dataset: asyncpg.Record
) -> Checkpoint:
    """Read it all, from the start. Raises DomainError: it is not there, or it is no manifest."""
    await in_batch(database, job, partial(_clear, job=job))
    store, name = await reach.open(options.manifest)
    found = await store.stat(name)
    expect(None if found is None else found.size)
    assert found is not None
    below = f"{dataset['input_path'].rstrip('/')}/"
    reading = Reading(job, options, dataset["type"], below, name[:200], dataset["label_names"])
    async for batch in lines(store.stream(name)):
        await asyncio.to_thread(reading.take, batch)
        _expect_sense(reading, at_least=DOUBTFUL)
        if len(reading.rows) + len(reading.warnings) + len(reading.refused_names) >= BATCH:
            await _flush(database, reading)
        if batch:
            job.report(progress=READ * batch[-1].end / max(found.size, 1), scanned=reading.read)
    _expect_sense(reading, at_least=1)
    await _flush(database, reading)
    return await in_batch(database, job, partial(_settle, reading=reading))


def expect(size: int | None) -> None:
    """The manifest is there, and not larger than one may be. Raises INVALID_PATH, FILE_TOO_LARGE."""
    if size is None:
        raise Invalid("There is no manifest at this path; name the file itself.", code="INVALID_PATH")
    if size > MAX_BYTES:
        raise Invalid(f"A manifest has at most {MAX_BYTES // 1024**3} GiB.", code="FILE_TOO_LARGE")


def _expect_sense(reading: Reading, *, at_least: int) -> None:
    if reading.read >= at_least and not reading.useful:
        raise Invalid(
            f"None of the first {reading.read} lines names an image that can be imported; this is no manifest, or not "
            f"one for this dataset. The first: {reading.warnings[0][1]}"
            if reading.warnings
            else "This is no manifest."
        )


async def _clear(batch: Batch, *, job: Claim) -> None:
    await batch.connection.execute("DELETE FROM import_line WHERE job_id = $1", job.id)
    await clear_label_warnings(batch, job)


async def _flush(database: Database, reading: Reading) -> None:
    async def copy(batch: Batch) -> None:
        batch.warnings.extend(reading.warnings)
        for refused in reading.refused_names:
            batch.warn_label(*refused)
        await batch.connection.copy_records_to_table("import_line", records=reading.rows, columns=COLUMNS)

    await in_batch(database, reading.job, copy)
    reading.rows.clear()
    reading.warnings.clear()
    reading.refused_names.clear()


async def _settle(batch: Batch, *, reading: Reading) -> Checkpoint:
    """Give the images that lie elsewhere their paths, and each path to the first line that names it."""
    await batch.execute_long("ANALYZE (SKIP_LOCKED) import_line")
    if reading.root is not None:
        await batch.execute_long(SQL.assign_paths, reading.job.id, len(reading.root))
    doubles = await batch.connection.fetch(SQL.drop_doubles, reading.job.id, timeout=3_600)
    for row in doubles:
        message = f"`{told(row['path'])}` is named by line {row['first']} already."
        batch.warn(f"{reading.file_name}:{row['position']}", message)
    dropped = doubles[0]["dropped"] if doubles else 0
    batch.totals = {"scanned": reading.read, "skipped": reading.skipped + dropped}
    checkpoint = Checkpoint(Stage.MERGE, 0, reading.last, reading.read)
    batch.checkpoint = checkpoint.written()
    batch.progress = READ
    return checkpoint


async def is_there(database: Database, job: Claim) -> bool:
    """Whether what was staged outlived a crash of Postgres, which empties unlogged tables."""
    async with database.reading() as connection:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM import_line WHERE job_id = $1)", job.id))
