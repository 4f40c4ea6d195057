"""Staging what a reader finds, image by image, and matching it with samples: by path, or else by the end of the path,
or else by the file's name. Only the whole of it shows which names are the only ones of their kind."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote

import asyncpg
from pydantic import TypeAdapter

from db.errors import Invalid
from db.formats.datasets.reading import Contained, ImageRecord, Place, Problem, ReadOptions
from db.formats.images import SUFFIXES, not_taken, suffixes
from db.formats.names import nfc
from db.formats.paths import LENGTH, normalized, path_parts, suffix
from db.ingest.decide import path_end
from db.ingest.entry import Notice, NoticeKind
from db.ingest.imports.files import OpenedFiles, SourceFiles, open_files
from db.ingest.imports.files.images import ALIKE, STATED, FoundImage, ImageNames, NotStored
from db.ingest.imports.files.passed_over import ReadFiles
from db.ingest.imports.files.plain import StoreFiles
from db.ingest.imports.files.source import IndexedFiles, is_image
from db.ingest.imports.files.uploaded import Uploaded, UploadedBytes, UploadedParts
from db.ingest.imports.formats import reader_of
from db.ingest.imports.locations import ReadableLocations
from db.ingest.imports.named_labels import NamedLabels
from db.ingest.imports.options import Options
from db.ingest.merge import stage
from db.ingest.staging import begin_staging, expect_staged
from db.ingest.sync.rules import Rules
from db.ingest.uploads import PartedUpload, parts
from db.ingest.uploads.destinations import open_store
from db.ingest.uploads.files import checked_name
from db.jobs import LONG_TIMEOUT, MAX_EXAMPLES, Batch, Claim, in_batch
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import Store, StoredObject

SQL: Final = sql.load(__file__)
STORED: Final = TypeAdapter(ImageRecord)

BATCH: Final = 1_000  # images in a COPY
MAX_WEIGHT: Final = 20_000  # annotations and problems in a COPY, about
MAX_ENDS: Final = 12  # of a path, with which samples are compared
READ: Final = 0.2  # the progress ratio after this stage
NO_IMAGES: Final = "The files name no image."
NOWHERE: Final = FoundImage("", ALIKE)
NO_IMAGE: Final = "Its name has not the extension of an image."
CONTENT: Final[NoticeKind] = "CONTENT"
COLUMNS: Final = ("job_id", "position", "origin", "entry", "candidates", "exact", "is_stem")
Row = tuple[int, int, str | None, str, list[str], int, bool]
KEYS: Final = {  # with what the names of records are compared: by whether they have no suffix
    False: "composed(sample.path)",
    True: r"regexp_replace(composed(sample.path), '\.[^./]+$', '')",
}


@dataclass(slots=True)
class Staging:
    """What was read so far. `base`: the folder that names are relative to, below the input path, with a slash at its
    end; None: it is elsewhere. `stores`: images are to be stored, as `rules` allow; `images`: those of the files that
    are elsewhere. `not_stored`: how many images the files contain that are not to be stored, and the first."""

    job: Claim
    format: str | None
    input_path: str  # ends with a slash
    base: str | None
    rules: Rules
    labels: NamedLabels
    stores: bool = False
    images: ImageNames | None = None
    position: int = 0
    skipped: int = 0
    weight: int = 0
    kinds: set[bool] = field(default_factory=set)  # whether names have no suffix
    rows: list[Row] = field(default_factory=list)
    problems: list[tuple[Problem, NoticeKind]] = field(default_factory=list)
    not_stored: int = 0
    first_not_stored: str = ""

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
            self.problems.append((found, CONTENT))
            return
        self.position += 1
        self.labels.see(nfc(each.label) for each in found.annotations or ())
        self.weight += len(found.annotations or ()) + len(found.problems)
        try:
            contained, how = self._contained(found)
            candidates, exact = self._candidates(found)
            if contained is not None:
                candidates, exact = self._stored_candidates(contained, found, candidates[exact:], how)
        except Invalid as refused:
            self.skipped += 1
            kind: NoticeKind = refused.kind if isinstance(refused, NotStored) else CONTENT
            self.problems.append((Problem(found.location, refused.message), kind))
            return
        origin = None if contained is None else f"{contained.file}#{contained.part}"
        is_stem = origin is None and not found.has_suffix
        entry = STORED.dump_json(replace(found, content=None, contained=contained, file=None, places=())).decode()
        self.kinds.add(is_stem)
        self.rows.append((self.job.id, self.position, origin, entry, candidates, exact, is_stem))

    def _contained(self, record: ImageRecord) -> tuple[Contained | None, FoundImage]:
        """Where its image is, if the files contain it and it is to be stored; and how it was found."""
        if record.contained is not None and self.stores:
            return record.contained, FoundImage(record.contained.file, STATED)
        if self.images is None:
            self._count_not_stored([record.path] if record.contained is not None else [])
            return None, NOWHERE
        paths, places = dict.fromkeys((record.path, record.path.strip())), _places(record)
        each = (self.images.find(normalized(path), record.folder, places) for path in paths)
        found = next((found for found in each if found is not None), None)
        return (None, NOWHERE) if found is None else (Contained(found.name, None, found.name), found)

    def _count_not_stored(self, names: Iterable[str]) -> None:
        for name in names:
            self.not_stored += 1
            self.first_not_stored = self.first_not_stored or name

    def end(self, files: IndexedFiles) -> list[Notice]:
        """What is to be said when all was read."""
        notices = self.labels.notices(files.label)
        if not self.position:
            notices.append(Notice("NO_IMAGES", f"{files.label}: {NO_IMAGES}"))
        if not self.stores:
            above = files.folder if isinstance(files, StoreFiles) else ""
            images = (name for name in files.names() if is_image(name))
            self._count_not_stored(name for name in images if not f"{above}{name}".startswith(self.input_path))
        if self.not_stored:
            message = f"{files.label}: `{path_end(self.first_not_stored)}`"
            notices.append(Notice("IMAGES_NOT_STORED", message, self.not_stored))
        return notices

    def _stored_candidates(
        self, image: Contained, record: ImageRecord, said: Sequence[str], found: FoundImage
    ) -> tuple[list[str], int]:
        """As `_candidates`, of an image that is to be stored: the path that it gets, once, twice or three times by how
        it was found; then what the record says of it, if that is another path. Raises Invalid."""
        name = nfc(said[0] if image.part is not None and suffix(said[0]) in SUFFIXES else image.name)
        is_said = found.how == ALIKE and record.has_suffix
        path = None
        if found.path is not None and _is_relative(record.path) and _are_alike(found.path, name):
            assert self.images is not None  # which found it
            with suppress(Invalid):
                path = self._target(found.path)
            if not self.images.take(found.path, image.name, is_said=record.file is not None):
                path = None
        if path is not None:
            is_said = True
        else:
            path = self._target(name)
        form = SUFFIXES.get(suffix(path))
        if form is None or form not in self.rules.formats:
            reason = NO_IMAGE if form is None else not_taken(form, self.rules.formats)
            raise NotStored(f"`{path_end(path)}` is not stored. {reason}", "IMAGE_UNREADABLE")
        if not self.rules.includes(path):
            raise NotStored(f"`{path_end(path)}` is not stored: the dataset's patterns exclude it.", "IMAGE_EXCLUDED")
        return [*([path] * found.how), *(said if is_said else ends_of(normalized(name)))], found.how

    def _target(self, name: str) -> str:
        """The path that an image of the import gets. Raises Invalid."""
        path = "/".join(map(checked_name, f"{self.base or ''}{normalized(name)}".split("/")))
        path_parts(path)
        return path

    def _candidates(self, record: ImageRecord) -> tuple[list[str], int]:
        """Paths below the input path that the record may mean, the likeliest first, and how many these are; then its
        path as it is, and the ends of that, the longest first. Raises Invalid."""
        path = (nfc(record.path) if len(record.path) <= LENGTH else record.path).strip()
        if record.has_suffix and suffix(path) not in SUFFIXES:
            raise Invalid(f"`{path_end(path)}` does not have the extension of an image: {suffixes(SUFFIXES.values())}.")
        exact = self._exact(record, path, nfc)
        ends = ends_of(normalized(unquote(path) if "://" in path else path))
        if not ends[0] or len((exact or ends)[0].encode("utf-8", "replace")) > LENGTH:
            raise Invalid("This cannot be the path of an image.")
        if record.path != path:  # the very name first
            exact = [*dict.fromkeys([*self._exact(record, record.path, str), *exact])]
        return [*exact, *ends], len(exact)

    def _exact(self, record: ImageRecord, path: str, form: Callable[[str], str]) -> list[str]:
        """Paths below the input path, with the form that names have."""
        if path.startswith(self.input_path):
            exact = [path[len(self.input_path) :]]
        elif not _is_relative(path):
            exact = []
        else:
            folders = [f"{record.folder}/", ""] if record.folder else [""]
            bases = [self.base, ""] if self.base else [""]
            exact = [f"{base}{folder}{path}" for base in bases for folder in folders]
            if self.stores and self.base is not None:  # never beyond the folder that is imported
                usual = [place.file for place in _places(record) if not place.is_last]
                places = (normalized(f"{folder}{form(place)}") for place in usual for folder in folders)
                exact = [*(f"{self.base}{place}" for place in places if place), *exact]
        return list(dict.fromkeys(filter(None, (normalized(each) for each in exact))))


def _places(record: ImageRecord) -> tuple[Place, ...]:
    """Where its image is stated to be, or else usually is. Of what is no path among files nothing comes."""
    if record.file is None:
        return record.places
    return (Place(record.file, record.path) if record.file and _is_relative(record.file) else Place(""),)


def _is_relative(path: str) -> bool:
    """Whether it leads from a folder: it is no URL, nor absolute."""
    return not ("://" in path or path.startswith("/") or path[1:3] in (":\\", ":/"))


def _are_alike(path: str, other: str) -> bool:
    """Whether these are images of one format, by their names."""
    return SUFFIXES.get(suffix(path)) == SUFFIXES.get(suffix(other))


def ends_of(path: str) -> list[str]:
    """The path, and its ends, the longest first."""
    parts = path.split("/")
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    return [ends[0], *ends[1:][-MAX_ENDS:]]


async def stage_records(
    database: Database, job: Claim, opened: OpenedFiles, options: Options, dataset: asyncpg.Record, *, max_image: int
) -> None:
    """Read it all, from the start. `max_image`: bytes. Raises DomainError: it is no data set that can be read."""
    input_path = f"{dataset['input_path'].rstrip('/')}/"
    files, bridge = opened
    base = files.folder[len(input_path) :] if files.folder.startswith(input_path) else None
    is_there = base is not None and isinstance(files, StoreFiles)  # so its images are
    images = None
    if options.images == "STORE" and not is_there:
        images = await asyncio.to_thread(ImageNames, files)
    labels, stores = NamedLabels.of(options), options.images == "STORE"
    staging = Staging(job, options.format, input_path, base, Rules.of(dataset), labels, stores, images)
    assert options.format is not None  # by now
    await in_batch(database, job, lambda batch: begin(batch, job))
    read = ReadFiles(files)
    found = reader_of(options.format)(read, ReadOptions(dataset["type"], max_image=max_image))
    is_done = False
    while not is_done:
        try:
            is_done = await asyncio.to_thread(staging.take, found)
        except Invalid:  # so the job fails; what was passed over may be the reason
            await _flush(database, job, staging.problems, files)
            raise
        await _flush(database, job, staging.problems, files, staging.rows)
        staging.weight = 0
        job.report(progress=READ * min(1.0, bridge.position / max(files.total, 1)), scanned=staging.position)
    notices = await asyncio.to_thread(staging.end, files)
    notices += await asyncio.to_thread(_passed_over, read, files.label, options.format)
    await stage(database, job, "import_line", COLUMNS, (), (), notices=notices)
    await in_batch(database, job, lambda batch: _match(batch, staging))


@asynccontextmanager
async def opened_files(
    database: Database, job: Claim, locations: ReadableLocations, options: Options
) -> AsyncGenerator[OpenedFiles, None]:
    """The files of an import. Raises DomainError."""
    uploaded: Uploaded | None = None
    if options.staged is not None:
        upload = await parts.staged_as(database, options.staged)
        store = open_store(locations.stores, upload.input_path)
        uploaded = UploadedParts(store, upload, await _sealed(database, job, store, upload))
    elif options.uploaded:
        async with database.reading() as connection:
            uploaded = UploadedBytes(await sql.value(connection, SQL.uploaded, job_id=job.id))
    with_images = options.images == "STORE"
    async with open_files(locations, options.path, uploaded, with_images=with_images) as opened:
        yield opened


async def _sealed(database: Database, job: Claim, store: Store, upload: PartedUpload) -> Sequence[StoredObject]:
    """The parts, which are the same in each try. Raises PartsChanged, StorageError."""

    async def note(batch: Batch) -> None:
        batch.checkpoint = job.checkpoint | {"seal": seal}

    found = await parts.found_parts(store, upload)
    seal = parts.seal_of(found)
    if "seal" not in job.checkpoint:
        await in_batch(database, job, note)
    elif job.checkpoint["seal"] != seal:
        raise parts.PartsChanged
    return found


async def begin(batch: Batch, job: Claim) -> None:
    """Forget what an earlier try has staged and counted."""
    for statement in (SQL.clear, SQL.clear_label_warnings, SQL.clear_notices, SQL.clear_labels):
        await sql.run(batch.connection, statement, job_id=job.id)
    await sql.run(batch.connection, SQL.begin, job_id=job.id)
    await begin_staging(batch, job)


async def stage_passed_over(database: Database, job: Claim, files: SourceFiles) -> None:
    """Of an import that fails before it reads its files: warn of those that were passed over."""
    await in_batch(database, job, lambda batch: begin(batch, job))
    await _flush(database, job, [], files)


async def _flush(
    database: Database,
    job: Claim,
    found: list[tuple[Problem, NoticeKind]],
    files: SourceFiles,
    rows: list[Row] | None = None,
) -> None:
    """Stage what was read since the last time, and forget it."""
    rows = [] if rows is None else rows
    problems = [*found, *((each, CONTENT) for each in files.index.problems)]
    warnings = [(each.location, each.message) for each, _ in problems]
    notices = [notice_of(each, kind) for each, kind in problems]
    await stage(database, job, "import_line", COLUMNS, rows, warnings, notices=notices)
    rows.clear()
    found.clear()
    files.index.problems.clear()


def notice_of(problem: Problem, kind: NoticeKind = CONTENT) -> Notice:
    return Notice("USAGE_UNKNOWN" if problem.is_usage else kind, f"{problem.location}: {problem.message}")


def _passed_over(read: ReadFiles, label: str, form: str) -> list[Notice]:
    first, count = read.passed_over(MAX_EXAMPLES, form)
    notices = [Notice("FILES_NOT_READ", f"{label}: `{path_end(name)}` is not read as {form}.") for name in first]
    return [*notices, Notice("FILES_NOT_READ", "", count - len(first))] if count > len(first) else notices


async def _match(batch: Batch, staging: Staging) -> None:
    """Give each image the path that it has below the input path, and each path to the first that names it. From here on
    an import's checkpoint is the position of the last image that is done, and that of the last one there is."""
    job = staging.job
    await expect_staged(batch, job)
    await batch.execute_long("ANALYZE (SKIP_LOCKED) import_line")
    for is_stem, key in KEYS.items():
        if is_stem not in staging.kinds:
            continue
        for statement in (SQL.match_paths, SQL.match_longer, SQL.match_shorter, SQL.match_names):
            await batch.execute_long(statement.format(key=key), job.id, job.dataset_id, is_stem)
    await batch.execute_long(SQL.forget_shared, job.id)
    await batch.execute_long(SQL.forget_shared_images, job.id)
    for row in await batch.connection.fetch(SQL.alike, job.id, timeout=LONG_TIMEOUT):
        batch.warn(
            row["location"], f"`{path_end(row['path'])}` is `{path_end(row['first'])}` but for the case of letters."
        )
    repeated = await batch.connection.fetch(SQL.drop_repeated, job.id, timeout=LONG_TIMEOUT)
    for row in repeated:
        message = f"`{path_end(row['path'])}` is already named by {row['first']}."
        batch.warn(row["location"], message)
        batch.notice("IMAGE_REPEATED", f"{row['location']}: {message}", 0)
    dropped = repeated[0]["dropped"] if repeated else 0
    if dropped:
        batch.notice("IMAGE_REPEATED", "", dropped)
    batch.totals = {"scanned": staging.position, "skipped": staging.skipped + dropped}
    batch.checkpoint = job.checkpoint | {"format": staging.format, "position": 0, "last": staging.position}
    batch.progress = READ
