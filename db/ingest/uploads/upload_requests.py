"""requestUploads: for each file a place to which its bytes go, and a URL that takes them. The working set stays as it
is; a row keeps the client's key, and the file's name free for it.

The bytes go to a staging area first, under names that no sync takes for images: what nobody has looked at is never
where samples lie, and a URL, good for an hour and as often as its bearer likes, never leads to a sample's file.
"""

import asyncio
import json
import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from db.errors import Conflict, DomainError, Invalid
from db.formats import names
from db.history.changes import RetryTransaction, lock_dataset
from db.identity.tokens import Identity
from db.ingest.uploads import files, outcomes
from db.ingest.uploads.files import MOST_BYTES, MOST_NAMES, OnConflict, checked_name, numbered
from db.ingest.uploads.outcomes import Upload
from db.labelling import label_resolution, labels
from db.postgres import sql
from db.storage import ObjectExists, Stores

MOST: Final = 1_000  # files of one call
KEY_BYTES: Final = 200
STAGING: Final = ".labelgraph/uploads/"  # below the input path; without a suffix its objects are images for nobody
GRACE: Final = timedelta(hours=1)  # after its URL's time in which a staged object still may be completed
LONGEST: Final = 7 * 24 * 3_600 - 60  # seconds that S3 lets a signed URL hold
BLOCKS: Final = ((0, 1), (1, 10), (10, 100), (100, MOST_NAMES + 1))  # numbers of names that are looked up at once

WRITE = """
    INSERT INTO upload (dataset_id, key, file_name, size, path, staged, labels, create_missing, on_conflict,
                        expires_at, sweep_at)
    SELECT :dataset_id, key, file_name, size, path, staged, labels, :create_missing, :on_conflict,
           :expires_at::timestamptz, :expires_at::timestamptz + :grace::interval
    FROM jsonb_to_recordset(:rows::jsonb)
         AS given (key text, file_name text, size bigint, path text, staged text, labels text[])
    ORDER BY path
    ON CONFLICT (dataset_id, key) DO UPDATE SET
        file_name = excluded.file_name, size = excluded.size, path = excluded.path, labels = excluded.labels,
        create_missing = excluded.create_missing, on_conflict = excluded.on_conflict,
        expires_at = greatest(upload.expires_at, excluded.expires_at),
        sweep_at = greatest(upload.expires_at, excluded.expires_at) + :grace::interval,
        cleared = false, sample_id = NULL, error_code = NULL, error = NULL, finished_at = NULL,
        generation = upload.generation + CASE WHEN upload.finished_at IS NULL THEN 0 ELSE 1 END
    WHERE upload.key = ANY(:known::text[])
    RETURNING key, staged
"""
TURN = "SELECT pg_advisory_xact_lock(3, :dataset_id::bigint::int)"
TAKEN = """
    SELECT path FROM sample WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[])
    UNION SELECT path FROM source_deletion
          WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL
    UNION SELECT path FROM upload WHERE dataset_id = :dataset_id AND path = ANY(:paths::text[]) AND finished_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class RequestedFile:
    """A file that a client has, and wants to put into storage by itself. `size` in bytes."""

    key: str
    name: str
    size: int
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RequestedUploads:
    """What is asked for. `most`: bytes of a file, inclusive; `expiry`: of the URLs, in seconds since 1970."""

    files: Sequence[RequestedFile]
    expiry: int
    labels: Sequence[str] = ()
    create_missing: bool = False
    on_conflict: OnConflict = "ERROR"
    most: int = MOST_BYTES

    def labels_of(self, file: RequestedFile) -> list[str]:
        return label_resolution.of_file([*self.labels, *file.labels])


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a client is told about a file: where it goes, or that it is a sample already, or why it is refused."""

    key: str
    file_name: str
    size: int
    path: str | None = None
    staged: str | None = None
    sample: int | None = None
    code: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class IssuedTickets:
    dataset_id: int
    input_path: str
    expiry: int
    tickets: tuple[Ticket, ...]


async def request(session: AsyncSession, dataset_id: int, asked: RequestedUploads, *, by: Identity) -> IssuedTickets:
    """A ticket for each file, in their order. Under a key that is known already it is the same one, good for longer."""
    check_count(asked.files, MOST, "files")
    await lock_dataset(session, dataset_id, by)
    await take_turn(session, dataset_id)
    known = await outcomes.rows(session, dataset_id, (file.key for file in asked.files))
    wanted = label_resolution.distinct(name for file in asked.files for name in asked.labels_of(file))
    label_resolution.missing(wanted, await labels.in_use(session, dataset_id, wanted), create=asked.create_missing)
    tickets = _drawn(asked, known)
    tickets = await _placed(session, dataset_id, tickets, asked.on_conflict)
    tickets = await _written(session, dataset_id, asked, tickets, known)
    place = await sql.first(session, "SELECT input_path FROM dataset WHERE id = :id", id=dataset_id)
    assert place is not None
    return IssuedTickets(dataset_id, place["input_path"], asked.expiry, tuple(tickets))


async def link(stores: Stores, requested: IssuedTickets) -> list[str | None]:
    """For each ticket, in their order: the store's own URL; None where there is none, or nothing is to be put."""
    store = stores.open(requested.input_path)
    urls: list[str | None] = []
    seconds = min(requested.expiry - int(datetime.now(UTC).timestamp()), LONGEST)
    for ticket in requested.tickets:
        url = None
        if ticket.staged is not None:
            url = await store.upload_url(STAGING + ticket.staged, size=ticket.size, seconds=max(seconds, 1))
        urls.append(url)
        await asyncio.sleep(0)  # signing is all CPU time: others take their turns in between
    return urls


