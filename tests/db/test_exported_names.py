"""Names inside of exports, of images and labels that somebody named to do harm."""

import re
from collections import Counter
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.formats.datasets import names
from db.formats.datasets.records import DatasetLabel
from db.formats.paths import stem

NASTY = [
    *("..", ".", "...", "a", "A", "a.jpg", "a.JPG", "a.txt", "a~7", "~", "-rf", "con", "CON.x", "aux", "lpt1", "nul "),
    *(
        "C:",
        "\\\\host\\share",
        "..\\x",
        "a\nb",
        "a\tb",
        '"',
        "'",
        " ",
        "😀",
        "é",
        "e\u0301",
        "\u202e",
        "x" * 300,
        "猫" * 99,
    ),
]
PART = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\x00"), min_size=1, max_size=8),
)
PATH = st.builds(
    lambda parts, suffix: "/".join(parts) + suffix,
    st.lists(PART, min_size=1, max_size=4),
    st.sampled_from([".jpg", ".PNG", ".jpeg", ".jfif", ".jpe", ".bmp"]),
)


def exported(paths: list[str]) -> dict[str, tuple[str, str]]:
    """The path and the name of each, with what a statement says of them: whether others have the same stem."""
    stems = {path: ascii_lower(f"{path.rpartition('/')[0]}/{stem(path.rpartition('/')[2])}") for path in paths}
    same_stem = Counter(stems.values())
    same_name = Counter(each.rpartition("/")[2] for each in stems.values())
    return {
        path: (
            names.file_path(path, number, is_unique=same_stem[stems[path]] == 1),
            names.file_name(path, number, is_unique=same_name[stems[path].rpartition("/")[2]] == 1),
        )
        for number, path in enumerate(sorted(paths), start=1)
    }


def ascii_lower(text: str) -> str:
    return re.sub("[A-Z]+", lambda found: found[0].lower(), text)


def is_harmless(path: str) -> bool:
    parts = path.split("/")
    return (
        not PurePosixPath(path).is_absolute()
        and not PureWindowsPath(path).is_absolute()
        and not PureWindowsPath(path).drive
        and all(part and part.strip(".") and part.rstrip(". ") == part for part in parts)
        and all(len(part.encode()) <= 255 for part in parts)
        and not any(names.UNSAFE.search(part) or names.RESERVED.fullmatch(part) for part in parts)
    )


@given(st.lists(PATH, max_size=8, unique=True))
def test_no_image_leaves_the_folder_or_takes_the_place_of_another(paths: list[str]) -> None:
    found = exported(paths)
    for each in (0, 1):
        made = [ascii_lower(both[each]) for both in found.values()]
        assert [path for path in made if not is_harmless(path)] == []
        stems = [path.rpartition(".")[0] for path in made]
        assert len(set(stems)) == len(stems), "files beside the images have the same stems"
    directories = {
        "/".join(parts[:length])
        for parts in (ascii_lower(path).split("/") for path, _ in found.values())
        for length in range(1, len(parts))
    }
    files = {stem + suffix for path, _ in found.values() for stem in [ascii_lower(path).rpartition(".")[0]]
             for suffix in (".jpg", ".png", ".bmp", ".txt", ".xml", ".json", ".jsonl")}  # fmt: skip
    assert files & directories == set()


@given(st.lists(st.one_of(PART, PATH), max_size=8, unique=True))
def test_no_label_s_folder_leaves_the_export_or_is_that_of_another(labels: list[str]) -> None:
    found = names.folder_names([DatasetLabel(number, name) for number, name in enumerate(labels)])
    assert len({name.lower() for name in found.values()}) == len(labels)
    assert [name for name in found.values() if "/" in name or not is_harmless(name)] == []


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("a/b.jfif", "a/b.jpg"),
        ("a/b.JPE", "a/b.jpg"),
        ("a.jpg/b.jpg", "a.jpg_/b~3.jpg"),
        ("a.TXT/b.png", "a.TXT_/b~3.png"),
        ("metadata.jsonl/b.png", "metadata.jsonl_/b~3.png"),
        ("v1.2/b.png", "v1.2/b.png"),
        ("aux/b.png", "_aux/b~3.png"),
        ("../b.png", "_/b~3.png"),
    ],
)
def test_a_name_that_is_none_everywhere_is_another(path: str, made: str) -> None:
    assert names.file_path(path, 3, is_unique=True) == made
