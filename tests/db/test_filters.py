"""Filters in a writer's statement, with plain values."""

import re
from datetime import UTC, datetime

import pytest
from sqlmodel import col, select

from db.errors import Invalid
from db.exports.requests import FILTER
from db.postgres import sql
from db.postgres.engine import Database
from db.postgres.models import Sample
from db.queries.filters import (
    IntFilter,
    LabelFilter,
    SampleFilter,
    TimeFilter,
    conditions,
    working_set,
)
from db.queries.paths import PathFilter, TextFilter
from db.queries.suggestions import FloatFilter, ModelFilter, SuggestionFilter
from tests.db import dataset_rows


async def matched(database: Database, dataset_id: int, filter_: SampleFilter) -> list[int]:
    statement = select(Sample.id).where(
        col(Sample.dataset_id) == dataset_id, conditions(filter_, working_set(dataset_id))
    )
    async with database.writing() as session:
        return sorted((await session.exec(statement)).all())


@pytest.mark.portable
async def test_a_writer_selects_what_a_page_shows(database: Database) -> None:
    made = await dataset_rows.make(database, samples=4, labels=("cat",), directory="in/")
    first, second, third, last = made.samples
    assert await matched(database, made.id, SampleFilter()) == made.samples
    assert await matched(database, made.id, SampleFilter(labels=LabelFilter(["cat"], "NONE"))) == made.samples
    assert await matched(database, made.id, SampleFilter(labels=LabelFilter(["cat", "dog"], "ALL"))) == []
    assert await matched(database, made.id, SampleFilter(file_name=TextFilter(eq="000001.jpg"))) == [second]
    assert await matched(database, made.id, SampleFilter(path=PathFilter(contains="IN/000003"))) == [last]
    assert await matched(database, made.id, SampleFilter(path=PathFilter(directory=""))) == []
    assert await matched(database, made.id, SampleFilter(path=PathFilter("", recursive=True))) == made.samples
    either = [SampleFilter(file_name=TextFilter(contains=f"{at}.JPG")) for at in (0, 2)]
    assert await matched(database, made.id, SampleFilter(or_=either)) == [first, third]
    assert await matched(database, made.id, SampleFilter(not_=SampleFilter(or_=either))) == [second, last]


@pytest.mark.parametrize(
    ("prefix", "positions"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6]),
        ("a", [0, 1, 2]),
        ("a1", [0, 1]),
        ("a10", [1]),
        ("é", [3, 4]),
        ("e", []),
        ("e\u0301", [3, 4]),
        ("\ud7ff", [5]),
        ("\U0010ffff", [6]),
        ("%", []),
        ("\x00", []),
    ],
)
async def test_a_prefix_is_of_the_path_in_nfc_and_exact(database: Database, prefix: str, positions: list[int]) -> None:
    paths = ["a1.jpg", "a10.jpg", "a2.jpg", "é1.jpg", "e\u03012.jpg", "\ud7ff.jpg", "\U0010ffff.jpg"]
    made = await dataset_rows.make(database, samples=len(paths))
    async with database.writing() as session:
        for id, path in zip(made.samples, paths, strict=True):
            for table, column in (("source", "id"), ("sample", "source_id")):
                statement = (
                    f"UPDATE {table} SET path = :path WHERE {column} = (SELECT source_id FROM sample WHERE id = :id)"
                )
                await sql.run(session, statement, path=path, id=id)
    expected = [made.samples[position] for position in positions]
    assert await matched(database, made.id, SampleFilter(path=PathFilter(starts_with=prefix))) == expected
    either = SampleFilter(or_=[SampleFilter(path=PathFilter(starts_with=prefix))])
    assert await matched(database, made.id, either) == expected
    exactly = SampleFilter(path=PathFilter(in_=[*(paths[position] for position in positions), "none", "\x00"]))
    assert await matched(database, made.id, exactly) == expected


def test_bounds_that_exclude_each_other_are_refused() -> None:
    number = IntFilter(min=2, max=1)
    time = TimeFilter(from_=datetime.max.replace(tzinfo=UTC), to=datetime.min.replace(tzinfo=UTC))
    for field, filter_ in (
        ("width", SampleFilter(width=number)),
        ("height", SampleFilter(height=number)),
        ("size", SampleFilter(size_=number)),
        ("annotationCount", SampleFilter(annotation_count=number)),
        ("labeledAt", SampleFilter(labeled_at=time)),
    ):
        with pytest.raises(Invalid, match=f"`{field}..*swap them") as refused:
            conditions(filter_, working_set(1))
        assert refused.value.details == {"path": field}


def test_a_job_keeps_a_filter_by_suggestions_as_it_was() -> None:
    some = SuggestionFilter(["cat"], models=[ModelFilter("net", "1")], confidence=FloatFilter(min=0.5), disagrees=True)
    for filter_ in (SampleFilter(suggestions=some), SampleFilter(suggestions=SuggestionFilter())):
        assert FILTER.validate_python(FILTER.dump_python(filter_, mode="json")) == filter_


def test_an_id_of_a_version_is_refused() -> None:
    for filter_ in (SampleFilter(ids=["Sample:1@2"]), SampleFilter(labels=LabelFilter(ids=["Label:1@2"]))):
        with pytest.raises(Invalid, match="published version"):
            conditions(filter_, working_set(1))


