"""Uploads: images that clients send become samples. Bytes before rows: an object is written first, and its sample is
committed after, so that no row is ever without its object. What a crash leaves behind is found by the next sync, or
by the client's own repetition, which takes an object of the same content that nobody knows, or that its key has
noted, for its own.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Literal
from unicodedata import normalize

from sqlmodel.ext.asyncio.session import AsyncSession

from db import annotations, idempotency, images, labels, names, statements
from db.access import enter, record
from db.changes import Recorded, no_such_dataset
from db.engine import Database
from db.errors import DomainError, Invalid, StorageError
from db.idempotency import Keyed
from db.images import Facts
from db.labels import LabelValues
from db.paths import stem, suffix
from db.samples.chosen import Chosen
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store, StoredObject, Stores
from db.tokens import Identity

OnConflict = Literal["ERROR", "RENAME"]

NAME_BYTES: Final = 255  # as file systems take
REFUSED: Final = frozenset("/\\!<>=&\"'")
AT_ONCE: Final = 8  # objects written side by side
MOST_NAMES: Final = 1_000  # names that are tried for a file whose own is taken
FORMATS: Final = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".bmp": "BMP"}

PLACE = "SELECT input_path FROM dataset WHERE id = $1 AND deleted_at IS NULL"
TAKEN = """
    SELECT 1 FROM sample WHERE dataset_id = $1 AND path = $2 AND NOT $3
    UNION ALL SELECT 1 FROM source_deletion WHERE dataset_id = $1 AND path = $2 AND finished_at IS NULL
"""
KNOWN = "SELECT true FROM source WHERE dataset_id = $1 AND path = $2 AND status <> 'GONE'"
LET_GO = """
    UPDATE source SET status = 'GONE'
    WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND status <> 'GONE'
      AND NOT EXISTS (SELECT FROM sample WHERE source_id = source.id)
"""
SOURCES = """
    INSERT INTO source (dataset_id, path, etag, size, modified_at, format, width, height, orientation)
    SELECT :dataset_id, * FROM unnest(:paths::text[], :etags::text[], :sizes::bigint[], :times::timestamptz[],
                                      :formats::text[], :widths::int[], :heights::int[], :turns::smallint[])
                              AS given (path)
    WHERE NOT EXISTS (SELECT FROM sample WHERE sample.dataset_id = :dataset_id AND sample.path = given.path)
    ON CONFLICT (dataset_id, path) WHERE status <> 'GONE' DO NOTHING
    RETURNING id
"""
SAMPLES = """
    INSERT INTO sample (dataset_id, source_id, path, created_at, since, state, label_ids, labeled_by, labeled_at,
                        labeled_origin)
    SELECT dataset_id, id, path, modified_at, :since, CASE WHEN labeled THEN 'LABELED' ELSE 'UNLABELED' END,
           :labels::bigint[], CASE WHEN labeled THEN :actor::text END, CASE WHEN labeled THEN now() END,
           CASE WHEN labeled THEN 'UPLOAD' END
    FROM source, (SELECT cardinality(:labels::bigint[]) > 0 AS labeled) AS given
    WHERE id = ANY(:sources::bigint[])
    ORDER BY array_position(:paths::text[], path)
    ON CONFLICT DO NOTHING
    RETURNING id, path
"""
ANNOTATIONS = """
    INSERT INTO annotation (dataset_id, sample_id, label_id, labeled_by, labeled_at, origin, since)
    SELECT dataset_id, id, unnest(label_ids), labeled_by, labeled_at, labeled_origin, since
    FROM sample WHERE id = ANY(:samples::bigint[])
"""
OTHERS = """
    SELECT sample.id, sample.path, source.etag, source.size FROM sample JOIN source ON source.id = sample.source_id
    WHERE sample.dataset_id = :dataset_id AND sample.path = ANY(:paths::text[])
"""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file as a client sent it. `data` ends where it passed the limit; `size` is what was sent, in bytes."""

    name: str
    data: bytes
    size: int

    @property
    def fingerprint(self) -> str:
        """Tells this file from every other, for requests that may be repeated."""
        return f"{self.name}\0{self.size}\0{hashlib.sha256(self.data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of an upload. `most`: bytes of a file, inclusive."""

    files: Sequence[Incoming]
    labels: Sequence[str] = ()
    create_missing: bool = False
    on_conflict: OnConflict = "ERROR"
    most: int = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a file: a sample, or a refusal."""

    file_name: str
    sample: int | None = None
    code: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Uploaded:
    dataset_id: int
    results: tuple[Result, ...]
    change: int | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """A file whose object is in storage."""

    place: int  # in the request
    object: StoredObject
    facts: Facts


@dataclass(frozen=True, slots=True)
class Stored:
    """Files whose bytes are safe, and those that were refused; `results` has one for each, in the request's order."""

    puts: tuple[Put, ...]
    results: tuple[Result, ...]


