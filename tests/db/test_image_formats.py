"""WebP, TIFF, GIF and AVIF: our readers of headers and Pillow agree, whatever a file is like; and what browsers see."""

import io
import math
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from db.formats import images
from db.formats.images import Format, ImageFacts, UnreadableImage, opening, tiff_parts
from tests.db.images import jpeg, noise_image, png

SIZE = (61, 40)
NEW = ("WEBP", "TIFF", "GIF", "AVIF")
ORIENTED = [
    ("AVIF", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"big_tiff": True}),
]
MODES: dict[str, tuple[str, ...]] = {
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("1", "L", "P"),
    "AVIF": ("L", "RGB", "RGBA"),
    "TIFF": ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I;16B", "I", "F"),
}
COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4", "zstd", "lzma")


def picture(mode: str = "RGB") -> Image.Image:
    """Its upper left corner is dark, so that it shows how it is turned."""
    image = noise_image("L", SIZE)
    image.paste(0, (0, 0, 25, 15))
    if mode.startswith("I;16"):
        return image.convert("I").point(lambda number: number * 16).convert("I;16").convert(mode)
    if mode == "LAB":
        return Image.merge("LAB", [image, image, image])
    image = image.convert("RGB").convert(mode) if mode not in ("LA", "RGBA") else image.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return image


def encoded(form: str, image: Image.Image | None = None, **options: object) -> bytes:
    out = io.BytesIO()
    (image or picture()).save(out, form, **options)
    return out.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    return ImageStat.Stat(ImageChops.difference(one.convert("L"), other.convert("L"))).mean[0]


def may_be_truncated(data: bytes) -> bool:
    return images.may_be_truncated(data[: images.HEAD_SIZE], data[-images.TAIL_SIZE :], len(data))


def files(form: str) -> Iterator[bytes]:
    """Of every mode and compression that Pillow writes."""
    for mode in MODES[form]:
        for compression in COMPRESSIONS if form == "TIFF" else ("",):
            try:
                yield encoded(form, picture(mode), **({"compression": compression} if compression else {}))
            except (OSError, KeyError, RuntimeError):
                continue


@pytest.mark.parametrize("form", NEW)
def test_headers_say_what_decoders_find(form: Format) -> None:
    written = list(files(form))
    assert len(written) >= len(MODES[form])
    for data in written:
        assert images.kind(data) == form
        facts = images.facts(data)
        assert facts == images.check(data) == ImageFacts(form, *SIZE, 1)
        assert not may_be_truncated(data)
        assert decoded(images.thumbnail(data, 32)[0]).size == (32, 21)
        assert decoded(images.rendition(data)).size == SIZE