async def test_what_is_null_does_not_hold_so_its_opposite_does(database: Database) -> None:
    made = await dataset_rows.make(database, samples=2)
    nobody = SampleFilter(labeled_by=["ann"])
    assert await matched(database, made.id, nobody) == []
    assert await matched(database, made.id, SampleFilter(not_=nobody)) == made.samples
    assert await matched(database, made.id, SampleFilter(not_=SampleFilter(usage="TRAIN"))) == made.samples


async def test_nothing_is_every_of_no_criteria_and_none_of_no_choices(database: Database) -> None:
    made = await dataset_rows.make(database, samples=2)
    assert await matched(database, made.id, SampleFilter(and_=[])) == made.samples
    assert await matched(database, made.id, SampleFilter(or_=[])) == []
    assert await matched(database, made.id, SampleFilter(labels=LabelFilter([], "ALL"))) == made.samples
    assert await matched(database, made.id, SampleFilter(labels=LabelFilter([]))) == []


def test_refuses_a_filter_of_too_many_parts() -> None:
    filter_ = SampleFilter(or_=[SampleFilter(is_hard=True)] * 100)
    with pytest.raises(Invalid):
        conditions(filter_, working_set(1))


async def test_a_kept_sample_whose_file_is_gone_is_still_found_by_its_name(database: Database) -> None:
    made = await dataset_rows.make(database, samples=2)
    async with database.writing() as session:
        await sql.run(session, "UPDATE source SET status = 'GONE'")
    for filter_ in (TextFilter(eq="000001.jpg"), TextFilter(contains="001.JPG")):
        assert await matched(database, made.id, SampleFilter(file_name=filter_)) == made.samples[1:]


WORDS = (
    "Größe",
    "GRÖSSE",
    "ärger",
    "ÄRGER",
    "Σίσυφος",
    "ΣΊΣΥΦΟΣ",
    "привет",
    "ПРИВЕТ",
    "ıstanbul",
    "İzmir",
    "ﬁn",
    "Ａｂ",
    "猫",
)
NEEDLES = (*WORDS, "größe", "GRÖ", "Σ", "ς", "σί", "рИв", "I", "ı", "ſ", "ß", "ａ", "\u212aelvin", "%ä", "_ö", "ö\\")


async def test_contains_finds_letters_beyond_ascii_in_either_case(database: Database) -> None:
    made = await dataset_rows.make(database, samples=len(WORDS))
    async with database.writing() as session:
        for table in ("sample", "source"):
            statement = f"""UPDATE {table} SET path = (cast(:words as text[]))[
                (SELECT count(*) FROM {table} other WHERE other.id <= {table}.id)] || '.jpg'"""
            await sql.run(session, statement, words=list(WORDS))
    for needle in NEEDLES:
        expected = [id for id, word in zip(made.samples, WORDS, strict=True) if re.search(either_case(needle), word)]
        for filter_ in (
            SampleFilter(path=PathFilter(contains=needle)),
            SampleFilter(file_name=TextFilter(contains=needle)),
            SampleFilter(or_=[SampleFilter(path=PathFilter(contains=needle))]),
        ):
            assert await matched(database, made.id, filter_) == expected, needle


def either_case(needle: str) -> str:
    """A regular expression that has each letter in the cases that are one letter, too."""
    forms = ({letter, letter.lower(), letter.upper(), letter.upper().lower()} for letter in needle)
    return "".join(f"({'|'.join(re.escape(form) for form in each if len(form) == 1)})" for each in forms)


@pytest.mark.parametrize("text", ["é" * 513, "a" * 1_025, "é" * 160_000, "\ud800" * 342])
def test_a_text_longer_than_any_path_is_refused(text: str) -> None:
    for filter_ in (
        SampleFilter(path=PathFilter(contains=text)),
        SampleFilter(path=PathFilter(directory=text)),
        SampleFilter(file_name=TextFilter(contains=text)),
        SampleFilter(file_name=TextFilter(eq=text)),
        SampleFilter(labels=LabelFilter([text])),
        SampleFilter(labeled_by=["ann", text]),
    ):
        with pytest.raises(Invalid, match="1,024 bytes"):
            conditions(SampleFilter(not_=filter_), working_set(1))


def test_a_list_of_too_many_names_is_refused() -> None:
    for filter_ in (SampleFilter(labels=LabelFilter(["a"] * 1_001)), SampleFilter(labeled_by=["a"] * 1_001)):
        with pytest.raises(Invalid, match="1,000 items"):
            conditions(filter_, working_set(1))


@pytest.mark.parametrize("needle", ["é" * 512, "aé" * 341, "%" * 1_024, "é_" * 300])
async def test_the_longest_needle_is_looked_for(database: Database, needle: str) -> None:
    made = await dataset_rows.make(database, samples=2)
    async with database.writing() as session:
        for table in ("sample", "source"):
            statement = f"UPDATE {table} SET path = :path WHERE path LIKE '%1.jpg'"
            await sql.run(session, statement, path=needle.upper())
    assert await matched(database, made.id, SampleFilter(path=PathFilter(contains=needle))) == made.samples[1:]
