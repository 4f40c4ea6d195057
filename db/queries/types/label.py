from typing import Any

from sqlalchemy import BigInteger, ColumnElement
from sqlalchemy import literal_column as sql

from db.postgres.models import Label, LabelCount
from db.queries.compile_context import CompileContext, Field
from db.queries.json_text import number, unescaped
from db.queries.rows import Row
from db.queries.types.fields import DATASET_OF_ROW, column, versioned_type


def stored_count(context: CompileContext, row: Row, name: str = "sample_count") -> ColumnElement[Any]:
    """A count of the label, which is kept while samples are labelled, and which a version copies."""
    if row.state.version is not None:
        return sql(f"{row.name}.{name}", BigInteger)
    counts = row.join(Row(context.name("n"), LabelCount, row.state), lambda other: other["label_id"] == row["id"])
    return counts[name]


def count(name: str) -> Field:
    return Field(lambda context, row, _field: number(stored_count(context, row, name)))


LABEL = versioned_type(
    "Label",
    Label,
    {
        "dataset": DATASET_OF_ROW,
        "name": column("name"),
        "color": column("color", unescaped, is_nullable=True),
        "shortcut": column("shortcut", is_nullable=True),
        "sampleCount": count("sample_count"),
        "annotationCount": count("annotation_count"),
        "suggestionCount": count("suggestion_count"),
    },
)
