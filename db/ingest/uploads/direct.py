"""uploadSamples: the bytes come with the request."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import TEMPORARY, DomainError, Invalid, StorageError
from db.formats.names import nfc
from db.history import idempotency
from db.history.changes import lock_dataset, no_such_dataset, record
from db.history.idempotency import Keyed
from db.identity.tokens import Identity
from db.ingest.uploads import files
from db.ingest.uploads.files import MOST_BYTES, MOST_NAMES, Checks, Decode, OnConflict, checked_name, numbered
from db.ingest.uploads.rows import Put, hold, keep
from db.labelling import label_resolution, labels
from db.postgres.engine import Database
from db.storage import ObjectExists, ObjectMissing, RootMissing, Store, StoredObject, Stores

AT_ONCE: Final = 8  # objects written side by side

PLACE = "SELECT input_path FROM dataset WHERE id = $1 AND deleted_at IS NULL"
THERE = """
    SELECT EXISTS (SELECT FROM sample WHERE dataset_id = $1 AND path = $2) AS shown,
           EXISTS (SELECT FROM source WHERE dataset_id = $1 AND path = $2 AND status <> 'GONE') AS known,
           EXISTS (SELECT FROM source_deletion WHERE dataset_id = $1 AND path = $2 AND finished_at IS NULL)
           OR EXISTS (SELECT FROM upload WHERE dataset_id = $1 AND path = $2 AND finished_at IS NULL) AS awaited
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
class DirectUploads:
    """What is asked of an upload. `most`: bytes of a file, inclusive."""

    files: Sequence[Incoming]
    labels: Sequence[str] = ()
    create_missing: bool = False
    on_conflict: OnConflict = "ERROR"
    most: int = MOST_BYTES

    @property
    def label_names(self) -> list[str]:
        return label_resolution.of_file(self.labels)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a file: a sample, or a refusal."""

    file_name: str
    sample: int | None = None
    code: str | None = None
    message: str = ""

    @property
    def is_final(self) -> bool:
        return self.code not in TEMPORARY


@dataclass(frozen=True, slots=True)
class Uploaded:
    dataset_id: int
    results: tuple[Result, ...]
    change: int | None = None

    @property
    def is_final(self) -> bool:
        """Whether sending the same files again could do nothing more."""
        return all(result.is_final for result in self.results)


@dataclass(frozen=True, slots=True)
class Stored:
    """Files whose bytes are safe, and those that were refused; `results` has one for each, in the request's order."""

    puts: tuple[Put, ...]
    results: tuple[Result, ...]


async def store(
    database: Database,
    stores: Stores,
    dataset_id: int,
    wanted: DirectUploads,
    *,
    checks: Checks,
    by: Identity,
    keyed: Keyed | None = None,
    earlier: Uploaded | None = None,
) -> Stored:
    """The first half: look at every file, and write the objects of those that are good. No sample is touched.

    With a key each name is noted before anything is written under it: so its repetition, and another that runs beside
    it, knows the object for its own, even if a sync or the other has made it a sample. `earlier` is what a request with
    the same key did: files of which there is nothing left to do are not touched.
    """
    if not wanted.files:
        raise Invalid("No files are given; send at least one.", code="EMPTY_SELECTION")
    async with database.reading() as connection:
        place = await connection.fetchval(PLACE, dataset_id)
    if place is None or not by.sees(dataset_id):
        raise no_such_dataset()
    known = await label_resolution.known_without_lock(database, dataset_id, wanted.label_names)
    label_resolution.missing(wanted.label_names, known, create=wanted.create_missing)
    results = dict(enumerate(earlier.results)) if earlier else {}
    left = [number for number in range(len(wanted.files)) if number not in results or not results[number].is_final]
    writer = _Writer(
        database, dataset_id, opened(stores, place), wanted, keyed, checks.decode, asyncio.Semaphore(AT_ONCE)
    )
    turns = _turns([wanted.files[number].name for number in left])
    done = await asyncio.gather(
        *(writer.put(number, wanted.files[number], turn) for number, turn in zip(left, turns, strict=True))
    )
    for number, each in zip(left, done, strict=True):
        results[number] = each if isinstance(each, Result) else Result(wanted.files[number].name)
    return Stored(tuple(each for each in done if isinstance(each, Put)), tuple(results[n] for n in sorted(results)))


def opened(stores: Stores, input_path: str) -> Store:
    """The store of a dataset. Its path was good when the dataset was made: what is wrong with it now may pass."""
    try:
        return stores.open(input_path)
    except Invalid as refused:
        raise StorageError(refused.message) from refused


