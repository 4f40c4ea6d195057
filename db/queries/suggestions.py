"""Filters of samples by what models suggest for them.

A sample matches if one suggestion meets all criteria. What the sample's own columns say, its indexes find; the rest is
looked up sample by sample, or, where few suggestions in all are such, by the index of suggestions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Double, Text, case, cast, func, or_, select, true
from sqlalchemy import literal_column as sql
from sqlalchemy.sql.elements import Grouping

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
        if self._source in row.sources:
            return
        surest = row["suggestion_conflict" if filter_.disagrees else "suggestion_confidence"]
        yield surest.is_not(None) if bounds.min is None else surest >= self._min(bounds)
        if bounds.max is not None:
            yield row["suggestion_lowest"] <= self._max(bounds)
        of_some = filter_.labels is not None or filter_.label_ids is not None or filter_.models is not None
        is_of_any = not of_some and filter_.disagrees is not False
        if is_of_any and bounds.max is None:
            return  # the surest suggestion is such, if any is
        if indexed and self._is_planned:
            yield self._is_one_of_few(row["id"], bounds)
        if is_of_any and bounds.min is None and not filter_.disagrees:
            return  # the least sure one is such
        suggestion = Row(f"{row.name}_suggestion", Annotation, row.state)
        of_sample = [suggestion["sample_id"] == row["id"], *suggestion.conditions()]
        yield suggestion.select(sql("1"), where=[*of_sample, *self._criteria(suggestion, bounds)]).exists()

    def in_order(self) -> Callable[[str], ColumnElement[Any]] | None:
        """The columns `created_at` and `id` of samples for which one label is suggested, read in this order from the
        suggestions of the label, which are the result's rows then. None where these cannot be read so."""
        row, labels = self.row, self._labels()
        if labels is None or not self._is_planned:
            return None
        if self._source not in row.sources:
            suggestion = Row(self._source, Annotation, row.state)
            bounds = self.filter.confidence or FloatFilter()
            names = ("sample_created_at", "sample_id")
            is_such = [
                suggestion["dataset_id"] == row.state.dataset_id,
                suggestion["label_id"] == Grouping(labels)[sql("1")],
                *self._criteria(suggestion, bounds, in_order=True),
            ]
            if self.filter.models is not None or self.filter.confidence is not None:
                is_such.append(self._is_one_of_few(suggestion["sample_id"], bounds))
            distinct = suggestion.select(*(suggestion[name].label(name) for name in names), where=is_such).distinct()
            sorted_ = distinct.order_by(
                *(suggestion[name].desc() if row.descending else suggestion[name] for name in names)
            )
            source = sorted_.subquery(self._source)
            row.sources[self._source] = source, source.c.sample_id == row["id"]
        return lambda name: sql(f"{self._source}.{'sample_id' if name == 'id' else 'sample_created_at'}")

    @property
    def _source(self) -> str:
        """Its name in a statement that reads suggestions first."""
        return f"{self.row.name}_suggested"

    @property
    def _is_planned(self) -> bool:
        """Whether the planner knows which labels, models and samples are meant."""
        return self.row.version is None and self.row.state.is_bound

    def _criteria(
        self, suggestion: Row, bounds: FloatFilter, *, in_order: bool = False
    ) -> Iterator[ColumnElement[bool]]:
        """What one suggestion meets. `in_order`: one of a label, which no index but that in the order of lists
        is to find: the planner does not know that a page needs few of them."""
        row, model = self.row, suggestion["model_id"]
        confidence: ColumnElement[Any] = func.coalesce(suggestion["confidence"], sql("0"))
        if in_order:
            model, confidence = model + sql("0"), confidence + sql("0")
        yield ~suggestion["confirmed"]
        if not in_order and (labels := self._labels()) is not None:
            yield suggestion["label_id"] == func.any(labels)
        if (models := self._models()) is not None:
            yield model == func.any(models)
        if bounds.min is not None:
            yield confidence >= self._min(bounds)
        if bounds.max is not None:
            yield confidence <= self._max(bounds)
        if self.filter.disagrees is not None:
            has_label = suggestion["label_id"] == func.any(row["label_ids"])
            is_agreed = or_(row["state"] != sql("'LABELED'"), has_label)
            yield ~is_agreed if self.filter.disagrees else is_agreed

    def _is_one_of_few(self, sample: ColumnElement[Any], bounds: FloatFilter) -> ColumnElement[bool]:
        """True where they are many. The ids are known to the planner; CASE: it asks once whether they are many."""
        least, most = self._min(bounds), self._max(bounds)
        ids = [sql("NULL::bigint[]") if each is None else each for each in (self._models(), self._labels())]
        samples = func.samples_suggested(self.row.state.dataset_id, *ids, least, most, sql(str(FEW)))
        return case((samples.is_(None), true()), else_=sample == func.any(samples))

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
