from sqlalchemy import BigInteger
from sqlalchemy import literal_column as sql

from db.postgres.models import Label, LabelCount
from db.queries.compile_context import Build, Field, Type
from db.queries.json_text import Parts, number, or_null, text, word
from db.queries.rows import Row
from db.queries.selection import Select
from db.queries.types.fields import column, global_id


def count(name: str) -> Field:
    def counted(build: Build, row: Row, _select: Select) -> Parts:
        if row.scope.pinned is not None:
            return number(sql(f"{row.name}.{name}", BigInteger))
        counts = row.join(Row(build.name("n"), LabelCount, row.scope), lambda other: other["label_id"] == row["id"])
        return number(counts[name])

    return counted


LABEL = Type(
    name="Label",
    model=Label,
    is_node=True,
    fields={
        "id": global_id("Label"),
        "name": column("name"),
        "color": column("color", or_null(word)),
        "shortcut": column("shortcut", or_null(text)),
        "sampleCount": count("sample_count"),
        "annotationCount": count("annotation_count"),
    },
)
