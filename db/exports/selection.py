"""The samples of an export, fixed in one statement when it begins: all of one state, whatever is labelled later.

A table keeps which samples they are, in the order of their paths, with what the export needs of them. Their annotations
are read page by page, as they were at the revision of that statement: as those of a version.
"""

from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import BigInteger, ColumnElement, Insert, Select, func, insert, literal, select
from sqlalchemy import literal_column as sql_text
from sqlalchemy import table as named_table
from sqlalchemy.sql import column

from db import jobs
from db.errors import NotFound
from db.exports.requests import FILTER
from db.formats.datasets.records import DatasetFacts, DatasetLabel, Options
from db.jobs import Batch, Claim
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.models import Sample
from db.queries.filters import conditions, working_set
from db.queries.parameters import bind_value
from db.queries.paths import composed
from db.queries.plan import DIALECT
from db.queries.rows import DatasetState, PublishedVersion, Row

SQL: Final = sql.load(__file__)
COLUMNS: Final = (
    "job_id",
    "number",
    "sample_id",
    "source_id",
    "path",
    "state",
    "usage",
    "hard",
    "same_stem",
    "same_name",
)
EXPORT_SAMPLE: Final = named_table("export_sample", *map(column, COLUMNS))


async def begin(database: Database, job: Claim) -> None:
    """Fix the samples and the facts of the export, unless an earlier claim has."""

    async def fix(batch: Batch) -> None:
        export = await sql.first(batch.connection, SQL.dataset, job_id=job.id)
        if export is None:
            raise NotFound("The dataset was deleted.", code="DATASET_NOT_FOUND")
        revision = await sql.value(batch.connection, SQL.lock_version, version_id=export["version_id"])
        if revision is None and export["wants_version"]:
            raise NotFound("The version was deleted.", code="VERSION_NOT_FOUND")
        filter_ = None if job.arguments["filter"] is None else FILTER.validate_python(job.arguments["filter"])
        row = _source(export, revision)
        meets = [] if filter_ is None else [conditions(filter_, row)]
        statement = _insert(job.id, _selected(row, meets))
        compiled = statement.compile(dialect=DIALECT)
        values = [compiled.params[name] for name in compiled.positiontup or ()]
        # The revision in the same statement as the samples: both are of one state.
        places = {"job_id": f"${len(values) + 1}", "revision": f"${len(values) + 2}"}
        await batch.execute_long(SQL.fix.format(insert=str(compiled), **places), *values, job.id, revision)
        facts = orjson.dumps(await _facts(batch.connection, job, export)).decode()
        await sql.run(batch.connection, SQL.set_facts, job_id=job.id, facts=facts)
        batch.checkpoint = {"series": 0, "after": 0}

    if not job.checkpoint:
        await jobs.in_batch(database, job, fix)


def facts_of(job: Claim, export: asyncpg.Record) -> tuple[DatasetFacts, dict[int, DatasetLabel]]:
    """The facts of an export that has begun, and its labels by their ids."""
    stored = orjson.loads(export["facts"])
    labels = {id: DatasetLabel(number, *label) for number, (id, *label) in enumerate(stored["labels"])}
    facts = DatasetFacts(
        name=stored["name"],
        type=stored["type"],
        labels=tuple(labels.values()),
        usages=dict(stored["usages"]),
        states=dict(stored["states"]),
        images=export["images"],
        options=Options(**job.arguments["options"]),
        description=stored["description"],
        version=stored["version"],
        input_path=stored["input_path"],
        location=f"{export['location'].rstrip('/')}/",
    )
    return facts, labels


def _source(export: asyncpg.Record, revision: int | None) -> Row:
    """The samples of the working set, or of the version with this revision, under the name `sample`."""
    if revision is None:
        return working_set(export["dataset_id"])
    dataset, *version = (
        bind_value(BigInteger(), int, each) for each in (export["dataset_id"], export["version_id"], revision)
    )
    return Row("sample", Sample, DatasetState(dataset, is_bound=True, version=PublishedVersion(*version)))


def _selected(row: Row, meets: list[ColumnElement[bool]]) -> Select[Any]:
    names = ("id", "source_id", "path", "state", "usage", "hard")
    of_dataset = row["dataset_id"] == row.state.dataset_id
    return row.select(*(row[name].label(name) for name in names), where=[of_dataset, *row.conditions(), *meets])


def _insert(job_id: int, selected: Select[Any]) -> Insert:
    rows = selected.subquery("selected")
    stem = func.lower(func.regexp_replace(composed(rows.c.path), sql_text("'([^/])\\.[^./]*$'"), sql_text("'\\1'")))
    name = func.regexp_replace(stem, sql_text("'^.*/'"), sql_text("''"))

    def is_shared(key: ColumnElement[Any]) -> ColumnElement[bool]:
        return func.count().over(partition_by=key) > 1

    return insert(EXPORT_SAMPLE).from_select(
        COLUMNS,
        select(
            literal(job_id, BigInteger),
            func.row_number().over(order_by=rows.c.path),
            *(rows.c.id, rows.c.source_id, rows.c.path, rows.c.state, rows.c.usage, rows.c.hard),
            is_shared(stem),
            is_shared(name),
        ),
    )


async def _facts(connection: asyncpg.Connection, job: Claim, export: asyncpg.Record) -> dict[str, Any]:
    revision = await sql.value(connection, SQL.revision, job_id=job.id)
    if export["version_id"] is None:
        labels = await sql.run(connection, SQL.labels, dataset_id=export["dataset_id"], revision=revision)
    else:
        labels = await sql.run(connection, SQL.version_labels, version_id=export["version_id"])
    counts = await sql.run(connection, SQL.counts, job_id=job.id)
    usages: dict[str | None, int] = {}
    states: dict[str, int] = {}
    for row in counts:
        usages[row["usage"]] = usages.get(row["usage"], 0) + row["n"]
        states[row["state"]] = states.get(row["state"], 0) + row["n"]
    return {
        **{name: export[name] for name in ("name", "type", "description", "input_path", "version")},
        "labels": [list(label) for label in labels],
        "usages": list(usages.items()),
        "states": list(states.items()),
    }
