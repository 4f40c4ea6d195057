"""Vectors that stand for images: what may be stored and compared."""

from collections.abc import Sequence
from math import isfinite
from typing import Final

from db.errors import Invalid

MAX_DIMENSION: Final = 4_000
LARGEST: Final = 1e30  # of a number's size; single precision has some more
SMALLEST: Final = 1e-30  # that a vector's largest number must have, so that the vector has a direction


def checked(vector: Sequence[float]) -> list[float]:
    """The vector. Raises Invalid for one that has no direction in single precision."""
    if not 1 <= len(vector) <= MAX_DIMENSION:
        message = f"A vector has 1 to {MAX_DIMENSION:,} numbers, and this one has {len(vector):,}."
        raise Invalid(message, most=MAX_DIMENSION, given=len(vector))
    if not all(map(isfinite, vector)):
        raise Invalid("A vector has finite numbers only; this one has an infinite number or NaN.")
    largest = max(max(vector), -min(vector))
    if not SMALLEST <= largest <= LARGEST:
        raise Invalid(
            f"The largest number of a vector must have a size from {SMALLEST:g} to {LARGEST:g}: a vector of zeros has "
            "no direction."
        )
    return list(vector)
