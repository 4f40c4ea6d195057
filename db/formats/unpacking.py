"""What is compressed may unpack to much more than anybody means to read."""

from typing import Final

from db.errors import Invalid

MAX_UNPACKED: Final = 20 * 1024**3  # bytes of what is kept of an archive
MAX_RATIO: Final = 250  # of unpacked to packed bytes
FREE: Final = 16 * 1024 * 1024  # unpacked bytes for which the ratio does not matter


class ArchiveRefused(Invalid):
    """The archive as a whole cannot be read, or may have been made to do harm."""


def expect_ratio(unpacked: int, packed: int, *, is_kept: bool = True) -> None:
    """`is_kept`: what is unpacked takes space, so it has a limit by itself. Raises ArchiveRefused."""
    if is_kept and unpacked > MAX_UNPACKED:
        raise ArchiveRefused(f"The archive unpacks to more than {MAX_UNPACKED // 1024**3} GiB.", code="FILE_TOO_LARGE")
    if unpacked > FREE and unpacked > MAX_RATIO * max(packed, 1):
        raise ArchiveRefused(
            f"The archive unpacks to more than {MAX_RATIO} times its size; unpack it, and import the folder."
        )
