"""What is an image is no archive, and what belongs to an image is taken."""

import io
import tarfile

import pytest

from db.formats import images
from db.formats.images import UnreadableImage
from tests.db.images import jpeg
from tests.db.test_image_formats import archive


def test_no_image_is_a_zip_too_however_much_is_behind_that() -> None:
    """Programs that look for a zip in the middle of a file do not stop at the last 64 KiB."""
    film = b"\0\0\0\x18ftypmp42" + bytes(range(1, 256)) * 400
    for data in (jpeg((0xE4, archive())) + film, jpeg() + film + archive() + film):
        with pytest.raises(UnreadableImage, match="other data"):
            images.check(data)
    nameless = archive().replace(b"PK\x03\x04", b"PK\x03\x05")  # as programs that go by the directory alone read it
    with pytest.raises(UnreadableImage, match="other data"):
        images.check(jpeg() + film + nameless + film)
    by_chance = b"PK\x03\x04" + film[9:] + b"PK\x05\x06" + film
    for start in (film, film[:99]):
        assert images.check(jpeg() + start + by_chance).format == "JPEG"
    with pytest.raises(UnreadableImage, match="other data"):
        images.check(jpeg() + film[:99] + archive()[:40] + film)
    with pytest.raises(UnreadableImage, match="other data"):
        images.check(jpeg() + film + b"PK\x05\x06" * 10_000 + film)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_no_image_is_a_tar_file_too(form: int) -> None:
    """Of a JPEG whose first segment is the name of the tar's first file; and of one that has a tar in a later block."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as file:
        file.addfile(tarfile.TarInfo("page.html"))
    blocks = bytearray(out.getvalue()[:1_536])
    later = jpeg((0xFE, bytes(506) + blocks))
    for magic in (blocks[257:265], bytes(8)):  # without it it is an old one
        blocks[:6] = b"\xff\xd8\xff\xfe" + (len(blocks) - 4).to_bytes(2, "big")
        blocks[257:265] = magic
        blocks[148:156] = b"%06o\0 " % (sum(blocks[:148]) + sum(blocks[156:512]) + 8 * ord(" "))
        first = bytes(blocks) + jpeg()[2:]
        with tarfile.open(fileobj=io.BytesIO(first)) as file:
            assert len(file.getnames()) == 1
        for data in (first, later):
            with pytest.raises(UnreadableImage, match="other data"):
                images.check(data)
    assert images.check(jpeg((0xFE, bytes(506) + b"x" * 257 + b"ustar\0" + bytes(600)))).format == "JPEG"


def test_further_images_of_a_jpeg_may_have_texts() -> None:
    second = jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0<html> javascript: %PDF-1.4"))
    assert images.check(jpeg() + bytes(99) + second + bytes(9) + second).format == "JPEG"
    for behind in (second + b"<html>", second[:-2], second[:9] + b"<html>"):
        with pytest.raises(UnreadableImage, match="other data"):
            images.check(jpeg() + behind)
