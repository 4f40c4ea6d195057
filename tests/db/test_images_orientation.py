"""The orientation in an image's metadata: the one that Chromium 156 shows, looked at file by file."""

import io
import zlib

import pytest
from PIL import Image

from db.formats import images
from db.formats.images import jpeg as jpeg_files
from tests.db.images import EXIF, SIZE, XMP, jpeg, noise_image, oriented, png, raw_profile, tiff, xmp

APP1 = 0xE1
SHOWN = {
    "a number from 1 to 8": (jpeg((APP1, EXIF + oriented(6))), 6),
    "the other byte order": (jpeg((APP1, EXIF + oriented(6, order=">"))), 6),
    "0": (jpeg((APP1, EXIF + oriented(0))), 1),
    "9": (jpeg((APP1, EXIF + oriented(9))), 1),
    "300": (jpeg((APP1, EXIF + oriented(300))), 1),
    "a byte": (jpeg((APP1, EXIF + oriented(6, kind=1))), 1),
    "a long": (jpeg((APP1, EXIF + oriented(6, kind=4))), 1),
    "a signed short": (jpeg((APP1, EXIF + oriented(6, kind=8))), 1),
    "two values": (jpeg((APP1, EXIF + oriented(6, count=2))), 1),
    "no value": (jpeg((APP1, EXIF + oriented(6, count=0))), 1),
    "twice, the first counts": (jpeg((APP1, EXIF + tiff((0x112, 3, 1, 6), (0x112, 3, 1, 1)))), 6),
    "twice, the first is 1": (jpeg((APP1, EXIF + tiff((0x112, 3, 1, 1), (0x112, 3, 1, 6)))), 1),
    "twice, the first is none": (jpeg((APP1, EXIF + tiff((0x112, 3, 1, 9), (0x112, 3, 1, 6)))), 6),
    "two segments, the first counts": (jpeg((APP1, EXIF + oriented(6)), (APP1, EXIF + oriented(1))), 6),
    "two segments, the first is 1": (jpeg((APP1, EXIF + oriented(1)), (APP1, EXIF + oriented(6))), 1),
    "two segments, the first is broken": (jpeg((APP1, EXIF + b"junk"), (APP1, EXIF + oriented(6))), 1),
    "two segments, the first has none": (jpeg((APP1, EXIF + tiff((0x10F, 3, 1, 6))), (APP1, EXIF + oriented(6))), 1),
    "Exif without its second zero": (jpeg((APP1, b"Exif\0\1" + oriented(6))), 6),
    "another TIFF": (jpeg((APP1, EXIF + b"II\x2b\0" + oriented(6)[4:])), 1),
    "fewer entries than announced": (jpeg((APP1, EXIF + oriented(6).replace(b"\1\0\x12\1", b"\xf4\1\x12\1", 1))), 6),
    "a JPEG's XMP": (jpeg((APP1, XMP + xmp(6))), 1),
    "a JPEG's XMP and Exif": (jpeg((APP1, XMP + xmp(6)), (APP1, EXIF + oriented(8))), 8),
    "a PNG's eXIf": (png([(b"eXIf", oriented(6))]), 6),
    "a PNG's eXIf behind the pixels": (png([], [(b"eXIf", oriented(6))]), 1),
    "two of a PNG": (png([(b"eXIf", oriented(6)), (b"eXIf", oriented(1))]), 6),
    "two of a PNG, the first is 1": (png([(b"eXIf", oriented(1)), (b"eXIf", oriented(6))]), 1),
    "a PNG's eXIf that begins as a JPEG's": (png([(b"eXIf", EXIF + oriented(6))]), 1),
    "a PNG's eXIf of a wrong sum": (png([(b"eXIf", oriented(6))]).replace(oriented(6), oriented(8)), 1),
    "a PNG's XMP": (png([(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(6))]), 1),
    "a PNG's raw profile": (
        png([(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw_profile(EXIF + oriented(6))))]),
        1,
    ),
    "a PNG's raw profile in plain text": (png([(b"tEXt", b"Raw profile type exif\0" + raw_profile(oriented(6)))]), 1),
    "a PNG's text of that name": (png([(b"tEXt", b"exif\0" + EXIF + oriented(6))]), 1),
}


@pytest.mark.parametrize("what", SHOWN)
def test_says_and_shows_what_a_browser_shows(what: str) -> None:
    data, orientation = SHOWN[what]
    width, height = SIZE if orientation < 5 else SIZE[::-1]
    assert images.facts(data).orientation == orientation
    small = Image.open(io.BytesIO(images.thumbnail(data, 30)[0]))
    assert small.size == (width // 2, height // 2)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_thumbnail_is_turned_as_exif_means_it(orientation: int) -> None:
    """The stored image's left upper quarter is dark. Where it shows is what the number means."""
    image = Image.new("L", (64, 64), 255)
    image.paste(0, (0, 0, 32, 32))
    image.paste(128, (32, 0, 64, 32))
    data = jpeg((APP1, EXIF + oriented(orientation)), image=image)
    small = Image.open(io.BytesIO(images.thumbnail(data, 64)[0])).convert("L")
    corners = [small.getpixel(point) for point in ((8, 8), (56, 8), (56, 56), (8, 56))]
    dark, grey = ([abs(float(each) - value) < 20 for each in corners].index(True) for value in (0, 128))  # type: ignore[arg-type]
    where = {1: (0, 1), 2: (1, 0), 3: (2, 3), 4: (3, 2), 5: (0, 3), 6: (1, 2), 7: (2, 1), 8: (3, 0)}
    assert (dark, grey) == where[orientation]


def test_exif_behind_the_frame_counts_and_behind_the_scan_does_not() -> None:
    plain, segment = jpeg(), jpeg((APP1, EXIF + oriented(6)))[2 : -len(jpeg()) + 2]
    scan = plain.index(b"\xff\xda")
    assert images.facts(plain[:scan] + segment + plain[scan:]).orientation == 6
    assert images.facts(plain[:-2] + segment + plain[-2:]).orientation == 1


def test_a_directory_of_any_number_of_entries_is_read_in_good_time() -> None:
    many = tiff(*[(0x010F, 3, 1, 0)] * 5_000, (0x0112, 3, 1, 6))
    assert images.facts(jpeg((APP1, EXIF + many))).orientation == 1


@pytest.mark.parametrize("start", [0, 1, 2**31, 2**32 - 1])
def test_a_directory_that_lies_elsewhere_says_nothing(start: int) -> None:
    data = jpeg((APP1, EXIF + oriented(6)[:4] + start.to_bytes(4, "little") + oriented(6)[8:]))
    assert images.facts(data).orientation == 1


def test_more_segments_than_any_image_has_are_refused() -> None:
    assert images.facts(jpeg(*[(0xFE, b"")] * 5_000)).format == "JPEG"
    with pytest.raises(images.UnreadableImage, match="segments"):
        images.facts(jpeg(*[(0xFE, b"")] * (jpeg_files.MAX_SEGMENTS + 1), image=noise_image()))
