"""What names and texts may be."""

import sys
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import Invalid
from db.formats import names, patterns
from db.ingest.uploads import files

IDEOGRAPHS = ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH")


def test_every_han_ideograph_may_be_a_label() -> None:
    han = [chr(c) for c in range(sys.maxunicode) if unicodedata.name(chr(c), "").startswith(IDEOGRAPHS)]
    assert len(han) > 90_000
    assert [character for character in han if not names.LABEL.fullmatch(character)] == []


def test_nothing_but_ascii_words_and_han_may_be_a_label() -> None:
    taken = [chr(c) for c in range(0x2000) if names.LABEL.fullmatch(chr(c))]
    assert "".join(taken) == "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"


@given(st.text(max_size=40))
def test_a_label_is_in_its_one_form_or_refused(text: str) -> None:
    if not names.LABEL.fullmatch(unicodedata.normalize("NFC", text)):
        with pytest.raises(Invalid, match=r"\A[^\n\0\ud800-\udfff]+\Z"):
            names.label_name(text)
        return
    name = names.label_name(text)
    assert names.label_name(name) == name
    assert 1 <= len(name) <= 32
    assert names.is_storable(name)


@pytest.mark.parametrize(
    "check", [names.label_name, names.version_name, files.checked_name, lambda text: patterns.validated([text])]
)
def test_no_long_text_is_composed(check: Callable[[str], object]) -> None:
    """Composing so many combining marks in a row would take hours."""
    with pytest.raises(Invalid):
        check("a" + "\u0301\u0316" * 500_000)


@pytest.mark.parametrize("text", ["", "x" * 256, "猫" * 256, "a\nb\tc", "<b>it's & more</b>"])
def test_a_description_is_free_text(text: str) -> None:
    assert names.description(text) == text


@pytest.mark.parametrize("text", ["x" * 257, "a\0", "a\x1b[31m", "\ud800", "a\rb"])
def test_a_description_has_no_controls_and_an_end(text: str) -> None:
    with pytest.raises(Invalid):
        names.description(text)


@pytest.mark.parametrize(("text", "kept"), [("c", "c"), ("1", "1"), ("猫", "猫"), ("é", "é"), ("+", "+"), (None, None)])
def test_a_shortcut_is_one_character_as_people_see_it(text: str | None, kept: Any) -> None:
    assert names.shortcut(text) == kept


@pytest.mark.parametrize("text", ["", "ab", " ", "\n", "\0", "\u0301", "\ud800", "\u200b"])
def test_what_nobody_sees_or_types_is_no_shortcut(text: str) -> None:
    with pytest.raises(Invalid):
        names.shortcut(text)


@pytest.mark.parametrize(("text", "kept"), [("#FF8800", "#ff8800"), ("#000000", "#000000"), (None, None)])
def test_a_colour_is_kept_in_small_letters(text: str | None, kept: Any) -> None:
    assert names.color(text) == kept


@pytest.mark.parametrize("text", ["", "#fff", "ff8800", "#ff880g", "#ff8800 ", "#ff8800\n", "#ｆｆ８８００"])
def test_other_ways_to_write_a_colour_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        names.color(text)


def test_a_text_too_long_for_a_name_is_not_composed() -> None:
    """Composing takes the square of the marks in a row."""
    text = "a" + "\u0301" * 100_000 + "\u0327" * 100_000
    assert names.nfc(text) is text
    for refuse in (names.label_name, names.version_name, names.shortcut):
        with pytest.raises(Invalid):
            refuse(text)
    assert names.nfc("e\u0301") == "é"
