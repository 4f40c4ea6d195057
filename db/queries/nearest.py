"""The samples that are nearest to a vector: of a dataset or a version, among all that meet conditions.

Up to some 20,000 embeddings of a model all that match are compared, which is exact. A larger model has an index, made
by a worker (`db/embeddings/indexes.py`), which gives candidates, in rounds, until enough of them match; their distances
are computed. Where too few match, the conditions are so narrow, or so far from the vector, that again all matches are
compared.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import asyncpg
import sqlalchemy
from sqlalchemy import (
    CTE,
    REAL,
    BigInteger,
    ColumnElement,
    Double,
    FromClause,
    Text,
    and_,
    false,
    func,
    select,
    true,
    union_all,
)
from sqlalchemy import literal_column as sql
from sqlalchemy.dialects.postgresql import ARRAY

from db.errors import DomainError, Invalid, NotFound
from db.formats.names import nfc
from db.formats.vectors import checked
from db.postgres.models import Sample
from db.postgres.pgvector import WithoutEmbeddings
from db.queries import ids
from db.queries.compile_context import CompileContext, SelectedField
from db.queries.filters import SampleFilter
from db.queries.pagination import DISTANCE, ID, Key, Order, page_size
from db.queries.patterns import storable_or_none
from db.queries.rows import DatasetState, Row

MAX_NEAREST: Final = 1_000  # rows of the whole list
ROUNDS: Final = 3  # of candidates from an index: at most 21 times as many as in the first
LEAST_FILTERED: Final = 100  # in the first, where a filter leaves some of them
FEW: Final = 5_000  # matches, which are compared at once if the first candidates do not suffice
OF_FIRST_PAGE: Final = frozenset({"nodes", "edges", "pageInfo", "__typename"})  # fields that need no further rows

Where = Callable[[Row], Sequence[ColumnElement[bool]]]


class Nearest:
    """Tables of the statement; the last of them, `ranked`, has the ids of samples with their distances. The `source` is
    one that has a vector, and `vector` one that is given; exactly one of them is not None."""

    def __init__(
        self,
        context: CompileContext,
        state: DatasetState,
        where: Where,
        *,
        model: Mapping[str, Any] | None,
        source: ColumnElement[Any] | None = None,
        vector: ColumnElement[Any] | None = None,
        must_exist: bool,
        is_filtered: bool = False,
        rows: int,
    ) -> None:
        context.with_embeddings.append(tuple(context.path))
        context.costly = True
        context.custom_plan |= is_filtered or state.version is not None
        self._context, self._state, self._where = context, state, where
        self._rows, self._is_filtered = rows, is_filtered
        self._asked, self._likely, self._ranked = (context.name(each) for each in ("asked", "likely", "ranked"))
        name, version = (
            context.bind(Text(), _stored_name, model[each]) if model else sql("NULL::text")
            for each in ("name", "modelVersion")
        )
        found = func.embedding_near(
            state.dataset_id,
            name,
            version,
            sql("NULL::bigint") if source is None else source,
            sql("NULL::real[]") if vector is None else vector,
            sql("true" if must_exist else "false"),
        ).alias(context.name("f"))
        model_id, near = sql(f"{found.name}.model_id", BigInteger), sql(f"{found.name}.near", Text)
        breadth = func.embedding_breadth(near, sql(str(rows))).label("breadth")
        asked = select(model_id, near, breadth).select_from(found)
        self.tables: Sequence[CTE] = (
            asked.cte(self._asked).prefix_with("MATERIALIZED"),
            self._from_index().cte(self._likely).prefix_with("MATERIALIZED"),
            self._best().cte(self._ranked).prefix_with("MATERIALIZED"),
        )
        self.distance: ColumnElement[Any] = sql(f"{self._ranked}.distance", Double)
        self.order = Order("sample.near", (Key("distance", DISTANCE, lambda _row: self.distance), ID))

    def join(self, row: Row) -> None:
        """Have a row of the statement be one of the nearest samples."""
        is_ranked = sql(f"{self._ranked}.id", BigInteger) == row["id"]
        row.sources.setdefault(self._ranked, (sqlalchemy.table(self._ranked), is_ranked))

    def count(self) -> ColumnElement[Any]:
        return select(func.count()).select_from(sqlalchemy.table(self._ranked)).scalar_subquery()

    def _column(self, name: str) -> ColumnElement[Any]:
        """Of the vector that the others are compared with."""
        return select(sql(f"{self._asked}.{name}")).select_from(sqlalchemy.table(self._asked)).scalar_subquery()

    def _compared(
        self, *where: ColumnElement[bool], candidates: Callable[[str], FromClause] | None = None
    ) -> sqlalchemy.Select[Any]:
        """Samples that match, with their distances; only candidates, if given, which are `source_id`s under a name."""
        row = self._context.row(Sample, self._state)
        name, among = self._context.name("e"), self._context.name("c")
        source_id = sql(f"{name}.source_id", BigInteger)
        is_own = and_(source_id == row["source_id"], sql(f"{name}.model_id", BigInteger) == self._column("model_id"))
        row.sources[name] = (sqlalchemy.table("embedding").alias(name), is_own)
        if candidates is not None:
            row.sources[among] = (candidates(among), sql(f"{among}.source_id", BigInteger) == source_id)
        distance = sql(f"{name}.vector").op("<=>")(self._column("near"))
        return row.select(row["id"].label("id"), distance.label("distance"), where=[*self._where(row), *where])

    def _from_index(self) -> sqlalchemy.Select[Any]:
        """Candidates that match, as soon as they are enough: LIMIT ends the rounds. A further one is run only if those
        before gave too few; with a filter, only if many samples match it."""
        first: ColumnElement[Any] = sql("0").label("round")
        others: ColumnElement[Any] = func.generate_series(sql("1"), sql(str(ROUNDS - 1))).label("round")
        are_many = (self._are_few().is_(false()),) if self._is_filtered else ()
        rounds = union_all(select(first), select(others).where(*are_many)).subquery(self._context.name("rounds"))
        near, amount = self._column("near"), self._column("breadth")
        if self._is_filtered:
            amount = func.greatest(amount, sql(str(LEAST_FILTERED)))
        candidates = func.embedding_candidates(self._column("model_id"), near, amount, sql(f"{rounds.name}.round"))
        matching = self._compared(candidates=candidates.alias).order_by(sql("distance"))
        best = matching.lateral(self._context.name("found"))
        return select(best.c.id, best.c.distance).select_from(rounds.join(best, true())).limit(self._enough())

    def _enough(self) -> ColumnElement[Any]:
        """So many candidates that match: half of what an index would give without conditions."""
        return self._column("breadth / 2")

    def _are_few(self) -> ColumnElement[bool]:
        """Whether so few samples match that all of them are compared at once."""
        row = self._context.row(Sample, self._state)
        some = row.select(sql("1"), where=self._where(row)).limit(sql(str(FEW))).subquery(self._context.name("few"))
        return select(func.count()).select_from(some).scalar_subquery() < sql(str(FEW))

    def _best(self) -> sqlalchemy.Select[Any]:
        likely, enough = sqlalchemy.table(self._likely), self._enough()
        count = select(func.count()).select_from(likely).scalar_subquery()
        columns = sql("id", BigInteger), sql("distance", Double)
        approximate = select(*columns).select_from(likely).where(count >= enough)
        both = union_all(approximate, self._compared(count < enough)).subquery(self._context.name("both"))
        return select(both).order_by(both.c.distance, both.c.id).limit(sql(str(self._rows)))


def nearest_samples(
    context: CompileContext, field: SelectedField, state: DatasetState | None, where: Where
) -> Nearest | None:
    """What a list of samples is of, if it has the argument `near`. Raises Invalid."""
    near: Mapping[str, Any] | None = field.argument("near")
    if near is None or state is None:
        return None
    id_, vector = near.get("sampleId"), near.get("vector")
    if (id_ is None) == (vector is None):
        raise Invalid("Give either `sampleId` or `vector`.", path="near")
    given: dict[str, ColumnElement[Any]] = {}
    if vector is not None:
        given["vector"] = context.bind(ARRAY(REAL()), checked, vector)
    else:
        sample = context.row(Sample, state)
        number = context.bind(BigInteger(), lambda text: ids.decode(text, "Sample") or 0, id_)
        is_it = [sample["dataset_id"] == state.dataset_id, sample["id"] == number, *sample.conditions()]
        given["source"] = sample.select(sample["source_id"], where=is_it).scalar_subquery()
    first = page_size(field.argument("first"), field.argument("last"), limit=context.page)
    names = {each.name for fields in field.fields.values() for each in fields}
    is_first_page = names <= OF_FIRST_PAGE and not any(field.argument(each) for each in ("after", "last", "before"))
    rows = min(first + 1, MAX_NEAREST) if is_first_page else MAX_NEAREST
    is_filtered = field.argument("filter") not in (None, SampleFilter())
    model = near.get("model")
    return Nearest(context, state, where, model=model, must_exist=True, is_filtered=is_filtered, rows=rows, **given)


def _stored_name(name: str) -> str:
    """Of a model: empty, which none is, for one that nobody can have stored."""
    return nfc(storable_or_none(name) or "")


def explain_embeddings(error: asyncpg.PostgresError) -> DomainError | None:
    """What an error of a statement with embeddings means, if it means something: of which field it does not say."""
    match error.sqlstate:
        case "42P01" | "42883" | "42704":  # no such table, function or type
            return WithoutEmbeddings()
        case "LG421":
            return NotFound("The dataset has no embeddings of this model; `Dataset.embeddingModels` lists its models.")
        case "LG422":
            dimension = int(error.detail or 0)
            return Invalid(f"The vectors of this model have {dimension} numbers: give as many.", dimension=dimension)
        case "LG423":
            return NotFound("This sample has no embedding of the model. `putEmbeddings` stores one.")
        case "LG424":
            return NotFound("There is no such sample in this list.", code="SAMPLE_NOT_FOUND")
    return None
