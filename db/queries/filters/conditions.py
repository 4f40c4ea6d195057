"""Sample filters as SQL conditions: the same builder for the pages that show samples and the writers that change them.

    SampleFilter(state="LABELED", labels=LabelFilter(["cat", "dog"], "ALL"), not_=SampleFilter(hard=True))

None means: no such criterion. Values are plain, or `Param`s of a compiled plan. A writer says
`select(Sample.id).where(conditions(wanted, working_set(dataset_id)))`: the working set's rows of that dataset.

Paths are compared in NFC, whatever form they have in storage.

A filter holds for a row or it does not: what is unknown (null) does not hold, and so its `not_` does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

from sqlalchemy import ARRAY, BigInteger, ColumnElement, DateTime, Text, and_, false, func, or_, select, true
from sqlalchemy import literal_column as sql

from db.errors import Invalid
from db.formats.names import is_storable, nfc
from db.postgres.models import Sample, Source
from db.queries.parameters import Bind, Param, at_once

WORDS = ARRAY(Text())
PRESETS = {
    "WITHIN_1_DAY": "date_trunc('day', now(), 'UTC') - interval '1 day'",
    "WITHIN_1_MONTH": "date_trunc('day', now(), 'UTC') - interval '30 days'",
}
MOST_PARTS = 100
MAX_TEXT_BYTES = 1_024  # of a text in a filter: no path and no name is longer
MAX_ITEMS = 1_000  # of a list of names in a filter
LAST_PATH = "\U0010ffff" * 257  # sorts after every path: paths have at most 1,024 bytes


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """By confirmed labels. No sample has a label whose name is unknown: ANY and ALL of it match none, NONE all."""

    names: Sequence[str] | Param
    match: str = "ANY"


@dataclass(frozen=True, slots=True)
class TimeFilter:
    """From and to are inclusive."""

    preset: str | None = None
    from_: datetime | Param | None = None
    to: datetime | Param | None = None


@dataclass(frozen=True, slots=True)
class TextFilter:
    contains: str | Param | None = None
    eq: str | Param | None = None


@dataclass(frozen=True, slots=True)
class PathFilter:
    directory: str | Param | None = None
    recursive: bool = False
    contains: str | Param | None = None


@dataclass(frozen=True, slots=True)
class SampleFilter:
    state: str | None = None
    labels: LabelFilter | None = None
    created_at: TimeFilter | None = None
    file_name: TextFilter | None = None
    path: PathFilter | None = None
    labeled_by: Sequence[str] | Param | None = None
    hard: bool | None = None
    usage: str | None = None
    is_damaged: bool | None = None
    and_: "Sequence[SampleFilter] | None" = None
    or_: "Sequence[SampleFilter] | None" = None
    not_: "SampleFilter | None" = None


@dataclass(frozen=True, slots=True)
class Samples:
    """The rows that a filter is about. `working_set`: they are the working set's, whose paths are their sources' paths;
    otherwise the `version_id` is of the version whose they are.

    `planned`: Postgres plans for the values of each execution, and `dataset_id` is such a value; then it may know the
    labels before it chooses an index. Otherwise they are looked up once, when the statement starts.
    """

    column: Callable[[str], ColumnElement[Any]]
    dataset_id: ColumnElement[Any]
    working_set: bool = True
    planned: bool = False
    version_id: ColumnElement[Any] | None = None

    def labels_named(self, names: ColumnElement[Any], *, every: bool) -> ColumnElement[Any]:
        """The ids of the labels of these names; `every`: null unless all are known."""
        if self.version_id is not None:
            return (func.labels_all_named_in if every else func.labels_named_in)(self.version_id, names)
        return (func.labels_all_named if every else func.labels_named)(self.dataset_id, names)

    def labels_few(self, *wanted: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether the labels of these names are so rare that all that match are better found and sorted."""
        if self.version_id is not None:
            return func.labels_few_in(self.version_id, *wanted)
        return func.labels_few(self.dataset_id, *wanted)


def working_set(dataset_id: int) -> Samples:
    """The working set of a dataset, in a statement that reads the table `sample`."""
    columns = Sample.__table__.c  # type: ignore[attr-defined]
    return Samples(column=columns.__getitem__, dataset_id=at_once(BigInteger(), int, dataset_id))


def conditions(wanted: SampleFilter, samples: Samples, bind: Bind = at_once) -> ColumnElement[bool]:
    """What holds for the samples that match. Which dataset they belong to is for the caller to say.

    Raises Invalid for a time that ends before it begins: at once, or when the plan's values are bound.
    """
    if _size(wanted) > MOST_PARTS:
        raise Invalid(f"A filter has at most {MOST_PARTS} parts: say it in fewer.", most=MOST_PARTS)
    return _Builder(samples, bind).all_of(wanted, indexed=True)


