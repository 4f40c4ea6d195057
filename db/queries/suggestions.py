"""Filters of samples by what models suggest for them.

A sample matches if one suggestion meets all criteria. What the sample's own columns say, its indexes find; the rest is
looked up sample by sample, or, where few suggestions in all are such, by the index of suggestions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Double, Text, cast, func, or_, select
from sqlalchemy import literal_column as sql

from db.formats.names import is_storable
from db.postgres.models import Annotation
from db.queries import patterns
from db.queries.parameters import Bind, Parameter
from db.queries.rows import Row

TEXTS, IDS = ARRAY(Text()), ARRAY(BigInteger())
FEW = 1_000  # suggestions in all, from whose index the samples are looked up


@dataclass(frozen=True, slots=True)
class ModelFilter:
    name: str | Parameter
    version: str | Parameter


@dataclass(frozen=True, slots=True)
class FloatFilter:
    """`min` and `max` are inclusive."""

    min: float | Parameter | None = None
    max: float | Parameter | None = None


@dataclass(frozen=True, slots=True)
class SuggestionFilter:
    """Without criteria: samples with any suggestion. A suggestion without a confidence has 0. `disagrees`: it is of a
    labelled sample, which does not have its label."""

    labels: Sequence[str] | Parameter | None = None
    label_ids: Sequence[str] | Parameter | None = None
    models: Sequence[ModelFilter] | None = None
    confidence: FloatFilter | None = None
    disagrees: bool | None = None


@dataclass(frozen=True, slots=True)
class SuggestionConditions:
    """`label_ids`: the ids of the filter's labels; `indexed`: every row of the result meets these conditions."""

    filter: SuggestionFilter
    row: Row
    bind: Bind
    label_ids: Callable[[], ColumnElement[Any]]

    def conditions(self, *, indexed: bool) -> Iterator[ColumnElement[bool]]:
        filter_, row, bounds = self.filter, self.row, self.filter.confidence or FloatFilter()
        surest = row["suggestion_conflict" if filter_.disagrees else "suggestion_confidence"]
        yield surest.is_not(None) if bounds.min is None else surest >= self._min(bounds)
        of_some = filter_.labels is not None or filter_.label_ids is not None or filter_.models is not None
        if not of_some and bounds.max is None and filter_.disagrees is not False:
            return  # the surest suggestion is such, if any is
        if indexed and row.version is None and row.state.is_bound:
            yield self._is_one_of_few(bounds)
        yield self._has_such(bounds)

    def _has_such(self, bounds: FloatFilter) -> ColumnElement[bool]:
        row = self.row
        suggestion = Row(f"{row.name}_suggestion", Annotation, row.state)
        confidence = func.coalesce(suggestion["confidence"], sql("0"))
        where = [suggestion["sample_id"] == row["id"], ~suggestion["confirmed"], *suggestion.conditions()]
        if (labels := self._labels()) is not None:
            where.append(suggestion["label_id"] == func.any(labels))
        if (models := self._models()) is not None:
            where.append(suggestion["model_id"] == func.any(models))
        if bounds.min is not None:
            where.append(confidence >= self._min(bounds))
        if bounds.max is not None:
            where.append(confidence <= self._max(bounds))
        if self.filter.disagrees is not None:
            has_label = suggestion["label_id"] == func.any(row["label_ids"])
            is_agreed = or_(row["state"] != sql("'LABELED'"), has_label)
            where.append(~is_agreed if self.filter.disagrees else is_agreed)
        return suggestion.select(sql("1"), where=where).exists()

    def _is_one_of_few(self, bounds: FloatFilter) -> ColumnElement[bool]:
        """True where they are many. The ids are known to the planner."""
        least, most = self._min(bounds), self._max(bounds)
        ids = [sql("NULL::bigint[]") if each is None else each for each in (self._models(), self._labels())]
        samples = func.samples_suggested(self.row.state.dataset_id, *ids, least, most, sql(str(FEW)))
        return or_(samples.is_(None), self.row["id"] == func.any(samples))

    def _labels(self) -> ColumnElement[Any] | None:
        has_labels = self.filter.labels is not None or self.filter.label_ids is not None
        return cast(self.label_ids(), IDS) if has_labels else None

    def _models(self) -> ColumnElement[Any] | None:
        """The ids of the filter's models: of those that the dataset has."""
        models, state = self.filter.models, self.row.state
        if models is None:
            return None
        names = self.bind(TEXTS, _stored, [each.name for each in models])
        versions = self.bind(TEXTS, _stored, [each.version for each in models])
        ids = func.models_named(state.dataset_id, names, versions)
        return cast(ids if state.is_bound else select(ids).scalar_subquery(), IDS)

    def _min(self, bounds: FloatFilter) -> ColumnElement[Any]:
        least = patterns.at_least("suggestions.confidence")
        return sql("0::float8") if bounds.min is None else self.bind(Double(), least, bounds.min, bounds.max)

    def _max(self, bounds: FloatFilter) -> ColumnElement[Any]:
        return sql("1::float8") if bounds.max is None else self.bind(Double(), float, bounds.max)


def _stored(texts: Sequence[str]) -> list[str]:
    """As they are, in their order; '', which nothing is called, for what cannot be stored."""
    return [text if is_storable(text) else "" for text in patterns.bounded_list(texts)]