async def take_turn(session: AsyncSession, dataset_id: int) -> None:
    """Keys and names of a dataset are given away by one at a time, who sees what all before have taken."""
    await sql.run(session, TURN, dataset_id=dataset_id)


def check_count(given: Collection[object], most: int, noun: str) -> None:
    if not given:
        raise Invalid(f"No {noun} are given; name at least one.", code="EMPTY_SELECTION")
    if len(given) > most:
        raise Invalid(f"At most {most} {noun} are taken in one call; send the others in further calls.", most=most)


def _is_key(key: str) -> bool:
    return names.is_storable(key) and key.isprintable() and 1 <= len(key.encode()) <= KEY_BYTES


def _drawn(asked: RequestedUploads, known: Mapping[str, Upload]) -> list[Ticket]:
    """Each file as it stands before a place is looked for. A key given twice is one file."""
    seen: dict[str, RequestedFile] = {}
    tickets = []
    for file in asked.files:
        first = seen.setdefault(file.key, file)
        try:
            if (first.name, first.size) != (file.name, file.size):
                raise _other_file(first.name, first.size)
            tickets.append(_checked(file, known.get(file.key), asked.most))
        except DomainError as refused:
            tickets.append(Ticket(file.key, file.name, file.size, code=refused.code, message=refused.message))
    return tickets


def _checked(file: RequestedFile, row: Upload | None, most: int) -> Ticket:
    if not _is_key(file.key):
        raise Invalid(f"A key has 1 to {KEY_BYTES} bytes, none of them a control character.")
    if row is not None and (row.is_open or row.sample) and (row.file_name, row.size) != (file.name, file.size):
        raise _other_file(row.file_name, row.size)
    files.check_suffix(checked_name(file.name))
    files.check_size(file.size, most)
    ticket = Ticket(file.key, file.name, file.size)
    if row is None:
        return replace(ticket, staged=secrets.token_hex(16))
    if row.sample is not None:
        return replace(ticket, path=row.path, sample=row.sample)
    return replace(ticket, path=row.path if row.is_open else None, staged=row.staged)


def _other_file(name: str, size: int) -> Conflict:
    return Conflict(f"This key belongs to `{names.excerpt(name)}` of {size} bytes; take a new key for another file.")


async def _placed(
    session: AsyncSession, dataset_id: int, tickets: Sequence[Ticket], on_conflict: OnConflict
) -> list[Ticket]:
    placeless = {ticket.key: ticket.file_name for ticket in tickets if ticket.staged and ticket.path is None}
    found = dict(zip(placeless, await places(session, dataset_id, placeless.values(), on_conflict), strict=True))
    exists = ObjectExists()
    return [
        ticket
        if ticket.path is not None or ticket.code is not None
        else replace(ticket, path=path)
        if (path := found[ticket.key]) is not None
        else replace(ticket, staged=None, code=exists.code, message=exists.message)
        for ticket in tickets
    ]


async def places(
    session: AsyncSession,
    dataset_id: int,
    wanted: Iterable[str],
    on_conflict: OnConflict,
    *,
    without: Collection[str] = (),
) -> list[str | None]:
    """A free path for each name, in their order; None where there is none. At most one statement for each block. The
    names were checked before."""
    found: dict[int, str] = {}
    waiting: dict[str, list[int]] = defaultdict(list)  # numbers by name
    for number, name in enumerate(wanted):
        waiting[checked_name(name)].append(number)
    count, given = sum(map(len, waiting.values())), set(without)
    for block in BLOCKS if on_conflict == "RENAME" else BLOCKS[:1]:
        tries = {name: _tries(name, *block) for name, numbers in waiting.items() if numbers}
        if tries:
            given |= await _taken(session, dataset_id, sorted({path for paths in tries.values() for path in paths}))
        for name, paths in tries.items():
            for path in paths:
                if waiting[name] and path not in given:
                    found[waiting[name].pop(0)] = path
                    given.add(path)
    return [found.get(number) for number in range(count)]


def _tries(name: str, first: int, last: int) -> list[str]:
    return [numbered(name, number) for number in range(first, last)]


async def _taken(session: AsyncSession, dataset_id: int, paths: Sequence[str]) -> set[str]:
    return {row["path"] for row in await sql.run(session, TAKEN, dataset_id=dataset_id, paths=paths)}


async def _written(
    session: AsyncSession,
    dataset_id: int,
    asked: RequestedUploads,
    tickets: Sequence[Ticket],
    known: Mapping[str, Upload],
) -> list[Ticket]:
    """Raises RetryTransaction when somebody else has just asked under one of the keys."""
    rows = {
        ticket.key: _row(ticket, asked.labels_of(file))
        for file, ticket in reversed(list(zip(asked.files, tickets, strict=True)))
        if ticket.staged is not None
    }
    if not rows:
        return list(tickets)
    done = await sql.run(
        session,
        WRITE,
        dataset_id=dataset_id,
        rows=json.dumps(list(rows.values())),
        known=list(known),
        create_missing=asked.create_missing,
        on_conflict=asked.on_conflict,
        expires_at=datetime.fromtimestamp(asked.expiry, UTC),
        grace=GRACE,
    )
    staged = {row["key"]: row["staged"] for row in done}
    if staged.keys() != rows.keys():
        raise RetryTransaction
    return [replace(ticket, staged=staged[ticket.key]) if ticket.staged else ticket for ticket in tickets]


def _row(ticket: Ticket, label_names: Sequence[str]) -> dict[str, Any]:
    return {
        "key": ticket.key,
        "file_name": ticket.file_name,
        "size": ticket.size,
        "path": ticket.path,
        "staged": ticket.staged,
        "labels": list(label_names),
    }
