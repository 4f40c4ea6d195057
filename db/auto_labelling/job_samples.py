"""The samples of an auto labelling, fixed in one statement when it begins, and read page by page as they are by then:
those that are deleted in between are left out."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from sqlalchemy import BigInteger, func, insert, literal, select
from sqlalchemy import table as named_table
from sqlalchemy.sql import column
from sqlmodel import col

from db import jobs
from db.auto_labelling.requests import FILTER
from db.errors import NotFound
from db.formats.images import Format
from db.formats.shapes import Raster
from db.jobs import Batch, Claim
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.models import Sample
from db.queries.filters import conditions, working_set
from db.queries.plan import DIALECT

SQL: Final = sql.load(__file__)
MAX_EXAMPLES: Final = 10_000  # labelled samples that the built-in model learns from: as many of each label as there are
MAX_EVALUATED: Final = 200  # labelled samples that any other model is asked about, before it suggests
TABLE: Final = named_table("auto_label_sample", *map(column, ("job_id", "number", "sample_id")))


@dataclass(frozen=True, slots=True)
class LabelledDataset:
    id: int
    name: str
    type: str
    input_path: str
    samples: int  # that are selected
    examples: int
    is_evaluated: bool = False
    read: int = 0  # images, by earlier claims of the job

    def progress(self, count: int) -> float:
        """Of the job that has looked at so many of its samples, labelled ones first."""
        return 0.99 * count / max(self.examples + self.samples, 1)


@dataclass(frozen=True, slots=True)
class JobSample:
    """A sample, and its image as it was last read. `content`: a hash of it. `raster` is None where nobody knows it."""

    number: int
    id: int
    path: str
    label_ids: Sequence[int]
    source_id: int
    source_path: str
    etag: str
    size: int
    content: str
    format: Format | None
    is_present: bool
    raster: Raster | None


async def begin(database: Database, job: Claim) -> LabelledDataset:
    """Fix the samples, unless an earlier claim has."""

    async def fix(batch: Batch) -> None:
        meets = conditions(FILTER.validate_python(job.arguments["filter"]), working_set(job.dataset_id))
        of_dataset = select(col(Sample.id)).where(col(Sample.dataset_id) == job.dataset_id, meets)
        found = of_dataset.order_by(col(Sample.id)).limit(job.arguments["limit"]).subquery("found")
        numbered = select(literal(job.id, BigInteger), func.row_number().over(order_by=found.c.id), found.c.id)
        statement = insert(TABLE).from_select(["job_id", "number", "sample_id"], numbered).compile(dialect=DIALECT)
        values = [statement.params[name] for name in statement.positiontup or ()]
        await batch.execute_long(str(statement), *values)
        if job.arguments["model"]["kind"] == "BUILT_IN":
            await batch.execute_long(sql.numbered(SQL.add_examples)[0], job.id, job.dataset_id, MAX_EXAMPLES)
        else:
            await batch.execute_long(sql.numbered(SQL.add_evaluated)[0], job.id, job.dataset_id, MAX_EVALUATED)
        await sql.run(batch.connection, SQL.count_samples, job_id=job.id)
        batch.checkpoint = {"number": 0}

    if not job.checkpoint:
        await jobs.in_batch(database, job, fix)
    async with database.reading() as reader:
        row = await sql.first(reader, SQL.dataset, job_id=job.id)
    if row is None:
        raise NotFound("The dataset was deleted.", code="DATASET_NOT_FOUND")
    return LabelledDataset(**row)


async def pages(
    database: Database, job: Claim, size: int, *, after: int
) -> AsyncGenerator[tuple[int, list[JobSample]], None]:
    """The selected samples behind a number, and the number of the last one in each page."""
    async for last, rows in _pages(database, job, SQL.samples, after=after, size=size):
        yield last, list(map(_sample, rows))


async def examples(
    database: Database, job: Claim, size: int
) -> AsyncGenerator[list[tuple[JobSample, Sequence[int]]], None]:
    """The labelled samples to learn from, or to evaluate the model by, each with the ids of the labels that it had when
    the job began."""
    async for _, rows in _pages(database, job, SQL.examples, after=0, size=size):
        yield [(_sample(row), row["targets"]) for row in rows]


async def _pages(
    database: Database, job: Claim, statement: str, *, after: int, size: int
) -> AsyncGenerator[tuple[int, list[asyncpg.Record]], None]:
    while True:
        async with database.reading() as reader:
            rows = await sql.run(reader, statement, job_id=job.id, after=after, last=after + size)
        if not rows:
            return
        after += size
        yield rows[-1]["number"], [row for row in rows if row["id"] is not None]


def _sample(row: asyncpg.Record) -> JobSample:
    values: dict[str, Any] = {name: row[name] for name in JobSample.__slots__ if name != "raster"}
    is_known = row["width"] is not None and row["height"] is not None
    raster = Raster(row["width"], row["height"], row["orientation"] or 1) if is_known else None
    return JobSample(raster=raster, **values)
