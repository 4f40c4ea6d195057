"""Thumbnails of images of every mode, and of images with large or broken metadata."""

import io
import random
import struct
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from PIL import Image

from db.formats import images
from db.formats.images import UnreadableImage
from tests.db.images import SIZE, chunk, jpeg, noise_image, png
from tests.waiting import cost_ratio

FILM = b"\0\0\0\x18ftypmp42" + b"\xff\xda\0\0" * 70


def shown(data: bytes, size: int = 64) -> Image.Image:
    return Image.open(io.BytesIO(images.thumbnail(data, size)[0]))


def raw_png(size: tuple[int, int], bits: int, color: int, row: bytes, *chunks: bytes) -> bytes:
    """A PNG whose rows are all this one."""
    header = struct.pack(">IIBBBBB", *size, bits, color, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * size[1])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", pixels) + images.png.END


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def test_sixteen_bits_of_grey_keep_their_full_range() -> None:
    row = b"".join(value.to_bytes(2, "big") for value in range(0, 65_536, 55))[: 1_200 * 2].ljust(1_200 * 2, b"\xff")
    small = shown(raw_png((1_200, 900), 16, 0, row))
    assert small.size == (64, 48)
    shades = small.convert("L").crop((0, 24, 64, 25)).tobytes()
    assert list(shades) == sorted(shades)
    assert shades[0] < 10 < 100 < shades[32] < 156 < 245 < shades[63]


PALETTE = chunk(b"PLTE", bytes(range(48)))
MODES = {
    "grey of 1 bit": (raw_png((64, 48), 1, 0, b"\x55" * 8), False),
    "grey of 2 bits": (raw_png((64, 48), 2, 0, b"\x55" * 16), False),
    "grey of 4 bits": (raw_png((64, 48), 4, 0, b"\x55" * 32), False),
    "grey of 8 bits": (raw_png((64, 48), 8, 0, b"\x55" * 64), False),
    "grey of 16 bits": (raw_png((64, 48), 16, 0, b"\x55" * 128), False),
    "colour of 8 bits": (raw_png((64, 48), 8, 2, b"\x55" * 192), False),
    "colour of 16 bits": (raw_png((64, 48), 16, 2, b"\x55" * 384), False),
    "a palette of 1 bit": (raw_png((64, 48), 1, 3, b"\x55" * 8, PALETTE), False),
    "a palette of 4 bits": (raw_png((64, 48), 4, 3, b"\x55" * 32, PALETTE), False),
    "a palette of 8 bits": (raw_png((64, 48), 8, 3, b"\x05" * 64, PALETTE), False),
    "grey and alpha of 8 bits": (raw_png((64, 48), 8, 4, b"\x55" * 128), True),
    "grey and alpha of 16 bits": (raw_png((64, 48), 16, 4, b"\x55" * 256), True),
    "colour and alpha of 8 bits": (raw_png((64, 48), 8, 6, b"\x55" * 256), True),
    "colour and alpha of 16 bits": (raw_png((64, 48), 16, 6, b"\x55" * 512), True),
    "1 bit, one of them clear": (raw_png((64, 48), 1, 0, b"\x55" * 8, chunk(b"tRNS", b"\0\1")), True),
    "8 bits, one shade clear": (raw_png((64, 48), 8, 0, b"\x55" * 64, chunk(b"tRNS", b"\0\x55")), True),
    "16 bits, one shade clear": (raw_png((64, 48), 16, 0, b"\x55" * 128, chunk(b"tRNS", b"\x55\x55")), True),
    "colour, one colour clear": (raw_png((64, 48), 8, 2, b"\x55" * 192, chunk(b"tRNS", b"\0\x55" * 3)), True),
    "a palette, one colour clear": (
        raw_png((64, 48), 8, 3, b"\x05" * 64, PALETTE, chunk(b"tRNS", b"\xff" * 5 + b"\0")),
        True,
    ),
    "a palette, all half clear": (raw_png((64, 48), 8, 3, b"\x05" * 64, PALETTE, chunk(b"tRNS", b"\x80" * 16)), True),
    "a grey JPEG": (jpeg(image=noise_image("L")), False),
    "a JPEG of four colours": (jpeg(image=noise_image("CMYK")), False),
    "a BMP of 1 bit": (saved(noise_image("1"), "BMP"), False),
    "a grey BMP": (saved(noise_image("L"), "BMP"), False),
    "a BMP with a palette": (saved(noise_image("P"), "BMP"), False),
    "a BMP": (saved(noise_image("RGB"), "BMP"), False),
    "a BMP with alpha": (saved(noise_image("RGBA"), "BMP"), None),
}