def _size(wanted: SampleFilter) -> int:
    below = [*(wanted.and_ or ()), *(wanted.or_ or ()), *([wanted.not_] if wanted.not_ else [])]
    return 1 + sum(_size(each) for each in below)


def narrows(wanted: SampleFilter) -> bool:
    """Whether the filter has a criterion, so that it is not just every sample in other words. For plain values."""
    return (
        any(each is not None for each in (wanted.state, wanted.hard, wanted.usage, wanted.is_damaged))
        or bool(wanted.labels and wanted.labels.names)
        or bool(wanted.labeled_by)
        or wanted.created_at not in (None, TimeFilter())
        or (wanted.file_name is not None and (wanted.file_name.eq is not None or bool(wanted.file_name.contains)))
        or (wanted.path is not None and _narrows_path(wanted.path))
        or any(narrows(each) for each in wanted.and_ or ())
        or (bool(wanted.or_) and all(narrows(each) for each in wanted.or_ or ()))
        or (wanted.not_ is not None and narrows(wanted.not_))
    )


def _narrows_path(wanted: PathFilter) -> bool:
    everywhere = wanted.directory is None or (wanted.recursive and not str(wanted.directory).strip("/"))
    return bool(wanted.contains) or not everywhere


def few_carry_labels(
    wanted: SampleFilter, samples: Samples, page: int, bind: Bind = at_once
) -> ColumnElement[bool] | None:
    """Whether it is cheaper to find all that match by their labels than to walk along an order until a page is full.

    Told by the labels' own counts: the statistics of Postgres do not know rare or new labels. NULL where no label has
    such a name; None where the filter names no labels that every match has.
    """
    every = [each.labels for each in _conjuncts(wanted) if each.labels is not None and each.labels.match != "NONE"]
    few = [
        samples.labels_few(
            bind(WORDS, labels_to_find, labels.names),
            sql("true" if labels.match == "ALL" else "false"),
            sql(str(page)),
        )
        for labels in every
    ]
    return or_(*few) if few else None


def _conjuncts(wanted: SampleFilter) -> Iterator[SampleFilter]:
    yield wanted
    for each in wanted.and_ or ():
        yield from _conjuncts(each)


