"""What deleting the sources of some samples would do elsewhere."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, BigInteger, ColumnElement, Integer, column, func, select, text
from sqlalchemy import literal_column as sql

from db.errors import Invalid
from db.postgres.models import Sample
from db.queries import ids, shared_sources
from db.queries.compile_context import IDS, Build
from db.queries.filters.conditions import SampleFilter, conditions
from db.queries.json_text import Parts, assemble, number
from db.queries.parameters import Param
from db.queries.rows import Row
from db.queries.selection import Select

# Of the rows that are chosen here, all of one dataset.
HERE = {
    "CONDITION": "true",
    ":dataset_id": "(SELECT dataset_id FROM selected LIMIT 1)",
    ":told": str(shared_sources.TOLD),
}


def delete_impact(build: Build, row: Row, selected: Select) -> Parts:
    name, selects = selected.of_only_type()
    chosen = _chosen(build, row, selected.given("select"))
    elsewhere = text(_asked(shared_sources.IMPACT)).columns(column("shared", BigInteger), column("datasets", IDS))
    table = elsewhere.cte("elsewhere").prefix_with("MATERIALIZED")
    json = assemble(build.fields(name, selects, lambda each: _field(build, row, each)))
    return [select(json).add_cte(chosen, table, nest_here=True).scalar_subquery()]


def _field(build: Build, row: Row, selected: Select) -> Parts:
    match selected.name:
        case "sampleCount":
            return number(sql("(SELECT count(*) FROM selected)", Integer))
        case "sharedSources":
            return number(sql("(SELECT shared FROM elsewhere)", Integer))
        case "versions":
            published = sql(f"ARRAY(SELECT id FROM ({_asked(shared_sources.VERSIONS)}) AS published)", IDS)
            return build.many(selected, lambda version: _visible(build, version, published), newest=True)
    known = sql("(SELECT datasets FROM elsewhere)::bigint[]", IDS)
    return build.many(selected, lambda other: [other["id"] == func.any(known), *build.visible(other)])


def _visible(build: Build, version: Row, published: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    return [version["id"] == func.any(published), build.is_visible(version["dataset_id"])]


def _chosen(build: Build, row: Row, given: Any) -> CTE:
    build.costly = True
    sample = build.row(Sample, row.scope)
    found: Sequence[ColumnElement[bool]] = [sample["dataset_id"] == row.scope.dataset_id]
    if given.get("ids") is not None:
        numbers = build.bind(IDS, _numbers, given["ids"], Param(lambda inputs: inputs.limits.max_ids))
        found = [*found, sample["id"] == func.any(numbers)]
    elif given.get("all") is False:
        raise Invalid("`select.all` takes only true, for every sample; select by ids or filter instead.")
    else:
        found = [*found, conditions(given.get("filter") or SampleFilter(), sample.samples(), build.bind)]
    rows = select(sample["id"].label("id"), sample["dataset_id"].label("dataset_id")).select_from(sample.origin())
    return rows.where(*found).cte("selected").prefix_with("MATERIALIZED")


def _numbers(texts: Sequence[str], most: int) -> list[int]:
    if not texts:
        raise Invalid("No samples are selected; name some ids, or give a filter.", code="EMPTY_SELECTION")
    if len(texts) > most:
        raise Invalid(f"At most {most} ids are taken in one call; for more, select by filter.", limit=most)
    return [ids.decode(each, "Sample") or 0 for each in texts]


def _asked(question: str) -> str:
    for words, here in HERE.items():
        question = question.replace(words, here)
    return question
