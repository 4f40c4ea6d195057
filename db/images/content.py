"""What is in an image file, apart from what is no part of the picture."""

from dataclasses import dataclass
from typing import Literal

from db.errors import Invalid

Format = Literal["JPEG", "PNG", "BMP"]


class Unreadable(Invalid):
    """These bytes are no image that we can read."""

    code = "IMAGE_UNREADABLE"


@dataclass(frozen=True, slots=True)
class Content:
    """`picture`: a file of the same format with only what a decoder needs: no metadata, nothing behind the image.
    `end`: the number of bytes that the image takes in its file. None: the file ends before the image does."""

    format: Format
    picture: bytes
    end: int | None
    orientation: int = 1
    scans: int = 1
