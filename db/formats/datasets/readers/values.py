"""What values of files can be: numbers, texts, sizes. Raises Invalid with a sentence."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from db.errors import Invalid
from db.formats.annotations import ATTRIBUTES, Attributes, Author
from db.formats.datasets import usages
from db.formats.datasets.reading import Problem, Usage
from db.formats.names import UNNAMEABLE, excerpt, is_storable, quoted
from db.formats.timestamps import said_moment

MAX_TEXT: Final = 4096  # characters of a path or a label
MAX_SIDE: Final = 10_000_000  # pixels; no image has so many
LARGEST: Final = 1e9  # of a coordinate
EXACT: Final = 2**53  # below which a float is the number that is written
MAX_POSE: Final = 64  # characters
MAX_AUTHOR: Final = 256  # characters
HUMAN: Final = "human"  # who labelled, where a file does not say
MACHINE: Final = "model"
USAGE_NAMES: Final = ("usage", "split")  # of columns; others, such as `set`, may say something else
NO_USAGES: Final = ("unassigned", "none", "null")
AS_THEY_ARE: Final[Mapping[str, str]] = {name: name for name in ATTRIBUTES}
UNKNOWN: Final = object()
TRUE, FALSE = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no", "none", "")
FLAGS: Final[Mapping[str, bool]] = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)  # in lower case
Note = Callable[[str], object]  # takes a sentence about what was ignored
NUMBER: Final = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")


def number(value: Any, name: str) -> float:
    """A finite number, also one that is written as text."""
    if type(value) is float and -LARGEST <= value <= LARGEST:  # nearly always
        return value + 0.0
    if isinstance(value, str) and len(value) <= 80 and NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(f"`{name}` must be a number, and is {quoted(value)}.")
    if not -LARGEST <= value <= LARGEST:
        raise Invalid(f"`{name}` must be a number from -{LARGEST:,.0f} to {LARGEST:,.0f}, and is {quoted(value)}.")
    return float(value) + 0.0


def exact(value: float, name: str) -> float:
    """A number that stands for something, and so is not to be another's, as those of 2^64 and more become in JSON."""
    if abs(value) >= EXACT and not isinstance(value, int):
        raise Invalid(f"`{name}` is too large a number to be read exactly, {quoted(value)}: write it as a text.")
    return value


def text(value: Any, name: str) -> str:
    """Not empty, and such that it can be stored; a number is one, too."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = exact(value, name)
        value = str(value)
    found = value.strip() if isinstance(value, str) else ""
    if not found:
        raise Invalid(f"`{name}` is missing, or not a text.")
    if len(found) > MAX_TEXT:
        raise Invalid(f"`{name}` has at most {MAX_TEXT:,} characters.")
    if not is_storable(found):
        raise Invalid(f"`{name}` is not a text that can be stored: `{excerpt(found)}`.")
    return found


def path(value: Any, name: str) -> str:
    """The same, but with the spaces at its ends: names of files may have them."""
    found = text(value, name)
    return value.strip("\t\r\n") if isinstance(value, str) and len(value) <= MAX_TEXT else found


def size(width: Any, height: Any) -> tuple[int, int] | None:
    """None where a file does not say it, or says nothing that can be a size."""
    sides = []
    for side in (width, height):
        if isinstance(side, str) and NUMBER.fullmatch(side.strip()):
            side = float(side)
        if isinstance(side, bool) or not isinstance(side, int | float) or not 1 <= side <= MAX_SIDE or side % 1:
            return None
        sides.append(int(side))
    return sides[0], sides[1]


def confidence(value: Any, name: str = "confidence") -> float | None:
    """None: there is none."""
    if value is None or value == "":
        return None
    try:
        found = number(value, "")
    except Invalid:
        found = -1.0
    if not 0 <= found <= 1:
        raise Invalid(f"`{name}` must be a number from 0 to 1, and is {quoted(value)}; it was ignored.")
    return found


def known_confidence(value: Any, name: str, note: Note) -> float | None:
    """The same; what is none is reported."""
    try:
        return confidence(value, name)
    except Invalid as refused:
        note(refused.message)
        return None


def author(
    by: Any, at: Any, note: Note, *, confirmed: bool = True, names: tuple[str, str] = ("labeled_by", "labeled_at")
) -> Author | None:
    """Who put a label, and when. None: the file says neither. What is no name or no time is passed over."""
    name = author_name(by, names[0], note)
    moment = None
    try:
        moment = said_moment(at, names[1])
    except Invalid as refused:
        note(refused.message)
    if name is None and moment is None and confirmed:
        return None
    return Author(name or (HUMAN if confirmed else MACHINE), moment, confirmed, is_said=name is not None)


def author_name(by: Any, name: str, note: Note) -> str | None:
    """Without what no label's name may contain."""
    if by is None or by == "":
        return None
    try:
        found = text(by, name)
        if UNNAMEABLE.search(found):
            raise Invalid(f"`{name}` must be without control characters, and is {quoted(found)}.")
    except Invalid as refused:
        note(f"{refused.message.removesuffix('.')}; it was ignored.")
        return None
    return found[:MAX_AUTHOR]


def attributes(said: Any, note: Note, keys: Mapping[str, str] = AS_THEY_ARE) -> Attributes:
    """Of an object of JSON with their names, or with these keys; of anything else none is said. Neither does say one
    what is no value of it, and is reported."""
    found = said if isinstance(said, Mapping) else {}
    values = {name: _attribute(name, found[key], key, note) for name, key in keys.items() if key in found}
    known = {name: value for name, value in values.items() if value is not UNKNOWN}
    return Attributes(**known, said=frozenset(known))


def _attribute(name: str, value: Any, key: str, note: Note) -> Any:
    """A flag, a pose, or UNKNOWN."""
    shown = value.strip() if isinstance(value, str) else value
    if name != "pose":
        flag = FLAGS.get(str(shown).lower()) if isinstance(shown, str | int | float | None) else None
        if flag is None:
            note(f"`{key}` must be true or false, and is {quoted(value)}; it was ignored.")
        return UNKNOWN if flag is None else flag
    if shown is None or shown == "":
        return None
    if not isinstance(shown, str) or not is_storable(shown):
        note(f"`{key}` must be a text, and is {quoted(value)}; it was ignored.")
        return UNKNOWN
    return shown[:MAX_POSE]


def usage_of_column(value: Any, name: str, location: str, problems: list[Problem]) -> Usage | None:
    return usage(value, name, location, problems if name.strip().lower() in USAGE_NAMES else [])


def usage(value: Any, name: str, location: str, problems: list[Problem]) -> Usage | None:
    """Of an image, as a field of this name says it. None: it says none, or something else, which is a problem."""
    found = usages.of_name(value)
    if found is None and value is not None and str(value).strip().lower() not in ("", *NO_USAGES):
        message = f"`{name}` must be train, val, test or inference, and is {quoted(value)}; it was ignored."
        problems.append(Problem(location, message, is_usage=True))
    return found


def other_file(path: str, said: Any) -> str | None:
    """Where an image is, as a file says it in addition to its path; empty: it says nothing that can be used. None: what
    it says is the end of the path."""
    if not isinstance(said, str) or not 0 < len(said) <= MAX_TEXT or not is_storable(said):
        return ""
    return None if f"/{path}".endswith(f"/{said}") else said


def is_text(value: str) -> bool:
    return is_storable(value)


def shown(text: str) -> str:
    """A name from an archive, as it can be in a message."""
    return text if is_storable(text) and len(text) <= MAX_TEXT else excerpt(text)