@pytest.mark.parametrize("form", NEW)
def test_facts_need_no_library(form: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(form)
    monkeypatch.setattr(opening, "opened", lambda *_: pytest.fail("it was opened"))
    assert images.facts(data) == ImageFacts(form, *SIZE, 1)


@pytest.mark.parametrize(("form", "options"), ORIENTED)
def test_images_are_turned_as_their_files_say(form: Format, options: dict[str, Any]) -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(form, exif=exif, **options)
        assert images.facts(data) == images.check(data) == ImageFacts(form, *SIZE, orientation)
        upright = ImageOps.exif_transpose(decoded(data))
        shown = decoded(images.rendition(data))
        assert shown.size == upright.size == decoded(images.thumbnail(data, 61)[0]).size
        assert difference(shown, upright) < 4


@pytest.mark.parametrize("form", NEW)
def test_of_several_images_the_first_counts(form: Format) -> None:
    pages = [picture(), ImageOps.invert(picture()), picture().rotate(180)]
    data = encoded(form, pages[0], save_all=True, append_images=pages[1:])
    assert images.facts(data) == images.check(data) == ImageFacts(form, *SIZE, 1)
    assert not may_be_truncated(data)
    assert difference(decoded(images.rendition(data)), pages[0]) < 8


def test_the_first_bytes_are_enough_and_a_directory_behind_them() -> None:
    large = noise_image("RGB", (300, 400))
    for form, options in (("WEBP", {"lossless": True}), ("TIFF", {}), ("GIF", {}), ("AVIF", {"quality": 100})):
        head = encoded(form, large, **options)[: images.HEAD_SIZE]
        assert images.facts(head) == ImageFacts(form, 300, 400, 1)  # type: ignore[arg-type]
        assert images.rest_of_facts(head) is None
    data = encoded("TIFF", large, compression="tiff_lzw")
    head = data[: images.HEAD_SIZE]
    with pytest.raises(UnreadableImage):
        images.facts(head)
    position = images.rest_of_facts(head)
    assert position is not None
    assert images.facts_of_parts(head, data[position:]) == images.facts(data)


@pytest.mark.parametrize("form", NEW)
def test_a_file_that_ends_early_is_found_out(form: Format) -> None:
    data = encoded(form, noise_image("RGB", (90, 70)))
    for cut in (data[:-40], data[: len(data) * 2 // 3], data[: len(data) // 2]):
        assert may_be_truncated(cut)
        assert not images.is_complete(cut)
        assert images.facts(cut).width == 90
        with pytest.raises(UnreadableImage, match="truncated"):
            images.check(cut)


@pytest.mark.parametrize("form", NEW)
@pytest.mark.parametrize("stowaway", [b"PK\x03\x04 jar", b"<HTML><script>", b"\0" * 9 + b"%PDF-1.7"])
def test_what_is_something_else_too_is_refused(form: Format, stowaway: bytes) -> None:
    data = encoded(form)
    assert images.check(data + bytes(40)).format == form
    with pytest.raises(UnreadableImage, match="other data"):
        images.check(data + stowaway)


# -- GIF


def gif(screen: tuple[int, int], frame: tuple[int, int, int, int], *, before: bytes = b"") -> bytes:
    """One frame at this place of a screen, of colour 1; colour 0 is transparent."""
    left, top, width, height = frame
    codes = [4] + [1, 4] * (width * height)  # each pixel after a code that clears the table, so codes keep three bits
    bits = "".join(f"{code:03b}" for code in reversed([*codes, 5]))
    packed = int(bits, 2).to_bytes(len(bits) // 8 + 1, "little")
    parts = b"".join(bytes([len(packed[at : at + 255])]) + packed[at : at + 255] for at in range(0, len(packed), 255))
    header = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\0\0\0\xff\x80\x40"
    control = b"!\xf9\x04\x01\0\0\0\0"
    return (
        header + before + control + b"," + struct.pack("<HHHHB", left, top, width, height, 0) + b"\2" + parts + b"\0;"
    )


def test_a_frame_that_is_a_part_of_its_screen_is_at_its_place() -> None:
    data = gif((30, 20), (10, 5, 8, 6), before=b"!\xfe\x04text\0")
    assert images.facts(data) == images.check(data) == ImageFacts("GIF", 30, 20, 1)
    thumbnail, media = images.thumbnail(data, 30)
    assert media == "image/png"
    assert decoded(thumbnail).getchannel("A").getbbox() == (10, 5, 18, 11)
    red, green, blue = decoded(images.rendition(data)).convert("RGB").split()
    assert red.getpixel((0, 0)) >= 250  # type: ignore[operator]
    assert green.getpixel((0, 0)) >= 250  # type: ignore[operator]
    assert blue.getpixel((13, 8)) < 100  # type: ignore[operator]


@pytest.mark.parametrize("screen", [(0, 0), (12, 4), (1, 1)])
def test_a_screen_is_at_least_as_large_as_its_first_frame(screen: tuple[int, int]) -> None:
    data = gif(screen, (10, 5, 8, 6))
    assert images.facts(data) == images.check(data) == ImageFacts("GIF", 18, 11, 1)
    assert decoded(images.rendition(data)).size == (18, 11)


@pytest.mark.parametrize("data", [b"GIF89a", b"GIF89a" + bytes(7), gif((9, 9), (0, 0, 0, 0)), b"GIF87a" + b"\x01" * 50])
def test_a_gif_without_a_frame_is_none(data: bytes) -> None:
    with pytest.raises(UnreadableImage):
        images.check(data)


def test_a_gif_of_endless_parts_is_left() -> None:
    with pytest.raises(UnreadableImage, match="blocks"):
        images.facts(b"GIF89a" + bytes(7) + b"!\xfe" + b"\1x" * 1_100_000)


# -- TIFF

Entry = tuple[int, int, int, int]  # tag, type, count, value
PLAIN: tuple[Entry, ...] = (
    *((256, 4, 1, 8), (257, 4, 1, 6), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)),
    *((277, 3, 1, 1), (278, 4, 1, 6), (279, 4, 1, 48)),
)


PIXELS = bytes(range(48))


def tiff(*changed: Entry, pixels: bytes = PIXELS, order: str = "<", following: int = 0) -> bytes:
    """A small gray image with these entries instead of, or besides, the usual ones; its directory behind the pixels."""
    entries = sorted({entry[0]: entry for entry in (*PLAIN, *changed)}.values())
    packed = b"".join(struct.pack(f"{order}HHI" + ("Hxx" if entry[1] == 3 else "I"), *entry) for entry in entries)
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(pixels))
    return head + pixels + struct.pack(f"{order}H", len(entries)) + packed + struct.pack(f"{order}I", following)


def test_a_plain_tiff_is_read_in_both_byte_orders() -> None:
    for order in "<>":
        for orientation in (1, 6):
            data = tiff((274, 3, 1, orientation), order=order)
            assert images.facts(data) == images.check(data) == ImageFacts("TIFF", 8, 6, orientation)
    endless = tiff(following=8 + 48)  # the next directory is the same again
    assert images.check(endless).width == 8


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ((256, 4, 1, 2**32 - 1), "too large"),
        ((257, 4, 1, 70_000), "too large"),
        ((256, 4, 1, 0), "no pixels"),
        ((256, 2, 1, 8), "no directory"),
        ((279, 4, 1, 2**32 - 1), "truncated"),
        ((273, 4, 1, 2**31), "truncated"),
        ((273, 4, 2**31, 8), "parts"),
        ((258, 3, 1, 77), "cannot be read"),
        ((259, 3, 1, 60_000), "cannot be read"),
        ((259, 3, 1, 5), "cannot be read"),
        ((259, 3, 1, 7), "cannot be read"),
        ((277, 3, 1, 999), "cannot be read"),
    ],
)
def test_a_tiff_that_lies_is_refused(changed: Entry, message: str) -> None:
    with pytest.raises(UnreadableImage, match=message):
        images.check(tiff(changed))


