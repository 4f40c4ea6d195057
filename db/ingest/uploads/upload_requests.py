"""requestUploads: for each file a location to which its bytes go, and a URL that takes them. The working set stays as
it is; a row keeps the client's key, and the file's name free for it.

The bytes go to a staging area first, under names that no sync takes for images: what nobody has checked is never where
samples are, and a URL, which works for an hour and any number of times, never leads to a sample's file.
"""

import asyncio
import json
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, DomainError, Invalid
from db.formats import names
from db.history.changes import RetryTransaction, lock_dataset
from db.identity.tokens import Identity
from db.ingest.uploads import files
from db.ingest.uploads.destinations import Destination, expect_room, free_paths, lock_names
from db.ingest.uploads.files import MAX_BYTES, MAX_STAGED, STAGING, OnConflict, Result, checked_name
from db.labelling import label_resolution, labels
from db.labelling.labels import KnownLabels, LabelReference
from db.postgres import sql
from db.storage import ObjectExists, Stores

SQL: Final = sql.load(__file__)

MAX_FILES: Final = 1_000  # of one call
KEY_BYTES: Final = 200
GRACE: Final = timedelta(hours=1)  # after its URL's time in which a staged object still may be completed
MAX_SECONDS: Final = 7 * 24 * 3_600 - 60  # for which S3 lets a signed URL be valid


@dataclass(frozen=True, slots=True)
class RequestedFile:
    """A file that a client has, and wants to put into storage by itself. `size` in bytes."""

    key: str
    name: str
    size: int
    labels: Sequence[LabelReference] = ()


@dataclass(frozen=True, slots=True)
class RequestedUploads:
    """`max_bytes` of a file, inclusive; `expiry` of the URLs, in seconds since 1970; `max_staged` bytes of all files
    that a dataset waits for."""

    files: Sequence[RequestedFile]
    expiry: int
    labels: Sequence[LabelReference] = ()
    create_missing: bool = False
    on_conflict: OnConflict = "ERROR"
    max_bytes: int = MAX_BYTES
    max_staged: int = MAX_STAGED

    def labels_of(self, file: RequestedFile) -> list[LabelReference]:
        return label_resolution.of_file([*self.labels, *file.labels])


@dataclass(frozen=True, slots=True)
class Upload:
    """A row, as it was read. `sample` is one that is there still."""

    id: int
    key: str
    file_name: str
    size: int
    labels: Sequence[str]
    label_ids: Sequence[int]
    create_missing: bool
    on_conflict: OnConflict
    path: str
    staged: str
    finished_at: datetime | None
    error_code: str | None
    error: str | None
    generation: int
    sample: int | None

    @property
    def is_open(self) -> bool:
        return self.finished_at is None

    @property
    def request(self) -> tuple[int, int]:
        """Another one when the key is requested again after it has ended."""
        return self.id, self.generation

    def all_labels(self) -> list[LabelReference]:
        return [*self.labels, *self.label_ids]

    def label_names(self, known: KnownLabels) -> list[str]:
        """Raises LABEL_NOT_FOUND, INVALID_NAME."""
        return label_resolution.names_for(self.all_labels(), known, create=self.create_missing)

    def refused(self, error: DomainError, *, ended: bool) -> Result:
        return Result.refused(error, self.file_name, self.key, ended=ended)


@dataclass(frozen=True, slots=True)
class Ticket:
    """The answer about a file: where it goes, or that it is a sample already, or why it is refused."""

    key: str
    file_name: str
    size: int
    path: str | None = None
    staged: str | None = None
    sample: int | None = None
    code: str | None = None
    message: str = ""

    def refused(self, error: DomainError) -> "Ticket":
        return replace(self, path=None, staged=None, code=error.code, message=error.message)


@dataclass(frozen=True, slots=True)
class IssuedTickets:
    dataset_id: int
    input_path: str
    expiry: int
    tickets: tuple[Ticket, ...]


async def request(
    session: AsyncSession, dataset_id: int, requested: RequestedUploads, *, by: Identity
) -> IssuedTickets:
    """A ticket for each file, in their order. Under a key that is known already it is the same one, good for longer."""
    check_count(requested.files, MAX_FILES, "files")
    await lock_dataset(session, dataset_id, by)
    await lock_names(session, dataset_id)
    keys = [file.key for file in requested.files if names.is_storable(file.key)]
    await sql.run(session, SQL.set_aside, dataset_id=dataset_id, keys=keys)
    known = await lock_uploads(session, dataset_id, keys)
    used = label_resolution.distinct(label for file in requested.files for label in requested.labels_of(file))
    known_labels = await labels.lock_labels(session, dataset_id, used)
    label_resolution.names_for(used, known_labels, create=requested.create_missing)
    [row] = await sql.run(session, SQL.destination, dataset_id=dataset_id)
    destination = Destination.of(row)
    tickets = await _tickets(session, dataset_id, destination, requested, known)
    waiting = {key for key, row in known.items() if row.is_open}
    new = {ticket.key: ticket.size for ticket in tickets if ticket.staged is not None and ticket.key not in waiting}
    if new:
        await expect_room(session, dataset_id, sum(new.values()), requested.max_staged, by=by)
    tickets = await _write(session, dataset_id, requested, tickets, known, by=by)
    return IssuedTickets(dataset_id, destination.input_path, requested.expiry, tuple(tickets))


