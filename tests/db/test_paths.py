from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import Invalid
from db.formats.paths import path_parts, stem, suffix
from db.storage.locations import AllowedLocations
from tests.file_permissions import without_root


def refusal(text: str, *roots: Path) -> str:
    with pytest.raises(Invalid) as raised:
        AllowedLocations(roots).input(text)
    assert raised.value.code == "INVALID_PATH"
    return raised.value.message


def test_takes_a_path_and_a_url_below_an_allowed_root(tmp_path: Path) -> None:
    assert AllowedLocations((tmp_path,)).input(f"{tmp_path}/a/../b/") == f"{tmp_path}/b"
    assert AllowedLocations((tmp_path,)).input(f"file://{tmp_path}/a%20b") == f"{tmp_path}/a b"
    assert AllowedLocations((tmp_path,)).input(f"file://localhost{tmp_path}") == str(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "relative/path", "~/images", "s3://bucket/", "file://host/x", "http://x/y", "/a\0b", "/a\nb", "/\ud800",
     "/" + "a" * 1024, "file:///a?b", "file:///%00", "file:///%ff", "file://["],
)  # fmt: skip
def test_refuses_what_is_no_path(text: str) -> None:
    refusal(text, Path("/"))


def test_refuses_what_lies_elsewhere_without_saying_where(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    for text in ("/etc", f"{allowed}/../other", f"{allowed}-beside", str(tmp_path)):
        assert str(allowed) not in refusal(text, allowed)
    refusal(str(allowed))


def test_follows_links_before_it_judges(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    (allowed / "real").mkdir(parents=True)
    (allowed / "out").symlink_to(tmp_path)
    (allowed / "in").symlink_to(allowed / "real")
    (allowed / "round").symlink_to(allowed / "round")
    refusal(f"{allowed}/out/secrets", allowed)
    assert AllowedLocations((allowed,)).input(f"{allowed}/in") == f"{allowed}/real"
    refusal(f"{allowed}/round/x", allowed)


def test_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    assert "directory" in refusal(f"{tmp_path}/a.png", tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x" * 300, "too long"),
        (f"a/{'x' * 300}/b", "too long"),
        ("a.png/b", "It is a file"),
        ("round/x", "form a loop"),
    ],
)
def test_says_what_is_wrong_with_a_path_that_the_system_refuses(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert sentence in refusal(f"{tmp_path}/{text}", tmp_path)
    with pytest.raises(Invalid) as raised:
        AllowedLocations((tmp_path,)).output(f"{tmp_path}/{text}", source=str(tmp_path / "images"))
    assert raised.value.code == "INVALID_PATH"


@pytest.mark.parametrize("text", ["closed", "closed/below", "closed/below/deeper"])
def test_refuses_a_directory_that_the_server_may_not_enter(tmp_path: Path, text: str) -> None:
    (tmp_path / "closed" / "below").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    with without_root(tmp_path):
        assert "may not enter" in refusal(f"{tmp_path}/{text}", tmp_path)


@pytest.mark.parametrize("text", ["not there", "trailing blank ", "a" * 255, "é" * 127])
def test_a_directory_may_be_made_later_and_called_anything(tmp_path: Path, text: str) -> None:
    assert AllowedLocations((tmp_path,)).input(f"{tmp_path}/{text}") == f"{tmp_path}/{text}"


def test_output_lies_outside_the_input(tmp_path: Path) -> None:
    source = AllowedLocations((tmp_path,)).input(f"{tmp_path}/in")
    assert AllowedLocations((tmp_path,)).output(f"{tmp_path}/out", source=source) == f"{tmp_path}/out"
    for text in (f"{tmp_path}/in", f"{tmp_path}/in/below"):
        with pytest.raises(Invalid):
            AllowedLocations((tmp_path,)).output(text, source=source)


@pytest.mark.parametrize(
    ("path", "front", "end"),
    [("a.JPG", "a", ".jpg"), ("d.x/a.tar.png", "d.x/a.tar", ".png"), ("d.x/a", "d.x/a", ""), (".jpg", ".jpg", "")],
)
def test_splits_the_suffix_off_the_name_alone(path: str, front: str, end: str) -> None:
    assert (stem(path), suffix(path)) == (front, end)


@given(st.text(max_size=40))
def test_no_text_becomes_a_path_that_leads_out(text: str) -> None:
    try:
        parts = path_parts(text)
    except Invalid:
        return
    assert "/".join(parts) == text
    assert not {"", ".", ".."} & set(parts)
