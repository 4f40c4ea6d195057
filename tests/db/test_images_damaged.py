"""Files that end before their images do, and files that only seem to."""

import io

import pytest
from PIL import Image

from db.formats import images
from db.formats.images import UnreadableImage
from tests.db.images import EXIF, jpeg, noise_image, oriented, png

LARGE = noise_image(size=(320, 240))


def bmp(mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    noise_image(mode, (320, 240)).save(out, "BMP")
    return out.getvalue()


WHOLE = {
    "baseline": jpeg(image=LARGE),
    "progressive": jpeg(image=LARGE, progressive=True),
    "grey": jpeg(image=LARGE.convert("L")),
    "four colours": jpeg(image=LARGE.convert("CMYK")),
    "restarts": jpeg(image=LARGE, restart_marker_blocks=1),
    "restarts by rows": jpeg(image=LARGE, restart_marker_rows=1),
    "restarts, progressive": jpeg(image=LARGE, restart_marker_rows=1, progressive=True),
    "one shade": jpeg(image=Image.new("RGB", (320, 240), (90, 90, 90))),
    "middle grey": jpeg(image=Image.new("L", (320, 240), 128)),
    "turned": jpeg((0xE1, EXIF + oriented(6)), image=LARGE),
}


def may_be_truncated(data: bytes) -> bool:
    return images.may_be_truncated(data[: images.HEAD_SIZE], data[-images.TAIL_SIZE :], len(data))


@pytest.mark.parametrize("what", WHOLE)
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_marker_is_whole(what: str, missing: int) -> None:
    data = WHOLE[what]
    cut = data[:-missing]
    assert may_be_truncated(cut)
    assert images.is_complete(cut)
    assert images.check(cut) == images.check(data)
    assert images.thumbnail(cut, 64) == images.thumbnail(data, 64)


@pytest.mark.parametrize("what", [what for what in WHOLE if what not in ("one shade", "middle grey")])
@pytest.mark.parametrize("share", [0.5, 0.6, 0.9, 0.99])
def test_a_cut_jpeg_is_reported_and_shows_what_there_is(what: str, share: float) -> None:
    data = WHOLE[what]
    start = data.index(b"\xff\xda")
    cut = data[: start + 14 + int((len(data) - start) * share)]
    assert may_be_truncated(cut)
    assert not images.is_complete(cut)
    with pytest.raises(UnreadableImage, match="is truncated"):
        images.check(cut)
    small = Image.open(io.BytesIO(images.thumbnail(cut, 64)[0])).convert("L")
    assert small.size == Image.open(io.BytesIO(images.thumbnail(data, 64)[0])).size
    assert len(set(small.tobytes())) > 10, "nothing is shown"


@pytest.mark.parametrize("what", ["restarts", "restarts by rows", "restarts, progressive"])
def test_a_jpeg_cut_exactly_at_a_restart_is_reported(what: str) -> None:
    data = WHOLE[what]
    restart = data.rindex(b"\xff\xd3")
    for cut in (data[:restart], data[: restart + 1], data[: restart + 2]):
        assert not images.is_complete(cut)


def test_a_jpeg_cut_before_its_pixels_has_facts_alone() -> None:
    data = WHOLE["baseline"]
    scan = data.index(b"\xff\xda")
    assert not images.is_complete(data[: scan + 14])
    assert not images.is_complete(data[:scan])


@pytest.mark.parametrize("missing", [1, 2, 4, 8, 12])
def test_a_png_without_its_end_is_whole(missing: int) -> None:
    data = png(image=LARGE)
    assert may_be_truncated(data[:-missing])
    assert images.is_complete(data[:-missing])
    assert images.check(data[:-missing]) == images.check(data)
    assert images.thumbnail(data[:-missing], 64) == images.thumbnail(data, 64)


@pytest.mark.parametrize("data", [png(image=LARGE), png(image=LARGE.convert("P")), bmp(), bmp("1"), bmp("L")])
def test_a_cut_png_or_bmp_is_reported_and_shows_what_there_is(data: bytes) -> None:
    cut = data[: int(len(data) * 0.6)]
    assert not may_be_truncated(data)
    assert may_be_truncated(cut)
    assert not images.is_complete(cut)
    with pytest.raises(UnreadableImage, match="is truncated"):
        images.check(cut)
    small = Image.open(io.BytesIO(images.thumbnail(cut, 64)[0])).convert("L")
    assert small.size == (64, 48)
    assert len(set(small.tobytes())) > 10


@pytest.mark.parametrize("data", [jpeg(image=LARGE), png(image=LARGE), bmp()])
@pytest.mark.parametrize("behind", [b"", b"\0" * 100, b"\0" * 10_000, b"\0\0\0\x18ftypmp42" + b"\xff" * 10_000])
def test_what_is_behind_an_image_is_no_damage(data: bytes, behind: bytes) -> None:
    assert images.is_complete(data + behind)
    assert not may_be_truncated(data + behind[:100])


@pytest.mark.parametrize("stowaway", [b"PK\x03\x04 jar", b"<html><script>"])
def test_a_stowaway_is_found_without_an_end_marker_too(stowaway: bytes) -> None:
    for data in (WHOLE["baseline"][:-2], png(image=LARGE)[:-12]):
        with pytest.raises(UnreadableImage):
            images.check(data + stowaway)


@pytest.mark.parametrize("data", [*(WHOLE[what] for what in ("baseline", "progressive", "restarts")), png(image=LARGE)])
def test_a_transfer_that_stopped_and_left_zeros_is_reported(data: bytes) -> None:
    stopped = data[: len(data) * 6 // 10].ljust(len(data), b"\0")
    assert may_be_truncated(stopped)
    assert not images.is_complete(stopped)
    with pytest.raises(UnreadableImage):
        images.check(stopped)
    assert len(set(Image.open(io.BytesIO(images.thumbnail(stopped, 64)[0])).convert("L").tobytes())) > 10