@dataclass(frozen=True, slots=True)
class _Builder:
    samples: Samples
    bind: Bind

    def all_of(self, wanted: SampleFilter, *, indexed: bool) -> ColumnElement[bool]:
        """`indexed`: every row of the result meets this, so that an index may find them."""
        return and_(true(), *self._criteria(wanted, indexed))

    def _criteria(self, wanted: SampleFilter, indexed: bool) -> Iterator[ColumnElement[bool]]:
        yield from self._of_row(wanted)
        if wanted.labels is not None:
            yield self._labels(wanted.labels)
        if wanted.created_at is not None:
            yield from self._time(wanted.created_at)
        if wanted.file_name is not None:
            yield from self._file_name(wanted.file_name, indexed)
        if wanted.path is not None:
            yield from self._path(wanted.path, indexed)
        for each in wanted.and_ or ():
            yield self.all_of(each, indexed=indexed)
        if wanted.or_ is not None:
            yield or_(false(), *(self.all_of(each, indexed=False) for each in wanted.or_))
        if wanted.not_ is not None:
            yield self.all_of(wanted.not_, indexed=False).is_not(true())

    def _of_row(self, wanted: SampleFilter) -> Iterator[ColumnElement[bool]]:
        column = self.samples.column
        if wanted.state is not None:
            yield column("state") == _word(wanted.state)
        if wanted.usage is not None:
            yield column("usage") == _word(wanted.usage)
        if wanted.hard is not None:
            yield column("hard") if wanted.hard else ~column("hard")
        if wanted.is_damaged is not None:
            yield self._damaged() if wanted.is_damaged else ~self._damaged()
        if wanted.labeled_by is not None:
            yield column("labeled_by") == func.any(self.bind(WORDS, names_to_find, wanted.labeled_by))

    def _damaged(self) -> ColumnElement[bool]:
        """Few sources are, and an index knows them."""
        source = Source.__table__.alias()  # type: ignore[attr-defined]
        damaged = select(source.c.id).where(source.c.dataset_id == self.samples.dataset_id, source.c.damaged)
        return self.samples.column("source_id").in_(damaged)

    def _labels(self, wanted: LabelFilter) -> ColumnElement[bool]:
        label_ids = self.samples.column("label_ids")
        names = self.bind(WORDS, labels_to_find, wanted.names)
        if wanted.match == "ALL":
            return label_ids.op("@>")(self._known(self.samples.labels_named(names, every=True)))
        found = label_ids.op("&&")(self._known(self.samples.labels_named(names, every=False)))
        return found.is_not(true()) if wanted.match == "NONE" else found

    def _known(self, ids: ColumnElement[Any]) -> ColumnElement[Any]:
        return ids if self.samples.planned else select(ids).scalar_subquery()

    def _time(self, wanted: TimeFilter) -> Iterator[ColumnElement[bool]]:
        created_at = self.samples.column("created_at")
        if wanted.preset is not None:
            yield and_(created_at >= sql(PRESETS[wanted.preset]), created_at <= func.now())
        if wanted.from_ is not None:
            yield created_at >= self.bind(DateTime(timezone=True), _from, wanted.from_, wanted.to)
        if wanted.to is not None:
            yield created_at <= self.bind(DateTime(timezone=True), in_utc, wanted.to)

    def _file_name(self, wanted: TextFilter, indexed: bool) -> Iterator[ColumnElement[bool]]:
        name = func.split_part(composed(self.samples.column("path")), sql("'/'"), sql("-1"))
        if wanted.eq is not None:
            found = name == self._bind_path(text_to_find, wanted.eq)
            yield self._among_sources(found, self._bind_path(ending_with, wanted.eq), indexed)
        if wanted.contains is not None:
            found = self._contains(name, wanted.contains)
            yield self._among_sources(func.coalesce(found, false()), self._pattern(wanted.contains), indexed)

    def _path(self, wanted: PathFilter, indexed: bool) -> Iterator[ColumnElement[bool]]:
        path = composed(self.samples.column("path"))
        if wanted.directory is not None:
            yield self._below(wanted.directory)
            if not wanted.recursive:
                yield path.not_like(self._bind_path(below_directory, wanted.directory))
        if wanted.contains is not None and indexed and self.samples.working_set:
            yield self._among_sources(self._exactly(path, wanted.contains), self._pattern(wanted.contains), indexed)
        elif wanted.contains is not None:
            yield self._contains(path, wanted.contains)

    def _below(self, directory: Any) -> ColumnElement[bool]:
        """Two ranges, each with an index: of paths as they are, and of those that are not in NFC as they would be."""
        path, in_nfc = self.samples.column("path"), composed(self.samples.column("path"))
        start, end = (self._bind_path(make, directory) for make in (directory_start, directory_end))
        others = and_(
            in_nfc != path,
            in_nfc >= self._bind_path(other_directory_start, directory),
            in_nfc < self._bind_path(other_directory_end, directory),
        )
        return or_(and_(path >= start, path < end), others)

    def _bind_path(self, make: Callable[[str], str | None], text: Any) -> ColumnElement[Any]:
        """What is made of a text that is compared with paths: in NFC, as they are."""
        return self.bind(Text(), lambda given: make(normalize("NFC", bounded(given))), text)

    def _among_sources(
        self, found: ColumnElement[bool], pattern: ColumnElement[Any], indexed: bool
    ) -> ColumnElement[bool]:
        """Where it pays, what is `found` is looked for by the index of substrings, which is on the sources' paths."""
        if not (indexed and self.samples.working_set):
            return found
        source = Source.__table__.alias()  # type: ignore[attr-defined]
        likely = select(source.c.id).where(
            source.c.dataset_id == self.samples.dataset_id,
            func.lower(composed(source.c.path)).like(pattern),
        )
        return and_(found, self.samples.column("source_id").in_(likely))

    def _pattern(self, needle: Any) -> ColumnElement[Any]:
        return self._bind_path(containing, needle)

    def _contains(self, text: ColumnElement[Any], needle: Any) -> ColumnElement[bool]:
        return and_(func.lower(text).like(self._pattern(needle)), self._exactly(text, needle))

    def _exactly(self, text: ColumnElement[Any], needle: Any) -> ColumnElement[bool]:
        """For letters beyond ASCII, which the pattern leaves open: `lower` knows ASCII only, in the order "C"."""
        folded = self._bind_path(folded_needle, needle)
        others, forms = self._bind_path(letters_to_fold, needle), self._bind_path(folded_letters, needle)
        return or_(folded.is_(None), func.strpos(func.translate(func.lower(text), others, forms), folded) > sql("0"))


def composed(path: ColumnElement[Any]) -> ColumnElement[Any]:
    """A path in NFC. File systems keep names as they were written: some write `é` as two code points."""
    return func.composed(path, type_=Text(collation="C"))


