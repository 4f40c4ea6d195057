"""The roots of reading, and reading what is known by reference."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Text, case, func, select
from sqlalchemy import literal_column as sql

from db.queries import ids
from db.queries.compile_context import IDS, Build
from db.queries.connections import connection
from db.queries.filters.conditions import storable_word
from db.queries.json_text import NULL, Parts, number, text, value_or_null
from db.queries.parameters import Param
from db.queries.rows import Scope
from db.queries.selection import Select
from db.queries.types.dataset import DATASETS
from db.queries.types.version import pinned_to

Root = Callable[[Build, Select], Parts]
WORDS = ARRAY(Text())


def node(build: Build, selected: Select) -> Parts:
    """The row of this global id, in the table that the id says."""
    given = selected.given("id")
    kind = (given.type if isinstance(given, Param) else ids.split(given)[0]) or ""
    if kind not in selected.fields:
        return [NULL]
    number_ = build.bind(BigInteger(), lambda text: ids.decode(text, kind), given)
    return value_or_null(by_id(build, kind, selected.fields[kind], number_, planned=True))


def nodes(build: Build, selected: Select) -> Parts:
    given = selected.given("ids")
    kinds = build.bind(WORDS, lambda texts: [kind for kind, _ in ids.decode_all(texts, most=build.page)], given)
    numbers = build.bind(IDS, lambda texts: [number for _, number in ids.decode_all(texts, most=build.page)], given)
    wanted, kind, id_, position = _unnested(build, kinds, numbers)
    before = build.unbounded
    found = [
        (kind == sql(f"'{name}'"), by_id(build, name, selects, id_, planned=False))
        for name, selects in selected.fields.items()
    ]
    item = func.coalesce(case(*found), NULL).label("item") if found else NULL.label("item")
    return [build.listed(select(item).select_from(wanted).order_by(position), before)]


def by_ids(build: Build, type_name: str, selects: Sequence[Select], wanted: ColumnElement[Any]) -> Parts:
    """The rows of these ids, in their order; those that are not there are left out."""
    name = build.name("wanted")
    listed = func.unnest(wanted).table_valued("id", with_ordinality="n").render_derived(name=name)
    before = build.unbounded
    found = by_id(build, type_name, selects, sql(f"{name}.id", BigInteger), planned=False).label("item")
    return [build.listed(select(found).select_from(listed).order_by(sql(f"{name}.n")), before)]


def by_id(
    build: Build, type_name: str, selects: Sequence[Select], id_: ColumnElement[Any], *, planned: bool
) -> ColumnElement[str]:
    """The JSON of one row, or NULL where it is not there for this identity."""
    if type_name == "Dataset":
        return _dataset(build, type_name, selects, id_, planned=planned)
    if type_name == "Version" and planned:
        return _version(build, type_name, selects, id_)
    return build.one_of(type_name, selects, lambda row: [row["id"] == id_, build.is_visible(row["dataset_id"])])


def _dataset(
    build: Build, type_name: str, selects: Sequence[Select], id_: ColumnElement[Any], *, planned: bool
) -> ColumnElement[str]:
    scope = Scope(id_, planned)
    return build.one_of(type_name, selects, lambda row: [row["id"] == id_, *build.visible(row)], scope)


def _version(build: Build, type_name: str, selects: Sequence[Select], id_: ColumnElement[Any]) -> ColumnElement[str]:
    """Pinned to itself, so that a list of samples below it is planned for this very version."""
    scope = pinned_to(id_)
    return build.one_of(type_name, selects, lambda row: [row["id"] == id_, build.is_visible(row["dataset_id"])], scope)


def _unnested(build: Build, kinds: ColumnElement[Any], numbers: ColumnElement[Any]) -> Any:
    name = build.name("wanted")
    wanted = func.unnest(kinds, numbers).table_valued("kind", "id", with_ordinality="n").render_derived(name=name)
    return wanted, sql(f"{name}.kind"), sql(f"{name}.id", BigInteger), sql(f"{name}.n")


def dataset(build: Build, selected: Select) -> Parts:
    by: Mapping[str, Any] = selected.given("by")
    if "id" in by:
        id_: ColumnElement[Any] = build.bind(BigInteger(), lambda text: ids.decode(text, "Dataset"), by["id"])
    else:
        id_ = func.dataset_named(build.bind(Text(), storable_word, by["name"]))
    type_name, selects = selected.of_only_type()
    return value_or_null(_dataset(build, type_name, selects, id_, planned=True))


def datasets(build: Build, selected: Select) -> Parts:
    return connection(build, DATASETS, selected, None, build.visible)


def viewer(build: Build, selected: Select) -> Parts:
    name, selects = selected.of_only_type()
    return build.fields(name, selects, lambda _: text(build.input(Text(), lambda inputs: inputs.identity.name)))


def server_info(build: Build, selected: Select) -> Parts:
    name, selects = selected.of_only_type()
    return build.fields(name, selects, lambda each: _server_field(build, each))


def _server_field(build: Build, selected: Select) -> Parts:
    match selected.name:
        case "version":
            return text(build.input(Text(), lambda inputs: inputs.version))
        case "maxPageSize":
            return [str(build.page)]
    name, selects = selected.of_only_type()
    return build.fields(name, selects, lambda each: _upload_limit(build, each.name))


def _upload_limit(build: Build, name: str) -> Parts:
    match name:
        case "maxFileBytes":
            return number(build.input(BigInteger(), lambda inputs: inputs.limits.max_file_bytes))
        case "maxRequestBytes":
            return number(build.input(BigInteger(), lambda inputs: inputs.limits.max_request_bytes))
    return ['["JPEG","PNG","BMP"]']


ROOTS: Mapping[str, Root] = {
    "node": node,
    "nodes": nodes,
    "viewer": viewer,
    "serverInfo": server_info,
    "datasets": datasets,
    "dataset": dataset,
}
