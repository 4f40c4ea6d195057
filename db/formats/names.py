"""What a name or a text from a client may be. Everything here is refused before it comes near SQL.

Names are compared after NFC, so that two that look alike are the same; `fullmatch`, so that no newline slips through.
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
# Controls, what turns the direction of writing, line separators, the byte order mark, surrogates, noncharacters.
UNNAMEABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
LabelNameRule = Literal["STANDARD", "ANY"]
RULES: Final[Mapping[LabelNameRule, str]] = {
    "STANDARD": "1 to 32 characters of A–Z, a–z, 0–9, `-`, `_` and Han. A dataset takes other names with "
    "`updateDataset(labelNames: ANY)`.",
    "ANY": f"1 to {ANY_LENGTH} characters, none of them a control character, without white space at the ends.",
}
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


class LabelNameRefused(Invalid):
    """A name that no label of the dataset can have. `name`: as it may be excerpt."""

    code = "INVALID_NAME"

    def __init__(self, name: str, rule: LabelNameRule) -> None:
        self.name = excerpt(name, ANY_LENGTH)
        super().__init__(f"`{self.name}` cannot be a label's name here: {RULES[rule]}", name=self.name)


def label_name(name: str, rule: LabelNameRule = "STANDARD") -> str:
    """A label's name in its one form. Code points count, not bytes: 32 ideographs are fine."""
    composed = nfc(name)
    if not (is_standard(composed) or (rule == "ANY" and _is_any_name(composed))):
        raise LabelNameRefused(name, rule)
    return composed


def is_standard(name: str) -> bool:
    return LABEL.fullmatch(name) is not None


def _is_any_name(name: str) -> bool:
    return (
        1 <= len(name) <= ANY_LENGTH
        and UNNAMEABLE.search(name) is None
        and not name[0].isspace()
        and not name[-1].isspace()
        and any(unicodedata.category(character)[0] in VISIBLE for character in name)
    )


def dataset_name(name: str) -> str:
    if not DATASET.fullmatch(name):
        raise Invalid(
            f"`{excerpt(name)}` cannot be a dataset's name: 1 to 100 characters of A–Z, a–z, 0–9, `-` and `_`.",
            code="INVALID_NAME",
            name=excerpt(name),
        )
    return name


def version_name(name: str) -> str:
    """A version's name in its one form: what a label is called under the rule STANDARD."""
    composed = nfc(name)
    if not LABEL.fullmatch(composed):
        raise Invalid(
            f"`{excerpt(name)}` cannot be a version's name: 1 to 32 characters of A–Z, a–z, 0–9, `-`, `_` and Han.",
            code="INVALID_NAME",
            name=excerpt(name),
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
        raise Invalid(f"`{excerpt(text)}` is no colour: write it as #rrggbb, such as #ff8800.")
    return text.lower()


def shortcut(text: str | None) -> str | None:
    """One character that a keyboard types and a page can show."""
    if text is None:
        return None
    composed = nfc(text)
    if len(composed) != 1 or unicodedata.category(composed)[0] in "CZM":
        raise Invalid(f"`{excerpt(text)}` is no shortcut: it is one visible character, such as `c` or `1`.")
    return composed


def is_storable(text: str) -> bool:
    """Whether Postgres can hold, or look for, this text at all; nothing is ever named by what it cannot hold."""
    return UNSTORABLE.search(text) is None


def excerpt(text: str, length: int = 40) -> str:
    """A client's text as it may stand in a message: short, on one line, encodable."""
    start = text[:length]
    printable = start if start.isprintable() else start.encode("unicode_escape").decode("ascii")
    return printable + ("…" if len(text) > length else "")
