"""uploadSamples: the bytes come with the request."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import TEMPORARY, DomainError, Invalid
from db.formats.names import nfc
from db.history import idempotency
from db.history.changes import lock_dataset
from db.history.idempotency import Keyed
from db.identity.tokens import Identity
from db.ingest.entry import Entry
from db.ingest.images import InspectedImage, object_with
from db.ingest.uploads import files
from db.ingest.uploads.destinations import Destination, destination_of, open_store
from db.ingest.uploads.files import MAX_BYTES, MAX_NAMES, Checks, Decode, OnConflict, Result, Uploaded
from db.ingest.uploads.samples import write_samples
from db.labelling import label_resolution, labels
from db.labelling.labels import KnownLabels, LabelReference
from db.postgres import sql
from db.postgres.engine import Database
from db.storage import ObjectExists, RootMissing, Store, StoredObject, Stores

SQL: Final = sql.load(__file__)
AT_ONCE: Final = 8  # objects written at a time


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file as a client sent it. `data` ends where it passed the limit; `size` is what was sent, in bytes."""

    name: str
    data: bytes
    size: int

    @property
    def fingerprint(self) -> str:
        """Differs from that of every other file, for requests that may be repeated."""
        return f"{self.name}\0{self.size}\0{hashlib.sha256(self.data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class DirectUploads:
    """`max_bytes` of a file, inclusive."""

    files: Sequence[Incoming]
    labels: Sequence[LabelReference] = ()
    create_missing: bool = False
    on_conflict: OnConflict = "ERROR"
    max_bytes: int = MAX_BYTES

    def label_names(self, known: KnownLabels) -> list[str]:
        """Raises LABEL_NOT_FOUND, INVALID_NAME."""
        return label_resolution.names_for(label_resolution.of_file(self.labels), known, create=self.create_missing)


@dataclass(frozen=True, slots=True)
class Stored:
    """Files whose bytes are safe, and those that were refused; `results` has one for each, in the request's order."""

    entries: tuple[Entry, ...]
    results: tuple[Result, ...]


async def store(
    database: Database,
    stores: Stores,
    dataset_id: int,
    uploads: DirectUploads,
    *,
    checks: Checks,
    by: Identity,
    keyed: Keyed | None = None,
    earlier: Uploaded | None = None,
) -> Stored:
    """The first half: check every file, and write the objects of those that are good. No sample is changed.

    With a key each name is noted before anything is written under it: so its repetition, and another one that runs at
    the same time, knows the object for its own, even if a sync or the other one has made it a sample. `earlier` is what
    a request with the same key did: files of which there is nothing left to do are passed over.
    """
    if not uploads.files:
        raise Invalid("No files are given; send at least one.", code="EMPTY_SELECTION")
    destination = await destination_of(database, dataset_id, by=by)
    used = label_resolution.of_file(uploads.labels)
    uploads.label_names(await label_resolution.known_without_lock(database, dataset_id, used))
    results = dict(enumerate(earlier.results)) if earlier else {}
    left = [number for number in range(len(uploads.files)) if number not in results or not results[number].ended]
    opened = open_store(stores, destination.input_path)
    writer = _Writer(database, dataset_id, destination, opened, uploads, keyed, checks.decode)
    tasks: list[asyncio.Task[Entry | Result]] = []
    last: dict[str, asyncio.Task[Entry | Result]] = {}  # by families of names that may want the same one
    for number in left:
        family = files.family(nfc(uploads.files[number].name))
        last[family] = asyncio.create_task(writer.write(number, uploads.files[number], after=last.get(family)))
        tasks.append(last[family])
    done = await asyncio.gather(*tasks)
    for number, each in zip(left, done, strict=True):
        results[number] = each if isinstance(each, Result) else Result(uploads.files[number].name)
    return Stored(tuple(each for each in done if isinstance(each, Entry)), tuple(results[n] for n in sorted(results)))


async def commit(
    session: AsyncSession, dataset_id: int, uploads: DirectUploads, stored: Stored, *, by: Identity
) -> Uploaded:
    """The second half: the samples of what was written, in one change."""
    await lock_dataset(session, dataset_id, by)
    known = await labels.lock_labels(session, dataset_id, label_resolution.of_file(uploads.labels))
    names = uploads.label_names(known)
    if not stored.entries:
        return Uploaded(dataset_id, stored.results)
    labelled = [(entry, names) for entry in stored.entries]
    samples, change = await write_samples(session, dataset_id, labelled, known, by)
    results = list(stored.results)
    for entry in stored.entries:
        name, sample = results[entry.position].file_name, samples.get(entry.position)
        results[entry.position] = Result(name, sample) if sample else Result.refused(ObjectExists(), name)
    return Uploaded(dataset_id, tuple(results), change.id)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the objects of one request. `taken`: names that this request has given away; `away`: the error of a store
    that did not answer, after which no file waits for it again."""

    database: Database
    dataset_id: int
    destination: Destination
    store: Store
    uploads: DirectUploads
    keyed: Keyed | None
    decode: Decode
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    taken: set[str] = field(default_factory=set)
    away: list[RootMissing] = field(default_factory=list)

    async def write(
        self, position: int, file: Incoming, *, after: "asyncio.Task[Entry | Result] | None"
    ) -> Entry | Result:
        """`after`: writes the file before it in the request that may want the same name."""
        try:
            name = files.checked_name(file.name)
            self.destination.check(name)
            files.check_size(file.size, self.uploads.max_bytes)
            facts = await files.check(name, file.data, self.destination.formats, self.decode)
            if after is not None:
                await asyncio.wait([after])
            async with self.slots:
                if self.away:
                    raise self.away[0]
                for number in range(MAX_NAMES + 1 if self.uploads.on_conflict == "RENAME" else 1):
                    stored = await self._write_as(files.numbered(name, number), file.data, position)
                    if stored is not None:
                        return Entry(position, stored.path, file.name, InspectedImage.of(stored, facts))
                raise ObjectExists
        except DomainError as refused:
            if isinstance(refused, RootMissing):
                self.away.append(refused)
            return Result.refused(refused, file.name, ended=refused.code not in TEMPORARY)

    async def _write_as(self, path: str, data: bytes, position: int) -> StoredObject | None:
        """The object under this name; None if the name is taken.

        What was there before this request noted the name is another writer's, unless it had been noted already. What
        comes later may be of a request with the same key at the same time: it is ours, if these are its bytes.
        """
        if path in self.taken:
            return None
        self.taken.add(path)
        async with self.database.reading() as connection:
            [state] = await sql.run(connection, SQL.state_of_path, dataset_id=self.dataset_id, path=path)
        again = self.keyed is not None and await idempotency.note(self.database, self.keyed, f"{position} {path}")
        if state["is_reserved"] or (state["is_sample"] and not again):
            return None
        try:
            return await self.store.write(path, data)
        except ObjectExists:  # without a key, an object that no sync has listed is taken for that of a lost answer
            return None if state["is_known"] and not again else await object_with(self.store, path, data)
