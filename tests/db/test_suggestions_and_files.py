"""What a sync says of samples that models have suggested something for, and suggestions when samples go."""

from pathlib import Path

import pytest

from db.datasets import check
from db.history.transactions import write
from db.labelling.suggestions.models import ModelName
from db.labelling.suggestions.suggest import SampleSuggestions, Suggested, Suggestion, SuggestWith, suggest
from db.postgres.engine import Database
from tests.db import dataset_fixture
from tests.db.dataset_fixture import DatasetFixture
from tests.db.dataset_rows import ANN

ANNOTATIONS = """
    SELECT label.name, confirmed, confidence, model_id IS NOT NULL AS of_model, labeled_by
    FROM annotation JOIN label ON label.id = label_id ORDER BY annotation.id
"""
COUNTS = """
    SELECT label.name, pending, accepted, rejected, corrected
    FROM suggestion_count JOIN label ON label.id = label_id ORDER BY label.name
"""


@pytest.fixture
async def dataset(database: Database, tmp_path: Path) -> DatasetFixture:
    return await dataset_fixture.local(database, tmp_path)


async def suggested(dataset: DatasetFixture, name: str = "m", **labels: float) -> Suggested:
    given = [
        SampleSuggestions(row["id"], [Suggestion(label, confidence) for label, confidence in labels.items()])
        for row in await dataset.rows("SELECT id FROM sample ORDER BY id")
    ]
    how = SuggestWith(model=ModelName(name, "1"), create_missing=True)
    return await write(
        dataset.database, lambda session: suggest(session, dataset.dataset_id, given, how, by=ANN), Suggested
    )


async def counts(dataset: DatasetFixture) -> list[tuple[object, ...]]:
    async with dataset.database.reading() as reader:
        assert await check.recount(reader, dataset.dataset_id) == []
    return [tuple(row) for row in await dataset.rows(COUNTS)]


async def test_a_label_file_decides_what_was_suggested_of_its_labels(dataset: DatasetFixture) -> None:
    dataset.put("a.png")
    await dataset.sync()
    await suggested(dataset, cat=0.9, dog=0.3)
    await suggested(dataset, "other", cat=0.6)
    dataset.put("a.txt", "cat")
    await dataset.sync()
    found = [tuple(row) for row in await dataset.rows(ANNOTATIONS)]
    assert found == [("dog", False, 0.3, True, "ann"), ("cat", True, None, False, "sync")]
    assert await counts(dataset) == [("cat", 0, 1, 0, 0), ("cat", 0, 1, 0, 0), ("dog", 1, 0, 0, 0)]
    dataset.put("a.txt", "dog")
    await dataset.sync()
    assert [row["name"] for row in await dataset.rows(ANNOTATIONS)] == ["dog"]
    assert await counts(dataset) == [("cat", 0, 0, 0, 1), ("cat", 0, 0, 0, 1), ("dog", 0, 1, 0, 0)]
    assert (await suggested(dataset, cat=0.9, dog=0.9)).rejected_before == 1


async def test_verdicts_go_with_samples_that_vanish_and_come_back_with_them(dataset: DatasetFixture) -> None:
    for name in "abc":
        dataset.put(f"{name}.png")
    await dataset.sync()
    await suggested(dataset, cat=0.9)
    await suggested(dataset)
    await suggested(dataset, cat=0.9, dog=0.2)
    dataset.put("a.txt", "dog")
    await dataset.sync()
    assert await counts(dataset) == [("cat", 3, 0, 0, 0), ("dog", 2, 1, 0, 0)]
    dataset.remove("a.png")
    await dataset.sync(remove_many=True)
    assert await counts(dataset) == [("cat", 2, 0, 0, 0), ("dog", 2, 0, 0, 0)]
    assert await dataset.rows("SELECT FROM verdict") == []
