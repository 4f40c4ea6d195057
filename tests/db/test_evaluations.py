"""Evaluations of models: what they say of labelled samples, compared with what people said."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from db.auto_labelling import comparison, job_samples
from db.auto_labelling.comparison import Mark, compare_shapes
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Shape, extent
from db.postgres.engine import Database
from tests.db.auto_labelling_fixture import opened
from tests.db.model_backend import choices, hang, rectangle
from tests.schema.annotation_fixture import annotate, box, edit_of, new

NAMES = {1: "cat", 2: "dog"}


def scores(evaluation: Any) -> dict[str, tuple[float | None, float | None, int]]:
    return {each["name"]: (each["precision"], each["recall"], each["support"]) for each in evaluation["labels"]}


def confusion(evaluation: Any) -> list[tuple[str, str, int]]:
    return [(each["actual"], each["predicted"], each["count"]) for each in evaluation["confusion"]]


def thresholds(evaluation: Any) -> dict[float, tuple[float, float | None]]:
    return {each["minConfidence"]: (each["share"], each["precision"]) for each in evaluation["thresholds"]}


async def test_of_one_label_the_surest_counts(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database, tmp_path, monkeypatch) as house:
        await house.label("cat", 0, 1, 2)
        await house.label("dog", 3)
        house.answered |= {0: choices("cat", 0.95), 1: choices("dog", 0.3, cat=0.2), 2: choices("cat", 0.6)}
        house.answered[3] = choices("dog", 0.8, bird=0.1)
        job = await house.labelled(minConfidence=0.99)
        found = job["evaluation"]
        assert (found["accuracy"], found["sampleCount"]) == (0.75, 4)
        assert scores(found) == {"cat": (1, 2 / 3, 3), "dog": (0.5, 1, 1)}
        assert confusion(found) == [("cat", "cat", 2), ("dog", "dog", 1), ("cat", "dog", 1)]
        rated = thresholds(found)
        assert (rated[0.5], rated[0.7], rated[0.9], rated[0.99]) == ((0.75, 1), (0.5, 1), (0.25, 1), (0, None))
        rows = house.client.dataset_rows.samples
        assert (sorted(house.served.samples[:4]), house.served.samples[4:]) == (rows[:4], rows[4:]), "evaluated first"
        assert (job["readCount"], job["sampleCount"], job["suggestedCount"], job["warnings"]["nodes"]) == (6, 2, 0, [])


async def test_each_of_several_labels_counts_by_itself_and_no_sample_is_asked_about_twice(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database, tmp_path, monkeypatch) as house:
        await house.label("cat", 0, 1)
        await house.label("dog", 1, 2)
        house.answered |= {0: choices("cat", 0.9, dog=0.4), 1: choices("dog", 0.8), 2: choices("dog", 0.9, bird=0.7)}
        job = await house.labelled(minConfidence=0.6, select={"all": True})
        found = job["evaluation"]
        assert (found["accuracy"], found["sampleCount"], found["confusion"]) == (2 / 3, 3, [])
        assert scores(found) == {"cat": (1, 0.5, 2), "dog": (1, 1, 2)}
        assert thresholds(found)[0.9] == (2 / 3, 1)
        assert sorted(house.served.samples) == house.client.dataset_rows.samples
        [warning] = job["warnings"]["nodes"]
        assert (warning["count"], "`bird`" in warning["message"]) == (1, True)
        assert (job["keptCount"], job["suggestedCount"], job["readCount"]) == (3, 3, 6)


async def test_shapes_count_where_the_model_finds_such(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database, tmp_path, monkeypatch, kind="OBJECT_DETECTION", size=(100, 100)) as house:
        given = [new("cat", box(0, 0, 40, 40)), new("cat", box(50, 50, 90, 90)), new("dog", box(60, 0, 90, 30))]
        await annotate(house.client, edit_of(house.client, 0, add=given), edit_of(house.client, 1, add=given[:1]))
        house.answered[0] = {
            "result": [
                rectangle("cat", 0, 0, 40, 36, 0.9),
                rectangle("cat", 5, 5, 35, 35, 0.8),  # of a cat that was found already
                rectangle("dog", 50, 50, 40, 40, 0.7),  # that is a cat
                rectangle("dog", 60, 20, 30, 30, 0.6),  # beside the dog
                rectangle("cat", 0, 0, 10, 10, 0.2),  # not sure enough to count
            ]
        }
        house.answered[1] = {"result": [rectangle("cat", 0, 0, 40, 40, 0.9)]}
        job = await house.labelled(limit=0)
        assert (job["status"], job["sampleCount"], job["suggestedCount"], job["model"]) == ("SUCCEEDED", 0, 0, None)
        found = job["evaluation"]
        assert (found["accuracy"], found["sampleCount"]) == (0.5, 2)
        assert scores(found) == {"cat": (2 / 3, 2 / 3, 3), "dog": (0, 0, 1)}
        assert confusion(found) == [("cat", "cat", 2), ("cat", "dog", 1)]
        assert thresholds(found)[0.9] == (1, 1)


async def test_a_sample_that_the_model_fails_at_is_not_evaluated_and_warned_of_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database, tmp_path, monkeypatch) as house:
        await house.label("dog", 0, 1)
        del house.answered[0]
        job = await house.labelled(select={"all": True})
        assert (job["evaluation"]["accuracy"], job["evaluation"]["sampleCount"]) == (1, 1)
        assert [(each["path"], each["count"]) for each in job["warnings"]["nodes"]] == [("000000.jpg", 1)]
        assert house.served.samples.count(house.client.dataset_rows.samples[0]) == 2, "with another, and then alone"
        assert (job["skippedCount"], job["keptCount"], job["suggestedCount"]) == (1, 1, 4)


async def test_of_many_some_are_drawn_and_another_worker_does_not_ask_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_samples, "MAX_EVALUATED", 2)
    async with opened(database, tmp_path, monkeypatch) as house:
        await house.label("dog", 0, 1, 2, 3)
        answer, stopping = house.served.answer, asyncio.Event()

        async def gated(request: web.Request, body: Any) -> Any:
            if len(house.served.samples) > 2:
                stopping.set()
                await hang(request)
            return answer(request, body)

        house.served.answer = gated
        job = await house.start()
        assert await house.work(stopping) == "RETURNED"
        assert (await house.job(job))["evaluation"]["sampleCount"] == 2
        house.served.answer = answer
        house.served.asked.clear()
        assert await house.work() == "SUCCEEDED"
        assert house.served.samples == house.client.dataset_rows.samples[4:]


# -- shapes


def square(left: float, top: float, side: float = 10) -> BoundingBox:
    return BoundingBox(left, top, left + side, top + side)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (square(0, 0), square(0, 0), 1),
        (square(0, 0), square(5, 0), 50 / 150),
        (square(0, 0), square(10, 0), 0),
        (square(0, 0), square(20, 20), 0),
        (square(0, 0), Circle(Position(5, 5), 5), 1),
        (square(0, 0), Polygon((Position(0, 0), Position(10, 0), Position(0, 5))), 0.5),
        (square(0, 0), Point(Position(5, 5)), 16 / 100),
        (Point(Position(5, 5)), Point(Position(5, 5)), 1),
        (Point(Position(5, 5)), Point(Position(6, 5)), 12 / 20),
        (Point(Position(5, 5)), Point(Position(9, 5)), 0),
        (Polyline((Position(0, 5), Position(90, 5))), Polyline((Position(0, 5), Position(90, 5))), 1),
        (Polyline((Position(0, 5), Position(90, 5))), Polyline((Position(0, 6), Position(90, 6))), 0.6),
        (Polyline((Position(5, 0), Position(5, 90))), Polyline((Position(0, 5), Position(90, 5))), 16 / 704),
    ],
)
def test_shapes_overlap_as_the_boxes_around_them(one: Shape, other: Shape, expected: float) -> None:
    boxes = extent(one), extent(other)
    assert comparison.overlap(*boxes) == comparison.overlap(*reversed(boxes)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("said", "right", "pairs"),
    [
        ([(1, square(0, 0), 0.9), (1, square(1, 0), 0.95)], [True, False], [(1, 1)]),  # the surest has it
        ([(2, square(0, 0), 0.99), (1, square(0, 1), 0.5)], [False, True], [(1, 1)]),  # who names it right comes first
        ([(2, square(0, 1), 0.9), (2, square(0, 0), 0.8)], [False, False], [(1, 2)]),  # one thing is mistaken once
        ([(1, square(12, 0), 0.9), (1, square(1, 0), 0.8)], [True, True], [(1, 1), (1, 1)]),  # each the nearest
        ([(1, None, 0.9)], [], []),
        ([], [], []),
    ],
)
def test_each_shape_is_compared_with_one(
    said: Sequence[tuple[int, Shape | None, float]], right: list[bool], pairs: list[tuple[int, int]]
) -> None:
    actual = [Mark(1, square(0, 0)), Mark(1, square(11, 0)), Mark(1)]
    found = compare_shapes(actual, [Mark(*each) for each in said])
    assert (found.actual, [each[2] for each in found.given], found.pairs) == ([1, 1], right, pairs)


def test_what_nobody_says_has_no_precision_and_what_nobody_has_no_recall() -> None:
    compared = [comparison.compare_label(1, [Mark(2, confidence=0.7)]), comparison.compare_label(1, [])]
    found = comparison.findings(compared, NAMES | {3: "bird"})
    assert (found.accuracy, found.sample_count, found.confusions) == (0, 2, [(1, "cat", "dog")])
    assert [(each.name, each.precision, each.recall, each.support) for each in found.scores] == [
        ("cat", None, 0, 2),
        ("dog", 0, None, 0),
    ]
