from sqlalchemy import BigInteger
from sqlalchemy import literal_column as sql

from db.postgres.models import Label, LabelCount
from db.queries.compile_context import CompileContext, Field, SelectedField
from db.queries.json_text import Parts, number, unescaped
from db.queries.rows import Row
from db.queries.types.fields import DATASET_OF_ROW, column, versioned_type


def count(name: str) -> Field:
    def compiled(context: CompileContext, row: Row, _field: SelectedField) -> Parts:
        if row.state.version is not None:
            return number(sql(f"{row.name}.{name}", BigInteger))
        counts = row.join(Row(context.name("n"), LabelCount, row.state), lambda other: other["label_id"] == row["id"])
        return number(counts[name])

    return Field(compiled)


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
    },
)
