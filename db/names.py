"""What a name or a text from a client may be. Everything here is refused before it comes near SQL.

Names are compared after NFC, so that two that look alike are the same; `fullmatch`, so that no newline slips through.
"""

import re
import unicodedata
from typing import Final

from db.errors import Invalid

# The blocks of Han ideographs, to their last code points: newer ideographs are added inside.
HAN: Final = (
    "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002a6df\U0002a700-\U0002ebef\U0002ebf0-\U0002ee5f\U0002f800-\U0002fa1f\U00030000-\U0003347f"
)
LABEL: Final = re.compile(f"[0-9A-Za-z_\\-{HAN}]{{1,32}}")
DATASET: Final = re.compile(r"[0-9A-Za-z_\-]{1,100}")
COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
DESCRIPTION_LENGTH: Final = 256
MAX_DECOMPOSED: Final = 256  # code points of a name before it is composed: none that is valid afterwards has more
UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
NOT_DESCRIBING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def nfc(text: str) -> str:
    """The text composed (NFC). One too long for a name stays as it is, and is refused for its length: composing takes
    the square of the number of combining marks in a row, 1.5 s for 64 KB of them."""
    return unicodedata.normalize("NFC", text) if len(text) <= MAX_DECOMPOSED else text


def label_name(name: str) -> str:
    """A label's name in its one form. Code points count, not bytes: 32 ideographs are fine."""
    composed = nfc(name)
    if not LABEL.fullmatch(composed):
        raise Invalid(
            f"`{shown(name)}` cannot be a label's name: 1 to 32 characters of A–Z, a–z, 0–9, `-`, `_` and Han.",
            code="INVALID_NAME",
            name=shown(name),
        )
    return composed


def dataset_name(name: str) -> str:
    if not DATASET.fullmatch(name):
        raise Invalid(
            f"`{shown(name)}` cannot be a dataset's name: 1 to 100 characters of A–Z, a–z, 0–9, `-` and `_`.",
            code="INVALID_NAME",
            name=shown(name),
        )
    return name


def version_name(name: str) -> str:
    """A version's name in its one form: what a label may be called."""
    composed = nfc(name)
    if not LABEL.fullmatch(composed):
        raise Invalid(
            f"`{shown(name)}` cannot be a version's name: 1 to 32 characters of A–Z, a–z, 0–9, `-`, `_` and Han.",
            code="INVALID_NAME",
            name=shown(name),
        )
    return composed


def description(text: str) -> str:
    """Free text: every character counts one, line breaks and tabs may be in it, other controls may not."""
    if len(text) > DESCRIPTION_LENGTH or NOT_DESCRIBING.search(text):
        raise Invalid(f"A description has at most {DESCRIPTION_LENGTH} characters, and no control characters.")
    return text


def color(text: str | None) -> str | None:
    if text is None:
        return None
    if not COLOR.fullmatch(text):
        raise Invalid(f"`{shown(text)}` is no colour: write it as #rrggbb, such as #ff8800.")
    return text.lower()


def shortcut(text: str | None) -> str | None:
    """One character that a keyboard types and a page can show."""
    if text is None:
        return None
    composed = nfc(text)
    if len(composed) != 1 or unicodedata.category(composed)[0] in "CZM":
        raise Invalid(f"`{shown(text)}` is no shortcut: it is one visible character, such as `c` or `1`.")
    return composed


def storable(text: str) -> bool:
    """Whether Postgres can hold, or look for, this text at all; nothing is ever named by what it cannot hold."""
    return UNSTORABLE.search(text) is None


def shown(text: str) -> str:
    """A client's text as it may stand in a message: short, on one line, encodable."""
    start = text[:40]
    printable = start if start.isprintable() else start.encode("unicode_escape").decode("ascii")
    return printable + ("…" if len(text) > 40 else "")
