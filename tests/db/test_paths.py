from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.errors import Invalid
from db.paths import input_path, object_path, output_path, stem, suffix


def refusal(text: str, *roots: Path) -> str:
    with pytest.raises(Invalid) as raised:
        input_path(text, roots)
    assert raised.value.code == "INVALID_PATH"
    return raised.value.message


def test_takes_a_path_and_a_url_below_an_allowed_root(tmp_path: Path) -> None:
    assert input_path(f"{tmp_path}/a/../b/", (tmp_path,)) == f"{tmp_path}/b"
    assert input_path(f"file://{tmp_path}/a%20b", (tmp_path,)) == f"{tmp_path}/a b"
    assert input_path(f"file://localhost{tmp_path}", (tmp_path,)) == str(tmp_path)


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
    assert input_path(f"{allowed}/in", (allowed,)) == f"{allowed}/real"
    refusal(f"{allowed}/round/x", allowed)


def test_refuses_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    assert "directory" in refusal(f"{tmp_path}/a.png", tmp_path)


def test_output_lies_outside_the_input(tmp_path: Path) -> None:
    source = input_path(f"{tmp_path}/in", (tmp_path,))
    assert output_path(f"{tmp_path}/out", (tmp_path,), source=source) == f"{tmp_path}/out"
    for text in (f"{tmp_path}/in", f"{tmp_path}/in/below"):
        with pytest.raises(Invalid):
            output_path(text, (tmp_path,), source=source)


@pytest.mark.parametrize(
    ("path", "front", "end"),
    [("a.JPG", "a", ".jpg"), ("d.x/a.tar.png", "d.x/a.tar", ".png"), ("d.x/a", "d.x/a", ""), (".jpg", ".jpg", "")],
)
def test_splits_the_suffix_off_the_name_alone(path: str, front: str, end: str) -> None:
    assert (stem(path), suffix(path)) == (front, end)


@given(st.text(max_size=40))
def test_no_text_becomes_a_path_that_leads_out(text: str) -> None:
    try:
        parts = object_path(text)
    except Invalid:
        return
    assert "/".join(parts) == text
    assert not {"", ".", ".."} & set(parts)
