"""Global ids: `Type:number`, and `Type:number@version` for an object as it was in a published version.

Clients keep them whole; only this layer takes them apart.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from db.errors import Invalid

PATTERN = re.compile(r"([A-Za-z]{1,32}):(0|[1-9][0-9]{0,18})(?:@([1-9][0-9]{0,18}))?", re.ASCII)
MAX_NUMBER = 2**63 - 1


class GlobalId(NamedTuple):
    type: str
    number: int
    version: int | None = None  # the number of the version; None: as it is now


NO_ID = GlobalId("", 0)


def encode(type_name: str, number: int) -> str:
    return f"{type_name}:{number}"


def parse(text: str) -> GlobalId:
    """The parts of a global id; NO_ID for any other text."""
    match = PATTERN.fullmatch(text)
    if match is None or max(int(match[2]), int(match[3] or 0)) > MAX_NUMBER:
        return NO_ID
    return GlobalId(match[1], int(match[2]), int(match[3]) if match[3] else None)


def kind(text: str) -> str:
    """The type in a global id, with an `@` for one of a version's object; empty for any other text."""
    type_, _, version = parse(text)
    return type_ if version is None else f"{type_}@"


def decode(text: str, type_name: str) -> int | None:
    """The number of an id of this type, as it is now; None for any other text. Raises Invalid for an id of a version's
    object, which an argument never takes: nothing that is published changes."""
    type_, number, version = parse(text)
    if type_ != type_name:
        return None
    if version is not None:
        message = f"{text} belongs to a published version, which never changes: send the id of its `current` instead."
        raise Invalid(message, id=text)
    return number


def decode_all(texts: Sequence[str], *, limit: int) -> list[GlobalId]:
    if len(texts) > limit:
        raise Invalid(f"Ask for at most {limit} ids at once.", most=limit, given=len(texts))
    return [parse(text) for text in texts]
