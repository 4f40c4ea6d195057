"""Patterns for paths, compared with a slow matcher that follows their definition word by word."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import Invalid
from db.formats.patterns import MAX_LENGTH, MAX_PATTERNS, SYSTEM_NAMES, Patterns, fixed_directory, is_hidden, validated

PARTS = ("**", "*", "?", "a", "ab", "a*", "*a", "a*b", "*a*b", "?b", "**a", ".a", ".*", "@eaDir")
NAMES = ("a", "b", "ab", "aab", "abab", "ba", ".a", "..a", "@eaDir", "@EADIR", "a\nb")


def matches(pattern: str, path: str, *, hidden: bool) -> bool:
    parts = (f"{pattern}**" if pattern.endswith("/") else pattern).split("/")
    return _parts(tuple(parts), tuple(path.split("/")), hidden)


@cache
def _parts(parts: tuple[str, ...], names: tuple[str, ...], hidden: bool) -> bool:
    if not parts or not names:
        return not parts and not names
    if parts[0] != "**":
        guarded = parts[0][0] in "*?" and not hidden and is_hidden(names[0])
        return not guarded and _name(parts[0], names[0]) and _parts(parts[1:], names[1:], hidden)
    if parts[1:] and _parts(parts[1:], names, hidden):
        return True
    if not hidden and is_hidden(names[0]):
        return False
    return (len(parts) == 1 and len(names) == 1) or _parts(parts, names[1:], hidden)


@cache
def _name(part: str, name: str) -> bool:
    if not part:
        return not name
    if part[0] == "*":
        return _name(part[1:], name) or (name != "" and _name(part, name[1:]))
    return name != "" and part[0] in ("?", name[0]) and _name(part[1:], name[1:])


@given(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("/".join),
    st.booleans(),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=6).map("/".join),
    st.booleans(),
)
def test_match_as_they_are_defined(pattern: str, closed: bool, path: str, hidden: bool) -> None:
    pattern += "/" * closed
    assert Patterns([pattern], hidden=hidden).match(path) == matches(pattern, path, hidden=hidden)


@given(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("/".join),
    st.booleans(),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join),
    st.booleans(),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join),
)
def test_of_directories_it_is_known_what_may_be_below(
    pattern: str, closed: bool, directory: str, hidden: bool, name: str
) -> None:
    pattern += "/" * closed
    patterns, found = Patterns([pattern], hidden=hidden), matches(pattern, f"{directory}/{name}", hidden=hidden)
    if found:
        assert patterns.may_match_below(f"{directory}/")
        assert f"{directory}/{name}".startswith(fixed_directory(pattern))
    elif hidden:
        assert not patterns.match_below(f"{directory}/")


@pytest.mark.parametrize(
    ("pattern", "directory", "may", "all_"),
    [
        ("train/**", "train/", True, True),
        ("train/", "train/deep/", True, True),
        ("train/**", "trainer/", False, False),
        ("train/*.jpg", "train/", True, False),
        ("train/*.jpg", "train/deep/", False, False),
        ("**/thumbs/**", "a/thumbs/", True, True),
        ("**/thumbs/**", "a/", True, False),
        ("a/b/c.jpg", "a/", True, False),
        ("a/b/c.jpg", "b/", False, False),
        ("**", "a/b/", True, True),
    ],
)
def test_a_directory_may_have_matches_or_nothing_else(pattern: str, directory: str, may: bool, all_: bool) -> None:
    patterns = Patterns([pattern], hidden=True)
    assert (patterns.may_match_below(directory), patterns.match_below(directory)) == (may, all_)


def test_a_hidden_directory_is_reached_by_its_name_alone() -> None:
    assert not Patterns(["**", "*/x"], hidden=False).may_match_below(".git/")
    assert Patterns([".git/**"], hidden=False).may_match_below(".git/objects/")


@given(st.text("ab*?", min_size=1, max_size=8), st.text("ab", min_size=1, max_size=12))
def test_a_name_is_matched_wherever_its_wildcards_stand(pattern: str, name: str) -> None:
    assert Patterns([f"x/{pattern}"], hidden=True).match(f"x/{name}") == matches(
        f"x/{pattern}", f"x/{name}", hidden=True
    )


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("*.jpg", "a.jpg", True),
        ("*.jpg", "d/a.jpg", False),
        ("**/*.jpg", "a.jpg", True),
        ("**/*.jpg", "d/e/a.jpg", True),
        ("**", "d/e/a.jpg", True),
        ("d/", "d/e/a.jpg", True),
        ("d/**", "d", False),
        ("d", "d/a.jpg", False),
        ("*.JPG", "a.jpg", False),
        ("a(1).jp?", "a(1).jpg", True),
        ("**", ".d/a.jpg", False),
        (".d/**", ".d/a.jpg", True),
        (".d/**", ".d/.a.jpg", False),
        (".*/*", ".d/a.jpg", True),
        ("@eaDir/**", "@eaDir/a.jpg", True),
        ("**/*", "Thumbs.db", False),
    ],
)
def test_examples_of_included_files(pattern: str, path: str, found: bool) -> None:
    assert Patterns([pattern], hidden=False).match(path) is found


@pytest.mark.parametrize("pattern", ["*a" * 120 + "b", "**/a*/" * 40 + "b", "**/" * 80 + "b", "?*" * 120 + "b"])
def test_no_pattern_takes_more_than_a_few_steps_for_each_character(pattern: str) -> None:
    """With backtracking any of these would go on for ever."""
    found = Patterns([pattern], hidden=False)
    for path in ("a" * 1_000, "a/" * 500 + "a", "/".join(["aaaaaaaaa"] * 100)):
        assert not found.match(path)


@pytest.mark.parametrize(
    "pattern",
    ["", "/", "/a", "a//b", "./a", "a/../b", "a\0", "a\nb", "\ud800", "a\\*", "*.{jpg,png}", "[ab].jpg", "!a",
     "a" * (MAX_LENGTH + 1)],
)  # fmt: skip
def test_refuses_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(Invalid) as raised:
        validated([pattern])
    assert raised.value.code == "VALIDATION_FAILED"


def test_their_number_is_bounded_and_each_is_kept_once_and_composed() -> None:
    assert validated(["a/", "cafe\u0301/*", "caf\u00e9/*"]) == ["a/", "caf\u00e9/*"]
    assert len(validated([f"{number}" for number in range(MAX_PATTERNS)])) == MAX_PATTERNS
    with pytest.raises(Invalid):
        validated([f"{number}" for number in range(MAX_PATTERNS + 1)])


@pytest.mark.parametrize("name", [*SYSTEM_NAMES, *map(str.upper, SYSTEM_NAMES), ".a", "._a.jpg", "..."])
def test_hidden_names(name: str) -> None:
    assert all(map(is_hidden, (name, f"{name}/a.jpg", f"d/{name}", f"d/{name}/a.jpg")))
    assert not any(map(is_hidden, (f"a{name}", f"d/a{name}/b.jpg")))