async def store(
    database: Database, stores: Stores, dataset_id: int, wanted: Wanted, *, by: Identity, keyed: Keyed | None = None
) -> Stored:
    """The first half: look at every file, and write the objects of those that are good. No sample is touched.

    With a key each name is noted before anything is written under it: so its repetition, and another that runs beside
    it, knows the object for its own, even if a sync or the other has made it a sample.
    """
    if not wanted.files:
        raise Invalid("No files are given; send at least one.", code="EMPTY_SELECTION")
    async with database.reading() as connection:
        place = await connection.fetchval(PLACE, dataset_id)
    if place is None or not by.sees(dataset_id):
        raise no_such_dataset()
    await _check_labels(database, dataset_id, wanted)
    writer = _Writer(database, dataset_id, stores.open(place), wanted, keyed, asyncio.Semaphore(AT_ONCE))
    done = await asyncio.gather(*(writer.put(number, file) for number, file in enumerate(wanted.files)))
    results = [each if isinstance(each, Result) else Result(wanted.files[each.place].name) for each in done]
    return Stored(tuple(each for each in done if isinstance(each, Put)), tuple(results))


async def commit(session: AsyncSession, dataset_id: int, wanted: Wanted, stored: Stored, *, by: Identity) -> Uploaded:
    """The second half: the samples of what was written, in one change."""
    await enter(session, dataset_id, by)
    known = await labels.in_use(session, dataset_id, _names(wanted))
    missing = _missing(wanted, known)
    if not stored.puts:
        return Uploaded(dataset_id, stored.results)
    noun = "1 image" if len(stored.puts) == 1 else f"{len(stored.puts)} images"
    change = await record(session, dataset_id, by, "UPLOAD_SAMPLES", f"Uploaded {noun}")
    made = await labels.add(session, dataset_id, [LabelValues(name) for name in missing], change) if missing else []
    label_ids = sorted([*known.values(), *made])
    samples = await _make(session, dataset_id, stored.puts, change, label_ids, by)
    samples |= await _found(session, dataset_id, [put for put in stored.puts if put.place not in samples])
    await _label(session, dataset_id, [id for id, new in samples.values() if not new], label_ids, change, by)
    results = list(stored.results)
    for put in stored.puts:
        name = results[put.place].file_name
        id, _ = samples.get(put.place, (None, False))
        results[put.place] = Result(name, id) if id else _refusal(name, ObjectExists())
    return Uploaded(dataset_id, tuple(results), change.id)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the objects of one request. `taken`: names that this request has given away; `away`: what was said when
    the store did not answer, after which nobody waits for it again."""

    database: Database
    dataset_id: int
    store: Store
    wanted: Wanted
    keyed: Keyed | None
    slots: asyncio.Semaphore
    taken: set[str] = field(default_factory=set)
    away: list[RootMissing] = field(default_factory=list)

    async def put(self, place: int, file: Incoming) -> Put | Result:
        try:
            name = _checked_name(file.name)
            facts = await asyncio.to_thread(_checked, name, file, self.wanted.most)
            async with self.slots:
                if self.away:
                    return _refusal(file.name, self.away[0])
                return Put(place, await self._write(place, name, file.data), facts)
        except DomainError as refused:
            if isinstance(refused, RootMissing):
                self.away.append(refused)
            return _refusal(file.name, refused)

    async def _write(self, place: int, name: str, data: bytes) -> StoredObject:
        for number in count():
            path = name if number == 0 else f"{stem(name)}-{number}{name[len(stem(name)) :]}"
            written = await self._write_as(path, data, place)
            if written is not None:
                return written
            if self.wanted.on_conflict == "ERROR" or number == MOST_NAMES:
                raise ObjectExists
        raise AssertionError("unreachable")

    async def _write_as(self, path: str, data: bytes, place: int) -> StoredObject | None:
        """The object under this name; None if the name is taken."""
        if path in self.taken:
            return None
        self.taken.add(path)
        again = self.keyed is not None and await idempotency.note(self.database, self.keyed, f"{place} {path}")
        async with self.database.reading() as connection:
            if await connection.fetch(TAKEN, self.dataset_id, path, again):
                return None
        try:
            return await self.store.write(path, data)
        except ObjectExists:
            return await self._left_behind(path, data, again=again)

    async def _left_behind(self, path: str, data: bytes, *, again: bool) -> StoredObject | None:
        """The object at this path, if it is the same and ours: of an answer that was lost. Without a key that is
        believed of an object that no sync has seen."""
        async with self.database.reading() as connection:
            if not again and await connection.fetchval(KNOWN, self.dataset_id, path):
                return None
        [head] = await self.store.heads([path], length=len(data) + 1)
        if isinstance(head, ObjectMissing):
            return None
        if isinstance(head, StorageError):
            raise head  # it may be ours: under another name it would be there twice
        return StoredObject(path, head.size, head.modified_at, head.etag) if head.data == data else None


def _checked_name(name: str) -> str:
    if not names.storable(name) or not name.isprintable() or REFUSED & set(name) or name in ("", ".", ".."):
        shown = " ".join(sorted(REFUSED))
        raise Invalid(f"A file's name is one name, without control characters and {shown}.", code="INVALID_NAME")
    if len(name.encode()) > NAME_BYTES:
        raise Invalid(f"A file's name has at most {NAME_BYTES} bytes.", code="INVALID_NAME")
    return name


def _checked(name: str, file: Incoming, most: int) -> Facts:
    """What the image is. By its content, and by its name, which must not say otherwise."""
    if file.size > most:
        message = f"The file has {file.size} bytes; at most {most} are taken. Larger ones come in by a sync."
        raise Invalid(message, code="FILE_TOO_LARGE")
    said, kind = FORMATS.get(suffix(name)), images.kind(file.data)
    if not file.data:
        raise images.Unreadable("The file is empty.")
    if said is None or kind is None:
        raise Invalid("Only JPEG, PNG and BMP images are taken: .jpg, .jpeg, .png, .bmp.", code="UNSUPPORTED_FORMAT")
    if said != kind:
        raise Invalid(f"The file is a {kind} image, but its name says {said}; rename it.", code="UNSUPPORTED_FORMAT")
    return images.check(file.data)


def _refusal(name: str, refused: DomainError) -> Result:
    return Result(name, code=refused.code, message=refused.message)


def _names(wanted: Wanted) -> list[str]:
    """In their one form, each once."""
    return list(dict.fromkeys(normalize("NFC", name) for name in wanted.labels))


def _missing(wanted: Wanted, known: dict[str, int]) -> list[str]:
    missing = [name for name in _names(wanted) if name not in known]
    if missing and not wanted.create_missing:
        raise labels.no_such_labels(missing)
    return [each.name for each in labels.checked([LabelValues(name) for name in missing])]


async def _check_labels(database: Database, dataset_id: int, wanted: Wanted) -> None:
    """Before anything is written; again, under a lock, when it is committed."""
    sql = "SELECT id, name FROM label WHERE dataset_id = $1 AND name = ANY($2::text[])"
    storable = [name for name in _names(wanted) if names.storable(name)]
    async with database.reading() as connection:
        known = {row["name"]: row["id"] for row in await connection.fetch(sql, dataset_id, storable)}
    _missing(wanted, known)


Made = dict[int, tuple[int, bool]]  # by place in the request: the sample, and whether we made it


async def _make(
    session: AsyncSession, dataset_id: int, puts: Sequence[Put], change: Recorded, label_ids: list[int], by: Identity
) -> Made:
    paths = [put.object.path for put in puts]
    await statements.run(session, LET_GO, dataset_id=dataset_id, paths=paths)
    sources = await statements.run(session, SOURCES, dataset_id=dataset_id, paths=paths, **_columns(puts))
    rows = await statements.run(
        session,
        SAMPLES,
        sources=[row["id"] for row in sources],
        paths=paths,
        labels=label_ids,
        actor=by.name,
        since=change.revision,
    )
    if label_ids:
        await statements.run(session, ANNOTATIONS, samples=[row["id"] for row in rows])
    ids = {row["path"]: row["id"] for row in rows}
    return {put.place: (ids[put.object.path], True) for put in puts if put.object.path in ids}


def _columns(puts: Sequence[Put]) -> dict[str, list[Any]]:
    return {
        "etags": [put.object.stamp for put in puts],
        "sizes": [put.object.size for put in puts],
        "times": [put.object.modified_at for put in puts],
        "formats": [put.facts.format for put in puts],
        "widths": [put.facts.width for put in puts],
        "heights": [put.facts.height for put in puts],
        "turns": [put.facts.orientation for put in puts],
    }


async def _found(session: AsyncSession, dataset_id: int, puts: Sequence[Put]) -> Made:
    """A sync was faster: it met our objects in storage and has made their samples."""
    if not puts:
        return {}
    rows = await statements.run(session, OTHERS, dataset_id=dataset_id, paths=[put.object.path for put in puts])
    known = {(row["path"], row["etag"], row["size"]): row["id"] for row in rows}
    keys = {put.place: (put.object.path, put.object.stamp, put.object.size) for put in puts}
    return {place: (known[key], False) for place, key in keys.items() if key in known}


async def _label(
    session: AsyncSession, dataset_id: int, samples: list[int], label_ids: list[int], change: Recorded, by: Identity
) -> None:
    if not samples or not label_ids:
        return
    chosen = Chosen(dataset_id, len(samples), tuple(sorted(samples)))
    await annotations.put(session, chosen, label_ids, change, actor=by.name)
    await annotations.settle(session, chosen, change, actor=by.name)
