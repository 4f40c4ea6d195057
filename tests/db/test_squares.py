"""What programs compare and classify: images at a size that a model wants, and hashes of looks."""

import io
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from db.formats import decoding, images
from db.formats.decoding import Limits
from db.formats.images import UnreadableImage
from db.formats.images.shown import UPRIGHT
from tests.waiting import TIMEOUT

SIDE = 224
HIDDEN = 2**64 - 1


def picture(size: tuple[int, int] = (300, 200)) -> Image.Image:
    """Dark at its upper left corner, so that it shows how it is turned; no side is like another."""
    blocks = Image.new("L", (6, 4))
    blocks.putdata(
        [0, 90, 40, 200, 120, 220, 30, 60, 250, 10, 160, 70, 180, 20, 110, 240, 80, 140, 50, 230, 15, 190, 100, 255]
    )
    return blocks.resize(size, Image.Resampling.BICUBIC).convert("RGB")


def encoded(form: str, image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def oriented(form: str, image: Image.Image, orientation: int) -> bytes:
    """The image, stored so that its orientation makes it upright."""
    back = {6: UPRIGHT[8], 8: UPRIGHT[6]}.get(orientation, UPRIGHT.get(orientation))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(form, image if back is None else image.transpose(back), exif=exif)


def shown(data: bytes) -> Image.Image:
    return Image.frombytes("RGB", (SIDE, SIDE), images.resized(data, SIDE, SIDE))


def difference(one: Image.Image, other: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def bits(one: int, other: int) -> int:
    return ((one ^ other) & HIDDEN).bit_count()


async def test_decoders_give_both() -> None:
    data = encoded("PNG", picture())
    async with decoding.decoders(Limits(seconds=TIMEOUT, pixels=60_000)) as decoders:
        assert await decoders.square(data, SIDE) == picture().resize((SIDE, SIDE), Image.Resampling.BILINEAR).tobytes()
        assert await decoders.difference_hash(data) == images.difference_hash(data)
        for refused in (b"hello", encoded("PNG", picture((300, 201)))):
            with pytest.raises(UnreadableImage):
                await decoders.square(refused, SIDE)
            with pytest.raises(UnreadableImage):
                await decoders.difference_hash(refused)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "AVIF"])
def test_every_format_shows_the_same(form: str) -> None:
    exact, data = encoded("PNG", picture()), encoded(form, picture())
    assert difference(shown(data), shown(exact)) < 6
    assert bits(images.difference_hash(data), images.difference_hash(exact)) <= 2


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_both_are_of_the_upright_image(form: str, orientation: int) -> None:
    turned, exact = oriented(form, picture(), orientation), encoded("PNG", picture())
    assert difference(shown(turned), shown(exact)) < 6
    assert bits(images.difference_hash(turned), images.difference_hash(exact)) <= 2


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
async def test_a_letterbox_keeps_proportions(orientation: int) -> None:
    data = oriented("PNG", picture(), orientation)
    async with decoding.decoders(Limits(seconds=TIMEOUT)) as decoders:
        small = await decoders.resized(data, 100, 90, letterbox=True)
        plain = await decoders.resized(data, 100, 90)
    expected = Image.new("RGB", (100, 90), (114, 114, 114))
    expected.paste(picture().resize((100, 67), Image.Resampling.BILINEAR), (0, 11))
    assert difference(Image.frombytes("RGB", (100, 90), small), expected) < 1
    resized = picture().resize((100, 90), Image.Resampling.BILINEAR)
    assert difference(Image.frombytes("RGB", (100, 90), plain), resized) < 1


@pytest.mark.parametrize("size", [(5_000, 1), (1, 5_000), (640, 640)])
def test_an_image_of_any_proportions_fits(size: tuple[int, int]) -> None:
    data = images.resized(encoded("PNG", picture(size)), 40, 30, letterbox=True)
    assert len(data) == 3 * 40 * 30
    assert images.fitting(*size, 40, 30) == {(5_000, 1): (40, 1), (1, 5_000): (1, 30), (640, 640): (30, 30)}[size]


def test_what_is_transparent_is_white() -> None:
    image = picture().convert("RGBA")
    image.putalpha(0)
    data = encoded("PNG", image)
    assert shown(data).getextrema() == ((255, 255),) * 3
    assert images.difference_hash(data) == 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "CMYK"])
def test_an_image_of_any_mode_has_both(mode: str) -> None:
    image = picture().convert("L").convert("I").convert("I;16") if mode == "I;16" else picture().convert(mode)
    data = encoded("JPEG" if mode == "CMYK" else "PNG", image)
    assert len(images.resized(data, SIDE, SIDE)) == 3 * SIDE * SIDE
    assert -(2**63) <= images.difference_hash(data) < 2**63


def test_a_bit_says_whether_the_next_pixel_is_brighter() -> None:
    """From the upper left corner on, row by row, the first bit the highest: it is the sign."""
    gray = Image.new("L", (9, 8))
    assert images.difference_hash(encoded("PNG", gray)) == 0
    gray.putpixel((1, 0), 255)
    assert images.difference_hash(encoded("PNG", gray)) == -(2**63)
    gray.putpixel((8, 7), 255)
    assert images.difference_hash(encoded("PNG", gray)) == -(2**63) + 1
    gray.putdata([column for _ in range(8) for column in range(9)])
    assert images.difference_hash(encoded("PNG", gray)) == -1


@pytest.mark.parametrize("size", [(150, 100), (450, 300), (1, 5_000), (5_000, 1)])
def test_copies_of_other_sizes_and_qualities_look_alike(size: tuple[int, int]) -> None:
    image = picture() if min(size) > 1 else picture(size)
    copy = encoded("JPEG", image.resize(size), quality=60)
    assert bits(images.difference_hash(copy), images.difference_hash(encoded("PNG", image))) <= 2
    other = images.difference_hash(encoded("PNG", picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    assert bits(images.difference_hash(copy), other) > 10


def test_a_large_photograph_is_not_decoded_at_its_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def noted(self: Image.Image, *arguments: Any, **options: Any) -> Image.Image:
        sizes.append(self.size)
        return resize(self, *arguments, **options)

    data = encoded("JPEG", picture((2_000, 1_600)))
    monkeypatch.setattr(Image.Image, "resize", noted)
    images.resized(data, SIDE, SIDE)
    images.difference_hash(data)
    assert sizes == [(500, 400), (250, 200)]
