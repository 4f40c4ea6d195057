from db.models import Label, LabelCount
from db.select.build import Build, Field, Type
from db.select.rows import Row
from db.select.selection import Select
from db.select.text import Parts, number, or_null, text, word
from db.select.types.fields import column, global_id


def count(name: str) -> Field:
    def counted(build: Build, row: Row, _select: Select) -> Parts:
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
