"""The natural order of paths, computed in SQL, is the one that plain Python says."""

import random
import re

import pytest

from db.postgres.engine import Database

ALPHABET = "00012345678999aé日٣²_-./ \n"


def ordered(path: str) -> str:
    """Each number without its zeros in front, after its length, so that texts sort as the numbers do."""
    parts = [(text, number.lstrip("0"), number != "") for text, number in re.findall("([^0-9]*)([0-9]*)", path)]
    lengths = [str(len(each)) if len(each) < 9 else f"9{len(each):04}" for _, each, _ in parts]
    return "".join(
        text + (length + number if is_number else "")
        for (text, number, is_number), length in zip(parts, lengths, strict=True)
    )


@pytest.mark.portable
async def test_the_natural_order_is_as_it_is_defined(database: Database) -> None:
    draw = random.Random(1)
    paths = ["".join(draw.choices(ALPHABET, k=draw.randrange(24))) for _ in range(2_000)]
    paths += ["", "7", "a", "000", "a1b", "12345678", "123456789", "0" * 9 + "1", "9" * 1_000]
    async with database.reading() as connection:
        rows = await connection.fetch("SELECT natural_order(path) AS own FROM unnest($1::text[]) AS path", paths)
        assert await connection.fetchval("SELECT natural_order(NULL)") is None
    assert [row["own"] for row in rows] == [ordered(path) for path in paths]
    assert sorted(["b2", "b10", "b09", "a"], key=ordered) == ["a", "b2", "b09", "b10"]