def test_what_a_tiff_does_not_need_does_no_harm() -> None:
    """Entries of unknown types, far positions and wrong orientations."""
    odd = [(274, 4, 1, 6), (274, 3, 1, 9), (34_665, 4, 1, 2**32 - 1), (34_675, 1, 4_000, 2**31), (65_000, 4, 1, 5)]
    for entry in odd:
        assert images.check(tiff(entry)).orientation in (1, 6)
    assert images.check(tiff((274, 3, 1, 9))).orientation == 1


@pytest.mark.parametrize("tag", [65_000, 320])
def test_no_entry_of_a_tiff_hides_what_is_behind_its_pixels(tag: int) -> None:
    """Neither one that nobody needs, nor one that this image does not need."""
    behind = b"\0PK\x03\x04" + bytes(100)
    data = tiff((tag, 7, 0, 0))
    position = len(data)
    for place in (position, 8 + 48):  # behind the directory, and between the pixels and that
        entry = (tag, 7, len(behind), place)
        hidden = tiff(entry) + behind if place == position else tiff(entry, (279, 4, 1, 48), pixels=PIXELS + behind)
        with pytest.raises(UnreadableImage, match="other data"):
            images.check(hidden)
    assert images.check(tiff((tag, 7, 100, position)) + bytes(100)).width == 8


TILED: tuple[Entry, ...] = ((322, 4, 1, 16), (323, 4, 1, 16), (324, 4, 1, 8), (325, 4, 1, 2_000))


@pytest.mark.parametrize(
    "entries",
    [
        [(279, 4, 1, 2_000)],
        [(278, 4, 1, 2**32 - 1), (279, 4, 1, 2_000)],
        [(257, 4, 1, 3), (278, 4, 1, 3), (279, 4, 1, 2_000)],
        [(256, 4, 1, 1), (284, 3, 1, 2), (279, 4, 1, 2_000)],
        [*TILED, (273, 4, 0, 0)],
    ],
)
def test_pixels_of_a_tiff_are_as_many_bytes_as_they_need(entries: list[Entry]) -> None:
    """Whatever it says of them, if they are not compressed."""
    pixels = bytes(256) + b"<script>" + bytes(1_800)
    assert b"<script>" in tiff_parts.unclaimed(tiff(*entries, pixels=pixels))
    with pytest.raises(UnreadableImage, match="other data"):
        images.check(tiff((279, 4, 1, 2_000), pixels=pixels))
    assert images.check(tiff((279, 4, 1, 2_000), pixels=bytes(2_064))).width == 8


