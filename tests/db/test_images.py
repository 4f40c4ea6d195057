"""Images, valid and invalid."""

import io
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from db.formats import images
from db.formats.images import MAX_PIXELS, MAX_SCANS, ImageFacts, UnreadableImage
from tests.waiting import cost_ratio


def encoded(form: str = "JPEG", size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 200 if mode in ("L", "I;16") else None).save(out, form, **options)
    return out.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def turned(orientation: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(exif=exif)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in body
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_reports_what_an_image_is(form: str) -> None:
    assert images.facts(encoded(form, (30, 20))) == ImageFacts(form, 30, 20, 1)  # type: ignore[arg-type]


def test_a_phones_mpo_is_a_jpeg() -> None:
    out = io.BytesIO()
    first = Image.new("RGB", (30, 20))
    first.save(out, "MPO", save_all=True, append_images=[first.copy()])
    assert Image.open(io.BytesIO(out.getvalue())).format == "MPO"
    assert images.facts(out.getvalue()).format == "JPEG"
    assert images.check(out.getvalue()).format == "JPEG"
    assert images.thumbnail(out.getvalue(), 10)[1] == "image/jpeg"


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pixel may be asked for."""

    def load(_: ImageFile.ImageFile) -> None:
        pytest.fail("it was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


@pytest.mark.usefixtures("no_decoding")
def test_the_first_bytes_are_enough() -> None:
    for form in ("JPEG", "PNG", "BMP"):
        assert images.facts(encoded(form, (2_000, 1_500))[:1_000]).width == 2_000


@pytest.mark.parametrize(("given", "expected"), [(1, 1), (6, 6), (8, 8), (0, 1), (9, 1), (65_535, 1)])
def test_reports_how_to_turn_it_upright(given: int, expected: int) -> None:
    assert images.facts(turned(given)).orientation == expected


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", encoded("PPM"), encoded("ICO"), encoded("JPEG2000"), encoded()[:50], b"BM" + b"\0" * 60,
     b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n" + b"\0" * 30, b"\xff\xd8\xff" * 50],
)  # fmt: skip
def test_refuses_what_is_no_image(data: bytes) -> None:
    for look in (images.facts, images.check, lambda data: images.thumbnail(data, 64)):
        with pytest.raises(UnreadableImage) as raised:
            look(data)
        assert raised.value.code == "IMAGE_UNREADABLE"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
def test_a_cut_image_has_facts_but_is_not_whole(form: str) -> None:
    out = io.BytesIO()
    Image.effect_noise((200, 200), 80).convert("RGB").save(out, form)
    cut = out.getvalue()[: len(out.getvalue()) // 2]
    assert images.facts(cut).width == 200
    with pytest.raises(UnreadableImage, match="is truncated"):
        images.check(cut)


@pytest.mark.usefixtures("no_decoding")
def test_refuses_too_many_pixels_before_it_decodes_one() -> None:
    for size in ((8_001, 8_000), (20_000, 10), (2**31 - 1, 2**31 - 1)):
        with pytest.raises(UnreadableImage, match="too large"):
            images.thumbnail(png(*size), 64)
    assert MAX_PIXELS < 8_001 * 8_000


def test_refuses_a_jpeg_of_endless_scans(request: pytest.FixtureRequest) -> None:
    out = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    start = data.rindex(b"\xff\xda")
    bomb = data[:start] + data[start:-2] * (MAX_SCANS + 1) + data[-2:]
    assert images.check(data).format == "JPEG"
    request.getfixturevalue("no_decoding")
    for look in (images.check, lambda data: images.thumbnail(data, 64)):
        with pytest.raises(UnreadableImage, match="scans"):
            look(bomb)


def test_a_text_bomb_is_not_inflated() -> None:
    text = b"comment\0\0" + zlib.compress(b"a" * 50_000_000)
    data = png(10, 10, *[(b"zTXt", text)] * 80)
    tracemalloc.start()
    try:
        assert images.facts(data).width == 10
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_a_thumbnail_is_upright_and_small() -> None:
    data, kind = images.thumbnail(turned(6), 30)
    assert kind == "image/jpeg"
    assert decoded(data).size == (20, 30)
    assert decoded(images.thumbnail(turned(1), 30)[0]).size == (30, 20)


def test_a_thumbnail_never_grows() -> None:
    assert decoded(images.thumbnail(encoded(size=(8, 6)), 256)[0]).size == (8, 6)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_a_thumbnail_of_any_mode_is_a_jpeg(mode: str) -> None:
    data, kind = images.thumbnail(encoded("PNG", mode=mode), 20)
    assert kind == "image/jpeg"
    assert decoded(data).size == (20, 13)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_a_thumbnail_of_something_clear_is_a_png(mode: str) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (60, 40), (255, 0, 0, 0)).convert("LA" if mode == "LA" else "RGBA").save(out, "PNG")
    data, kind = images.thumbnail(out.getvalue(), 20)
    assert kind == "image/png"
    assert decoded(data).mode == "RGBA"


def test_sixteen_bits_of_grey_keep_their_shades() -> None:
    out = io.BytesIO()
    Image.new("I;16", (20, 20), 0x8000).save(out, "PNG")
    shade = decoded(images.thumbnail(out.getvalue(), 20)[0]).getpixel((5, 5))
    assert shade == (128, 128, 128)


def test_a_large_photograph_is_made_small_without_decoding_all_of_it() -> None:
    photograph = encoded(size=(4_000, 3_000))
    assert cost_ratio(lambda: images.thumbnail(photograph, 256), lambda: decoded(photograph)) < 0.8


STOWAWAYS = [b"PK\x03\x04 jar", b"<HTML><script>", b"%PDF-1.7", b"  <?php", b"\0" * 9 + b"<svg onload=x>"]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("stowaway", STOWAWAYS)
@pytest.mark.parametrize("after", [b"", b"IEND\xaeB`\x82", b"\xff\xd9"])
def test_an_image_that_is_something_else_too_is_refused(form: str, stowaway: bytes, after: bytes) -> None:
    with pytest.raises(UnreadableImage):
        images.check(encoded(form) + stowaway + after)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("behind", [b"\0" * 100, b"\0\0\0\x18ftypmp42 a phone's film", b"\xff\xd8\xff\xe1 another"])
def test_what_phones_put_behind_an_image_is_borne(form: str, behind: bytes) -> None:
    assert images.check(encoded(form) + behind).format == form


SEEDS = [encoded(form, (9, 7)) for form in images.FORMATS] + [turned(6), encoded("TIFF", (9, 7), compression="jpeg")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_no_damage_causes_another_error(seed: bytes, data: st.DataObject) -> None:
    broken = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 8))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(broken[: data.draw(st.integers(0, len(broken)))])
    for look in (images.facts, images.check, lambda data: images.thumbnail(data, 8)):
        try:
            look(damaged)
        except UnreadableImage:
            continue
