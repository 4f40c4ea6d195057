"""A schema over the sample data, and the reference reader of the same rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import asyncpg
from graphql import GraphQLSchema
from graphql import build_schema as schema_of

from db.identity.tokens import Identity, Scope
from db.identity.urls import Links
from db.postgres.engine import Database, driver_url
from schema import build_schema
from schema.context import Context
from schema.execution.document_limits import DocumentLimits
from schema.execution.messages import Answer, Request
from schema.execution.schema import LabelgraphSchema
from tests.schema import reference_lists, reference_reader, reference_things, sample_data
from tests.schema.random_operations import KnownValues

ANN = Identity("ann", Scope.READ, token_id=1)
LINKS = Links("https://images.test", "?e=99&i=1&s=", b"k" * 32, expiry=99)
ROOMY = DocumentLimits(
    source_characters=10**6,
    tokens=10**5,
    fragments=1000,
    spreads=1000,
    directives=1000,
    repeats=100,
    aliases=1000,
    root_fields=1000,
    fields=10**5,
    depth=100,
)
ORDERS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "sample": [
        {"field": field, "direction": direction, **({"seed": seed} if field == "RANDOM" else {})}
        for field in reference_lists.SAMPLE_FIELDS
        for direction in ("ASC", "DESC")
        for seed in (reference_lists.SEEDS if field == "RANDOM" else ("",))
    ],
    "dataset": [
        {"field": field, "direction": direction}
        for field in reference_lists.DATASET_FIELDS
        for direction in ("ASC", "DESC")
    ],
}
LISTS: Mapping[str, tuple[str, Mapping[str, str] | None]] = {
    **{
        reference_lists.order_name("sample", order): ("samples(first: 100, orderBy: $o)", order)
        for order in ORDERS["sample"]
    },
    "change": ("changes(first: 100)", None),
    "job": ("jobs(first: 100)", None),
    "model": ("models(first: 100)", None),
}


@dataclass(slots=True)
class ReadFixture:
    schema: LabelgraphSchema
    language: GraphQLSchema
    database: Database
    tables: reference_things.Tables
    known: KnownValues
    tokens: dict[str, str]  # what a cursor is called in the reference reader

    def context(self, identity: Identity = ANN) -> Context:
        return Context(database=self.database, identity=identity, links=LINKS, events=None)  # type: ignore[arg-type]

    async def run(self, source: str, variables: Mapping[str, Any] | None = None, identity: Identity = ANN) -> Any:
        """The whole answer, as a client reads it."""
        document = self.schema.documents.prepare(source)
        answer = await self.schema.run(Request(document, variables or {}), self.context(identity))
        return json.loads(answer.encode() if isinstance(answer, Answer) else answer)

    async def data(self, source: str, variables: Mapping[str, Any] | None = None, identity: Identity = ANN) -> Any:
        answer = await self.run(source, variables, identity)
        assert "errors" not in answer, answer
        return answer["data"]

    def expected_answer(self, source: str, variables: Mapping[str, Any], identity: Identity = ANN) -> Any:
        tables = replace(self.tables, allowed=identity.dataset_ids, viewer=identity.name)
        return reference_reader.read(self.language, source, dict(variables), tables)

    def with_plain_cursors(self, answer: Any) -> Any:
        """An answer with its cursors as the reference reader calls them."""
        match answer:
            case dict():
                return {key: self.with_plain_cursors(value) for key, value in answer.items()}
            case list():
                return [self.with_plain_cursors(value) for value in answer]
            case str():
                return self.tokens.get(answer, answer)
        return answer


async def fill(url: str) -> None:
    """The sample data, into an empty database."""
    connection = await asyncpg.connect(driver_url(url))
    async with connection.transaction():
        await sample_data.fill(connection)
    await connection.close()


async def open_reads(database: Database) -> ReadFixture:
    """Of a database with the sample data."""
    schema, language = _schema()
    async with database.reading() as reader:
        rows = await reference_things.load(reader)
        now = await reader.fetchval("SELECT now()")
    tables = reference_things.Tables(rows, None, "ann", now, LINKS, {})
    return ReadFixture(schema, language, database, tables, KnownValues((), (), (), {}), {})


@cache
def _schema() -> tuple[LabelgraphSchema, GraphQLSchema]:
    """Made once: that takes longer than most tests."""
    schema = build_schema(ROOMY)
    schema.version = "1.2.3"
    return schema, schema_of(schema.as_str())


KINDS = {"IMPORT": "ImportJob", "EXPORT": "ExportJob", "AUTO_LABEL": "AutoLabelJob"}


async def learn(reads: ReadFixture) -> None:
    """Every id, and every cursor with its row."""
    rows = reads.tables.rows
    id_tables = {"Dataset": "dataset", "Sample": "sample", "Label": "label", "Change": "change", "SyncJob": "job"}
    id_tables |= {"Annotation": "annotation", "Model": "model"}
    for kind in ("ImportJob", "ExportJob", "LargeChangeJob", "AutoLabelJob"):
        id_tables[kind] = "job"
    ids = [f"{kind}:{row['id']}" for kind, table in id_tables.items() for row in rows[table][:8]]
    ids += [
        "Sample:99999999",
        "Sample:0",
        "Dataset:9223372036854775807",
        "Dataset:9223372036854775808",
        "",
        "x",
        "Label:01",
    ]
    found: dict[str, list[str]] = {}
    for name, (field, order) in LISTS.items():
        for dataset in (1, 4):
            source = f"""query{"($o: SampleOrderInput)" if order else ""} {{
                dataset(by: {{id: "Dataset:{dataset}"}}) {{ {field} {{ edges {{ cursor node {{ id }} }} }} }} }}"""
            (connection,) = (await reads.data(source, {"o": order} if order else {}))["dataset"].values()
            found[name] = found.get(name, []) + _learned(reads, name, name.partition(".")[0], connection["edges"])
    for change in rows["change"]:
        page = "samples(first: 100) { edges { cursor node { id } } }"
        source = f'{{ node(id: "Change:{change["id"]}") {{ ... on Change {{ {page} }} }} }}'
        for edges in [node["samples"]["edges"] for node in (await reads.data(source)).values() if node]:
            found["change.sample"] = found.get("change.sample", []) + _learned(reads, "change.sample", "sample", edges)
    for order in ORDERS["dataset"]:
        source = "query($o: DatasetOrderInput) { datasets(orderBy: $o) { edges { cursor node { id } } } }"
        data, name = await reads.data(source, {"o": order}), reference_lists.order_name("dataset", order)
        found[name] = _learned(reads, name, "dataset", data["datasets"]["edges"])
    for job in rows["job"]:
        warnings = [row for row in rows["job_warning"] if row["job_id"] == job["id"]]
        kind = KINDS.get(job["kind"], "SyncJob")
        if job["kind"] == "LARGE_CHANGE":
            continue  # it has no warnings
        source = f'{{ node(id: "{kind}:{job["id"]}") {{ ... on {kind} {{ warnings {{ edges {{ cursor }} }} }} }} }}'
        node = (await reads.data(source))["node"]
        edges = (
            [
                {**edge, "node": {"id": f":{row['id']}"}}
                for edge, row in zip(node["warnings"]["edges"], warnings, strict=True)
            ]
            if node
            else []
        )
        found["warning"] = found.get("warning", []) + _learned(reads, "warning", "job_warning", edges)
    paths = ("", "\x00", "a.jpg", *(row["path"] for row in rows["sample"][:20]))
    reads.known = KnownValues(ids, ("pets", "PETS2", "Gone", "nobody", "\x00"), paths, found)


def _learned(reads: ReadFixture, name: str, table: str, edges: Sequence[Mapping[str, Any]]) -> list[str]:
    for edge in edges:
        row = reads.tables.by_id(table, int(edge["node"]["id"].partition(":")[2]))
        assert row is not None
        reads.tokens[edge["cursor"]] = reference_lists.token(name, row)
        reads.tables.cursors[edge["cursor"]] = row
    return [edge["cursor"] for edge in edges]