async def lock_uploads(session: AsyncSession, dataset_id: int, keys: Iterable[str]) -> dict[str, Upload]:
    """The uploads by key, locked until the commit. They are locked first: only a later statement sees the samples of a
    transaction that the lock waited for."""
    known = sorted({key for key in keys if names.is_storable(key)})
    await sql.run(session, SQL.lock, dataset_id=dataset_id, keys=known)
    found = await sql.run(session, SQL.rows, dataset_id=dataset_id, keys=known)
    return {row["key"]: Upload(**row) for row in found}


async def link(stores: Stores, issued: IssuedTickets) -> list[str | None]:
    """For each ticket, in their order: the store's own URL; None where there is none, or nothing is to be put."""
    store = stores.open(issued.input_path)
    urls: list[str | None] = []
    seconds = seconds_until(issued.expiry)
    for ticket in issued.tickets:
        url = None
        if ticket.staged is not None:
            url = await store.upload_url(STAGING + ticket.staged, size=ticket.size, seconds=seconds)
        urls.append(url)
        await asyncio.sleep(0)  # signing is all CPU time: other requests go on in between
    return urls


def seconds_until(expiry: int) -> int:
    """As many as a store signs a URL for."""
    return max(1, min(expiry - int(datetime.now(UTC).timestamp()), MAX_SECONDS))


def check_count(items: Collection[object], limit: int, noun: str) -> None:
    if not items:
        raise Invalid(f"No {noun} are given; name at least one.", code="EMPTY_SELECTION")
    if len(items) > limit:
        raise Invalid(f"At most {limit} {noun} are accepted in one call; send the others in further calls.", most=limit)


async def _tickets(
    session: AsyncSession,
    dataset_id: int,
    destination: Destination,
    requested: RequestedUploads,
    known: Mapping[str, Upload],
) -> list[Ticket]:
    """The tickets as they are to be written. A key that a request has twice is one file."""
    first: dict[str, RequestedFile] = {}
    tickets = []
    for file in requested.files:
        ticket = Ticket(file.key, file.name, file.size)
        try:
            same = first.setdefault(file.key, file)
            _expect_file(file, same.name, same.size)
            ticket = _ticket(ticket, file, known.get(file.key), destination, requested.max_bytes)
        except DomainError as refused:
            ticket = ticket.refused(refused)
        tickets.append(ticket)
    waiting = {ticket.key: ticket.file_name for ticket in tickets if ticket.staged and ticket.path is None}
    found = await free_paths(session, dataset_id, waiting.values(), requested.on_conflict)
    paths = dict(zip(waiting, found, strict=True))
    for index, ticket in enumerate(tickets):
        if ticket.key in paths and ticket.code is None:
            path = paths[ticket.key]
            tickets[index] = ticket.refused(ObjectExists()) if path is None else replace(ticket, path=path)
    return tickets


def _ticket(
    ticket: Ticket, file: RequestedFile, row: Upload | None, destination: Destination, max_bytes: int
) -> Ticket:
    if not (names.is_storable(file.key) and file.key.isprintable() and 1 <= len(file.key.encode()) <= KEY_BYTES):
        raise Invalid(f"A key has 1 to {KEY_BYTES} bytes, none of them a control character.")
    if row is not None and (row.is_open or row.sample):
        _expect_file(file, row.file_name, row.size)
    name = checked_name(file.name)
    files.check_suffix(name, destination.formats)
    files.check_size(file.size, max_bytes)
    if row is None or not (row.is_open or row.sample):
        destination.check(name)
    if row is None:
        return replace(ticket, staged=secrets.token_hex(16))
    if row.sample is not None:
        return replace(ticket, path=row.path, sample=row.sample)
    return replace(ticket, path=row.path if row.is_open else None, staged=row.staged)


def _expect_file(file: RequestedFile, name: str, size: int) -> None:
    if (name, size) != (file.name, file.size):
        raise Conflict(
            f"This key belongs to `{names.excerpt(name)}` of {size} bytes; use another key for another file."
        )


async def _write(
    session: AsyncSession,
    dataset_id: int,
    requested: RequestedUploads,
    tickets: Sequence[Ticket],
    known: Mapping[str, Upload],
    *,
    by: Identity,
) -> list[Ticket]:
    """Raises RetryTransaction when another request has just used one of the keys."""
    rows: dict[str, dict[str, Any]] = {}
    for file, ticket in reversed(list(zip(requested.files, tickets, strict=True))):
        if ticket.staged is not None:
            used = labels.split(requested.labels_of(file))
            rows[ticket.key] = asdict(ticket) | {"labels": used["names"], "label_ids": used["ids"]}
    if not rows:
        return list(tickets)
    written = await sql.run(
        session,
        SQL.write,
        dataset_id=dataset_id,
        rows=json.dumps(list(rows.values())),
        known=list(known),
        create_missing=requested.create_missing,
        on_conflict=requested.on_conflict,
        expires_at=datetime.fromtimestamp(requested.expiry, UTC),
        grace=GRACE,
        token_id=by.token_id,
    )
    staged = {row["key"]: row["staged"] for row in written}
    if staged.keys() != rows.keys():
        raise RetryTransaction
    return [replace(ticket, staged=staged[ticket.key]) if ticket.staged else ticket for ticket in tickets]
