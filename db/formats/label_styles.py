"""Validation of a label's colour and shortcut."""

import re
import unicodedata
from typing import Final

from db.errors import Invalid
from db.formats.names import excerpt, nfc

COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")


def color(text: str | None) -> str | None:
    if text is None:
        return None
    if not COLOR.fullmatch(text):
        raise Invalid(f"`{excerpt(text)}` is no colour: write it as #rrggbb, such as #ff8800.")
    return text.lower()


def shortcut(text: str | None) -> str | None:
    """One visible character."""
    if text is None:
        return None
    composed = nfc(text)
    if len(composed) != 1 or unicodedata.category(composed)[0] in "CZM":
        raise Invalid(f"`{excerpt(text)}` is no shortcut: it is one visible character, such as `c` or `1`.")
    return composed
