"""annotateSamples converts and checks many annotations in the event loop: all others have their turns meanwhile."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from db.labelling.samples.annotate import PORTION, check
from schema.mutations.annotations import sample_edits
from tests.schema.annotation_fixture import box, new

T = TypeVar("T")
COUNT = 5_000
STEPS = 200  # annotations, at most, that are converted or checked in one turn
IMAGE: Any = {"kind": "OBJECT_DETECTION", "width": 640, "height": 480}


async def with_turns(work: Awaitable[T]) -> tuple[T, int]:
    """The result, and how many turns somebody else had."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    try:
        return await work, turns
    finally:
        other.cancel()


async def test_others_have_turns_while_many_annotations_are_converted_and_checked() -> None:
    add = [new("cat", box(right=100 + number / 100)) for number in range(COUNT)]
    update = [{"id": f"Annotation:{number}", "shape": box()} for number in range(1, COUNT)]
    remove = [f"Annotation:{number}" for number in range(COUNT, 2 * COUNT)]
    sample = {"sampleId": "Sample:1", "add": add, "update": update, "remove": remove}
    edits, turns = await with_turns(sample_edits([sample]))
    assert turns >= 3 * COUNT // STEPS - 1
    checked, turns = await with_turns(check(edits, {"cat": 1}, {1: IMAGE}))
    assert turns >= 2 * COUNT // STEPS - 1
    assert (len(checked.add), len(checked.update), len(checked.remove)) == (COUNT, COUNT - 1, COUNT)
    assert PORTION <= 5_000  # rows that are sent to Postgres in one turn
