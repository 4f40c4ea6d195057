"""Validation of names, labels' styles and texts from clients, before they reach SQL.

Names are compared in NFC, so that two that look the same are the same.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final, Literal

from db.errors import Invalid

# The blocks of Han ideographs, to their last code points: newer ideographs are added inside.
HAN: Final = (
    "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0002a6df\U0002a700-\U0002ebef\U0002ebf0-\U0002ee5f\U0002f800-\U0002fa1f\U00030000-\U0003347f"
)
LABEL: Final = re.compile(f"[0-9A-Za-z_\\-{HAN}]{{1,32}}")
ANY_LENGTH: Final = 64  # code points
VISIBLE: Final = "LNPS"  # categories: letters, numbers, punctuation, symbols; marks and formats need one of them
# Controls, changes of the direction of writing, line separators, the byte order mark, surrogates, noncharacters.
UNNAMEABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
LabelNameRule = Literal["STANDARD", "ANY"]
RULES: Final[Mapping[LabelNameRule, str]] = {
    "STANDARD": "1 to 32 characters of A–Z, a–z, 0–9, `-`, `_` and Han. `updateDataset(labelNames: ANY)` allows other "
    "names.",
    "ANY": f"1 to {ANY_LENGTH} characters, none of them a control character, without white space at the ends.",
}
DATASET: Final = re.compile(r"[0-9A-Za-z_\-]{1,100}")
DESCRIPTION_LENGTH: Final = 256
MAX_DECOMPOSED: Final = 256  # code points of a name before it is composed: none that is valid afterwards has more
COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")
UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
NOT_DESCRIBING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def nfc(text: str) -> str:
    """The text composed (NFC). One that is too long for a name is returned unchanged, and refused for its length: the
    time is quadratic in the number of combining marks in a row, 1.5 s for 64 KB of them."""
    return unicodedata.normalize("NFC", text) if len(text) <= MAX_DECOMPOSED else text


class LabelNameRefused(Invalid):
    """A name that no label of the dataset can have. `name`: an excerpt, for messages."""

    code = "INVALID_NAME"

    def __init__(self, name: str, rule: LabelNameRule) -> None:
        self.name = excerpt(name, ANY_LENGTH)
        super().__init__(f"`{self.name}` cannot be a label's name here: {RULES[rule]}", name=self.name)


def label_name(name: str, rule: LabelNameRule = "STANDARD") -> str:
    """A label's name, normalized. Its length is counted in code points: 32 ideographs are allowed."""
    composed = nfc(name)
    if not is_standard(composed) and (
        rule != "ANY"
        or not 1 <= len(composed) <= ANY_LENGTH
        or UNNAMEABLE.search(composed) is not None
        or composed != composed.strip()
        or not any(unicodedata.category(character)[0] in VISIBLE for character in composed)
    ):
        raise LabelNameRefused(name, rule)
    return composed


def is_standard(name: str) -> bool:
    return LABEL.fullmatch(name) is not None


def dataset_name(name: str) -> str:
    if not DATASET.fullmatch(name):
        raise _invalid_name(name, "a dataset", "1 to 100 characters of A–Z, a–z, 0–9, `-` and `_`.")
    return name


def version_name(name: str) -> str:
    """A version's name, normalized: valid as a label's name under the rule STANDARD."""
    composed = nfc(name)
    if not is_standard(composed):
        raise _invalid_name(name, "a version", "1 to 32 characters of A–Z, a–z, 0–9, `-`, `_` and Han.")
    return composed


def _invalid_name(name: str, owner: str, rule: str) -> Invalid:
    return Invalid(f"`{excerpt(name)}` cannot be {owner}'s name: {rule}", code="INVALID_NAME", name=excerpt(name))


def description(text: str) -> str:
    """Free text, with line breaks and tabs, without other control characters."""
    if len(text) > DESCRIPTION_LENGTH or NOT_DESCRIBING.search(text):
        raise Invalid(f"A description has at most {DESCRIPTION_LENGTH} characters, and no control characters.")
    return text


def color(text: str | None) -> str | None:
    if text is None:
        return None
    if not COLOR.fullmatch(text):
        raise Invalid(f"`{excerpt(text)}` is not a colour: write #rrggbb, such as #ff8800.")
    return text.lower()


def shortcut(text: str | None) -> str | None:
    """One visible character."""
    if text is None:
        return None
    composed = nfc(text)
    if len(composed) != 1 or unicodedata.category(composed)[0] in "CZM":
        raise Invalid(f"`{excerpt(text)}` is not a shortcut: give one visible character, such as `c` or `1`.")
    return composed


def is_storable(text: str) -> bool:
    """Whether Postgres can store this text: no NUL, no lone surrogate. No name contains what it cannot store."""
    return "\0" not in text if text.isascii() else UNSTORABLE.search(text) is None


def storable(text: str, length: int = 10_000) -> str:
    """As Postgres can store it, whatever it contains: what cannot be stored is escaped."""
    return UNSTORABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text[:length])


def excerpt(text: str, length: int = 40) -> str:
    """The beginning of a client's text, for a message: on one line, encodable."""
    start = text[:length]
    printable = start if start.isprintable() else start.encode("unicode_escape").decode("ascii")
    return printable + ("…" if len(text) > length else "")


def quoted(value: object) -> str:
    """What a file or a client says, for a message: "… must be a number, and is …"."""
    if value is None or value == "":
        return "missing"
    if isinstance(value, str):
        return f"'{excerpt(value)}'"
    try:
        return excerpt(repr(value))
    except RecursionError:
        return "nested too deep"