def test_what_belongs_to_a_tiff_may_contain_anything() -> None:
    """Its metadata, also those of Exif, and the pixels of other pages."""
    unlucky = Image.frombytes("RGB", SIZE, b"PK\x03\x04<html".ljust(SIZE[0] * SIZE[1] * 3))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0<!DOCTYPE html>"
    for text in ("<html>", "drawn in <svg > by hand", '<?xml version="1.0"?><!DOCTYPE OME><OME/>'):
        for options in ({}, {"compression": "tiff_lzw"}, {"big_tiff": True}):
            pages: dict[str, Any] = {"save_all": True, "append_images": [unlucky, unlucky]}
            data = encoded("TIFF", description=text, exif=exif, **pages, **options)
            assert (text.encode() in data, images.check(data).width) == (True, SIZE[0])
    data = encoded("TIFF", tiffinfo={270: "<html>", 65_000: "<html> of nobody"})
    with pytest.raises(UnreadableImage, match="other data"):
        images.check(data)


def test_directories_of_a_tiff_that_go_round_or_lie_end() -> None:
    position = 8 + 48
    for entry in ((330, 4, 1, position), (34_665, 4, 1, position), (34_665, 13, 1, position), (330, 4, 2**31, 8)):
        assert images.check(tiff(entry, following=position)).width == 8
    separate = tiff((257, 4, 1, 0), (277, 4, 1, 2**32 - 1), (284, 3, 1, 2))
    assert tiff_parts.unclaimed(separate)
    assert tiff_parts.unclaimed(b"II+\0\x08\0\0\0" + b"\xff" * 8)
    with pytest.raises(UnreadableImage):
        images.check(b"II+\0\x08\0\0\0" + b"\xff" * 8)


# -- zips


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("page.html", "<p>")
    return out.getvalue()


def test_no_image_is_a_zip_too_wherever_that_is() -> None:
    """Programs look for the end of its directory in the last bytes of a file, whatever these belong to."""
    hidden = archive()
    files = [
        jpeg((0xFE, hidden)),
        png(behind=[(b"tEXt", b"Comment\0" + hidden)]),
        encoded("GIF", comment=hidden),
        encoded("WEBP", exif=b"Exif\0\0" + hidden),
        encoded("TIFF", tiffinfo={700: hidden}),
        encoded("TIFF", compression="tiff_lzw", tiffinfo={700: hidden}),
        tiff((279, 4, 1, 48 + len(hidden)), pixels=PIXELS + hidden),
        encoded("AVIF") + (8 + len(hidden)).to_bytes(4, "big") + b"free" + hidden,
    ]
    for data in files:
        assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["page.html"]
        with pytest.raises(UnreadableImage, match="other data"):
            images.check(data)
        harmless = data.replace(b"PK\x05\x06", b"PK\x05\x07").replace(b"PK\x03\x04", b"PK\x03\x05")
        assert images.check(harmless).width > 0


def hiding(data: bytes) -> list[bytes]:
    """Images with these bytes in their metadata, near the beginning of the file."""
    return [
        jpeg((0xFE, data)),
        png(before=[(b"tEXt", b"Comment\0" + data)]),
        encoded("GIF", comment=data),
        encoded("TIFF", tiffinfo={700: data}),
    ]


