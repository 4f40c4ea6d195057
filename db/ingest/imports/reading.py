"""First stage: the manifest's lines that name an image go into the staging table, each with the path that its sample
has or is to have. Nothing else is written, so after a crash the manifest is read from its start.

However long some lines are, one line within the limit, and a piece of the file, are in memory.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

import asyncpg

from db.errors import Invalid, StorageError
from db.formats.datasets.readers.lines import refuse_what_is_not_utf8
from db.formats.images import SUFFIXES, suffixes
from db.formats.names import LabelNameRule, excerpt
from db.formats.paths import suffix
from db.identity.tokens import Identity
from db.ingest.decide import path_end
from db.ingest.entry import Notice
from db.ingest.imports import manifest_lines
from db.ingest.imports.entries import STORED
from db.ingest.imports.locations import ReadableLocations, location_of, missing
from db.ingest.imports.options import Options
from db.ingest.imports.records import NO_IMAGES, begin
from db.ingest.merge import stage
from db.ingest.staging import expect_staged
from db.jobs import LONG_TIMEOUT, Batch, Claim, LabelWarning, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Store, Stores
from db.storage.locations import is_bucket

SQL: Final = sql.load(__file__)

MAX_BYTES: Final = 5 * 1024**3  # of a manifest, as in the reference system
MAX_LINE: Final = 4 * 1024 * 1024  # bytes of a line, inclusive
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # that some editors put before UTF-8
BATCH: Final = 2_000  # lines in a COPY
DOUBTFUL: Final = 1_000  # lines at the start of a file of which none is a manifest's: then it is none
READ: Final = 0.2  # the progress ratio after this stage
COLUMNS: Final = ("job_id", "position", "path", "origin", "entry")
Row = tuple[int, int, str | None, str | None, str]


@dataclass(frozen=True, slots=True)
class Line:
    """`number` counts from 1; `end`: bytes up to here; `text` None: longer than `MAX_LINE`, and never in memory."""

    number: int
    end: int
    text: bytes | None


@dataclass(slots=True)
class Reading:
    """What was read so far. `root`: the folder that all images outside the input path share."""

    job: Claim
    options: Options
    kind: str
    input_path: str  # ends with a slash
    rule: LabelNameRule = "STANDARD"
    scanned: int = 0
    skipped: int = 0
    useful: int = 0
    last: int = 0
    root: str | None = None
    rows: list[Row] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    refused_usages: list[tuple[str, str]] = field(default_factory=list)
    refused_names: list[LabelWarning] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """What is to be staged."""
        return len(self.rows) + len(self.warnings) + len(self.refused_usages) + len(self.refused_names)

    def add(self, batch: Sequence[Line]) -> None:
        """Raises Invalid for a line that is not UTF-8: then others may be what nobody wrote."""
        for line in batch:
            if line.text is not None and not line.text.strip():
                continue
            self.scanned += 1
            self.last = line.number
            try:
                self._stage(line)
                self.useful += 1
            except Invalid as refused:
                if line.text is not None:
                    refuse_what_is_not_utf8(line.text, line.number)
                self.skipped += 1
                self.warnings.append((self.location(line.number), refused.message))

    def location(self, number: int) -> str:
        """A line, as warnings name it."""
        return f"{self.options.file_name}:{number}"

    def expect_manifest(self, *, after: int) -> None:
        """Of a manifest at least one of the first lines names an image. Raises Invalid."""
        if self.scanned >= after and not self.useful:
            raise Invalid(
                f"None of the first {self.scanned} lines names an image that can be imported; this is not a manifest, "
                f"or not one for this dataset. The first: {self.warnings[0][1]}"
                if self.warnings
                else "This is no manifest."
            )

    def _stage(self, line: Line) -> None:
        if line.text is None:
            raise Invalid("The line is too long; lines of at most 4 MiB are read.")
        parsed = manifest_lines.parse(line.text, self.kind, self.rule)
        source = location_of(parsed.source)
        if suffix(source) not in SUFFIXES:
            known = suffixes(SUFFIXES.values())
            raise Invalid(f"`{path_end(parsed.source)}` does not have the extension of an image: {known}.")
        path, origin = self._path_and_origin(source)
        if origin is not None:
            folder, root = origin[: origin.rindex("/") + 1], self.root
            while root is not None and not folder.startswith(root):
                root = root[: root.rstrip("/").rfind("/") + 1]
            self.root = folder if root is None else root
        location = self.location(line.number)
        self.warnings += [(location, problem) for problem in parsed.problems]
        self.refused_usages += [(location, parsed.refused_usage)] if parsed.refused_usage else []
        self.refused_names += [LabelWarning(name, location, message) for name, message in parsed.refused_names]
        self.rows.append((self.job.id, line.number, path, origin, STORED.dump_json(parsed).decode()))

    def _path_and_origin(self, source: str) -> tuple[str | None, str | None]:
        """The path below the input path, if it is known by now; and where the image is, if not there."""
        if source.startswith(self.input_path):
            return source[len(self.input_path) :], None
        root = self.options.source_root
        if root is None:
            return None, source
        if not source.startswith(root):
            raise Invalid(f"`{path_end(source)}` is not below `sourceRoot`.")
        return source[len(root) :], source


async def stage_manifest(
    database: Database, job: Claim, locations: ReadableLocations, options: Options, dataset: asyncpg.Record
) -> None:
    """Read it all, from the start. Raises DomainError: it is not there, or it is no manifest."""

    async def flush() -> None:
        notices = [Notice("CONTENT", f"{location}: {message}") for location, message in reading.warnings]
        notices += [Notice("USAGE_UNKNOWN", f"{location}: {message}") for location, message in reading.refused_usages]
        notices += [Notice("LABEL_NAME", f"{each.path}: {each.message}", each.count) for each in reading.refused_names]
        reading.warnings += reading.refused_usages
        staged = (reading.rows, reading.warnings, reading.refused_names)
        await stage(database, job, "import_line", COLUMNS, *staged, notices)
        for each in (*staged, reading.refused_usages):
            each.clear()

    await in_batch(database, job, lambda batch: begin(batch, job))
    store, name = await locations.open(options.path)
    size = await _size(store, name)
    reading = Reading(job, options, dataset["type"], f"{dataset['input_path'].rstrip('/')}/", dataset["label_names"])
    async for batch in lines(store.stream(name)):
        await asyncio.to_thread(reading.add, batch)
        reading.expect_manifest(after=DOUBTFUL)
        if reading.waiting >= BATCH:
            await flush()
        if batch:
            job.report(progress=READ * batch[-1].end / max(size, 1), scanned=reading.scanned)
    reading.expect_manifest(after=1)
    await flush()
    if not reading.scanned:
        notices = [Notice("NO_IMAGES", f"{excerpt(name)}: {NO_IMAGES}")]
        await stage(database, job, "import_line", COLUMNS, (), (), notices=notices)
    await in_batch(database, job, lambda batch: _finish(batch, reading))


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[list[Line]]:
    """The lines that each piece completes, empty ones too; the last one needs no newline."""
    buffer, too_long = bytearray(), False
    number, end = 1, 0

    def line() -> Line:
        text = None if too_long else bytes(buffer)
        return Line(number, end, text.removeprefix(BYTE_ORDER_MARK) if text and number == 1 else text)

    async for piece in pieces:
        complete = []
        for part in BytesIO(piece):  # each up to a newline, or to the end of the piece
            text = part.removesuffix(b"\n")
            end += len(part)
            too_long = too_long or len(buffer) + len(text) > MAX_LINE
            buffer += b"" if too_long else text
            if part.endswith(b"\n"):
                complete.append(line())
                buffer, too_long, number = bytearray(), False, number + 1
            elif too_long:
                buffer.clear()
        yield complete
    if buffer or too_long:
        yield [line()]


async def expect_manifest(database: Database, stores: Stores, location: str, *, by: Identity) -> None:
    """There is a manifest at this location, and this token may read it. Raises INVALID_PATH, FILE_TOO_LARGE."""
    dataset_ids = None if by.dataset_ids is None else sorted(by.dataset_ids)
    store, name = await (await ReadableLocations.of(database, stores, dataset_ids)).open(location)
    try:
        await _size(store, name)
    except StorageError as failed:
        if is_bucket(location):
            raise
        message = missing(failed, location)
        raise Invalid(f"The manifest cannot be read. {message}", code="INVALID_PATH") from failed


async def _size(store: Store, name: str) -> int:
    """The manifest is there, and not larger than one may be. Raises INVALID_PATH, FILE_TOO_LARGE."""
    found = await store.stat(name)
    if found is None:
        raise Invalid("There is no manifest at this path; name the file itself.", code="INVALID_PATH")
    if found.size > MAX_BYTES:
        raise Invalid(f"A manifest has at most {MAX_BYTES // 1024**3} GiB.", code="FILE_TOO_LARGE")
    return found.size


async def _finish(batch: Batch, reading: Reading) -> None:
    """Give the images that lie elsewhere their paths, and each path to the first line that names it. From here on an
    import's checkpoint is the position of the last line that is done, and that of the last one there is."""
    await expect_staged(batch, reading.job)
    await batch.execute_long("ANALYZE (SKIP_LOCKED) import_line")
    if reading.root is not None:
        await batch.execute_long(SQL.assign_paths, reading.job.id, len(reading.root))
    doubles = await batch.connection.fetch(SQL.drop_doubles, reading.job.id, timeout=LONG_TIMEOUT)
    for row in doubles:
        message = f"`{path_end(row['path'])}` is already named by line {row['first']}."
        batch.warn(reading.location(row["position"]), message)
        batch.notice("IMAGE_REPEATED", f"{reading.location(row['position'])}: {message}", 0)
    dropped = doubles[0]["dropped"] if doubles else 0
    if dropped:
        batch.notice("IMAGE_REPEATED", "", dropped)
    batch.totals = {"scanned": reading.scanned, "skipped": reading.skipped + dropped}
    batch.checkpoint = {"format": reading.options.format, "position": 0, "last": reading.last}
    batch.progress = READ
