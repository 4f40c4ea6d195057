"""Staging what a reader finds, image by image, and matching it with samples: by path, or else by the end of the path,
or else by the file's name. Only the whole of it shows which names are the only ones of their kind."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote

import asyncpg
from pydantic import TypeAdapter

from db.errors import Invalid
from db.formats.datasets.reading import ImageRecord, Problem, ReadOptions
from db.formats.images import SUFFIX_NAMES, SUFFIXES
from db.formats.names import nfc
from db.formats.paths import LENGTH, suffix
from db.ingest.decide import path_end
from db.ingest.entry import Notice
from db.ingest.imports.files import SourceFiles, open_files
from db.ingest.imports.formats import format_of, reader_of
from db.ingest.imports.locations import ReadableLocations
from db.ingest.imports.options import Options
from db.ingest.merge import stage
from db.jobs import LONG_TIMEOUT, Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database

SQL: Final = sql.load(__file__)
STORED: Final = TypeAdapter(ImageRecord)

BATCH: Final = 1_000  # images in a COPY
MAX_WEIGHT: Final = 20_000  # annotations and problems in a COPY, about
MAX_ENDS: Final = 12  # of a path, with which samples are compared
READ: Final = 0.2  # the progress ratio after this stage
COLUMNS: Final = ("job_id", "position", "path", "entry", "candidates", "exact", "is_stem")
Row = tuple[int, int, None, str, list[str], int, bool]
KEYS: Final = {  # with what the names of records are compared: by whether they have no suffix
    False: "composed(sample.path)",
    True: r"regexp_replace(composed(sample.path), '\.[^./]+$', '')",
}


@dataclass(slots=True)
class Staging:
    """What was read so far. `base`: the folder that names are relative to, below the input path, with a slash at its
    end; None: it is elsewhere."""

    job: Claim
    format: str | None
    input_path: str  # ends with a slash
    base: str | None
    position: int = 0
    skipped: int = 0
    weight: int = 0
    kinds: set[bool] = field(default_factory=set)  # whether names have no suffix
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take(self, found: Iterator[ImageRecord | Problem]) -> bool:
        """Take a batch. Whether that was all."""
        for each in found:
            self._add(each)
            if len(self.rows) >= BATCH or self.weight >= MAX_WEIGHT:
                return False
        return True

    def _add(self, found: ImageRecord | Problem) -> None:
        self.weight += 1
        if isinstance(found, Problem):
            self.problems.append(found)
            return
        self.position += 1
        self.weight += len(found.annotations or ()) + len(found.problems)
        try:
            candidates, exact = self._candidates(found)
        except Invalid as refused:
            self.skipped += 1
            self.problems.append(Problem(found.location, refused.message))
            return
        entry = STORED.dump_json(replace(found, content=None)).decode()
        self.kinds.add(not found.has_suffix)
        self.rows.append((self.job.id, self.position, None, entry, candidates, exact, not found.has_suffix))

    def _candidates(self, record: ImageRecord) -> tuple[list[str], int]:
        """Paths below the input path that the record may mean, the likeliest first, and how many these are; then its
        path as it is, and the ends of that, the longest first. Raises Invalid."""
        path = nfc(record.path) if len(record.path) <= LENGTH else record.path
        if record.has_suffix and suffix(path) not in SUFFIXES:
            raise Invalid(f"`{path_end(path)}` does not have the extension of an image: {SUFFIX_NAMES}.")
        if path.startswith(self.input_path):
            exact = [path[len(self.input_path) :]]
        elif "://" in path or path.startswith("/") or path[1:3] in (":\\", ":/"):
            exact = []
        else:
            folders = [f"{record.folder}/", ""] if record.folder else [""]
            bases = [self.base, ""] if self.base else [""]
            exact = [f"{base}{folder}{path}" for base in bases for folder in folders]
        exact = list(dict.fromkeys(filter(None, (normalized(each) for each in exact))))
        parts = normalized(unquote(path) if "://" in path else path).split("/")
        ends = ["/".join(parts[start:]) for start in range(len(parts))]
        candidates = [*exact, ends[0], *ends[1:][-MAX_ENDS:]]
        if not ends[0] or len(candidates[0].encode("utf-8", "replace")) > LENGTH:
            raise Invalid("This cannot be the path of an image.")
        return candidates, len(exact)


def normalized(path: str) -> str:
    """Relative, with `/`, without `.` and `..`: those that lead out of its folder are left out."""
    path = path.replace("\\", "/")
    scheme, divider, rest = path.partition("://")
    if divider:
        path = rest.partition("/")[2] if scheme != "file" else rest
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


async def stage_records(
    database: Database, job: Claim, locations: ReadableLocations, options: Options, dataset: asyncpg.Record
) -> None:
    """Read it all, from the start. Raises DomainError: it is not there, or no data set that can be read."""
    input_path = f"{dataset['input_path'].rstrip('/')}/"
    uploaded = await _uploaded(database, job, options)
    async with open_files(locations, options.path, uploaded) as (files, bridge):
        base = files.folder[len(input_path) :] if files.folder.startswith(input_path) else None
        staging = Staging(job, options.format, input_path, base)
        assert options.format is not None  # by now
        await in_batch(database, job, lambda batch: begin(batch, job))
        found = reader_of(options.format)(files, ReadOptions(dataset["type"]))
        is_done = False
        while not is_done:
            is_done = await asyncio.to_thread(staging.take, found)
            await _flush(database, job, staging, files)
            job.report(progress=READ * min(1.0, bridge.position / max(files.total, 1)), scanned=staging.position)
    await in_batch(database, job, lambda batch: _match(batch, staging))


async def found_format(database: Database, job: Claim, locations: ReadableLocations, options: Options) -> str:
    """The format of the files. Raises DomainError."""
    uploaded = await _uploaded(database, job, options)
    async with open_files(locations, options.path, uploaded) as (files, _):
        return await asyncio.to_thread(format_of, files)


async def _uploaded(database: Database, job: Claim, options: Options) -> bytes | None:
    if not options.uploaded:
        return None
    async with database.reading() as connection:
        data: bytes = await sql.value(connection, SQL.uploaded, job_id=job.id)
    return data


async def begin(batch: Batch, job: Claim) -> None:
    """Forget what an earlier try has staged and counted."""
    for statement in (SQL.clear, SQL.clear_label_warnings, SQL.clear_notices, SQL.clear_labels):
        await sql.run(batch.connection, statement, job_id=job.id)
    await sql.run(batch.connection, SQL.begin, job_id=job.id)


async def _flush(database: Database, job: Claim, staging: Staging, files: SourceFiles) -> None:
    problems = [*staging.problems, *files.index.problems]
    warnings = [(each.location, each.message) for each in problems]
    notices = [Notice("CONTENT", f"{location}: {message}") for location, message in warnings]
    await stage(database, job, "import_line", COLUMNS, staging.rows, warnings, notices=notices)
    staging.rows.clear()
    staging.problems.clear()
    files.index.problems.clear()
    staging.weight = 0


async def _match(batch: Batch, staging: Staging) -> None:
    """Give each image the path that it has below the input path, and each path to the first that names it. From here on
    an import's checkpoint is the position of the last image that is done, and that of the last one there is."""
    job = staging.job
    await batch.execute_long("ANALYZE (SKIP_LOCKED) import_line")
    for is_stem, key in KEYS.items():
        if is_stem not in staging.kinds:
            continue
        for statement in (SQL.match_paths, SQL.match_longer, SQL.match_shorter, SQL.match_names):
            await batch.execute_long(statement.format(key=key), job.id, job.dataset_id, is_stem)
    await batch.execute_long(SQL.forget_shared, job.id)
    repeated = await batch.connection.fetch(SQL.drop_repeated, job.id, timeout=LONG_TIMEOUT)
    for row in repeated:
        message = f"`{path_end(row['path'])}` is already named by {row['first']}."
        batch.warn(row["location"], message)
        batch.notice("IMAGE_REPEATED", f"{row['location']}: {message}", 0)
    dropped = repeated[0]["dropped"] if repeated else 0
    if dropped:
        batch.notice("IMAGE_REPEATED", "", dropped)
    batch.totals = {"scanned": staging.position, "skipped": staging.skipped + dropped}
    batch.checkpoint = {"format": staging.format, "position": 0, "last": staging.position}
    batch.progress = READ