@pytest.mark.parametrize("size", [16, 64, 1024])
@pytest.mark.parametrize("mode", MODES)
def test_an_image_of_any_mode_has_a_thumbnail(mode: str, size: int) -> None:
    data, clear = MODES[mode]
    found, (small, kind) = images.check(data), images.thumbnail(data, size)
    assert max(Image.open(io.BytesIO(small)).size) == min(size, found.width)
    assert clear is None or kind == ("image/png" if clear else "image/jpeg")


def test_a_jpeg_of_four_colours_keeps_them() -> None:
    small = shown(jpeg(image=Image.new("RGB", SIZE, (200, 30, 30)).convert("CMYK"), quality=95))
    red, green, blue = small.getpixel((5, 5))  # type: ignore[misc]
    assert red > 170
    assert max(green, blue) < 70


LONG_FILM = FILM + random.Random(1).randbytes(8 * 1024 * 1024)
MARKED_FILM = FILM + bytes(100_000) + b"PK\x03\x04 PK\x05\x06 <svg> <html>" + bytes(100_000)


@pytest.mark.parametrize("behind", [FILM, LONG_FILM, MARKED_FILM], ids=["film", "long film", "film with marks"])
def test_what_is_behind_a_photo_is_not_read(behind: bytes) -> None:
    photo = jpeg(image=noise_image(size=(64, 48)))
    assert images.check(photo + behind) == images.facts(photo)
    assert images.thumbnail(photo + behind, 32)[0] == images.thumbnail(photo, 32)[0]
    assert images.is_complete(photo + behind)


def test_scans_in_the_image_itself_still_count() -> None:
    data = jpeg(image=noise_image(), progressive=True)
    start = data.rindex(b"\xff\xda")
    with pytest.raises(UnreadableImage, match="scans"):
        images.check(data[:start] + data[start:-2] * 65 + data[-2:] + FILM)


def apart(scans: int) -> bytes:
    """A sequential JPEG of three components, each in a scan of its own, as often as that makes so many."""
    grey = jpeg(image=noise_image("L"))
    frame, scan = grey.index(b"\xff\xc0"), grey.rindex(b"\xff\xda")
    after = frame + 2 + int.from_bytes(grey[frame + 2 : frame + 4])
    components = b"\3\1\x11\0\2\x11\0\3\x11\0"
    start = grey[:frame] + b"\xff\xc0\0\x11" + grey[frame + 4 : frame + 9] + components + grey[after:scan]
    parts = [grey[scan : scan + 5] + bytes([1 + number % 3]) + grey[scan + 6 : -2] for number in range(scans)]
    return b"".join([start, *parts, grey[-2:]])


@pytest.mark.parametrize(
    "photo",
    [jpeg(image=noise_image()), jpeg(image=noise_image(), progressive=True), jpeg(image=noise_image("L")), apart(3)],
    ids=["sequential", "progressive", "grey", "a scan for each colour"],
)
@pytest.mark.parametrize("behind", [FILM, jpeg((0xE1, b"text"), image=noise_image("L")), b"\xff\xd9"])
def test_a_photo_is_shown_as_if_nothing_were_behind_it_whatever_that_ends_with(photo: bytes, behind: bytes) -> None:
    for end in (b"", b"\0", b"\xff\xd9"):
        for show in (images.rendition, images.difference_hash, lambda data: images.resized(data, 9, 7)):
            assert show(photo + behind + end) == show(photo)