async def commit(
    session: AsyncSession, dataset_id: int, wanted: DirectUploads, stored: Stored, *, by: Identity
) -> Uploaded:
    """The second half: the samples of what was written, in one change."""
    await lock_dataset(session, dataset_id, by)
    known = await labels.in_use(session, dataset_id, wanted.label_names)
    missing = label_resolution.missing(wanted.label_names, known, create=wanted.create_missing)
    if not stored.puts:
        return Uploaded(dataset_id, stored.results)
    await hold(session, dataset_id, stored.puts)
    change = await record(session, dataset_id, by.name, "UPLOAD_SAMPLES", summary(len(stored.puts)))
    known |= await label_resolution.make(session, dataset_id, missing, change)
    label_ids = sorted(known.values())
    samples = await keep(session, dataset_id, stored.puts, {put.place: label_ids for put in stored.puts}, change, by)
    results = list(stored.results)
    for put in stored.puts:
        name = results[put.place].file_name
        id = samples.get(put.place)
        results[put.place] = Result(name, id) if id else _refusal(name, ObjectExists())
    return Uploaded(dataset_id, tuple(results), change.id)


def summary(images: int) -> str:
    return "Uploaded 1 image" if images == 1 else f"Uploaded {images} images"


@dataclass(frozen=True, slots=True)
class _Turn:
    """When a file may take its name: after those before it in the request that may want the same one."""

    before: asyncio.Event | None
    over: asyncio.Event = field(default_factory=asyncio.Event)


def _turns(names: Sequence[str]) -> list[_Turn]:
    last: dict[str, _Turn] = {}
    turns = []
    for name in names:
        kin = files.family(nfc(name))
        before = last.get(kin)
        last[kin] = _Turn(before.over if before else None)
        turns.append(last[kin])
    return turns


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the objects of one request. `taken`: names that this request has given away; `away`: what was said when
    the store did not answer, after which nobody waits for it again."""

    database: Database
    dataset_id: int
    store: Store
    wanted: DirectUploads
    keyed: Keyed | None
    decode: Decode
    slots: asyncio.Semaphore
    taken: set[str] = field(default_factory=set)
    away: list[RootMissing] = field(default_factory=list)

    async def put(self, place: int, file: Incoming, turn: _Turn) -> Put | Result:
        try:
            return await self._put(place, file, turn)
        finally:
            turn.over.set()

    async def _put(self, place: int, file: Incoming, turn: _Turn) -> Put | Result:
        try:
            name = checked_name(file.name)
            files.check_size(file.size, self.wanted.most)
            facts = await files.check(name, file.data, self.decode)
            if turn.before is not None:
                await turn.before.wait()
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
            path = numbered(name, number)
            written = await self._write_as(path, data, place)
            if written is not None:
                return written
            if self.wanted.on_conflict == "ERROR" or number == MOST_NAMES:
                raise ObjectExists
        raise AssertionError("unreachable")

    async def _write_as(self, path: str, data: bytes, place: int) -> StoredObject | None:
        """The object under this name; None if the name is taken.

        What was there before this request noted the name is somebody else's, unless it had been noted already. What
        comes later may be of a request with the same key beside this one: it is ours, if these are its bytes.
        """
        if path in self.taken:
            return None
        self.taken.add(path)
        async with self.database.reading() as connection:
            [there] = await connection.fetch(THERE, self.dataset_id, path)
        again = self.keyed is not None and await idempotency.note(self.database, self.keyed, f"{place} {path}")
        if there["awaited"] or (there["shown"] and not again):
            return None
        try:
            return await self.store.write(path, data)
        except ObjectExists:  # without a key, an object that no sync has seen is believed to be of a lost answer
            return None if there["known"] and not again else await same(self.store, path, data)


async def same(store: Store, path: str, data: bytes) -> StoredObject | None:
    """The object at this path, if these are its bytes."""
    [head] = await store.heads([path], length=len(data) + 1)
    if isinstance(head, ObjectMissing):
        return None
    if isinstance(head, StorageError):
        raise head  # it may be ours: under another name it would be there twice
    hashes = (head.changed_at, head.content, head.pixels)
    return StoredObject(path, head.size, head.modified_at, head.etag, *hashes) if head.data == data else None


def _refusal(name: str, refused: DomainError) -> Result:
    return Result(name, code=refused.code, message=refused.message)
