"""Label files as people and their editors write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.formats.names import LABEL, label_name
from db.formats.sidecars.content import GUESSED
from db.formats.sidecars.text import MAX_BYTES, MAX_LABELS, parse

names = st.from_regex(LABEL, fullmatch=True).map(label_name)
ascii_names = st.text("abcXYZ019_-", min_size=1, max_size=32)


@pytest.mark.parametrize(
    ("data", "labels"),
    [
        (b"", ()),
        (b"\n \t\r\n", ()),
        (b"cat", ("cat",)),
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\r\ndog\r\n", ("cat", "dog")),
        (b"  cat\t\n\n dog", ("cat", "dog")),
        (b"dog\ncat\ndog\n", ("dog", "cat")),
        (b"Cat\ncat\n", ("Cat", "cat")),
        ("\ufeffcat\n猫".encode(), ("cat", "猫")),
        ("向日葵\n".encode("gb18030"), ("向日葵",)),
        ("猫\ncat".encode("utf-16-le"), None),
        ("\ufeff猫\ncat".encode("utf-16-le"), ("猫", "cat")),
        ("\ufeff猫\ncat".encode("utf-16-be"), ("猫", "cat")),
        ("\u3000猫\u00a0".encode(), ("猫",)),
        (b"\xff\xff", None),
        (b"a\0b", None),
        ("𠮷".encode(), ("𠮷",)),
    ],
)
def test_reads_it_in_the_encoding_it_is_in(data: bytes, labels: tuple[str, ...] | None) -> None:
    sidecar = parse(data)
    assert sidecar.labels == labels
    is_guessed = data == "向日葵\n".encode("gb18030")
    assert [problem.message for problem in sidecar.problems if labels is not None] == [GUESSED] * is_guessed


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_only_a_line_feed_ends_a_line(separator: str) -> None:
    sidecar = parse(f"cat{separator}dog".encode())
    assert sidecar.labels is None
    assert [problem.line for problem in sidecar.problems] == [1]


@pytest.mark.parametrize("line", ["a b", "a,b", "café", "x" * 33, "a/b", "😀", "²", "ａ"])
def test_a_bad_line_is_a_problem_and_the_others_count(line: str) -> None:
    sidecar = parse(f"cat\n{line}\ndog".encode())
    assert sidecar.labels == ("cat", "dog")
    assert [problem.line for problem in sidecar.problems] == [2]


def test_a_file_of_mistakes_says_nothing_and_an_empty_one_says_none() -> None:
    assert parse(b"not a label").labels is None
    assert parse(b"").labels == ()


def test_composes_what_is_composed() -> None:
    assert parse("が".encode()).labels is None
    assert parse("\uf900".encode()).labels == ("\u8c48",)


def test_its_size_and_length_are_bounded() -> None:
    assert parse(b"a" * (MAX_BYTES + 1)).labels is None
    sidecar = parse("\n".join(f"label-{number}" for number in range(MAX_LABELS + 5)).encode())
    assert sidecar.labels is not None
    assert len(sidecar.labels) == MAX_LABELS
    assert [problem.line for problem in sidecar.problems] == [MAX_LABELS + 1]
    wrong = parse(b"\n".join([b"no label"] * 5_000))
    assert len(wrong.problems) == MAX_LABELS + 1


@given(st.lists(names, max_size=20, unique=True), st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]))
def test_what_was_written_is_read_back(labels: list[str], encoding: str) -> None:
    data = "\n".join(labels).encode(encoding)
    if encoding == "gb18030" and _is_utf8(data) and not data.isascii():
        return  # a few short GBK texts are UTF-8 as well, and no reader can tell
    assert parse(data).labels == tuple(labels)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_an_accident(data: bytes) -> None:
    sidecar = parse(data)
    for name in sidecar.labels or ():
        assert label_name(name) == name
    assert sidecar.labels is None or len(set(sidecar.labels)) == len(sidecar.labels)
    for problem in sidecar.problems:
        assert problem.message.isprintable()


@given(st.lists(ascii_names, max_size=10), st.integers(0, 3))
def test_blank_lines_and_repetitions_do_not_matter(labels: list[str], blank: int) -> None:
    text = ("\n" * blank).join(f" {label}\n" for label in labels + labels)
    assert parse(text.encode()).labels == tuple(dict.fromkeys(labels))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
