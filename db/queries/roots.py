"""The root fields of Query, and objects known by reference."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, DateTime, Text, and_, case, func, select
from sqlalchemy import literal_column as sql

from db.formats.images import USUAL
from db.identity.tokens import Scope
from db.jobs.queue import ABILITIES, ABILITY_CLASS
from db.postgres.models import Dataset
from db.postgres.pgvector import IS_ENABLED
from db.queries import ids
from db.queries.compile_context import IDS, CompileContext, Field, ObjectType, SelectedField
from db.queries.connections import Page
from db.queries.json_text import NULL, Parts, constant, number, text, unescaped, value_or_null
from db.queries.parameters import Inputs, Parameter
from db.queries.patterns import storable_or_none
from db.queries.rows import DatasetState, Row
from db.queries.types.dataset import DATASETS
from db.queries.types.fields import NESTED, from_request, permission
from db.queries.types.version import state_of_version

TEXTS = ARRAY(Text())
IS_SEEING = f"""EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2
        AND classid = {ABILITY_CLASS} AND objid = {ABILITIES["VISION"]}
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)"""  # a worker with this ability runs, which holds its lock
FEATURES: Mapping[str, str] = {"VISION": IS_SEEING, "EMBEDDINGS": IS_ENABLED}  # and whether there is each, in SQL


def node(context: CompileContext, _source: None, field: SelectedField) -> Parts:
    """The row of this global id, in the table that the id says."""
    id_ = field.argument("id")
    kind = (id_.type if isinstance(id_, Parameter) else ids.kind(id_)) or ""
    type_name = kind.removesuffix("@")
    if type_name not in field.fields:
        return [NULL]
    number_ = context.bind(BigInteger(), lambda text: ids.parse(text).number, id_)
    if kind == type_name:
        return value_or_null(by_id(context, type_name, field.fields[type_name], number_, is_bound=True))
    if not context.row_type(type_name).is_versioned:
        return [NULL]
    version = context.bind(BigInteger(), lambda text: ids.parse(text).version, id_)
    return value_or_null(in_version(context, type_name, field.fields[type_name], number_, state_of_version(version)))


def nodes(context: CompileContext, _source: None, field: SelectedField) -> Parts:
    def decoded(part: int) -> Any:
        return lambda texts: [each[part] for each in ids.decode_all(texts, limit=context.page)]

    texts, before = field.argument("ids"), context.unbounded
    names = context.bind(TEXTS, decoded(0), texts)
    numbers, versions = (context.bind(IDS, decoded(part), texts) for part in (1, 2))
    table = context.name("ids")
    rows = func.unnest(names, numbers, versions).table_valued("type", "id", "version", with_ordinality="n")
    rows = rows.render_derived(name=table)
    id_, version = sql(f"{table}.id", BigInteger), sql(f"{table}.version", BigInteger)
    cases = []
    for name, fields in field.fields.items():
        is_type = sql(f"{table}.type") == sql(f"'{name}'")
        cases.append((and_(is_type, version.is_(None)), by_id(context, name, fields, id_, is_bound=False)))
        if context.row_type(name).is_versioned:
            state = state_of_version(version, is_bound=False)
            cases.append((is_type, in_version(context, name, fields, id_, state)))
    item = func.coalesce(case(*cases), NULL).label("item") if cases else NULL.label("item")
    return [context.listed(select(item).select_from(rows).order_by(sql(f"{table}.n")), before)]


def by_ids(
    context: CompileContext,
    type_name: str,
    fields: Sequence[SelectedField],
    numbers: ColumnElement[Any],
    *,
    with_missing: bool,
) -> Parts:
    """The rows of these ids, in their order; those that do not exist are null, or left out."""
    table, before = context.name("ids"), context.unbounded
    rows = func.unnest(numbers).table_valued("id", with_ordinality="n").render_derived(name=table)
    item = by_id(context, type_name, fields, sql(f"{table}.id", BigInteger), is_bound=False)
    item = (func.coalesce(item, NULL) if with_missing else item).label("item")
    return [context.listed(select(item).select_from(rows).order_by(sql(f"{table}.n")), before)]


def by_id(
    context: CompileContext,
    type_name: str,
    fields: Sequence[SelectedField],
    id_: ColumnElement[Any],
    *,
    is_bound: bool,
) -> ColumnElement[str]:
    """The JSON of one row, or NULL where it does not exist for this identity."""
    if type_name == "Dataset":
        return dataset_of(context, fields, DatasetState(id_, is_bound))
    # A version is read as its own state, so that a list of samples below it is planned for this very version.
    state_ = state_of_version(id_) if type_name == "Version" and is_bound else None
    return context.one(
        {type_name: fields}, lambda row: [row["id"] == id_, context.is_visible(row["dataset_id"])], state_
    )


def dataset_of(context: CompileContext, fields: Sequence[SelectedField], state: DatasetState) -> ColumnElement[str]:
    return context.one({"Dataset": fields}, lambda row: [row["id"] == state.unplanned_id, *context.visible(row)], state)


def in_version(
    context: CompileContext,
    type_name: str,
    fields: Sequence[SelectedField],
    id_: ColumnElement[Any],
    state: DatasetState,
) -> ColumnElement[str]:
    """The JSON of one row as it was in a version, or NULL where it was not, or is not for this identity."""

    def where(row: Row) -> Sequence[ColumnElement[bool]]:
        return [row["id"] == id_, row["dataset_id"] == state.dataset_id, context.is_visible(state.dataset_id)]

    return context.one({type_name: fields}, where, state)


def dataset(context: CompileContext, _source: None, field: SelectedField) -> Parts:
    by: Mapping[str, Any] = field.argument("by")
    if "id" in by:
        id_ = context.bind(BigInteger(), lambda text: ids.decode(text, "Dataset"), by["id"])
        state = DatasetState(id_, is_bound=True)
    else:
        name = context.bind(Text(), storable_or_none, by["name"])
        named = context.row(Dataset)
        found = named.select(named["id"], where=[named["name"] == name, named["deleted_at"].is_(None)])
        state = DatasetState(func.dataset_named(name), is_bound=True, looked_up=found.correlate(None).scalar_subquery())
    return value_or_null(dataset_of(context, field.fields["Dataset"], state))


def datasets(context: CompileContext, _source: None, field: SelectedField) -> Parts:
    return Page(context, DATASETS, field, None, context.visible).json()


QUERY = ObjectType(
    "Query",
    {
        "node": Field(node, is_nullable=True),
        "nodes": Field(nodes, is_list=True, has_nullable_items=True),
        "viewer": NESTED,
        "serverInfo": NESTED,
        "datasets": Field(datasets),
        "dataset": Field(dataset, is_nullable=True),
    },
)


def dataset_ids(inputs: Inputs) -> str | None:
    """As JSON."""
    numbers = inputs.identity.dataset_ids
    return None if numbers is None else json.dumps([ids.encode("Dataset", number) for number in sorted(numbers)])


def features(_context: CompileContext, _source: None, _field: SelectedField) -> Parts:
    """In the order of the enum."""
    names = [case((sql(condition), constant(f'"{name}"'))) for name, condition in FEATURES.items()]
    return ["[", func.concat_ws(sql("','"), *names), "]"]


VIEWER = ObjectType(
    "Viewer",
    {
        "name": from_request(Text(), lambda inputs: inputs.identity.name, text),
        "scope": from_request(Text(), lambda inputs: inputs.identity.scope.name, unescaped),
        "expiresAt": from_request(
            DateTime(timezone=True), lambda inputs: inputs.identity.expires_at, text, is_nullable=True
        ),
        "datasetIds": from_request(Text(), dataset_ids, number, is_nullable=True, is_list=True),
        "canCreateDatasets": permission(Scope.MANAGE, unconfined=True),
    },
)
SERVER_INFO = ObjectType(
    "ServerInfo",
    {
        "version": from_request(Text(), lambda inputs: inputs.version, text),
        "maxPageSize": Field(lambda context, *_: [str(context.page)]),
        "uploadLimits": NESTED,
        "features": Field(features, is_list=True),
    },
)
UPLOAD_LIMITS = ObjectType(
    "UploadLimits",
    {
        "maxFileBytes": from_request(BigInteger(), lambda inputs: inputs.limits.max_file_bytes, number),
        "maxRequestBytes": from_request(BigInteger(), lambda inputs: inputs.limits.max_request_bytes, number),
        "formats": Field(lambda *_: [json.dumps(USUAL, separators=(",", ":"))], is_list=True),
    },
)
