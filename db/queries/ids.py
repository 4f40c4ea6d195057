"""Global ids: `Type:number`. Clients keep them whole; only this floor takes them apart."""

import re
from collections.abc import Sequence

from db.errors import Invalid

SHAPE = re.compile(r"([A-Za-z]{1,32}):(0|[1-9][0-9]{0,18})", re.ASCII)
LARGEST = 2**63 - 1
NOTHING = ("", 0)


def encode(type_name: str, number: int) -> str:
    return f"{type_name}:{number}"


def split(text: str) -> tuple[str, int]:
    """The type and number; ("", 0) for what is no id of ours."""
    found = SHAPE.fullmatch(text)
    if found is None or int(found[2]) > LARGEST:
        return NOTHING
    return found[1], int(found[2])


def decode(text: str, type_name: str) -> int | None:
    """The number of an id of this type; None for any other, which is an id of nothing."""
    kind, number = split(text)
    return number if kind == type_name else None


def decode_all(texts: Sequence[str], *, most: int) -> list[tuple[str, int]]:
    if len(texts) > most:
        raise Invalid(f"Ask for at most {most} ids at once.", most=most, given=len(texts))
    return [split(text) for text in texts]