def test_scans_are_counted_in_a_photo_that_is_only_shown() -> None:
    for photo in (apart(66), apart(66) + FILM + b"\xff\xd9"):
        with pytest.raises(UnreadableImage, match="scans"):
            images.thumbnail(photo, 32)


@pytest.mark.parametrize("marker", [0xC0, 0xC4, 0xDA, 0xDB, 0xE5, 0xFE])
def test_a_photo_is_shown_up_to_where_its_scan_is_damaged(marker: int) -> None:
    photo = jpeg(image=noise_image())
    middle = (photo.rindex(b"\xff\xda") + len(photo)) // 2
    damaged = photo[:middle] + bytes([0xFF, marker, 0xFF, 0xF0]) + photo[middle + 4 :]
    upper = Image.open(io.BytesIO(images.rendition(photo))).crop((0, 0, 48, 8))
    shown = Image.open(io.BytesIO(images.rendition(damaged)))
    assert shown.crop((0, 0, 48, 8)) == upper
    images.thumbnail(damaged, 32)
    images.resized(damaged, 9, 7)
    images.difference_hash(damaged)


def test_scans_behind_the_only_one_are_not_decoded() -> None:
    data = jpeg(image=noise_image(size=(2_000, 2_000)))
    start = data.rindex(b"\xff\xda")
    bomb = data[:start] + data[start:-2] * 5 + data[-2:]

    def look() -> None:
        with suppress(UnreadableImage):
            images.thumbnail(bomb, 32)

    assert cost_ratio(look, lambda: images.thumbnail(data, 32)) < 2


def test_a_photo_is_copied_once() -> None:
    photo = jpeg((0xE1, b"text"), image=noise_image(size=(2_000, 1_500)))
    images.thumbnail(photo, 32)
    tracemalloc.start()
    images.thumbnail(photo, 32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * len(photo)


BESIDE = {
    "a profile of 1.2 MiB": (b"iCCP", b"profile\0\0" + zlib.compress(bytes(1_258_291))),
    "a text of 1.2 MiB": (b"zTXt", b"comment\0\0" + zlib.compress(b"a" * 1_258_291)),
    "an international text of 1.2 MiB": (b"iTXt", b"comment\0\1\0\0\0" + zlib.compress(b"a" * 1_258_291)),
    "a profile that is none": (b"iCCP", b"profile\0\0junk"),
    "a profile of an unknown compression": (b"iCCP", b"profile\0\7junk"),
    "a text of an unknown compression": (b"zTXt", b"comment\0\7junk"),
    "a short gamma": (b"gAMA", b"\0"),
    "short colours": (b"cHRM", b"\0"),
    "a short resolution": (b"pHYs", b"\0"),
    "an animation without frames": (b"acTL", struct.pack(">II", 0, 0)),
    "a chunk of nobody's": (b"abCd", b"junk"),
}


@pytest.mark.parametrize("wrong_sum", [False, True])
@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("what", BESIDE)
def test_what_is_beside_the_pixels_does_no_harm(what: str, behind: bool, wrong_sum: bool) -> None:
    plain, kind = noise_image(), BESIDE[what]
    data = png((), [kind], plain) if behind else png([kind], (), plain)
    if wrong_sum:
        end = data.index(chunk(*kind)) + len(chunk(*kind))
        data = data[: end - 1] + bytes([data[end - 1] ^ 1]) + data[end:]
    assert images.check(data) == images.facts(data[: images.HEAD_SIZE]) == images.facts(png(image=plain))
    assert images.thumbnail(data, 32) == images.thumbnail(png(image=plain), 32)


def test_a_wrong_sum_in_what_is_needed_is_refused() -> None:
    data = png()
    with pytest.raises(UnreadableImage):
        images.facts(data[:29] + bytes([data[29] ^ 1]) + data[30:])
