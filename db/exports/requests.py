"""Requests of clients for exports: whether they fit the dataset, and where the files will be."""

import secrets
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from db import jobs
from db.errors import Conflict, Invalid
from db.formats.datasets import FORMATS
from db.formats.datasets.format import Format, expect_fit
from db.formats.datasets.records import DatasetFacts, ImagesMode, Options, Packing
from db.history.changes import lock_dataset, no_such_dataset
from db.history.versions import find_version, no_such_version
from db.identity.tokens import Identity
from db.postgres import sql
from db.postgres.models import Dataset, Export, Job
from db.queries.filters import SampleFilter, conditions, working_set

SQL: Final = sql.load(__file__)
FILTER: Final = TypeAdapter(SampleFilter)
STAGING: Final = ".labelgraph/exports"  # below the input path, where there is no output path
MIN_FILE, MAX_FILE = 1024**2, 64 * 1024**3  # bytes of one file
DEFAULT_FILE: Final = 1024**3
MAX_ACTIVE: Final = 5  # exports of one dataset that a token has queued or running


@dataclass(frozen=True, slots=True)
class Request:
    """`base`: under which name the client knows this server, for links."""

    format: str
    images: ImagesMode | None = None
    options: Options = field(default_factory=Options)
    version_id: int | None = None
    filter: SampleFilter | None = None
    base: str = ""


@dataclass(frozen=True, slots=True)
class StartedExport:
    job: int


async def request(session: AsyncSession, dataset_id: int, asked: Request, *, by: Identity) -> StartedExport:
    """Start an export. Nobody who labels waits for it: whoever may read may ask for one."""
    await lock_dataset(session, dataset_id, by, dry_run=True)
    dataset = await session.get(Dataset, dataset_id)
    if dataset is None:
        raise no_such_dataset()
    if asked.version_id is not None and (await find_version(session, asked.version_id, by)).dataset_id != dataset_id:
        raise no_such_version()
    if asked.filter is not None:
        conditions(asked.filter, working_set(dataset_id))  # refuses values that mean nothing
    format_ = FORMATS[asked.format]
    images = asked.images or format_.images[0]
    packing = _packing(dataset, asked, format_, images)
    await _expect_room(session, dataset_id, by)
    arguments: dict[str, Any] = {
        "options": asdict(asked.options),
        "filter": None if asked.filter is None else FILTER.dump_python(asked.filter, mode="json"),
        "base": asked.base,
        "token_id": by.token_id,
        "of_version": asked.version_id is not None,
    }
    job_id = await jobs.enqueue(
        session, dataset_id, "EXPORT", requested_by=by.name, arguments=arguments, version_id=asked.version_id
    )
    if job_id is None:
        raise no_such_dataset()
    session.add(
        Export(
            job_id=job_id,
            dataset_id=dataset_id,
            format=asked.format,
            images=images,
            packing=packing,
            **_place(dataset, job_id),
        )
    )
    await session.flush()
    return StartedExport(job_id)


def _packing(dataset: Dataset, asked: Request, format_: type[Format], images: ImagesMode) -> Packing:
    """Raises Invalid where the format or its options do not fit."""
    options = asked.options
    facts = DatasetFacts(dataset.name, dataset.type, (), {}, {}, images, options)
    expect_fit(asked.format, format_, facts)
    size = options.max_file_bytes
    if size is not None and not MIN_FILE <= size <= MAX_FILE:
        message = f"`maxFileBytes` must be {MIN_FILE:,} to {MAX_FILE:,}, and is {size:.15g}."
        raise Invalid(message, least=MIN_FILE, most=MAX_FILE)
    is_few_files = format_.shard_suffix is not None or (format_.is_single_files and images != "INCLUDED")
    packing = options.packing or format_.packing or ("FILES" if is_few_files else "ZIP")
    if packing == "FILES" and not is_few_files and dataset.output_path is None:
        raise Invalid("Single files for every image need a dataset with an output path; choose ZIP or TAR.")
    return packing


def _place(dataset: Dataset, job_id: int) -> dict[str, Any]:
    if dataset.output_path is None:
        location = f"{dataset.input_path.rstrip('/')}/{STAGING}"
        return {"location": location, "folder": secrets.token_hex(16), "is_temporary": True}
    folder = f"{dataset.name}-{dataset.id}/exports/{job_id}"
    return {"location": f"{dataset.output_path.rstrip('/')}/{folder}", "folder": "", "is_temporary": False}


async def _expect_room(session: AsyncSession, dataset_id: int, by: Identity) -> None:
    """Refuse exports beyond what one token may have queued or running, whatever other tokens have."""
    await sql.run(session, SQL.take_turns, dataset_id=dataset_id)
    active = select(Job.id).where(
        col(Job.dataset_id) == dataset_id,
        col(Job.kind) == "EXPORT",
        col(Job.status).in_(jobs.ACTIVE),
        col(Job.requested_by) == by.name,
    )
    found = (await session.exec(active.order_by(col(Job.id)))).all()
    if len(found) >= MAX_ACTIVE:
        message = (
            f"This token has {MAX_ACTIVE} exports of the dataset queued or running; wait until one ends, or cancel one."
        )
        raise Conflict(message, code="DATASET_BUSY", jobId=f"{jobs.TYPE_NAMES['EXPORT']}:{found[0]}")
