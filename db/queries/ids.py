"""Global ids: `Type:number`. Clients keep them whole; only this layer takes them apart."""

import re
from collections.abc import Sequence

from db.errors import Invalid

SHAPE = re.compile(r"([A-Za-z]{1,32}):(0|[1-9][0-9]{0,18})", re.ASCII)
MAX_NUMBER = 2**63 - 1


def encode(type_name: str, number: int) -> str:
    return f"{type_name}:{number}"


def split(text: str) -> tuple[str, int]:
    """The type and number; ("", 0) for anything else."""
    match = SHAPE.fullmatch(text)
    if match is None or int(match[2]) > MAX_NUMBER:
        return "", 0
    return match[1], int(match[2])


def decode(text: str, type_name: str) -> int | None:
    """The number of an id of this type; None for any other text."""
    kind, number = split(text)
    return number if kind == type_name else None


def decode_all(texts: Sequence[str], *, limit: int) -> list[tuple[str, int]]:
    if len(texts) > limit:
        raise Invalid(f"Ask for at most {limit} ids at once.", most=limit, given=len(texts))
    return [split(text) for text in texts]
