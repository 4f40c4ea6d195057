"""Values of a filter, made ready to be compared with what Postgres stores. None: nothing stored can match."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from unicodedata import normalize

from db.errors import Invalid
from db.formats.names import is_storable, nfc
from db.queries import ids

MAX_TEXT_BYTES = 1_024  # of a text in a filter: no path and no name is longer
MAX_ITEMS = 1_000  # of a list of names in a filter
MAX_CODE_POINT, FIRST_SURROGATE, AFTER_SURROGATES = 0x10FFFF, 0xD800, 0xE000
LAST_PATH = "\U0010ffff" * 257  # sorts after every path: paths have at most 1,024 bytes


# -- texts and names --------------------------------------------------------------------------------------------------


def bounded(text: str) -> str:
    """Raises Invalid for a text that is longer than anything it could be compared with."""
    if len(text) > MAX_TEXT_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise Invalid(f"A text in a filter has at most {MAX_TEXT_BYTES:,} bytes.", most=MAX_TEXT_BYTES)
    return text


def bounded_list(texts: Sequence[str]) -> Sequence[str]:
    if len(texts) > MAX_ITEMS:
        raise Invalid(f"A list in a filter has at most {MAX_ITEMS:,} items.", most=MAX_ITEMS, given=len(texts))
    return [bounded(text) for text in texts]


def storable_or_none(text: str) -> str | None:
    return text if is_storable(text) else None


def of_storable(make: Callable[[str], str | None]) -> Callable[[str], str | None]:
    """The function for a bounded text: None for one that nobody can have stored."""
    return lambda text: make(text) if is_storable(bounded(text)) else None


def one_of(names: Sequence[str]) -> list[str]:
    """Each name once."""
    return sorted({name for name in bounded_list(names) if is_storable(name)})


def labels_named(names: Sequence[str]) -> list[str]:
    return label_names(bounded_list(names))


def label_names(names: Sequence[str]) -> list[str]:
    """Each name once. What no label can be called becomes '', which no label is called."""
    return sorted({nfc(name) if is_storable(name) else "" for name in names})


def numbers_of(type_name: str) -> Callable[[Sequence[str]], list[int]]:
    """The numbers in global ids of this type; 0, which nothing has, for what is none. Refuses ids of versions."""
    return lambda texts: sorted({ids.decode(text, type_name) or 0 for text in bounded_list(texts)})


def in_nfc(paths: Sequence[str]) -> list[str]:
    return sorted({normalize("NFC", path) for path in bounded_list(paths) if is_storable(path)})


def in_nfc_beyond_ascii(paths: Sequence[str]) -> list[str] | None:
    return [path for path in in_nfc(paths) if not path.isascii()] or None


# -- numbers ----------------------------------------------------------------------------------------------------------


def at_least(field: str) -> Callable[[int, int | None], int]:
    """The least number that the filter allows in this field. Raises Invalid where it is more than the most."""

    def minimum(least: int, most: int | None) -> int:
        if most is not None and least > most:
            raise Invalid(f"`{field}.min` is more than `{field}.max`: swap them.", path=field)
        return least

    return minimum


# -- times ------------------------------------------------------------------------------------------------------------


def in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # within a day of the first or the last year
        return moment.replace(tzinfo=UTC)


def not_before(field: str) -> Callable[[datetime, datetime | None], datetime]:
    """The start of a period, which the filter has in this field. Raises Invalid where it is after the end."""

    def start(moment: datetime, to: datetime | None) -> datetime:
        if to is not None and moment > to:
            raise Invalid(f"`{field}.from` is after `{field}.to`: swap them.", path=field)
        return in_utc(moment)

    return start


# -- directories, of storable texts -----------------------------------------------------------------------------------


def directory_start(directory: str) -> str:
    """The directory with its closing slash; '' for the top."""
    path = directory.strip("/")
    return f"{path}/" if path else ""


def directory_end(directory: str) -> str:
    """The least text that sorts after every path in the directory: '0' follows '/'."""
    path = directory.strip("/")
    return f"{path}0" if path else LAST_PATH


def prefix_end(prefix: str) -> str:
    """A text that sorts after every path with this prefix, and before all others that do."""
    for index in reversed(range(len(prefix))):
        code = ord(prefix[index])
        if code < MAX_CODE_POINT:
            following = AFTER_SURROGATES if code + 1 == FIRST_SURROGATE else code + 1
            return prefix[:index] + chr(following)
    return LAST_PATH


def without_digits_at_the_end(prefix: str) -> str:
    """A prefix that the natural order knows, too: `img1` begins `img10` only in the order of code points."""
    return prefix.rstrip("0123456789")


def below_directory(directory: str) -> str:
    return f"{escape(directory_start(directory))}%/%"


# -- LIKE, in either case, of storable texts --------------------------------------------------------------------------
# `lower(…)` knows ASCII only, in the order "C": a pattern leaves other letters open, and they are compared by folding.


def ending_with(text: str) -> str:
    return f"%{_pattern(text)}"


def containing(needle: str) -> str:
    return f"%{_pattern(needle)}%"


def folded_needle(needle: str) -> str | None:
    """The needle in the case in which texts are compared, if it has letters with case beyond ASCII."""
    return "".join(map(_fold, needle)) if any(map(_has_case, needle)) else None


def letters_to_fold(needle: str) -> str | None:
    """The other forms of the needle's letters beyond ASCII, which a text may have instead."""
    return "".join(_other_forms(needle)) or None


def folded_letters(needle: str) -> str | None:
    """What each of `letters_to_fold` becomes."""
    return "".join(_other_forms(needle).values()) or None


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _pattern(needle: str) -> str:
    """The needle for LIKE on `lower(…)`: `_` for each letter that `lower` does not know."""
    lower = (letter.lower() if letter.isascii() else letter for letter in needle)
    return "".join("_" if _has_case(letter) else escape(letter) for letter in lower)


def _has_case(letter: str) -> bool:
    return not letter.isascii() and len(_cases(letter)) > 1


def _cases(letter: str) -> set[str]:
    cases = {letter, letter.lower(), letter.upper(), letter.upper().lower()}
    return {case for case in cases if len(case) == 1}


def _fold(letter: str) -> str:
    """The one form of a letter that all its cases have in common."""
    upper = letter.upper() if len(letter.upper()) == 1 else letter
    return upper.lower() if len(upper.lower()) == 1 else upper


def _other_forms(needle: str) -> dict[str, str]:
    cases = {form: _fold(letter) for letter in needle if _has_case(letter) for form in _cases(letter)}
    return {form: folded for form, folded in sorted(cases.items()) if form != folded and not form.isascii()}
