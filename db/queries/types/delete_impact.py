"""What deleting the sources of some samples would do elsewhere."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, column, func, select, text
from sqlalchemy import literal_column as sql

from db.errors import Invalid
from db.postgres.models import Sample
from db.queries import ids, shared_sources
from db.queries.compile_context import IDS, CompileContext, Field, ObjectType, SelectedField
from db.queries.filters import SampleFilter, conditions
from db.queries.json_text import Parts, concatenate, number
from db.queries.parameters import Parameter
from db.queries.rows import Row


def delete_impact(context: CompileContext, row: Row, field: SelectedField) -> Parts:
    """The statement gets the tables `selected`, of sample ids, and `elsewhere`, of one row: their effect."""
    context.costly = True
    sample = context.row(Sample, row.state)
    condition = selection_condition(context, sample, field.argument("select"))
    columns = [sample[name].label(name) for name in ("id", "dataset_id")]
    samples = sample.select(*columns, where=[sample["dataset_id"] == row.state.dataset_id, condition])
    impact = text(of_selected(shared_sources.IMPACT)).columns(column("shared", BigInteger), column("datasets", IDS))
    selected = samples.cte("selected").prefix_with("MATERIALIZED")
    elsewhere = impact.cte("elsewhere").prefix_with("MATERIALIZED")
    json = concatenate(context.nested(row, field.fields))
    return [select(json).add_cte(selected, elsewhere, nest_here=True).scalar_subquery()]


def selection_condition(context: CompileContext, sample: Row, selection: Any) -> ColumnElement[bool]:
    if selection.get("ids") is not None:
        numbers = context.bind(IDS, sample_numbers, selection["ids"], Parameter(lambda inputs: inputs.limits.max_ids))
        return sample["id"] == func.any(numbers)
    if selection.get("all") is False:
        raise Invalid("`select.all` must be true; to select fewer samples, give ids or a filter.")
    return conditions(selection.get("filter") or SampleFilter(), sample, context.bind)


def sample_numbers(texts: Sequence[str], limit: int) -> list[int]:
    if not texts:
        raise Invalid("No samples are selected; give some ids or a filter.", code="EMPTY_SELECTION")
    if len(texts) > limit:
        raise Invalid(f"At most {limit} ids are accepted in one call; for more, select by filter.", limit=limit)
    return [ids.decode(each, "Sample") or 0 for each in texts]


def of_selected(statement: str) -> str:
    """The statement for the rows of `selected`, all of one dataset."""
    values = {
        "CONDITION": "true",
        ":dataset_id": "(SELECT dataset_id FROM selected LIMIT 1)",
        ":max_versions": str(shared_sources.MAX_VERSIONS),
    }
    for name, value in values.items():
        statement = statement.replace(name, value)
    return statement


def versions(context: CompileContext, _row: Row, field: SelectedField) -> Parts:
    published = sql(f"ARRAY(SELECT id FROM ({of_selected(shared_sources.VERSIONS)}) AS published)", IDS)
    return context.many(
        field.fields,
        lambda version: [version["id"] == func.any(published), context.is_visible(version["dataset_id"])],
        newest_first=True,
    )


def datasets(context: CompileContext, _row: Row, field: SelectedField) -> Parts:
    numbers = sql("(SELECT datasets FROM elsewhere)::bigint[]", IDS)
    return context.many(field.fields, lambda other: [other["id"] == func.any(numbers), *context.visible(other)])


DELETE_IMPACT = ObjectType(
    name="DeleteImpact",
    fields={
        "sampleCount": Field(lambda *_: number(sql("(SELECT count(*) FROM selected)", Integer))),
        "sharedSourceCount": Field(lambda *_: number(sql("(SELECT shared FROM elsewhere)", Integer))),
        "versions": Field(versions, is_list=True),
        "datasets": Field(datasets, is_list=True),
    },
)
