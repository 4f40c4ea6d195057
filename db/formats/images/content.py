"""An image file, without its profiles, texts and other parts that are not the image."""

from dataclasses import dataclass
from typing import Literal

from db.errors import Invalid

Format = Literal["JPEG", "PNG", "BMP"]


class UnreadableImage(Invalid):
    """The bytes are no image that can be read."""

    code = "IMAGE_UNREADABLE"


@dataclass(frozen=True, slots=True)
class Content:
    """`picture`: a file of the same format with only what a decoder needs: no metadata, nothing behind the image.
    `end`: the position in its file where the image, or what there is of it, ends. `complete`: its end was found."""

    format: Format
    picture: bytes
    end: int
    complete: bool = True
    orientation: int = 1
    scans: int = 1