# -- what is bound ----------------------------------------------------------------------------------------------------


def bounded(text: str) -> str:
    """Raises Invalid for a text that is longer than anything it could be compared with."""
    if len(text) > MAX_TEXT_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise Invalid(f"A text in a filter has at most {MAX_TEXT_BYTES:,} bytes.", most=MAX_TEXT_BYTES)
    return text


def bounded_list(texts: Sequence[str]) -> Sequence[str]:
    if len(texts) > MAX_ITEMS:
        raise Invalid(f"A list in a filter has at most {MAX_ITEMS:,} items.", most=MAX_ITEMS, given=len(texts))
    return [bounded(text) for text in texts]


def text_to_find(text: str) -> str | None:
    return storable_word(bounded(text))


def names_to_find(names: Sequence[str]) -> list[str]:
    return storable(bounded_list(names))


def labels_to_find(names: Sequence[str]) -> list[str]:
    return label_names(bounded_list(names))


def storable_word(text: str) -> str | None:
    return text if is_storable(text) else None


def storable(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if is_storable(text)]


def label_names(names: Sequence[str]) -> list[str]:
    """Each name once. What no label can be called becomes '', which no label is called."""
    return sorted({nfc(name) if is_storable(name) else "" for name in names})


def in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # within a day of the first or the last year
        return moment.replace(tzinfo=UTC)


def _from(moment: datetime, to: datetime | None) -> datetime:
    if to is not None and moment > to:
        raise Invalid("`createdAt.from` lies after `createdAt.to`: exchange them.", field="createdAt")
    return in_utc(moment)


def directory_start(directory: str) -> str | None:
    """The directory with its closing slash; '' for the top."""
    place = bounded(directory).strip("/")
    return storable_word(f"{place}/" if place else "")


def directory_end(directory: str) -> str | None:
    """The least text that sorts after every path in the directory: '0' follows '/'."""
    place = bounded(directory).strip("/")
    return storable_word(f"{place}0" if place else LAST_PATH)


def other_directory_start(directory: str) -> str | None:
    """None for ASCII, which is the same in every form."""
    return None if directory.isascii() else directory_start(directory)


def other_directory_end(directory: str) -> str | None:
    return None if directory.isascii() else directory_end(directory)


def below_directory(directory: str) -> str | None:
    start = directory_start(directory)
    return None if start is None else f"{escape(start)}%/%"


def ending_with(text: str) -> str | None:
    return f"%{_open(text)}" if is_storable(bounded(text)) else None


def containing(needle: str) -> str | None:
    return f"%{_open(needle)}%" if is_storable(bounded(needle)) else None


def folded_needle(needle: str) -> str | None:
    """The needle in the case in which texts are compared, if it has letters with case beyond ASCII."""
    if not is_storable(bounded(needle)) or not any(_has_case(letter) for letter in needle):
        return None
    return "".join(_fold(letter) for letter in needle)


def letters_to_fold(needle: str) -> str | None:
    """The other forms of the needle's letters beyond ASCII, which a text may have in their place."""
    return "".join(_other_forms(needle)) or None if is_storable(bounded(needle)) else None


def folded_letters(needle: str) -> str | None:
    """What each of `letters_to_fold` becomes."""
    return "".join(_other_forms(needle).values()) or None if is_storable(bounded(needle)) else None


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _open(needle: str) -> str:
    """The needle for LIKE on `lower(…)`: any letter in the place of those that `lower` does not know."""
    return "".join("_" if _has_case(letter) else escape(_lower(letter)) for letter in needle)


def _lower(letter: str) -> str:
    return letter.lower() if letter.isascii() else letter


def _has_case(letter: str) -> bool:
    return not letter.isascii() and len(_cases(letter)) > 1


def _cases(letter: str) -> set[str]:
    cases = {letter, letter.lower(), letter.upper(), letter.upper().lower()}
    return {case for case in cases if len(case) == 1}


def _fold(letter: str) -> str:
    """The one form of a letter that all its cases have in common."""
    upper = letter.upper() if len(letter.upper()) == 1 else letter
    return upper.lower() if len(upper.lower()) == 1 else upper


def _other_forms(needle: str) -> dict[str, str]:
    cases = {form: _fold(letter) for letter in needle if _has_case(letter) for form in _cases(letter)}
    return {form: folded for form, folded in sorted(cases.items()) if form != folded and not form.isascii()}


def _word(word: str) -> ColumnElement[str]:
    """One of our own words, written out so that every plan knows it."""
    if not (word.isascii() and word.replace("_", "").isalnum()):
        raise Invalid("That is no word of the schema.")
    return sql(f"'{word}'")
