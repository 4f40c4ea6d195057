"""How sure models are of a sample: computed in SQL, and compared with plain Python; kept right by whoever writes."""

from collections.abc import Sequence
from itertools import groupby
from math import log2
from random import Random
from typing import Any

import pytest

from db.history.derived_state import SURENESS
from db.labelling.samples.label import LabelWith, label
from db.labelling.samples.selection import Selection
from db.postgres.engine import Database
from tests.db import dataset_rows
from tests.db.dataset_rows import ANN
from tests.db.suggestion_rows import BOX, Suggested, suggest

Suggestion = tuple[int, int, float, bool]  # model, label, confidence, whether of the whole image


def entropy(parts: Sequence[float]) -> float:
    return -sum(part * log2(part) for part in parts if part > 0)


def expected(suggestions: Sequence[Suggestion], label_ids: Sequence[int]) -> list[float | None]:
    """The definitions, word by word."""
    margins, entropies, votes = [], [], []
    for model, of_model in groupby(sorted(suggestions), key=lambda each: each[0]):
        some = list(of_model)
        whole = sorted([(-confidence, label) for _, label, confidence, is_whole in some if is_whole])
        answers = [[-confidence for confidence, _ in whole]] if whole else []
        answers += [[confidence] for _, _, confidence, is_whole in some if not is_whole]
        for answer in answers:
            margins.append(max(2 * answer[0] - 1, 0) if len(answer) == 1 else answer[0] - answer[1])
            total = sum(answer)
            entropies.append(entropy([*(each / max(total, 1) for each in answer), max(0.0, 1 - total)]))
        if whole:
            votes.append((whole[0][1], -whole[0][0], model))
    disagreement = None
    if len(votes) > 1:
        every = sum(confidence for _, confidence, _ in votes)
        most = max(sum(vote[1] for vote in votes if vote[0] == label) for label, _, _ in votes)
        disagreement = 1 - most / every if every else 0.0
    others = [confidence for _, label, confidence, _ in suggestions if label_ids and label not in label_ids]
    surest = max(each[2] for each in suggestions)
    return [surest, min(margins), max(entropies), disagreement, max(others, default=None)]


def about(values: Sequence[float | None] | None) -> list[Any]:
    return [each if each is None else pytest.approx(each, abs=1e-9) for each in values or ()]


@pytest.mark.portable
async def test_the_numbers_are_as_they_are_defined(database: Database) -> None:
    random = Random(1)
    async with database.reading() as connection:
        for _ in range(300):
            suggestions: list[Suggestion] = []
            for model in random.sample(range(1, 5), random.randint(1, 3)):
                for label_ in random.sample(range(1, 6), random.randint(1, 3)):
                    confidence = random.choice((0.0, 0.1, 0.25, 0.5, 0.5, 0.9, 1.0, random.random()))
                    suggestions.append((model, label_, confidence, random.random() < 0.7))
            label_ids = sorted(random.sample(range(1, 6), random.choice((0, 0, 1, 3))))
            models, labels, confidences, whole = zip(*suggestions, strict=True)
            found = await connection.fetchval(
                "SELECT suggestion_scores($1, $2, $3, $4, $5)", models, labels, confidences, whole, label_ids
            )
            assert found == about(expected(suggestions, label_ids)), (suggestions, label_ids)


async def test_one_suggestion_alone_is_known_without_the_function(database: Database) -> None:
    made = await dataset_rows.make(database, samples=7, labels=("cat",))
    confidences = (None, 0.0, 1e-9, 0.3, 0.5, 0.99, 1.0)
    some = {
        sample: [Suggested(made.labels["cat"], confidence, None if confidence is None else ("net", "1"))]
        for sample, confidence in zip(made.samples, confidences, strict=True)
    }
    await suggest(database, made.id, some)
    for (sample, _), confidence in zip(some.items(), confidences, strict=True):
        async with database.reading() as connection:
            general = await connection.fetchval("SELECT suggestion_scores($1, '{}')", sample)
        assert await stored(database, sample) == [*general, confidence or 0.0]
        assert general == about(expected([(1, 1, confidence or 0.0, True)], []))


async def test_the_numbers_follow_whoever_labels_and_nothing_is_left_of_them(database: Database) -> None:
    made = await dataset_rows.make(database, samples=3, labels=("cat", "dog"))
    cat, dog = made.labels["cat"], made.labels["dog"]
    first, second, untouched = made.samples
    both = [Suggested(cat, 0.6), Suggested(dog, 0.8, ("net", "2")), Suggested(cat, 0.5, None, BOX)]
    await suggest(database, made.id, {first: both, second: [Suggested(dog, 0.25)]})
    assert await stored(database, first) == about([0.8, 0.0, 1.0, 1 - 0.8 / 1.4, None, 0.5])
    await put(database, made.id, first, "cat")  # its suggestions are confirmed, and dog is disputed
    assert (await stored(database, first))[0::4] == [0.8, 0.8]
    assert (await stored(database, first))[5] == 0.8
    await put(database, made.id, second, "dog")
    assert [await stored(database, each) for each in (second, untouched)] == [[None] * 6] * 2
    await put(database, made.id, first, "cat", mode="SET")  # which takes the suggestions away
    assert await stored(database, first) == [None] * 6
    assert await dataset_rows.wrong(database, made.id) == []


async def stored(database: Database, sample: int) -> list[float | None]:
    async with database.reading() as connection:
        [row] = await connection.fetch(f"SELECT {', '.join(SURENESS)} FROM sample WHERE id = $1", sample)
    return list(row)


async def put(database: Database, dataset_id: int, sample: int, name: str, mode: Any = "ADD") -> None:
    async with database.writing() as session:
        how = LabelWith(labels=[name], mode=mode)
        await label(session, dataset_id, Selection(ids=[sample]), how, by=ANN)
