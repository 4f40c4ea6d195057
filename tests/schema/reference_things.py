"""What the reference reader reads: all rows, and their public names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg

from db.identity.urls import Links

if TYPE_CHECKING:
    from tests.schema.reference_reader import Dataset

Row = dict[str, Any]

TABLES = (
    "dataset",
    "label",
    "label_past",
    "label_count",
    "sample",
    "sample_past",
    "source",
    "annotation",
    "model",
    "verdict",
    "change",
    "job",
    "job_warning",
    "ignored_files",
    "sync_example",
    "auto_label",
    "auto_label_score",
    "auto_label_confusion",
    "auto_label_threshold",
    "export",
    "export_file",
    "import_label",
    "import_notice",
    "dataset_event",
)


@dataclass(slots=True)
class Tables:
    """All rows, by table; who looks at them, when; and the row of each cursor."""

    rows: Mapping[str, Sequence[Row]]
    allowed: frozenset[int] | None
    viewer: str
    now: datetime
    links: Links
    cursors: dict[str, Any]  # cursor → (list and order, row id)

    def having(self, table: str, **values: Any) -> list[Row]:
        return [row for row in self.rows[table] if all(row[name] == value for name, value in values.items())]

    def by_id(self, table: str, number: int | None) -> Row | None:
        return next(iter(self.having(table, id=number)), None)

    def dataset(self, number: int) -> "Dataset | None":
        row = self.by_id("dataset", number)
        if row is None or row["deleted_at"] is not None or (self.allowed is not None and number not in self.allowed):
            return None
        from tests.schema.reference_reader import Dataset  # it reads these tables

        return Dataset(self, row)


async def load(connection: asyncpg.Connection) -> dict[str, list[Row]]:
    return {table: [dict(row) for row in await connection.fetch(f"SELECT * FROM {table}")] for table in TABLES}


def moment(value: datetime | None) -> str | None:
    if value is None:
        return None
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


COUNTS = (
    "scanned",
    "added",
    "updated",
    "removed",
    "moved",
    "unchanged",
    "skipped",
    "ignored",
    "labeled",
    "matched",
    "kept",
    "missing",
)
FLAGS = ("hard", "confirmed", "undoable")


def public_name(column: str) -> str:
    if column in COUNTS:
        return f"{column}Count"
    if column in FLAGS:
        return f"is{column.title()}"
    return "".join(part if at == 0 else part.title() for at, part in enumerate(column.split("_")))


class Thing:
    """A row; its fields are attributes or methods, under their public names."""

    def __init__(self, tables: Tables, row: Row) -> None:
        self.tables, self.row = tables, row
        self.id = f"{type(self).__name__}:{row['id']}" if "id" in row else None
        for column, value in row.items():
            name = public_name(column)
            if not hasattr(type(self), name) and name != "id":
                setattr(self, name, moment(value) if isinstance(value, datetime) else value)
