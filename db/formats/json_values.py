"""JSON as other programs write it: with NaN and Infinity, which are none of it, and numbers beyond all bounds."""

import re
from collections.abc import Callable
from math import isfinite
from typing import Any, Final

import orjson

# A string, which stays, also one that does not end (so that the time is linear); or what may be no number of JSON.
TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|-?(?:NaN|Infinity)\b|-?[0-9][0-9.eE+-]*', re.DOTALL)
NAMES: Final = (b"NaN", b"Infinity", b"-Infinity", b"-NaN")
EXCERPT: Final = 20  # characters of a number


def loads(data: bytes, note: Callable[[str], object]) -> Any:
    """The value; numbers that are none are null, and the first one is reported. Raises orjson.JSONDecodeError."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        replaced = list[bytes]()

        def as_null(token: re.Match[bytes]) -> bytes:
            text = token[0]
            if text.startswith(b'"') or (text not in NAMES and _is_finite(text)):
                return text
            replaced.append(text)
            return b"null"

        found = orjson.loads(TOKEN.sub(as_null, data))
        if replaced:
            shown = replaced[0][:EXCERPT].decode() + ("…" if len(replaced[0]) > EXCERPT else "")
            note(f"{shown} is no number of JSON, and was read as null.")
        return found


def _is_finite(text: bytes) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return True  # it is no number, and refused