def test_no_image_is_a_pdf_or_another_archive_too() -> None:
    """Programs look for the beginning of a PDF in the first kilobyte, and for that of RAR and 7z in much more."""
    for hidden in (
        b"%PDF-1.4\n1 0 obj\n<< >>\nendobj\n",
        b"%PDF-1.4\n1\0 0\0obj\0<<",
        b"%PDF-1.4\n1%\n0 %a\robj%\n \x0c%b\r\n<<",
        b"%PDF-1.4\nobj %1 0 obj% <\n<<",
        b"%PDF-1.4\ntrailer<</Root<<",
        b"Rar!\x1a\x07\x01\0",
        b"7z\xbc\xaf\x27\x1c\0\4",
    ):
        for data in hiding(hidden):
            assert hidden in data
            with pytest.raises(UnreadableImage, match="other data"):
                images.check(data)
    far = jpeg((0xFE, bytes(1_024)), (0xFE, b"%PDF-1.4\n1 0 obj\n<<"))
    for data in (*hiding(b"%PDF-1.4 with 1 0 obj was printed"), *hiding(b"<script>1 0 obj <<"), far):
        assert images.check(data).width > 0


@pytest.mark.parametrize(
    "behind",
    [
        b"MZ\x90\0",
        b"\0\0\x7fELF",
        b"#!/bin/sh\n",
        b"x" * 99 + b"This program cannot be run in DOS mode",
        b"<IFrame src",
    ],
)
def test_no_program_is_behind_an_image(behind: bytes) -> None:
    with pytest.raises(UnreadableImage, match="other data"):
        images.check(jpeg() + behind)


def test_wide_grays_are_shown_from_the_darkest_to_the_lightest() -> None:
    gray = Image.frombytes("I;16", (64, 64), struct.pack("<4096H", *(1_000 + at % 64 * 10 for at in range(4_096))))
    holes = gray.convert("F")
    holes.putpixel((0, 0), math.nan)
    holes.putpixel((1, 0), math.inf)
    for image in (gray, gray.convert("I"), gray.convert("F"), holes):
        shown = decoded(images.rendition(encoded("TIFF", image)))
        assert shown.mode == "L"
        low, high = shown.getextrema()
        assert low < 8  # type: ignore[operator]
        assert high > 247  # type: ignore[operator]


# -- AVIF, WebP


def test_an_avif_that_is_shown_in_part_is_refused() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded("AVIF", exif=exif)
    with pytest.raises(UnreadableImage, match="in part"):
        images.facts(data.replace(b"irot", b"clap"))


@pytest.mark.parametrize("box", [b"ispe", b"pitm", b"ipma", b"meta"])
def test_an_avif_that_does_not_say_its_size_is_none(box: bytes) -> None:
    with pytest.raises(UnreadableImage):
        images.facts(encoded("AVIF").replace(box, b"free"))


def test_exif_neither_turns_a_webp_or_an_avif_nor_spoils_it() -> None:
    """Browsers do not follow it."""
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    data = encoded("AVIF", exif=exif)
    spoilt = data.replace(b"MM\0*", b"xx\0*").replace(b"II*\0", b"xx*\0")
    assert spoilt != data
    assert images.check(spoilt) == images.check(data)
    exif[0x0112] = 6
    webp = encoded("WEBP", exif=exif)
    assert images.facts(webp) == images.check(webp) == ImageFacts("WEBP", *SIZE, 1)
    assert decoded(images.rendition(webp)).size == SIZE


def test_a_heic_is_no_avif() -> None:
    assert images.kind(encoded("AVIF").replace(b"avif", b"heic").replace(b"avis", b"heix")) is None


def test_a_webp_whose_frame_has_another_size_is_refused() -> None:
    data = encoded("WEBP")
    data = data[:26] + b"\xff\x3f" + data[28:]
    assert images.facts(data).width == 16_383
    with pytest.raises(UnreadableImage):
        images.check(data)


# -- sizes


def test_the_longest_side_is_a_setting() -> None:
    wide = encoded("PNG", Image.new("1", (65_535, 2)))
    with pytest.raises(UnreadableImage, match="16,384 a side"):
        images.check(wide)
    assert images.check(wide, side=65_535).width == 65_535
    assert decoded(images.rendition(wide, side=65_535)).size == (16_384, 1)
    for form in ("TIFF", "GIF"):
        assert images.check(encoded(form, Image.new("1", (65_535, 2))), side=65_535).width == 65_535


def test_what_browsers_show_is_shown_as_it_is() -> None:
    assert images.is_shown("AVIF", 16_384, 1)
    assert images.is_shown("JPEG", None, None)
    assert not images.is_shown("JPEG", 1, 16_385)
    assert not images.is_shown("TIFF", 1, 1)
