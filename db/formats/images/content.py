"""What is in an image file, apart from what is no part of the picture."""

from dataclasses import dataclass
from typing import Literal

from db.errors import Invalid

Format = Literal["JPEG", "PNG", "BMP"]


class UnreadableImage(Invalid):
    """These bytes are no image that we can read."""

    code = "IMAGE_UNREADABLE"


@dataclass(frozen=True, slots=True)
class Content:
    """`picture`: a file of the same format with only what a decoder needs: no metadata, nothing behind the image.
    `end`: where the image, or what there is of it, ends in its file. `complete`: its end was found there."""

    format: Format
    picture: bytes
    end: int
    complete: bool = True
    orientation: int = 1
    scans: int = 1
