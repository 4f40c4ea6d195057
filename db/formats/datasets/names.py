"""Names inside of exports: what every file system and archive takes, and no two images share.

An image keeps its path where it can. Where a part of it is nothing for some file system (Windows' reserved characters
and names included), or another image has the same stem in any case of its letters, `~` and the image's number are put
behind the stem; so they are behind a stem that ends that way by itself, which makes the made names unique.

In a bucket `a.jpg` and `a.jpg/b.jpg` can both be images. On disks one name cannot be a file and a directory: a
directory that could be a file of an export by its suffix gets a `_`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from db.formats.datasets.records import DatasetLabel
from db.formats.paths import stem as stem_of

UNSAFE: Final = re.compile('[\x00-\x1f\x7f-\x9f<>:"|?*\\\\/\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffd]')
RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
LIKE_FILES: Final = re.compile(r"(?i)\.(jpe?g|jpe|jfif|png|bmp|gif|webp|tiff?|avif|txt|xml|jsonl?|cls)$")
# Suffixes that some readers do not know as those of images.
KNOWN: Final = {".jfif": ".jpg", ".jpe": ".jpg"}
NUMBERED: Final = re.compile(r"~[0-9]+$")
LENGTH: Final = 200  # bytes of a name, so that a suffix and a number fit into the 255 that file systems take


def safe_part(part: str) -> str:
    """One part of a path, as every file system takes it."""
    made = UNSAFE.sub("_", part)
    made = made.rstrip(". ") or "_"
    if made.startswith("."):
        made = "_" + made[1:]
    if RESERVED.fullmatch(made):
        made = f"_{made}"
    return made.encode()[:LENGTH].decode(errors="ignore")


def file_path(path: str, number: int, *, is_unique: bool) -> str:
    """The path of an image in an export. `is_unique`: no other image has this path without suffix, in any case."""
    *directories, name = path.split("/")
    folders = [LIKE_FILES.sub(r".\1_", safe_part(directory)) for directory in directories]
    is_kept = is_unique and folders == directories
    return "/".join((*folders, file_name(name, number, is_unique=is_kept)))


def file_name(path: str, number: int, *, is_unique: bool) -> str:
    """The name of an image in an export, without directories. `is_unique`: no other image has it without suffix."""
    name = path.rpartition("/")[2]
    stem = stem_of(name)
    suffix, safe = name[len(stem) :], safe_part(stem)
    suffix = KNOWN.get(suffix.lower(), suffix)
    if suffix != safe_part(f"x{suffix}")[1:]:
        suffix, is_unique = "", False
    if is_unique and safe == stem and not NUMBERED.search(stem) and not stem.startswith("."):
        return stem + suffix
    return f"{safe}~{number}{suffix}"


def folder_names(labels: Sequence[DatasetLabel]) -> dict[str, str]:
    """The names of the labels' folders: their own where a file system takes it, and no other differs only in the case
    of its letters; else with `~` and the label's number."""
    cases = Counter(label.name.lower() for label in labels)
    return {label.name: _folder_name(label, is_unique=cases[label.name.lower()] == 1) for label in labels}


def _folder_name(label: DatasetLabel, *, is_unique: bool) -> str:
    safe = safe_part(label.name)
    is_kept = is_unique and safe == label.name and not NUMBERED.search(label.name)
    return safe if is_kept else f"{safe}~{label.number}"
